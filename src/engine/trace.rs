use super::calls::CallStats;
use crate::model::UnixNanos;
use crate::sql::Dialect;
use serde::{Deserialize, Serialize};

/// A tag's value in a trace or an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    /// Text.
    Str(String),
    /// A whole number.
    I64(i64),
    /// A number; never NaN or infinite where it is stored.
    F64(f64),
    /// A truth value.
    Bool(bool),
}

/// A slow request or job in detail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlowTrace {
    /// The request's id, in hex.
    pub trace_id: String,
    /// `Controller/users/show` or `Job/Mailer`.
    pub name: String,
    /// The job's queue; empty for a web request.
    pub queue: String,
    /// Path and, depending on the configuration, query.
    pub uri: String,
    /// When the root began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
    /// The scope layer's duration.
    pub scope_total: u64,
    /// What was left of it after its children.
    pub scope_exclusive: u64,
    /// Nanoseconds from the engine's start to the request's end.
    pub since_startup: u64,
    /// What the application said about the request.
    pub context: Vec<(String, Scalar)>,
    /// What it said about its user.
    pub user: Vec<(String, Scalar)>,
    /// The score it was selected by.
    pub score: f64,
    /// Growth of memory in MB.
    pub mem_delta: f64,
    /// Objects allocated.
    pub allocations: u64,
    /// Of these, the ones of the scope layer.
    pub scope_allocations: u64,
    /// The host it ran on.
    pub hostname: String,
    /// The revision it ran.
    pub git_sha: String,
    /// Whether metrics were left out.
    pub truncated_metrics: bool,
    /// Whether spans were left out.
    pub reached_span_cap: bool,
    /// Time by layer.
    pub metrics: Vec<TraceMetric>,
    /// Parents before children, siblings by their start.
    pub spans: Vec<TraceSpan>,
}

impl SlowTrace {
    /// The root's duration in nanoseconds.
    pub fn root_total(&self) -> u64 {
        self.end.since(self.start).0
    }
}

/// Time spent in one layer of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceMetric {
    /// `Type/name`, or `Type/all` for the sum over a type.
    pub name: String,
    /// What it ran in; empty for the scope itself and for sums.
    pub scope: String,
    /// A sanitised statement, or an address.
    pub desc: Option<String>,
    /// Of the first call: rows, class, backtrace.
    pub detail: SpanDetail,
    /// Times.
    pub calls: CallStats,
    /// Objects allocated.
    pub allocations: CallStats,
}

/// One span of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceSpan {
    /// Its id.
    pub id: u64,
    /// Its parent's id; 0 for the root.
    pub parent: u64,
    /// When it began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
    /// `Type/name`.
    pub operation: String,
    /// A sanitised statement, or an address.
    pub desc: Option<String>,
    /// What the statement was read as; `None` when `desc` is none, or was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// The rest of what is known of it.
    pub detail: SpanDetail,
    /// Allocation counter at its start and end.
    pub allocations: Option<(u64, u64)>,
    /// Set on the first span of an N+1.
    pub n_plus_one: Option<Repetition>,
}

/// What a span's tags say besides its description.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanDetail {
    /// Rows read.
    pub record_count: Option<u64>,
    /// The model's class.
    pub class_name: Option<String>,
    /// Where in the application it was called, innermost first.
    pub backtrace: Vec<Frame>,
    /// Further tags.
    pub tags: Vec<(String, Scalar)>,
}

impl SpanDetail {
    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == SpanDetail::default()
    }
}

/// A statement that one request repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetition {
    /// How often.
    pub count: u64,
    /// How long together, in nanoseconds.
    pub total: u64,
}

/// A line of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Frame {
    /// The file, relative to the repository if it is the application's.
    pub file: String,
    /// The line, as the agent wrote it.
    pub line: String,
    /// The function.
    pub function: String,
}
