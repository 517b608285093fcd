//! SQL statements made safe to keep: sanitised text, low-cardinality names, fingerprints. Pure.
