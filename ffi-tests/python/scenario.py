"""Makes the calls of a flat scenario file through the Python binding's encoder, in one batch.

    scenario.py FILE
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "python"))

from scoutcore import _encode, _library  # noqa: E402
from scoutcore._core import Core  # noqa: E402

VALUES = {"s": bytes.fromhex, "i": int, "f": float, "b": lambda text: text == "1"}


def record(names, kind, *fields):
    text, trace = bytes.fromhex, bytes.fromhex(fields[0])
    if kind == "span":
        ids = [int(field) for field in fields[1:5]]
        return _encode.span(names, trace, *ids, text(fields[5]), tags(fields[6:]))
    if kind == "tag":
        return _encode.request_tags(names, trace, time.time_ns(), tags(fields[1:]))
    if kind == "error":
        texts = [text(field) for field in fields[3:6]]
        return _encode.error(names, trace, int(fields[1]), int(fields[2]), *texts, tags(fields[6:]))
    if kind == "metric":
        return _encode.metric(time.time_ns(), text(fields[0]), float(fields[1]))
    return _encode.event(time.time_ns(), text(fields[0]), text(fields[1]))


def tags(fields):
    """Pairs, since a key may come twice."""
    return [
        (bytes.fromhex(fields[i]), VALUES[fields[i + 1]](fields[i + 2]))
        for i in range(1, len(fields), 3)
    ]


def main(path):
    library, reason = _library.load()
    assert library, reason
    core = Core(library, {"name": "Scenario", "hostname": "host", "data_dir": os.environ["TEST_DIR"]})
    with open(path, encoding="ascii") as file:
        records = [record(core.names, *line.rstrip("\n").split("\t")) for line in file]
    status = core.record_batch(b"".join(records))
    assert status >= 0, library.status_name(status) + ": " + library.last_error()
    status = core.shutdown(10000)
    assert status >= 0, library.status_name(status)


if __name__ == "__main__":
    main(sys.argv[1])
