"""A receiver on loopback that answers as it is told, and remembers what it got."""

import gzip
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from urllib.parse import parse_qs, urlsplit


class Request:
    """One HTTP request: the parts that matter."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = lines[0].split(" ", 2)
        self.path = urlsplit(target).path
        self.query = {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}
        pairs = [line.split(":", 1) for line in lines[1:] if ":" in line]
        self.headers = {name.strip().lower(): value.strip() for name, value in pairs}
        self.time = time.monotonic()
        self.json = json.loads(gzip.decompress(body)) if body else None


class Receiver:
    """Serves connections in threads; `answer(connection, request, n)` answers the n-th request."""

    def __init__(self, answer, context=None):
        self.answer, self.context = answer, context
        self.requests = []
        self.connections = 0
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            while True:
                request = self._read(connection)
                if request is None:
                    return
                with self.lock:
                    n = len(self.requests)
                    self.requests.append(request)
                if self.answer(connection, request, n) is False:
                    return
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    @staticmethod
    def _read(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        chunked = b"transfer-encoding: chunked" in head.lower()
        if chunked:
            while not body.endswith(b"0\r\n\r\n"):
                body += connection.recv(65536)
            parts, rest = b"", body
            while True:
                size, _, rest = rest.partition(b"\r\n")
                if int(size, 16) == 0:
                    return Request(head, parts)
                parts, rest = parts + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < length:
            body += connection.recv(65536)
        return Request(head, body)

    def close(self):
        self.socket.close()


def reply(status, *headers, body=b""):
    """An answer with a status, headers and a body."""
    lines = ["HTTP/1.1 %d x" % status, "Content-Length: %d" % len(body), *headers]
    data = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda connection, request, n: connection.sendall(data)


def then(*answers):
    """The first answer to the first request, and so on; the last one to all further ones."""
    return lambda connection, request, n: answers[min(n, len(answers) - 1)](connection, request, n)


CA_CONFIG = """
[ca]
default_ca = here
[here]
database = %(folder)s/database
new_certs_dir = %(folder)s
serial = %(folder)s/serial
default_md = sha256
policy = any
[any]
commonName = supplied
[e]
subjectAltName = %(kind)s:%(host)s
basicConstraints = critical,CA:%(is_ca)s
"""


def certificate(folder, name, *, host="127.0.0.1", ca=None, expired=False):
    """A certificate for a host, signed by a CA or by itself: paths of (certificate, key)."""
    paths = [os.path.join(folder, name + ending) for ending in (".pem", ".key")]
    config, request = (os.path.join(folder, name + ending) for ending in (".cnf", ".csr"))
    kind = "IP" if host[0].isdigit() else "DNS"
    values = {"folder": folder, "kind": kind, "host": host, "is_ca": "FALSE" if ca else "TRUE"}
    for file, text in ((config, CA_CONFIG % values), (os.path.join(folder, "database"), "")):
        with open(file, "w", encoding="ascii") as opened:
            opened.write(text)

    def openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", paths[1], "-out", request,
            "-subj", "/CN=" + name)  # fmt: skip
    signed = ["-cert", ca[0], "-keyfile", ca[1]] if ca else ["-selfsign", "-keyfile", paths[1]]
    day = 86400
    begin = time.time() - (9 if expired else 1) * day
    dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(begin + after)) for after in (0, 3 * day)]
    openssl("ca", "-batch", "-notext", "-create_serial", "-config", config, "-extensions", "e", *signed,
            "-startdate", dates[0], "-enddate", dates[1], "-in", request, "-out", paths[0])  # fmt: skip
    return paths


def tls(paths):
    """A server's TLS context with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    return context
