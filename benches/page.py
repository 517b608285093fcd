"""docs/benchmarks.md: the rules, the budgets, and all rows."""

import os
import platform

from budgets import BUDGETS, MORE_IS_BETTER, WHY
from plot import nanos
from ratios import with_ratios

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
- **times ours**: a peer's figure, divided by that of our row of the same work in the same run. Where more is
  better (MB/s), below 1 is slower than ours.
- Low and high are the extremes of the rounds; of `sql`, those of the middle half of the statements.

## Budgets

| what | budget | measured | |
|---|---:|---:|---|
"""

SECTIONS = [
    ("native", "Native", "`benches/tracing`: through the loaded shared object, from C, beside tracers in Rust, and LTTng's user-space tracer with its daemon, which writes a trace. opentelemetry-cpp is not here: it would have to be built from source. CPU is the whole process's, threads behind the scenes included: ours analyses every request there and writes the minute. Instructions: `ffi-tests/hot/run.py`, under callgrind."),
    ("python", "Python", "`benches/languages/python.py`, and `peers.py` with the agents from PyPI."),
    ("ruby", "Ruby", "`benches/languages/ruby.rb`, through the ffi gem and through Fiddle, and `peers.rb` with what Debian has packages of."),
    ("elixir", "Elixir", "`benches/languages/elixir.exs`, a NIF. No peer is beside it: none is packaged by Debian."),
    ("node", "Node", "`benches/languages/node.js`, through koffi. By hand: `begin` and `end`, parents given. Current: `span` with a callback, the current span kept by AsyncLocalStorage; OpenTelemetry the same ways, with its batch processor."),
    ("engine", "Analysis", "`cargo bench --bench library -- analysis`: a span from its record to the merged minute. libdatadog's concentrator (`benches/peers`) is the half of that which adds up; histograms by themselves."),
    ("growth", "Growth", "The same, by endpoints of the application and by spans of a request.\n\n![Growth](growth.svg)"),
    ("sql", "SQL", "`cargo bench --bench library -- sql`: a corpus of statements, beside regular expressions, sqlparser and libdatadog (`benches/peers`)."),
    ("payload", "Payload", "`cargo bench --bench library -- payload`: rendering and compressing a minute; zlib-rs on the same bytes (`benches/peers`)."),
    ("spool", "Spool", "`cargo bench --bench library -- spool`: a minute's file, written, read, merged and compacted, on the disk that holds `target`. Elapsed time, for fsync waits."),
    ("freshness", "Freshness", "`benches/freshness.c`: how soon a recorded span is analysed, and how soon after its minute's end the minute is delivered, at three rates of recording at once. The background thread looks once a second when little comes, each 10 ms under load. A flush waits for neither."),
    ("footprint", "Footprint", "`benches/footprint.c`: what a process has more than without the library."),
]


def number(value):
    if value is None:
        return ""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return format(round(value), ",")
    return "%.3g" % value


def _budget_lines(rows):
    # The whole process's CPU is beside the time of some calls, under the same name.
    found = {}
    for row in rows:
        name = row["row"] + " (CPU)" if row["unit"] == "CPU ns/span" else row["row"]
        found[row["section"], name] = row["median"]
    for what, limit, unit, section, name, divisor in BUDGETS:
        more = unit in MORE_IS_BETTER
        budget = "%s %g %s" % (">=" if more else "<=", limit, unit)
        measured = found.get((section, name))
        if isinstance(divisor, str):
            divisor = found.get((section, divisor))
        if measured is None or divisor is None:
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
    peers = any(not row["ours"] for row in rows)
    lines = ["\n## %s\n\n%s\n" % (title, words)]
    lines.append("| | median | low | high | unit |%s |" % (" times ours |" if peers else ""))
    lines.append("|---|---:|---:|---:|---|%s---|" % ("---:|" if peers else ""))
    for row in rows:
        name = "**%s**" % row["row"] if row["ours"] else row["row"]
        figures = [number(row[key]) for key in ("median", "low", "high")]
        cells = [name, *figures, row["unit"], row["note"]]
        if peers:
            cells.insert(5, number(row["ratio"]))
        lines.append("| %s |" % " | ".join(cells))
    return "\n".join(lines) + "\n"


# README's table: what, section, our row, the peers' rows.
SHORT = [
    ("C: record a span, times given", "native", "scout_record_span, interned, crash-safe, 1 thread", []),
    ("C: begin and end a span", "native", "scout_span_begin + end, crash-safe, 1 thread",
     ["fastrace, LocalSpan", "LTTng-UST, one event a span", "opentelemetry_sdk, batch", "tracing + tracing-opentelemetry, batch", "sentry"]),
    ("Python: a span with a statement", "python", "scoutcore, a statement",
     ["ddtrace", "scout-apm, without a core agent", "opentelemetry-sdk, batch processor",
      "elastic-apm, sending disabled", "sentry-sdk"]),
    ("Ruby (ffi): a span with a statement", "ruby", "ffi: a statement", ["sentry-ruby", "jaeger-client (OpenTracing)"]),
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
            base = found[section, ours]
            beside = ["%s %s (%s times)" % (name.split(",")[0], nanos(found[section, name]), number(found[section, name] / base))
                      for name in peers if (section, name) in found]  # fmt: skip
            lines.append("| %s | %s | %s |" % (what, nanos(base), ", ".join(beside)))
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, _, rest = text.partition(BEGIN)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


def write(rows, failed, took, path):
    rows = list(with_ratios(rows))
    machine = "%s, %d cores, %s" % (platform.machine(), os.cpu_count() or 1, platform.system())
    text = HEAD.format(machine=machine)
    text += "".join("| %s | %s | %s | %s |\n" % line for line in _budget_lines(rows))
    if failed:
        text += "\nThese steps failed in this run, and their rows are missing or old: %s.\n" % ", ".join(failed)
    if took:
        text += "\nThe run took %.1f minutes: %s.\n" % (
            sum(seconds for _, seconds in took) / 60, ", ".join("%s %.0f s" % each for each in took))  # fmt: skip
    text += "".join(_section(rows, *section) for section in SECTIONS)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
