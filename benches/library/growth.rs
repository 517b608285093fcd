//! How the cost of a span grows with what an application has of endpoints, and a request of spans.

use crate::rows::{Row, cpu};
use crate::workload::{Naming, T0, Workload, wide};
use scoutcore::engine::{Engine, EngineConfig};
use scoutcore::model::UnixNanos;

pub fn run() {
    for endpoints in [1, 10, 100, 1_000, 10_000, 100_000] {
        let work = Workload::new(endpoints.max(10_000), endpoints, 4, Naming::Inline);
        let rounds = if endpoints > 10_000 { 3 } else { 7 };
        row(&format!("endpoints: {endpoints}"), rounds, &work);
    }
    for spans in [1, 10, 100, 1_000, 10_000] {
        row(&format!("spans a request: {spans}"), 7, &wide(spans));
    }
}

/// A fresh engine each time: what a table costs while it grows is in the figure.
fn row(name: &str, rounds: usize, work: &Workload) {
    let samples = (0..rounds).map(|_| {
        let mut engine = Engine::new(EngineConfig::default(), [5, 6], UnixNanos(T0));
        let start = cpu();
        work.run(&mut engine, UnixNanos(T0 + 30_000_000_000));
        (cpu() - start) / work.spans as f64
    });
    Row::of("growth", name, "ns CPU/span").write(samples.collect());
}
