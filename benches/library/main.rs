//! What the library's parts cost, measured from Rust: analysis, payloads, the spool, SQL.
//!
//!     cargo bench --bench library                      # all parts
//!     cargo bench --bench library -- analysis sql      # some of them
//!     cargo bench --bench library -- --count sql memo  # one case so many times, for instruction counters
//!
//! With `SCOUT_BENCH_JSON=FILE`, rows for `docs/benchmarks.md` too. One
//! program for all of them, for linking it takes longer than most of them.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark talks and may stop"
)]

mod analysis;
mod growth;
mod payload;
#[path = "../rows/mod.rs"]
mod rows;
mod spool;
mod sql;
mod workload;

const PARTS: [(&str, fn()); 5] = [
    ("analysis", analysis::run),
    ("growth", growth::run),
    ("payload", payload::run),
    ("spool", spool::run),
    ("sql", sql::run),
];

fn main() {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--count", "analysis", passes] => analysis::count(passes.parse().unwrap()),
        ["--count", "sql", name] => sql::count(name),
        wanted => {
            for name in wanted {
                assert!(PARTS.iter().any(|(part, _)| part == name), "there is no part {name}");
            }
            for (name, run) in PARTS {
                if wanted.is_empty() || wanted.contains(&name) {
                    run();
                }
            }
        }
    }
}
