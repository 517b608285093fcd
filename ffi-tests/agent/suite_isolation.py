"""Two applications, two accounts, one agent: nothing of one is ever in the other's payloads."""

import http.server
import json
import threading
import time
import zlib

import harness
from harness import Agent, clean_env, equal, wait_until
from wire import Client, Request, success


class Account(http.server.BaseHTTPRequestHandler):
    """A check-in service that keeps what it gets, by key."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 31)
        if self.server.broken:
            self.send_response(503)
        else:
            self.server.got.append((self.path, json.loads(body)))
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def service():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Account)
    server.got, server.broken = [], False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def work(port, app, key, endpoint, count, request_id="same-%d"):
    """Every application uses the same ids for its requests and spans."""
    with Client(port, register=(app, key)) as client:
        for n in range(count):
            request = Request(request_id % n).start().tag("whose", app + "-" + key)
            for command in request.span("s", "Controller/" + endpoint, 0, 0.01).finish().commands:
                assert success(client.ask(command))


def test_names_keys_and_the_same_ids():
    agent = Agent().start()
    who = [("Shop", "key-one"), ("Shop", "key-two"), ("Shop2", "key-one"), ("Shop", "")]
    threads = [
        threading.Thread(target=work, args=(agent.port, app, key, "e%d" % n, 50 + n))
        for n, (app, key) in enumerate(who)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    payloads = agent.end()
    found = []
    for payload in payloads.all:
        endpoints = {m["key"]["name"]: m["call_count"] for m in payload["metrics"]
                     if m["key"]["bucket"] == "Controller"}
        ((endpoint, count),) = endpoints.items()
        n = int(endpoint[1:])
        app, key = who[n]
        equal(count, 50 + n, endpoint)
        contexts = {slow["context"]["whose"] for slow in payload["slow_transactions"]}
        equal(contexts, {app + "-" + key}, "context")
        found.append(n)
    equal(sorted(found), [0, 1, 2, 3], "a payload each")
    assert "key-one" not in "".join(payloads.files)


def test_each_to_its_own_account():
    server = service()
    agent = Agent("agent", "--ingest-url", "http://127.0.0.1:%d" % server.server_port,
                  destination=False).start()
    work(agent.port, "Shop & Co", "key-one", "one", 5)
    work(agent.port, "Shop & Co", "key-two", "two", 7)
    agent.end()
    server.shutdown()
    seen = {}
    for where, payload in server.got:
        assert where.startswith("/apps/checkin.scout?key="), where
        key = where.split("key=")[1].split("&")[0]
        assert where.endswith("&name=Shop+%26+Co"), where
        for metric in payload["metrics"]:
            if metric["key"]["bucket"] == "Controller":
                seen[(key, metric["key"]["name"])] = metric["call_count"]
    equal(seen, {("key-one", "one"): 5, ("key-two", "two"): 7}, "delivered")
    assert "key-one" not in agent.log_text(), "keys stay out of the log"


def test_a_receiver_away_costs_nothing_and_grows_nothing():
    server = service()
    server.broken = True
    flags = ["--ingest-url", "http://127.0.0.1:%d" % server.server_port]
    agent = Agent("agent", *flags, destination=False).start()
    work(agent.port, "Shop", "key-one", "kept", 20)
    _, before = agent.usage()
    for block in range(10):
        work(agent.port, "Shop", "key-one", "kept", 100, "b%d-%%d" % block)
    _, after = agent.usage()
    assert after - before < 30, "%.0f MiB" % (after - before)
    agent.end()
    assert "stored, to be delivered later" in agent.log_text(), agent.log_text()[-500:]
    server.broken = False
    agent = Agent("agent", *flags, destination=False).start()
    work(agent.port, "Shop", "key-one", "fresh", 1)
    agent.end()
    counts = {}
    for _, payload in server.got:
        for metric in payload["metrics"]:
            if metric["key"]["bucket"] == "Controller":
                name = metric["key"]["name"]
                counts[name] = counts.get(name, 0) + metric["call_count"]
    server.shutdown()
    equal(counts, {"kept": 1020, "fresh": 1}, "delivered in the end, once")


def test_more_applications_than_cores():
    agent = Agent().start()
    for n in range(32):
        work(agent.port, "App%d" % n, "k", "x", 1)
    # One more: nobody has been idle for long. It is told so, and the others live on.
    with Client(agent.port, register=("One more", "k")) as client:
        batch = Request("r").start().span("s", "Controller/x", 0, 0.01).finish().batch()
        failure = client.ask(batch)["BatchCommand"]["result"]["Failure"]["message"]
        assert "32 cores" in failure, failure
    work(agent.port, "App0", "k", "x", 1, "again%d")
    payloads = agent.end()
    equal((len(payloads.all), payloads.endpoints()), (32, {"x": 33}), "delivered")
