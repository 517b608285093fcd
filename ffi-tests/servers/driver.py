"""A preforking server under test: started, asked from many threads, hurt, and ended."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time

REQUESTS = 400
CLIENTS = 6
PATIENCE = 60


class Connection(http.client.HTTPConnection):
    """To a Unix socket: no port that another test could have."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path):
    """One request: the process that answered it, or None."""
    connection = Connection(path)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read()
        return int(body) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


class Server:
    def __init__(self, command, folder, data, master_jobs):
        self.socket = os.path.join(folder, "socket")
        environment = dict(os.environ, DATA_DIR=data, SOCKET=self.socket, MASTER_JOBS=str(master_jobs))
        self.said = open(os.path.join(folder, "server.log"), "w+b")
        command = [part.replace("SOCKET", self.socket) for part in command]
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
            stdout=self.said, stderr=self.said,
        )
        self.answered, self.failed, self.workers = 0, 0, set()
        self._lock = threading.Lock()

    def log(self):
        self.said.seek(0)
        return self.said.read().decode("utf-8", "replace")[-3000:]

    def _note(self, worker):
        with self._lock:
            if worker is None:
                self.failed += 1
            else:
                self.answered += 1
                self.workers.add(worker)

    def wait_until_ready(self):
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            assert self.process.poll() is None, "the server ended: " + self.log()
            worker = ask(self.socket)
            if worker is not None:
                return self._note(worker)
            time.sleep(0.05)
        raise AssertionError("the server did not come up: " + self.log())

    def drive(self, hurt):
        """REQUESTS requests; `hurt` is called once, with a worker's id, when half are through."""
        left = iter(range(REQUESTS))

        def client():
            while True:
                with self._lock:
                    number = next(left, None)
                if number is None:
                    return
                if number == REQUESTS // 2:
                    hurt(self, ask(self.socket))
                    self._note(None)  # counted or not: it may have been hurt
                self._note(ask(self.socket))

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    def wait_for(self, path):
        ends = time.monotonic() + PATIENCE
        while not os.path.exists(path):
            assert time.monotonic() < ends, "no %s: %s" % (path, self.log())
            time.sleep(0.01)

    def end(self):
        """As a deployment ends it: all its processes go by themselves."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError("the server does not end: " + self.log()) from None
        alive = [pid for pid in self.workers if _lives(pid)]
        assert not alive, "workers outlive their server: %s" % alive

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.said.close()


def _lives(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
