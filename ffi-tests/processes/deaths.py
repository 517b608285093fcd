"""What a process leaves when it dies, and how the next one starts."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import payloads
import tracer
from host import SAFE, SPOOLED, Core, dies_with, done, recovered, segment_files, started

RECORDS = 300


def _set_aside(data):
    return [name for _, _, names in os.walk(data) for name in names if name.endswith(".damaged")]


def flipped_bits(data):
    """A bit flipped anywhere in what a dead process left: its valid part is delivered, nothing is
    doubled, the rest is kept aside and reported; nobody crashes."""
    dies_with(lambda: Core(data_dir=data).fill("Controller/flipped", RECORDS))
    (path,) = segment_files(data)
    with open(path, "rb") as file:
        whole = file.read()
    kept = os.path.join(os.path.dirname(data), "kept")
    shutil.copytree(data, kept)
    rng = random.Random(11)
    header = [rng.randrange(32) for _ in range(15)]
    used = next(at for at in range(4096, len(whole), 65536) if whole[at + 8 : at + 12] != b"\0\0\0\0")
    head = [used + rng.randrange(128) for _ in range(15)]
    records = [used + 128 + rng.randrange(RECORDS * 64) for _ in range(40)]
    noticed = lost = 0
    for number, at in enumerate(header + head + records):
        place = os.path.join(os.path.dirname(data), "flip%d" % number)
        shutil.copytree(kept, place)
        (copy,) = segment_files(place)
        with open(copy, "r+b") as file:
            file.seek(at)
            file.write(bytes([whole[at] ^ (1 << rng.randrange(8))]))
        stats = recovered(data_dir=place)
        # Under whatever name: the flipped bit may be in one.
        requests = sum(
            metric["call_count"]
            for payload in payloads.checkins(place)
            for metric in payload["metrics"]
            if metric["key"]["bucket"] == "Controller" and not metric["key"]["scope"]
        )
        told = stats["recovered_segments_damaged"] + stats["recovery_files_unreadable"]
        told += stats["recovery_files_of_other_versions"]
        assert requests <= RECORDS, "byte %d: %d requests of %d" % (at, requests, RECORDS)
        if stats["recovered_segments_damaged"] or stats["recovery_files_unreadable"]:
            assert _set_aside(place), "byte %d: damage is told, and the file is gone" % at
        if at in records and stats["recovered_segments_damaged"]:
            # All that lies before the damage.
            assert requests >= (at - used - 128) // 128 - 1, "byte %d: only %d" % (at, requests)
        noticed += told > 0
        lost += RECORDS - requests
        shutil.rmtree(place)
    assert noticed > 5, "%d of 70 flips were noticed" % noticed
    print("70 bits flipped: %d noticed, %d of %d requests not delivered, none doubled"
          % (noticed, lost, 70 * RECORDS))  # fmt: skip


def fault_in_a_recovery(data):
    """A record of a dead process that cannot be analysed keeps none of the others: they are delivered,
    and its file is kept to be looked at."""
    dies_with(lambda: Core(data_dir=data).fill("Controller/poisoned", RECORDS))
    stats = recovered(data_dir=data, test_panic="recover")
    assert stats["panics_contained"] == 1, stats
    assert payloads.requests(data, "Controller/poisoned") == RECORDS - 1
    assert len(_set_aside(data)) == 1 and not segment_files(data), _set_aside(data)
    recovered(data_dir=data)
    assert payloads.requests(data, "Controller/poisoned") == RECORDS - 1, "and only once"


def _trace(process, *options):
    """strace on a process that waits for us, and where it writes."""
    log = os.path.join(os.environ["TEST_DIR"], "strace")
    return tracer.attach(process.pid, log, *options), log


def order_on_disk(data):
    """What a flush makes safe, and in which order it does so: each step outlives a loss of power before the
    next is taken."""
    go_read, go_write = os.pipe()

    def flush():
        core = Core(data_dir=data, background=False, destination="http://127.0.0.1:9", key="abcdefghij0123456789")
        core.record("Controller/ordered")
        assert os.read(go_read, 1)
        assert core.flush() == SPOOLED
        os.kill(os.getpid(), signal.SIGKILL)

    process = started(flush)
    traced, log = _trace(process, "-y", "-e", "trace=fsync,rename,renameat,renameat2")
    os.write(go_write, b"x")
    done(process, -signal.SIGKILL)
    traced.wait(30)
    with open(log) as file:
        calls = [line for line in file if "= 0" in line]
    steps = [
        ("its contents", r"fsync\(.*/\.[^/]*\.period\.pending\.\d+\.tmp>"),
        ("a name under which it does not count", r'rename.*\.period\.pending\.\d+\.tmp", .*\.period\.pending"'),
        ("that name", r"fsync\(\d+<[^>]*/spool/[^/>]*>"),
        ("the checkpoint that makes it count", r"fsync\(.*\.segments>"),
        ("its name", r'rename.*\.period\.pending", .*\.period"'),
        ("that name", r"fsync\(\d+<[^>]*/spool/[^/>]*>"),
    ]
    for what, pattern in steps:
        at = next((at for at, call in enumerate(calls) if re.search(pattern, call)), None)
        assert at is not None, "%s: not in its place in %s" % (what, calls)
        del calls[: at + 1]


def unreadable_sectors(data):
    """A dead process's file of which the disk does not give back every other segment: no signal, and
    not at once taken for all there is; then the rest is delivered, and the file kept and told of."""
    dies_with(_fill_and_die, data)
    with open(os.path.join(data, "accepted")) as file:
        accepted = int(file.read())
    go_read, go_write = os.pipe()
    said_read, said_write = os.pipe()

    def recover():
        assert os.read(go_read, 1)
        core = Core(data_dir=data, background=False)
        # Each look reads the head, and then the first segment, which fails: the first of them gives up.
        began = time.monotonic()
        while time.monotonic() - began < 14.5:
            assert core.flush() in SAFE
            assert core.stats()["recovered_files"] == 0, "taken for all there is at once"
            time.sleep(2)
        time.sleep(max(0, began + 16 - time.monotonic()))
        assert core.flush() in SAFE and core.stats()["recovered_files"] == 1
        os.write(said_write, b"%d" % core.stats()["recovered_segments_damaged"])
        assert core.shutdown() in SAFE

    process = started(recover)
    traced, _ = _trace(process, "-e", "trace=pread64", "-e", "inject=pread64:error=EIO:when=2+2")
    os.write(go_write, b"x")
    done(process)
    traced.wait(30)
    damaged = int(os.read(said_read, 20))
    delivered = payloads.requests(data, "Controller/before")
    assert damaged > 5 and 0 < delivered < accepted, (damaged, delivered, accepted)
    assert len(_set_aside(data)) == 1 and not segment_files(data), _set_aside(data)
    print("%d segments could not be read: %d of %d requests delivered" % (damaged, delivered, accepted))


def _fill_and_die(data):
    core = Core(data_dir=data, background=False)
    accepted = core.fill("Controller/before", 10**6)
    with open(os.path.join(data, "accepted"), "w") as file:
        file.write(str(accepted))


def quick_restart(data):
    """After a death with all memory full of records, start is quick; and stays so, and loses nothing,
    when the newcomers die again and again over the recovery."""
    dies_with(_fill_and_die, data)
    with open(os.path.join(data, "accepted")) as file:
        accepted = int(file.read())
    times_read, times_write = os.pipe()

    def start():
        began = time.monotonic()
        core = Core(data_dir=data)
        os.write(times_write, b"%.6f\n" % (time.monotonic() - began))
        assert core.record("Controller/after")
        time.sleep(60)

    rng = random.Random(3)
    for _ in range(20):
        process = started(start)
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(times_read, 1)
        took = float(line)
        assert took < 2.0, "a start took %.3f s" % took
        _times.append(took)
        time.sleep(0.1 * rng.random())
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    recovered(data_dir=data)
    before, after = (payloads.requests(data, "Controller/" + name) for name in ("before", "after"))
    assert before == accepted, "%d of %d delivered" % (before, accepted)
    # The last of all may have been killed before its one request.
    assert after <= 20, after
    _times.sort()
    print("%d requests left by a full recorder; starts took %.1f ms (median), %.1f ms at most"
          % (accepted, _times[10] * 1e3, _times[-1] * 1e3))  # fmt: skip


_times = []


def memory(data):
    """What a core adds to its host, idle and at 100,000 spans a second; from /proc."""
    for _ in range(3):
        measured = _memory(data)
        if measured["busy"][0] <= 32768:
            break
    for what, (total, waited, text) in measured.items():
        limit = {"idle": 4096, "busy": 32768}[what]
        # Without a processor to itself, the core falls behind, and the recorder's memory fills up.
        assert total <= (limit if waited < 500 else 2 * limit), text
        print(text)


def _memory(data):
    program = [os.environ["MEMORY_PROGRAM"], os.environ["SCOUTCORE_LIB"], data, "100000", "5"]
    said = subprocess.run(program, check=True, capture_output=True, text=True, timeout=120).stdout
    measured = {}
    for line in said.splitlines():
        what, anonymous, file, spans, dropped, waited = line.split()
        total = int(anonymous) + int(file)
        text = "%s: %d KiB (%s anonymous, %s of files), %s spans, %s refused, %s ms waited" % (
            what, total, anonymous, file, spans, dropped, waited)  # fmt: skip
        measured[what] = total, int(waited), text
    return measured


TESTS = {"flipped-bits": flipped_bits, "fault-in-a-recovery": fault_in_a_recovery,
         "order-on-disk": order_on_disk, "unreadable-sectors": unreadable_sectors,
         "quick-restart": quick_restart, "memory": memory}  # fmt: skip
