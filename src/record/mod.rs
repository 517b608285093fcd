//! The record format: the bytes a thread writes into its segment, a batch carries,
//! and a dead process leaves behind. Specified in `docs/record-format.md`.
//!
//! Pure: no clock, no I/O, no shared state. Decoding accepts any bytes and never panics;
//! what it returns borrows from them.

mod decode;
mod encode;
mod layout;
mod plain;

pub use decode::{Batch, FormatError, FormatErrorKind, decode, validate};
pub use encode::{EncodeError, Encoder, Fit};
pub use layout::{Kind, MAX_RECORD, MAX_STRING, MAX_TAGS, VERSION};
pub use plain::{Plain, plain_span};

use crate::model::{NameId, SpanId, TraceId, UnixNanos};

/// A string as recorded: bytes in the record, or the id of an interned one.
///
/// Bytes need not be UTF-8; whoever shows them replaces what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Text<'a> {
    /// Carried in the record itself.
    Bytes(&'a [u8]),
    /// Registered beforehand with `scout_intern`.
    Name(NameId),
}

impl Text<'_> {
    /// No bytes, or the reserved id 0.
    pub fn is_empty(&self) -> bool {
        match self {
            Text::Bytes(bytes) => bytes.is_empty(),
            Text::Name(id) => id.0 == 0,
        }
    }
}

/// A tag's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TagValue<'a> {
    /// Text; `truncated` when the recorder or the caller cut it, so that a sanitiser knows.
    Str {
        /// The text, at most [`MAX_STRING`] bytes.
        text: Text<'a>,
        /// Whether bytes are missing at its end.
        truncated: bool,
    },
    /// A signed integer.
    I64(i64),
    /// A float; may be NaN or infinite, payloads show null then.
    F64(f64),
    /// A truth value.
    Bool(bool),
}

/// A key and a value, on a span, a request, an error or a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tag<'a> {
    /// The tag's name, e.g. `db.statement`.
    pub key: Text<'a>,
    /// Its value.
    pub value: TagValue<'a>,
}

/// One completed span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span<'a> {
    /// The request it belongs to.
    pub trace_id: TraceId,
    /// Its own id, unique in the trace.
    pub span_id: SpanId,
    /// The span it ran in; [`SpanId::NONE`] for the root.
    pub parent_id: SpanId,
    /// When it began.
    pub start: UnixNanos,
    /// When it ended. May lie before `start` in hostile input: use [`UnixNanos::since`].
    pub end: UnixNanos,
    /// `Type/name`: `Controller/users/show`, `SQL/Query`, `HTTP/GET`.
    pub operation: Text<'a>,
}

/// Tags of a whole request: `path`, `user_ip`, `transaction.name`, any context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestTags {
    /// The request.
    pub trace_id: TraceId,
    /// When it was tagged.
    pub time: UnixNanos,
}

/// An exception that the application raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorEvent<'a> {
    /// The request it happened in, or none.
    pub trace_id: TraceId,
    /// The span it happened in, or none.
    pub span_id: SpanId,
    /// When.
    pub time: UnixNanos,
    /// The exception's class, e.g. `ValueError`.
    pub class: Text<'a>,
    /// Its message.
    pub message: Text<'a>,
    /// Lines of `file:line:in function`, innermost first, separated by `\n`.
    pub backtrace: Text<'a>,
}

/// One sample of a gauge, e.g. `Memory/Physical`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric<'a> {
    /// When it was sampled.
    pub time: UnixNanos,
    /// The sample, in the metric's own unit.
    pub value: f64,
    /// The metric's name, `Type/name`.
    pub name: Text<'a>,
}

/// Something about the application as a whole, e.g. `scout.metadata` with a JSON object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AppEvent<'a> {
    /// When it was sent.
    pub time: UnixNanos,
    /// What it is, e.g. `scout.metadata`.
    pub kind: Text<'a>,
    /// JSON text.
    pub json: Text<'a>,
}

/// The definition of an interned name, so that ids can be read after their process is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NameDefinition<'a> {
    /// The id.
    pub id: NameId,
    /// What it stands for.
    pub text: &'a [u8],
}

/// Any record, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Record<'a> {
    /// See [`Span`].
    Span(Span<'a>, Tags<'a>),
    /// See [`RequestTags`].
    RequestTags(RequestTags, Tags<'a>),
    /// See [`ErrorEvent`].
    Error(ErrorEvent<'a>, Tags<'a>),
    /// See [`Metric`].
    Metric(Metric<'a>, Tags<'a>),
    /// See [`AppEvent`].
    Event(AppEvent<'a>),
    /// See [`NameDefinition`].
    Name(NameDefinition<'a>),
}

pub use decode::Tags;

/// Looks up interned names. Implemented by the recorder's table and by test doubles.
pub trait Names {
    /// The string behind `id`, or `None` if it was never interned.
    fn name(&self, id: NameId) -> Option<&str>;
}
