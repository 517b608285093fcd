"""The budgets of the plan, each with the row that measures it; and why one is missed, if it is."""

# What, the limit, its unit, the section and row that measure it, what its figure is divided by: a
# number for its unit, or another row of the section.
BUDGETS = [
    ("record a span, interned, crash-safe", 12, "ns", "native", "scout_record_span, interned, crash-safe, 1 thread", 1),
    ("record a span, name and 2 tags copied", 16, "ns", "native", "scout_record_span, 20-byte name and 2 attributes copied, crash-safe, 1 thread", 1),
    ("record a span, interned", 90, "instructions", "native", "scout_record_span, interned", 1),
    ("record a span, name and 2 tags copied", 150, "instructions", "native", "scout_record_span, name and 2 tags copied", 1),
    ("record a span, two threads at once, against one", 1.15, "times", "native", "scout_record_span, interned, crash-safe, 2 threads", "scout_record_span, interned, crash-safe, 1 thread"),
    ("begin and end a span, the core's clock", 32, "ns", "native", "scout_span_begin + end, crash-safe, 1 thread", 1),
    ("record to merged minute, statement known: analysis", 120, "ns of CPU", "engine", "record to minute: interned names, 4 of 11 SQL, 20 endpoints", 1),
    ("record to merged minute: the whole process", 120, "ns of CPU", "native", "scout_record_span, interned, crash-safe, 1 thread (CPU)", 1),
    ("Python, through ctypes", 1.5, "us", "python", "scoutcore, no tags", 1000),
    ("Ruby, through ffi", 0.3, "us", "ruby", "ffi: no tags", 1000),
    ("Elixir, a NIF", 0.15, "us", "elixir", "NIF record_span: one call a span, times given", 1000),
    ("Node, through koffi", 0.25, "us", "node", "by hand, no tags", 1000),
    ("SQL sanitise, under 1 KB, not seen before", 0.4, "us", "sql", "sanitize", 1000),
    ("SQL, seen before", 50, "ns", "sql", "memo hit", 1),
    ("SQL sanitise, long text: 60 KB literal", 1, "GB/s", "sql", "sanitize, 60 KB string literal", 1),
    ("SQL sanitise, long text: 6,000 ids", 1, "GB/s", "sql", "sanitize, IN list of 6,000 ids", 1),
    ("SQL sanitise, long text without literals", 1, "GB/s", "sql", "sanitize, 60 KB of columns", 1),
    ("histogram insert", 2, "ns", "engine", "histogram insert, live, 1 of them", 1),
    ("memory added, idle", 4, "MiB", "footprint", "resident memory, idle", 1),
    ("memory added, 100,000 spans a second", 32, "MiB", "footprint", "resident memory, 100,000 spans a second", 1),
    ("shared object, stripped, with TLS", 4, "MiB", "footprint", "shared object, made for speed, all features (the default)", 1),
    ("shared object, stripped, without TLS", 1, "MiB", "footprint", "shared object, made for size, no features", 1),
    ("wake-ups of an idle host, nothing recorded", 0, "a second", "footprint", "wake-ups, nothing recorded", 1),
    ("wake-ups, a span now and then", 1, "a second", "footprint", "wake-ups, a span a second", 1),
]  # fmt: skip

MORE_IS_BETTER = {"GB/s"}

# Why a budget is missed, by what it is for; shown when it is.
WHY = {
    "wake-ups, a span now and then": "After each span the worker looks again soon, and less and less often.",
    "shared object, stripped, without TLS": "The standard library alone is 0.3 MiB, and tables for unwinding, without "
    "which a panic could not be kept from the host, are 0.2; `docs/performance.md` has the rest.",
    "record to merged minute: the whole process": "The analysis alone is the row above; this one has recording, page "
    "faults, wake-ups of the background thread and the minute's file in it.",
    "SQL sanitise, long text without literals": "Names are read one by one: there is nothing to skip.",
    "record a span, name and 2 tags copied": "Five texts and two tags are looked at and copied one by one; "
    "`docs/performance.md` has what that is made of.",
    "Ruby, through ffi": "The budget is the price of the call, and the call alone keeps it (the row "
    "of `scout_record_batch`). The binding's whole span is a block, two clock readings, an id, and a "
    "record made by `Array#pack`, which takes two fifths of it.",
}
