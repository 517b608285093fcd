//! Gzip by zlib-rs, of the check-in that `benches/library/payload.rs` compressed with miniz_oxide.

use crate::rows::{Row, cpu};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::hint::black_box;
use std::io::Write as _;

/// Nanoseconds of CPU that a sample takes at least.
const LONG: f64 = 60e6;

pub fn run() {
    let path = std::env::var_os("SCOUT_BENCH_PAYLOAD");
    let Some(json) = path.and_then(|path| std::fs::read(path).ok()) else {
        println!("SKIPPED: compression: SCOUT_BENCH_PAYLOAD names no payload");
        return;
    };
    for level in 1..=9 {
        let size = gzip(&json, level).len();
        let samples = (0..7).map(|_| {
            let start = cpu();
            let mut done = 0.0;
            loop {
                for _ in 0..4 {
                    black_box(gzip(&json, level));
                    done += 1.0;
                }
                let spent = cpu() - start;
                if spent > LONG {
                    return json.len() as f64 * done * 1e3 / spent;
                }
            }
        });
        let note = format!("{:.1} % of the size is left", 100.0 * size as f64 / json.len() as f64);
        let row = format!("gzip level {level}, zlib-rs");
        Row { ours: false, note: &note, ..Row::of("payload", &row, "MB/s") }
            .write(samples.collect());
    }
}

fn gzip(json: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(json).unwrap_or_default();
    encoder.finish().unwrap_or_default()
}
