#!/usr/bin/env python3
"""Recording natively, beside Rust's tracers: a table, and a line of JSON a row.

    benches/tracing/run.py                # five rounds of all rows
    benches/tracing/run.py --rounds 9
    benches/tracing/run.py --ours         # without the peers, which take a minute to build

Needs `make build`. The rules: every row is a process of its own and a round runs each once, so that
the machine's moods fall on all of them alike; medians of the rounds are shown, and the lowest and the
highest. All do the same requests of one root and fifteen children, in bursts with pauses. Where a
row has a clock inside, all beside it have; where it has two attributes, the same two. `cpu` is all
that the process used, threads that work behind the scenes included; ours analyses every request
there, writes minutes, and keeps records safe from the process's death; the peers' exporters
throw away what they get. LTTng, where it is installed, writes its trace, as its users have it; the
CPU of its daemons is in its figure.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile

from lttng.session import Session, is_installed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGET = os.path.join(ROOT, "target", "bench")
LIBRARY = os.environ.get("SCOUTCORE_LIB") or os.path.join(ROOT, "target", "release", "libscoutcore.so")
REQUESTS = 32 * 1024

OURS = [
    # row, its name in ours.c, threads, on file
    ("scout_record_span, interned, crash-safe, 1 thread", "interned", 1, True),
    ("scout_record_span, interned, memory, 1 thread", "interned", 1, False),
    ("scout_record_span, interned, crash-safe, 2 threads", "interned", 2, True),
    ("scout_record_span, 20-byte name and 2 attributes copied, crash-safe, 1 thread", "copied", 1, True),
    ("scout_record_span, 20-byte name and 2 attributes copied, crash-safe, 2 threads", "copied", 2, True),
    ("scout_span_begin + end, crash-safe, 1 thread", "begin_end", 1, True),
    ("scout_span_begin + end, crash-safe, 2 threads", "begin_end", 2, True),
    ("scout_span_begin + end, 2 attributes, crash-safe, 1 thread", "begin_end_tags", 1, True),
]
PEERS = [
    ("fastrace, LocalSpan", "fastrace"),
    ("fastrace, LocalSpan, 2 attributes", "fastrace+tags"),
    ("opentelemetry_sdk, batch", "opentelemetry"),
    ("opentelemetry_sdk, batch, 2 attributes", "opentelemetry+tags"),
    ("tracing + tracing-opentelemetry, batch", "tracing"),
    ("tracing + tracing-opentelemetry, batch, 2 attributes", "tracing+tags"),
    ("sentry", "sentry"),
    ("sentry, 2 attributes", "sentry+tags"),
]


def build(with_peers):
    os.makedirs(TARGET, exist_ok=True)
    program = os.path.join(TARGET, "tracing-ours")
    source = os.path.join(HERE, "ours.c")
    subprocess.run(
        ["gcc", "-std=c11", "-O2", "-D_GNU_SOURCE", "-pthread", "-I" + os.path.join(ROOT, "include"),
         "-I" + os.path.join(ROOT, "ffi-tests", "hot"), source, "-o", program, "-ldl"],
        check=True,
    )
    peers = os.path.join(ROOT, "target", "tracing-peers")
    if with_peers:
        manifest = os.path.join(HERE, "Cargo.toml")
        subprocess.run(
            ["cargo", "build", "--release", "--quiet", "--manifest-path", manifest, "--target-dir", peers],
            check=True,
        )
    return program, os.path.join(peers, "release", "scoutcore-tracing-peers")


LTTNG = [
    ("LTTng-UST, one event a span", "lttng"),
    ("LTTng-UST, one event a span, 2 attributes", "lttng+tags"),
]


def ran(command):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SCOUT", "OTEL_"))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit("%s: exit status %d\n%s" % (command, done.returncode, done.stderr))
    return [float(word) for word in done.stdout.split()]


def ours(program, row, threads, on_file):
    with tempfile.TemporaryDirectory() as folder:
        options = {"name": "bench", "destination": "file://" + folder}
        # A file is no directory: records stay in memory then, as where nothing can be written.
        options["data_dir"] = folder if on_file else os.path.abspath(__file__)
        return ran([program, LIBRARY, json.dumps(options), row, str(REQUESTS), str(threads)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours", action="store_true", help="without the peers")
    parser.add_argument("--jsonl", default=os.path.join(TARGET, "native.jsonl"), help="where to add the rows")
    options = parser.parse_args()
    program, peers = build(not options.ours)
    rows = {}
    with_lttng = not options.ours and is_installed()
    if not options.ours and not with_lttng:
        print("SKIPPED: LTTng is not installed (Debian: lttng-tools, liblttng-ust-dev)")
    with Session(TARGET) if with_lttng else contextlib.nullcontext() as session:
        for _ in range(options.rounds):
            for name, row, threads, on_file in OURS:
                rows.setdefault((name, True), []).append(ours(program, row, threads, on_file))
            for name, row in [] if options.ours else PEERS:
                rows.setdefault((name, False), []).append(ran([peers, row, str(REQUESTS // 4)]))
            for name, row in LTTNG if session else []:
                rows.setdefault((name, False), []).append(session.run(row, REQUESTS // 4))
    with open(options.jsonl, "a", encoding="utf-8") as file:
        print("%-84s %8s %18s %8s" % ("", "ns/span", "from .. to", "CPU ns"))
        for (name, is_ours), runs in rows.items():
            lost = sum(run[2] for run in runs if len(run) > 2)
            shown = []
            for column, metric in ((0, "ns/span"), (1, "CPU ns/span")):
                values = [run[column] for run in runs]
                shown.append((statistics.median(values), min(values), max(values)))
                note = "%d rounds" % len(values) + (", %d spans refused" % lost if lost else "")
                line = {
                    "section": "native", "row": name, "ours": is_ours, "unit": metric,
                    "median": round(shown[-1][0], 1), "low": round(shown[-1][1], 1),
                    "high": round(shown[-1][2], 1), "note": note,
                }
                file.write(json.dumps(line) + "\n")
            (wall, low, high), (cpu, _, _) = shown
            tail = "  (%d spans refused)" % lost if lost else ""
            print("%-84s %8.1f %8.1f ..%8.1f %8.1f%s" % (name, wall, low, high, cpu, tail))


if __name__ == "__main__":
    main()
