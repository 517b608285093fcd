"""Disks that are full or may not be written: memory serves, the stats say so, nothing is signalled.

Payloads go to a directory elsewhere, so that what memory kept can be seen to arrive.
"""

import os
import subprocess
import time

import payloads
from host import Core, SAFE, UNDELIVERED, dies_with, done, recovered, started


def mounted(data, *options):
    subprocess.run(["mount", *options, data], check=True)
    return {"data_dir": data, "destination": "file://" + os.path.join(os.environ["TEST_DIR"], "out")}


def arrived(name):
    return payloads.requests(os.path.join(os.environ["TEST_DIR"], "out"), "Controller/" + name)


def too_small(data):
    """Not even the first segments fit: memory from the start."""
    options = mounted(data, "-t", "tmpfs", "-o", "size=256k", "none")

    def work():
        core = Core(**options)
        assert core.stats()["recorder_on_file"] == 0
        assert core.fill("Controller/small", 5000) == 5000
        assert core.flush() in SAFE
        assert core.shutdown() in SAFE

    done(started(work))
    assert arrived("small") == 5000


def fills_up(data):
    """The file grows until the disk is full: from there on memory; what was mapped stays writable."""
    options = mounted(data, "-t", "tmpfs", "-o", "size=3m", "none")

    def work():
        core = Core(background=False, **options)
        assert core.stats()["recorder_on_file"] == 1
        accepted = core.fill("Controller/filling", 100000)
        assert accepted * 64 > 4 << 20, "%d records are no more than the disk holds" % accepted
        stats = core.stats()
        assert stats["recorder_on_file"] == 0, stats
        core.flush()
        status = core.shutdown()
        assert status in SAFE, status
        with open(os.path.join(os.environ["TEST_DIR"], "accepted"), "w") as file:
            file.write(str(accepted))

    done(started(work))
    with open(os.path.join(os.environ["TEST_DIR"], "accepted")) as file:
        accepted = int(file.read())
    assert arrived("filling") == accepted, "%d of %d" % (arrived("filling"), accepted)


def fill_the_disk(ballast):
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, os.urandom(4096))  # random: not to be compressed
    except OSError:
        os.close(file)


def filled_by_others(data):
    """Somebody else fills the disk after the start: no write to what is mapped is a SIGBUS; what was
    in the file outlives a kill; and counts once when there is room again."""
    options = mounted(data, "-t", "tmpfs", "-o", "size=3m", "none")
    ballast = os.path.join(data, "ballast")

    def work():
        core = Core(recorder_memory_mib=1, **options)
        fill_the_disk(ballast)
        core.fill("Controller/full", 2000)

    dies_with(work)

    # One that cannot write anything either: it leaves the file where it is.
    def newcomer():
        core = Core(**options)
        core.flush()
        core.shutdown()

    done(started(newcomer))
    os.remove(ballast)
    recovered(**options)
    assert arrived("full") == 2000, "%d of 2000" % arrived("full")


def read_only(data):
    """A directory that may not be written, from the start."""
    os.makedirs(os.path.join(data, "spool"))
    options = mounted(data, "--bind", data)
    subprocess.run(["mount", "-o", "remount,ro,bind", data], check=True)

    def work():
        core = Core(**options)
        assert core.stats()["recorder_on_file"] == 0
        assert core.stats()["spool_on_disk"] == 0
        assert core.fill("Controller/read only", 3000) == 3000
        assert core.flush() in SAFE
        assert core.shutdown() in SAFE

    done(started(work))
    assert arrived("read only") == 3000


def becomes_read_only(data):
    """A directory that may no longer be written, while a core has its files there: root gives its
    rights up, since no mode keeps it out; anybody else takes them from the directory."""
    out = os.path.join(os.environ["TEST_DIR"], "out")
    os.makedirs(out)
    os.chmod(out, 0o777)

    def work():
        core = Core(data_dir=data, destination="file://" + out, recorder_memory_mib=2)
        assert core.stats()["recorder_on_file"] == 1
        assert core.record("Controller/before")
        assert core.flush() == 0  # the payloads' directory is open from here on
        assert core.fill("Controller/before", 1000) == 1000
        if os.geteuid() == 0:
            os.setuid(65534)
        else:
            for folder, _, _ in os.walk(data):
                os.chmod(folder, 0o500)
        assert core.fill("Controller/after", 1000) == 1000
        flushed = core.flush()
        assert flushed in (*SAFE, UNDELIVERED), flushed
        assert core.stats()["spool_write_errors"] > 0
        ended = core.shutdown()
        assert ended in (*SAFE, UNDELIVERED), ended
        with open(os.path.join(out, "said"), "w") as file:
            file.write(str(ended))

    done(started(work))
    with open(os.path.join(out, "said")) as file:
        said = int(file.read())
    # Nothing is said to be safe that is not.
    after, before = arrived("after"), arrived("before")
    assert (before, after) == (1001, 1000) or said == UNDELIVERED, (said, before, after)
    print("shutdown said %d; %d and %d arrived" % (said, before, after))


def copies_on_write(data):
    """A file system that writes nothing in place: a full one would signal whoever writes to a mapped
    file, or keep him waiting. Nothing is mapped there."""
    image = os.path.join(os.environ["TEST_DIR"], "image")
    with open(image, "wb") as file:
        file.truncate(120 << 20)
    try:
        subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True)
        options = mounted(data, "-o", "loop", image)
    except (OSError, subprocess.CalledProcessError) as error:
        print("SKIPPED: no btrfs can be made and mounted here: %s" % error)
        return

    def work():
        core = Core(recorder_memory_mib=8, **options)
        assert core.stats()["recorder_on_file"] == 0, "segments are mapped where pages are copied"
        assert core.fill("Controller/copied", 2000) == 2000
        fill_the_disk(os.path.join(data, "ballast"))
        longest = 0.0
        for _ in range(20):
            began = time.monotonic()
            assert core.fill("Controller/copied", 100) == 100
            longest = max(longest, time.monotonic() - began)
        assert longest < 0.5, "a hundred calls took %.1f s on a full disk" % longest
        assert core.flush() in (*SAFE, UNDELIVERED)
        assert core.shutdown() in (*SAFE, UNDELIVERED)

    done(started(work))
    # A container's root may have its layers there, and says nothing of it itself.
    os.remove(os.path.join(data, "ballast"))
    layers = [os.path.join(data, name) for name in ("lower", "upper", "work")]
    for layer in layers:
        os.mkdir(layer)
    over = os.path.join(os.environ["TEST_DIR"], "over")
    os.mkdir(over)
    overlay = "lowerdir=%s,upperdir=%s,workdir=%s" % tuple(layers)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", overlay, over], check=True)

    def above():
        core = Core(**{**options, "data_dir": over})
        assert core.stats()["recorder_on_file"] == 0, "segments are mapped above where pages are copied"
        assert core.fill("Controller/above", 100) == 100 and core.shutdown() in SAFE

    done(started(above))
    subprocess.run(["umount", over, data], check=False)
    assert arrived("copied") == 4000 and arrived("above") == 100


MOUNTING = {
    "disk-too-small": too_small,
    "disk-fills-up": fills_up,
    "disk-filled-by-others": filled_by_others,
    "disk-read-only": read_only,
    "disk-copies-on-write": copies_on_write,
}
TESTS = {**MOUNTING, "disk-becomes-read-only": becomes_read_only}
