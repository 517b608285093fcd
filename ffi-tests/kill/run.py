"""Kills recording processes at random points, and accounts for every span they had recorded.

    python3 ffi-tests/kill/run.py [KILLS]        # 60

In C and in Python, of one and of more threads. Processes of one application share a data directory:
each one recovers what its predecessors left, and may be killed while doing so; some start and are
killed in pairs, and at the end two recover what is left at once. Then every span whose call had
returned SCOUT_OK must be in the payloads once: none lost, none doubled. A span in flight when the
kill came (at most one a thread) may be there or not.
"""

import ctypes
import json
import mmap
import multiprocessing
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIBRARY = os.environ.get("SCOUTCORE_LIB", os.path.join(ROOT, "target/release/libscoutcore.so"))
# Endpoints of one minute are bounded, and each process has its own.
BATCH = 40


def build(place):
    program = os.path.join(place, "recorder")
    subprocess.run(["gcc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", ROOT + "/include",
                    HERE + "/recorder.c", "-o", program, "-l:" + os.path.basename(LIBRARY),
                    "-L", os.path.dirname(LIBRARY), "-Wl,-rpath," + os.path.dirname(LIBRARY), "-pthread"],
                   check=True)
    link = os.path.join(os.path.dirname(LIBRARY), "libscoutcore.so.1")
    if not os.path.exists(link):
        os.symlink(os.path.basename(LIBRARY), link)
    return program


class Recorder:
    """A process that records until it is killed."""

    def __init__(self, program, data, name, rng):
        in_python = rng.random() < 0.15
        self.name = name
        self.threads = rng.choice([1, 2] if in_python else [1, 1, 2, 4])
        self.progress = os.path.join(data, "progress-" + name)
        command = [sys.executable, os.path.join(HERE, "recorder.py")] if in_python else [program]
        command += [data, name, str(self.threads), self.progress]
        self.process = subprocess.Popen(command, env=dict(os.environ, SCOUTCORE_LIB=LIBRARY))
        # Half of them at any point from their very start on, half after their first record.
        if rng.random() < 0.5:
            self._wait_for_a_record()

    def _wait_for_a_record(self):
        ends = time.monotonic() + 30
        while not any(self.counts()) and time.monotonic() < ends:
            assert self.process.poll() is None, "the recorder ended: %s" % self.process.returncode
            time.sleep(0.001)

    def counts(self):
        """Of each thread, the roots and the SQL spans whose calls have returned SCOUT_OK."""
        if not os.path.exists(self.progress) or os.path.getsize(self.progress) < 4096:
            return [0] * (2 * self.threads)
        with open(self.progress, "rb") as file:
            view = mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ)
            return list(struct.unpack_from("<%dQ" % (2 * self.threads), view))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        status = self.process.wait()
        assert status == -signal.SIGKILL, "the recorder ended by itself: %d" % status


def recover(data):
    """A last core on the directory: recovers what is there, delivers it, and says how it went."""
    library = ctypes.CDLL(LIBRARY)
    core = ctypes.c_uint64()
    options = json.dumps({"data_dir": data, "name": "kill"}).encode()
    assert library.scout_start(options, ctypes.c_size_t(len(options)), ctypes.byref(core)) == 0
    status = library.scout_shutdown(core, 60000)
    # With another one at it, what this one had is on the disk, and the other's to deliver.
    assert status in (0, 1), "shutdown: %d" % status


def recover_together(data):
    """Two at once; then a last one, for what the one left to the other."""
    both = [multiprocessing.get_context("fork").Process(target=recover, args=(data,)) for _ in range(2)]
    [process.start() for process in both]
    [process.join(120) for process in both]
    assert [process.exitcode for process in both] == [0, 0], [process.exitcode for process in both]
    recover(data)


def delivered(data):
    """Spans in the payloads, by metric: {("Controller", "p3t0"): n, ("SQL", "p3t0"): n}."""
    counts = {}
    ids = set()
    for folder, _, names in os.walk(data):
        for name in names:
            if not name.endswith(".checkin.json"):
                continue
            with open(os.path.join(folder, name)) as file:
                payload = json.load(file)
            assert payload["metadata"]["unique_id"] not in ids
            ids.add(payload["metadata"]["unique_id"])
            for metric in payload["metrics"]:
                key = metric["key"]
                if key["bucket"] == "Controller" and key["scope"] is None:
                    endpoint = ("Controller", key["name"])
                elif key["bucket"] == "Controller":
                    # The recorder was full of open requests, and closed some: their roots came late.
                    endpoint = ("Controller", key["scope"]["name"])
                elif key["bucket"] == "SQL" and key["scope"]:
                    endpoint = ("SQL", key["scope"]["name"])
                else:
                    continue
                counts[endpoint] = counts.get(endpoint, 0) + metric["call_count"]
    return counts


def batch(program, size, rng):
    """Kills `size` processes on one directory; gives (spans recorded, complaints)."""
    data = tempfile.mkdtemp(prefix="scout-kill-")
    complaints, spans = [], 0
    try:
        expected = {}
        n = 0
        while n < size:
            pair = [Recorder(program, data, "p%d" % i, rng) for i in range(n, min(n + rng.choice([1, 1, 2]), size))]
            deadline = time.monotonic() + rng.choice([0.01, 0.03, 0.1, 0.3]) * rng.random()
            while time.monotonic() < deadline:
                time.sleep(0.0005)
            for recorder in pair:
                recorder.kill()
                counts = recorder.counts()
                for t in range(recorder.threads):
                    endpoint = "%st%d" % (recorder.name, t)
                    expected[("Controller", endpoint)] = counts[2 * t]
                    expected[("SQL", endpoint)] = counts[2 * t + 1]
            n += len(pair)
        recover_together(data)
        found = delivered(data)
        for key, recorded in expected.items():
            spans += recorded
            got = found.get(key, 0)
            if key[0] == "SQL":
                # Those of the last request, whose root was not recorded, have no endpoint.
                low, high = recorded - 3, recorded + 1
            else:
                low, high = recorded, recorded + 1
            if not low <= got <= high:
                complaints.append("%s %s: %d recorded, %d delivered" % (*key, recorded, got))
        leftover = [name for _, _, names in os.walk(os.path.join(data, "spool")) for name in names
                    if name != "lock"]
        if leftover:
            complaints.append("left in the spool: %s" % leftover)
    finally:
        if not complaints:
            shutil.rmtree(data)
        else:
            complaints.append("kept: " + data)
    return spans, complaints


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    rng = random.Random(seed)
    spans = done = 0
    with tempfile.TemporaryDirectory() as place:
        program = build(place)
        while done < kills:
            size = min(BATCH, kills - done)
            more, complaints = batch(program, size, rng)
            spans += more
            done += size
            if complaints:
                print("\n".join(complaints))
                print("FAIL kill: SEED=%d after %d kills" % (seed, done))
                return 1
    print("PASS kill: %d kills, %d spans recorded, 0 lost, 0 doubled (SEED=%d)" % (done, spans, seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
