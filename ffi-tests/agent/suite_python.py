"""scout-apm from PyPI, unchanged: Flask with SQLAlchemy, Django with its ORM, real requests."""

import collections
import concurrent.futures
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request

import clients
import harness
from harness import KEY, Agent, clean_env, equal, free_port, path, tree, wait_until

APPS = os.path.join(harness.HERE, "apps")


class Application:
    """One of apps/, running."""

    def __init__(self, script, name, address, *args, env=None):
        self.port = free_port()
        self.diary_path = path("diary")
        self.process = subprocess.Popen(
            [clients.python(), os.path.join(APPS, script), str(self.port), self.diary_path, *args],
            env={
                **clean_env(
                    SCOUT_MONITOR="true",
                    SCOUT_NAME=name,
                    SCOUT_KEY=KEY,
                    SCOUT_CORE_AGENT_LAUNCH="false",
                    SCOUT_CORE_AGENT_DOWNLOAD="false",
                    SCOUT_CORE_AGENT_SOCKET_PATH=address,
                    SCOUT_ERRORS_ENABLED="false",
                    SCOUT_ERRORS_HOST="http://127.0.0.1:9",
                ),
                **(env or {}),
            },
            stdin=subprocess.PIPE,
            stdout=open(path("app.out"), "w"),
            stderr=subprocess.STDOUT,
            cwd=harness.path("."),
        )
        wait_until(self.answers, "the application to listen", 30)

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the application ended: " + open(path("app.out")).read()[-800:])
        try:
            self.get("/nothing-there")
            return True
        except OSError:
            return False

    def get(self, where, data=None, headers=None):
        url = "http://127.0.0.1:%d%s" % (self.port, where)
        request = urllib.request.Request(url, data=data, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    def end(self):
        """As it ends, its agent sends what it still has."""
        self.process.stdin.close()
        equal(self.process.wait(20), 0, "the application's exit code")
        with open(self.diary_path) as diary:
            return [json.loads(line) for line in diary]


class Neighbour(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def neighbour():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Neighbour)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def sums(diary, what):
    found = collections.Counter()
    for did in diary:
        if did.get(what):
            found[did["endpoint"]] += did[what]
    return dict(found)


def drive_flask(unix):
    server = neighbour()
    other = "http://127.0.0.1:%d/x?token=s3cret" % server.server_port
    agent = Agent(unix=unix).start()
    address = agent.socket if unix else agent.address
    app = Application("flask_app.py", "Shop", address, other, env={"SCOUT_IGNORE": "/nothing-there"})
    equal(app.get("/users/7?n=first&password=s3cret"), 200, "status")
    queued = {"X-Request-Start": "t=%d" % ((time.time() - 0.3) * 1000)}
    for where, status in [("/repeated", 200), ("/slow", 200), ("/calls", 200), ("/boom", 500),
                          ("/missing", 404), ("/renamed", 200), ("/health", 200), ("/job", 200)]:
        equal(app.get(where, headers=queued), status, where)
    equal(app.get("/users", data=b""), 200, "POST")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wheres = ["/users/%d?n=%d" % (n, n) for n in range(100)] + ["/calls"] * 30 + ["/boom"] * 20
        wheres += ["/renamed"] * 20 + ["/health"] * 20 + ["/job"] * 10
        list(pool.map(app.get, wheres))
    diary = app.end()
    counters = agent.counters()
    payloads = agent.end()
    server.shutdown()

    # Request by request: each counted under its own name, none twice, none lost.
    name = {"renamed": "renamed"}
    requests = collections.Counter(
        name.get(did["endpoint"], "__main__." + did["endpoint"]) for did in diary
    )
    equal(payloads.endpoints(), dict(requests), "requests by endpoint")
    equal(sum(requests.values()), 100 + 30 + 20 + 20 + 10 + 9, "all that was asked for")
    failed = {"__main__." + where: n for where, n in sums(diary, "error").items()}
    equal(payloads.errors(), failed, "errors by endpoint")
    queries = payloads.queries()
    for what, verb in (("selects", "select"), ("updates", "update"), ("deletes", "delete"),
                       ("inserts", "insert")):
        found = {scope[len("Controller/__main__."):]: n for (scope, model, operation), n
                 in queries.items() if operation == verb and scope.startswith("Controller/")}
        equal(found, sums(diary, what), what)
    assert all(model == "User" for scope, model, operation in queries), queries
    equal(payloads.jobs(), {("letters", "mailer"): sums(diary, "job")["job"]}, "jobs")
    equal(payloads.hosts(), {("Controller/__main__.calls", "127.0.0.1"): sums(diary, "calls")["calls"]},
          "calls to others")
    equal(counters["frames_failed"], 0, "frames refused")
    assert "s3cret" not in payloads.text(), "what is secret stays out"
    gauges = payloads.gauges()
    assert gauges[("Memory", "Physical")] >= 1 and gauges[("CPU", "Utilization")] >= 1, gauges
    return payloads


def check_flask_traces(payloads):
    slow = payloads.transactions()
    repeated = payloads.traces()["Controller/__main__.repeated"]
    step = ("Custom/step", (("SQL/User/select", ()),))
    equal(tree(repeated), (("Controller/__main__.repeated", (step,) * 8),), "the trace")
    # It ran for as long as it slept, and what a busy machine adds.
    assert 0.24 <= slow["__main__.repeated"]["total_call_time"] < 10, slow["__main__.repeated"]
    assert 0.6 <= slow["__main__.slow"]["total_call_time"] < 10
    (thing,) = [span for span in payloads.traces()["Controller/__main__.slow"]["spans"]
                if span["identity"]["operation"] == "Custom/slow thing"]
    frames = thing["tags"]["backtrace"]
    assert any(frame["file"].endswith("flask_app.py") and frame["function"] == "slow"
               for frame in frames), frames
    show = slow["__main__.users_show"]
    equal(show["context"]["plan"], '{"name": "gold"}', "context")
    assert show["uri"].startswith("/users/") and show["context"]["n"], show
    assert show["context"]["user"]["ip"] == "127.0.0.1", show["context"]
    statements = [span["tags"].get("desc") for span in
                  payloads.traces()["Controller/__main__.users_show"]["spans"]]
    assert "SELECT id, name FROM users WHERE id = ? AND name = ?" in statements, statements
    queue = [metric for payload in payloads.all for metric in payload["metrics"]
             if metric["key"]["bucket"] == "QueueTime"]
    waited = sum(m["total_call_time"] for m in queue) / sum(m["call_count"] for m in queue)
    assert 0.2 < waited < 10, waited


def test_flask_with_sqlalchemy_over_tcp():
    check_flask_traces(drive_flask(unix=False))


def test_flask_with_sqlalchemy_over_a_socket_file():
    check_flask_traces(drive_flask(unix=True))


def test_django_with_its_orm():
    agent = Agent().start()
    app = Application("django_app.py", "Office", agent.address, path("db.sqlite3"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wheres = ["/users/?n=%d" % n for n in range(60)] + ["/create/?n=%d" % n for n in range(10)]
        wheres += ["/boom/"] * 7 + ["/job/"] * 5
        list(pool.map(app.get, wheres))
    diary = app.end()
    payloads = agent.end()
    requests = collections.Counter("__main__." + did["endpoint"] for did in diary)
    found = payloads.endpoints()
    # What no view answered, asked for while the application came up.
    found.pop("Unknown", None)
    equal(found, dict(requests), "requests by endpoint")
    equal(payloads.errors(), {"__main__.boom": 7}, "errors by endpoint")
    selects = {scope: n for (scope, model, operation), n in payloads.queries().items()
               if model == "AuthUser" and operation == "select"}
    equal(selects["Controller/__main__.users"], 60, "selects")
    inserts = {scope: n for (scope, model, operation), n in payloads.queries().items()
               if model == "AuthUser" and operation == "insert"}
    equal(inserts, {"Controller/__main__.create": 10}, "inserts")
    equal(payloads.jobs(), {("default", "cleanup"): 5}, "jobs")
    assert "s3cret" not in payloads.text()
    trace = tree(payloads.traces()["Controller/__main__.users"])
    flat = str(trace)
    assert "Middleware" in flat and "SQL/AuthUser/select" in flat and "Template" in flat, trace


def test_launched_by_the_client_itself():
    """The other way: the client finds our executable where it would download its own."""
    name = "scout_apm_core-v1.6.0-x86_64-unknown-linux-musl"
    core, port, out = path("core"), free_port(), path("payloads")
    script = os.path.join(harness.ROOT, "examples", "core-agent", "dist")
    subprocess.run([script, os.path.join(core, name)], check=True, capture_output=True,
                   env={**clean_env(), "SCOUT_CORE_AGENT": harness.BINARY})
    app = Application("flask_app.py", "Launched", "tcp://127.0.0.1:%d" % port, "http://127.0.0.1:9",
                      env={"SCOUT_CORE_AGENT_LAUNCH": "true", "SCOUT_CORE_AGENT_DIR": core,
                           "SCOUT_CORE_AGENT_FULL_NAME": name, "SCOUT_CORE_AGENT_LOG_FILE": path("core.log"),
                           "SCOUT_DESTINATION": "file://" + out, "SCOUT_DATA_DIR": path("data")})
    found = wait_until(lambda: os.path.exists(path("core.log")), "the agent's log")
    for n in range(5):
        equal(app.get("/users/%d?n=%d" % (n, n)), 200, "status")
    app.end()
    equal(harness.agent_command("shutdown", "--tcp", "127.0.0.1:%d" % port).returncode, 0, "shutdown")
    payloads = wait_until(lambda: harness.Payloads(out).all and harness.Payloads(out), "payloads")
    equal(payloads.endpoints()["__main__.users_show"], 5, "endpoints")
