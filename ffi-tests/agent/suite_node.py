"""@scout_apm/scout-apm from npm, unchanged, under Express, with real requests."""

import collections
import concurrent.futures
import json
import os
import subprocess
import urllib.error
import urllib.request

import clients
import harness
from harness import KEY, Agent, clean_env, equal, free_port, path, tree, wait_until
from suite_python import neighbour, sums


def get(port, where, data=None):
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, where), data=data)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def drive(unix):
    agent = Agent(unix=unix).start()
    server = neighbour()
    port, diary = free_port(), path("diary")
    app = subprocess.Popen(
        ["node", os.path.join(harness.HERE, "apps", "express_app.js"), str(port), diary,
         agent.socket if unix else agent.address, "http://127.0.0.1:%d/x" % server.server_port],
        env=clean_env(NODE_PATH=clients.node_modules(), SCOUT_NAME="Express", SCOUT_KEY=KEY),
        stdin=subprocess.PIPE, stdout=open(path("app.out"), "w"), stderr=subprocess.STDOUT,
    )

    def listens():
        if app.poll() is not None:
            raise AssertionError("the application ended: " + open(path("app.out")).read()[-800:])
        try:
            return get(port, "/job")
        except OSError:
            return False

    try:
        wait_until(listens, "the application to listen", 30)
        # One at a time, as this version of the client keeps the current request in a global.
        wheres = ["/users/%d?n=%d" % (n, n) for n in range(20)] + ["/repeated"] * 3 + ["/calls"] * 4
        for where in wheres:
            equal(get(port, where), 200, where)
        for _ in range(5):
            equal(get(port, "/users", data=b""), 200, "POST")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: get(port, "/job"), range(40)))
        app.stdin.close()
        equal(app.wait(30), 0, "the application's exit code")
    finally:
        app.kill()
        server.shutdown()
    counters = agent.counters()
    payloads = agent.end()
    with open(diary) as file:
        lines = [json.loads(line) for line in file]
    requests = collections.Counter(did["endpoint"] for did in lines if did["endpoint"] != "jobs")
    equal(payloads.endpoints(), dict(requests), "requests by endpoint")
    queries = payloads.queries()
    for what, verb in (("selects", "select"), ("inserts", "insert")):
        found = {scope[len("Controller/"):]: n for (scope, model, operation), n in queries.items()
                 if operation == verb}
        equal(found, sums(lines, what), what)
    equal(payloads.jobs(), {("default", "mailer"): 4}, "jobs")
    equal(counters["frames_failed"], 0, "frames refused")
    assert "s3cret" not in payloads.text(), "what is secret stays out"
    show = payloads.transactions()["GET /users/:id"]
    equal(show["context"]["plan"], "gold", "context")
    equal(tree(payloads.traces()["Controller/GET /users/:id"]),
          (("Controller/GET /users/:id", (("SQL/User/select", ()),)),), "the trace")
    return "%d connections" % counters["connections"]


def test_express_over_tcp():
    return drive(unix=False)


def test_express_over_a_socket_file():
    return drive(unix=True)
