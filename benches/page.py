"""docs/benchmarks.md: the rules, the budgets, and all rows."""

import os
import platform

from budgets import BUDGETS, MORE_IS_BETTER, WHY
from plot import nanos

HEAD = """# Benchmarks

Written by `make bench`; nothing here is written by hand. Figures are medians of one run on
{machine}: compare rows of this page with each other, not with another machine's.

![What recording a span costs](benchmarks.svg)

## The rules

- All rows of one section are of one run, with the same work: in Python, Ruby, Elixir and Node a
  request with thirty spans in it.
- Peers do what they do in production up to the exporter, and the exporter discards: no network, no
  sampling, no attribute left out. A statement is an attribute on both sides.
- **The clock** is read by the binding or the peer, unless a row says that times are given.
- A figure is nanoseconds of CPU of the thread that records (native and Elixir: of elapsed time).
  Native rows have the whole process's CPU beside it, since tracers move work to other threads.
- Rounds whose records found no room do not count: such a run fails.
- A *floor* is the least that the runtime asks: an empty foreign call.
- Low and high are the extremes of the rounds; of `sql`, those of the middle half of the statements.

## Budgets

| what | budget | measured | |
|---|---:|---:|---|
"""

SECTIONS = [
    ("native", "Native", "`benches/tracing`: through the loaded shared object, from C, beside tracers in Rust. CPU is the whole process's, threads behind the scenes included: ours analyses every request there and writes the minute. Instructions: `ffi-tests/hot/run.py`, under callgrind."),
    ("python", "Python", "`benches/languages/python.py`, and `peers.py` with the agents from PyPI."),
    ("ruby", "Ruby", "`benches/languages/ruby.rb`, through the ffi gem and through Fiddle."),
    ("elixir", "Elixir", "`benches/languages/elixir.exs`, a NIF."),
    ("node", "Node", "`benches/languages/node.js`, through koffi. By hand: `begin` and `end`, parents given. Current: `span` with a callback, the current span kept by AsyncLocalStorage; OpenTelemetry the same ways, with its batch processor."),
    ("engine", "Analysis", "`cargo bench --bench engine`: a span from its record to the merged minute."),
    ("growth", "Growth", "The same, by endpoints of the application and by spans of a request.\n\n![Growth](growth.svg)"),
    ("sql", "SQL", "`cargo bench --bench sql`: a corpus of statements; the regular expressions and sqlparser for comparison."),
    ("payload", "Payload", "Rendering and compressing a minute."),
    ("footprint", "Footprint", "`benches/footprint.c`: what a process has more than without the library."),
]


def number(value):
    if value is None:
        return ""
    if value == 0:
        return "0"
    if value >= 100:
        return format(round(value), ",")
    return "%.3g" % value


def _budget_lines(rows):
    # The whole process's CPU is beside the time of some calls, under the same name.
    found = {(row["section"], row["row"]): row["median"] for row in rows if row["unit"] != "CPU ns/span"}
    for what, limit, unit, section, name, divisor in BUDGETS:
        more = unit in MORE_IS_BETTER
        budget = "%s %g %s" % (">=" if more else "<=", limit, unit)
        measured = found.get((section, name))
        if measured is None:
            yield what, budget, "", "not measured in this run"
            continue
        value = measured / divisor
        if value >= limit if more else value <= limit:
            verdict = "kept"
        else:
            times = limit / value if more and value else value / limit if limit else 0
            verdict = "**missed** by %.2g times." % times if times else "**missed**."
            verdict = "%s %s" % (verdict, WHY.get(what, "")) if what in WHY else verdict
        yield what, budget, number(value), verdict


def _section(rows, key, title, words):
    rows = [row for row in rows if row["section"] == key]
    if not rows:
        return ""
    lines = ["\n## %s\n\n%s\n" % (title, words), "| | median | low | high | unit | |", "|---|---:|---:|---:|---|---|"]
    for row in rows:
        name = "**%s**" % row["row"] if row["ours"] else row["row"]
        figures = [number(row[key]) for key in ("median", "low", "high")]
        lines.append("| %s | %s | %s | %s | %s | %s |" % (name, *figures, row["unit"], row["note"]))
    return "\n".join(lines) + "\n"


# README's table: what, section, our row, the peers' rows.
SHORT = [
    ("C: record a span, times given", "native", "scout_record_span, interned, crash-safe, 1 thread", []),
    ("C: begin and end a span", "native", "scout_span_begin + end, crash-safe, 1 thread",
     ["fastrace, LocalSpan", "opentelemetry_sdk, batch", "tracing + tracing-opentelemetry, batch", "sentry"]),
    ("Python: a span with a statement", "python", "scoutcore, a statement",
     ["ddtrace", "scout-apm, without a core agent", "opentelemetry-sdk, batch processor",
      "elastic-apm, sending disabled", "sentry-sdk"]),
    ("Ruby (ffi): a span with a statement", "ruby", "ffi: a statement", []),
    ("Elixir: a span with a statement", "elixir", "Scout.span, a statement", []),
    ("Node: a span with a statement", "node", "current, a statement",
     ["@opentelemetry/sdk-trace-base, current"]),
]  # fmt: skip
BEGIN, END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->"


def short(rows, path):
    """Writes the short table into README."""
    found = {(row["section"], row["row"]): row["median"] for row in rows if row["unit"] == "ns/span"}
    lines = ["| | scoutcore | peers |", "|---|---:|---|"]
    for what, section, ours, peers in SHORT:
        if (section, ours) in found:
            beside = ["%s %s" % (name.split(",")[0], nanos(found[section, name]))
                      for name in peers if (section, name) in found]  # fmt: skip
            lines.append("| %s | %s | %s |" % (what, nanos(found[section, ours]), ", ".join(beside)))
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, _, rest = text.partition(BEGIN)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


def write(rows, failed, path):
    machine = "%s, %d cores, %s" % (platform.machine(), os.cpu_count() or 1, platform.system())
    text = HEAD.format(machine=machine)
    text += "".join("| %s | %s | %s | %s |\n" % line for line in _budget_lines(rows))
    if failed:
        text += "\nThese steps failed in this run, and their rows are missing or old: %s.\n" % ", ".join(failed)
    text += "".join(_section(rows, *section) for section in SECTIONS)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
