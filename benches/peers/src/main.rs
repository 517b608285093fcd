//! Peers on work that the library's own benchmarks do too: libdatadog's SQL obfuscator and
//! concentrator, and zlib-rs. `benches/run.py --only peers` runs it behind those, on the same machine in one run.
//!
//!     SCOUT_BENCH_JSON=FILE SCOUT_BENCH_PAYLOAD=checkin.json cargo run --release

mod compression;
mod concentrator;
mod obfuscation;
#[path = "../../rows/mod.rs"]
mod rows;

fn main() {
    obfuscation::run();
    concentrator::run();
    compression::run();
}
