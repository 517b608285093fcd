//! What is added up for one endpoint, job, query or service while files are read.

use super::super::histogram::Histogram;
use super::super::model::{Calls, Endpoint, Job, Layer, NPlusOne};
use super::super::payload::{self, Metric};
use super::NOT_LAYERS;
use std::collections::BTreeMap;

/// Adds a metric's statistics.
pub fn add_calls(calls: &mut Calls, metric: &Metric) {
    calls.count += metric.call_count;
    calls.seconds += metric.total_call_time;
    calls.max_seconds = calls.max_seconds.max(metric.max_call_time);
}

/// A mean in the making.
#[derive(Default)]
pub struct Mean {
    count: u64,
    seconds: f64,
}

impl Mean {
    pub fn add(&mut self, count: u64, seconds: f64) {
        self.count += count;
        self.seconds += seconds;
    }

    fn finish(self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / self.count as f64)
    }
}

/// Exclusive seconds by type of layer.
type Layers = BTreeMap<String, f64>;

fn finish_layers(layers: Layers) -> Vec<Layer> {
    let mut layers: Vec<Layer> = layers
        .into_iter()
        .filter(|(_, seconds)| *seconds > 0.0)
        .map(|(kind, seconds)| Layer { kind, seconds })
        .collect();
    super::by_time(&mut layers, |layer| layer.seconds);
    layers
}

#[derive(Default)]
pub struct EndpointLedger {
    pub calls: Calls,
    pub errors: u64,
    pub queue: Mean,
    layers: Layers,
}

impl EndpointLedger {
    pub fn layer(&mut self, kind: &str, seconds: f64) {
        *self.layers.entry(kind.to_owned()).or_default() += seconds;
    }

    pub fn finish(self, name: String) -> Endpoint {
        Endpoint {
            name,
            calls: self.calls,
            errors: self.errors,
            layers: finish_layers(self.layers),
            queue_seconds: self.queue.finish(),
        }
    }
}

#[derive(Default)]
pub struct JobLedger {
    count: u64,
    errors: u64,
    total: Histogram,
    exclusive: Histogram,
    latency: Mean,
    layers: Layers,
}

impl JobLedger {
    pub fn add(&mut self, job: &payload::Job) {
        self.count += job.count;
        self.errors += job.errors;
        self.total.add(&job.total_time);
        self.exclusive.add(&job.exclusive_time);
        for metric in &job.metrics {
            if metric.bucket == "Latency" {
                self.latency.add(metric.count, metric.total_call_time);
            } else if !NOT_LAYERS.contains(&metric.bucket.as_str()) && metric.bucket != "Job" {
                let layer = self.layers.entry(metric.bucket.clone()).or_default();
                *layer += metric.total_exclusive_time;
            }
        }
    }

    /// `exact`: the job's metric, when it can only mean this queue's. Otherwise the histogram's
    /// sum and highest bin have to do, which are rounded.
    fn finish(mut self, queue: String, name: String, exact: Option<&Calls>) -> Job {
        *self.layers.entry("Job".to_owned()).or_default() += self.exclusive.sum();
        let calls = Calls {
            count: self.count,
            seconds: exact.map_or(self.total.sum(), |exact| exact.seconds),
            max_seconds: exact
                .map_or(self.total.max().unwrap_or_default(), |exact| exact.max_seconds),
            histogram: self.total,
        };
        Job {
            queue,
            name,
            calls,
            errors: self.errors,
            layers: finish_layers(self.layers),
            latency_seconds: self.latency.finish(),
        }
    }
}

/// The jobs by queue and name, and those of which only a metric is known.
pub fn finish_jobs(
    jobs: BTreeMap<(String, String), JobLedger>,
    metrics: &BTreeMap<String, Calls>,
) -> Vec<Job> {
    let mut queues: BTreeMap<String, usize> = BTreeMap::new();
    for (_, name) in jobs.keys() {
        *queues.entry(name.clone()).or_default() += 1;
    }
    let mut all: Vec<Job> = jobs
        .into_iter()
        .map(|((queue, name), ledger)| {
            let single = queues.get(&name) == Some(&1);
            let exact = metrics.get(&name).filter(|calls| single && calls.count == ledger.count);
            ledger.finish(queue, name, exact)
        })
        .collect();
    let lone = metrics.iter().filter(|(name, _)| !queues.contains_key(*name));
    all.extend(lone.map(|(name, calls)| Job {
        queue: String::new(),
        name: name.clone(),
        calls: calls.clone(),
        errors: 0,
        layers: Vec::new(),
        latency_seconds: None,
    }));
    all
}

/// Calls, and how much of their time was spent under which scope.
#[derive(Default)]
pub struct ScopedCalls {
    pub calls: Calls,
    scopes: BTreeMap<String, f64>,
}

impl ScopedCalls {
    pub fn add(&mut self, scope: &str, count: u64, seconds: f64, max_seconds: f64) {
        self.calls.count += count;
        self.calls.seconds += seconds;
        self.calls.max_seconds = self.calls.max_seconds.max(max_seconds);
        if !scope.is_empty() {
            *self.scopes.entry(scope.to_owned()).or_default() += seconds;
        }
    }

    pub fn finish(self) -> (Calls, Vec<String>) {
        let mut scopes: Vec<(String, f64)> = self.scopes.into_iter().collect();
        super::by_time(&mut scopes, |scope| scope.1);
        (self.calls, scopes.into_iter().map(|scope| scope.0).collect())
    }
}

#[derive(Default)]
pub struct RepeatLedger {
    calls: u64,
    requests: u64,
    seconds: f64,
    caller: String,
}

impl RepeatLedger {
    pub fn add(&mut self, calls: u64, requests: u64, seconds: f64, caller: &str) {
        self.calls += calls;
        self.requests += requests;
        self.seconds += seconds;
        // Any caller serves; the smallest is the same whatever the files' order.
        if self.caller.is_empty() || (!caller.is_empty() && caller < self.caller.as_str()) {
            caller.clone_into(&mut self.caller);
        }
    }

    pub fn finish(self, (scope, statement): (String, String)) -> NPlusOne {
        let Self { calls, requests, seconds, caller } = self;
        NPlusOne { scope, statement, calls, requests, seconds, caller }
    }
}
