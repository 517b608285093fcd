"""A client of the socket protocol, as small as it can be."""

import json
import socket
import struct
import time


def frame(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body


class Client:
    def __init__(self, address, register=None, timeout=30):
        """`address` is a port on loopback or a socket's path."""
        if isinstance(address, int):
            self.socket = socket.create_connection(("127.0.0.1", address), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        if register:
            assert success(self.ask(registration(*register))), "Register was refused"

    @classmethod
    def of(cls, connected):
        """On a socket that is connected already."""
        client = cls.__new__(cls)
        client.socket = connected
        return client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, message):
        self.socket.sendall(frame(message))

    def read(self, length):
        parts = b""
        while len(parts) < length:
            part = self.socket.recv(length - len(parts))
            if not part:
                raise EOFError("the agent closed the connection")
            parts += part
        return parts

    def reply(self):
        (length,) = struct.unpack(">I", self.read(4))
        return json.loads(self.read(length))

    def ask(self, message):
        self.send(message)
        return self.reply()

    def is_closed(self, seconds=20):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


def success(reply):
    ((command, body),) = reply.items()
    return body.get("result") == "Success"


def registration(app="App", key="abcdefghij0123456789", **more):
    fields = {"app": app, "key": key, "api_version": "1.0", "language": "test", "host": "host-1"}
    return {"Register": {**fields, **more}}


def stamp(at=None, form="python"):
    """Now, or a Unix time, as an agent writes it."""
    at = time.time() if at is None else at
    seconds, micros = int(at), int(round((at % 1) * 1e6)) % 1000000
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return {
        "python": base + (".%06d+00:00" % micros if micros else "+00:00"),
        "elixir": base + (".%06d" % micros).rstrip("0").rstrip(".") + "Z",
        "php": base + ".%06dZ" % micros,
        "node": base + ".%03dZ" % (micros // 1000),
        "ruby": base + ".%06dZ" % micros,
    }[form]


class Request:
    """A request's commands, each as agents send it."""

    def __init__(self, request_id, begin=None, form="python"):
        self.id = request_id
        self.begin = time.time() - 0.1 if begin is None else begin
        self.form = form
        self.commands = []

    def at(self, offset):
        return None if offset is None else stamp(self.begin + offset, self.form)

    def add(self, command, offset, **fields):
        fields["request_id"] = self.id
        if offset is not None:
            fields["timestamp"] = self.at(offset)
        self.commands.append({command: fields})
        return self

    def start(self, offset=0.0):
        return self.add("StartRequest", offset)

    def tag(self, tag, value, offset=0.0):
        return self.add("TagRequest", offset, tag=tag, value=value)

    def span(self, span_id, operation, begin, end, parent=None, **tags):
        self.add("StartSpan", begin, span_id=span_id, operation=operation, parent_id=parent)
        for tag, value in tags.items():
            self.add("TagSpan", begin, span_id=span_id, tag=tag.replace("__", "."), value=value)
        if end is not None:
            self.add("StopSpan", end, span_id=span_id)
        return self

    def finish(self, offset=0.05):
        return self.add("FinishRequest", offset)

    def batch(self):
        return {"BatchCommand": {"commands": self.commands}}
