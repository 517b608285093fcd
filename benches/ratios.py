"""Which of our rows does the work that a peer's row does: what its figure is divided by."""

BEGIN_END = "scout_span_begin + end, crash-safe, 1 thread"
BEGIN_END_TAGS = "scout_span_begin + end, 2 attributes, crash-safe, 1 thread"


def same_work(section, peer):
    """Our row in that section; none where nothing of ours does just that."""
    if section == "native":
        return BEGIN_END_TAGS if peer.endswith("2 attributes") else BEGIN_END
    if section == "ruby":
        return "ffi: a statement"
    if section in ("python", "node"):
        return "scoutcore, a statement"
    if section == "engine" and peer.startswith("histogram"):
        return "histogram insert, live, 1 of them"
    if section == "engine":
        return "record to minute: interned names, 4 of 11 SQL, 20 endpoints"
    if section == "sql":
        return "analyse (everything)" if peer == "sqlparser parser" else "sanitize"
    if section == "payload":
        return peer.replace("zlib-rs", "miniz_oxide")
    return None


def with_ratios(rows):
    """The rows, each with "ratio" to our row of the same work in the same unit, or None."""
    ours = {(row["section"], row["row"], row["unit"]): row["median"] for row in rows if row["ours"]}
    for row in rows:
        base = None if row["ours"] else same_work(row["section"], row["row"])
        median = ours.get((row["section"], base, row["unit"]))
        yield dict(row, ratio=row["median"] / median if median else None)
