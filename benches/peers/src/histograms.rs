//! Adding one value to a histogram of times: hdrhistogram, and DDSketch as libdatadog's metrics have
//! it. The values are those of `benches/library/analysis.rs`.

use crate::rows::Row;
use hdrhistogram::Histogram;
use sketches_ddsketch::{Config, DDSketch};
use std::time::Instant;

/// An hour, in nanoseconds.
const MOST: u64 = 3_600_000_000_000;

pub fn run() {
    let values: Vec<u64> = (0..1024_u64).map(|n| 1_000_000 + n * n * 977).collect();
    // Two digits: within one percent, as the sketch and ours are.
    let mut hdr = Histogram::<u64>::new_with_bounds(1, MOST, 2).unwrap();
    measure("hdrhistogram", &values, |value| hdr.saturating_record(value));
    let mut sketch = DDSketch::new(Config::new(0.01, 2048, 1.0e-9));
    measure("DDSketch", &values, |value| sketch.add(value as f64));
}

fn measure(name: &str, values: &[u64], mut add: impl FnMut(u64)) {
    let mut round = || {
        let start = Instant::now();
        values.iter().for_each(|value| add(*value));
        start.elapsed().as_nanos() as f64 / values.len() as f64
    };
    round();
    let samples = (0..101).map(|_| round()).collect();
    let row = format!("histogram insert, {name}");
    let note = "";
    Row { section: "engine", row: &row, ours: false, unit: "ns", note }.write(samples);
}
