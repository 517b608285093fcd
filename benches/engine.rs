//! What the engine costs: nanoseconds a span from the encoded record to the minute, medians.
//!
//! `cargo bench --bench engine`; with `SCOUT_BENCH_JSON=FILE`, rows for `docs/benchmarks.md` too.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark talks and may stop"
)]

mod rows;

use flate2::Compression;
use flate2::write::GzEncoder;
use rows::Row;
use scoutcore::engine::{Engine, EngineConfig, Histogram, LiveHistogram};
use scoutcore::model::{NameId, SpanId, TraceId, UnixNanos};
use scoutcore::payload::{Metadata, checkin};
use scoutcore::record::{Encoder, Names, RequestTags, Span, Tag, TagValue, Text, decode};
use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

const T0: u64 = 1_795_000_020_000_000_000;
const SPANS: usize = 11;
const PASSES: usize = 20;
const GROWN: usize = 200_000;

struct Table(Vec<String>);

impl Names for Table {
    fn name(&self, id: NameId) -> Option<&str> {
        self.0.get((id.0 as usize).wrapping_sub(1)).map(String::as_str)
    }
}

/// Where names are: beside the records, or in them.
#[derive(Clone, Copy)]
enum Naming {
    Interned,
    Inline,
}

struct Workload {
    bytes: Vec<u8>,
    names: Table,
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
    fn new(requests: usize, endpoints: usize, sql: usize, naming: Naming) -> Workload {
        let mut work = Workload { bytes: Vec::new(), names: Table(Vec::new()) };
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
    fn run(&self, engine: &mut Engine, now: UnixNanos) {
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
    fn decode(&self) -> u64 {
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

/// Nanoseconds this thread has run: others on the machine do not count.
fn cpu() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    line.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0.0)
}

/// Runs it; the median, the lowest, and a row.
fn measure(rounds: usize, row: (&str, &str), mut run: impl FnMut() -> f64) -> (f64, f64) {
    run();
    let mut samples: Vec<f64> = (0..rounds).map(|_| run()).collect();
    ours("engine", row.0, row.1).write(samples.clone());
    samples.sort_by(f64::total_cmp);
    (samples[samples.len() / 2], samples[0])
}

fn ours<'a>(section: &'a str, row: &'a str, unit: &'a str) -> Row<'a> {
    Row { section, row, ours: true, unit, note: "" }
}

/// For instruction counters: one workload, so many passes, and nothing else. The difference of two runs is the passes'
/// own: `valgrind --tool=callgrind <bench> --count 11`, less that of `--count 1`.
fn count(passes: usize) {
    let work = Workload::new(1000, 20, 4, Naming::Interned);
    let config = EngineConfig { max_recent_requests: 100, ..EngineConfig::default() };
    let mut engine = Engine::new(config, [5, 6], UnixNanos(T0));
    for _ in 0..passes {
        work.run(&mut engine, UnixNanos(T0 + 30_000_000_000));
    }
    println!("{} spans", engine.stats().spans);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--count") {
        return count(arguments.get(at + 1).map_or(1, |passes| passes.parse().unwrap()));
    }
    let requests = 4000;
    let spans = (requests * SPANS) as f64;
    println!(
        "{:<58} {:>8} {:>8}",
        "CPU ns a span, record to minute (decode included)", "median", "min"
    );
    for (label, endpoints, sql, naming) in [
        ("interned names, 4 of 11 SQL, 20 endpoints", 20, 4, Naming::Interned),
        ("inline names, 4 of 11 SQL, 20 endpoints", 20, 4, Naming::Inline),
        ("interned names, no SQL, 20 endpoints", 20, 0, Naming::Interned),
        ("interned names, 8 of 11 SQL, 20 endpoints", 20, 8, Naming::Interned),
        ("interned names, 4 of 11 SQL, 1000 endpoints", 1000, 4, Naming::Interned),
    ] {
        let work = Workload::new(requests, endpoints, sql, naming);
        // Passes repeat trace ids, so the engine must have forgotten them in between.
        let config = EngineConfig { max_recent_requests: 1000, ..EngineConfig::default() };
        let mut engine = Engine::new(config, [5, 6], UnixNanos(T0));
        let mut round = 0;
        let row = format!("record to minute: {label}");
        let (median, min) = measure(15, (&row, "ns CPU/span"), || {
            round += 1;
            let now = UnixNanos(T0 + 30_000_000_000);
            // The kernel's count is some milliseconds behind: several passes at once.
            let start = cpu();
            for _ in 0..PASSES {
                work.run(&mut engine, now);
            }
            let nanos = (cpu() - start) / spans / PASSES as f64;
            assert_eq!(engine.stats().spans_late, 0);
            if round % 5 == 0 {
                engine.take_all(now);
            }
            nanos
        });
        println!("{label:<58} {median:>8.1} {min:>8.1}");
        let row = format!("decoding alone: {label}");
        let (median, min) = measure(15, (&row, "ns CPU/span"), || {
            let start = cpu();
            for _ in 0..PASSES {
                black_box(work.decode());
            }
            (cpu() - start) / spans / PASSES as f64
        });
        println!("{:<58} {median:>8.1} {min:>8.1}", "  of which decoding");
    }
    period(requests);
    histogram();
    growth();
}

/// Requests of so many spans, `GROWN` in all: a root, and queries below it, all of one statement.
fn wide(spans: usize) -> Workload {
    let mut work = Workload { bytes: Vec::new(), names: Table(Vec::new()) };
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

/// How the cost of a span grows with what an application has of endpoints, and a request of spans.
fn growth() {
    println!("{:<58} {:>8}", "growth: CPU ns a span", "median");
    let now = UnixNanos(T0 + 30_000_000_000);
    let fresh = || Engine::new(EngineConfig::default(), [5, 6], UnixNanos(T0));
    let report = |row: String, samples: Vec<f64>| {
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        println!("{row:<58} {:>8.1}", sorted[sorted.len() / 2]);
        ours("growth", &row, "ns CPU/span").write(samples);
    };
    for endpoints in [1, 10, 100, 1_000, 10_000, 100_000] {
        let requests = endpoints.max(10_000);
        let work = Workload::new(requests, endpoints, 4, Naming::Inline);
        let samples = (0..3).map(|_| {
            let mut engine = fresh();
            let start = cpu();
            work.run(&mut engine, now);
            (cpu() - start) / (requests * SPANS) as f64
        });
        report(format!("endpoints: {endpoints}"), samples.collect());
    }
    for spans in [1, 10, 100, 1_000, 10_000] {
        let work = wide(spans);
        let samples = (0..5).map(|_| {
            let mut engine = fresh();
            let start = cpu();
            work.run(&mut engine, now);
            (cpu() - start) / GROWN as f64
        });
        report(format!("spans a request: {spans}"), samples.collect());
    }
}

/// What compressing a check-in costs, by level, with the library's own encoder.
fn compression(json: &[u8]) {
    println!("{:<58} {:>8} {:>8}", "gzip of the check-in, by level", "MB/s", "% left");
    for level in 1..=9 {
        let mut size = 0;
        let samples: Vec<f64> = (0..5)
            .map(|_| {
                let start = cpu();
                for _ in 0..3 {
                    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
                    encoder.write_all(json).unwrap();
                    size = encoder.finish().unwrap().len();
                }
                json.len() as f64 * 3.0 * 1e3 / (cpu() - start)
            })
            .collect();
        let left = 100.0 * size as f64 / json.len() as f64;
        println!("level {level:<52} {:>8.0} {left:>8.1}", samples[samples.len() / 2]);
        let note = format!("{left:.1} % of the size is left");
        let row = format!("gzip level {level}");
        Row { note: &note, ..ours("payload", &row, "MB/s") }.write(samples);
    }
}

fn period(requests: usize) {
    let work = Workload::new(requests, 200, 4, Naming::Interned);
    let now = UnixNanos(T0 + 30_000_000_000);
    let mut engine = Engine::new(EngineConfig::default(), [5, 6], UnixNanos(T0));
    work.run(&mut engine, now);
    let start = Instant::now();
    let period = engine.take_all(now).remove(0);
    let frozen = start.elapsed();
    let start = Instant::now();
    let json = checkin(&period, &Metadata::default());
    let rendered = start.elapsed();
    // Once more, warm, for the row.
    let samples = (0..9).map(|_| {
        let start = cpu();
        black_box(checkin(&period, &Metadata::default()));
        json.len() as f64 * 1e3 / (cpu() - start)
    });
    let note = format!("200 endpoints, {} KiB", json.len() / 1024);
    Row { note: &note, ..ours("payload", "check-in JSON, serde_json", "MB/s") }
        .write(samples.collect());
    if let Some(path) = std::env::var_os("SCOUT_BENCH_PAYLOAD") {
        std::fs::write(path, &json).unwrap();
    }
    println!(
        "200 endpoints: freeze {:.2} ms, check-in {:.2} ms, {} KiB",
        frozen.as_secs_f64() * 1e3,
        rendered.as_secs_f64() * 1e3,
        json.len() / 1024
    );
    compression(&json);
    let start = Instant::now();
    let mut merged = period.clone();
    let cloned = start.elapsed();
    let start = Instant::now();
    merged.merge(period);
    println!(
        "merge {:.2} ms (clone {:.2} ms)",
        start.elapsed().as_secs_f64() * 1e3,
        cloned.as_secs_f64() * 1e3
    );
}

fn histogram() {
    let values: Vec<u64> = (0..1024_u64).map(|n| 1_000_000 + n * n * 977).collect();
    let mut one = Histogram::default();
    let row = ("histogram insert, stored form", "ns");
    let (median, _) = measure(15, row, || {
        let start = Instant::now();
        values.iter().for_each(|value| one.record(*value));
        start.elapsed().as_nanos() as f64 / values.len() as f64
    });
    println!("histogram insert, stored form: {median:.2} ns");
    for n in [1, 1000] {
        let mut live = vec![LiveHistogram::default(); n];
        let mut order: Vec<usize> = (0..values.len()).map(|at| at * 7919 % n).collect();
        order.rotate_left(3);
        let row = format!("histogram insert, live, {n} of them");
        let (median, min) = measure(101, (&row, "ns"), || {
            let start = Instant::now();
            for (value, at) in values.iter().zip(&order) {
                live[*at].record(*value);
            }
            start.elapsed().as_nanos() as f64 / values.len() as f64
        });
        println!("histogram insert, live, {n} of them: {median:.2} ns (min {min:.2})");
    }
}
