"""The accounts: every call that was accepted is delivered, or waits, or is counted as lost."""

import json
import os

OK, SPOOLED, E_TIMEOUT = 0, 1, -102
# What a core says it gave up, by reason.
LOST = ["spool_spans_given_up", "spans_rejected", "spool_spans_damaged"]
INTAKE = ["spans_counted", "spans_without_scope", "spans_ignored", "spans_sampled_out", "open_spans"]


def found(payloads):
    """Of each endpoint, the roots and the children in payloads: {"hostt0": (300, 300)}."""
    counts = {}
    for payload in payloads:
        for metric in payload["metrics"]:
            key = metric["key"]
            if key["bucket"] == "Controller" and not key["scope"]:
                counts.setdefault(key["name"], [0, 0])[0] += metric["call_count"]
            elif key["bucket"] == "Custom" and key["scope"]:
                counts.setdefault(key["scope"]["name"], [0, 0])[1] += metric["call_count"]
    return counts


def waiting(spool, delivered_ids):
    """Spans in the spool's files, by their names, but for what is delivered and yet to be removed."""
    files, settled = {}, set()
    for name in os.listdir(spool):
        stem = name
        for ending in (".pending", ".alone"):
            stem = stem[: -len(ending)] if stem.endswith(ending) else stem
        if not name.startswith(".") and stem.endswith((".period", ".merged", ".parcel")):
            files[name] = int(stem.rsplit(".", 1)[0].split("-")[-1])
        if name.endswith(".parcel"):
            with open(os.path.join(spool, name), "rb") as file:
                parcel = json.loads(file.read()[16:])
            # What it was made of is in it.
            settled.update(parcel["sources"])
            if parcel["id"] in delivered_ids:
                settled.add(name)
        if name.endswith(".alone") and id_of_file(name) in delivered_ids:
            settled.add(name)
    return sum(spans for name, spans in files.items() if name not in settled)


def id_of_file(name):
    """As `Parcel::id_of_file`."""
    letters = ""
    for number in (0xCBF29CE484222325, 0x9AE16A3B2F90404F):
        for byte in name.encode():
            number = ((number ^ byte) * 0x100000001B3) & (1 << 64) - 1
        for _ in range(8):
            letters += chr(ord("a") + number % 26)
            number //= 26
    return letters


def of_the_core(host):
    """What a core's own stats must add up to after a flush."""
    stats, accepted = host.stats, host.accepted() - host.tail
    for name in ("records_drained", "spans"):
        if stats[name] != accepted:
            yield "%d accepted, %s: %d" % (accepted, name, stats[name])
    if stats["records_dropped_no_room"] != host.dropped:
        yield "%d calls dropped, counted: %d" % (host.dropped, stats["records_dropped_no_room"])
    if stats["spans"] != sum(stats[name] for name in INTAKE):
        yield "%d spans are not %s" % (stats["spans"], {name: stats[name] for name in INTAKE})
    if (host.settled in (OK, SPOOLED)) and stats["spool_spans_in_memory"]:
        yield "the flush said %d, with %d spans in memory" % (host.settled, stats["spool_spans_in_memory"])


def of_the_end(host, left):
    """What a shutdown says must be so, `left` being the spans in files."""
    if host.shut_down == OK and left:
        yield "the shutdown said that all is delivered, with %d spans in files" % left


def in_all(hosts, counts, killed, lost):
    """Of every host and thread what was accepted was delivered, but for what is `lost` by the count."""
    missing = 0
    for host in hosts:
        for t, thread in enumerate(host.threads):
            (attempted, accepted), (children_attempted, children) = thread.roots, thread.children
            roots, inner = counts.pop("%st%d" % (host.name, t), (0, 0))
            who = "%s, thread %d: %d and %d accepted" % (host.name, t, accepted, children)
            if killed and host.name == "host":
                # One may have been on its way when the kill came; each root's child was in before it.
                if not accepted <= roots <= attempted or not inner == roots <= children_attempted:
                    yield "%s, %d and %d attempted, %d and %d delivered" % (
                        who, attempted, children_attempted, roots, inner)
                continue
            if roots > accepted or inner > children:
                yield "%s, %d and %d delivered: doubled" % (who, roots, inner)
            missing += accepted - roots + children - inner
            if roots < thread.flushed:
                yield "%s, %d safe by a flush, %d delivered" % (who, thread.flushed, roots)
    if missing != lost:
        yield "%d spans are missing, %d are counted as lost" % (missing, lost)
    if counts:
        yield "delivered, and recorded by nobody: %s" % counts
