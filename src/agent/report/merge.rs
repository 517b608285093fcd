//! Payloads to one report. Adding is commutative: neither the files' order nor their number
//! changes a count, a sum or a histogram.

mod ledger;

use super::model::{
    Calls, Endpoint, ErrorClass, Files, NPlusOne, Period, Report, Service, Sql, Totals, Trace,
};
use super::payload::{self, CheckIn, ErrorBody, Metric};
use super::{instant, tree};
use crate::model::UnixNanos;
use ledger::{EndpointLedger, JobLedger, RepeatLedger, ScopedCalls};
use std::collections::{BTreeMap, BTreeSet};

/// Metric types that count something other than time spent in a layer.
const NOT_LAYERS: [&str; 8] = [
    "ObjectAllocations",
    "QueueTime",
    "Latency",
    "Errors",
    "CPU",
    "Memory",
    "Instance",
    "Percentile",
];

/// What has been read so far.
#[derive(Default)]
pub struct Merge {
    apps: BTreeSet<String>,
    roots: BTreeSet<String>,
    hosts: BTreeSet<String>,
    processes: BTreeSet<(String, String)>,
    period: Option<Period>,
    endpoints: BTreeMap<String, EndpointLedger>,
    job_calls: BTreeMap<String, Calls>,
    jobs: BTreeMap<(String, String), JobLedger>,
    n_plus_one: BTreeMap<(String, String), RepeatLedger>,
    sql: BTreeMap<(String, String), ScopedCalls>,
    /// A statement seen in a trace under this operation, for payloads without their own SQL list.
    statements: BTreeMap<String, String>,
    services: BTreeMap<String, ScopedCalls>,
    errors: BTreeMap<(String, String, String), ErrorClass>,
    slowest: Option<Trace>,
    /// The slowest of those with an N+1 query.
    slowest_repeat: Option<Trace>,
}

impl Merge {
    /// Adds one check-in.
    pub fn add(&mut self, check_in: CheckIn) {
        self.add_metadata(&check_in.metadata);
        let host = check_in
            .span_traces
            .iter()
            .map(|trace| &trace.identity.host)
            .chain(check_in.slow_transactions.iter().map(|trace| &trace.hostname))
            .find(|host| !host.is_empty())
            .cloned()
            .unwrap_or_default();
        self.processes.insert((host.clone(), check_in.metadata.agent_pid));
        if !host.is_empty() {
            self.hosts.insert(host);
        }
        for metric in &check_in.metrics {
            self.add_metric(metric);
        }
        for named in check_in.histograms {
            if let Some(name) = named.name.strip_prefix("Controller/") {
                let endpoint = self.endpoints.entry(name.to_owned()).or_default();
                endpoint.calls.histogram.add(&named.histogram);
            }
        }
        for job in check_in.jobs {
            self.jobs.entry((job.queue.clone(), job.name.clone())).or_default().add(&job);
        }
        for call in check_in.es_metrics.http {
            let service = self.services.entry(call.domain_name).or_default();
            service.add(&call.scope, call.call_count, call.call_time, call.max_call_time);
            service.calls.histogram.add(&call.histogram);
        }
        self.add_sql(check_in.sql, check_in.db_metrics.query);
        let derive_repeats = check_in.n_plus_one.is_none();
        for repeat in check_in.n_plus_one.unwrap_or_default() {
            self.n_plus_one
                .entry((repeat.scope.clone(), repeat.statement.clone()))
                .or_default()
                .add(repeat.count, repeat.requests, repeat.total_call_time, &repeat.caller);
        }
        let flat = check_in.span_traces.is_empty();
        for trace in check_in.span_traces {
            self.add_trace(tree::trace(trace), derive_repeats);
        }
        for trace in check_in.slow_transactions.into_iter().filter(|_| flat) {
            self.add_trace(tree::flat_trace(trace), derive_repeats);
        }
    }

    /// Adds one body of the error service.
    pub fn add_errors(&mut self, body: ErrorBody) {
        for problem in body.problems {
            let at = problem.request_components;
            let place = match (at.controller.is_empty(), at.action.is_empty()) {
                (true, true) => problem.request_uri,
                (true, false) => at.action,
                (false, true) => at.controller,
                (false, false) => format!("{}/{}", at.controller, at.action),
            };
            let (class, message) = (problem.exception_class, problem.message);
            let key = (class.clone(), message.clone(), place.clone());
            // Most agents send `file:line:in function`, as Ruby prints it.
            let frame = problem.trace.first().map(|frame| frame.replacen(":in ", " in ", 1));
            let error = self.errors.entry(key).or_insert(ErrorClass {
                class,
                message,
                count: 0,
                place,
                frame: frame.unwrap_or_default(),
            });
            error.count += problem.count.max(1);
        }
    }

    fn add_metadata(&mut self, metadata: &payload::Metadata) {
        if !metadata.app_name.is_empty() {
            self.apps.insert(metadata.app_name.clone());
        } else if !metadata.app_root.is_empty() {
            self.roots.insert(metadata.app_root.clone());
        }
        let Some(start) = instant::parse(&metadata.agent_time) else { return };
        let start = start.minute().start();
        let length = metadata.period_seconds.clamp(60, 366 * 86_400) * 1_000_000_000;
        let end = UnixNanos(start.0.saturating_add(length));
        let known = self.period.unwrap_or(Period { start_ns: start, end_ns: end });
        self.period =
            Some(Period { start_ns: known.start_ns.min(start), end_ns: known.end_ns.max(end) });
    }

    fn add_metric(&mut self, metric: &Metric) {
        let key = &metric.key;
        match (key.bucket.as_str(), key.scope.as_str()) {
            ("Controller", "") => {
                let endpoint = self.endpoints.entry(key.name.clone()).or_default();
                ledger::add_calls(&mut endpoint.calls, metric);
                endpoint.layer("Controller", metric.total_exclusive_time);
            }
            ("Job", "") => {
                ledger::add_calls(self.job_calls.entry(key.name.clone()).or_default(), metric);
            }
            ("Errors", _) => {
                if let Some(name) = key.name.strip_prefix("Controller/") {
                    self.endpoints.entry(name.to_owned()).or_default().errors += metric.call_count;
                }
            }
            (kind, scope) => {
                let Some(name) = scope.strip_prefix("Controller/") else { return };
                let endpoint = self.endpoints.entry(name.to_owned()).or_default();
                if kind == "QueueTime" {
                    endpoint.queue.add(metric.call_count, metric.total_call_time);
                } else if !NOT_LAYERS.contains(&kind) {
                    endpoint.layer(kind, metric.total_exclusive_time);
                }
            }
        }
    }

    fn add_sql(&mut self, sql: Option<Vec<payload::Sql>>, queries: Vec<payload::DbQuery>) {
        let Some(sql) = sql else {
            for query in queries {
                let key = (format!("{}/{}", query.model_name, query.operation), String::new());
                let entry = self.sql.entry(key).or_default();
                entry.add(&query.scope, query.call_count, query.call_time, query.max_call_time);
                entry.calls.histogram.add(&query.histogram);
            }
            return;
        };
        for query in sql {
            let entry = self.sql.entry((query.operation, query.statement)).or_default();
            entry.add(&query.scope, query.call_count, query.total_call_time, query.max_call_time);
            entry.calls.histogram.add(&query.histogram);
        }
    }

    fn add_trace(&mut self, trace: Trace, derive_repeats: bool) {
        let mut open: Vec<_> = trace.steps.iter().collect();
        while let Some(step) = open.pop() {
            if let Some((_, operation)) = step.operation.split_once('/')
                && !step.description.is_empty()
            {
                self.statements
                    .entry(operation.to_owned())
                    .or_insert_with(|| step.description.clone());
            }
            if step.n_plus_one && derive_repeats {
                let what = [&step.description, &step.operation].into_iter().find(|s| !s.is_empty());
                self.n_plus_one
                    .entry((trace.endpoint.clone(), what.cloned().unwrap_or_default()))
                    .or_default()
                    .add(step.calls, 1, step.seconds, &step.caller);
            }
            open.extend(&step.steps);
        }
        let slot = if trace.has_n_plus_one { &mut self.slowest_repeat } else { &mut self.slowest };
        if slot.as_ref().is_none_or(|slowest| rank(&trace) > rank(slowest)) {
            *slot = Some(trace);
        }
    }

    /// The report of everything added, sorted. `files` is what the caller knows of the files.
    pub fn finish(self, files: Files) -> Report {
        let mut totals = Totals::default();
        for endpoint in self.endpoints.values() {
            totals.requests += endpoint.calls.count;
            totals.request_seconds += endpoint.calls.seconds;
            totals.request_errors += endpoint.errors;
            totals.request_histogram.merge(&endpoint.calls.histogram);
        }
        let mut endpoints: Vec<Endpoint> = self
            .endpoints
            .into_iter()
            .map(|(name, ledger)| ledger.finish(format!("Controller/{name}")))
            .collect();
        by_time(&mut endpoints, |endpoint| endpoint.calls.seconds);
        let mut jobs = ledger::finish_jobs(self.jobs, &self.job_calls);
        by_time(&mut jobs, |job| job.calls.seconds);
        totals.jobs = jobs.iter().map(|job| job.calls.count).sum();
        totals.job_errors = jobs.iter().map(|job| job.errors).sum();
        let mut n_plus_one: Vec<NPlusOne> =
            self.n_plus_one.into_iter().map(|(key, ledger)| ledger.finish(key)).collect();
        by_time(&mut n_plus_one, |repeat| repeat.seconds);
        let statements = self.statements;
        let statement_of = |operation: &String| statements.get(operation).cloned();
        let mut sql: Vec<Sql> = self
            .sql
            .into_iter()
            .map(|((operation, statement), ledger)| {
                let known = if statement.is_empty() { statement_of(&operation) } else { None };
                let (calls, scopes) = ledger.finish();
                Sql { operation, statement: known.unwrap_or(statement), calls, scopes }
            })
            .collect();
        by_time(&mut sql, |query| query.calls.seconds);
        let mut services: Vec<Service> = self
            .services
            .into_iter()
            .map(|(host, ledger)| {
                let (calls, scopes) = ledger.finish();
                Service { host, calls, scopes }
            })
            .collect();
        by_time(&mut services, |service| service.calls.seconds);
        let mut errors: Vec<ErrorClass> = self.errors.into_values().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        let apps = if self.apps.is_empty() { self.roots } else { self.apps };
        Report {
            apps: apps.into_iter().collect(),
            period: self.period,
            hosts: self.hosts.into_iter().collect(),
            processes: self.processes.len(),
            totals,
            endpoints,
            jobs,
            traces: choose(self.slowest, self.slowest_repeat),
            n_plus_one,
            sql,
            services,
            errors,
            files,
        }
    }
}

/// Longest first; names, which the maps have sorted, decide between equals.
fn by_time<T>(items: &mut [T], seconds: impl Fn(&T) -> f64) {
    items.sort_by(|a, b| seconds(b).total_cmp(&seconds(a)));
}

/// A job is shown only where there is no request at all.
fn rank(trace: &Trace) -> (bool, f64) {
    (trace.endpoint.starts_with("Controller/"), trace.seconds)
}

/// The slowest trace, and after it the slowest with an N+1 query when that is another one.
fn choose(slowest: Option<Trace>, slowest_repeat: Option<Trace>) -> Vec<Trace> {
    match (slowest, slowest_repeat) {
        (Some(plain), Some(repeat)) if rank(&repeat) < rank(&plain) => vec![plain, repeat],
        (_, Some(repeat)) => vec![repeat],
        (plain, None) => plain.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
