"""Agents under test: started, asked, ended, and what they delivered."""

import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BINARY = os.path.abspath(
    os.environ.get("SCOUT_CORE_AGENT") or os.path.join(ROOT, "target/release/scout-core-agent")
)
WORK = os.path.join(ROOT, "target", "agent-tests")
# No real account's: nothing here may ever reach one.
KEY = "abcdefghij0123456789"

_running = []
_directory = None


def reset():
    """A fresh directory for one test."""
    global _directory
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    _directory = WORK


def path(name):
    return os.path.join(_directory, name)


def explain(error):
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = "%s:%d" % (os.path.basename(last.filename), last.lineno)
    return "%s: %s (%s)" % (type(error).__name__, " ".join(str(error).split())[:600], where)


def equal(found, expected, what=""):
    assert found == expected, "%s: %r, expected %r" % (what, found, expected)


def near(found, expected, what=""):
    """Seconds that were cut to the microsecond at both ends."""
    assert abs(found - expected) < 2.5e-6, "%s: %r, expected %r" % (what, found, expected)


def clean_env(**extra):
    """An environment without anything of Scout's."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SCOUT_")}
    env["HOME"] = _directory
    env.pop("XDG_STATE_HOME", None)
    env.update(extra)
    return env


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(done, what, seconds=30.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = done()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("waited %.0f s for %s" % (seconds, what))


def agent_command(*args, env=None, timeout=60, **options):
    return subprocess.run(
        [BINARY, *args],
        env=clean_env() if env is None else env,
        capture_output=True,
        text=True,
        timeout=timeout,
        **options,
    )


class Agent:
    """One in the foreground, with files for a destination."""

    def __init__(self, name="agent", *flags, unix=False, env=None, destination=True, port=None):
        self.name = name
        self.port = port or free_port()
        self.socket = path(name + ".sock") if unix else None
        self.output = path(name + "-payloads")
        self.data = path(name + "-data")
        self.log = path(name + ".log")
        self.args = ["--tcp", "127.0.0.1:%d" % self.port, "--data-dir", self.data]
        if destination:
            self.args += ["--destination", "file://" + self.output]
        self.args += ["--log-file", self.log, *flags]
        if unix:
            self.args += ["--socket", self.socket]
        self.env = env
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "start", *self.args],
            env=clean_env() if self.env is None else self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _running.append(self)
        wait_until(self.answers, "the agent to listen")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(
                "the agent ended with %d: %s"
                % (self.process.returncode, self.process.stderr.read().decode())
            )
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            if self.socket:
                # Bound after the port; a file alone may be a killed agent's.
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(self.socket)
            return True
        except OSError:
            return False

    @property
    def address(self):
        return "tcp://127.0.0.1:%d" % self.port

    def end(self, sig=signal.SIGTERM, seconds=60):
        """Ends it as a supervisor would; it must end well."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(seconds)
        if self in _running:
            _running.remove(self)
        if sig != signal.SIGKILL:
            equal(code, 0, "the agent's exit code")
        return Payloads(self.output)

    def diagnosis(self):
        from wire import Client

        with Client(self.port) as client:
            return client.ask({"CoreAgentDiagnose": {}})["CoreAgentDiagnose"]

    def counters(self):
        return self.diagnosis()["counters"]

    def usage(self):
        """Processor seconds, and resident memory in MiB."""
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return seconds, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def log_text(self):
        with open(self.log) as log:
            return log.read()


def stop_all():
    for agent in list(_running):
        if agent.process.poll() is None:
            agent.process.kill()
            agent.process.wait()
    _running.clear()


class Payloads:
    """What was delivered: check-ins, all applications' or one's, taken together."""

    def __init__(self, directory, app=None):
        self.directory = directory
        self.files = sorted(glob.glob(os.path.join(directory, "**", "*.checkin.json"), recursive=True))
        self.all = []
        for name in self.files:
            with open(name) as file:
                payload = json.load(file)
            if app is None or os.path.basename(os.path.dirname(name)).startswith(app + "-"):
                self.all.append(payload)

    def of(self, app):
        return Payloads(self.directory, app)

    def text(self):
        return "".join(open(name).read() for name in self.files)

    def metrics(self):
        """Calls by (bucket, name, scope)."""
        found = {}
        for payload in self.all:
            for metric in payload["metrics"]:
                key = metric["key"]
                scope = key["scope"] or {}
                name = (key["bucket"], key["name"], scope.get("name", ""))
                found[name] = found.get(name, 0) + metric["call_count"]
        return found

    def seconds(self, bucket, name):
        return sum(
            metric["total_call_time"]
            for payload in self.all
            for metric in payload["metrics"]
            if (metric["key"]["bucket"], metric["key"]["name"]) == (bucket, name)
        )

    def endpoints(self):
        """Requests by endpoint."""
        calls = self.metrics()
        return {name: n for (bucket, name, scope), n in calls.items() if bucket == "Controller"}

    def errors(self):
        calls = self.metrics()
        return {
            name.split("/", 1)[1]: n
            for (bucket, name, scope), n in calls.items()
            if bucket == "Errors" and name != "Request"
        }

    def layer(self, bucket, scope):
        """Calls of a layer in an endpoint."""
        return self.metrics().get((bucket, "all", scope), 0)

    def jobs(self):
        found = {}
        for payload in self.all:
            for job in payload["jobs"]:
                key = (job["queue"], job["name"])
                found[key] = found.get(key, 0) + job["count"]
        return found

    def queries(self):
        found = {}
        for payload in self.all:
            for query in payload["db_metrics"]["query"]:
                key = (query["scope"], query["model_name"], query["operation"])
                found[key] = found.get(key, 0) + query["call_count"]
        return found

    def hosts(self):
        found = {}
        for payload in self.all:
            for host in payload["es_metrics"]["http"]:
                key = (host["scope"], host["domain_name"])
                found[key] = found.get(key, 0) + host["call_count"]
        return found

    def gauges(self):
        return {
            (bucket, name): n
            for (bucket, name, scope), n in self.metrics().items()
            if bucket in ("CPU", "Memory")
        }

    def transactions(self):
        """Slow requests by name."""
        return {
            slow["key"]["name"]: slow for payload in self.all for slow in payload["slow_transactions"]
        }

    def slow_jobs(self):
        return {slow["name"]: slow for payload in self.all for slow in payload["slow_jobs"]}

    def traces(self):
        """Span traces by the operation that names them."""
        found = {}
        for payload in self.all:
            for trace in payload["span_traces"]:
                for span in trace["spans"]:
                    operation = span["identity"]["operation"]
                    if operation.startswith(("Controller/", "Job/")):
                        found[operation] = trace
                        break
        return found


def tree(trace):
    """A trace's operations as nested tuples, children in order of their start."""
    spans = [span["identity"] for span in trace["spans"]]
    spans.sort(key=lambda span: span["start_instant"])

    def below(parent):
        return tuple(
            (span["operation"], below(span["id"])) for span in spans if span["parent_id"] == parent
        )

    return below("")
