//! What is recorded, and how it is found again in a payload.

use crate::engine::{Engine, EngineConfig, Period};
use crate::model::{NameId, SpanId, TraceId, UnixNanos};
use crate::payload::{self, Metadata};
use crate::record::{Encoder, Names, Span, Text, decode};
use crate::spool::Body;

struct NoNames;

impl Names for NoNames {
    fn name(&self, _: NameId) -> Option<&str> {
        None
    }
}

pub(super) fn encode(trace: u64, root: bool, now: u64) -> Vec<u8> {
    let mut id = [0xab; 16];
    id[..8].copy_from_slice(&trace.to_be_bytes());
    let operation = if root { format!("Controller/{trace}") } else { "View/part".into() };
    let span = Span {
        trace_id: TraceId(id),
        span_id: SpanId(if root { 1 } else { 2 }),
        parent_id: SpanId(if root { 0 } else { 1 }),
        start: UnixNanos(now - 1_000_000),
        end: UnixNanos(now),
        operation: Text::Bytes(operation.as_bytes()),
    };
    let mut buffer = vec![0; 400];
    let fit = Encoder::new(&mut buffer).span(&span, std::iter::empty()).unwrap();
    buffer.truncate(fit.len);
    buffer
}

pub(super) fn ingest(engine: &mut Engine, record: &[u8], now: UnixNanos) {
    let (record, _) = decode(record).unwrap();
    engine.ingest(&record.unwrap(), &NoNames, now);
}

pub(super) fn config() -> EngineConfig {
    EngineConfig {
        sql_memo_entries: 4,
        max_recent_requests: 64,
        // A root that comes after that is a late span, and names no endpoint.
        request_max_age: u64::MAX,
        ..EngineConfig::default()
    }
}

pub(super) fn render(period: &Period, id: &str) -> Vec<Body> {
    let metadata = Metadata { unique_id: id.to_owned(), ..Metadata::default() };
    let json = String::from_utf8(payload::checkin(period, &metadata)).unwrap();
    vec![Body { kind: "checkin".into(), entries: 1, json }]
}

/// The requests in a payload.
pub(super) fn requests(json: &str) -> Vec<u64> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut found = Vec::new();
    for metric in value["metrics"].as_array().unwrap() {
        if metric["key"]["bucket"] == "Controller" {
            let calls = metric["call_count"].as_u64().unwrap() as usize;
            let name: u64 = metric["key"]["name"].as_str().unwrap().parse().unwrap();
            found.extend(std::iter::repeat_n(name, calls));
        }
    }
    found
}
