//! One minute of one application: what the spool stores and payloads are made of.
use super::calls::CallStats;
use super::error::ErrorLog;
use super::gauge::GaugeStats;
use super::histogram::Histogram;
use super::merge::{merge_map, pairs};
use super::scored_set::ScoredSet;
use super::trace::SlowTrace;
use crate::model::{Minute, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One minute of one application, or several merged.
///
/// Merging is associative and commutative, and exact: sums are integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// The minute; of several, the first.
    pub minute: Minute,
    /// Of several, the last.
    pub until: Minute,
    /// What the figures were made from.
    pub counts: PeriodCounts,
    /// Time by layer and endpoint.
    #[serde(with = "pairs")]
    pub metrics: BTreeMap<MetricKey, CallStats>,
    /// Gauges by name, `Memory/Physical`.
    #[serde(with = "pairs")]
    pub gauges: BTreeMap<String, GaugeStats>,
    /// Durations of each endpoint's requests, from root to root.
    #[serde(with = "pairs")]
    pub histograms: BTreeMap<String, Histogram>,
    /// Jobs by queue and name.
    #[serde(with = "pairs")]
    pub jobs: BTreeMap<JobKey, JobStats>,
    /// Database calls by model, operation and endpoint.
    #[serde(with = "pairs")]
    pub queries: BTreeMap<QueryKey, QueryStats>,
    /// Calls to other services by host and endpoint.
    #[serde(with = "pairs")]
    pub hosts: BTreeMap<HostKey, HostStats>,
    /// Database calls by statement and endpoint.
    #[serde(with = "pairs")]
    pub statements: BTreeMap<StatementKey, StatementStats>,
    /// Statements that requests repeated.
    #[serde(with = "pairs")]
    pub n_plus_ones: BTreeMap<StatementKey, NPlusOne>,
    /// The slowest web requests.
    pub slow_requests: ScoredSet<SlowTrace>,
    /// The slowest jobs.
    pub slow_jobs: ScoredSet<SlowTrace>,
    /// Exceptions.
    pub errors: ErrorLog,
    /// What the application said about itself, latest.
    pub application: Option<Application>,
}

/// Records that a period accounts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodCounts {
    /// Spans in the metrics.
    pub spans: u64,
    /// Of these, those that came after their request was complete.
    pub late_spans: u64,
    /// Requests, jobs included.
    pub requests: u64,
    /// Gauge samples.
    pub gauges: u64,
    /// Errors, also those not kept in detail.
    pub errors: u64,
    /// Application events.
    pub events: u64,
}

/// Which metric: `bucket/name` in a scope, as in the payload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricKey {
    /// The endpoint it belongs to, `Controller/users/show`; empty if to none.
    pub scope: String,
    /// The layer's type.
    pub bucket: String,
    /// `all` for most types.
    pub name: String,
}

/// Which job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobKey {
    /// The queue.
    pub queue: String,
    /// The job's name, without `Job/`.
    pub name: String,
}

/// A job's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStats {
    /// How often it ran.
    pub count: u64,
    /// How often it failed.
    pub errors: u64,
    /// Nanoseconds in total.
    pub total: u64,
    /// Durations.
    pub total_times: Histogram,
    /// What was left of them after their children.
    pub exclusive_times: Histogram,
    /// Time by type of layer.
    pub layers: BTreeMap<String, CallStats>,
    /// How long it waited in its queue.
    pub latency: CallStats,
}

/// Which kind of database call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueryKey {
    /// The endpoint.
    pub scope: String,
    /// `User`.
    pub model: String,
    /// `select`.
    pub operation: String,
}

/// Figures of a kind of database call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryStats {
    /// Requests that made such a call.
    pub transactions: u64,
    /// Times.
    pub calls: CallStats,
    /// Rows.
    pub rows: CallStats,
    /// Durations.
    pub histogram: Histogram,
}

/// Which external service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostKey {
    /// The endpoint that called it.
    pub scope: String,
    /// Its host name.
    pub host: String,
}

/// Figures of an external service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStats {
    /// Requests that called it.
    pub transactions: u64,
    /// Times.
    pub calls: CallStats,
    /// Durations.
    pub histogram: Histogram,
}

/// Which statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StatementKey {
    /// The endpoint.
    pub scope: String,
    /// Equal for statements that differ only in literals, spacing and the like; 0 for `other`.
    pub fingerprint: u64,
}

/// Figures of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementStats {
    /// The statement without its literals; of several spellings the first by alphabet.
    pub statement: String,
    /// Its name, `SQL/User/select`.
    pub operation: String,
    /// Times.
    pub calls: CallStats,
    /// Durations.
    pub histogram: Histogram,
}

/// A statement that requests repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NPlusOne {
    /// The statement without its literals.
    pub statement: String,
    /// Requests that did so.
    pub requests: u64,
    /// Calls in these requests.
    pub count: u64,
    /// Nanoseconds of these calls.
    pub total: u64,
    /// Where in the application it is called, if a backtrace said so.
    pub caller: Option<String>,
}

/// What the application said about itself: the value of `scout.metadata`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// When it did.
    pub time: UnixNanos,
    /// The event's JSON object.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

impl Period {
    /// Nothing yet.
    pub fn new(minute: Minute, max_traces: usize, max_errors: usize) -> Self {
        Period {
            minute,
            until: minute,
            counts: PeriodCounts::default(),
            metrics: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeMap::new(),
            jobs: BTreeMap::new(),
            queries: BTreeMap::new(),
            hosts: BTreeMap::new(),
            statements: BTreeMap::new(),
            n_plus_ones: BTreeMap::new(),
            slow_requests: ScoredSet::new(max_traces),
            slow_jobs: ScoredSet::new(max_traces),
            errors: ErrorLog::new(max_errors),
            application: None,
        }
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.counts == PeriodCounts::default()
    }

    /// Spans it accounts for.
    pub fn spans(&self) -> u64 {
        self.counts.spans
    }

    /// Requests it accounts for, jobs included.
    pub fn requests(&self) -> u64 {
        self.counts.requests
    }

    /// Adds another period of the same application: a later minute, or another process's.
    pub fn merge(&mut self, other: Period) {
        self.minute = self.minute.min(other.minute);
        self.until = self.until.max(other.until);
        self.counts.add(&other.counts);
        merge_map(&mut self.metrics, other.metrics);
        merge_map(&mut self.gauges, other.gauges);
        merge_map(&mut self.histograms, other.histograms);
        merge_map(&mut self.jobs, other.jobs);
        merge_map(&mut self.queries, other.queries);
        merge_map(&mut self.hosts, other.hosts);
        merge_map(&mut self.statements, other.statements);
        merge_map(&mut self.n_plus_ones, other.n_plus_ones);
        self.slow_requests.merge(other.slow_requests);
        self.slow_jobs.merge(other.slow_jobs);
        self.errors.merge(other.errors);
        self.application = Application::later(self.application.take(), other.application);
    }
}

impl PeriodCounts {
    fn add(&mut self, other: &PeriodCounts) {
        self.spans += other.spans;
        self.late_spans += other.late_spans;
        self.requests += other.requests;
        self.gauges += other.gauges;
        self.errors += other.errors;
        self.events += other.events;
    }
}

impl Application {
    /// The one that was sent later.
    pub(crate) fn later(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let (Some(a), Some(b)) = (&a, &b) else { return a.or(b) };
        let rank = |one: &Self| (one.time, serde_json::to_string(&one.fields).unwrap_or_default());
        Some(if rank(b) > rank(a) { b.clone() } else { a.clone() })
    }

    /// A field that is text and not empty.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str().filter(|text| !text.is_empty())
    }
}
