use super::call_group::{CallGroup, Query, SubjectKey};
use super::calls::CallStats;
use super::config::EngineConfig;
use super::error::ErrorLog;
use super::gauge::GaugeStats;
use super::hash::KeyedHash;
use super::histogram::LiveHistogram;
use super::operation::{OTHER, OpId, Operations, SpanKind, TypeId, split};
use super::period::{Application, NPlusOne, PeriodCounts};
use super::scored_set::ScoredSet;
use super::stats::EngineStats;
use super::trace::SlowTrace;
use crate::model::Minute;
use std::collections::{BTreeMap, HashMap};

/// A minute that is being filled. Everything is found by small numbers; see `freeze` for the rest.
#[derive(Debug)]
pub(crate) struct LiveMinute {
    pub minute: Minute,
    pub counts: PeriodCounts,
    pub endpoints: Vec<Endpoint>,
    /// Index into `endpoints` plus one, by operation.
    by_op: Vec<u32>,
    by_name: HashMap<Box<str>, u32, KeyedHash>,
    /// Distinct layers over all endpoints.
    n_layers: usize,
    pub calls: Vec<CallGroup>,
    pub(super) statement_bytes: usize,
    pub(super) by_subject: HashMap<(u32, SubjectKey), u32, KeyedHash>,
    pub queries: Vec<Query>,
    pub(super) by_query: HashMap<(u32, Box<str>, Box<str>), u32, KeyedHash>,
    pub hosts: Vec<HostCalls>,
    by_host: HashMap<(u32, u32), u32, KeyedHash>,
    pub jobs: Vec<Job>,
    by_job: HashMap<(u32, u32), u32, KeyedHash>,
    pub n_plus_ones: HashMap<u32, NPlusOne, KeyedHash>,
    pub gauges: BTreeMap<String, GaugeStats>,
    pub slow_requests: ScoredSet<SlowTrace>,
    pub slow_jobs: ScoredSet<SlowTrace>,
    pub errors: ErrorLog,
    pub application: Option<Application>,
    pub(super) limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    endpoints: usize,
    layers: usize,
    pub(super) calls: usize,
    pub(super) queries: usize,
    hosts: usize,
    jobs: usize,
    gauges: usize,
}

/// An endpoint's figures.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// `Controller/users/show`.
    pub name: Box<str>,
    pub own: CallStats,
    /// By type of layer; few enough to search.
    pub layers: Vec<(TypeId, CallStats)>,
    pub errors: u64,
    pub allocations: CallStats,
    pub queue_time: CallStats,
    pub histogram: LiveHistogram,
}

/// Calls of one endpoint to one host.
#[derive(Debug)]
pub(crate) struct HostCalls {
    pub endpoint: u32,
    pub host: u32,
    pub transactions: u64,
    request: u64,
    pub calls: CallStats,
    pub histogram: LiveHistogram,
}

/// A job's figures.
#[derive(Debug)]
pub(crate) struct Job {
    pub queue: u32,
    pub name: Box<str>,
    pub count: u64,
    pub errors: u64,
    pub total: u64,
    pub total_times: LiveHistogram,
    pub exclusive_times: LiveHistogram,
    pub layers: Vec<(TypeId, CallStats)>,
    pub latency: CallStats,
}

/// Stands for a request's number when a span came after its request was counted.
pub(crate) const LATE: u64 = u64::MAX;
/// The number of all hosts that did not fit.
pub(crate) const OTHER_HOST: u32 = u32::MAX;
/// The number of all queues that did not fit.
pub(crate) const OTHER_QUEUE: u32 = u32::MAX;

impl LiveMinute {
    pub(crate) fn new(minute: Minute, config: &EngineConfig, hash: KeyedHash) -> Self {
        LiveMinute {
            minute,
            counts: PeriodCounts::default(),
            endpoints: Vec::new(),
            by_op: Vec::new(),
            by_name: HashMap::with_hasher(hash),
            n_layers: 0,
            calls: Vec::new(),
            statement_bytes: 0,
            by_subject: HashMap::with_hasher(hash),
            queries: Vec::new(),
            by_query: HashMap::with_hasher(hash),
            hosts: Vec::new(),
            by_host: HashMap::with_hasher(hash),
            jobs: Vec::new(),
            by_job: HashMap::with_hasher(hash),
            n_plus_ones: HashMap::with_hasher(hash),
            gauges: BTreeMap::new(),
            slow_requests: ScoredSet::new(config.max_traces),
            slow_jobs: ScoredSet::new(config.max_traces),
            errors: ErrorLog::new(config.max_errors),
            application: None,
            limits: Limits {
                endpoints: config.max_endpoints.max(2),
                layers: config.max_metrics,
                calls: config.max_statements,
                queries: config.database_metric_limit,
                hosts: config.external_service_metric_limit,
                jobs: config.max_jobs,
                gauges: config.max_gauges,
            },
        }
    }

    /// Operations have new numbers.
    pub(crate) fn forget_numbers(&mut self) {
        self.by_op.clear();
        // Groups by operation keep their figures; equal ones found anew are added on freezing.
        self.by_subject.retain(|(_, key), _| key.has_no_operation());
    }

    /// The endpoint with this operation's name.
    #[inline]
    pub(crate) fn endpoint(
        &mut self,
        op: OpId,
        operations: &Operations,
        stats: &mut EngineStats,
    ) -> u32 {
        match self.by_op.get(op.0 as usize).and_then(|at| at.checked_sub(1)) {
            Some(at) => at,
            None => self.new_endpoint(op, operations, stats),
        }
    }

    #[cold]
    fn new_endpoint(&mut self, op: OpId, operations: &Operations, stats: &mut EngineStats) -> u32 {
        let mut name = operations.text(op);
        let mut found = self.by_name.get(name).copied();
        let other;
        if found.is_none() && self.endpoints.len() >= self.limits.endpoints {
            stats.endpoints_overflowed += 1;
            other = format!("{}/{OTHER}", split(name).0);
            name = &other;
            found = self.by_name.get(name).copied();
        }
        let at = found.unwrap_or_else(|| {
            let at = self.endpoints.len() as u32;
            self.by_name.insert(name.into(), at);
            self.endpoints.push(Endpoint {
                name: name.into(),
                own: CallStats::default(),
                layers: Vec::new(),
                errors: 0,
                allocations: CallStats::default(),
                queue_time: CallStats::default(),
                histogram: LiveHistogram::default(),
            });
            at
        });
        let place = op.0 as usize;
        if self.by_op.len() <= place {
            self.by_op.resize((place + 1).next_power_of_two(), 0);
        }
        if let Some(entry) = self.by_op.get_mut(place) {
            *entry = at + 1;
        }
        at
    }

    /// Counts one layer of a request; also among its job's layers, if it has one.
    #[inline]
    pub(crate) fn layer(
        &mut self,
        endpoint: u32,
        job: Option<u32>,
        layer: TypeId,
        calls: &CallStats,
        stats: &mut EngineStats,
    ) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint as usize) {
            let room = self.n_layers < self.limits.layers;
            match slot(&mut endpoint.layers, layer, room) {
                Some((held, added)) => {
                    held.add(calls);
                    self.n_layers += usize::from(added);
                }
                None => {
                    stats.metrics_overflowed += calls.count;
                    if let Some((held, _)) = slot(&mut endpoint.layers, TypeId::default(), true) {
                        held.add(calls);
                    }
                }
            }
        }
        if let Some(job) = job.and_then(|job| self.jobs.get_mut(job as usize))
            && let Some((held, _)) = slot(&mut job.layers, layer, true)
        {
            held.add(calls);
        }
    }

    /// The calls of one endpoint to one host.
    #[inline]
    pub(crate) fn host_calls(
        &mut self,
        endpoint: u32,
        mut host: u32,
        request: u64,
        stats: &mut EngineStats,
    ) -> Option<&mut HostCalls> {
        let mut found = self.by_host.get(&(endpoint, host)).copied();
        if found.is_none() && self.hosts.len() >= self.limits.hosts {
            stats.hosts_overflowed += 1;
            host = OTHER_HOST;
            found = self.by_host.get(&(endpoint, host)).copied();
        }
        let at = match found {
            Some(at) => at,
            None => {
                let at = self.hosts.len() as u32;
                self.by_host.insert((endpoint, host), at);
                self.hosts.push(HostCalls {
                    endpoint,
                    host,
                    transactions: 0,
                    request: 0,
                    calls: CallStats::default(),
                    histogram: LiveHistogram::default(),
                });
                at
            }
        };
        let calls = self.hosts.get_mut(at as usize)?;
        if calls.request != request && request != LATE {
            calls.request = request;
            calls.transactions += 1;
        }
        Some(calls)
    }

    /// The job that runs as this endpoint from this queue.
    pub(crate) fn job(&mut self, endpoint: u32, queue: u32, stats: &mut EngineStats) -> u32 {
        if let Some(at) = self.by_job.get(&(endpoint, queue)) {
            return *at;
        }
        let (key, name) = if self.jobs.len() < self.limits.jobs {
            let name = self.endpoints.get(endpoint as usize).map_or("", |held| &held.name);
            ((endpoint, queue), split(name).1)
        } else {
            stats.jobs_overflowed += 1;
            ((u32::MAX, OTHER_QUEUE), OTHER)
        };
        if let Some(at) = self.by_job.get(&key) {
            return *at;
        }
        let at = self.jobs.len() as u32;
        self.by_job.insert(key, at);
        self.jobs.push(Job {
            queue: key.1,
            name: name.into(),
            count: 0,
            errors: 0,
            total: 0,
            total_times: LiveHistogram::default(),
            exclusive_times: LiveHistogram::default(),
            layers: Vec::new(),
            latency: CallStats::default(),
        });
        at
    }

    /// Counts a gauge's sample, which must be a number.
    pub(crate) fn gauge(&mut self, name: &str, sample: f64, stats: &mut EngineStats) {
        let held = if self.gauges.contains_key(name) || self.gauges.len() < self.limits.gauges {
            self.gauges.entry(name.to_owned()).or_default()
        } else {
            return stats.gauges_overflowed += 1;
        };
        stats.gauges_clamped += u64::from(held.record(sample));
    }
}

/// The figures of one layer; also whether they are new. `None`: new, but there is no room.
#[inline]
fn slot(
    layers: &mut Vec<(TypeId, CallStats)>,
    layer: TypeId,
    room: bool,
) -> Option<(&mut CallStats, bool)> {
    let found = layers.iter().position(|(held, _)| *held == layer);
    let at = match found {
        Some(at) => at,
        None if room => {
            layers.push((layer, CallStats::default()));
            layers.len() - 1
        }
        None => return None,
    };
    layers.get_mut(at).map(|(_, calls)| (calls, found.is_none()))
}

/// Whether a type's metric is kept under its own name instead of `all`.
pub(crate) fn keeps_name(layer: &str) -> bool {
    const KEPT: [&str; 8] = [
        "CPU",
        "Memory",
        "Instance",
        "Controller",
        "SlowTransaction",
        "Percentile",
        "Job",
        "Errors",
    ];
    KEPT.contains(&layer)
}

impl SpanKind {
    /// Whether a job's record lists it among the job's layers.
    pub(crate) fn is_job_layer(self) -> bool {
        !matches!(self, SpanKind::Job | SpanKind::Queue)
    }
}
