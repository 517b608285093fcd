//! Recorded requests, as bytes: what the engine is fed.

use scoutcore::engine::{Engine, EngineConfig, Period};
use scoutcore::model::{NameId, SpanId, TraceId, UnixNanos};
use scoutcore::record::{Encoder, Names, RequestTags, Span, Tag, TagValue, Text, decode};

pub const T0: u64 = 1_795_000_020_000_000_000;
pub const SPANS: usize = 11;
/// Spans of a workload of wide requests.
pub const GROWN: usize = 200_000;

pub struct Table(Vec<String>);

impl Names for Table {
    fn name(&self, id: NameId) -> Option<&str> {
        self.0.get((id.0 as usize).wrapping_sub(1)).map(String::as_str)
    }
}

/// Where names are: beside the records, or in them.
#[derive(Clone, Copy)]
pub enum Naming {
    Interned,
    Inline,
}

pub struct Workload {
    bytes: Vec<u8>,
    names: Table,
    /// How many.
    pub spans: usize,
}

impl Workload {
    fn name<'a>(names: &mut Table, naming: Naming, text: &'a str) -> Text<'a> {
        if matches!(naming, Naming::Inline) {
            return Text::Bytes(text.as_bytes());
        }
        let at = names.0.iter().position(|held| held == text).unwrap_or_else(|| {
            names.0.push(text.to_owned());
            names.0.len() - 1
        });
        Text::Name(NameId(at as u32 + 1))
    }

    /// `requests` of eleven spans each, over `endpoints`; `sql` of the spans carry a statement.
    pub fn new(requests: usize, endpoints: usize, sql: usize, naming: Naming) -> Workload {
        let mut work =
            Workload { bytes: Vec::new(), names: Table(Vec::new()), spans: requests * SPANS };
        let mut buffer = vec![0; 4096];
        let mut seed = 1_u64;
        let mut random = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for request in 0..requests {
            let mut id = [0; 16];
            id[..8].copy_from_slice(
                &(request as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes(),
            );
            id[8] = 1;
            let trace_id = TraceId(id);
            let start = T0 + (request as u64 * 50_000) % 30_000_000_000;
            let base = random(u64::MAX >> 32) << 8 | 1;
            let endpoint = format!("Controller/users{}/show", random(endpoints as u64));
            let path = Workload::name(&mut work.names, naming, "path");
            let uri = format!("/users/{request}");
            let tag = Tag {
                key: path,
                value: TagValue::Str { text: Text::Bytes(uri.as_bytes()), truncated: false },
            };
            let record = RequestTags { trace_id, time: UnixNanos(start) };
            let fit = Encoder::new(&mut buffer).request_tags(&record, [tag].into_iter()).unwrap();
            work.bytes.extend_from_slice(&buffer[..fit.len]);
            // In order of completion: children before parents.
            for n in (0..SPANS).rev() {
                let n64 = n as u64;
                let (operation, parent, from, to) = match n {
                    0 => ("Middleware/Summary".to_owned(), 0, 0, 20_000_000 + random(5_000_000)),
                    1 => (endpoint.clone(), base, 10_000, 19_000_000),
                    n if n < 2 + sql => (
                        "SQL/Query".to_owned(),
                        base + 1,
                        n64 * 100_000,
                        n64 * 100_000 + 50_000 + random(40_000),
                    ),
                    10 => ("HTTP/GET".to_owned(), base + 1, 15_000_000, 18_000_000),
                    _ => (
                        "Template/Render".to_owned(),
                        base + 1,
                        n64 * 200_000,
                        n64 * 200_000 + 60_000,
                    ),
                };
                let span = Span {
                    trace_id,
                    span_id: SpanId(base + n64),
                    parent_id: SpanId(parent),
                    start: UnixNanos(start + from),
                    end: UnixNanos(start + to),
                    operation: Workload::name(&mut work.names, naming, &operation),
                };
                let statement = format!(
                    "SELECT users.id, users.name, users.email FROM users WHERE users.id = {} AND users.kind = 'k{}' LIMIT 1",
                    random(100),
                    n
                );
                let bytes = |text| TagValue::Str { text: Text::Bytes(text), truncated: false };
                let mut tags = Vec::new();
                if operation == "SQL/Query" {
                    let key = Workload::name(&mut work.names, naming, "db.statement");
                    tags.push(Tag { key, value: bytes(statement.as_bytes()) });
                    let key = Workload::name(&mut work.names, naming, "db.record_count");
                    tags.push(Tag { key, value: TagValue::I64(3) });
                } else if operation == "HTTP/GET" {
                    let key = Workload::name(&mut work.names, naming, "url");
                    tags.push(Tag { key, value: bytes(b"https://api.example.com/v1/things") });
                }
                let fit = Encoder::new(&mut buffer).span(&span, tags.into_iter()).unwrap();
                work.bytes.extend_from_slice(&buffer[..fit.len]);
            }
        }
        work
    }

    /// Feeds everything, a drain round every hundred requests.
    pub fn run(&self, engine: &mut Engine, now: UnixNanos) {
        let mut rest = &self.bytes[..];
        let mut records = 0;
        while !rest.is_empty() {
            // By reference: moving a decoded record costs more than reading it.
            let len = match &decode(rest) {
                Ok((Some(record), len)) => {
                    engine.ingest(record, &self.names, now);
                    *len
                }
                Ok((None, len)) => *len,
                Err(error) => panic!("{error:?}"),
            };
            rest = &rest[len..];
            records += 1;
            if records % (100 * (SPANS + 1)) == 0 {
                engine.end_round(now);
            }
        }
        engine.end_round(now);
        engine.end_round(now);
    }

    /// Decoding alone, for comparison.
    pub fn decode(&self) -> u64 {
        let mut rest = &self.bytes[..];
        let mut sum = 0;
        while !rest.is_empty() {
            let (record, len) = decode(rest).unwrap();
            if let Some(scoutcore::record::Record::Span(span, tags)) = record {
                sum += span.start.0 + tags.map(|tag| u64::from(tag.key.is_empty())).sum::<u64>();
            }
            rest = &rest[len..];
        }
        sum
    }
}

/// Requests of so many spans, `GROWN` in all: a root, and queries below it, all of one statement.
pub fn wide(spans: usize) -> Workload {
    let mut work = Workload { bytes: Vec::new(), names: Table(Vec::new()), spans: GROWN };
    let mut buffer = vec![0; 4096];
    for request in 0..(GROWN / spans) as u64 {
        let mut id = [7; 16];
        id[..8].copy_from_slice(&(request + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        for n in (0..spans as u64).rev() {
            let operation = if n == 0 { "Controller/users/show" } else { "SQL/Query" };
            let length = if n == 0 { spans as u64 * 1_000 } else { 900 };
            let span = Span {
                trace_id: TraceId(id),
                span_id: SpanId(n + 1),
                parent_id: SpanId(u64::from(n > 0)),
                start: UnixNanos(T0 + n * 1_000),
                end: UnixNanos(T0 + n * 1_000 + length),
                operation: Workload::name(&mut work.names, Naming::Interned, operation),
            };
            let key = Workload::name(&mut work.names, Naming::Interned, "db.statement");
            let statement = format!("SELECT name FROM users WHERE id = {}", n % 100);
            let text = Text::Bytes(statement.as_bytes());
            let tag = Tag { key, value: TagValue::Str { text, truncated: false } };
            let tags = (n > 0).then_some(tag);
            let fit = Encoder::new(&mut buffer).span(&span, tags.into_iter()).unwrap();
            work.bytes.extend_from_slice(&buffer[..fit.len]);
        }
    }
    work
}

/// A minute of an application with so many endpoints, each of them seen.
pub fn minute(endpoints: usize) -> Period {
    let work = Workload::new((endpoints * 10).max(4_000), endpoints, 4, Naming::Inline);
    let now = UnixNanos(T0 + 30_000_000_000);
    let mut engine = Engine::new(EngineConfig::default(), [5, 6], UnixNanos(T0));
    work.run(&mut engine, now);
    engine.take_all(now).remove(0)
}
