//! In the steady state the engine allocates nothing for a span.
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
use scoutcore::record::{Encoder, Names, RequestTags, Span, Tag, TagValue, Text, decode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting has no other effect.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
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

/// One request of eleven spans, encoded.
fn request(n: u64, bytes: &mut Vec<u8>) {
    let mut buffer = [0; 1024];
    let mut id = [7; 16];
    id[..8].copy_from_slice(&n.to_le_bytes());
    let trace_id = TraceId(id);
    fn text(text: &str) -> TagValue<'_> {
        TagValue::Str { text: Text::Bytes(text.as_bytes()), truncated: false }
    }
    let tags = [Tag { key: Text::Bytes(b"path"), value: text("/users/1?a=b") }];
    let record = RequestTags { trace_id, time: UnixNanos(T0) };
    let fit = Encoder::new(&mut buffer).request_tags(&record, tags.into_iter()).unwrap();
    bytes.extend_from_slice(&buffer[..fit.len]);
    for at in (0..11_u64).rev() {
        let (operation, key, value) = match at {
            0 => ("Middleware/Summary", "a", "b"),
            1 => ("Controller/users/show", "user", "x"),
            2..=5 => ("SQL/Query", "db.statement", "SELECT * FROM users WHERE id = 1"),
            6 => ("HTTP/GET", "url", "https://example.com/x?y"),
            _ => ("Template/Render", "name", "show.html"),
        };
        let span = Span {
            trace_id,
            span_id: SpanId(at + 1),
            parent_id: SpanId(at.min(2)),
            start: UnixNanos(T0 + at * 1_000_000),
            end: UnixNanos(T0 + 20_000_000 - at * 500_000 - n % 64 * 1000),
            operation: Text::Bytes(operation.as_bytes()),
        };
        let tags = [Tag { key: Text::Bytes(key.as_bytes()), value: text(value) }];
        let fit = Encoder::new(&mut buffer).span(&span, tags.into_iter()).unwrap();
        bytes.extend_from_slice(&buffer[..fit.len]);
    }
}

fn feed(engine: &mut Engine, mut bytes: &[u8], now: UnixNanos) {
    while !bytes.is_empty() {
        let (record, len) = decode(bytes).unwrap();
        if let Some(record) = record {
            engine.ingest(&record, &NoNames, now);
        }
        bytes = &bytes[len..];
    }
    engine.end_round(now);
}

#[test]
fn nothing_is_allocated_for_a_span() {
    let config = EngineConfig { max_recent_requests: 1000, ..EngineConfig::default() };
    let mut engine = Engine::new(config, [1, 2], UnixNanos(T0));
    let now = UnixNanos(T0 + 30_000_000_000);
    let rounds: Vec<Vec<u8>> = (0..100)
        .map(|round| {
            let mut bytes = Vec::new();
            (0..100).for_each(|n| request(round * 100 + n, &mut bytes));
            bytes
        })
        .collect();
    // The first rounds fill the tables and choose the minute's traces.
    rounds[..50].iter().for_each(|bytes| feed(&mut engine, bytes, now));
    let (before, traces) = (ALLOCATIONS.load(Ordering::Relaxed), engine.stats().traces_taken);
    rounds[50..].iter().for_each(|bytes| feed(&mut engine, bytes, now));
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let traces = engine.stats().traces_taken - traces;
    println!("{allocations} allocations for 55,000 spans in 5,000 requests, {traces} traces taken");
    // A hash table may move house once in a while.
    assert!(allocations <= 3, "{allocations} allocations");
    assert_eq!(traces, 0);
    assert_eq!(engine.stats().spans, 110_000);
}
