"""Many connections, many spans: nothing lost, nobody starved, nothing growing."""

import contextlib
import os
import selectors
import socket
import subprocess
import threading
import time

import clients
from freeze import frozen, threads
from harness import Agent, clean_env, equal, wait_until
from suite_robust import Polite
from wire import Client, Request, frame, registration

SPANS = 20
SUCCESS = frame(b'{"BatchCommand":{"id":null,"result":"Success"}}')


def template(form="python"):
    """A request as Python's agent sends it: a controller, and twenty spans with their tags."""
    request = Request("req-00000000", form=form).start().tag("path", "/users/42?page=2")
    for n in range(SPANS - 1):
        request.span("span-%04d-4d163790-cd4c-4eb5-a802" % n, "SQL/Query", 0.001 * n, 0.001 * n + 0.0005,
                     parent="span-root", allocations=18, start_allocations=60512,
                     stop_allocations=60530,
                     db__statement='SELECT "users".* FROM "users" WHERE "users"."id" = %s')
    request.span("span-root", "Controller/load", 0, 0.05, allocations=1000)
    return frame(request.finish().batch())


class Load:
    """Clients that each send a request and wait for its answer, at a common rate."""

    def __init__(self, port, connections, app="Load"):
        self.selector = selectors.DefaultSelector()
        self.batch = template()
        self.at = self.batch.index(b"req-00000000")
        self.idle = []
        self.requests = self.answered = 0
        self.worst = 0.0
        for _ in range(connections):
            s = socket.create_connection(("127.0.0.1", port), 10)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(frame(registration(app)))
            s.recv(1000)
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ)
            self.idle.append(s)
        self.begun = {}

    def send(self):
        s = self.idle.pop(0)
        self.requests += 1
        data = self.batch.replace(b"req-00000000", b"req-%08d" % self.requests)
        self.begun[s] = time.monotonic()
        sent = s.send(data)
        while sent < len(data):
            try:
                sent += s.send(data[sent:])
            except BlockingIOError:
                time.sleep(0.0002)

    def receive(self, timeout):
        for key, _ in self.selector.select(timeout):
            s = key.fileobj
            reply = s.recv(1000)
            equal(reply, SUCCESS, "a reply")
            self.worst = max(self.worst, time.monotonic() - self.begun.pop(s))
            self.answered += 1
            self.idle.append(s)

    def run(self, seconds, spans_per_second):
        until = time.monotonic() + seconds
        return self.run_until(lambda: time.monotonic() >= until, spans_per_second)

    def run_until(self, ended, spans_per_second=10**7):
        began = time.monotonic()
        while not ended():
            now = time.monotonic() - began
            due = int(now * spans_per_second / SPANS)
            burst = 0
            while self.requests < due and self.idle and burst < 50:
                self.send()
                burst += 1
            self.receive(0 if self.requests < due and self.idle else 0.001)
        while self.begun:
            self.receive(1)
        return self.answered * SPANS / (time.monotonic() - began)


def check(payloads, load):
    equal(load.answered, load.requests, "answers")
    equal(payloads.endpoints()["load"], load.requests, "requests delivered")
    equal(payloads.layer("SQL", "load"), load.requests * (SPANS - 1), "spans delivered")


def test_500_connections_and_50000_spans_a_second():
    seconds = float(os.environ.get("SOAK", 8))
    agent = Agent().start()
    load = Load(agent.port, 500)
    polite = Polite(agent.port)
    before, idle = agent.usage()
    rate = load.run(seconds, 50000)
    after, memory = agent.usage()
    requests = polite.end()
    counters = agent.counters()
    payloads = agent.end()
    check(payloads, load)
    equal(counters["requests_dropped"], 0, "dropped")
    spans = load.requests * SPANS
    # The memory for records under way, and as much again.
    assert memory < 128, "%.0f MiB" % memory
    return (
        "%.0f spans a second for %.0f s, %.2f us of processor each; slowest answer %.0f ms; another "
        "client's %d requests, the slowest %.0f ms; %.0f MiB idle with 500 connections, %.0f MiB after"
        % (rate, seconds, (after - before) / spans * 1e6, load.worst * 1000, requests,
           polite.worst * 1000, idle, memory)
    )


def test_as_fast_as_it_goes():
    agent = Agent().start()
    load = Load(agent.port, 500)
    before, _ = agent.usage()
    rate = load.run(4, 10**7)
    after, memory = agent.usage()
    payloads = agent.end()
    check(payloads, load)
    return "%.0f spans a second, %.2f us of processor each; slowest answer %.0f ms, %.0f MiB" % (
        rate, (after - before) / load.answered / SPANS * 1e6, load.worst * 1000, memory)


OWN_COST = """
import sys, time
from scout_apm.api import install, WebTransaction, instrument
from scout_apm.core.config import scout_config
install(config={"monitor": True, "name": "Cost", "key": "abcdefghij0123456789",
                "core_agent_launch": False, "core_agent_socket_path": sys.argv[1],
                "errors_enabled": False})
time.sleep(1)
begun = time.process_time()
for n in range(int(sys.argv[2])):
    with WebTransaction("cost"):
        for m in range(19):
            with instrument("SELECT", kind="SQL", tags={"db.statement": "SELECT 1 FROM t"}):
                pass
    if n % 10 == 9:
        # No more than its queue of 500 takes.
        time.sleep(0.02)
print(time.process_time() - begun)
"""


def test_processor_time_beside_the_clients_own():
    agent = Agent().start()
    requests = 1000
    before, _ = agent.usage()
    done = subprocess.run([clients.python(), "-c", OWN_COST, agent.address, str(requests)],
                          env=clean_env(), capture_output=True, text=True, timeout=120)
    equal(done.returncode, 0, done.stderr[-500:])
    time.sleep(0.5)
    after, _ = agent.usage()
    payloads = agent.end()
    equal(payloads.endpoints(), {"cost": requests}, "requests")
    spans = requests * SPANS
    return "%.1f us a span in the application, %.1f us in the agent" % (
        float(done.stdout) / spans * 1e6, (after - before) / spans * 1e6)


def test_many_connections_that_come_and_go():
    agent = Agent().start()
    stopping = threading.Event()
    counts, failures = [], []

    def come_and_go():
        count = 0
        try:
            while not stopping.is_set():
                with socket.create_connection(("127.0.0.1", agent.port), 10) as s:
                    s.sendall(frame(registration("Php")) + batch)
                    got = b""
                    while len(got) < len(SUCCESS) + 47:
                        got += s.recv(1000)
                count += 1
        except Exception as error:
            failures.append(error)
        counts.append(count)

    batch = template()
    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    stopping.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    payloads = agent.end()
    # The same id each time, and yet each its own request.
    equal(payloads.endpoints()["load"], sum(counts), "requests")
    return "%d connections a second" % (sum(counts) / 3)


def test_a_core_that_is_behind_slows_its_clients_and_loses_nothing():
    """With a sixty-fourth of the memory for records under way, and workers that stand still until
    it is full. A client waits two seconds at most; they go on as soon as one waits."""
    agent = Agent(env=clean_env(SCOUT_RECORDER_MEMORY_MIB="1")).start()
    load = Load(agent.port, 100)
    polite = Polite(agent.port)
    ended = threading.Event()
    sending = threading.Thread(target=lambda: load.run_until(ended.is_set))
    sending.start()
    try:
        fills = [fill(agent, sending.is_alive) for _ in range(3)]
    finally:
        ended.set()
        sending.join()
    count = polite.end()
    counters = agent.counters()
    check(agent.end(), load)
    equal(counters["requests_dropped"], 0, "dropped")
    assert min(fills) > 0, "nothing had to wait: this test tests nothing"
    return "%d requests, %d looks at a full core; %d polite ones" % (
        load.requests, counters["requests_waited"], count)


def fill(agent, sending, seconds=60):
    """Holds the workers still until a request waits for room: how many looks at a full core."""
    before = agent.counters()["requests_waited"]
    until = time.monotonic() + seconds
    while sending() and time.monotonic() < until:
        workers = wait_until(lambda: threads(agent.process.pid, "scout-worker"), "a worker")
        # A worker may stand still with a lock that the diagnosis needs: then it goes on, and
        # stands still again somewhere else.
        with frozen(workers), Client(agent.port, timeout=1) as client, contextlib.suppress(TimeoutError):
            while sending() and time.monotonic() < until:
                found = client.ask({"CoreAgentDiagnose": {}})["CoreAgentDiagnose"]
                waited = found["counters"]["requests_waited"] - before
                if waited > 0:
                    return waited
                time.sleep(0.01)
    return 0
