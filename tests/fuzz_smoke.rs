//! Every fuzz target over its seeds, each seed cut at many places and with bits flipped: what libFuzzer looks for at
//! length, in a second, and always the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at what it did not expect"
)]

mod fuzz_common;

use scoutcore::model::{NameId, SpanId, TraceId, UnixNanos};
use scoutcore::record::{
    AppEvent, Encoder, ErrorEvent, Metric, NameDefinition, RequestTags, Span, Tag, TagValue, Text,
};

/// A seed, and everything near it.
fn around(seed: &[u8], check: fn(&[u8])) {
    check(seed);
    let step = (seed.len() / 64).max(1);
    for at in (0..seed.len()).step_by(step) {
        check(&seed[..at]);
        check(&seed[at..]);
        for bit in 0..8 {
            let mut flipped = seed.to_vec();
            flipped[at] ^= 1 << bit;
            check(&flipped);
        }
    }
}

/// One record of each kind.
fn records() -> Vec<u8> {
    let trace_id = TraceId([7; 16]);
    let text = |text: &'static str| Text::Bytes(text.as_bytes());
    let tags = [
        Tag {
            key: text("db.statement"),
            value: TagValue::Str { text: text("SELECT 1 FROM t WHERE a = 'x'"), truncated: false },
        },
        Tag { key: text("n"), value: TagValue::I64(-1) },
        Tag { key: text("f"), value: TagValue::F64(f64::NAN) },
        Tag { key: text("error"), value: TagValue::Bool(true) },
    ];
    let time = UnixNanos(1_795_000_049_000_000_000);
    let span = |id, parent, operation| Span {
        trace_id,
        span_id: SpanId(id),
        parent_id: SpanId(parent),
        start: time,
        end: UnixNanos(time.0 + 1_000_000),
        operation: text(operation),
    };
    let mut buffer = vec![0; 4096];
    let mut at = 0;
    let mut put =
        |write: &dyn Fn(Encoder<'_>) -> usize| at += write(Encoder::new(&mut buffer[at..]));
    put(&|out| out.span(&span(2, 1, "SQL/Query"), tags.into_iter()).unwrap().len);
    put(&|out| out.request_tags(&RequestTags { trace_id, time }, tags.into_iter()).unwrap().len);
    let error = ErrorEvent {
        trace_id,
        span_id: SpanId(2),
        time,
        class: text("ValueError"),
        message: text("no"),
        backtrace: text("a.py:1:in f"),
    };
    put(&|out| out.error(&error, tags.into_iter()).unwrap().len);
    let metric = Metric { time, value: 1.5, name: text("Queue/depth") };
    put(&|out| out.metric(&metric, std::iter::empty()).unwrap().len);
    let event = AppEvent { time, kind: text("scout.metadata"), json: text("{\"language\":\"c\"}") };
    put(&|out| out.event(&event).unwrap().len);
    put(&|out| out.span(&span(1, 0, "Controller/a"), std::iter::empty()).unwrap().len);
    buffer.truncate(at);
    buffer
}

#[test]
fn records_of_every_kind() {
    around(&records(), fuzz_common::record);
}

/// A segment as `fuzz_common::segments` reads it.
fn segment(state: u64, purpose: u32, born: u32, covered: [u64; 2], records: &[u8]) -> Vec<u8> {
    let mut bytes = state.to_le_bytes().to_vec();
    for field in [records.len() as u32, purpose, born] {
        bytes.extend(field.to_le_bytes());
    }
    covered.iter().for_each(|covered| bytes.extend(covered.to_le_bytes()));
    bytes.extend((records.len() as u16).to_le_bytes());
    bytes.extend(records);
    bytes
}

/// One with names, one that the last checkpoint covers in part, one that it carried over, one of a
/// checkpoint that never came to be.
fn dead_file() -> Vec<u8> {
    let mut names = vec![0; 256];
    let name = NameDefinition { id: NameId(1), text: b"Controller/a" };
    let len = Encoder::new(&mut names).name(&name).unwrap().len;
    let (active, full) = (5 << 2 | 1, 5 << 2 | 2);
    let records = records();
    [
        vec![0],
        2u32.to_le_bytes().to_vec(),
        segment(full, 1, 0, [0, 0], &names[..len]),
        segment(active, 0, 0, [2 << 32, 1 << 32], &records),
        segment(full, 2, 2, [0, 0], &records),
        segment(full, 2, 3, [0, 0], &records),
    ]
    .concat()
}

#[test]
fn files_of_dead_processes() {
    around(&dead_file(), fuzz_common::segments);
}

#[test]
fn options_of_every_type() {
    for seed in [
        r#"{"name": "Shop", "key": "abcdefghij0123456789", "sample_rate": 0.5, "monitor": true}"#,
        r#"{"sample_endpoints": ["/a:50", "/b:0"], "ignore": ["^/x(", "/y"], "sql_dialect": "mysql"}"#,
        r#"{"recorder_memory_mib": 1, "nonsense": [[[{}]]], "name": "\ud83d\ude00"}"#,
        "[1, 2",
        "null",
        "",
    ] {
        around(seed.as_bytes(), fuzz_common::options);
    }
}

#[test]
fn files_of_the_spool() {
    let parcel = r#"{"id":"abcdefghijklmnop","minute":29916667,"spans":2,"sources":["a"],"bodies":[{"kind":"checkin","entries":1,"json":"{}"}]}"#;
    for seed in [parcel, "{}", "", "SCSP"] {
        around(seed.as_bytes(), fuzz_common::spool);
    }
}

#[test]
fn frames_of_clients() {
    for seed in [
        r#"{"Register":{"app":"A","key":"k","language":"python","api_version":"1.0"}}"#,
        r#"{"BatchCommand":{"commands":[{"StartRequest":{"request_id":"r","timestamp":"2026-11-22T06:53:51.951531Z"}},{"FinishRequest":{"request_id":"r","timestamp":NaN}}]}}"#,
        r#"{"TagSpan":{"request_id":"r","span_id":"s","tag":"stack","value":[{"file":"a","line":1}]}}"#,
    ] {
        around(seed.as_bytes(), fuzz_common::protocol);
        let framed = [&(seed.len() as u32).to_be_bytes()[..], seed.as_bytes()].concat();
        around(&framed, fuzz_common::protocol);
    }
}
