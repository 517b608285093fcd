#!/usr/bin/env python3
"""Compares payload directories: same input, same payload.

    compare.py DIRECTORY DIRECTORY...

Each is normalised - what a run cannot help to differ in goes - and compared with the first. Prints
the first differences, and exits with 1, if there are any.
"""

import difflib
import json
import os
import sys

import payloads

# Different in each run, whatever the input: who sent it and when, and what a trace's age makes of
# its score. Times of requests are part of the input, and stay.
RUN = {
    "agent_pid", "agent_time", "unique_id", "seconds_since_startup", "score", "server_time",
}

# Lists whose order means something. All others are compared as bags.
ORDERED = {"histogram", "total_time", "exclusive_time", "trace", "libraries", "backtrace"}


def normalised(folder):
    """All that a directory's payloads say, as sorted text, one fact a line."""
    merged = {}
    for payload in payloads.checkins(folder):
        for part, content in payload.items():
            for where, items in _lists(part, content):
                merged.setdefault(where, []).extend(items)
    merged["problems"] = payloads.problems(folder)
    # Where a minute or a flush divided the run, the metadata came more than once.
    merged["metadata"] = [dict(t) for t in {tuple(sorted(_plain(m).items())) for m in merged["metadata"]}]
    return json.dumps(_normal(merged, ""), indent=1, sort_keys=True, ensure_ascii=True).splitlines()


def _lists(part, content):
    if isinstance(content, list):
        yield part, content
    elif part == "metadata":
        yield part, [content]
    else:
        for name, items in content.items():
            yield part + "." + name, items


def _plain(metadata):
    return {k: json.dumps(v, sort_keys=True) for k, v in metadata.items() if k not in RUN}


def _normal(value, name):
    if isinstance(value, dict):
        return {k: _normal(v, k) for k, v in value.items() if k not in RUN}
    if isinstance(value, list):
        items = [_normal(item, name) for item in value]
        if name not in ORDERED:
            items.sort(key=lambda item: json.dumps(item, sort_keys=True))
        return items
    if isinstance(value, float):
        return float("%.9g" % value)  # sums of floats depend on their order, in the last place
    return value


def differences(folders):
    """The first differences of each directory with the first, as lines."""
    first = normalised(folders[0])
    lines = []
    for folder in folders[1:]:
        names = [os.path.basename(path.rstrip("/")) for path in (folders[0], folder)]
        lines += list(difflib.unified_diff(first, normalised(folder), *names, n=4, lineterm=""))[:60]
    return lines


def main(folders):
    if len(folders) < 2:
        sys.exit(__doc__)
    for folder in folders:
        if not payloads.checkins(folder):
            sys.exit("no payloads in " + folder)
    lines = differences(folders)
    print("\n".join(lines) if lines else "%d directories, the same payload" % len(folders))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
