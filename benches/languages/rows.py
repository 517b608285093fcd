"""Rows for docs/benchmarks.md: one JSON object a line, appended to the file $SCOUT_BENCH_JSON names."""

import json
import os


def write(section, row, samples, unit="ns/span", ours=True, note=""):
    """Appends a row, with the median and the extremes of the samples; prints it too."""
    samples = sorted(samples)
    median = samples[len(samples) // 2]
    print("%-58s %10.1f %s" % (row, median, unit), flush=True)
    path = os.environ.get("SCOUT_BENCH_JSON")
    if path:
        line = {"section": section, "row": row, "ours": ours, "unit": unit, "median": median,
                "low": samples[0], "high": samples[-1], "note": note}  # fmt: skip
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
