//! What the engine costs: nanoseconds of CPU a span, from the encoded record to the minute.

use crate::rows::{Row, cpu};
use crate::workload::{Naming, T0, Workload};
use scoutcore::engine::{Engine, EngineConfig, Histogram, LiveHistogram};
use scoutcore::model::UnixNanos;
use std::hint::black_box;
use std::time::Instant;

const NOW: UnixNanos = UnixNanos(T0 + 30_000_000_000);
const ROUNDS: usize = 15;
/// Passes over a workload in a row: some tens of milliseconds.
const PASSES: usize = 10;

/// For instruction counters: one workload, so many passes, and nothing else. The difference of two runs is the passes'
/// own: `valgrind --tool=callgrind <bench> --count analysis 11`, less that of `--count analysis 1`.
pub fn count(passes: usize) {
    let work = Workload::new(1000, 20, 4, Naming::Interned);
    let config = EngineConfig { max_recent_requests: 100, ..EngineConfig::default() };
    let mut engine = Engine::new(config, [5, 6], UnixNanos(T0));
    for _ in 0..passes {
        work.run(&mut engine, NOW);
    }
    println!("{} spans", engine.stats().spans);
}

pub fn run() {
    for (label, endpoints, sql, naming) in [
        ("interned names, 4 of 11 SQL, 20 endpoints", 20, 4, Naming::Interned),
        ("inline names, 4 of 11 SQL, 20 endpoints", 20, 4, Naming::Inline),
        ("interned names, no SQL, 20 endpoints", 20, 0, Naming::Interned),
        ("interned names, 8 of 11 SQL, 20 endpoints", 20, 8, Naming::Interned),
        ("interned names, 4 of 11 SQL, 1000 endpoints", 1000, 4, Naming::Interned),
    ] {
        let work = Workload::new(4000, endpoints, sql, naming);
        // Passes repeat trace ids, so the engine must have forgotten them in between.
        let config = EngineConfig { max_recent_requests: 1000, ..EngineConfig::default() };
        let mut engine = Engine::new(config, [5, 6], UnixNanos(T0));
        let mut round = 0;
        measure(&format!("record to minute: {label}"), "ns CPU/span", ROUNDS, || {
            round += 1;
            let start = cpu();
            for _ in 0..PASSES {
                work.run(&mut engine, NOW);
            }
            let nanos = cpu() - start;
            assert_eq!(engine.stats().spans_late, 0);
            if round % 5 == 0 {
                engine.take_all(NOW);
            }
            nanos / (work.spans * PASSES) as f64
        });
        measure(&format!("decoding alone: {label}"), "ns CPU/span", ROUNDS, || {
            let start = cpu();
            for _ in 0..PASSES {
                black_box(work.decode());
            }
            (cpu() - start) / (work.spans * PASSES) as f64
        });
    }
    histogram();
}

/// One run to warm up, then so many samples, and a row.
fn measure(row: &str, unit: &str, rounds: usize, mut run: impl FnMut() -> f64) {
    run();
    Row::of("engine", row, unit).write((0..rounds).map(|_| run()).collect());
}

fn histogram() {
    let values: Vec<u64> = (0..1024_u64).map(|n| 1_000_000 + n * n * 977).collect();
    let mut one = Histogram::default();
    measure("histogram insert, stored form", "ns", ROUNDS, || {
        let start = Instant::now();
        values.iter().for_each(|value| one.record(*value));
        start.elapsed().as_nanos() as f64 / values.len() as f64
    });
    let mut one = LiveHistogram::default();
    measure("histogram insert, live, 1 of them", "ns", 101, || {
        let start = Instant::now();
        values.iter().for_each(|value| one.record(*value));
        start.elapsed().as_nanos() as f64 / values.len() as f64
    });
    let mut many = vec![LiveHistogram::default(); 1000];
    let order: Vec<usize> = (3..values.len() + 3).map(|at| at * 7919 % many.len()).collect();
    measure("histogram insert, live, 1000 of them", "ns", 101, || {
        let start = Instant::now();
        for (value, at) in values.iter().zip(&order) {
            many[*at].record(*value);
        }
        start.elapsed().as_nanos() as f64 / values.len() as f64
    });
}
