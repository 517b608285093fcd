#!/usr/bin/env python3
"""Delivery to a real receiver on a socket, well-behaved and hostile, through the shared object.

With SMALL_BUILD set, the library is the one without TLS.

    contract.py --list
    contract.py NAME
"""

import ctypes
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import E_OPTIONS, E_REJECTED, KEY, SMALL, SPOOLED, TESTS, Core, Peak, abi, calls, memory_kib, test
from harness import test_in_full, threads, url
from receiver import Receiver, certificate, reply, then, tls

import unreachable  # noqa: F401  (its tests)

FAKETIME = ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"]


@test
def a_check_in_as_published():
    receiver = Receiver(reply(200))
    core = Core(url(receiver))
    core.request()
    assert core.flush() == 0, core.logs()
    (got,) = receiver.requests
    assert (got.method, got.path) == ("POST", "/apps/checkin.scout")
    assert got.query == {"key": KEY, "name": "My App & Co"}, got.query
    headers = {"content-type": "application/json", "content-encoding": "gzip",
               "agent-hostname": "test-host", "agent-version": core.library.scout_version().decode()}  # fmt: skip
    for name, value in headers.items():
        assert got.headers[name] == value, (name, got.headers)
    assert calls(got.json) == 1 and got.json["metadata"]["payload_version"] == 2
    assert got.headers["x-scout-payload-id"] == got.json["metadata"]["unique_id"]
    assert core.shutdown() == 0 and len(receiver.requests) == 1, "nothing is sent twice"


@test
def errors_go_to_their_own_service():
    receiver = Receiver(reply(202))
    core = Core(url(receiver))
    core.request()
    core.error()
    assert core.flush() == 0
    (got,) = [r for r in receiver.requests if r.path == "/apps/error.scout"]
    assert got.headers["x-error-count"] == "1" and len(got.json["problems"]) == 1
    assert got.json["problems"][0]["exception_class"] == "ValueError"
    core.shutdown()


@test
def a_spool_that_is_removed_keeps_nothing():
    receiver = Receiver(reply(200))
    core = Core(url(receiver))
    core.request()
    assert core.flush() == 0
    shutil.rmtree(core.folder)
    for round_ in range(2):
        core.request()
        assert core.flush() == 0, core.logs()
        assert sum(calls(r.json) for r in receiver.requests) == 2 + round_, "from memory"
    core.shutdown()


@test
def an_errors_service_that_is_away_keeps_no_check_in():
    errors_up, checkins = threading.Event(), []

    def answer(connection, request, number):
        if request.path == "/apps/error.scout" and not errors_up.is_set():
            return reply(503)(connection, request, number)
        if request.path == "/apps/checkin.scout":
            checkins.append(calls(request.json))
        return reply(200)(connection, request, number)

    receiver = Receiver(answer)
    core = Core(url(receiver))
    for round_ in range(3):
        core.request()
        core.error()
        assert core.flush(2000) == SPOOLED, core.logs()
        assert len(checkins) == round_ + 1, "the errors' service is no reason"
    errors_up.set()
    deadline = time.monotonic() + 30
    while core.flush(2000) != 0:
        assert time.monotonic() < deadline, core.logs()
        time.sleep(0.1)
    problems = [len(r.json["problems"]) for r in receiver.requests if r.path == "/apps/error.scout"]
    assert sum(checkins) == 3 and problems[-3:] == [1, 1, 1], (checkins, problems)
    core.shutdown()


@test
def errors_that_are_refused_cost_no_spans():
    def answer(connection, request, number):
        return reply(400 if request.path == "/apps/error.scout" else 200)(connection, request, number)

    receiver = Receiver(answer)
    core = Core(url(receiver))
    core.request()
    core.error()
    assert core.flush() == E_REJECTED, core.logs()
    stats = core.stats()
    told = [stats[name] for name in ("spans_delivered", "spans_rejected", "payloads_delivered", "payloads_rejected")]
    assert told == [1, 0, 1, 1], told
    core.shutdown()


@test
def what_is_refused_for_now_is_sent_again_with_the_same_id():
    for status in (408, 429, 500, 501, 502, 503, 504, 507, 599):
        receiver = Receiver(then(reply(status), reply(200)))
        core = Core(url(receiver))
        core.request()
        assert core.flush() == SPOOLED, status
        deadline = time.monotonic() + 20
        while len(receiver.requests) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        first, second = receiver.requests
        assert first.json == second.json, "the same payload"
        assert core.flush() == 0 and len(receiver.requests) == 2
        stats = core.stats()
        assert stats["payloads_delivered"] == 1 and stats["delivery_attempts_failed"] == 1, stats
        core.shutdown()


@test
def a_receiver_is_obeyed():
    receiver = Receiver(then(reply(429, "Retry-After: 2"), reply(200)))
    core = Core(url(receiver))
    core.request()
    assert core.flush() == SPOOLED
    for _ in range(3):  # asking again does not make it sooner
        assert core.flush() == SPOOLED
    while len(receiver.requests) < 2:
        time.sleep(0.02)
    waited = receiver.requests[1].time - receiver.requests[0].time
    assert 2.0 <= waited <= 3.6, waited
    core.shutdown()


@test
def every_good_status_is_a_delivery():
    for status in (200, 201, 202, 203, 204, 206):
        receiver = Receiver(reply(status))
        core = Core(url(receiver))
        core.request()
        assert core.flush() == 0, (status, core.logs())
        assert core.shutdown() == 0 and len(receiver.requests) == 1


def obeyed(value, least, most):
    """The wait that the log tells of, after an answer with this `Retry-After`."""
    receiver = Receiver(reply(503, "Retry-After: " + value))
    core = Core(url(receiver))
    core.request()
    assert core.flush() == SPOOLED
    line = next(line for line in core.logs() if "next attempt in" in line)
    wait = float(line.split("next attempt in ")[1].split(" ")[0])
    assert least <= wait <= most, (value, wait)
    core.shutdown(200)


@test
def a_receiver_is_obeyed_in_every_form_of_a_date_and_within_reason():
    def date(form, ahead=120):
        return time.strftime(form, time.gmtime(time.time() + ahead))

    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"):
        obeyed(date(form), 90, 132)
    obeyed(date("%a, %d %b %Y %H:%M:%S GMT", ahead=-500), 0, 1.1)  # over: our own delay
    obeyed("1000000000", 300, 330)
    obeyed(date("%a, %d %b %Y %H:%M:%S GMT", ahead=86400 * 365), 300, 330)
    for nonsense in ("soon", "-1", "Sun, 99 Nov 1994 08:49:37 GMT"):
        obeyed(nonsense, 0, 1.1)


@test
def a_refusal_is_set_aside_and_the_next_goes_out():
    for status in (301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 415, 422, 451):
        receiver = Receiver(then(reply(status, "Location: http://127.0.0.1:9/", body=b"no such key"), reply(200)))
        core = Core(url(receiver))
        core.request()
        assert core.flush() == E_REJECTED, status
        core.request()
        assert core.flush() == 0
        assert len(receiver.requests) == 2 and calls(receiver.requests[1].json) == 1
        logs = " ".join(core.logs())
        assert str(status) in logs and "no such key" in logs and KEY not in logs, logs
        core.shutdown()
        kept = [name for _, _, names in os.walk(core.folder) for name in names if name.endswith(".rejected")]
        assert len(kept) == 1, kept


def stubborn(answer, timeout=1.0):
    """An answer that must fail in bounded time, memory and threads, and lose nothing."""
    calm = threading.Event()
    receiver = Receiver(lambda c, r, n: reply(200)(c, r, n) if calm.is_set() else answer(c, r, n))
    core = Core(url(receiver))
    core.request()
    core.flush(100)  # warmed up: threads are there
    peak, count = Peak(), threads()
    began = time.monotonic()
    for _ in range(3):
        core.request()
        status = core.flush(3000)
        assert status == SPOOLED, (status, core.logs())
    assert time.monotonic() - began < 3 * (timeout + 0.6), "the deadline is kept"
    assert peak.kib() < 8 * 1024, peak.kib()
    # The small build has one more while it sends.
    assert threads() <= count, (count, threads())
    calm.set()
    deadline = time.monotonic() + 30
    while core.flush(3000) != 0:
        assert time.monotonic() < deadline, core.logs()
        time.sleep(0.1)
    delivered = {r.json["metadata"]["unique_id"]: calls(r.json) for r in receiver.requests}
    assert sum(delivered.values()) == 4, delivered
    deadline = time.monotonic() + 2
    while threads() != 2:
        assert time.monotonic() < deadline, "%d threads are left of the attempts" % (threads() - 2)
        time.sleep(0.01)
    assert core.shutdown() == 0


def hang(connection, request, n):
    time.sleep(20)


def trickle(connection, request, n):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        connection.sendall(b"X")
        time.sleep(0.2)


def endless_header(connection, request, n):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Filler: " + b"y" * 4000 + b"\r\n")


@test
def silence():
    stubborn(hang)


@test
def without_a_background_thread_deadlines_are_kept_too():
    """One thread's flush waits for a slow receiver; another's flush and shutdown do not wait for that,
    and what the shutdown asked for is done by the first."""
    asked = threading.Event()

    def slowly(connection, request, n):
        asked.set()
        time.sleep(2)
        return reply(200)(connection, request, n)

    receiver = Receiver(slowly)
    core = Core(url(receiver), background=False, http_timeout_ms=6000)
    core.request()
    statuses = []
    first = threading.Thread(target=lambda: statuses.append(core.flush(20000)))
    first.start()
    assert asked.wait(10)
    core.request()
    for ask in (core.flush, core.shutdown):
        began = time.monotonic()
        assert ask(200) == SPOOLED
        assert time.monotonic() - began < 1, "it waited for another's delivery"
    first.join()
    assert statuses == [0], statuses
    assert sum(calls(r.json) for r in receiver.requests) == 2
    left = [name for _, _, names in os.walk(core.folder) for name in names if name != "lock"]
    assert not left, left


@test
def silence_in_the_middle_of_the_headers():
    stubborn(lambda c, r, n: (c.sendall(b"HTTP/1.1 200 OK\r\nContent-"), time.sleep(20)) and False)


@test
def chunks_that_are_none():
    # The status came whole: it was taken, whatever is wrong with what follows it.
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\nnot a chunk"
    receiver = Receiver(lambda c, r, n: c.sendall(head) or False)
    core = Core(url(receiver))
    core.request()
    assert core.flush() == 0, core.logs()
    core.shutdown()


@test
def one_byte_at_a_time():
    stubborn(trickle)


@test
def endless_headers():
    stubborn(endless_header)


@test
def a_header_of_just_the_limit_before_endless_ones():
    """Where a client takes a line's length and its line ends from what is left, this goes below zero."""
    def answer(connection, request, n):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(b"X: " + b"y" * (16 * 1024 - 4) + b"\n")
        while True:
            connection.sendall(b"X-Filler: " + b"y" * 4000 + b"\r\n")

    stubborn(answer)


@test
def garbage():
    stubborn(lambda c, r, n: c.sendall(os.urandom(4000)) or False)


@test
def closed_at_once():
    stubborn(lambda c, r, n: False)


@test
def an_endless_body_after_a_good_status():
    def answer(connection, request, n):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            connection.sendall(b"z" * 65536)

    receiver = Receiver(answer)
    core = Core(url(receiver))
    peak = Peak()
    for _ in range(3):
        core.request()
        assert core.flush() == 0, core.logs()
    assert peak.kib() < 8 * 1024, peak.kib()
    assert len(receiver.requests) == 3
    core.shutdown()


@test
def a_body_cut_short_after_a_good_status():
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf"
    receiver = Receiver(lambda c, r, n: c.sendall(data) or False)
    core = Core(url(receiver))
    core.request()
    assert core.flush() == 0, "the status says it was taken"
    core.shutdown()


@test_in_full
def one_connection_for_many_payloads():
    receiver = Receiver(reply(200))
    core = Core(url(receiver))
    for _ in range(20):
        core.request()
        assert core.flush() == 0
    assert len(receiver.requests) == 20 and receiver.connections == 1, receiver.connections
    core.shutdown()


@test
def a_payload_that_is_too_large_is_set_aside_whole():
    """One payload is one minute: there is no half of it to send."""
    receiver = Receiver(then(reply(413), reply(200)))
    core = Core(url(receiver))
    for _ in range(50):
        core.request()
    assert core.flush() == E_REJECTED
    stats = core.stats()
    assert (stats["spans_rejected"], stats["payloads_rejected"]) == (50, 1), stats
    core.request()
    assert core.flush() == 0
    assert [calls(r.json) for r in receiver.requests] == [50, 1]
    assert core.shutdown() == 0


@test
def without_tls_the_build_says_so():
    library = abi.library()
    core = ctypes.c_uint64()
    for options in (b'{"key": "k"}', b'{"key": "k", "destination": "https://127.0.0.1"}',
                    b'{"key": "k", "destination": "http://127.0.0.1:9", "proxy": "http://127.0.0.1:9"}'):
        status = library.scout_start(options, len(options), ctypes.byref(core))
        if SMALL:
            assert status == E_OPTIONS, (options, status)
        else:
            assert status == 0 and library.scout_shutdown(core, 100) == 0, (options, status)


@test_in_full
def nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    core = Core("http://127.0.0.1:%d" % port)
    for _ in range(5):
        core.request()
        assert core.flush(300) == SPOOLED
    assert core.shutdown(300) == SPOOLED
    # The next process of the application delivers what this one could not.
    receiver = Receiver(reply(200))
    heir = Core(url(receiver), data_dir=core.folder)
    assert heir.flush() == 0
    assert sum(calls(r.json) for r in receiver.requests) == 5
    heir.shutdown()


@test
def a_redirect_gets_no_key():
    thief = Receiver(reply(200))
    location = "Location: http://127.0.0.1:%d/apps/checkin.scout" % thief.port
    receiver = Receiver(reply(307, location))
    core = Core(url(receiver))
    core.request()
    assert core.flush() == E_REJECTED
    core.shutdown()
    assert thief.connections == 0


@test_in_full
def a_private_authority_is_trusted_only_when_told():
    folder = tempfile.mkdtemp(prefix="scout-tls-")
    ca = certificate(folder, "ca")
    good = certificate(folder, "good", ca=ca)
    receiver = Receiver(reply(200), tls(good))
    core = Core(url(receiver, "https"), ca_cert=ca[0])
    core.request()
    assert core.flush() == 0, core.logs()
    core.shutdown()
    stranger = Core(url(receiver, "https"))
    stranger.request()
    assert stranger.flush() == SPOOLED
    assert stranger.shutdown(200) == SPOOLED
    assert len(receiver.requests) == 1


@test_in_full
def a_wrong_host_an_expired_and_a_plain_receiver_get_nothing():
    folder = tempfile.mkdtemp(prefix="scout-tls-")
    ca = certificate(folder, "ca")
    wrong = tls(certificate(folder, "wrong", host="example.com", ca=ca))
    expired = tls(certificate(folder, "expired", ca=ca, expired=True))
    for context in (wrong, expired, None):
        receiver = Receiver(reply(200), context)
        core = Core(url(receiver, "https"), ca_cert=ca[0])
        core.request()
        assert core.flush() == SPOOLED, core.logs()
        core.shutdown(200)
        assert not receiver.requests


@test_in_full
def a_name_that_cannot_be_resolved():
    core = Core("https://scout.invalid")
    core.request()
    core.flush(100)  # warmed up: threads are there, and have their names
    before, count = memory_kib(), threads()
    for _ in range(3):
        core.request()
        assert core.flush(1500) == SPOOLED, core.logs()
    # A resolver that does not answer holds the thread that asked it.
    assert threads() <= count + 1, (count, threads())
    assert memory_kib() - before < 8 * 1024, (before, memory_kib())
    assert core.shutdown(300) == SPOOLED


@test_in_full
def a_proxy_is_used_unless_no_proxy_names_the_host():
    connects = []

    def proxy():
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            while True:
                connection, _ = server.accept()
                connection.settimeout(5)
                asked = connection.recv(4096)
                # A client may write its request in pieces.
                while b"\r\n\r\n" not in asked and (more := connection.recv(4096)):
                    asked += more
                connects.append(asked.split(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return "http://127.0.0.1:%d" % server.getsockname()[1]

    def connected(excepted, **options):
        connects.clear()
        os.environ["NO_PROXY"] = excepted
        core = Core("https://scout.invalid:8443", **options)
        core.request()
        assert core.flush(3000) == SPOOLED
        core.shutdown(200)
        return list(connects)

    via = b"CONNECT scout.invalid:8443 HTTP/1.1"
    os.environ["HTTPS_PROXY"] = proxy()
    assert via in connected("")
    assert via in connected("other.invalid, cout.invalid"), "a suffix is whole labels"
    for excepted in ("*", "scout.invalid", "a.b, .invalid", "invalid"):
        assert not connected(excepted), excepted
    del os.environ["HTTPS_PROXY"]
    assert via in connected("*", proxy=proxy()), "what is configured is used"


@test_in_full
def a_dead_receiver_costs_neither_threads_nor_memory_nor_descriptors():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    core = Core("http://127.0.0.1:%d" % port)

    def load(rounds):
        for _ in range(rounds):
            for _ in range(200):
                core.request()
            assert core.flush(300) == SPOOLED

    load(10)
    before, count, files = memory_kib(), threads(), len(os.listdir("/proc/self/fd"))
    load(60)
    assert threads() == count and len(os.listdir("/proc/self/fd")) == files
    assert memory_kib() - before < 8 * 1024, (before, memory_kib())
    assert core.shutdown(300) == SPOOLED
    receiver = Receiver(reply(200))
    heir = Core(url(receiver), data_dir=core.folder)
    assert heir.flush(20000) == 0
    assert sum(calls(r.json) for r in receiver.requests) == 70 * 200
    heir.shutdown()


@test_in_full
def a_clock_that_jumps_loses_and_doubles_nothing():
    """In a process of its own, whose clock is set with libfaketime's protocol when it is there."""
    if "FAKETIME_TIMESTAMP_FILE" not in os.environ:
        library = next((f for f in FAKETIME if os.path.exists(f)), None)
        if not library:
            print("no libfaketime")
            return
        folder = tempfile.mkdtemp(prefix="scout-clock-")
        stamp = os.path.join(folder, "stamp")
        with open(stamp, "w", encoding="ascii") as file:
            file.write("+0")
        environment = {**os.environ, "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": stamp,
                       "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
        name = "a-clock-that-jumps-loses-and-doubles-nothing"
        done = subprocess.run([sys.executable, __file__, name], env=environment, timeout=60, check=False)
        assert done.returncode == 0
        return
    receiver = Receiver(reply(200))
    core = Core(url(receiver))
    for offset in ("+0", "-3600", "+31536000", "+0", "-31536000", "+0"):
        with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w", encoding="ascii") as file:
            file.write(offset)
        select.select([], [], [], 1.2)  # the clock is renewed once a second; sleep() would be faked
        for _ in range(10):
            core.request()
        assert core.flush() == 0, core.logs()
    assert sum(calls(r.json) for r in receiver.requests) == 60
    assert core.stats()["clock_steps"] >= 4, core.stats()
    assert core.shutdown() == 0


@test_in_full
def a_panic_while_delivering_is_contained():
    receiver = Receiver(reply(200))
    core = Core(url(receiver), test_panic="deliver")
    core.request()
    deadline = time.monotonic() + 10
    while core.flush(500) != 0:
        assert time.monotonic() < deadline, core.stats()
    assert core.stats()["panics_contained"] == 1
    assert sum(calls(r.json) for r in receiver.requests) == 1
    core.shutdown()


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(TESTS))
        return
    TESTS[sys.argv[1]]()


if __name__ == "__main__":
    main()
