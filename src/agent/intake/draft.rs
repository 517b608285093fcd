use crate::agent::protocol::Scalar;
use crate::model::{SpanId, TraceId, UnixNanos};
use crate::record::{MAX_STRING, Tag, TagValue, Text};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The most spans that one request keeps.
pub(super) const MAX_SPANS: usize = 20_000;
/// The most bytes of one request.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// The longest key of a tag.
const MAX_KEY: usize = 256;
/// No tag.
const NONE: u32 = u32::MAX;

/// A request being put together. Commands may come in any order until it is finished.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) trace: TraceId,
    /// What its client calls it.
    pub(super) request_id: String,
    /// When its first command came in, by our clock.
    pub(super) opened: UnixNanos,
    /// Its number in the journal, if it is kept there.
    pub(super) kept: Option<u64>,
    /// The latest time that any of its commands names.
    pub(super) latest: UnixNanos,
    pub(super) spans: Vec<SpanDraft>,
    by_id: HashMap<u64, u32, BuildHasherDefault<Already>>,
    tags: Vec<TagDraft>,
    of_request: List,
    text: Vec<u8>,
}

/// A span being put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanDraft {
    pub(super) id: SpanId,
    pub(super) parent: SpanId,
    pub(super) start: Option<UnixNanos>,
    pub(super) stop: Option<Stop>,
    operation: Range,
    tags: List,
}

/// When a span ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) at: UnixNanos,
    /// The client said when; otherwise it is when we heard of it.
    pub(super) said: bool,
}

/// Where something lies in a draft's text.
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    at: u32,
    len: u32,
}

/// A chain of tags.
#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List { first: NONE, last: NONE };

#[derive(Clone, Copy, Debug)]
struct TagDraft {
    key: Range,
    value: Value,
    time: UnixNanos,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Str { range: Range, cut: bool },
    I64(i64),
    F64(f64),
    Bool(bool),
}

/// Why something was left out of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Spans,
    Bytes,
}

impl Draft {
    pub(super) fn new(trace: TraceId, request_id: &str, opened: UnixNanos) -> Draft {
        Draft {
            trace,
            request_id: cut(request_id, MAX_KEY).to_owned(),
            opened,
            kept: None,
            latest: UnixNanos(0),
            spans: Vec::new(),
            by_id: HashMap::default(),
            tags: Vec::new(),
            of_request: EMPTY,
            text: Vec::new(),
        }
    }

    /// The memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
            + self.spans.len() * (size_of::<SpanDraft>() + 16)
            + self.tags.len() * size_of::<TagDraft>()
            + size_of::<Draft>()
            + self.request_id.len()
    }

    /// Notes that one of its commands names this time.
    pub(super) fn note_time(&mut self, time: UnixNanos) {
        self.latest = self.latest.max(time);
    }

    fn span(&mut self, id: SpanId) -> Result<&mut SpanDraft, Full> {
        let at = match self.by_id.get(&id.0) {
            Some(at) => *at as usize,
            None if self.spans.len() >= MAX_SPANS => return Err(Full::Spans),
            None => {
                self.by_id.insert(id.0, self.spans.len() as u32);
                self.spans.push(SpanDraft {
                    id,
                    parent: SpanId::NONE,
                    start: None,
                    stop: None,
                    operation: Range::default(),
                    tags: EMPTY,
                });
                self.spans.len() - 1
            }
        };
        self.spans.get_mut(at).ok_or(Full::Spans)
    }

    pub(super) fn start_span(
        &mut self,
        id: SpanId,
        parent: SpanId,
        operation: &str,
        at: UnixNanos,
    ) -> Result<(), Full> {
        let operation = self.keep(cut(operation, MAX_STRING))?;
        let span = self.span(id)?;
        (span.parent, span.operation, span.start) = (parent, operation, Some(at));
        Ok(())
    }

    pub(super) fn stop_span(&mut self, id: SpanId, stop: Stop) -> Result<(), Full> {
        self.span(id)?.stop = Some(stop);
        Ok(())
    }

    pub(super) fn tag_span(
        &mut self,
        id: SpanId,
        key: &str,
        value: &Scalar<'_>,
        time: UnixNanos,
    ) -> Result<(), Full> {
        let list = self.span(id)?.tags;
        let list = self.push_tag(list, key, value, time)?;
        self.span(id)?.tags = list;
        Ok(())
    }

    pub(super) fn tag_request(
        &mut self,
        key: &str,
        value: &Scalar<'_>,
        time: UnixNanos,
    ) -> Result<(), Full> {
        self.of_request = self.push_tag(self.of_request, key, value, time)?;
        Ok(())
    }

    fn push_tag(
        &mut self,
        mut list: List,
        key: &str,
        value: &Scalar<'_>,
        time: UnixNanos,
    ) -> Result<List, Full> {
        let value = match value {
            // Says nothing, and no record can hold it.
            Scalar::Null => return Ok(list),
            Scalar::Bool(value) => Value::Bool(*value),
            Scalar::I64(value) => Value::I64(*value),
            Scalar::F64(value) => Value::F64(*value),
            Scalar::Text(text) => self.keep_value(text)?,
            Scalar::Json(json) => self.keep_value(json)?,
        };
        let key = self.keep(cut(key, MAX_KEY))?;
        let at = self.tags.len() as u32;
        self.tags.push(TagDraft { key, value, time, next: NONE });
        match self.tags.get_mut(list.last as usize) {
            Some(last) => last.next = at,
            None => list.first = at,
        }
        list.last = at;
        Ok(list)
    }

    fn keep_value(&mut self, text: &str) -> Result<Value, Full> {
        let head = cut(text, MAX_STRING);
        Ok(Value::Str { range: self.keep(head)?, cut: head.len() < text.len() })
    }

    fn keep(&mut self, text: &str) -> Result<Range, Full> {
        if self.bytes() + text.len() > MAX_BYTES {
            return Err(Full::Bytes);
        }
        let range = Range { at: self.text.len() as u32, len: text.len() as u32 };
        self.text.extend_from_slice(text.as_bytes());
        Ok(range)
    }

    fn shown(&self, range: Range) -> &[u8] {
        let from = range.at as usize;
        self.text.get(from..from + range.len as usize).unwrap_or_default()
    }

    pub(super) fn operation(&self, span: &SpanDraft) -> &[u8] {
        self.shown(span.operation)
    }

    /// A span's tags.
    pub(super) fn span_tags<'d>(&'d self, span: &SpanDraft) -> Tags<'d> {
        Tags { draft: self, next: span.tags.first }
    }

    /// The request's tags.
    pub(super) fn request_tags(&self) -> Tags<'_> {
        Tags { draft: self, next: self.of_request.first }
    }
}

/// Tags in the order in which they came, each with its time.
#[derive(Clone)]
pub(super) struct Tags<'d> {
    draft: &'d Draft,
    next: u32,
}

impl<'d> Iterator for Tags<'d> {
    type Item = (Tag<'d>, UnixNanos);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.draft.tags.get(self.next as usize)?;
        self.next = tag.next;
        let value = match tag.value {
            Value::Str { range, cut } => {
                TagValue::Str { text: Text::Bytes(self.draft.shown(range)), truncated: cut }
            }
            Value::I64(value) => TagValue::I64(value),
            Value::F64(value) => TagValue::F64(value),
            Value::Bool(value) => TagValue::Bool(value),
        };
        Some((Tag { key: Text::Bytes(self.draft.shown(tag.key)), value }, tag.time))
    }
}

/// The beginning of a text, whole characters.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// For keys that are hashes already.
#[derive(Debug, Default)]
pub(super) struct Already(u64);

impl Hasher for Already {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn write_u128(&mut self, word: u128) {
        self.0 = word as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
