use super::metadata::Metadata;
use super::metric::{NewMetric, OldMetric, Unit};
use super::numeric_histogram::NumericHistogram;
use super::render::{Instant, Name, Seconds};
use super::span_trace::{SpanTrace, StatementTables};
use super::transaction::{SlowJob, SlowTransaction};
use crate::engine::{
    HostKey, HostStats, JobKey, JobStats, NPlusOne, Period, QueryKey, QueryStats, StatementKey,
    StatementStats, heaviest_first,
};
use serde::Serialize;

/// Database queries and external services sent of one period; the largest by time.
const REPORT_LIMIT: usize = 1000;
/// Statements and repeated statements sent; likewise.
const STATEMENT_LIMIT: usize = 100;

/// The check-in's JSON for a period.
pub fn checkin(period: &Period, metadata: &Metadata) -> Vec<u8> {
    let payload = Payload::new(period, metadata);
    // Text keys and finite numbers: this cannot fail, and an empty object would be harmless.
    serde_json::to_vec(&payload).unwrap_or_else(|_| b"{}".to_vec())
}

#[derive(Serialize)]
struct Payload<'a> {
    metadata: ShownMetadata<'a>,
    metrics: Vec<OldMetric<'a>>,
    slow_transactions: Vec<SlowTransaction<'a>>,
    jobs: Vec<Job<'a>>,
    slow_jobs: Vec<SlowJob<'a>>,
    histograms: Vec<EndpointHistogram<'a>>,
    db_metrics: DbMetrics<'a>,
    es_metrics: EsMetrics<'a>,
    span_traces: Vec<SpanTrace<'a>>,
    n_plus_one: Vec<Repeated<'a>>,
    sql: Vec<Sql<'a>>,
}

#[derive(Serialize)]
struct ShownMetadata<'a> {
    app_root: &'a str,
    unique_id: &'a str,
    agent_version: &'a str,
    agent_time: Instant,
    agent_pid: u32,
    platform: &'a str,
    payload_version: u32,
    app_name: &'a str,
    /// From `agent_time` on; only there when it is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    period_minutes: Option<u64>,
}

#[derive(Serialize)]
struct Job<'a> {
    queue: &'a str,
    name: &'a str,
    count: u64,
    errors: u64,
    total_time: NumericHistogram,
    exclusive_time: NumericHistogram,
    metrics: Vec<NewMetric<'a>>,
}

#[derive(Serialize)]
struct EndpointHistogram<'a> {
    name: &'a str,
    histogram: NumericHistogram,
}

#[derive(Serialize)]
struct DbMetrics<'a> {
    query: Vec<Query<'a>>,
}

#[derive(Serialize)]
struct Query<'a> {
    model_name: &'a str,
    operation: &'a str,
    scope: &'a str,
    transaction_count: u64,
    call_count: u64,
    histogram: NumericHistogram,
    call_time: Seconds,
    max_call_time: Seconds,
    min_call_time: Seconds,
    max_rows_returned: u64,
    min_rows_returned: u64,
    rows_returned: u64,
}

#[derive(Serialize)]
struct EsMetrics<'a> {
    http: Vec<Host<'a>>,
}

#[derive(Serialize)]
struct Host<'a> {
    domain_name: &'a str,
    operation: &'static str,
    scope: &'a str,
    transaction_count: u64,
    call_count: u64,
    histogram: NumericHistogram,
    call_time: Seconds,
    max_call_time: Seconds,
    min_call_time: Seconds,
}

#[derive(Serialize)]
struct Repeated<'a> {
    scope: &'a str,
    statement: &'a str,
    count: u64,
    requests: u64,
    total_call_time: Seconds,
    caller: Option<&'a str>,
}

#[derive(Serialize)]
struct Sql<'a> {
    scope: &'a str,
    statement: &'a str,
    operation: &'a str,
    call_count: u64,
    total_call_time: Seconds,
    max_call_time: Seconds,
    histogram: NumericHistogram,
}

impl<'a> Payload<'a> {
    fn new(period: &'a Period, metadata: &'a Metadata) -> Self {
        let requests = || period.slow_requests.iter().map(|scored| &scored.item);
        let jobs = || period.slow_jobs.iter().map(|scored| &scored.item);
        let mut tables = StatementTables::default();
        Payload {
            metadata: ShownMetadata {
                app_root: metadata.root_of(period),
                unique_id: &metadata.unique_id,
                agent_version: &metadata.agent_version,
                agent_time: Instant(period.minute.start(), false),
                agent_pid: metadata.agent_pid,
                platform: metadata.platform_of(period),
                payload_version: 2,
                app_name: &metadata.app_name,
                period_minutes: match period.until.0.saturating_sub(period.minute.0) {
                    0 => None,
                    more => Some(more + 1),
                },
            },
            metrics: period
                .metrics
                .iter()
                .map(|(key, calls)| {
                    let name = Name { bucket: &key.bucket, name: &key.name };
                    OldMetric::new(name, &key.scope, calls, Unit::of(&key.bucket))
                })
                .chain(period.gauges.iter().map(|(name, gauge)| OldMetric::of_gauge(name, gauge)))
                .collect(),
            slow_transactions: requests().map(SlowTransaction::new).collect(),
            jobs: period.jobs.iter().map(Job::new).collect(),
            slow_jobs: jobs().map(SlowJob::new).collect(),
            histograms: period
                .histograms
                .iter()
                .map(|(name, histogram)| EndpointHistogram { name, histogram: histogram.into() })
                .collect(),
            db_metrics: DbMetrics {
                query: top(&period.queries, REPORT_LIMIT, |query| query.calls.total)
                    .map(Query::new)
                    .collect(),
            },
            es_metrics: EsMetrics {
                http: top(&period.hosts, REPORT_LIMIT, |host| host.calls.total)
                    .map(Host::new)
                    .collect(),
            },
            span_traces: requests()
                .map(|trace| (trace, "Web"))
                .chain(jobs().map(|trace| (trace, "Job")))
                .filter_map(|(trace, r#type)| SpanTrace::of(trace, r#type, &mut tables))
                .collect(),
            n_plus_one: top(&period.n_plus_ones, STATEMENT_LIMIT, |found| found.total)
                .map(Repeated::new)
                .collect(),
            sql: top(&period.statements, STATEMENT_LIMIT, |statement| statement.calls.total)
                .map(Sql::new)
                .collect(),
        }
    }
}

/// A table's heaviest entries, heaviest first.
fn top<K: Ord, V>(
    table: &std::collections::BTreeMap<K, V>,
    limit: usize,
    weight: impl Fn(&V) -> u64,
) -> impl Iterator<Item = (&K, &V)> {
    let entries: Vec<_> = table.iter().collect();
    let places = heaviest_first(table.values().map(weight));
    places.into_iter().take(limit).filter_map(move |place| entries.get(place).copied())
}

impl<'a> Job<'a> {
    fn new((key, stats): (&'a JobKey, &'a JobStats)) -> Self {
        let layers = stats.layers.iter().map(|(layer, calls)| {
            NewMetric::new(Name { bucket: layer, name: "all" }, calls, Unit::Time)
        });
        let latency = Name { bucket: "Latency", name: "all" };
        let latency = NewMetric::new(latency, &stats.latency, Unit::Time);
        Job {
            queue: &key.queue,
            name: &key.name,
            count: stats.count,
            errors: stats.errors,
            total_time: (&stats.total_times).into(),
            exclusive_time: (&stats.exclusive_times).into(),
            metrics: layers.chain([latency]).collect(),
        }
    }
}

impl<'a> Query<'a> {
    fn new((key, stats): (&'a QueryKey, &'a QueryStats)) -> Self {
        Query {
            model_name: &key.model,
            operation: &key.operation,
            scope: &key.scope,
            transaction_count: stats.transactions,
            call_count: stats.calls.count,
            histogram: (&stats.histogram).into(),
            call_time: Seconds(stats.calls.total),
            max_call_time: Seconds(stats.calls.max),
            min_call_time: Seconds(stats.calls.min),
            max_rows_returned: stats.rows.max,
            min_rows_returned: stats.rows.min,
            rows_returned: stats.rows.total,
        }
    }
}

impl<'a> Host<'a> {
    fn new((key, stats): (&'a HostKey, &'a HostStats)) -> Self {
        Host {
            domain_name: &key.host,
            operation: "all",
            scope: &key.scope,
            transaction_count: stats.transactions,
            call_count: stats.calls.count,
            histogram: (&stats.histogram).into(),
            call_time: Seconds(stats.calls.total),
            max_call_time: Seconds(stats.calls.max),
            min_call_time: Seconds(stats.calls.min),
        }
    }
}

impl<'a> Repeated<'a> {
    fn new((key, found): (&'a StatementKey, &'a NPlusOne)) -> Self {
        Repeated {
            scope: &key.scope,
            statement: &found.statement,
            count: found.count,
            requests: found.requests,
            total_call_time: Seconds(found.total),
            caller: found.caller.as_deref(),
        }
    }
}

impl<'a> Sql<'a> {
    fn new((key, stats): (&'a StatementKey, &'a StatementStats)) -> Self {
        Sql {
            scope: &key.scope,
            statement: &stats.statement,
            operation: &stats.operation,
            call_count: stats.calls.count,
            total_call_time: Seconds(stats.calls.total),
            max_call_time: Seconds(stats.calls.max),
            histogram: (&stats.histogram).into(),
        }
    }
}
