#!/usr/bin/env python3
"""Writes the fuzz targets' seeds, each in its corpus below fuzz/corpus.

sql: every statement of ../shared/vectors/sql, raw in each dialect and as a literal's content.
record, segments: one record of each kind, by themselves and as a dead process left them."""

import base64
import hashlib
import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
VECTORS = ROOT.parent / "shared" / "vectors" / "sql"
sys.path.insert(0, str(ROOT / "examples" / "python"))

from scoutcore import _encode  # noqa: E402


class Corpus:
    def __init__(self, target):
        self.folder = HERE / "corpus" / target
        self.folder.mkdir(parents=True, exist_ok=True)
        self.count = 0

    def add(self, seed):
        (self.folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
        self.count += 1

    def told(self):
        print("%d seeds in %s" % (self.count, self.folder))


def statements():
    found = set()
    for file in sorted(VECTORS.glob("*.json")):
        for case in json.loads(file.read_text()):
            if case.get("sql_b64"):
                found.add(base64.b64decode(case["sql_b64"]))
                continue
            given = case.get("input", case.get("sql", ""))
            if isinstance(given, dict):
                given = given.get("query", "")
            if isinstance(given, str):
                found.add(given.encode("utf-8", "surrogatepass"))
    return sorted(found)


def sql():
    if not VECTORS.is_dir():
        print("SKIPPED: ../shared/vectors/sql is not there")
        return
    corpus = Corpus("sql")
    for statement in statements():
        if len(statement) > 4096:
            continue
        for dialect in range(7):
            for mode in (0, 1, 2, 3):
                if mode and dialect != len(statement) % 7:
                    continue
                corpus.add(bytes([mode, dialect, (dialect * 37) % 256, len(statement) % 256]) + statement)
    corpus.told()


class Names(dict):
    """Interned names, as far as there are any."""

    def __missing__(self, name):
        return 0


def records():
    """One of each kind; a request among them."""
    names = Names({"Controller/a": 1, "db.statement": 2})
    trace, time = b"\7" * 16, 1_795_000_049_000_000_000
    tags = {"db.statement": "SELECT 1 FROM t WHERE a = 'x'", "n": -1, "f": 0.5, "error": True}
    return [
        _encode.span(names, trace, 2, 1, time, time + 1_000_000, "SQL/Query", tags),
        _encode.request_tags(names, trace, time, {"path": "/a"}),
        _encode.error(names, trace, 2, time, "ValueError", "no", "a.py:1:in f", tags),
        _encode.metric(time, "Queue/depth", 1.5),
        _encode.event(time, "scout.metadata", '{"language":"c"}'),
        _encode.span(names, trace, 1, 0, time, time + 2_000_000, "Controller/a", None),
    ]


def record():
    corpus = Corpus("record")
    for each in records():
        corpus.add(each)
    corpus.add(b"".join(records()))
    corpus.told()


def name(number, text):
    """A name's definition; docs/record-format.md."""
    text = text.encode()
    size = (16 + len(text) + 7) // 8 * 8
    return struct.pack("<IBBHII%ds" % (size - 16), size, 6, 1, 0, number, 1 << 31 | len(text), text)


def segment(phase, purpose, born, covered, content):
    """As tests/fuzz_common/mod.rs reads it."""
    head = struct.pack("<QIIIQQH", 5 << 2 | phase, len(content), purpose, born, *covered, len(content))
    return head + content


def segments():
    corpus = Corpus("segments")
    names = segment(2, 1, 0, (0, 0), name(1, "Controller/a") + name(2, "db.statement"))
    content = b"".join(records())
    for committed in (0, 1, 2):
        # Written by threads; partly covered by the last checkpoint; carried over by it; by one that
        # never came to be.
        kinds = [
            segment(1, 0, 0, (0, 0), content),
            segment(2, 0, 0, (2 << 32 | len(records()[0]), 1 << 32), content),
            segment(2, 2, committed, (0, 0), content),
            segment(2, 2, committed + 1, (0, 0), content),
        ]
        head = b"\0" + struct.pack("<I", committed)
        for kind in kinds:
            corpus.add(head + names + kind)
        corpus.add(head + names + b"".join(kinds))
    corpus.told()


def main():
    sql()
    record()
    segments()


if __name__ == "__main__":
    main()
