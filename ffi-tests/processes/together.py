"""Several processes of one application, at the same time."""

import os
import signal
import struct
import time

import payloads
from host import Core, SAFE, dies_with, done, recovered, segment_files, started

MINUTE = 60


def _minutes_worker(data, requests, number, ends):
    """Records its share during the first seconds of a minute, and lives on to see it delivered."""
    core = Core(data_dir=data)
    for _ in range(requests):
        assert core.record("Controller/page%d" % number)
        time.sleep(0.005)
    while time.time() < ends:
        time.sleep(0.1)
    os._exit(0)  # without a flush: the minute was delivered by the worker threads, or not at all


def one_payload_a_minute(data):
    """Four processes, one of which is killed: one payload of the minute, with all their requests."""
    # The killed one's file is found at the others' next look, within 15 s: early in the minute.
    while time.time() % MINUTE > 35:
        time.sleep(0.1)
    over = (time.time() // MINUTE + 1) * MINUTE
    workers = [started(_minutes_worker, data, 200, number, over + 40) for number in range(4)]
    time.sleep(3)
    os.kill(workers[0].pid, signal.SIGKILL)
    workers[0].join()
    folder = os.path.join(data, "payloads")

    def delivered():
        return [payload for payload in payloads.checkins(folder)]

    # Within the grace of 5 s and the spread of 2 s, and what a busy machine adds to that.
    while not delivered() and time.time() < over + 35:
        time.sleep(0.2)
    assert time.time() >= over, "a payload before the minute's end"
    time.sleep(1)
    found = delivered()
    assert len(found) == 1, "%d payloads of one minute" % len(found)
    for number in range(1, 4):
        requests = payloads.requests(folder, "Controller/page%d" % number)
        assert requests == 200, "%d requests of process %d" % (requests, number)
    killed = payloads.requests(folder, "Controller/page0")
    assert 0 < killed <= 200, "%d requests of the killed process" % killed
    for worker in workers[1:]:
        worker.kill()
        worker.join()
    print("one payload, %d requests" % (600 + killed))


def _flush_all_the_time(data, number, counts):
    core = Core(data_dir=data)
    while True:
        if core.record("Controller/holder%d" % number):
            counts[number] += 1
        assert core.flush() in SAFE


def holders_killed(data):
    """Processes that merge and deliver all the time, killed one after the other while they do."""
    import ctypes
    import mmap
    import random

    rng = random.Random(5)
    counts = (ctypes.c_uint64 * 512).from_buffer(mmap.mmap(-1, 4096))
    alive = []
    for number in range(60):
        alive.append(started(_flush_all_the_time, data, number, counts))
        if len(alive) == 3:
            time.sleep(rng.random() * 0.08)
            victim = alive.pop(0)
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
    for process in alive:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    recovered(data_dir=data)
    total = 0
    for number in range(60):
        requests = payloads.requests(data, "Controller/holder%d" % number)
        assert counts[number] <= requests <= counts[number] + 1, (
            "process %d: %d accepted, %d delivered" % (number, counts[number], requests))  # fmt: skip
        total += requests
    left = [name for _, _, names in os.walk(os.path.join(data, "spool")) for name in names if name != "lock"]
    assert not left, "left in the spool: %s" % left
    print("60 holders killed, %d requests" % total)


def other_versions(data):
    """Files of a version to come: left alone, byte for byte, counted, and no harm done by them."""
    dies_with(lambda: Core(data_dir=data).record("Controller/of a newer version"))
    (path,) = segment_files(data)
    with open(path, "r+b") as file:
        file.seek(8)  # after the magic number
        file.write(struct.pack("<I", 2))
    with open(path, "rb") as file:
        before = file.read()
    for _ in range(3):
        dies_with(lambda: Core(data_dir=data).record("Controller/of this version"))
        stats = recovered(data_dir=data)
        assert stats["recovery_files_of_other_versions"] == 1, stats
        assert stats["recovered_files"] == 1 and stats["recovered_records"] == 1, stats
    with open(path, "rb") as file:
        assert file.read() == before, "the file was changed"
    assert payloads.requests(data, "Controller/of this version") == 3
    assert payloads.requests(data, "Controller/of a newer version") == 0
    # Its own version finds it as it was.
    with open(path, "r+b") as file:
        file.seek(8)
        file.write(struct.pack("<I", 1))
    assert recovered(data_dir=data)["recovered_records"] == 1
    assert payloads.requests(data, "Controller/of a newer version") == 1


def two_recoveries_at_once(data):
    """What twenty dead processes left, found by four newcomers in the same moment: once."""
    for number in range(20):
        dies_with(lambda: Core(data_dir=data).fill("Controller/left", 100))

    def newcomer():
        core = Core(data_dir=data)
        assert core.shutdown() in SAFE

    done_ones = [started(newcomer) for _ in range(4)]
    [done(process) for process in done_ones]
    recovered(data_dir=data)
    requests = payloads.requests(data, "Controller/left")
    assert requests == 2000, "%d of 2000 delivered" % requests


TESTS = {
    "one-payload-a-minute": one_payload_a_minute,
    "holders-killed": holders_killed,
    "other-versions": other_versions,
    "recoveries-at-once": two_recoveries_at_once,
}
