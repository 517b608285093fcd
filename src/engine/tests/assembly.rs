//! Requests from spans in any order, and the minute they end up in.
use super::support::*;
use crate::engine::{CallStats, EngineConfig};
use crate::model::{Minute, UnixNanos};
use crate::payload::{Metadata, checkin};

/// A request of 100 ms with two queries and a call to another service.
fn show(n: u64) -> Vec<Made> {
    let sql = "SELECT * FROM users WHERE name = 'Fred' AND id = 7";
    vec![
        span(n, 1, 0, 0, 100 * MS, "Middleware/Summary"),
        span(n, 2, 1, 5 * MS, 95 * MS, "Controller/users/show"),
        span(n, 3, 2, 10 * MS, 30 * MS, "SQL/Query")
            .tag("db.statement", sql)
            .tag("db.rows_returned", "3"),
        span(n, 4, 2, 30 * MS, 40 * MS, "SQL/Query").tag("db.statement", sql),
        span(n, 5, 2, 50 * MS, 80 * MS, "HTTP/GET").tag("url", "https://api.example.com/v1?key=s"),
    ]
}

fn calls(count: u64, total: u64, exclusive: u64, min: u64, max: u64) -> CallStats {
    CallStats { count, total: total * MS, exclusive: exclusive * MS, min: min * MS, max: max * MS }
}

#[test]
fn a_request_becomes_a_minute() {
    let mut feed = feed();
    let period = feed.spans(&show(1)).request_tag(1, "path", "/users/7?token=abc").close();
    let scope = "Controller/users/show";
    assert_eq!(period.minute, UnixNanos(T0).minute());
    assert_eq!((period.requests(), period.spans()), (1, 5));
    let (bucket, name) = ("Controller", "users/show");
    assert_eq!(*metric(&period, "", bucket, name), calls(1, 90, 30, 90, 90));
    assert_eq!(*metric(&period, scope, "Middleware", "all"), calls(1, 100, 10, 10, 10));
    assert_eq!(*metric(&period, scope, "SQL", "all"), calls(2, 30, 30, 10, 20));
    assert_eq!(*metric(&period, scope, "HTTP", "all"), calls(1, 30, 30, 30, 30));
    let (key, query) = period.queries.iter().next().unwrap();
    assert_eq!((&*key.scope, &*key.model, &*key.operation), (scope, "User", "select"));
    assert_eq!((query.transactions, query.calls.count, query.rows.total), (1, 2, 3));
    let (key, host) = period.hosts.iter().next().unwrap();
    assert_eq!((&*key.host, host.calls.count, host.transactions), ("api.example.com", 1, 1));
    assert_eq!(period.histograms[scope].count(), 1);
    let trace = &period.slow_requests.iter().next().unwrap().item;
    assert_eq!(trace.uri, "/users/7?token=%5BFILTERED%5D");
    assert_eq!(trace.spans.len(), 5);
    assert_eq!(trace.spans[2].operation, "SQL/User/select");
    let stats = feed.engine.stats();
    assert_eq!((stats.spans, stats.spans_counted, stats.open_spans), (5, 5, 0));
    let json = String::from_utf8(checkin(&period, &Metadata::default())).unwrap();
    for secret in ["Fred", "abc", "key=s", "= 7"] {
        assert!(!json.contains(secret), "{secret} in {json}");
    }
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let whole = feed().spans(&show(1)).close();
    for rotation in 1..5 {
        let mut spans = show(1);
        spans.rotate_left(rotation);
        assert_eq!(feed().spans(&spans).close(), whole, "rotated by {rotation}");
        spans.reverse();
        assert_eq!(feed().spans(&spans).close(), whole, "reversed and rotated by {rotation}");
    }
}

#[test]
fn complete_one_round_after_the_root() {
    let mut feed = feed();
    feed.spans(&show(1)[..3]);
    feed.engine.end_round(feed.now);
    assert_eq!(feed.engine.stats().open_requests, 1);
    feed.spans(&show(1)[3..]);
    feed.engine.end_round(feed.now);
    let stats = feed.engine.stats();
    assert_eq!((stats.open_requests, stats.requests, stats.spans_late), (0, 1, 0));
    // The minute is not over.
    assert!(feed.engine.take_closed(feed.now).is_empty());
    let next = UnixNanos(feed.now.0 + 60 * SECOND);
    let periods = feed.engine.take_closed(next);
    assert_eq!(periods.len(), 1);
    assert_eq!(periods[0].spans(), 5);
    assert!(feed.engine.take_all(next).is_empty());
}

#[test]
fn late_spans_count() {
    let mut feed = feed();
    let period = feed.spans(&show(1)[..3]).rounds().spans(&show(1)[3..]).close();
    assert_eq!((period.spans(), period.counts.late_spans, period.requests()), (5, 2, 1));
    let scope = "Controller/users/show";
    assert_eq!(metric(&period, scope, "SQL", "all").total, 30 * MS);
    assert_eq!(period.queries.values().next().unwrap().calls.count, 2);
    assert_eq!(period.queries.values().next().unwrap().transactions, 1);
    assert_eq!(feed.engine.stats().spans_late, 2);
}

#[test]
fn a_flush_takes_rooted_requests_and_leaves_the_others() {
    let mut feed = feed();
    feed.spans(&show(1)).spans(&show(2)[1..]);
    let periods = feed.engine.take_all(feed.now);
    assert_eq!(periods[0].requests(), 1);
    assert_eq!(feed.engine.stats().open_requests, 1);
    assert_eq!(feed.engine.close_all(feed.now)[0].requests(), 1);
    let stats = feed.engine.stats();
    assert_eq!((stats.open_requests, stats.requests_closed_at_shutdown), (0, 1));
}

#[test]
fn old_requests_are_closed_and_seen_before() {
    let mut feed = feed();
    feed.spans(&show(1)[1..]);
    let told = feed.engine.open_requests(UnixNanos(feed.now.0 + SECOND));
    assert_eq!(told[0].name, "Controller/users/show");
    assert_eq!((told[0].age, told[0].spans), (1.0, 4));
    feed.engine.end_round(UnixNanos(feed.now.0 + 600 * SECOND));
    assert_eq!(feed.engine.stats().requests_closed_by_age, 0);
    feed.engine.end_round(UnixNanos(feed.now.0 + 601 * SECOND));
    let stats = feed.engine.stats();
    assert_eq!((stats.requests_closed_by_age, stats.requests, stats.spans_orphaned), (1, 1, 0));
}

#[test]
fn too_many_open_requests_close_the_oldest() {
    let config = EngineConfig { max_open_requests: 3, ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    (1..=5).for_each(|n| {
        feed.spans(&show(n)[1..]);
    });
    let stats = feed.engine.stats();
    assert_eq!((stats.open_requests, stats.requests_closed_by_limit), (3, 2));
    assert_eq!(feed.close().requests(), 5);
}

#[test]
fn a_clock_far_off_counts_in_the_present() {
    let mut feed = feed();
    feed.now = UnixNanos(T0 + 2 * 3600 * SECOND);
    let period = feed.spans(&show(1)).close();
    assert_eq!(period.minute, feed.now.minute());
    assert_ne!(period.minute, Minute(0));
    assert_eq!(feed.engine.stats().requests_skewed, 1);
}

#[test]
fn a_request_without_a_scope_is_not_counted() {
    let mut feed = feed();
    feed.span(&span(1, 1, 0, 0, MS, "SQL/Query")).rounds();
    assert!(feed.engine.close_all(feed.now).is_empty());
    let stats = feed.engine.stats();
    assert_eq!((stats.requests_without_scope, stats.spans_without_scope), (1, 1));
}

#[test]
fn renamed_and_ignored() {
    let mut feed = feed();
    feed.spans(&show(1)).request_tag(1, "transaction.name", "Controller/renamed");
    feed.spans(&show(2)).request_tag(2, "transaction.name", "short");
    feed.spans(&show(3)).request_tag(3, "ignore_transaction", true);
    let period = feed.close();
    let names: Vec<_> = period.histograms.keys().collect();
    assert_eq!(names, ["Controller/renamed", "Controller/short"]);
    assert_eq!(metric(&period, "Controller/renamed", "SQL", "all").count, 2);
    let stats = feed.engine.stats();
    assert_eq!((stats.requests_ignored, stats.spans_ignored, stats.spans), (1, 5, 15));
}

#[test]
fn n_plus_one() {
    let mut feed = feed();
    let repeat = |n: u64, calls: u64, each: u64| {
        let mut spans = vec![span(n, 1, 0, 0, 900 * MS, "Controller/list")];
        for i in 0..calls {
            let made = span(n, 10 + i, 1, i * each, (i + 1) * each, "SQL/Query");
            let sql = format!("SELECT * FROM users WHERE id = {}", 100 + i);
            let stack = r#"[{"file":"/srv/app.py","line":12,"function":"list"}]"#;
            spans.push(made.tag("db.statement", &*sql).tag("stack", stack));
        }
        spans
    };
    feed.spans(&repeat(1, 4, 100 * MS)).spans(&repeat(2, 100, MS));
    feed.spans(&repeat(3, 5, 30 * MS)).spans(&repeat(4, 6, 40 * MS));
    let period = feed.close();
    let (key, found) = period.n_plus_ones.iter().next().unwrap();
    assert_eq!(period.n_plus_ones.len(), 1);
    assert_eq!(key.scope, "Controller/list");
    assert_eq!((found.requests, found.count, found.total), (2, 11, 390 * MS));
    assert_eq!(found.caller.as_deref(), Some("/srv/app.py:12 in list"));
    let marked: Vec<_> = period
        .slow_requests
        .iter()
        .flat_map(|scored| scored.item.spans.iter().filter_map(|span| span.n_plus_one))
        .collect();
    assert!(marked.len() <= 1);
}

#[test]
fn jobs() {
    let mut feed = feed();
    let job = |n: u64, queue: Option<&str>| {
        let mut spans = vec![
            span(n, 2, 1, MS, 19 * MS, "Job/Mailer").tag("scout.job_queue_time_ns", 1_500_000_000),
            span(n, 3, 2, 2 * MS, 12 * MS, "SQL/Query"),
        ];
        match queue {
            Some(queue) => spans.push(span(n, 1, 0, 0, 20 * MS, &format!("Queue/{queue}"))),
            None => spans[0].parent = 0,
        }
        spans
    };
    feed.spans(&job(1, Some("low"))).spans(&job(2, None)).spans(&job(3, None));
    feed.request_tag(3, "queue", "high").request_tag(3, "error", "true");
    let period = feed.close();
    let queues: Vec<_> = period.jobs.keys().map(|key| (&*key.queue, &*key.name)).collect();
    assert_eq!(queues, [("default", "Mailer"), ("high", "Mailer"), ("low", "Mailer")]);
    let low = period.jobs.values().last().unwrap();
    assert_eq!((low.count, low.errors, low.total), (1, 0, 18 * MS));
    assert_eq!(low.latency.total, 1_500_000_000);
    assert_eq!(low.layers.keys().collect::<Vec<_>>(), ["SQL"]);
    assert_eq!(metric(&period, "Job/Mailer", "Queue", "all").count, 1);
    assert_eq!(metric(&period, "", "Errors", "Job/Mailer").count, 1);
    assert_eq!(period.slow_jobs.len(), 1);
}

#[test]
fn a_recorded_exception_marks_its_request_even_when_it_comes_first() {
    let mut feed = feed();
    feed.error(1, "KeyError", "x", &[]).span(&span(1, 1, 0, 0, 2 * SECOND, "Controller/a"));
    feed.span(&span(2, 1, 0, 0, 2 * SECOND, "Controller/a"));
    feed.error(3, "KeyError", "x", &[]).span(&span(3, 1, 0, 0, 2 * SECOND, "Job/a"));
    let period = feed.close();
    assert_eq!(metric(&period, "", "Errors", "Controller/a").count, 1);
    assert_eq!(period.jobs.values().next().unwrap().errors, 1);
    let scopes: Vec<_> = period.errors.problems().iter().map(|error| &*error.scope).collect();
    assert_eq!(scopes, ["Controller/a", "Job/a"]);
}

#[test]
fn renumbering_operations_in_the_middle_changes_nothing() {
    let config = EngineConfig { max_operations: 0, ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    // Open requests, late spans and a minute in the making, across several rebuilt tables.
    for n in 1..=40 {
        feed.spans(&show(n)[1..]);
        for i in 0..30 {
            feed.span(&span(n, 100 + i, 2, 0, MS, &format!("Custom/{n}.{i}")));
        }
        feed.span(&show(n)[0]).rounds();
        if n > 3 {
            feed.span(&span(n - 3, 99, 2, 0, MS, "View/late"));
        }
    }
    let period = feed.close();
    let stats = feed.engine.stats();
    assert!(stats.operations_rebuilt > 1, "{stats:?}");
    let scope = "Controller/users/show";
    assert_eq!(metric(&period, "", "Controller", "users/show").count, 40);
    assert_eq!(metric(&period, scope, "Custom", "all").count, 1200);
    assert_eq!(metric(&period, scope, "View", "all").count, 37);
    assert_eq!(period.queries.values().next().unwrap().calls.count, 80);
    assert_eq!(period.histograms.len(), 1);
}

#[test]
fn an_engine_moves_between_threads() {
    fn sendable<T: Send>() {}
    sendable::<crate::engine::Engine>();
    sendable::<crate::engine::Period>();
}

/// One statement under several names is one N+1, of one request.
#[test]
fn an_n_plus_one_does_not_ask_what_its_spans_are_called() {
    let mut feed = feed();
    feed.span(&span(1, 1, 0, 0, 2000 * MS, "Controller/c/a"));
    for n in 0..12 {
        let name =
            ["SQL/Query", "ActiveRecord/User/find", "ActiveRecord/User/load"][n as usize % 3];
        let query = span(1, 2 + n, 1, n * 100 * MS, (n * 100 + 60) * MS, name);
        feed.span(&query.tag("db.statement", &*format!("SELECT * FROM users WHERE id = {n}")));
    }
    let period = feed.close();
    let found: Vec<_> = period
        .n_plus_ones
        .values()
        .map(|found| (found.requests, found.count, found.total))
        .collect();
    assert_eq!(found, [(1, 12, 720 * MS)]);
}
