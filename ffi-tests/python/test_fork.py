"""Forked children: nothing to call, nothing lost, nothing twice."""

import multiprocessing
import os
import signal
import sys
import threading
import time

from testing import expect, started, test

import scoutcore as scout


def finish(pid, seconds=20):
    """Waits for a child; one that hangs is killed, and a failure."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, "a child ended with status %#x" % status
            return
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("a child hung")


def in_child(work):
    """Forks; the child works, flushes and leaves without exit hooks."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0 if scout.flush(8000) in (0, 1) else 2
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(code)
    return pid


def request(operation):
    with scout.span(operation):
        with scout.span("SQL/Query"):
            pass


@test
def children_record_and_flush():
    started()
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            request("Controller/parent")
            time.sleep(0.0005)

    threads = [threading.Thread(target=busy) for _ in range(3)]
    [thread.start() for thread in threads]
    for _ in range(25):
        children = [in_child(lambda: request("Controller/child")) for _ in range(4)]
        [finish(pid) for pid in children]
    stop.set()
    [thread.join() for thread in threads]
    expect(100, "request", "Controller/child")


@test
def in_the_middle_of_a_request():
    started()
    with scout.span("Controller/forking") as root:
        with scout.span("SQL/Query"):
            pass
        with scout.span("Custom/around the fork"):
            inherited = root._request.trace_id
            pid = os.fork()
            if pid == 0:
                assert scout.current() is None
                with scout.span("Job/in the child") as own:
                    assert own._request.trace_id != inherited
                scout.flush(8000)
                os._exit(0)
            finish(pid)
    # A child that leaves by the same way as its parent: through the ends of inherited spans.
    with scout.span("Controller/both"):
        pid = os.fork()
    if pid == 0:
        scout.flush(8000)
        os._exit(0)
    finish(pid)
    expect(1, "request", "Controller/forking")
    expect(1, "request", "Job/in the child")
    expect(1, "request", "Controller/both")
    expect(1, "layer", "SQL")


@test
def distinct_ids():
    started()
    reading, writing = os.pipe()
    children = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            with scout.span("Controller/id") as root:
                os.write(writing, root._request.trace_id)
            os._exit(0)
        children.append(pid)
    [finish(pid) for pid in children]
    ids = os.read(reading, 8 * 16)
    assert len({ids[i : i + 16] for i in range(0, len(ids), 16)}) == 8


@test
def exit_hooks_in_children():
    """A child that leaves by sys.exit delivers by itself, as gunicorn's workers do."""
    started()
    pid = os.fork()
    if pid == 0:
        request("Controller/worker")
        sys.exit(0)  # through atexit
    finish(pid)
    expect(1, "request", "Controller/worker")


def _pool_work(n):
    request("Job/pool")
    scout.flush(8000)
    return n


@test
def multiprocessing_pool():
    started()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert sorted(pool.map(_pool_work, range(30))) == list(range(30))
    expect(30, "request", "Job/pool")
