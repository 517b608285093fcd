"""Malformed, oversize, slow, silent and half-closed: a failure reply or a clean close, never a
stall of others, never growth."""

import os
import random
import socket
import struct
import threading
import time

from harness import Agent, equal, wait_until
from wire import Client, Request, frame, registration, success

# Seconds. What a busy machine does to one client is said, and fails no test; this is a client that
# others keep from its turn.
STARVED = 20
WHOLE = Request("r").start().span("s", "Controller/x", 0, 0.1).finish().batch()


class Polite:
    """A well-behaved client, and how long it waits."""

    def __init__(self, port):
        self.client = Client(port, register=("Polite",), timeout=2 * STARVED)
        self.worst = 0.0
        self.count = 0
        self.stopping = False
        self.failure = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping:
                request = Request("p%d" % self.count).start().span("s", "Controller/polite", 0, 0.01)
                began = time.monotonic()
                assert success(self.client.ask(request.finish().batch()))
                self.worst = max(self.worst, time.monotonic() - began)
                self.count += 1
                time.sleep(0.01)
        except Exception as error:
            self.failure = error

    def end(self, at_most=STARVED):
        self.stopping = True
        self.thread.join()
        if self.failure:
            raise self.failure
        assert self.worst < at_most, "the polite client waited %.3f s" % self.worst
        return self.count


def test_malformed_frames_get_a_failure_and_the_socket_lives():
    agent = Agent().start()
    bad = [b"", b"{", b"null", b"[]", b"{}", b'"x"', b'{"a":1,"b":2}', b"\xff\xfe", b"\0" * 100,
           b'{"BatchCommand":{"commands":{}}}', b'{"BatchCommand":{}}', b'{"StartSpan":7}',
           b'{"BatchCommand":{"commands":[{"BatchCommand":{"commands":[]}}]}}',
           b'{"Register":{"app":"x"', b"[" * 100000, b'{"a":' * 50000, b'{"StartRequest":{}}']
    with Client(agent.port, register=("App",)) as client:
        for body in bad:
            client.send(body)
            assert not success(client.reply()) if body else client.reply(), body[:40]
        assert success(client.ask(WHOLE))
    equal(agent.end().endpoints(), {"x": 1}, "endpoints")


def test_an_oversize_frame_is_told_why_and_closed():
    agent = Agent().start()
    for header in (struct.pack(">I", (16 << 20) + 1), b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4):
        with Client(agent.port) as client:
            client.socket.sendall(header + b"x" * 100000)
            assert "too long" in client.reply()["Failure"]["message"]
            assert client.is_closed()
    # As long as may be: taken, answered, forgotten.
    with Client(agent.port, register=("App",)) as client:
        client.socket.settimeout(30)
        value = "x" * ((16 << 20) - 200)
        tag = {"TagRequest": {"request_id": "r", "tag": "t", "value": value}}
        assert success(client.ask(tag))
        assert success(client.ask(WHOLE))
    equal(agent.end().endpoints(), {"x": 1}, "endpoints")


def test_random_bytes_and_mutated_frames():
    agent = Agent().start()
    chance = random.Random(7)
    polite = Polite(agent.port)
    good = [frame(registration()), frame(WHOLE)]
    for round_ in range(300):
        with socket.create_connection(("127.0.0.1", agent.port), 5) as s:
            if round_ % 3 == 0:
                data = chance.randbytes(chance.randrange(2000))
            else:
                data = bytearray(b"".join(good))
                for _ in range(chance.randrange(1, 8)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                s.sendall(data)
                if round_ % 2:
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(5)
                    while s.recv(65536):
                        pass
            except ConnectionError:
                pass
    assert polite.end() > 0
    counters = agent.counters()
    equal(counters["panics_contained"], 0, "faults")
    agent.end()


def test_half_closed_sockets_get_their_replies():
    agent = Agent().start()
    with Client(agent.port) as client:
        client.socket.sendall(frame(registration()) + frame(WHOLE) + frame(WHOLE)[:20])
        client.socket.shutdown(socket.SHUT_WR)
        assert success(client.reply()) and success(client.reply())
        assert client.is_closed()
    equal(agent.end().endpoints(), {"x": 1}, "endpoints")


def test_clients_that_vanish_in_every_state():
    agent = Agent().start()
    whole = frame(registration()) + frame(WHOLE)
    linger = struct.pack("ii", 1, 0)
    for cut in range(0, len(whole), 7):
        s = socket.create_connection(("127.0.0.1", agent.port))
        s.sendall(whole[:cut])
        if cut % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        s.close()
    wait_until(lambda: len(os.listdir("/proc/%d/fd" % agent.process.pid)) < 40, "closed sockets")
    with Client(agent.port, register=("App",)) as client:
        assert success(client.ask(Request("z").start().span("s", "Controller/z", 0, 0.1)
                                  .finish().batch()))
    equal(agent.end().endpoints()["z"], 1, "endpoints")


def test_silent_and_slow_clients_hold_up_nobody():
    agent = Agent().start()
    silent = [socket.create_connection(("127.0.0.1", agent.port)) for _ in range(200)]
    begun = [socket.create_connection(("127.0.0.1", agent.port)) for _ in range(200)]
    whole = frame(registration()) + frame(WHOLE)
    polite = Polite(agent.port)
    for at in range(0, 100):
        for s in begun:
            s.sendall(whole[at:at + 1])
    assert polite.end() > 0
    for s in silent + begun:
        s.close()
    agent.end()


def test_a_client_that_never_reads_is_held_back_and_holds_up_nobody():
    agent = Agent().start()
    polite = Polite(agent.port)
    deaf = socket.create_connection(("127.0.0.1", agent.port))
    deaf.setblocking(False)
    sent, until = 0, time.monotonic() + 3
    data = frame({"CoreAgentVersion": {}}) * 1000
    while time.monotonic() < until:
        try:
            sent += deaf.send(data[sent % len(data) :])
        except BlockingIOError:
            time.sleep(0.01)
    _, memory = agent.usage()
    assert memory < 60, "%.0f MiB" % memory
    assert polite.end() > 0
    # Then it reads: what was held back is answered, each once, and the connection is as good as any.
    deaf.setblocking(True)
    deaf.settimeout(30)
    one = frame({"CoreAgentVersion": {}})
    cut = sent % len(one)
    rest = threading.Thread(target=deaf.sendall, args=(one[cut:] if cut else b"",))
    rest.start()
    late = Client.of(deaf)
    for _ in range(-(-sent // len(one))):
        assert success(late.reply())
    rest.join()
    assert success(late.ask({"CoreAgentVersion": {}}))
    deaf.close()
    agent.end()
    return "held back after %d kB" % (sent // 1000)


def test_a_flood_holds_up_nobody():
    agent = Agent().start()
    polite = Polite(agent.port)
    stopping = threading.Event()
    batch = Request("flood").start()
    for n in range(300):
        batch.span("s%d" % n, "Custom/x", 0, 0.01)
    data = frame(batch.batch()) * 4

    def flood():
        with Client(agent.port, register=("Flood",)) as client:
            while not stopping.is_set():
                client.socket.sendall(data)
                for _ in range(4):
                    client.reply()

    floods = [threading.Thread(target=flood) for _ in range(6)]
    for thread in floods:
        thread.start()
    time.sleep(4)
    count, worst = polite.end(), polite.worst
    stopping.set()
    for thread in floods:
        thread.join()
    agent.end()
    return "%d polite requests, the slowest %.0f ms" % (count, worst * 1000)


def test_requests_that_never_finish_are_bounded():
    agent = Agent().start()
    with Client(agent.port, register=("App",), timeout=30) as client:
        for block in range(30):
            commands = []
            for n in range(1000):
                commands += Request("open%d-%d" % (block, n)).start().span(
                    "s", "Controller/open", 0, 0.01).commands
            assert success(client.ask({"BatchCommand": {"commands": commands}}))
        counters = agent.counters()
        _, memory = agent.usage()
    equal(counters["requests_closed_by_limit"], 20000, "closed")
    assert memory < 150, "%.0f MiB" % memory
    payloads = agent.end()
    equal(payloads.endpoints(), {"open": 30000}, "all of them counted")
    return "%.0f MiB" % memory


def test_a_request_without_end_in_spans_and_tags_is_bounded():
    agent = Agent().start()
    with Client(agent.port, register=("App",), timeout=30) as client:
        for block in range(25):
            request = Request("big")
            for n in range(1000):
                request.span("s%d-%d" % (block, n), "Custom/x", 0.01, 0.02, parent="root")
            assert success(client.ask(request.batch()))
        text = "x" * 10000
        for block in range(20):
            request = Request("big")
            for n in range(100):
                request.tag("t%d-%d" % (block, n), text)
            assert success(client.ask(request.batch()))
        counters = agent.counters()
        assert success(client.ask(Request("big").span("root", "Controller/big", 0, 0.5).batch()))
        assert success(client.ask(Request("big").finish().commands[0]))
        _, memory = agent.usage()
    equal(counters["spans_over_limit"], 5000, "spans over the limit")
    assert counters["tags_dropped"] > 1000, counters
    assert memory < 120, "%.0f MiB" % memory
    agent.end()


def test_incomplete_frames_of_many_are_bounded():
    agent = Agent().start()
    held = []
    refused = 0
    body = b"x" * (4 << 20)
    for _ in range(60):
        s = socket.create_connection(("127.0.0.1", agent.port), 10)
        held.append(s)
        try:
            s.sendall(struct.pack(">I", 8 << 20) + body)
        except OSError:
            refused += 1
    time.sleep(0.3)
    _, memory = agent.usage()
    assert memory < 300, "%.0f MiB" % memory
    with Client(agent.port, register=("App",)) as client:
        assert success(client.ask(WHOLE))
    for s in held:
        s.close()
    wait_until(lambda: agent.usage()[1] < memory / 2 + 20, "the memory back")
    agent.end()
    return "%.0f MiB at the most" % memory
