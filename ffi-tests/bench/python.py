"""What a span costs in Python, with the library: nanoseconds of its thread, the best of rounds.

    SCOUTCORE_LIB=... bench/python.py
"""

import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "examples", "python"))

import scoutcore as scout  # noqa: E402
from scoutcore import _agent, _encode  # noqa: E402

CHILDREN = 30  # a request of usual size: one hand-over for all of its spans
STATEMENT = {"db.statement": "SELECT * FROM orders WHERE id = 42"}


def requests(tags, rounds=9, count=200):
    """The whole of it: with statements, context variable, clock, ids, encoding, hand-over."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for _ in range(count):
            with scout.span("Controller/bench"):
                for _ in range(CHILDREN):
                    with scout.span("SQL/Query", tags):
                        pass
        best = min(best, (time.thread_time_ns() - began) / (count * (CHILDREN + 1)))
        time.sleep(0.05)  # the core analyses in the background: not on our time, nor on a full buffer
    return best


def calls(function, count, rounds=9):
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for _ in range(count):
            function()
        best = min(best, (time.thread_time_ns() - began) / count)
        time.sleep(0.05)
    return best


def main():
    folder = tempfile.mkdtemp()
    print("off, empty span               %6.0f" % requests(None))
    assert scout.start(data_dir=folder, recorder_memory_mib=64), scout.off_reason()
    core = _agent._core
    print("span, no tags                 %6.0f" % requests(None))
    print("span, a statement             %6.0f" % requests(STATEMENT))
    print("span, a statement and a count %6.0f" % requests(dict(STATEMENT, **{"db.rows_returned": 1})))
    trace, now = bytes(range(16)), time.time_ns()
    one = _encode.span(core.names, trace, 2, 1, now, now, "SQL/Query", STATEMENT)
    print("encode one span, a statement  %6.0f" % calls(
        lambda: _encode.span(core.names, trace, 2, 1, now, now, "SQL/Query", STATEMENT), 2000))
    print("scout_record_batch, one span  %6.0f" % calls(lambda: core.record_batch(one), 2000))
    batch = one * 31
    print("scout_record_batch, 31 spans  %6.0f" % calls(lambda: core.record_batch(batch), 200))
    stats = scout.stats()
    print("dropped for want of room      %6d" % stats.get("records_dropped_no_room", 0))


if __name__ == "__main__":
    main()
