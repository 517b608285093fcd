"""What the Python contract tests share: a registry, a fresh environment, a core of one's own."""

import os
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
BINDING = os.path.join(HERE, "..", "..", "examples", "python")
sys.path.insert(0, BINDING)
sys.path.insert(0, os.path.dirname(HERE))

TESTS = {}


def test(function):
    """Registers a test under its name, with dashes."""
    TESTS[function.__name__.replace("_", "-")] = function
    return function


def expect(count, what, name):
    """Asks run.py to look into the payload files afterwards: `request`, `layer` or `error`."""
    print("EXPECT %d %s %s" % (count, what, name), flush=True)


def directory(name="data"):
    path = os.path.join(os.environ["TEST_DIR"], name)
    os.makedirs(path, exist_ok=True)
    return path


def started(**options):
    """The binding, started with payload files under $TEST_DIR."""
    import scoutcore

    running = scoutcore.start(name="python", data_dir=directory(), **options)
    assert running, scoutcore.off_reason()
    return scoutcore


class FakeCore:
    """In place of a core: keeps the batches it is given."""

    def __init__(self):
        self.batches = []
        self.names = Uninterned()

    def record_batch(self, records):
        self.batches.append(records)
        return 0


class Uninterned(dict):
    """Names without ids: every text travels as text."""

    def __missing__(self, name):
        return 0


def main(arguments):
    """`--list`, or the name of a test."""
    if arguments == ["--list"]:
        print("\n".join(TESTS))
        return 0
    try:
        TESTS[arguments[0]]()
        return 0
    except Exception:
        traceback.print_exc()
        return 1
