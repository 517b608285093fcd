"""The encoder against docs/record-format.md, byte by byte."""

import os
import re
import struct

from testing import HERE, Uninterned, directory, test

from scoutcore import _encode as encode
from scoutcore import _library
from scoutcore._core import Core

TRACE = bytes([7]) * 16
NONE = Uninterned()


class Interned(dict):
    """Ids as if interned in order of first use, from 5."""

    def __missing__(self, name):
        self[name] = len(self) + 5
        return self[name]


def worked_example():
    """The bytes that the document works out, read from the document itself."""
    path = os.path.join(HERE, "..", "..", "docs", "record-format.md")
    with open(path, encoding="utf-8") as file:
        block = file.read().split("## Worked example")[1].split("```")[1]
    lines = (re.match(r"((?:[0-9a-f]{2}\s+)+)", line + "  ") for line in block.splitlines())
    return bytes.fromhex("".join(line.group(1) for line in lines if line))


@test
def worked_bytes():
    names = Interned(op=5)
    names_but_keys = Uninterned(op=5)
    example = worked_example()
    assert len(example) == 88
    made = encode.span(names_but_keys, TRACE, 2, 0, 1000, 3500, "op", {"k": "hi"})
    assert made == example, made.hex()
    made = encode.span(names_but_keys, TRACE, 2, 0, 1000, 3500, "op", [("k", b"hi")])
    assert made == example, made.hex()
    with_key = encode.span(names, TRACE, 2, 0, 1000, 3500, "op", {"k": "hi"})
    assert struct.unpack_from("<I", with_key, 64)[0] == names["k"]
    assert len(with_key) == 88 and with_key[80:] == b"hi\0\0\0\0\0\0"


@test
def fast_ways_encode_alike():
    """The two unrolled shapes give what the general way gives."""
    for tags in ({}, {"db.statement": "SELECT ?"}, {"db.statement": "é" * 100}, {"k": ""}):
        for operation in ("SQL/Query", "Controller/x"):
            names = Interned()
            quick = encode.span(names, TRACE, 2, 1, 1000, 3500, operation, tags)
            slow = encode.span(names, TRACE, 2, 1, 1000, 3500, operation, list(tags.items()) or iter(()))
            assert quick == slow, (tags, quick.hex(), slow.hex())


@test
def every_type_of_tag():
    tags = {"s": "text", "b": b"\xff\0", "t": True, "f": False, "i": -1, "d": 1.5, "none": None,
            "big": 1 << 70, "list": [1, 2]}  # fmt: skip
    record = encode.span(NONE, TRACE, 2, 0, 1, 2, "", tags)
    assert struct.unpack_from("<IBBH", record) == (len(record), 1, 1, 8)
    values = [struct.unpack_from("<IBBHQ", record, 64 + 16 * i) for i in range(8)]
    assert [value[1] for value in values] == [1, 1, 4, 4, 2, 3, 1, 1]
    assert values[4][4] == (1 << 64) - 1
    assert struct.pack("<Q", values[5][4]) == struct.pack("<d", 1.5)
    area = record[64 + 16 * 8 :]
    assert area.rstrip(b"\0") == b"stextb\xff\0tfidbig1180591620717411303424list[1, 2]", area


@test
def limits():
    long = encode.span(NONE, TRACE, 2, 0, 1, 2, "x" * 20000, {"k": "y" * 20000})
    assert len(long) == 64 + 16 + 16384 + 1 + 16384 + 7
    assert long[64 + 5] == 1, "the cut is marked"
    many = encode.span(NONE, TRACE, 2, 0, 1, 2, "x", [("k%d" % i, i) for i in range(10000)])
    assert struct.unpack_from("<H", many, 6) == (128,)
    full = encode.span(NONE, TRACE, 2, 0, 1, 2, "x", [("k", "v" * 16384)] * 128)
    assert struct.unpack_from("<H", full, 6) == (3,)
    assert len(full) <= 65400 and len(full) % 8 == 0
    late = encode.span(NONE, TRACE, 2, 0, 1, 2, "x", [("k", "v" * 16384)] * 4 + [("z", 1)])
    assert struct.unpack_from("<H", late, 6) == (3,), "once one is left out, all later ones are"
    try:
        encode.event(1, "scout.metadata", "x" * 65001)
        raise AssertionError("a cut event is no JSON")
    except ValueError:
        pass


@test
def full_records_are_taken():
    """The largest records that the binding makes are taken by the core."""
    core = Core(_library.load()[0], {"data_dir": directory(), "recorder_memory_mib": 64})
    for last in range(15000, 16384, 5):
        tags = [("k", "v" * 16384)] * 3 + [("k", "v" * last)]
        record = encode.span(core.names, TRACE, 2, 1, 10**18, 10**18, "Custom/full", tags)
        assert core.record_batch(record) == _library.OK, (last, len(record), core.library.last_error())
    core.shutdown(5000)


@test
def other_records():
    record = encode.request_tags(NONE, TRACE, 5, {"path": "/"})
    assert struct.unpack_from("<IBBH16sQ", record) == (56, 2, 1, 1, TRACE, 5)
    record = encode.error(NONE, TRACE, 2, 5, "E", "no", "a\nb")
    assert struct.unpack_from("<IBBH16sQQIIII", record) == (
        64, 3, 1, 0, TRACE, 2, 5, 1 << 31 | 1, 1 << 31 | 2, 1 << 31 | 3, 0
    )  # fmt: skip
    assert record[56:] == b"Enoa\nb\0\0"
    record = encode.metric(5, "Memory/Physical", 1.5)
    assert struct.unpack_from("<IBBHQdII", record) == (48, 4, 1, 0, 5, 1.5, 1 << 31 | 15, 0)
    record = encode.event(5, "kind", "{}")
    assert struct.unpack_from("<IBBHQII", record) == (32, 5, 1, 0, 5, 1 << 31 | 4, 1 << 31 | 2)
    assert record[24:] == b"kind{}\0\0"


@test
def odd_texts():
    record = encode.span(NONE, TRACE, 2, 0, 1, 2, "half \ud800", {"k\udcff": "\ud800"})
    assert b"half ?" in record
    record = encode.span(NONE, TRACE, 2, 0, 1, 2, 17, {3: 4})
    assert b"17" in record
