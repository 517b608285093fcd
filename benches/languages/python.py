"""What a span costs in Python, with the library: nanoseconds of CPU of its thread.

    SCOUTCORE_LIB=... benches/languages/python.py
"""

import ctypes
import os
import shutil
import sys
import tempfile
import time

import rows

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "examples", "python"))

import scoutcore as scout  # noqa: E402
from scoutcore import _agent, _encode  # noqa: E402

CHILDREN = 30  # a request of usual size: one hand-over for all of its spans
ROUNDS = 9
STATEMENT = {"db.statement": "SELECT * FROM orders WHERE id = 42"}


def requests(tags):
    """The whole of it: with statements, context variable, clock, ids, encoding, hand-over."""
    for _ in range(200):
        with scout.span("Controller/bench"):
            for _ in range(CHILDREN):
                with scout.span("SQL/Query", tags):
                    pass


def samples(function, per):
    function()
    found = []
    for _ in range(ROUNDS):
        time.sleep(0.05)  # the core analyses in the background: not on our time, nor on a full buffer
        began = time.thread_time_ns()
        function()
        found.append((time.thread_time_ns() - began) / per)
    return found


def calls(function, count=2000):
    def many():
        for _ in range(count):
            function()

    return samples(many, count)


def main():
    spans = 200 * (CHILDREN + 1)
    rows.write("python", "scoutcore, not started", samples(lambda: requests(None), spans))
    folder = tempfile.mkdtemp()
    if not scout.start(data_dir=folder, recorder_memory_mib=64):
        sys.exit(scout.off_reason())
    core = _agent._core
    rows.write("python", "scoutcore, no tags", samples(lambda: requests(None), spans))
    rows.write("python", "scoutcore, a statement", samples(lambda: requests(STATEMENT), spans))
    two = dict(STATEMENT, **{"db.rows_returned": 1})
    rows.write("python", "scoutcore, a statement and a count", samples(lambda: requests(two), spans))
    trace, now = bytes(range(16)), time.time_ns()
    one = _encode.span(core.names, trace, 2, 1, now, now, "SQL/Query", STATEMENT)
    encode = calls(lambda: _encode.span(core.names, trace, 2, 1, now, now, "SQL/Query", STATEMENT))
    rows.write("python", "of which encoding, a statement", encode, note="with a lambda around it")
    empty = ctypes.PyDLL(LIBRARY).scout_abi_version
    empty.argtypes, empty.restype = [], ctypes.c_uint32
    rows.write("python", "floor: an empty ctypes call", calls(empty), unit="ns/call", note="GIL kept")
    rows.write("python", "scout_record_batch, one span", calls(lambda: core.record_batch(one)), unit="ns/call")
    dropped = scout.stats().get("records_dropped_no_room", 0)
    scout.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    if dropped:
        sys.exit("%d records were dropped for want of room: the rows are too good" % dropped)


LIBRARY = os.environ.get("SCOUTCORE_LIB", os.path.join(HERE, "..", "..", "target", "release", "libscoutcore.so"))

if __name__ == "__main__":
    main()
