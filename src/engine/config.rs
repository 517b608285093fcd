use crate::sql::{Dialect, Naming};

/// How a request's address is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UriReporting {
    /// Path and query, the values of sensitive parameters replaced.
    #[default]
    FilteredParams,
    /// The path alone.
    Path,
    /// As given.
    FullPath,
}

/// What the engine is told to do. Plain values; `core` fills them from its configuration.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Traces kept a minute, of requests and of jobs each.
    pub max_traces: usize,
    /// Spans kept in one trace.
    pub max_trace_spans: usize,
    /// Metrics kept in one trace.
    pub max_trace_metrics: usize,
    /// Whether traces carry their spans.
    pub timeline_traces: bool,
    /// Equal statements in one request from which on it is an N+1 ...
    pub n_plus_one_calls: u64,
    /// ... if they took this many nanoseconds together.
    pub n_plus_one_nanos: u64,
    /// How SQL is read where the span does not say.
    pub dialect: Dialect,
    /// How SQL spans are named.
    pub sql_naming: Naming,
    /// Statements whose analysis is remembered.
    pub sql_memo_entries: usize,

    /// The host's name; metadata that the application sends comes second.
    pub hostname: Option<String>,
    /// The deployed revision.
    pub git_sha: Option<String>,
    /// The revision found in the application's files, unless the application says another.
    pub found_git_sha: Option<String>,
    /// The application's directory: backtraces are shown relative to it.
    pub application_root: Option<String>,
    /// Where the application lies in its repository: backtraces are prefixed with it.
    pub scm_subdirectory: Option<String>,

    /// Endpoints a minute holds; further ones are `other`.
    pub max_endpoints: usize,
    /// Metrics of layers a minute holds, over all endpoints.
    pub max_metrics: usize,
    /// Kinds of database queries a minute holds.
    pub database_metric_limit: usize,
    /// Hosts of external services a minute holds, for each endpoint that calls them.
    pub external_service_metric_limit: usize,
    /// Statements a minute holds.
    pub max_statements: usize,
    /// Jobs a minute holds.
    pub max_jobs: usize,
    /// Gauges a minute holds.
    pub max_gauges: usize,
    /// Errors a minute holds in detail.
    pub max_errors: usize,

    /// Requests that may be open at once.
    pub max_open_requests: usize,
    /// Spans of all open requests; further ones are counted in sums only.
    pub max_open_spans: usize,
    /// Spans of one request; further ones are counted in sums only.
    pub max_request_spans: usize,
    /// Completed requests remembered, so that late spans find their endpoint.
    pub max_recent_requests: usize,
    /// Distinct operations known at once.
    pub max_operations: usize,
    /// Nanoseconds after which an open request is closed.
    pub request_max_age: u64,
    /// A request that ended further than this from the present counts in the present minute.
    pub max_skew: u64,

    /// Fraction of all requests kept, 0 to 1.
    pub sample_rate: f64,
    /// Fraction kept by prefix of path or name; the first entry that fits decides.
    pub sample_endpoints: Vec<(String, f64)>,
    /// Fraction kept by name of job.
    pub sample_jobs: Vec<(String, f64)>,
    /// Fraction of web requests kept that no entry above names.
    pub endpoint_sample_rate: Option<f64>,
    /// Fraction of jobs kept that no entry above names.
    pub job_sample_rate: Option<f64>,
    /// Paths, or names, of web requests to leave out: prefixes, or patterns with `*`.
    pub ignore_endpoints: Vec<String>,
    /// Names of jobs to leave out.
    pub ignore_jobs: Vec<String>,

    /// How addresses are shown.
    pub uri_reporting: UriReporting,
    /// Further names of sensitive parameters, besides the built-in ones.
    pub filtered_params: Vec<String>,
    /// Whether the time a request waited before it reached the application is counted.
    pub record_queue_time: bool,
    /// Whether users' addresses are kept.
    pub collect_remote_ip: bool,
    /// Exception classes not to report.
    pub errors_ignored_exceptions: Vec<String>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            max_traces: 10,
            max_trace_spans: 1500,
            max_trace_metrics: 500,
            timeline_traces: true,
            n_plus_one_calls: 5,
            n_plus_one_nanos: 150_000_000,
            dialect: Dialect::Generic,
            sql_naming: Naming::default(),
            sql_memo_entries: 2048,
            hostname: None,
            git_sha: None,
            found_git_sha: None,
            application_root: None,
            scm_subdirectory: None,
            max_endpoints: 1000,
            max_metrics: 20_000,
            database_metric_limit: 5000,
            external_service_metric_limit: 5000,
            max_statements: 5000,
            max_jobs: 1000,
            max_gauges: 1000,
            max_errors: 100,
            max_open_requests: 10_000,
            max_open_spans: 200_000,
            max_request_spans: 20_000,
            max_recent_requests: 4096,
            max_operations: 16_384,
            request_max_age: 600_000_000_000,
            max_skew: 3_600_000_000_000,
            sample_rate: 1.0,
            sample_endpoints: Vec::new(),
            sample_jobs: Vec::new(),
            endpoint_sample_rate: None,
            job_sample_rate: None,
            ignore_endpoints: Vec::new(),
            ignore_jobs: Vec::new(),
            uri_reporting: UriReporting::default(),
            filtered_params: Vec::new(),
            record_queue_time: true,
            collect_remote_ip: true,
            errors_ignored_exceptions: vec![
                "ActiveRecord::RecordNotFound".to_owned(),
                "ActionController::RoutingError".to_owned(),
            ],
        }
    }
}
