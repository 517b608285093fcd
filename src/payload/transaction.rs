use super::metric::{NewMetric, OldMetric, Unit};
use super::render::{ContextOf, Instant, Name, Seconds, yes_no};
use crate::engine::SlowTrace;
use serde::Serialize;

/// A slow web request.
#[derive(Serialize)]
pub(super) struct SlowTransaction<'a> {
    key: Name<'a>,
    time: Instant,
    total_call_time: Seconds,
    uri: &'a str,
    context: ContextOf<'a>,
    score: f64,
    prof: [(); 0],
    mem_delta: f64,
    allocations: u64,
    seconds_since_startup: Seconds,
    hostname: &'a str,
    git_sha: &'a str,
    truncated_metrics: &'static str,
    metrics: Vec<OldMetric<'a>>,
    allocation_metrics: Vec<OldMetric<'a>>,
}

/// A slow job.
#[derive(Serialize)]
pub(super) struct SlowJob<'a> {
    queue: &'a str,
    name: &'a str,
    time: Instant,
    total_time: Seconds,
    exclusive_time: Seconds,
    mem_delta: f64,
    allocations: u64,
    seconds_since_startup: Seconds,
    hostname: &'a str,
    git_sha: &'a str,
    metrics: Vec<NewMetric<'a>>,
    allocation_metrics: Vec<NewMetric<'a>>,
    context: ContextOf<'a>,
    truncated_metrics: &'static str,
    score: f64,
}

fn context(trace: &SlowTrace) -> ContextOf<'_> {
    ContextOf { extra: &trace.context, user: &trace.user, transaction_id: &trace.trace_id }
}

impl<'a> SlowTransaction<'a> {
    pub(super) fn new(trace: &'a SlowTrace) -> Self {
        let timed = trace.metrics.iter();
        let counted = trace.metrics.iter().filter(|metric| metric.allocations.count > 0);
        SlowTransaction {
            key: Name::of(&trace.name),
            time: Instant(trace.end, false),
            total_call_time: Seconds(trace.root_total()),
            uri: &trace.uri,
            context: context(trace),
            score: trace.score,
            prof: [],
            mem_delta: trace.mem_delta,
            allocations: trace.allocations,
            seconds_since_startup: Seconds(trace.since_startup),
            hostname: &trace.hostname,
            git_sha: &trace.git_sha,
            truncated_metrics: yes_no(trace.truncated_metrics),
            metrics: timed
                .map(|metric| OldMetric::of_trace(metric, &metric.calls, Unit::Time))
                .collect(),
            allocation_metrics: counted
                .map(|metric| OldMetric::of_trace(metric, &metric.allocations, Unit::Count))
                .collect(),
        }
    }
}

impl<'a> SlowJob<'a> {
    pub(super) fn new(trace: &'a SlowTrace) -> Self {
        let timed = trace.metrics.iter();
        let counted = trace.metrics.iter().filter(|metric| metric.allocations.count > 0);
        SlowJob {
            queue: &trace.queue,
            name: Name::of(&trace.name).name,
            time: Instant(trace.end, false),
            total_time: Seconds(trace.scope_total),
            exclusive_time: Seconds(trace.scope_exclusive),
            mem_delta: trace.mem_delta,
            // The job's own, as its times are; its queue is not part of it.
            allocations: trace.scope_allocations,
            seconds_since_startup: Seconds(trace.since_startup),
            hostname: &trace.hostname,
            git_sha: &trace.git_sha,
            metrics: timed
                .map(|metric| NewMetric::of_trace(metric, &metric.calls, Unit::Time))
                .collect(),
            allocation_metrics: counted
                .map(|metric| NewMetric::of_trace(metric, &metric.allocations, Unit::Count))
                .collect(),
            context: context(trace),
            truncated_metrics: yes_no(trace.truncated_metrics),
            score: trace.score,
        }
    }
}
