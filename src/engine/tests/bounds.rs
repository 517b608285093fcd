//! Floods: memory stays bounded, sums stay exact, the surplus shows.
use super::support::*;
use crate::engine::{CallStats, EngineConfig, Period};

/// The sum of all endpoints, or of all layers.
fn sum(period: &Period, which: impl Fn(&crate::engine::MetricKey) -> bool) -> CallStats {
    let mut sum = CallStats::default();
    period.metrics.iter().filter(|(key, _)| which(key)).for_each(|(_, calls)| sum.add(calls));
    sum
}

#[test]
fn a_hundred_thousand_endpoints() {
    let mut feed = feed();
    let n = 100_000;
    for i in 1..=n {
        let op = format!("Controller/c{i}/show");
        feed.span(&span(i, 1, 0, 0, 10 * MS, &op)).span(&span(i, 2, 1, 0, 4 * MS, "View/x"));
        if i % 100 == 0 {
            feed.rounds();
        }
    }
    let period = feed.close();
    assert_eq!(period.requests(), n);
    let controllers = sum(&period, |key| key.bucket == "Controller");
    assert_eq!((controllers.count, controllers.total), (n, n * 10 * MS));
    assert_eq!(controllers.exclusive, n * 6 * MS);
    assert_eq!(sum(&period, |key| key.bucket == "View").total, n * 4 * MS);
    assert_eq!(period.histograms.len(), 1001);
    assert_eq!(period.histograms.values().map(|held| held.count()).sum::<u64>(), n);
    assert!(metric(&period, "", "Controller", "other").count > 90_000);
    assert_eq!(metric(&period, "Controller/other", "View", "all").count, n - 1000);
    let stats = feed.engine.stats();
    assert!(stats.endpoints_overflowed > 0 && stats.operations_rebuilt > 0, "{stats:?}");
}

#[test]
fn a_hundred_thousand_statements_hosts_and_types() {
    let mut feed = feed();
    let n = 100_000;
    for i in 1..=n {
        let at = i * 10;
        feed.span(&span(i, 1, 0, 0, 10 * MS, "Controller/a"));
        let sql = format!("SELECT a{i} FROM t{i}");
        feed.span(&span(i, at, 1, 0, MS, "SQL/Query").tag("db.statement", &*sql));
        let url = format!("http://h{i}.example.com/");
        feed.span(&span(i, at + 1, 1, 0, MS, "HTTP/GET").tag("url", &*url));
        feed.span(&span(i, at + 2, 1, 0, MS, &format!("T{i}/x")).tag(&format!("key{i}"), 1));
        feed.span(&span(i, at + 3, 1, 0, MS, &format!("ActiveRecord/M{i}/find")));
        feed.request_tag(i, &format!("context{i}"), "x");
        if i % 100 == 0 {
            feed.rounds();
        }
    }
    let period = feed.close();
    let scope = "Controller/a";
    assert_eq!(metric(&period, scope, "SQL", "all").count, n);
    assert_eq!(metric(&period, scope, "HTTP", "all").count, n);
    assert_eq!(sum(&period, |key| key.scope == scope).count, 4 * n);
    assert!(metric(&period, scope, "other", "all").count > 90_000);
    let calls =
        |period: &Period| period.queries.values().map(|query| query.calls.count).sum::<u64>();
    assert_eq!(calls(&period), 2 * n);
    assert!(period.queries.len() <= 5001, "{}", period.queries.len());
    assert!(period.statements.len() <= 5001);
    assert_eq!(period.hosts.values().map(|host| host.calls.count).sum::<u64>(), n);
    assert!(period.hosts.len() <= 5001);
    assert!(period.metrics.len() < 300);
    let stats = feed.engine.stats();
    assert!(stats.statements_overflowed > 0 && stats.hosts_overflowed > 0);
    assert!(stats.layers_overflowed > 0 && stats.tags_dropped > 0, "{stats:?}");
    // Merging with itself stays bounded, and doubles.
    let mut twice = period.clone();
    twice.merge(period);
    assert_eq!(calls(&twice), 4 * n);
}

#[test]
fn a_request_of_a_million_spans() {
    let mut feed = feed();
    let n = 1_000_000;
    for i in 0..n {
        let made = span(1, 10 + i, 1, 0, 1000 + i % 7, "SQL/Query");
        let made = made.tag("db.statement", "SELECT * FROM users WHERE id = 1");
        feed.span(&made.tag("db.rows_returned", "2"));
    }
    let stats = feed.engine.stats();
    assert_eq!(stats.open_spans, n);
    feed.span(&span(1, 1, 0, 0, 60 * SECOND, "Controller/a"));
    let period = feed.close();
    let total: u64 = (0..n).map(|i| 1000 + i % 7).sum();
    let sql = metric(&period, "Controller/a", "SQL", "all");
    assert_eq!((sql.count, sql.total, sql.min, sql.max), (n, total, 1000, 1006));
    let own = metric(&period, "", "Controller", "a");
    assert_eq!((own.count, own.total, own.exclusive), (1, 60 * SECOND, 60 * SECOND - total));
    let query = period.queries.values().next().unwrap();
    assert_eq!((query.transactions, query.calls.count, query.rows.total), (1, n, 2 * n));
    assert_eq!(query.histogram.count(), n);
    assert_eq!(period.n_plus_ones.values().next().unwrap().count, n);
    let trace = &period.slow_requests.iter().next().unwrap().item;
    assert!(trace.reached_span_cap && trace.spans.len() == 1500);
    let stats = feed.engine.stats();
    assert_eq!((stats.spans_folded, stats.spans_counted), (n - 20_000, n + 1));
    assert_eq!(stats.open_spans, 0);
}

#[test]
fn many_open_requests_share_a_bound() {
    let config = EngineConfig { max_open_spans: 1000, ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    for n in 1..=500 {
        feed.span(&span(n, 2, 1, 0, 9 * MS, "Controller/a"));
        for i in 0..20 {
            feed.span(&span(n, 10 + i, 2, 0, MS / 10, "View/x"));
        }
    }
    for n in 1..=500 {
        feed.span(&span(n, 1, 0, 0, 10 * MS, "Middleware"));
    }
    let period = feed.close();
    assert_eq!(metric(&period, "Controller/a", "View", "all").total, 500 * 20 * MS / 10);
    assert_eq!(metric(&period, "", "Controller", "a").count, 500);
    assert_eq!(metric(&period, "Controller/a", "Middleware", "all").count, 500);
    let stats = feed.engine.stats();
    assert!(stats.spans_folded > 9000, "{stats:?}");
    assert_eq!(stats.spans_counted, 500 * 22);
}

#[test]
fn ten_thousand_tags_and_much_text() {
    let mut feed = feed();
    let long = "x".repeat(10_000);
    for i in 0..100 {
        let mut made = span(1, 10 + i, 1, 0, MS, "Custom/x");
        for t in 0..100 {
            made = made.tag(&format!("k{t}"), 1);
        }
        feed.span(&made.tag("text", &*long));
        feed.request_tag(1, &format!("r{i}"), &*long);
    }
    let period = feed.span(&span(1, 1, 0, 0, 10 * MS, "Controller/a")).close();
    let trace = &period.slow_requests.iter().next().unwrap().item;
    assert!(trace.spans.iter().all(|span| span.detail.tags.len() <= 20));
    assert!(trace.context.len() <= 100);
    let stats = feed.engine.stats();
    assert_eq!(stats.tag_values_cut, 200);
    assert!(stats.tags_dropped > 0);
}

#[test]
fn hostile_times() {
    let mut feed = feed();
    feed.span(&span(1, 1, 0, 10 * MS, 5 * MS, "Controller/a"));
    feed.span(&span(1, 2, 1, 0, u64::MAX - T0, "Custom/x"));
    feed.span(&span(1, 3, 1, 0, u64::MAX - T0, "Custom/x"));
    let period = feed.close();
    assert_eq!(metric(&period, "", "Controller", "a").total, 0);
    assert_eq!(metric(&period, "Controller/a", "Custom", "all").total, u64::MAX);
    assert_eq!(feed.engine.stats().spans_inverted, 1);
}

/// Calls of a period by host, and by model.
fn calls_by_subject(period: &Period) -> (u64, Vec<(&str, u64)>) {
    let hosts = period.hosts.values().map(|host| host.calls.count).sum();
    let queries = period.queries.iter().map(|(key, query)| (&*key.model, query.calls.count));
    (hosts, queries.collect())
}

#[test]
fn sums_of_the_surplus_keep_calls_apart() {
    let config = EngineConfig { max_request_spans: 1, ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    feed.span(&span(1, 2, 1, 0, MS, "Controller/a"));
    for i in 0..2000_u64 {
        let url = format!("http://h{}/", i % 1500);
        feed.span(&span(1, 10 + i, 1, 0, MS, &format!("HTTP/{i}")).tag("url", &*url));
    }
    for i in 0..10 {
        let made = span(1, 3000 + i, 1, 0, MS, "HTTP/x");
        feed.span(&made.tag("db.statement", "SELECT a FROM users"));
        let made = span(1, 4000 + i, 1, 0, MS, "Custom/x");
        feed.span(&made.tag("db.statement", "SELECT a FROM users"));
        feed.span(&span(1, 5000 + i, 1, 0, MS, "Custom/x"));
        feed.span(&span(1, 6000 + i, 1, 0, MS, "SQL/x").tag("db.model", "User"));
    }
    let period = feed.span(&span(1, 1, 0, 0, 10 * SECOND, "Middleware")).close();
    assert_eq!(calls_by_subject(&period), (2000, vec![("SQL", 30)]));
    assert_eq!(metric(&period, "Controller/a", "Custom", "all").count, 20);
    assert_eq!(metric(&period, "Controller/a", "HTTP", "all").count, 2010);
}

#[test]
fn calls_are_of_the_model_that_they_name() {
    for max_request_spans in [1000, 1] {
        let mut feed = Feed::new(EngineConfig { max_request_spans, ..EngineConfig::default() });
        feed.span(&span(1, 1, 0, 0, 10 * SECOND, "Controller/a"));
        for i in 0..30 {
            let model = ["Order", "User"][usize::from(i % 3 == 0)];
            let made = span(1, 10 + i, 1, 0, MS, "SQL/Query").tag("db.model", model);
            feed.span(&made.tag("db.operation", "find"));
        }
        let period = feed.close();
        assert_eq!(calls_by_subject(&period), (0, vec![("Order", 20), ("User", 10)]));
    }
}

#[test]
fn who_holds_little_does_not_go_for_who_holds_much() {
    let mut feed = feed();
    for n in 1..=500 {
        feed.span(&span(n, 2, 1, 0, MS, "View/x"));
    }
    for n in 1001..=1005_u64 {
        for i in 0..21_000 {
            let op = format!("Custom/{}", if i < 20_000 { 0 } else { i });
            feed.span(&span(n, 10 + i, 1, 0, MS, &op));
        }
    }
    let closed = feed.engine.stats().requests_closed_by_limit;
    assert!(closed > 0 && closed < 10, "{closed}");
    for n in 1..=500 {
        feed.span(&span(n, 1, 0, 0, 10 * MS, "Controller/a"));
    }
    let period = feed.close();
    assert_eq!(metric(&period, "", "Controller", "a").count, 500);
    assert_eq!(metric(&period, "Controller/a", "View", "all").count, 500);
}

#[test]
fn a_request_has_failed_wherever_its_errors_are_kept() {
    let mut feed = feed();
    let long = "x".repeat(16_000);
    for n in 1..=2000 {
        feed.span(&span(n, 2, 1, 0, MS, "View/x"));
        feed.error(n, "E", &long, &[("a", (&*long).into())]);
    }
    for n in 1..=2000 {
        feed.span(&span(n, 1, 0, 0, 10 * MS, "Controller/a"));
    }
    let period = feed.close();
    assert_eq!(metric(&period, "", "Errors", "Request").count, 2000);
    assert_eq!(period.counts.errors, 2000);
}
