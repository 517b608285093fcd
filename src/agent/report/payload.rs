//! The check-in and error payloads as they lie in their files: the published format, and the keys
//! that this core adds to it. Every key is optional, every value may have the wrong type.

use super::lenient;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Bins of a histogram: value (seconds) and count.
pub type Bins = Vec<(f64, u64)>;

/// One check-in: what one process or host saw in one period.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct CheckIn {
    #[serde(deserialize_with = "lenient::or_default")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "lenient::list")]
    pub metrics: Vec<Metric>,
    #[serde(deserialize_with = "lenient::list")]
    pub slow_transactions: Vec<SlowTransaction>,
    #[serde(deserialize_with = "lenient::list")]
    pub jobs: Vec<Job>,
    #[serde(deserialize_with = "lenient::list")]
    pub histograms: Vec<NamedHistogram>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub db_metrics: DbMetrics,
    #[serde(deserialize_with = "lenient::or_default")]
    pub es_metrics: ExternalMetrics,
    #[serde(deserialize_with = "lenient::list")]
    pub span_traces: Vec<SpanTrace>,
    /// Ours; derived from the traces when missing.
    #[serde(deserialize_with = "lenient::optional_list")]
    pub n_plus_one: Option<Vec<NPlusOne>>,
    /// Ours; derived from `db_metrics` when missing.
    #[serde(deserialize_with = "lenient::optional_list")]
    pub sql: Option<Vec<Sql>>,
}

impl CheckIn {
    /// Whether a JSON object looks like a check-in: it has at least one of its parts.
    pub fn is_one(object: &Map<String, Value>) -> bool {
        ["metrics", "slow_transactions", "jobs", "histograms", "span_traces", "db_metrics"]
            .iter()
            .any(|part| object.contains_key(*part))
    }
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Metadata {
    #[serde(deserialize_with = "lenient::text")]
    pub app_name: String,
    #[serde(deserialize_with = "lenient::text")]
    pub app_root: String,
    #[serde(deserialize_with = "lenient::text")]
    pub agent_time: String,
    #[serde(deserialize_with = "lenient::text")]
    pub agent_pid: String,
    /// Ours: how long the period is; the published one is always a minute.
    #[serde(deserialize_with = "lenient::count")]
    pub period_seconds: u64,
}

/// Call statistics under a key. Times are seconds.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Metric {
    #[serde(deserialize_with = "lenient::count")]
    pub call_count: u64,
    #[serde(deserialize_with = "lenient::amount")]
    pub total_call_time: f64,
    #[serde(deserialize_with = "lenient::amount")]
    pub total_exclusive_time: f64,
    #[serde(deserialize_with = "lenient::amount")]
    pub max_call_time: f64,
    #[serde(deserialize_with = "lenient::or_default")]
    pub key: MetricKey,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct MetricKey {
    #[serde(deserialize_with = "lenient::text")]
    pub bucket: String,
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    #[serde(deserialize_with = "lenient::text")]
    pub desc: String,
    #[serde(deserialize_with = "lenient::scope")]
    pub scope: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct SlowTransaction {
    #[serde(deserialize_with = "lenient::or_default")]
    pub key: MetricKey,
    #[serde(deserialize_with = "lenient::text")]
    pub time: String,
    #[serde(deserialize_with = "lenient::amount")]
    pub total_call_time: f64,
    #[serde(deserialize_with = "lenient::text")]
    pub uri: String,
    #[serde(deserialize_with = "lenient::text")]
    pub hostname: String,
    #[serde(deserialize_with = "lenient::list")]
    pub metrics: Vec<Metric>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Job {
    #[serde(deserialize_with = "lenient::text")]
    pub queue: String,
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    #[serde(deserialize_with = "lenient::count")]
    pub count: u64,
    #[serde(deserialize_with = "lenient::count")]
    pub errors: u64,
    #[serde(deserialize_with = "lenient::list")]
    pub total_time: Bins,
    #[serde(deserialize_with = "lenient::list")]
    pub exclusive_time: Bins,
    #[serde(deserialize_with = "lenient::list")]
    pub metrics: Vec<JobMetric>,
}

/// The newer, flat style of a metric, used inside jobs.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct JobMetric {
    #[serde(deserialize_with = "lenient::text")]
    pub bucket: String,
    #[serde(deserialize_with = "lenient::count")]
    pub count: u64,
    #[serde(deserialize_with = "lenient::amount")]
    pub total_call_time: f64,
    #[serde(deserialize_with = "lenient::amount")]
    pub total_exclusive_time: f64,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct NamedHistogram {
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    #[serde(deserialize_with = "lenient::list")]
    pub histogram: Bins,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct DbMetrics {
    #[serde(deserialize_with = "lenient::list")]
    pub query: Vec<DbQuery>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct DbQuery {
    #[serde(deserialize_with = "lenient::text")]
    pub model_name: String,
    #[serde(deserialize_with = "lenient::text")]
    pub operation: String,
    #[serde(deserialize_with = "lenient::scope")]
    pub scope: String,
    #[serde(deserialize_with = "lenient::count")]
    pub call_count: u64,
    #[serde(deserialize_with = "lenient::amount")]
    pub call_time: f64,
    #[serde(deserialize_with = "lenient::amount")]
    pub max_call_time: f64,
    #[serde(deserialize_with = "lenient::list")]
    pub histogram: Bins,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct ExternalMetrics {
    #[serde(deserialize_with = "lenient::list")]
    pub http: Vec<ExternalCall>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct ExternalCall {
    #[serde(deserialize_with = "lenient::text")]
    pub domain_name: String,
    #[serde(deserialize_with = "lenient::scope")]
    pub scope: String,
    #[serde(deserialize_with = "lenient::count")]
    pub call_count: u64,
    #[serde(deserialize_with = "lenient::amount")]
    pub call_time: f64,
    #[serde(deserialize_with = "lenient::amount")]
    pub max_call_time: f64,
    #[serde(deserialize_with = "lenient::list")]
    pub histogram: Bins,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct SpanTrace {
    #[serde(deserialize_with = "lenient::or_default")]
    pub identity: TraceIdentity,
    #[serde(deserialize_with = "lenient::or_default")]
    pub tags: Map<String, Value>,
    #[serde(deserialize_with = "lenient::list")]
    pub spans: Vec<Span>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct TraceIdentity {
    #[serde(deserialize_with = "lenient::text")]
    pub host: String,
    #[serde(deserialize_with = "lenient::text")]
    pub start_instant: String,
    #[serde(deserialize_with = "lenient::text")]
    pub stop_instant: String,
    /// `Web` or `Job`.
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub kind: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub naming: Naming,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Naming {
    #[serde(deserialize_with = "lenient::text")]
    pub path: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Span {
    #[serde(deserialize_with = "lenient::or_default")]
    pub identity: SpanIdentity,
    #[serde(deserialize_with = "lenient::or_default")]
    pub tags: SpanTags,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct SpanIdentity {
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    #[serde(deserialize_with = "lenient::text")]
    pub parent_id: String,
    #[serde(deserialize_with = "lenient::text")]
    pub start_instant: String,
    #[serde(deserialize_with = "lenient::text")]
    pub stop_instant: String,
    #[serde(deserialize_with = "lenient::text")]
    pub operation: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct SpanTags {
    /// The sanitised statement, the URL, or whatever else the layer describes itself with.
    #[serde(deserialize_with = "lenient::text")]
    pub desc: String,
    /// A template's name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Ours: set on the spans of a repeated query.
    pub n_plus_one: Option<Value>,
    #[serde(deserialize_with = "lenient::list")]
    pub backtrace: Vec<Frame>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Frame {
    #[serde(deserialize_with = "lenient::text")]
    pub file: String,
    #[serde(deserialize_with = "lenient::text")]
    pub line: String,
    #[serde(deserialize_with = "lenient::text")]
    pub function: String,
}

/// Ours: a query that requests to one endpoint repeated.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct NPlusOne {
    #[serde(deserialize_with = "lenient::scope")]
    pub scope: String,
    #[serde(deserialize_with = "lenient::text")]
    pub statement: String,
    /// Executions, in all affected requests together.
    #[serde(deserialize_with = "lenient::count")]
    pub count: u64,
    #[serde(deserialize_with = "lenient::count")]
    pub requests: u64,
    #[serde(deserialize_with = "lenient::amount")]
    pub total_call_time: f64,
    #[serde(deserialize_with = "lenient::text")]
    pub caller: String,
}

/// Ours: one sanitised statement's executions under one scope.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Sql {
    #[serde(deserialize_with = "lenient::scope")]
    pub scope: String,
    #[serde(deserialize_with = "lenient::text")]
    pub statement: String,
    #[serde(deserialize_with = "lenient::text")]
    pub operation: String,
    #[serde(deserialize_with = "lenient::count")]
    pub call_count: u64,
    #[serde(deserialize_with = "lenient::amount")]
    pub total_call_time: f64,
    #[serde(deserialize_with = "lenient::amount")]
    pub max_call_time: f64,
    #[serde(deserialize_with = "lenient::list")]
    pub histogram: Bins,
}

/// The body of a request to the error service.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct ErrorBody {
    #[serde(deserialize_with = "lenient::list")]
    pub problems: Vec<Problem>,
}

impl ErrorBody {
    /// Whether a JSON object looks like an error body.
    pub fn is_one(object: &Map<String, Value>) -> bool {
        object.contains_key("problems")
    }
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Problem {
    #[serde(deserialize_with = "lenient::text")]
    pub exception_class: String,
    #[serde(deserialize_with = "lenient::text")]
    pub message: String,
    /// Ours: how often, when equal problems were folded into one.
    #[serde(deserialize_with = "lenient::count")]
    pub count: u64,
    #[serde(deserialize_with = "lenient::text")]
    pub request_uri: String,
    #[serde(deserialize_with = "lenient::list")]
    pub trace: Vec<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub request_components: Components,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Components {
    #[serde(deserialize_with = "lenient::text")]
    pub controller: String,
    #[serde(deserialize_with = "lenient::text")]
    pub action: String,
}
