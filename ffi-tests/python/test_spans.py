"""Spans, requests and errors as an application makes them."""

import asyncio
import contextvars
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time

from testing import BINDING, FakeCore, expect, started, test

import scoutcore as scout
from scoutcore import _spans


@test
def nested():
    started()
    with scout.span("Controller/nested"):
        scout.tag_request({"path": "/nested"})
        for n in range(12):
            with scout.span("SQL/Query", {"db.statement": "SELECT %d" % n}) as span:
                span.tag("db.rows_returned", n)
                with scout.span("Custom/inside"):
                    pass
    assert scout.current() is None
    expect(1, "request", "Controller/nested")
    expect(12, "layer", "SQL")
    expect(12, "layer", "Custom")


@test
def decorated():
    started()
    tags = {"shared": "by all calls"}

    @scout.span("Controller/decorated", tags)
    def view(a, b=2, *rest, **more):
        """Says what it does."""
        scout.current().tag("own", a)
        return a, b, rest, more

    @scout.span("Custom/awaited")
    async def awaited(value):
        await asyncio.sleep(0)
        return value

    @scout.span("Job/awaiting")
    async def awaiting():
        return await awaited(1) + await awaited(2)

    assert view(1, 3, 4, c=5) == (1, 3, (4,), {"c": 5})
    assert view(2) == (2, 2, (), {})
    assert (view.__name__, view.__doc__) == ("view", "Says what it does.")
    assert tags == {"shared": "by all calls"}
    assert asyncio.run(awaiting()) == 3
    expect(2, "request", "Controller/decorated")
    expect(1, "request", "Job/awaiting")
    expect(2, "layer", "Custom")


@test
def exceptions():
    started()
    raised = ValueError("from inside")
    try:
        with scout.span("Controller/failing"):
            with scout.span("Custom/inner"):
                raise raised
    except ValueError as caught:
        assert caught is raised
    else:
        raise AssertionError("swallowed")
    assert scout.current() is None

    with scout.span("Controller/handling"):  # handled on the way out: no failure
        try:
            with scout.span("HTTP/GET"):
                raise TimeoutError("handled")
        except TimeoutError:
            pass
    for leaving in (SystemExit(0), KeyboardInterrupt(), GeneratorExit()):
        try:
            with scout.span("Controller/leaving"):
                raise leaving
        except BaseException as caught:
            assert caught is leaving
    with scout.span("Controller/reported"):
        scout.error(KeyError("reported"), {"form": "signup"})
    scout.error(OSError("outside"))
    expect(1, "request", "Controller/failing")
    expect(1, "error", "ValueError")
    expect(0, "error", "TimeoutError")
    expect(0, "error", "SystemExit")
    expect(1, "error", "KeyError")
    expect(1, "error", "OSError")


@test
def hostile_values():
    """Whatever is in a tag, the application goes on."""
    started()

    class Angry:
        def __str__(self):
            raise RuntimeError("no text")

    with scout.span("Controller/hostile", {"angry": Angry()}):
        with scout.span("Custom/\ud800", {"a": "\ud800", 5: 6, "n": 1 << 80, "nan": float("nan")}):
            scout.tag_request({"x": Angry()})
        with scout.span(None):
            pass
        with scout.span(["not", "hashable"]):
            pass
        with scout.span("Custom/list", ["not", "pairs"]):
            pass
    with scout.span("Controller/fine"):
        pass
    expect(1, "request", "Controller/fine")


@test
def threads():
    started()

    def work(n):
        for _ in range(500):
            with scout.span("Controller/thread"):
                with scout.span("SQL/Query"):
                    pass

    running = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [thread.start() for thread in running]
    [thread.join() for thread in running]

    with scout.span("Controller/shared") as root:  # one request, many threads
        def child():
            with scout.span("HTTP/GET", parent=root):
                pass

        def inherited():
            with scout.span("HTTP/GET"):
                pass

        helpers = [threading.Thread(target=child) for _ in range(4)]
        helpers += [
            threading.Thread(target=contextvars.copy_context().run, args=(inherited,))
            for _ in range(4)
        ]
        [thread.start() for thread in helpers]
        [thread.join() for thread in helpers]
    expect(4000, "request", "Controller/thread")
    expect(4000, "layer", "SQL")
    expect(1, "request", "Controller/shared")
    expect(8, "layer", "HTTP")


@test
def asyncio_tasks():
    started()

    async def fetch():
        with scout.span("HTTP/GET"):
            await asyncio.sleep(random.random() / 100)

    async def request(n):
        with scout.span("Controller/async"):
            trace = scout.current()._request.trace_id
            await asyncio.gather(*(fetch() for _ in range(5)))
            assert scout.current()._request.trace_id == trace
            await asyncio.sleep(0)

    async def server():
        await asyncio.gather(*(request(n) for n in range(100)))
        assert scout.current() is None

    asyncio.run(server())
    expect(100, "request", "Controller/async")
    expect(500, "layer", "HTTP")


@test
def spans_that_outlive_their_request():
    started()
    entered, ended = threading.Event(), threading.Event()

    def child(root):
        with scout.span("HTTP/GET", parent=root):
            entered.set()
            ended.wait()

    with scout.span("Controller/gone") as root:
        thread = threading.Thread(target=child, args=(root,))
        thread.start()
        entered.wait()
    ended.set()
    thread.join()
    assert len(root._request.records) == 0, "handed over at once"
    expect(1, "request", "Controller/gone")


@test
def bounded_buffer():
    fake = FakeCore()
    _spans.use(fake)
    with scout.span("Job/long"):
        for _ in range(10000):
            with scout.span("SQL/Query", {"db.statement": "x" * 100}):
                pass
        assert scout.current()._request.size <= _spans.BUFFER
    assert len(fake.batches) > 30
    assert max(map(len, fake.batches)) <= _spans.BUFFER + 1024
    assert sum(len(batch) for batch in fake.batches) > 10000 * 160
    with scout.span("Controller/short"):
        with scout.span("SQL/Query"):
            pass
        assert len(fake.batches) < 60
    before = len(fake.batches)
    with scout.span("Controller/short"):
        scout.tag_request({"path": "/"})
    assert len(fake.batches) == before + 1, "one call for a request"


@test
def bounded_names():
    core = started()
    from scoutcore import _agent

    names = _agent._core.names
    with scout.span("Controller/names"):
        for n in range(6000):
            with scout.span("Custom/%d" % n):
                pass
    assert len(names) <= names.LIMIT
    assert core.stats()
    expect(1, "request", "Controller/names")


@test
def ids_of_our_own():
    """An application that seeds `random` does not get the same ids each time."""
    fake = FakeCore()
    _spans.use(fake)
    traces = set()
    for _ in range(3):
        random.seed(1)
        with scout.span("Controller/x") as root:
            traces.add(root._request.trace_id)
    assert len(traces) == 3


@test
def flush_at_exit():
    program = (
        "import os, scoutcore as s\n"
        "assert s.start(data_dir=os.environ['TEST_DIR'] + '/data'), s.off_reason()\n"
        "with s.span('Controller/at exit'): pass\n"
    )
    environment = dict(os.environ, PYTHONPATH=BINDING)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    subprocess.run([sys.executable, "-c", program + "raise SystemExit(0)"], env=environment, check=True)
    failing = subprocess.run(
        [sys.executable, "-c", program + "1 / 0"], env=environment, stderr=subprocess.PIPE
    )
    assert failing.returncode == 1
    expect(3, "request", "Controller/at exit")


@test
def shut_down():
    started()
    with scout.span("Controller/before"):
        assert scout.shutdown(5000) >= 0  # in the middle of a request
    with scout.span("Controller/after"):
        scout.tag_request({"path": "/"})
    assert scout.shutdown(100) is None
    assert scout.off_reason() == "it was shut down"
    assert scout.start(data_dir=os.environ["TEST_DIR"] + "/data") is True  # and again
    with scout.span("Controller/again"):
        pass
    expect(0, "request", "Controller/after")
    expect(1, "request", "Controller/again")


@test
def logs_reach_logging():
    lines = []

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append((record.name, record.levelname, record.getMessage()))

    logging.getLogger("scoutcore").addHandler(Handler())
    logging.getLogger("scoutcore").setLevel(logging.DEBUG)
    started(key="k", destination="http://127.0.0.1:1")  # where nobody listens
    with scout.span("Controller/logged"):
        pass
    scout.flush(1000)
    scout.shutdown(1000)
    assert any(level == "WARNING" for _, level, _ in lines), lines
    assert all(name == "scoutcore" and message for name, _, message in lines), lines


@test
def reports():
    started()
    with scout.span("Controller/reported"):
        pass
    assert scout.flush(2000) >= 0
    stats = scout.stats()
    assert stats and all(isinstance(value, (int, float)) for value in stats.values())
    assert "version" in scout.diagnose()


@test
def waiting_lets_others_run():
    """flush releases the GIL: another thread counts on while it waits for a deaf receiver."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)  # connections are accepted by the kernel, and never answered
    started(key="k", destination="http://127.0.0.1:%d" % listener.getsockname()[1])
    with scout.span("Controller/deaf"):
        pass
    ticks, done = [0], threading.Event()

    def count():
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    began = time.monotonic()
    scout.flush(500)
    took = time.monotonic() - began
    done.set()
    thread.join()
    assert took < 2.5, took
    assert ticks[0] > 100 * took, (ticks[0], took)
    scout.shutdown(100)
