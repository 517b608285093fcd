"""Reading the payload files that a core wrote to a directory: check-ins and errors."""

import gzip
import json
import os


def files(folder):
    """Every payload file under a folder, as (path, parsed JSON), oldest name first."""
    found = []
    for parent, _, names in os.walk(folder):
        found += [os.path.join(parent, n) for n in names if n.endswith((".json", ".json.gz"))]
    for path in sorted(found):
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as file:
            yield path, json.load(file)


def checkins(folder):
    """The check-in payloads."""
    return [payload for _, payload in files(folder) if "metrics" in payload]


def problems(folder):
    """Every problem of every error payload."""
    return [
        problem for _, payload in files(folder) for problem in payload.get("problems", [])
    ]


def requests(folder, operation):
    """How many requests of an endpoint, e.g. `Controller/users/show` or `Job/mailer`."""
    kind, _, name = operation.partition("/")
    count = 0
    for payload in checkins(folder):
        if kind == "Job":
            count += sum(job["count"] for job in payload["jobs"] if job["name"] == name)
        else:
            count += sum(
                metric["call_count"]
                for metric in payload["metrics"]
                if metric["key"]["bucket"] == kind
                and metric["key"]["name"] == name
                and not metric["key"]["scope"]
            )
    return count


def layer(folder, kind):
    """How many spans of a type, e.g. `SQL`, under all endpoints and jobs."""
    count = 0
    for payload in checkins(folder):
        count += sum(
            metric["call_count"]
            for metric in payload["metrics"]
            if metric["key"]["bucket"] == kind and metric["key"]["scope"]
        )
    return count


def errors(folder, class_name):
    """How many errors of a class."""
    return sum(problem["exception_class"] == class_name for problem in problems(folder))


def unmet(folder, expectations):
    """What of `[(count, what, name)]` is not so, as sentences."""
    count = {"request": requests, "layer": layer, "error": errors}
    sentences = []
    for wanted, what, name in expectations:
        found = count[what](folder, name)
        if found != wanted:
            sentences.append("%d of %s %s were delivered, not %d" % (found, what, name, wanted))
    return sentences
