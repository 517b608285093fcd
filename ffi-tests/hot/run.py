#!/usr/bin/env python3
"""Instructions that the hot paths take, counted by callgrind through the built shared object.

    ffi-tests/hot/run.py                  # each path against its budget
    ffi-tests/hot/run.py --jsonl FILE     # and one line a path, for docs/benchmarks.md
    SCOUTCORE_LIB=/usr/lib/libscoutcore.so ffi-tests/hot/run.py

A count does not depend on how busy the machine is: a path that got longer fails here, each time.
What is counted is the exported call with all that it calls; two runs of a path that differ in how
often they call it differ by its price. Budgets are what was measured and a small margin, or those
of the plan where they are lower; a path that got shorter deserves a lower budget.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUTPUT = os.path.join(ROOT, "target", "ffi-tests", "hot")

RECORD = ["scout_record_span"]
FLUSH = ["scout_flush"]
# What is measured, how it is called, the exports counted, the two numbers of spans, the budget.
# Recording stays within one segment: going on in the next is once in a thousand spans.
PATHS = [
    ("scout_record_span, interned", "record_interned", RECORD, (100, 500), 90),
    ("scout_record_span, name and 2 tags copied", "record_copied", RECORD, (50, 250), 150),
    ("scout_span_begin and scout_span_end", "begin_end", ["scout_span_begin", "scout_span_end"], (100, 500), 200),
    ("scout_record_batch, a record", "record_batch", ["scout_record_batch"], (100, 500), 200),
    ("analysis, a span, interned", "analyse_interned", FLUSH, (3200, 9600), 2000),
    ("analysis, a span, statement known", "analyse_sql_hit", FLUSH, (3200, 9600), 2000),
    ("analysis, a span, statement new", "analyse_sql_miss", FLUSH, (3200, 9600), 20000),
    ("scout_sql_sanitize", "sanitize", ["scout_sql_sanitize"], (50, 250), 6000),
]


def build():
    os.makedirs(OUTPUT, exist_ok=True)
    program = os.path.join(OUTPUT, "count")
    subprocess.run(
        ["gcc", "-std=c11", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
         "-I" + os.path.join(ROOT, "include"), os.path.join(HERE, "count.c"), "-o", program, "-ldl"],
        check=True,
    )
    return program


def counted(program, library, path, exports, n):
    """Instructions of all calls of the exports, in a process that calls them for n spans."""
    with tempfile.TemporaryDirectory() as folder:
        # The clock's line is drawn by the background thread; analysis is counted without one.
        options = {
            "name": "hot", "data_dir": folder, "destination": "file://" + folder,
            "background": exports is not FLUSH, "recorder_memory_mib": 64,
        }
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SCOUT")}
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + os.path.join(folder, "out")]
        command += ["--toggle-collect=" + name for name in exports]
        command += [program, library, json.dumps(options), path, str(n)]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        found = re.search(r"Collected : (\d+)", ran.stderr)
        if ran.returncode or not found:
            sys.exit("%s: exit status %d\n%s" % (path, ran.returncode, ran.stderr))
        return int(found.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jsonl", help="where to write a line a path")
    parser.add_argument("--match", default="", help="only paths with this in their name")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("FAIL hot: valgrind is not installed")
    library = os.path.abspath(
        os.environ.get("SCOUTCORE_LIB") or os.path.join(ROOT, "target", "release", "libscoutcore.so")
    )
    program = build()
    failed, rows = 0, []
    for row, path, exports, (few, many), budget in PATHS:
        if options.match not in path:
            continue
        counts = [counted(program, library, path, exports, n) for n in (few, many)]
        each = (counts[1] - counts[0]) / (many - few)
        # Less than nothing, or next to it, is no good news: then the calls were not counted.
        verdict = "PASS" if 10 < each <= budget else "FAIL"
        failed += verdict == "FAIL"
        print("%s hot/%s: %.1f instructions, budget %d" % (verdict, path, each, budget), flush=True)
        rows.append({
            "section": "native", "row": row, "ours": True, "unit": "instructions",
            "median": round(each, 1), "low": round(each, 1), "high": round(each, 1),
            "note": "callgrind; budget %d" % budget,
        })
    if options.jsonl:
        with open(options.jsonl, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
