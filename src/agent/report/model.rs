//! What a report says, before anything is drawn. This is also what `--json` prints.
//!
//! Times are seconds unless a name says otherwise; every list is sorted, most important first.

use super::histogram::Histogram;
use crate::model::UnixNanos;
use serde::Serialize;

/// The merged content of all payload files.
#[derive(Serialize, Default, Debug)]
pub struct Report {
    /// The applications' names; usually one.
    pub apps: Vec<String>,
    pub period: Option<Period>,
    pub hosts: Vec<String>,
    /// Distinct processes that reported.
    pub processes: usize,
    pub totals: Totals,
    pub endpoints: Vec<Endpoint>,
    pub jobs: Vec<Job>,
    /// The slowest request; and, if that has none, the slowest one with an N+1 query.
    pub traces: Vec<Trace>,
    pub n_plus_one: Vec<NPlusOne>,
    pub sql: Vec<Sql>,
    pub services: Vec<Service>,
    pub errors: Vec<ErrorClass>,
    pub files: Files,
}

/// The minutes that the files cover, from the first one's start to the last one's end.
#[derive(Serialize, Clone, Copy, PartialEq, Debug)]
pub struct Period {
    pub start_ns: UnixNanos,
    pub end_ns: UnixNanos,
}

impl Period {
    pub fn minutes(self) -> f64 {
        (self.end_ns.since(self.start_ns).as_seconds() / 60.0).max(1.0)
    }
}

#[derive(Serialize, Default, Debug)]
pub struct Totals {
    pub requests: u64,
    pub request_seconds: f64,
    pub request_errors: u64,
    pub request_histogram: Histogram,
    pub jobs: u64,
    pub job_errors: u64,
}

/// Calls of one thing: how many, how long.
#[derive(Serialize, Default, Clone, Debug, PartialEq)]
pub struct Calls {
    pub count: u64,
    pub seconds: f64,
    pub max_seconds: f64,
    pub histogram: Histogram,
}

impl Calls {
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / self.count as f64)
    }

    /// Histograms are rounded, and include middleware: a p95 over the maximum would only puzzle.
    pub fn p95(&self) -> Option<f64> {
        let bound = if self.max_seconds > 0.0 { self.max_seconds } else { f64::INFINITY };
        self.histogram.quantile(0.95).map(|p95| p95.min(bound))
    }
}

/// Where the time of an endpoint or a job went: exclusive time by type of layer.
#[derive(Serialize, Debug, PartialEq)]
pub struct Layer {
    pub kind: String,
    pub seconds: f64,
}

#[derive(Serialize, Debug)]
pub struct Endpoint {
    /// `Controller/orders/index`.
    pub name: String,
    pub calls: Calls,
    pub errors: u64,
    pub layers: Vec<Layer>,
    /// Mean time between the load balancer and the application, where it is known.
    pub queue_seconds: Option<f64>,
}

#[derive(Serialize, Debug)]
pub struct Job {
    pub queue: String,
    pub name: String,
    pub calls: Calls,
    pub errors: u64,
    pub layers: Vec<Layer>,
    /// Mean time between enqueuing and start, where it is known.
    pub latency_seconds: Option<f64>,
}

/// One request or job run, step by step.
#[derive(Serialize, Debug)]
pub struct Trace {
    /// `Controller/orders/index` or `Job/mail`.
    pub endpoint: String,
    pub uri: String,
    pub host: String,
    pub start_ns: Option<UnixNanos>,
    pub seconds: f64,
    pub context: Vec<(String, String)>,
    pub has_n_plus_one: bool,
    pub steps: Vec<Step>,
    /// Spans that were left out, being too many or nested too deep.
    pub left_out: usize,
}

/// A span, or several siblings that did the same.
#[derive(Serialize, Debug)]
pub struct Step {
    pub operation: String,
    pub description: String,
    pub calls: u64,
    pub seconds: f64,
    pub n_plus_one: bool,
    /// Where in the application it was called, if the agent looked.
    pub caller: String,
    /// Start and end of each call, counted from the trace's start.
    pub intervals: Vec<(f64, f64)>,
    pub steps: Vec<Step>,
}

/// A query that requests to one endpoint repeated for every row of another.
#[derive(Serialize, Debug)]
pub struct NPlusOne {
    pub scope: String,
    pub statement: String,
    pub calls: u64,
    pub requests: u64,
    pub seconds: f64,
    pub caller: String,
}

#[derive(Serialize, Debug)]
pub struct Sql {
    /// `SQL/User/select`, `User/find`.
    pub operation: String,
    pub statement: String,
    pub calls: Calls,
    /// The endpoints and jobs it ran in, the longest total first.
    pub scopes: Vec<String>,
}

#[derive(Serialize, Debug)]
pub struct Service {
    pub host: String,
    pub calls: Calls,
    pub scopes: Vec<String>,
}

#[derive(Serialize, Debug)]
pub struct ErrorClass {
    pub class: String,
    pub message: String,
    pub count: u64,
    /// `orders/checkout`, or the request's URI.
    pub place: String,
    /// The innermost frame.
    pub frame: String,
}

#[derive(Serialize, Default, Debug)]
pub struct Files {
    pub directory: String,
    pub check_ins: usize,
    pub error_files: usize,
    pub bytes: u64,
    pub unread: Vec<Unread>,
}

/// A file that could not be used, and why, in a few words.
#[derive(Serialize, Debug)]
pub struct Unread {
    pub path: String,
    pub reason: String,
}
