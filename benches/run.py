#!/usr/bin/env python3
"""Runs all benchmarks, and writes docs/benchmarks.md, its two plots and the table in README.md.

    make bench                          # everything, unattended, in under 15 minutes on two cores
    make bench ONLY=sql,python          # some steps; the rest as last measured
    make bench ONLY=none                # only the page, from what was measured

First all is built (builds.py), then measured, step by step. Each step appends its rows to
target/bench/STEP.jsonl: one JSON object a line, with section, row, ours, unit, median, low, high and
note. A step that fails is named on the page, and fails the run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import builds
import page
import plot
from builds import HERE, OUTPUT, ROOT

LIBRARY = os.path.join(ROOT, "target", "release", "libscoutcore.so")
LANGUAGES = os.path.join(HERE, "languages")
# What the library's benchmark rendered, for other compressors.
PAYLOAD = os.path.join(OUTPUT, "checkin.json")
RATES = [100, 10_000, 100_000]
MIB = 1 << 20


def run(*command, **environment):
    """Runs a command to its end, in this repository, with the library that was built."""
    variables = {**os.environ, "SCOUTCORE_LIB": LIBRARY, **environment}
    subprocess.run(command, cwd=ROOT, env=variables, check=True, timeout=600)


def write(rows, section, name, unit, samples, note=""):
    """Appends a row, with the median and the extremes of the samples."""
    median = statistics.median(samples)
    line = {"section": section, "row": name, "ours": True, "unit": unit, "median": median,
            "low": min(samples), "high": max(samples), "note": note}  # fmt: skip
    print("%-64s %10.2f %s" % (name, median, unit), flush=True)
    with open(rows, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def compiled(source, folder):
    """A C program of this folder."""
    program = os.path.join(folder, os.path.splitext(source)[0])
    run("gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-Iinclude",
        os.path.join(HERE, source), "-o", program, "-ldl", "-pthread")  # fmt: skip
    return program


def part(rows, *names):
    """Parts of the benchmark in Rust."""
    run("cargo", "bench", "--bench", "library", "--", *names, SCOUT_BENCH_JSON=rows, SCOUT_BENCH_PAYLOAD=PAYLOAD)


def native(rows):
    """The hot path from C beside other tracers: time of the calls, and CPU of the whole process."""
    run(sys.executable, os.path.join(HERE, "tracing", "run.py"), "--jsonl", rows, "--rounds", "5")


def instructions(rows):
    """Instructions of the hot paths, under callgrind."""
    # Over budget, it fails; that is for the tests, here the rows count.
    script = os.path.join(ROOT, "ffi-tests", "hot", "run.py")
    variables = {**os.environ, "SCOUTCORE_LIB": LIBRARY}
    subprocess.run([sys.executable, script, "--jsonl", rows], env=variables, check=False, timeout=300)
    if not os.path.exists(rows):
        raise OSError("nothing was counted")


def engine(rows):
    part(rows, "analysis", "growth")


def payload(rows):
    part(rows, "payload")


def spool(rows):
    part(rows, "spool")


def sql(rows):
    part(rows, "sql")


def peers(rows):
    program = os.path.join(builds.PEERS, "release", "scoutcore-peers")
    run(program, SCOUT_BENCH_JSON=rows, SCOUT_BENCH_PAYLOAD=PAYLOAD)


def freshness(rows):
    """How soon what was recorded is analysed and delivered, at several rates at once."""
    with tempfile.TemporaryDirectory() as folder:
        program = compiled("freshness.c", folder)
        places = [os.path.join(folder, str(rate)) for rate in RATES]
        for place in places:
            os.mkdir(place)
        running = [subprocess.Popen([program, LIBRARY, place, str(rate)], stdout=subprocess.PIPE, text=True)
                   for rate, place in zip(RATES, places)]  # fmt: skip
        found = [json.loads(each.communicate(timeout=300)[0]) for each in running]
    for rate, of in zip(RATES, found):
        if of["delivered_ms"] < 0:
            raise OSError("at %d spans a second nothing was delivered" % rate)
        at = "%s spans a second" % format(rate, ",")
        note = "of %s spans, %d refused" % (format(of["recorded"], ","), of["refused"])
        for place, name in enumerate(("median", "99th percentile", "most")):
            write(rows, "freshness", "recorded to analysed, %s: %s" % (at, name), "ms", [of["drained_ms"][place]], note)
        write(rows, "freshness", "minute's end to its payload, %s" % at, "ms", [of["delivered_ms"]],
              "stragglers are waited for 5 s, and 0 to 2 s more so that processes do not all look at once")  # fmt: skip
        for place, name in enumerate(("median", "most")):
            write(rows, "freshness", "scout_flush, 1,000 spans before it, after %s: %s" % (at, name), "ms",
                  [of["flush_ms"][place * 2]], "25 of them: analysed, fsynced, delivered as a file, fsynced")  # fmt: skip


def python(rows):
    run(sys.executable, os.path.join(LANGUAGES, "python.py"), SCOUT_BENCH_JSON=rows)
    interpreter = os.path.join(builds.VENV, "bin", "python")
    for peer in ("opentelemetry", "ddtrace", "sentry", "elastic", "scout"):
        run(interpreter, os.path.join(LANGUAGES, "peers.py"), peer, SCOUT_BENCH_JSON=rows)


def ruby(rows):
    for backend in ("ffi", "fiddle"):
        run("ruby", os.path.join(LANGUAGES, "ruby.rb"), backend, SCOUT_BENCH_JSON=rows)
    for peer in ("sentry", "jaeger"):
        run("ruby", os.path.join(LANGUAGES, "peers.rb"), peer, SCOUT_BENCH_JSON=rows)


def elixir(rows):
    script = os.path.join(LANGUAGES, "elixir.exs")
    run("elixir", "-pa", os.path.join(builds.ELIXIR, "ebin"), script, SCOUT_BENCH_JSON=rows)


def node(rows):
    run("node", os.path.join(LANGUAGES, "node.js"), SCOUT_BENCH_JSON=rows, NODE_PATH=builds.NODE_MODULES)


def footprint(rows):
    """Sizes of the shared object by feature; memory, threads and wake-ups of a host."""
    objects = [("made for speed, all features (the default)", LIBRARY)]
    objects += [(name, builds.object_path(name)) for name, _, _ in builds.OBJECTS]
    with tempfile.TemporaryDirectory() as folder:
        for name, library in objects:
            stripped = os.path.join(folder, "stripped.so")
            run("strip", "-o", stripped, library)
            size = os.path.getsize(stripped) / MIB
            write(rows, "footprint", "shared object, " + name, "MiB", [size], "stripped")
        program = compiled("footprint.c", folder)
        told = subprocess.run([program, LIBRARY, os.path.join(folder, "data")], stdout=subprocess.PIPE,
                              check=True, timeout=300, text=True).stdout  # fmt: skip
    found = json.loads(told)

    def row(name, unit, value, note=""):
        write(rows, "footprint", name, unit, [value], note)

    refused = "%d of 500,000 spans refused" % found["refused"]
    row("resident memory, idle", "MiB", found["idle_kib"] / 1024)
    row("resident memory, 100,000 spans a second", "MiB", found["loaded_kib"] / 1024, refused)
    row("threads", "threads", found["threads"], "one more with a remote destination")
    row("wake-ups, nothing recorded", "a second", found["wakeups_silent"], "over 20 s")
    row("wake-ups, a span a second", "a second", found["wakeups_seldom"], "over 10 s")


# Each step, and what it needs built. In this order: peers compress what `payload` rendered.
STEPS = {
    "native": (native, ["library", "tracing"]),
    "instructions": (instructions, ["library"]),
    "engine": (engine, ["library"]),
    "payload": (payload, ["library"]),
    "spool": (spool, ["library"]),
    "sql": (sql, ["library"]),
    "peers": (peers, ["library", "peers"]),
    "python": (python, ["library", "python"]),
    "ruby": (ruby, ["library"]),
    "elixir": (elixir, ["library", "elixir"]),
    "node": (node, ["library", "node"]),
    "freshness": (freshness, ["library"]),
    "footprint": (footprint, ["library", "objects"]),
}


def measured():
    """All rows there are, in the order of the steps."""
    rows = []
    for step in STEPS:
        path = os.path.join(OUTPUT, step + ".jsonl")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                rows.extend(json.loads(line) for line in file if line.strip())
    return rows


def step(name, unbuilt):
    """Runs it; what went wrong, or None."""
    measure, needs = STEPS[name]
    rows = os.path.join(OUTPUT, name + ".jsonl")
    if os.path.exists(rows):
        os.remove(rows)
    try:
        for need in needs:
            if need in unbuilt:
                raise OSError("%s was not built: %s" % (need, unbuilt[need]))
        measure(rows)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", help="steps, separated by commas: %s; or none" % ", ".join(STEPS))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else list(STEPS)
    wanted = [name for name in STEPS if name in wanted]
    os.makedirs(OUTPUT, exist_ok=True)
    start = time.monotonic()
    unbuilt = builds.prepare({need for name in wanted for need in STEPS[name][1]})
    times, failed = [("building", time.monotonic() - start)], []
    for name in wanted:
        print("== %s" % name, flush=True)
        began = time.monotonic()
        wrong = step(name, unbuilt)
        if wrong:
            print("FAILED: %s: %s" % (name, wrong), flush=True)
            failed.append(name)
        times.append((name, time.monotonic() - began))
        print("== %s took %.0f s" % times[-1], flush=True)
    rows = measured()
    docs = os.path.join(ROOT, "docs")
    plot.bars(rows, os.path.join(docs, "benchmarks.svg"))
    plot.growth(rows, os.path.join(docs, "growth.svg"))
    # Of some steps alone the page says nothing.
    took = times if len(wanted) == len(STEPS) else []
    page.write(rows, failed, took, os.path.join(docs, "benchmarks.md"))
    page.short(rows, os.path.join(ROOT, "README.md"))
    print("== all: %.0f s; %s" % (time.monotonic() - start, ", ".join("%s %.0f" % each for each in times)), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
