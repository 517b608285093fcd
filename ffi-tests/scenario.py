"""Turns scenario.json into a flat list of calls that a runner in any language can read.

One call a line, fields separated by tabs, texts in hex, times in Unix nanoseconds:

    span   TRACE ID PARENT START END OPERATION TAGS
    tag    TRACE TAGS
    error  TRACE ID TIME CLASS MESSAGE BACKTRACE TAGS
    metric NAME VALUE
    event  KIND JSON

TAGS is a count, then for each a key, a type (`s`, `i`, `f` or `b`) and a value.
"""

import json


def calls(scenario, minute_ns):
    """The scenario's calls, as lines, at a minute that starts at `minute_ns`."""
    return list(_Calls(minute_ns).of(scenario))


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class _Calls:
    def __init__(self, minute_ns):
        self.minute_ns = minute_ns
        self.traces = 0
        self.ids = 0

    def of(self, scenario):
        for event in scenario["events"]:
            yield _line("event", _text(event["kind"]), _text(event["json"]))
        for metric in scenario["metrics"]:
            for value in metric["values"]:
                yield _line("metric", _text(metric["name"]), _float(float(value)))
        for request in scenario["requests"]:
            for n in range(request.get("repeat", 1)):
                yield from self.request(request, n * request.get("every", 0))
        for error in scenario["errors"]:
            yield self.error(error, "0" * 32, 0, 0)

    def request(self, request, later):
        self.traces += 1
        trace = "%032x" % (0x5C0D << 112 | self.traces)
        if "request_tags" in request:
            yield _line("tag", trace, *_tags(request["request_tags"], ""))
        yield from self.span(request, trace, 0, later, "")

    def span(self, span, trace, parent, start, n):
        self.ids += 1
        own = span.get("id", self.ids)
        start += span["at"]
        for child in span.get("spans", ()):
            for count in range(child.get("times", 1)):
                later = start + count * child.get("every", 0)
                yield from self.span(child, trace, own, later, str(count + 1))
        for error in span.get("errors", ()):
            yield self.error(error, trace, own, start)
        yield _line(
            "span", trace, own, span.get("parent", parent), self.time(start),
            self.time(start + span["took"]), _text(span["operation"]),
            *_tags(span.get("tags", {}), n),
        )

    def error(self, error, trace, span, start):
        return _line(
            "error", trace, span, self.time(start + error["at"]), _text(error["class"]),
            _text(error["message"]), _text(error["backtrace"]), *_tags(error.get("tags", {}), ""),
        )

    def time(self, microseconds):
        return self.minute_ns + 1000 * microseconds


def _line(*fields):
    return "\t".join(str(field) for field in fields) + "\n"


def _text(text, n=""):
    if isinstance(text, dict) and "hex" in text:
        return text["hex"].replace(" ", "")
    if isinstance(text, dict):
        text = text["repeat"] * text["times"]
    return text.replace("{n}", n).encode("utf-8").hex()


def _float(value):
    """With a point, also before an exponent: some languages' parsers insist."""
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _tags(tags, n):
    if isinstance(tags, dict) and "numbered" in tags:
        tags = [["key%d" % i, "value %d" % i] for i in range(tags["numbered"])]
    elif isinstance(tags, dict):
        tags = tags.items()
    fields = [len(tags)]
    for key, value in tags:
        fields.append(_text(key))
        if isinstance(value, bool):
            fields += ["b", int(value)]
        elif isinstance(value, int):
            fields += ["i", value]
        elif isinstance(value, float):
            fields += ["f", _float(value)]
        else:
            fields += ["s", _text(value, n)]
    return fields
