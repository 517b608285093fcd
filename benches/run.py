#!/usr/bin/env python3
"""Runs all benchmarks, and writes docs/benchmarks.md, its two plots and the table in README.md.

    make bench                          # everything
    benches/run.py --only sql,python    # some steps; the rest as last measured
    benches/run.py --only none          # only the page, from what was measured

Each step appends its rows to target/bench/STEP.jsonl: one JSON object a line, with section, row,
ours, unit, median, low, high and note. A step that fails is named on the page, and fails the run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import page
import plot

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OUTPUT = os.path.join(ROOT, "target", "bench")
LIBRARY = os.path.join(ROOT, "target", "release", "libscoutcore.so")
LANGUAGES = os.path.join(HERE, "languages")
PYPI = ["opentelemetry-sdk", "ddtrace", "sentry-sdk", "elastic-apm", "scout-apm"]
NPM = ["koffi", "@opentelemetry/api", "@opentelemetry/sdk-trace-base", "@opentelemetry/context-async-hooks"]
MIB = 1 << 20


def run(*command, **environment):
    """Runs a command to its end, in this repository, with the library that was built."""
    variables = {**os.environ, "SCOUTCORE_LIB": LIBRARY, **environment}
    subprocess.run(command, cwd=ROOT, env=variables, check=True, timeout=1200)


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


def told(program, folder):
    """The lines of JSON that it prints."""
    command = [program, LIBRARY, os.path.join(folder, "data")]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300, text=True)
    return [json.loads(line) for line in told.stdout.splitlines()]


def native(rows):
    """The hot path from C beside Rust's tracers: time of the calls, and CPU of the whole process."""
    run(sys.executable, os.path.join(HERE, "tracing", "run.py"), "--jsonl", rows)


def instructions(rows):
    """Instructions of the hot paths, under callgrind."""
    # Over budget, it fails; that is for the tests, here the rows count.
    script = os.path.join(ROOT, "ffi-tests", "hot", "run.py")
    variables = {**os.environ, "SCOUTCORE_LIB": LIBRARY}
    subprocess.run([sys.executable, script, "--jsonl", rows], env=variables, check=False, timeout=300)
    if not os.path.exists(rows):
        raise OSError("nothing was counted")


def engine(rows):
    payload = os.path.join(OUTPUT, "checkin.json")
    run("cargo", "bench", "--bench", "engine", SCOUT_BENCH_JSON=rows, SCOUT_BENCH_PAYLOAD=payload)


def sql(rows):
    run("cargo", "bench", "--bench", "sql", SCOUT_BENCH_JSON=rows)


def peers(rows):
    manifest = os.path.join(HERE, "peers", "Cargo.toml")
    run("cargo", "run", "--release", "--manifest-path", manifest, SCOUT_BENCH_JSON=rows)


def python(rows):
    run(sys.executable, os.path.join(LANGUAGES, "python.py"), SCOUT_BENCH_JSON=rows)
    venv = os.path.join(ROOT, "target", "bench-venv")
    interpreter = os.path.join(venv, "bin", "python")
    if not os.path.exists(os.path.join(venv, "complete")):
        run(sys.executable, "-m", "venv", venv)
        run(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYPI)
        open(os.path.join(venv, "complete"), "w", encoding="ascii").close()
    for peer in ("opentelemetry", "ddtrace", "sentry", "elastic", "scout"):
        run(interpreter, os.path.join(LANGUAGES, "peers.py"), peer, SCOUT_BENCH_JSON=rows)


def ruby(rows):
    for backend in ("ffi", "fiddle"):
        run("ruby", os.path.join(LANGUAGES, "ruby.rb"), backend, SCOUT_BENCH_JSON=rows)


def elixir(rows):
    built = os.path.join(ROOT, "target", "bench-elixir")
    run("make", "-s", "-C", os.path.join(ROOT, "examples", "elixir"), "OUT=" + built)
    script = os.path.join(LANGUAGES, "elixir.exs")
    run("elixir", "-pa", os.path.join(built, "ebin"), script, SCOUT_BENCH_JSON=rows)


def node(rows):
    modules = os.path.join(ROOT, "target", "bench-node", "node_modules")
    if not all(os.path.exists(os.path.join(modules, package)) for package in NPM):
        run("npm", "install", "--silent", "--no-save", "--prefix", os.path.dirname(modules), *NPM)
    run("node", os.path.join(LANGUAGES, "node.js"), SCOUT_BENCH_JSON=rows, NODE_PATH=modules)


def footprint(rows):
    """Sizes of the shared object by feature; memory, threads and wake-ups of a host."""
    target = os.path.join(ROOT, "target", "bench-small")
    run("cargo", "rustc", "--release", "--lib", "--crate-type", "cdylib", "--no-default-features",
        "--target-dir", target)  # fmt: skip
    small = os.path.join(target, "release", "libscoutcore.so")
    with tempfile.TemporaryDirectory() as folder:
        for name, library in (("default features", LIBRARY), ("no features", small)):
            stripped = os.path.join(folder, "stripped.so")
            run("strip", "-o", stripped, library)
            size = os.path.getsize(stripped) / MIB
            write(rows, "footprint", "shared object, " + name, "MiB", [size], "stripped")
        found = told(compiled("footprint.c", folder), folder)[0]

    def row(name, unit, value, note=""):
        write(rows, "footprint", name, unit, [value], note)

    refused = "%d of 500,000 spans refused" % found["refused"]
    row("resident memory, idle", "MiB", found["idle_kib"] / 1024)
    row("resident memory, 100,000 spans a second", "MiB", found["loaded_kib"] / 1024, refused)
    row("threads", "threads", found["threads"], "one more with a remote destination")
    row("wake-ups, nothing recorded", "a second", found["wakeups_silent"], "over 20 s")
    row("wake-ups, a span a second", "a second", found["wakeups_seldom"], "over 10 s")


STEPS = {"native": native, "instructions": instructions, "engine": engine, "sql": sql, "peers": peers, "python": python, "ruby": ruby,
         "elixir": elixir, "node": node, "footprint": footprint}  # fmt: skip


def measured():
    """All rows there are, in the order of the steps."""
    rows = []
    for step in STEPS:
        path = os.path.join(OUTPUT, step + ".jsonl")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                rows.extend(json.loads(line) for line in file if line.strip())
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", help="steps, separated by commas: %s; or none" % ", ".join(STEPS))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else list(STEPS)
    os.makedirs(OUTPUT, exist_ok=True)
    failed = []
    for name in (step for step in STEPS if step in wanted):
        print("== %s" % name, flush=True)
        rows, began = os.path.join(OUTPUT, name + ".jsonl"), time.monotonic()
        if os.path.exists(rows):
            os.remove(rows)
        try:
            STEPS[name](rows)
        except (OSError, subprocess.SubprocessError) as error:
            print("FAILED: %s: %s" % (name, error), flush=True)
            failed.append(name)
        print("== %s took %.0f s" % (name, time.monotonic() - began), flush=True)
    rows = measured()
    docs = os.path.join(ROOT, "docs")
    plot.bars(rows, os.path.join(docs, "benchmarks.svg"))
    plot.growth(rows, os.path.join(docs, "growth.svg"))
    page.write(rows, failed, os.path.join(docs, "benchmarks.md"))
    page.short(rows, os.path.join(ROOT, "README.md"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
