"""Receivers that nobody reaches: names that are not found, resolvers that are silent, ports that
refuse. The application does not notice."""

import array
import itertools
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time

from harness import SPOOLED, Core, calls, memory_kib, test, test_in_full, threads, url
from receiver import Receiver, reply

CONTRACT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract.py")
SECONDS = float(os.environ.get("UNREACHABLE_SECONDS", 5))


def waits():
    """How often this thread has waited for anything."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def unaffected(core, lookups=0):
    """Records while nothing can be delivered; gives the requests, and what a call took of processor
    time at the 99th percentile, in microseconds."""
    core.request()
    core.flush(2500)
    requests, most = 1, 0
    # Calls by their tenths of a microsecond: as large however many there are.
    took = array.array("Q", bytes(8 * 100_000))
    files, memory = len(os.listdir("/proc/self/fd")), memory_kib()
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        before = waits()
        for _ in range(200):
            began = time.thread_time_ns()
            core.request()
            took[min((time.thread_time_ns() - began) // 100, len(took) - 1)] += 1
        assert waits() == before, "a recording call waited"
        requests += 200
        began = time.monotonic()
        assert core.flush(300) == SPOOLED, core.logs()
        assert time.monotonic() - began < 1.3, "a flush is not kept longer than it was told"
        most = max(most, threads())
    # The worker, the courier, and who looks the name up.
    assert most <= 2 + lookups, (most, lookups)
    assert memory_kib() - memory < 8 * 1024, (memory, memory_kib())
    assert len(os.listdir("/proc/self/fd")) <= files + lookups
    stats = core.stats()
    assert stats["records_dropped_no_room"] == stats["spool_spans_given_up"] == 0, stats
    assert stats["delivery_attempts_failed"] >= 2, stats
    began = time.monotonic()
    assert core.shutdown(500) == SPOOLED
    assert time.monotonic() - began < 1.5, "a shutdown is not kept longer than it was told"
    rank, so_far = sum(took) * 99 // 100, itertools.accumulate(took)
    p99 = next(tenths for tenths, calls in enumerate(so_far) if calls > rank) / 10
    print("%d requests, %.1f us of processor time at the 99th percentile, %d threads" % (requests, p99, most))
    return requests


def inherited(core, requests):
    """The next process delivers everything, once."""
    receiver = Receiver(reply(200))
    heir = Core(url(receiver), data_dir=core.folder)
    assert heir.flush(20000) == 0, heir.logs()
    assert heir.shutdown() == 0
    assert sum(calls(r.json) for r in receiver.requests) == requests


@test
def a_port_that_refuses_for_long():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    core = Core("http://127.0.0.1:%d" % port)
    inherited(core, unaffected(core))


def in_a_namespace(name, nameserver):
    """True inside a machine of our own: no network but loopback, and this resolver."""
    if "NAMESPACE" in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write("nameserver %s\n" % nameserver)
        os.chmod(file.name, 0o644)
        subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
        return True
    inside = ["unshare", "--mount", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    environment = {**os.environ, "NAMESPACE": "1"}
    done = subprocess.run([*inside, sys.executable, CONTRACT, name], env=environment, check=False)
    assert done.returncode == 0
    return False


@test_in_full
def a_resolver_that_refuses():
    if in_a_namespace("a-resolver-that-refuses", "127.0.0.1"):
        core = Core("https://scout.invalid")
        inherited(core, unaffected(core, lookups=1))


@test_in_full
def a_resolver_that_is_silent():
    if in_a_namespace("a-resolver-that-is-silent", "127.0.0.2"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.2", 53))
            core = Core("https://scout.invalid")
            requests = unaffected(core, lookups=1)
            assert was_asked(silent), "the resolver was asked"
        inherited(core, requests)


def was_asked(sock):
    sock.settimeout(0)
    try:
        return bool(sock.recv(512))
    except BlockingIOError:
        return False
