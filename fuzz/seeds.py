#!/usr/bin/env python3
"""Writes the fuzz target's seeds: every statement of ../shared/vectors/sql, raw in each dialect and as a literal's content."""
import base64, hashlib, json, pathlib, sys

here = pathlib.Path(__file__).resolve().parent
vectors = here.parent.parent / "shared" / "vectors" / "sql"
target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "corpus" / "sql"
if not vectors.is_dir():
    sys.exit("SKIPPED: ../shared/vectors/sql is not there")
target.mkdir(parents=True, exist_ok=True)

statements = set()
for file in sorted(vectors.glob("*.json")):
    for case in json.loads(file.read_text()):
        if case.get("sql_b64"):
            statements.add(base64.b64decode(case["sql_b64"]))
            continue
        given = case.get("input", case.get("sql", ""))
        if isinstance(given, dict):
            given = given.get("query", "")
        if isinstance(given, str):
            statements.add(given.encode("utf-8", "surrogatepass"))

count = 0
for statement in sorted(statements):
    if len(statement) > 4096:
        continue
    for dialect in range(7):
        for mode in (0, 1, 2, 3):
            if mode and dialect != len(statement) % 7:
                continue
            seed = bytes([mode, dialect, (dialect * 37) % 256, len(statement) % 256]) + statement
            (target / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
            count += 1
print(f"{count} seeds from {len(statements)} statements in {target}")
