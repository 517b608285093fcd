"""Compares the payload files with what was driven, and looks for literals in them.

    python check.py WORK_DIR PAYLOAD_DIR    # exit code 1, and what is wrong, if anything is
"""

import collections
import glob
import gzip
import json
import os
import sys

import store


def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return file.read()


def payloads(directory):
    """The text of each payload file, by path."""
    pattern = os.path.join(directory, "**", "*.json*")
    return {path: read(path) for path in sorted(glob.glob(pattern, recursive=True))}


class Seen:
    """What the check-ins add up to."""

    def __init__(self, texts):
        self.counts = collections.Counter()
        self.errors = collections.Counter()
        self.jobs = collections.Counter()
        self.sampled = collections.Counter()
        self.repeats = {}
        self.exceptions = collections.Counter()
        for text in texts:
            payload = json.loads(text)
            if "problems" in payload:
                for problem in payload["problems"]:
                    self.exceptions[problem["exception_class"]] += problem.get("count") or 1
            elif "metrics" in payload:
                self.add(payload)

    def add(self, payload):
        for metric in payload["metrics"]:
            key, calls = metric["key"], metric["call_count"]
            if key["bucket"] == "Controller" and not key["scope"]:
                self.counts[key["name"]] += calls
            elif key["bucket"] == "Errors" and key["name"].startswith("Controller/"):
                self.errors[key["name"].split("/", 1)[1]] += calls
        for named in payload["histograms"]:
            self.sampled[named["name"]] += sum(count for _, count in named["histogram"])
        for job in payload["jobs"]:
            self.jobs[job["queue"], job["name"]] += job["count"]
        for repeat in payload["n_plus_one"]:
            known = self.repeats.get(repeat["scope"], (0, 0))
            self.repeats[repeat["scope"]] = (
                known[0] + repeat["count"],
                known[1] + repeat["requests"],
            )


def differences(driven, seen):
    """What is not as it was driven, in words."""

    def compare(what, found, expected):
        if found != expected:
            yield "%s: %s in the payloads, %s driven" % (what, found, expected)

    expected = {name: n for name, n in driven.items() if " " not in name}
    expected["rates"] = driven["sales"]  # the report asks for them
    for name, count in expected.items():
        yield from compare("requests of " + name, seen.counts.pop(name, 0), count)
        histogram = seen.sampled["Controller/" + name]
        yield from compare("histogram of " + name, histogram, count)
    yield from compare("other endpoints", dict(seen.counts), {})
    refused = driven["checkout 500"]
    yield from compare("errors", dict(seen.errors), {"checkout": refused})
    yield from compare("exceptions", dict(seen.exceptions), {"PaymentRefused": refused})
    jobs = {("mail", "receipts/send"): driven["checkout 303"]}
    yield from compare("jobs", dict(seen.jobs), jobs)
    repeats = {"Controller/orders": (25 * driven["orders"], driven["orders"])}
    yield from compare("N+1 queries", seen.repeats, repeats)


# Counters of the core (docs/stats.md) that must not move, whatever else does.
NO_LOSS = (
    "records_dropped_no_room", "records_unreadable", "spans_rejected", "span_cycles",
    "spans_orphaned", "payloads_rejected", "panics_contained",
)  # fmt: skip


def losses(stats):
    """What the core itself says it lost."""
    for name in NO_LOSS:
        if stats[name] != 0:
            yield "%s is %s" % (name, stats[name])


def leaks(texts):
    """Literals of the application's SQL that are in a payload file."""
    for path, text in texts.items():
        # As it is, and with all JSON escapes undone.
        plain = json.dumps(json.loads(text), ensure_ascii=False).replace('\\"', '"')
        for shown in (text.lower(), plain.lower()):
            for canary in store.canaries():
                if canary.lower() in shown:
                    yield "%s contains %r" % (path, canary)


def main(work_dir, payload_dir):
    with open(os.path.join(work_dir, "driven.json"), encoding="utf-8") as file:
        known = json.load(file)
    driven = collections.Counter(known["counts"])
    texts = payloads(payload_dir)
    if not texts:
        sys.exit("there are no payload files in " + payload_dir)
    wrong = list(differences(driven, Seen(texts.values())))
    wrong += losses(known["stats"])
    wrong += leaks(texts)
    for problem in wrong:
        print("WRONG:", problem)
    if wrong:
        sys.exit(1)
    requests = sum(n for name, n in driven.items() if " " not in name)
    print(
        "Checked: %d requests, %d jobs and %d errors are counted exactly, the N+1 is noticed, and"
        " none of %d literals is in %d payload files."
        % (
            requests,
            driven["checkout 303"],
            driven["checkout 500"],
            len(store.canaries()),
            len(texts),
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
