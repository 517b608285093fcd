"""Makes every system call of ours fail once, or be the last one, and accounts for every span.

    python3 ffi-tests/faults/run.py [EVERY]      # each EVERY-th fault of each kind; 1: all of them

OFFSET=n takes others of them, and ONLY=fsync names a call.

For each kind of fault and each n until there is no n-th call, a host program runs on what a dead
process left. Under strace the n-th call fails (in each thread: strace counts by thread), or all do
from the n-th on, or the process is killed at it; by a preloaded shim the n-th call is a short one.
Then the application starts again, twice, without faults. The accounts are equalities: every call
that was accepted is delivered, once, or is counted as lost by a core that could not keep it, with its
reason; after a kill, what was delivered lies between what was accepted and what was attempted. A
restart records within 100 ms.
"""

import concurrent.futures
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
from kinds import all_kinds  # noqa: E402
from trial import Bench, Trial  # noqa: E402

LIBRARY = os.environ.get("SCOUTCORE_LIB", os.path.join(ROOT, "target/release/libscoutcore.so"))
FOREVER = 1000
CC = ["gcc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror"]


def build(place):
    program, shim = os.path.join(place, "host"), os.path.join(place, "shim.so")
    folder = os.path.dirname(LIBRARY)
    link = os.path.join(folder, "libscoutcore.so.1")
    if not os.path.exists(link):
        os.symlink(os.path.basename(LIBRARY), link)
    subprocess.run([*CC, "-I", ROOT + "/include", HERE + "/host.c", "-o", program, "-L", folder,
                    "-l:" + os.path.basename(LIBRARY), "-Wl,-rpath," + folder, "-pthread"], check=True)
    subprocess.run([*CC, "-shared", "-fPIC", HERE + "/shim.c", "-o", shim, "-ldl"], check=True)
    return program, shim


class Series:
    """The faults of one kind: each `every`-th from the `first` on, until there is none."""

    def __init__(self, bench, kind, first, every):
        self.fired, self.complaints, self.slowest_ms = 0, [], 0.0
        for n in range(first, FOREVER, every):
            trial = Trial(bench, kind, n)
            found = list(trial.complaints())
            if found:
                found.append("kept in " + trial.place)
                self.complaints += ["at %d: %s" % (n, complaint) for complaint in found]
            trial.close(keep=found)
            self.fired += trial.fired
            self.slowest_ms = max(self.slowest_ms, trial.restart_ms)
            if not trial.fired or len(self.complaints) > 6:
                return
        if every < FOREVER:
            self.complaints.append("no end of them after %d" % FOREVER)


def series(bench, kind, every, offset):
    """The faults of one kind; the first one, where there are fewer than the offset."""
    first = 1 + offset % every
    done = Series(bench, kind, first, every)
    if not done.fired and not done.complaints and first > 1:
        done = Series(bench, kind, 1, FOREVER)
    if not done.fired:
        done.complaints.append("there was none")
    return done


def main():
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    only = os.environ.get("ONLY", "")
    offset = int(os.environ.get("OFFSET", 0))
    kinds = [kind for kind in all_kinds(files_of_both=every == 1) if only in str(kind)]
    total = failed = 0
    slowest = 0.0
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(*build(place), place)
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for kind, future in [(kind, pool.submit(series, bench, kind, every, offset)) for kind in kinds]:
                done = future.result()
                total += done.fired
                failed += bool(done.complaints)
                slowest = max(slowest, done.slowest_ms)
                print("%s faults: %s, %d" % ("FAIL" if done.complaints else "PASS", kind, done.fired), flush=True)
                for complaint in done.complaints:
                    print("     " + complaint)
    print("faults: %d kinds passed, %d failed; %d faults fired (every %d, OFFSET=%d); slowest restart %.1f ms"
          % (len(kinds) - failed, failed, total, every, offset, slowest))
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
