use super::calls::CallStats;
use super::live::{LiveMinute, OTHER_HOST, OTHER_QUEUE, keeps_name};
use super::merge::add_entry;
use super::operation::{OTHER, Operations, TypeId, split};
use super::period::{
    HostKey, HostStats, JobKey, JobStats, MetricKey, Period, QueryKey, QueryStats, StatementKey,
    StatementStats,
};
use super::symbols::Symbols;
use std::collections::BTreeMap;

/// Turns a minute into a period: numbers become names again.
pub(crate) fn freeze(
    live: LiveMinute,
    operations: &Operations,
    hosts: &Symbols,
    queues: &Symbols,
) -> Period {
    let mut period = Period::new(live.minute, 0, 0);
    period.counts = live.counts;
    period.slow_requests = live.slow_requests;
    period.slow_jobs = live.slow_jobs;
    period.errors = live.errors;
    period.application = live.application;
    period.gauges = live.gauges;
    let scope_of = |endpoint: u32| {
        live.endpoints.get(endpoint as usize).map_or(String::new(), |held| held.name.to_string())
    };
    for endpoint in &live.endpoints {
        let (bucket, name) = split(&endpoint.name);
        let scope = || endpoint.name.to_string();
        let mut add = |scope: String, bucket: &str, name: &str, calls: &CallStats| {
            if calls.count > 0 {
                let key = MetricKey { scope, bucket: bucket.to_owned(), name: name.to_owned() };
                add_entry(&mut period.metrics, key, *calls);
            }
        };
        add(String::new(), bucket, name, &endpoint.own);
        for (layer, calls) in &endpoint.layers {
            let layer = operations.layer_text(*layer);
            add(scope(), layer, if keeps_name(layer) { layer } else { "all" }, calls);
        }
        let n = endpoint.errors;
        let errors = CallStats { count: n, total: n, exclusive: n, min: 1, max: 1 };
        add(String::new(), "Errors", &endpoint.name, &errors);
        add(String::new(), "Errors", "Request", &errors);
        add(scope(), "ObjectAllocations", "all", &endpoint.allocations);
        add(scope(), "QueueTime", "all", &endpoint.queue_time);
        let histogram = endpoint.histogram.freeze();
        if histogram.count() > 0 {
            add_entry(&mut period.histograms, scope(), histogram);
        }
    }
    for job in &live.jobs {
        let queue =
            if job.queue == OTHER_QUEUE { OTHER.to_owned() } else { queues.text(job.queue).into() };
        let stats = JobStats {
            count: job.count,
            errors: job.errors,
            total: job.total,
            total_times: job.total_times.freeze(),
            exclusive_times: job.exclusive_times.freeze(),
            layers: named(&job.layers, operations),
            latency: job.latency,
        };
        add_entry(&mut period.jobs, JobKey { queue, name: job.name.to_string() }, stats);
    }
    for query in &live.queries {
        let key = QueryKey {
            scope: scope_of(query.endpoint),
            model: query.model.to_string(),
            operation: query.operation.to_string(),
        };
        let stats = QueryStats { transactions: query.transactions, ..QueryStats::default() };
        add_entry(&mut period.queries, key, stats);
    }
    for group in &live.calls {
        let histogram = group.histogram.freeze();
        if let Some(query) = live.queries.get(group.query as usize) {
            let key = QueryKey {
                scope: scope_of(query.endpoint),
                model: query.model.to_string(),
                operation: query.operation.to_string(),
            };
            let stats = QueryStats {
                transactions: 0,
                calls: group.calls,
                rows: group.rows,
                histogram: histogram.clone(),
            };
            add_entry(&mut period.queries, key, stats);
        }
        let (fingerprint, statement, operation) = match &group.statement {
            Some(held) => (held.fingerprint, held.text.to_string(), held.operation.to_string()),
            None if group.is_other => (0, OTHER.to_owned(), format!("SQL/{OTHER}")),
            None => continue,
        };
        let key = StatementKey { scope: scope_of(group.endpoint), fingerprint };
        let stats = StatementStats { statement, operation, calls: group.calls, histogram };
        add_entry(&mut period.statements, key, stats);
    }
    for (group, mut found) in live.n_plus_ones {
        let Some(group) = live.calls.get(group as usize) else { continue };
        let Some(statement) = &group.statement else { continue };
        let scope = scope_of(group.endpoint);
        found.statement = statement.text.to_string();
        let key = StatementKey { scope, fingerprint: statement.fingerprint };
        add_entry(&mut period.n_plus_ones, key, found);
    }
    for calls in &live.hosts {
        let host =
            if calls.host == OTHER_HOST { OTHER.to_owned() } else { hosts.text(calls.host).into() };
        let stats = HostStats {
            transactions: calls.transactions,
            calls: calls.calls,
            histogram: calls.histogram.freeze(),
        };
        add_entry(&mut period.hosts, HostKey { scope: scope_of(calls.endpoint), host }, stats);
    }
    period
}

fn named(layers: &[(TypeId, CallStats)], operations: &Operations) -> BTreeMap<String, CallStats> {
    let mut named = BTreeMap::<String, CallStats>::new();
    for (layer, calls) in layers {
        named.entry(operations.layer_text(*layer).to_owned()).or_default().add(calls);
    }
    named
}
