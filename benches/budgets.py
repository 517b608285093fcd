"""The budgets of the plan, each with the row that measures it; and why one is missed, if it is."""

# What, the limit, its unit, the section and row that measure it, what a row's unit is divided by.
BUDGETS = [
    ("record a span, interned, crash-safe", 12, "ns", "native", "scout_record_span, interned, crash-safe, 1 thread", 1),
    ("record a span, name and 2 tags copied", 16, "ns", "native", "scout_record_span, 20-byte name and 2 attributes copied, crash-safe, 1 thread", 1),
    ("record a span, interned", 90, "instructions", "native", "scout_record_span, interned", 1),
    ("record a span, name and 2 tags copied", 150, "instructions", "native", "scout_record_span, name and 2 tags copied", 1),
    ("begin and end a span, the core's clock", 32, "ns", "native", "scout_span_begin + end, crash-safe, 1 thread", 1),
    ("record to merged minute, statement known", 120, "ns of CPU", "engine", "record to minute: interned names, 4 of 11 SQL, 20 endpoints", 1),
    ("Python, through ctypes", 1.5, "us", "python", "scoutcore, no tags", 1000),
    ("Ruby, through ffi", 0.3, "us", "ruby", "ffi: no tags", 1000),
    ("Elixir, a NIF", 0.15, "us", "elixir", "NIF record_span: one call a span, times given", 1000),
    ("Node, through koffi", 0.25, "us", "node", "by hand, no tags", 1000),
    ("SQL sanitise, under 1 KB, not seen before", 0.4, "us", "sql", "sanitize", 1000),
    ("SQL, seen before", 50, "ns", "sql", "memo hit", 1),
    ("SQL sanitise, long text", 1, "GB/s", "sql", "sanitize, 60 KB string literal", 1),
    ("histogram insert", 2, "ns", "engine", "histogram insert, live, 1 of them", 1),
    ("memory added, idle", 4, "MiB", "footprint", "resident memory, idle", 1),
    ("memory added, 100,000 spans a second", 32, "MiB", "footprint", "resident memory, 100,000 spans a second", 1),
    ("shared object, stripped, with TLS", 4, "MiB", "footprint", "shared object, default features", 1),
    ("shared object, stripped, without TLS", 1, "MiB", "footprint", "shared object, no features", 1),
    ("wake-ups of an idle host, nothing recorded", 0, "a second", "footprint", "wake-ups, nothing recorded", 1),
    ("wake-ups, a span now and then", 1, "a second", "footprint", "wake-ups, a span a second", 1),
]  # fmt: skip

MORE_IS_BETTER = {"GB/s"}

# Why a budget is missed, by what it is for; shown when it is.
WHY = {
    "wake-ups, a span now and then": "After each span the worker looks again soon, and less and less often.",
    "shared object, stripped, without TLS": "Made for speed, as the default is; a build for size is not there yet.",
    "record a span, name and 2 tags copied": "Five texts and two tags are looked at and copied one by one; "
    "`docs/performance.md` has what that is made of.",
    "Ruby, through ffi": "The budget is the price of the call, and the call alone keeps it (the row "
    "of `scout_record_batch`). The binding's whole span is a block, two clock readings, an id, and a "
    "record made by `Array#pack`, which takes a third of it.",
}
