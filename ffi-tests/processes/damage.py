"""Files of the spool that somebody damaged: the rest is delivered, and the damage is told."""

import os
import random
import shutil

import payloads
from host import SAFE, Core

KEY = "abcdefghij0123456789"
# Endpoint and requests of each process: every file has figures of its own.
PERIODS = {"one": 10, "two": 20, "three": 40}
PARCEL = ("parcel", 80)
FLIPS, CUTS = 60, 20


def _waiting(data):
    """A spool with a parcel that was refused a moment ago, and periods of three processes."""
    nobody = {"data_dir": data, "key": KEY, "destination": "http://127.0.0.1:9"}
    for name, requests in [PARCEL, *PERIODS.items()]:
        core = Core(**nobody)
        assert core.fill("Controller/" + name, requests) == requests
        if name == PARCEL[0]:
            assert core.flush() in SAFE
            core.shutdown()
            continue
        # Its courier would pack what it finds: it ends before that.
        assert core.library.scout_flush(core.handle, 0) != 0
        core.shutdown()


def _files(data):
    spool = os.path.join(data, "spool")
    (folder,) = (os.path.join(spool, name) for name in os.listdir(spool))
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name != "lock")


def _spans(path):
    return int(os.path.basename(path).rsplit(".", 1)[0].split("-")[-1])


def _damaged(whole, rng):
    """What may become of a file: (what was done, its bytes)."""
    for _ in range(FLIPS):
        bit = rng.randrange(len(whole) * 8) if rng.random() < 0.5 else rng.randrange(16 * 8)
        yield "bit %d" % bit, whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :]
    for cut in [0, 1, 15, 16, 17, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(CUTS))]:
        yield "cut to %d" % cut, whole[:cut]
    yield "zeros", bytes(len(whole))
    yield "zeros at its end", whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)
    yield "longer", whole + b"x"


def damaged_spool_files(data):
    """Every kind of damage to a file of each kind: set aside, counted, all else delivered once."""
    _waiting(data)
    files = _files(data)
    endings = sorted(path.rsplit(".", 1)[1] for path in files)
    assert len(files) == 4 and set(endings) == {"parcel", "period"}, files
    total = PARCEL[1] + sum(PERIODS.values())
    assert sum(map(_spans, files)) == total
    rng = random.Random(int(os.environ.get("SEED", 5)))
    cases = 0
    for ending in ("parcel", "period"):
        victim = next(path for path in files if path.endswith(ending))
        with open(victim, "rb") as file:
            whole = file.read()
        for what, damaged in _damaged(whole, rng):
            place = os.path.join(os.path.dirname(data), "case")
            shutil.copytree(data, place)
            with open(victim.replace(data, place, 1), "wb") as file:
                file.write(damaged)
            _delivered_but(place, total - _spans(victim), _spans(victim), "%s, %s" % (ending, what))
            shutil.rmtree(place)
            cases += 1
    print("%d damaged files: each set aside and counted, all else delivered once" % cases)


def _delivered_but(place, rest, lost, what):
    out = os.path.join(place, "out")
    options = {"data_dir": place, "key": KEY, "destination": "file://" + out}
    core = Core(**options)
    flushed, stats = core.flush(), core.stats()
    assert flushed == 0, (what, flushed)
    assert (stats["spool_files_damaged"], stats["spool_spans_damaged"]) == (1, lost), (what, stats)
    assert stats["panics_contained"] == 0, what
    assert core.shutdown() == 0, what
    again = Core(**options)
    assert again.flush() == 0 and again.stats()["spool_files_damaged"] == 0, what
    assert again.shutdown() == 0, what
    found = sum(payloads.requests(out, "Controller/" + name) for name in [PARCEL[0], *PERIODS])
    assert found == rest, "%s: %d delivered, not %d" % (what, found, rest)
    left = _files(place)
    assert len(left) == 1 and left[0].endswith(".damaged"), (what, left)


TESTS = {"damaged-spool-files": damaged_spool_files}
