//! What a minute's payload costs and weighs: JSON, then gzip as deliveries have it.

use crate::rows::{Row, cpu};
use crate::workload::minute;
use flate2::Compression;
use flate2::write::GzEncoder;
use scoutcore::payload::{Metadata, checkin};
use std::hint::black_box;
use std::io::Write as _;

/// The level that the library sends with.
const LEVEL: u32 = 5;
/// Nanoseconds of CPU that a sample takes at least.
const LONG: f64 = 60e6;

pub fn run() {
    for endpoints in [1, 10, 100, 1_000] {
        let period = minute(endpoints);
        let json = checkin(&period, &Metadata::default());
        let size = gzip(&json, LEVEL).len();
        let note = format!("with gzip {:.1} KiB", size as f64 / 1024.0);
        let plural = if endpoints == 1 { "" } else { "s" };
        let row = format!("check-in of a minute, {endpoints} endpoint{plural}");
        let kib = json.len() as f64 / 1024.0;
        Row { note: &note, ..Row::of("payload", &row, "KiB") }.write(vec![kib]);
    }
    let period = minute(200);
    let json = checkin(&period, &Metadata::default());
    let note = format!("200 endpoints, {} KiB", json.len() / 1024);
    let samples = throughput(json.len(), || {
        black_box(checkin(&period, &Metadata::default()));
    });
    Row { note: &note, ..Row::of("payload", "check-in JSON, serde_json", "MB/s") }.write(samples);
    for level in 1..=9 {
        let size = gzip(&json, level).len();
        let samples = throughput(json.len(), || {
            black_box(gzip(&json, level));
        });
        let used = if level == LEVEL { ", what deliveries use" } else { "" };
        let note =
            format!("{:.1} % of the size is left{used}", 100.0 * size as f64 / json.len() as f64);
        let row = format!("gzip level {level}, miniz_oxide");
        Row { note: &note, ..Row::of("payload", &row, "MB/s") }.write(samples);
    }
    // For other compressors, on the same bytes.
    if let Some(path) = std::env::var_os("SCOUT_BENCH_PAYLOAD") {
        std::fs::write(path, &json).unwrap();
    }
}

fn gzip(json: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(json).unwrap();
    encoder.finish().unwrap()
}

/// Megabytes a second of CPU, in samples that are long enough to be measured.
fn throughput(bytes: usize, mut work: impl FnMut()) -> Vec<f64> {
    work();
    let sample = |_| {
        let start = cpu();
        let mut done = 0;
        loop {
            work();
            done += 1;
            // Not after each: asking takes time too.
            if done % 4 == 0 {
                let spent = cpu() - start;
                if spent > LONG {
                    return (bytes * done) as f64 * 1e3 / spent;
                }
            }
        }
    };
    (0..7).map(sample).collect()
}
