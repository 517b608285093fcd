//! Peers on work that the library's own benchmarks do too: libdatadog's SQL obfuscator and
//! concentrator, histograms, and zlib-rs. `benches/run.py --only peers` runs it behind those, on the same machine in one run.
//!
//!     SCOUT_BENCH_JSON=FILE SCOUT_BENCH_PAYLOAD=checkin.json cargo run --release

mod compression;
mod concentrator;
mod histograms;
mod obfuscation;
#[path = "../../rows/mod.rs"]
mod rows;

fn main() {
    obfuscation::run();
    concentrator::run();
    histograms::run();
    compression::run();
}
