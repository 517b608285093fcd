//! libdatadog's `SpanConcentrator`: statistics by name and resource, the half of our analysis that
//! adds up. Nothing is decoded, assembled, ranked or sanitised in it; its spans are made beforehand.

use crate::rows::{Row, cpu};
use libdd_trace_stats::span_concentrator::SpanConcentrator;
use libdd_trace_utils::span::v04::SpanBytes;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const REQUESTS: u64 = 4_000;
const SPANS: u64 = 11;
const ENDPOINTS: u64 = 20;
const STATEMENT: &str = "SELECT users.id, users.name, users.email FROM users WHERE users.id = ? AND users.kind = ? LIMIT ?";

/// As the first workload of `benches/library/analysis.rs`: a root, an endpoint, four statements,
/// a call to another service, templates.
fn span(start: u64, request: u64, n: u64) -> SpanBytes {
    let endpoint = format!("Controller/users{}/show", request * 7919 % ENDPOINTS);
    let (name, resource, kind) = match n {
        0 => ("Middleware/Summary", endpoint, "server"),
        1 => ("Controller", endpoint, "internal"),
        2..=5 => ("SQL/Query", STATEMENT.to_owned(), "client"),
        10 => ("HTTP/GET", "api.example.com".to_owned(), "client"),
        _ => ("Template/Render", "Template/Render".to_owned(), "internal"),
    };
    let mut metrics = vec![("_dd.measured".into(), 1.0)];
    if n == 0 {
        metrics.push(("_dd.top_level".into(), 1.0));
    }
    SpanBytes {
        trace_id: u128::from(request + 1),
        span_id: request * SPANS + n + 1,
        parent_id: if n == 0 { 0 } else { request * SPANS + 1 },
        service: "bench".into(),
        name: name.into(),
        resource: resource.into(),
        start: (start + request * 50_000 + n * 100_000) as i64,
        duration: 50_000 + (request * 31 + n * 977) as i64 % 40_000,
        meta: vec![("span.kind".into(), kind.into())].into(),
        metrics: metrics.into(),
        ..Default::default()
    }
}

pub fn run() {
    let now = SystemTime::now();
    let start = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let spans: Vec<SpanBytes> = (0..REQUESTS)
        .flat_map(|request| (0..SPANS).map(move |n| span(start, request, n)))
        .collect();
    let mut concentrator =
        SpanConcentrator::new(Duration::from_secs(60), now, vec![], vec![], None, vec![]);
    let mut pass = || {
        let before = cpu();
        for span in &spans {
            concentrator.add_span(span);
        }
        (cpu() - before) / spans.len() as f64
    };
    pass();
    let samples = (0..15).map(|_| pass()).collect();
    let row = Row::of("engine", "libdatadog SpanConcentrator.add_span", "ns CPU/span");
    Row { ours: false, note: "adding up alone, of spans in memory", ..row }.write(samples);
    let groups: usize =
        concentrator.flush(now, true).all_buckets().iter().map(|bucket| bucket.stats.len()).sum();
    assert!(groups > ENDPOINTS as usize, "it aggregated {groups} groups only");
}
