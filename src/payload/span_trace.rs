use super::render::{Backtrace, Instant, Seconds, Shown, yes_no};
use crate::engine::{SlowTrace, TraceSpan};
use crate::sql::{self, Dialect, Scratch, Tables};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::rc::Rc;

/// The tables of traces' statements. Most statements are in several spans.
#[derive(Default)]
pub(super) struct StatementTables<'a> {
    scratch: Scratch,
    known: HashMap<(Dialect, &'a str), Rc<Tables>>,
}

impl<'a> StatementTables<'a> {
    fn of(&mut self, span: &'a TraceSpan) -> Option<Rc<Tables>> {
        let statement @ (dialect, text) = span.dialect.zip(span.desc.as_deref())?;
        let StatementTables { scratch, known } = self;
        let find = || Rc::new(sql::tables(scratch, text.as_bytes(), dialect, false));
        Some(known.entry(statement).or_insert_with(find).clone())
    }
}

/// A trace span by span.
#[derive(Serialize)]
pub(super) struct SpanTrace<'a> {
    version: u32,
    identity: Identity<'a>,
    tags: TraceTags<'a>,
    spans: Vec<ShownSpan<'a>>,
}

#[derive(Serialize)]
struct Identity<'a> {
    transaction_id: &'a str,
    revision: &'a str,
    host: &'a str,
    start_instant: Instant,
    stop_instant: Instant,
    r#type: &'static str,
    naming: Naming<'a>,
    score: Score,
}

#[derive(Serialize)]
struct Naming<'a> {
    path: &'a str,
    code: &'static str,
}

/// Always zeroes: the score is in the slow transaction.
#[derive(Default, Serialize)]
struct Score {
    total: u32,
    percentile: u32,
    age: u32,
    memory_delta: u32,
    allocations: u32,
}

impl<'a> SpanTrace<'a> {
    /// `None` for a trace that was kept without its spans.
    pub(super) fn of(
        trace: &'a SlowTrace,
        r#type: &'static str,
        tables: &mut StatementTables<'a>,
    ) -> Option<Self> {
        if trace.spans.is_empty() {
            return None;
        }
        Some(SpanTrace {
            version: 1,
            identity: Identity {
                transaction_id: &trace.trace_id,
                revision: &trace.git_sha,
                host: &trace.hostname,
                start_instant: Instant(trace.start, true),
                stop_instant: Instant(trace.end, true),
                r#type,
                naming: Naming { path: &trace.uri, code: "" },
                score: Score::default(),
            },
            tags: TraceTags(trace),
            spans: trace.spans.iter().map(|span| ShownSpan::new(span, tables.of(span))).collect(),
        })
    }
}

struct TraceTags<'a>(&'a SlowTrace);

impl Serialize for TraceTags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let TraceTags(trace) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("allocations", &trace.allocations)?;
        map.serialize_entry("mem_delta", &trace.mem_delta)?;
        let ours = ["allocations", "mem_delta", "transaction_id", "scout.reached_span_cap"];
        for (key, value) in &trace.context {
            if !ours.contains(&key.as_str()) {
                map.serialize_entry(key, &Shown(value))?;
            }
        }
        map.serialize_entry("transaction_id", &trace.trace_id)?;
        for (key, value) in &trace.user {
            map.serialize_entry(&format!("user_{key}"), &Shown(value))?;
        }
        if trace.reached_span_cap {
            map.serialize_entry("scout.reached_span_cap", yes_no(true))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct ShownSpan<'a> {
    r#type: &'static str,
    identity: SpanIdentity<'a>,
    tags: SpanTags<'a>,
}

#[derive(Serialize)]
struct SpanIdentity<'a> {
    id: Id,
    parent_id: Id,
    start_instant: Instant,
    stop_instant: Instant,
    operation: &'a str,
}

/// A span's id, or the empty text for none.
struct Id(u64);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.serialize_str(""),
            id => serializer.collect_str(&format_args!("span-{id:016x}")),
        }
    }
}

impl<'a> ShownSpan<'a> {
    fn new(span: &'a TraceSpan, tables: Option<Rc<Tables>>) -> Self {
        ShownSpan {
            r#type: "Standard",
            identity: SpanIdentity {
                id: Id(span.id),
                parent_id: Id(span.parent),
                start_instant: Instant(span.start, true),
                stop_instant: Instant(span.end, true),
                operation: &span.operation,
            },
            tags: SpanTags(span, tables),
        }
    }
}

struct SpanTags<'a>(&'a TraceSpan, Option<Rc<Tables>>);

/// Tags of a span that say what we found, whatever the application says.
const OURS: [&str; 4] = ["n_plus_one", "backtrace", "db.tables_read", "db.tables_written"];

#[derive(Serialize)]
struct NPlusOne {
    count: u64,
    total: Seconds,
}

impl Serialize for SpanTags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SpanTags(span, tables) = self;
        let detail = &span.detail;
        let mut map = serializer.serialize_map(None)?;
        if let Some((start, stop)) = span.allocations {
            map.serialize_entry("start_allocations", &start)?;
            map.serialize_entry("stop_allocations", &stop)?;
        }
        if let Some(desc) = &span.desc {
            map.serialize_entry("desc", desc)?;
        }
        for (key, names) in tables.iter().flat_map(|found| {
            [("db.tables_read", &found.reads), ("db.tables_written", &found.writes)]
        }) {
            if !names.is_empty() {
                map.serialize_entry(key, names)?;
            }
        }
        if let Some(count) = detail.record_count {
            map.serialize_entry("db.record_count", &count)?;
        }
        if let Some(class) = &detail.class_name {
            map.serialize_entry("db.class_name", class)?;
        }
        if !detail.backtrace.is_empty() {
            map.serialize_entry("backtrace", &Backtrace(&detail.backtrace))?;
        }
        for (key, value) in &detail.tags {
            if !OURS.contains(&key.as_str()) {
                map.serialize_entry(key, &Shown(value))?;
            }
        }
        if let Some(repeated) = span.n_plus_one {
            let shown = NPlusOne { count: repeated.count, total: Seconds(repeated.total) };
            map.serialize_entry("n_plus_one", &shown)?;
        }
        map.end()
    }
}
