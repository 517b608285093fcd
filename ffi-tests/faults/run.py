"""Makes every system call of ours fail once, or be the last one, and accounts for every span.

    python3 ffi-tests/faults/run.py [EVERY]      # each EVERY-th fault of each kind; 1: all of them

OFFSET=n takes others of them, and ONLY=fsync names a call.

For each kind of call and each n until there is no n-th one, a host program runs under strace, which
makes the n-th call fail (in each thread: strace counts by thread), or kills the process at it. The
host must live, unless it is killed, start quickly, and lose nothing that the library called safe:
what a flush or a shutdown that said so covered, and, when it was killed, what any call accepted. A
last core without faults delivers what is left; nothing may be there twice.
"""

import concurrent.futures
import ctypes
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import payloads  # noqa: E402

LIBRARY = os.environ.get("SCOUTCORE_LIB", os.path.join(ROOT, "target/release/libscoutcore.so"))
# What a full disk, a broken one, spent descriptors or spent memory answer.
FAULTS = [
    ("write", "ENOSPC"), ("fsync", "EIO"), ("fdatasync", "EIO"), ("renameat,renameat2,rename", "EIO"),
    ("unlinkat,unlink", "EACCES"), ("openat", "EMFILE"), ("openat", "EACCES"), ("mkdirat,mkdir", "EROFS"),
    ("fallocate", "ENOSPC"), ("mmap", "ENOMEM"), ("fcntl", "ENOLCK"), ("read", "EIO"),
    ("getdents64", "EIO"), ("fstat,newfstatat", "EIO"), ("clone3,clone", "EAGAIN"),
    ("connect", "ECONNREFUSED"), ("sendto,sendmsg", "EPIPE"), ("socket", "EMFILE"),
    ("recvfrom,recvmsg", "ECONNRESET"), ("membarrier", "ENOSYS"), ("ftruncate", "EIO"),
]
NETWORK = ("connect", "sendto,sendmsg", "socket", "recvfrom,recvmsg")
OK, SPOOLED = 0, 1
# Where in the progress file the host is told to begin.
GO = 8
# Generous: the machine may be busy, and strace stops every call.
START_MS = 1000
FOREVER = 500


def build(place):
    program = os.path.join(place, "host")
    link = os.path.join(os.path.dirname(LIBRARY), "libscoutcore.so.1")
    if not os.path.exists(link):
        os.symlink(os.path.basename(LIBRARY), link)
    subprocess.run(["gcc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", ROOT + "/include",
                    HERE + "/host.c", "-o", program, "-l:" + os.path.basename(LIBRARY),
                    "-L", os.path.dirname(LIBRARY), "-Wl,-rpath," + os.path.dirname(LIBRARY), "-pthread"],
                   check=True)
    return program


class Receiver:
    """A real receiver on loopback, which keeps what it got by its id."""

    def __init__(self):
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        import gzip
        received = self.received = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # its sender was killed
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                kind = self.path.split("?")[0]
                received.setdefault((kind, self.headers["X-Scout-Payload-Id"]), json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Run:
    """One host, with one fault."""

    def __init__(self, program, calls, action, remote):
        self.place = tempfile.mkdtemp(prefix="scout-fault-")
        self.receiver = Receiver() if remote else None
        self.options = {"data_dir": os.path.join(self.place, "data"), "name": "faults"}
        if remote:
            self.options.update(key="abcdefghij0123456789", destination=self.receiver.url)
        self.run(program, calls, action)

    def run(self, program, calls, action):
        progress = os.path.join(self.place, "progress")
        log = os.path.join(self.place, "strace")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SCOUT_")}
        host = subprocess.Popen([program, json.dumps(self.options), "host", progress],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=environment)
        assert host.stdout.read(1) == b"r", "the host does not begin"
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", log, "-p", str(host.pid), "-e", "trace=" + calls,
             "-e", "inject=%s:%s" % (calls, action)], stderr=subprocess.DEVNULL)
        ends = time.monotonic() + 30
        while "TracerPid:\t0" in open("/proc/%d/status" % host.pid).read():
            assert time.monotonic() < ends and tracer.poll() is None, "strace did not attach"
            time.sleep(0.002)
        with open(progress, "r+b") as file:
            file.seek(GO * 8)
            file.write(struct.pack("<Q", 1))
        try:
            _, errors = host.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.code, self.errors = None, b"hangs"
            host.kill()
            host.wait()
        else:
            self.code, self.errors = host.returncode, errors
        tracer.wait(30)
        with open(log) as file:
            text = file.read()
        self.fired = "(INJECTED)" in text or "killed by SIGKILL" in text
        with open(progress, "rb") as file:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            numbers = struct.unpack_from("<8Q", view)
            stats = view[4096:].split(b"\0")[0]
        self.accepted = list(numbers[:2])
        self.started, self.took_ms, self.ended = numbers[2], numbers[3] / 1000, numbers[4]
        self.shut_down, self.flushed = numbers[5] - 1000, list(numbers[6:8])
        self.stats = json.loads(stats) if stats else {}

    def complaints(self, killed):
        if not killed and self.code != 0:
            yield "the host ended with %s: %s" % (self.code, self.errors.decode()[-300:])
        if killed and self.fired and self.code != -9:
            yield "the host should have been killed: %s" % self.code
        if self.started and self.took_ms > START_MS:
            yield "scout_start took %.0f ms" % self.took_ms
        recover(self.options)
        found = self.delivered()
        for t, accepted in enumerate(self.accepted):
            got = found.get("hostt%d" % t, 0)
            # One may have been on its way when the kill came.
            if got > accepted + int(killed):
                yield "thread %d: %d accepted, %d delivered" % (t, accepted, got)
            safe = accepted if killed or self.shut_down in (OK, SPOOLED) else self.flushed[t]
            if got < safe:
                yield "thread %d: %d safe of %d accepted, %d delivered; shutdown said %d; %s" % (
                    t, safe, accepted, got, self.shut_down,
                    {k: v for k, v in self.stats.items() if v and ("spool" in k or "dropped" in k or "file" in k)})

    def delivered(self):
        counts = {}
        if self.receiver:
            everything = list(self.receiver.received.values())
            everything = [payload for payload in everything if "metrics" in payload]
        else:
            everything = payloads.checkins(self.options["data_dir"])
        for payload in everything:
            for metric in payload["metrics"]:
                key = metric["key"]
                if key["bucket"] == "Controller" and not key["scope"]:
                    counts[key["name"]] = counts.get(key["name"], 0) + metric["call_count"]
        return counts

    def close(self, keep):
        if self.receiver:
            self.receiver.close()
        if not keep:
            shutil.rmtree(self.place)


def recover(options):
    """A last core without faults, in a process of its own."""
    script = ("import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); c = ctypes.c_uint64(); o = sys.argv[2].encode()\n"
              "assert l.scout_start(o, ctypes.c_size_t(len(o)), ctypes.byref(c)) == 0\n"
              "s = l.scout_shutdown(c, 30000); assert s == 0, s")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SCOUT_")}
    subprocess.run([sys.executable, "-c", script, LIBRARY, json.dumps(options)], check=True, env=environment)


def series(program, calls, error, remote, first, every):
    """Faults from the `first` on until there is none; gives (how many fired, complaints)."""
    killed = error == "KILL"
    action = "signal=KILL" if killed else "error=" + error
    fired, complaints = 0, []
    for n in range(first, FOREVER, every):
        run = Run(program, calls, "%s:when=%d" % (action, n), remote)
        found = list(run.complaints(killed))
        if found:
            what = "%s %s at %d%s" % (calls, error, n, ", remote" if remote else "")
            complaints += ["%s: %s" % (what, complaint) for complaint in found + ["kept in " + run.place]]
        run.close(keep=found)
        fired += run.fired
        if not run.fired or len(complaints) > 6:
            break
    else:
        if every < FOREVER:
            complaints.append("%s %s: no end of them after %d" % (calls, error, FOREVER))
    return fired, complaints


def kind(program, calls, error, remote, every, offset):
    """The faults of one kind; the first one, where there are fewer than the offset."""
    first = 1 + offset % every
    fired, complaints = series(program, calls, error, remote, first, every)
    if not fired and not complaints and first > 1:
        fired, complaints = series(program, calls, error, remote, 1, FOREVER)
    return fired, complaints


def main():
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    only = os.environ.get("ONLY")
    offset = int(os.environ.get("OFFSET", 0))
    work = []
    for calls, error in FAULTS:
        for remote in (False, True):
            if only and only not in calls:
                continue
            # A connection is made only where there is a receiver; files are written in both cases.
            if calls in NETWORK and not remote or calls not in NETWORK and remote and every > 1:
                continue
            work.append((calls, error, remote))
            if (calls, "KILL", remote) not in work:
                work.append((calls, "KILL", remote))
    total = failed = 0
    with tempfile.TemporaryDirectory() as place:
        program = build(place)
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            done = [(job, pool.submit(kind, program, *job, every, offset)) for job in work]
            for job, future in done:
                fired, complaints = future.result()
                total += fired
                failed += bool(complaints)
                print("%s faults: %s %s%s, %d" % ("FAIL" if complaints else "PASS", job[0], job[1],
                                                   ", remote" if job[2] else "", fired))
                for complaint in complaints:
                    print("     " + complaint)
    print("faults: %d kinds passed, %d failed; %d faults fired (every %d, OFFSET=%d)"
          % (len(work) - failed, failed, total, every, offset))
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
