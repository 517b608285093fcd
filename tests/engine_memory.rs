//! Whatever an application sends, the engine's memory stays under a stated bound.
//!
//! A test of its own, because it counts every allocation of the process.
#![allow(unsafe_code, reason = "an allocator can only be written so")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop"
)]

use scoutcore::engine::{Engine, EngineConfig};
use scoutcore::model::{NameId, SpanId, TraceId, UnixNanos};
use scoutcore::record::{
    Encoder, ErrorEvent, Names, RequestTags, Span, Tag, TagValue, Text, decode,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting has no other effect.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct NoNames;
impl Names for NoNames {
    fn name(&self, _: NameId) -> Option<&str> {
        None
    }
}

const T0: u64 = 1_795_000_020_000_000_000;
const NOW: UnixNanos = UnixNanos(T0 + 30_000_000_000);

fn trace_id(trace: u64) -> TraceId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&trace.to_le_bytes());
    TraceId(id)
}

fn texts<'a>(tags: &'a [(&str, &str)]) -> impl Iterator<Item = Tag<'a>> + Clone {
    tags.iter().map(|(key, value)| Tag {
        key: Text::Bytes(key.as_bytes()),
        value: TagValue::Str { text: Text::Bytes(value.as_bytes()), truncated: false },
    })
}

struct Flood {
    engine: Engine,
    before: usize,
    buffer: Vec<u8>,
}

impl Flood {
    fn new() -> Flood {
        let buffer = vec![0; 70_000];
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let engine = Engine::new(EngineConfig::default(), [1, 2], UnixNanos(T0));
        Flood { engine, before, buffer }
    }

    fn span(&mut self, trace: u64, id: u64, parent: u64, op: &str, tags: &[(&str, &str)]) {
        let span = Span {
            trace_id: trace_id(trace),
            span_id: SpanId(id),
            parent_id: SpanId(parent),
            start: UnixNanos(T0 + id),
            end: UnixNanos(T0 + id + 1000 * (1 + id % 100_000)),
            operation: Text::Bytes(op.as_bytes()),
        };
        let fit = Encoder::new(&mut self.buffer).span(&span, texts(tags)).unwrap();
        self.ingest(fit.len);
    }

    fn request_tags(&mut self, trace: u64, tags: &[(&str, &str)]) {
        let request = RequestTags { trace_id: trace_id(trace), time: NOW };
        let fit = Encoder::new(&mut self.buffer).request_tags(&request, texts(tags)).unwrap();
        self.ingest(fit.len);
    }

    fn error(&mut self, trace: u64, class: &str, backtrace: &str, tags: &[(&str, &str)]) {
        let text = |text: &'static str| Text::Bytes(text.as_bytes());
        let error = ErrorEvent {
            trace_id: trace_id(trace),
            time: NOW,
            span_id: SpanId(0),
            class: Text::Bytes(class.as_bytes()),
            message: text("no such thing"),
            backtrace: Text::Bytes(backtrace.as_bytes()),
        };
        let fit = Encoder::new(&mut self.buffer).error(&error, texts(tags)).unwrap();
        self.ingest(fit.len);
    }

    fn ingest(&mut self, len: usize) {
        let (record, _) = decode(&self.buffer[..len]).unwrap();
        self.engine.ingest(&record.unwrap(), &NoNames, NOW);
    }

    /// Stays within the bound.
    fn holds(self, label: &str) {
        let (peak, _) = self.end(label);
        assert!(peak < BOUND, "{label}: {peak:.1} MiB");
    }

    /// Peak and present use in MiB.
    fn end(mut self, label: &str) -> (f64, f64) {
        self.engine.end_round(NOW);
        self.engine.end_round(NOW);
        let mib = |bytes: usize| bytes.saturating_sub(self.before) as f64 / f64::from(1 << 20);
        let (peak, live) = (mib(PEAK.load(Ordering::Relaxed)), mib(LIVE.load(Ordering::Relaxed)));
        println!("{label}: at most {peak:.1} MiB, {live:.1} MiB at the end");
        (peak, live)
    }
}

/// MiB. What each flood may take at most; one by one, for they are different defects.
const BOUND: f64 = 64.0;

#[test]
fn floods_are_bounded() {
    let mut flood = Flood::new();
    for n in 1..=10_000_u64 {
        flood.span(n, 2, 1, "Controller/a", &[]);
    }
    flood.holds("10,000 open requests");

    let mut flood = Flood::new();
    for n in 1..=100_000_u64 {
        flood.span(n, 2, 1, &format!("Controller/some/long/name/of/an/endpoint/{n}"), &[]);
        flood.span(n, 1, 0, "Middleware", &[]);
        if n % 1000 == 0 {
            flood.engine.end_round(NOW);
        }
    }
    flood.holds("100,000 endpoints");

    let mut flood = Flood::new();
    for n in 1..=100_000_u64 {
        flood.span(n, 1, 0, "Controller/a", &[]);
        let sql = format!("SELECT some, columns, and, more{n} FROM a_table_{n} WHERE a = 'b'");
        flood.span(n, 2, 1, "SQL/Query", &[("db.statement", &sql)]);
        let url = format!("https://h{n}.example.com/");
        flood.span(n, 3, 1, "HTTP/GET", &[("url", &url), (&format!("key{n}"), "x")]);
        if n % 1000 == 0 {
            flood.engine.end_round(NOW);
        }
    }
    flood.holds("100,000 statements, hosts and tag keys");

    let mut flood = Flood::new();
    let text = "x".repeat(2000);
    for n in 1..=300_000_u64 {
        flood.span(1, n + 1, 1, "Custom/x", &[("text", &text)]);
    }
    flood.span(1, 1, 0, "Controller/a", &[]);
    let (peak, live) = flood.end("a request of 300,000 spans with text");
    assert!(peak < BOUND && live < BOUND / 16.0);

    let mut flood = Flood::new();
    for n in 1..=400_000_u64 {
        flood.span(n % 9000 + 1, n + 1, 1, "Custom/x", &[]);
    }
    flood.holds("400,000 spans of 9,000 open requests");

    let mut flood = Flood::new();
    for n in 1..=12_000_u64 {
        let sql = format!("SELECT a{} FROM b", n % 1000);
        let long = format!("{sql} WHERE {}", "abc = def AND ".repeat(300));
        let sql = if n % 2 == 0 { long } else { sql };
        flood.span(n % 9000 + 1, n + 1, 1, "SQL/Query", &[("db.statement", &sql)]);
    }
    flood.holds("12,000 statements of 9,000 open requests");

    let mut flood = Flood::new();
    for n in 1..=6_000_u64 {
        if n % 100 == 1 {
            flood.span(n / 100 + 1, 1, 0, &format!("Controller/{}", n / 100), &[]);
        }
        let sql = format!("SELECT a{n} FROM b WHERE {}", "abc = def AND ".repeat(300));
        flood.span(n / 100 + 1, n + 1, 1, "SQL/Query", &[("db.statement", &sql)]);
        if n % 100 == 0 {
            flood.engine.end_round(NOW);
        }
    }
    flood.holds("6,000 long statements in traces and tables");

    let mut flood = Flood::new();
    for n in 1..=700_000_u64 {
        flood.span(n % 9000 + 1, n + 1, 1, "Controller/a", &[]);
    }
    flood.holds("700,000 scopes of 9,000 open requests");

    let mut flood = Flood::new();
    for n in 1..=40_000_u64 {
        flood.span(n % 9000 + 1, n + 1, 1, "Custom/x", &[("text", &text), ("more", &text)]);
    }
    flood.holds("160 MB of text in spans of 9,000 open requests");

    let mut flood = Flood::new();
    let many: Vec<(String, &str)> = (0..60).map(|n| (format!("rows{n}"), "")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(key, value)| (&**key, *value)).collect();
    for n in 1..=60_000_u64 {
        flood.span(n % 9000 + 1, n + 1, 1, "Custom/x", &many);
    }
    flood.holds("3,600,000 empty tags in spans of 9,000 open requests");

    let mut flood = Flood::new();
    for n in 1..=50_000_u64 {
        flood.request_tags(n % 9000 + 1, &[("text", &text), ("more", &text)]);
    }
    flood.holds("200 MB of text about 9,000 open requests");

    let mut flood = Flood::new();
    let long = "at somewhere in something\n".repeat(2000);
    for n in 1..=20_000_u64 {
        flood.error(n % 9000 + 1, "Oops", &long, &[("text", &text)]);
    }
    flood.holds("20,000 errors of 9,000 open requests");

    let mut flood = Flood::new();
    for n in 1..=12_000_u64 {
        // Of ten requests, that many that all but the first are sums.
        let sql = format!("SELECT a{} FROM b WHERE {}", n % 1500, "abc = def AND ".repeat(300));
        flood.span(n % 10 + 1, n + 1, 1, "SQL/Query", &[("db.statement", &sql)]);
    }
    flood.holds("12,000 statements of ten open requests");

    let mut flood = Flood::new();
    for n in 1..=4_000_u64 {
        let sql = format!("SELECT a{n} FROM b WHERE {}", "abc = def AND ".repeat(900));
        flood.span(n % 2000 + 1, n + 1, 1, "Controller/a", &[("db.statement", &sql)]);
    }
    assert!(flood.engine.stats().requests_closed_by_limit > 0);
    flood.holds("4,000 long statements of scopes");

    let mut flood = Flood::new();
    let json = format!("[{}]", vec!["{\"id\":1}"; 1700].join(","));
    for n in 1..=1000_u64 {
        let keys = ["request_params", "request_session", "environment"];
        flood.error(0, &format!("Oops{n}"), "", &keys.map(|key| (key, json.as_str())));
    }
    flood.holds("1000 errors with 5000 JSON objects each");

    // And after all that, an engine goes on as ever.
    let mut flood = Flood::new();
    for n in 1..=30_000_u64 {
        flood.span(n % 9000 + 1, n + 1, 1, "Custom/x", &[("text", &text), ("more", &text)]);
    }
    for n in 1..=9000_u64 {
        flood.span(n, 1, 0, "Controller/a", &[]);
    }
    flood.engine.end_round(NOW);
    flood.engine.end_round(NOW);
    let before = flood.engine.stats();
    assert_eq!((before.open_requests, before.open_spans), (0, 0));
    flood.span(20_001, 2, 1, "Custom/x", &[("text", &text)]);
    flood.span(20_001, 1, 0, "Controller/a", &[]);
    flood.engine.end_round(NOW);
    flood.engine.end_round(NOW);
    let after = flood.engine.stats();
    assert_eq!(after.requests, before.requests + 1);
    assert_eq!(after.requests_closed_by_limit, before.requests_closed_by_limit);
    assert_eq!(after.tags_dropped, before.tags_dropped);
}
