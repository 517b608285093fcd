"""One host with one fault, and what comes after it."""

import json
import mmap
import os
import shutil
import struct
import subprocess
import tempfile

import account
from receiver import Receiver

import payloads
import tracer

KEY = "abcdefghij0123456789"
# While every call is traced, on a machine that may be busy.
TRACED_START_MS = 1000
# By the host's own clock, without its waits for a processor; the best of three tries.
START_MS = 100
PREDECESSOR = 50
REQUESTS = 300


class Thread:
    def __init__(self, numbers):
        self.roots, self.children, self.flushed = numbers[:2], numbers[2:4], numbers[4]


class Host:
    """A finished host: what it was told, from its progress file."""

    def __init__(self, name, progress, threads):
        with open(progress, "rb") as file:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            numbers = struct.unpack_from("<21Q", view)
            stats = view[4096:].split(b"\0")[0]
        self.name = name
        _, started, shut_down, self.ended, start_us, own_us, self.dropped, self.refused = numbers[:8]
        self.tail, self.lost, settled = numbers[8:11]
        self.started, self.shut_down, self.settled = (n - 1000 if n else None for n in (started, shut_down, settled))
        self.start_ms, self.start_own_ms = start_us / 1000, own_us / 1000
        self.threads = [Thread(numbers[11 + 5 * t:16 + 5 * t]) for t in range(threads)]
        self.stats = json.loads(stats) if stats else {}

    def accepted(self):
        return sum(thread.roots[1] + thread.children[1] for thread in self.threads)


def environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith("SCOUT_")}, **more}


class Launched:
    """A host that waits for its word to begin."""

    def __init__(self, program, place, name, options, threads, requests, *how, **variables):
        self.name, self.threads = name, threads
        self.progress = os.path.join(place, "progress-" + name)
        command = [program, json.dumps(options), name, self.progress, str(threads), str(requests), *how]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment(**variables))
        assert self.process.stdout.read(1) == b"r", "the host does not begin"

    def finish(self):
        """Lets it begin, and waits for its end: (exit code or None, what it said)."""
        with open(self.progress, "r+b") as file:
            file.write(struct.pack("<Q", 1))
        try:
            _, said = self.process.communicate(timeout=60)
            return self.process.returncode, said
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return None, b"hangs"

    def outcome(self):
        return Host(self.name, self.progress, self.threads)


class Bench:
    """What all trials need: the programs, and what a predecessor left behind."""

    def __init__(self, program, shim, place):
        self.program, self.shim = program, shim
        self.left = {}
        for remote in (False, True):
            folder = os.path.join(place, "left-%d" % remote)
            options = self.options(os.path.join(folder, "data"), "http://127.0.0.1:9" if remote else None)
            os.makedirs(folder)
            host = Launched(program, folder, "dead", options, 2, PREDECESSOR, "leave")
            assert host.finish()[0] == 0
            self.left[remote] = (options["data_dir"], host.outcome())
            assert self.left[remote][1].accepted() == 4 * PREDECESSOR

    @staticmethod
    def options(data, url):
        options = {"data_dir": data, "name": "faults"}
        if url:
            options.update(key=KEY, destination=url)
        return options


class Trial:
    """The n-th fault of a kind; `fired` tells whether there was one."""

    def __init__(self, bench, kind, n):
        self.bench, self.kind = bench, kind
        self.place = tempfile.mkdtemp(prefix="scout-fault-")
        self.receiver = Receiver() if kind.remote else None
        data, self.dead = bench.left[kind.remote]
        self.data = shutil.copytree(data, os.path.join(self.place, "data"))
        self.options = bench.options(self.data, self.receiver and self.receiver.url)
        variables = {}
        mark = os.path.join(self.place, "fired")
        if kind.short:
            variables = {"LD_PRELOAD": bench.shim, "SHIM_FIRED": mark, **kind.shim(n)}
        host = Launched(bench.program, self.place, "host", self.options, 2, REQUESTS, **variables)
        traced = None if kind.short else self._trace(host.process.pid, n)
        self.code, self.said = host.finish()
        self.host = host.outcome()
        if traced:
            traced.wait(30)
            with open(os.path.join(self.place, "strace")) as file:
                log = file.read()
            self.fired = "(INJECTED)" in log or "killed by SIGKILL" in log
        else:
            self.fired = os.path.exists(mark)

    def _trace(self, pid, n):
        return tracer.attach(pid, os.path.join(self.place, "strace"),
                             "-e", "trace=" + self.kind.calls, "-e", self.kind.strace(n))  # fmt: skip

    def spool(self):
        """The one application's folder; None where none could be made."""
        folder = os.path.join(self.data, "spool")
        return next((os.path.join(folder, name) for name in os.listdir(folder)), None)

    def complaints(self):
        killed = self.kind.kills and self.fired
        host = self.host
        if self.code != (-9 if killed else 0):
            yield "the host ended with %s: %s" % (self.code, self.said.decode()[-300:])
        if host.start_ms > TRACED_START_MS:
            yield "scout_start took %.0f ms, traced" % host.start_ms
        if host.stats and host.settled != account.E_TIMEOUT:
            yield from account.of_the_core(host)
        if host.ended:
            yield from account.of_the_end(host, self._waiting())
        if self.kind.harmless and self.fired:
            as_ever = (host.shut_down, host.stats["spool_write_errors"], host.stats["recorder_on_file"])
            if as_ever != (0, 0, 1):
                yield "what is no failure is taken for one: shutdown said %s, %d write errors, on file: %d" % as_ever
        copy = shutil.copytree(self.data, os.path.join(self.place, "copy"))
        heir = self._restart("heir", self.options)
        yield from self._in_time(heir, copy)
        yield from self._recovered(heir)
        second = self._restart("second", self.options)
        yield from self._recovered(second)
        if second.stats.get("recovered_files") or second.stats.get("recovery_files_unreadable"):
            yield "a second restart finds something to recover again"
        left = [name for name in os.listdir(self.spool() or self.data) if name not in ("lock", "spool", "payloads")]
        if left:
            yield "left in the spool: %s" % left
        cores = (host, heir, second)
        lost = sum(core.lost + sum(core.stats.get(name, 0) for name in account.LOST) for core in cores)
        hosts = (self.dead, host, heir, second)
        yield from account.in_all(hosts, account.found(self.delivered()), killed, 0 if killed else lost)
        if killed and lost:
            yield "%d spans were lost after the kill" % lost
        if self.receiver and self.receiver.changed:
            yield "two contents under one id: %s" % self.receiver.changed

    def _waiting(self):
        """None where nobody can tell: the predecessor's records are not recovered yet."""
        spool = self.spool()
        if any(name.endswith(".segments") for name in os.listdir(spool)):
            return None
        ids = {payload["metadata"]["unique_id"] for payload in self.delivered()}
        return account.waiting(spool, ids)

    def _restart(self, name, options):
        """The application starts again, without faults, and records."""
        host = Launched(self.bench.program, self.place, name, options, 1, 1)
        code, said = host.finish()
        assert code == 0, "%s ended with %s: %s" % (name, code, said)
        return host.outcome()

    def _in_time(self, heir, copy):
        """Whether it could record soon; where that is in doubt, on copies of what it found."""
        took = [heir.start_own_ms]
        while took[-1] > START_MS and len(took) < 3:
            data = shutil.copytree(copy, os.path.join(self.place, "copy-%d" % len(took)))
            options = {**self.options, "data_dir": data, "destination": "file://" + os.path.join(data, "payloads")}
            took.append(self._restart("again", options).start_own_ms)
        self.restart_ms = min(took)
        if self.restart_ms > START_MS:
            yield "a restart took %s ms" % took

    def _recovered(self, heir):
        if (heir.started, heir.shut_down, heir.refused, heir.dropped) != (0, 0, 0, 0):
            yield "%s: start %s, shutdown %s, %d refused" % (
                heir.name, heir.started, heir.shut_down, heir.refused + heir.dropped)
        bad = ("recovered_segments_damaged", "recovery_files_unreadable", "spool_files_damaged", "panics_contained")
        found = {name: heir.stats[name] for name in bad if heir.stats.get(name)}
        if found:
            yield "%s: %s" % (heir.name, found)

    def delivered(self):
        if self.receiver:
            return [payload for payload in list(self.receiver.received.values()) if "metrics" in payload]
        return payloads.checkins(self.data)

    def close(self, keep):
        if self.receiver:
            self.receiver.close()
        if not keep:
            shutil.rmtree(self.place)
