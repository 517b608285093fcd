//! The engine beside the model, and the laws of merging, over random request forests.
use super::model::{Figures, RequestFacts, STATEMENTS};
use super::support::*;
use crate::engine::{Engine, MetricKey, Period};
use crate::model::Minute;
use proptest::prelude::*;

const OPERATIONS: [&str; 12] = [
    "Controller/a",
    "Controller/b",
    "Job/j",
    "SQL/Query",
    "SQL/Query",
    "SQL/Query",
    "HTTP/GET",
    "View/x",
    "Custom/y",
    "Middleware",
    "Redis/GET",
    "Custom/z",
];
const HOSTS: [&str; 3] = ["a.example.com", "b.example.com", "c"];

/// A span of a forest that may be anything: ids meet, parents are missing or in rings.
fn any_span(max_id: u64) -> impl Strategy<Value = (Made, bool)> {
    (
        (1..=max_id, 0..=max_id + 1),
        (0..1000_u64, 0..400_u64),
        (0..OPERATIONS.len(), 0..STATEMENTS.len(), 0..HOSTS.len(), 0..4_u64),
        prop::bool::weighted(0.2),
    )
        .prop_map(|((id, parent), (start, length), (op, statement, host, rows), late)| {
            let op = OPERATIONS[op];
            let mut made = span(0, id, parent, start * MS, (start + length) * MS, op);
            if op == "SQL/Query" {
                made = made.tag("db.statement", STATEMENTS[statement].0);
                if rows > 0 {
                    made = made.tag("db.rows_returned", &*rows.to_string());
                }
            }
            if op == "HTTP/GET" && rows > 0 {
                made = made.tag("url", &*format!("https://{}/x?y=1", HOSTS[host]));
            }
            (made, late)
        })
}

#[derive(Clone, Debug)]
struct Input {
    trace: u64,
    spans: Vec<(Made, bool)>,
    facts: RequestFacts,
}

impl Input {
    fn part(&self, late: bool) -> Vec<Made> {
        let wanted = self.spans.iter().filter(|(_, is_late)| *is_late == late);
        wanted.map(|(made, _)| made.clone()).collect()
    }

    /// Spans in time and late ones: without a root in time there is no late.
    fn parts(&self) -> (Vec<Made>, Vec<Made>) {
        let (mut own, late) = (self.part(false), self.part(true));
        if own.iter().any(|made| made.parent == 0) {
            return (own, late);
        }
        own.extend(late);
        (own, Vec::new())
    }
}

/// A few requests: wild ones, and ones with an N+1 in them.
fn any_requests() -> impl Strategy<Value = Vec<Input>> {
    let wild = prop::collection::vec(any_span(8), 1..16);
    let repeating = prop::collection::vec(any_span(40), 6..14).prop_map(|mut spans| {
        spans[0] = (span(0, 1, 0, 0, 1000 * MS, "Controller/a"), false);
        for (made, _) in &mut spans[1..] {
            if made.op == "SQL/Query" {
                made.tags[0] = ("db.statement".to_owned(), STATEMENTS[0].0.into());
            }
        }
        spans
    });
    let one = (
        prop_oneof![3 => wild, 1 => repeating],
        prop::bool::weighted(0.2),
        prop::option::weighted(0.2, prop::sample::select(vec!["Controller/c", "Job/k"])),
        // Over several minutes: each is a period of its own.
        0..3_u64,
    );
    prop::collection::vec(one, 1..8).prop_map(|requests| {
        let mut n = 0;
        requests
            .into_iter()
            .map(|(mut spans, error, rename, minute)| {
                n += 1;
                for (made, _) in &mut spans {
                    made.trace = n;
                    made.start += minute * 60 * SECOND;
                    made.end += minute * 60 * SECOND;
                }
                let facts = RequestFacts { error, rename: rename.map(str::to_owned) };
                Input { trace: n, spans, facts }
            })
            .collect()
    })
}

fn feed_all(feed: &mut Feed, requests: &[Input]) {
    for late in [false, true] {
        for input in requests {
            feed.spans(&input.part(late));
            if !late {
                if input.facts.error {
                    feed.request_tag(input.trace, "error", "true");
                }
                if let Some(name) = &input.facts.rename {
                    feed.request_tag(input.trace, "transaction.name", name.as_str());
                }
            }
        }
        feed.rounds();
    }
}

fn figures(period: &Period) -> Figures {
    let mut figures =
        Figures { requests: period.requests(), spans: period.spans(), ..Figures::default() };
    for (MetricKey { scope, bucket, name }, calls) in &period.metrics {
        let sums = (calls.count, calls.total, calls.exclusive, calls.min, calls.max);
        figures.metrics.insert((scope.clone(), bucket.clone(), name.clone()), sums);
    }
    for (name, histogram) in &period.histograms {
        figures.histograms.insert(name.clone(), histogram.count());
    }
    for (key, query) in &period.queries {
        let key = (key.scope.clone(), key.model.clone(), key.operation.clone());
        if key.1 == "SQL" {
            continue;
        }
        let sums = (query.transactions, query.calls.count, query.calls.total, query.rows.total);
        assert_eq!(query.histogram.count(), query.calls.count);
        figures.queries.insert(key, sums);
    }
    for (key, host) in &period.hosts {
        let sums = (host.transactions, host.calls.count, host.calls.total);
        figures.hosts.insert((key.scope.clone(), key.host.clone()), sums);
    }
    for (key, job) in &period.jobs {
        let sums = (job.count, job.errors, job.total);
        figures.jobs.insert((key.queue.clone(), key.name.clone()), sums);
    }
    for (key, found) in &period.n_plus_ones {
        let known = STATEMENTS.iter().find(|known| {
            found.statement.contains(&known.1.to_lowercase())
                && found.statement.to_lowercase().starts_with(known.2)
        });
        let known = known.unwrap_or_else(|| panic!("{}", found.statement));
        let sums = (found.requests, found.count, found.total);
        figures.n_plus_ones.insert((key.scope.clone(), format!("{}/{}", known.1, known.2)), sums);
    }
    figures
}

/// Nothing disappears: each span is counted, or its cause is.
fn check_conservation(engine: &Engine) {
    let stats = engine.stats();
    let accounted = stats.spans_counted
        + stats.spans_without_scope
        + stats.spans_ignored
        + stats.spans_sampled_out
        + stats.open_spans;
    assert_eq!(stats.spans, accounted, "{stats:?}");
}

fn merged(mut periods: Vec<Period>) -> Option<Period> {
    let mut whole = periods.pop()?;
    periods.into_iter().for_each(|period| whole.merge(period));
    Some(whole)
}

fn without_traces(mut period: Period) -> Period {
    // Which traces are taken depends on the scores, and these on what each process saw before.
    let none = Period::new(Minute(0), 10, 100);
    period.slow_requests = none.slow_requests;
    period.slow_jobs = none.slow_jobs;
    period
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_model(requests in any_requests()) {
        let mut feed = feed();
        feed_all(&mut feed, &requests);
        let period = merged(feed.engine.close_all(feed.now));
        check_conservation(&feed.engine);
        let mut model = Figures::default();
        for input in &requests {
            let (own, late) = input.parts();
            model.request(&own, &late, &input.facts);
        }
        let found = period.as_ref().map(figures).unwrap_or_default();
        prop_assert_eq!(found, model);
    }

    #[test]
    fn any_split_merged_in_any_order_is_the_whole(
        requests in any_requests(),
        assignment in prop::collection::vec(0..3_usize, 8),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
        flush_after in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut whole = feed();
        feed_all(&mut whole, &requests);
        let whole = merged(whole.engine.close_all(whole.now));
        // Three processes, that flush now and then.
        let mut feeds = [feed(), feed(), feed()];
        let mut parts: Vec<Vec<Period>> = vec![Vec::new(); 3];
        for (at, input) in requests.iter().enumerate() {
            let process = assignment[at];
            feed_all(&mut feeds[process], std::slice::from_ref(input));
            if flush_after[at] {
                let now = feeds[process].now;
                parts[process].extend(feeds[process].engine.take_all(now));
            }
        }
        for (feed, parts) in feeds.iter_mut().zip(&mut parts) {
            parts.extend(feed.engine.close_all(feed.now));
        }
        let mut ordered: Vec<Period> =
            order.iter().flat_map(|process| parts[*process].clone()).collect();
        let left = merged(ordered.clone());
        // Associative: a tree of merges; commutative: from the other end.
        ordered.reverse();
        let half = ordered.split_off(ordered.len() / 2);
        let mut right = merged(half);
        if let Some(other) = merged(ordered) {
            match &mut right {
                Some(right) => right.merge(other),
                None => right = Some(other),
            }
        }
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(left.map(without_traces), whole.map(without_traces));
    }

    #[test]
    fn a_period_survives_its_storage(requests in any_requests()) {
        let mut feed = feed();
        feed.event("scout.metadata", r#"{"language":"python","x":[1,2.5,null]}"#);
        feed.error(1, "E", "m", &[("a", 1.into())]).gauge("CPU/Utilization", 0.1);
        feed_all(&mut feed, &requests);
        let period = merged(feed.engine.close_all(feed.now)).unwrap();
        let stored = serde_json::to_vec(&period).unwrap();
        let again: Period = serde_json::from_slice(&stored).unwrap();
        prop_assert_eq!(again, period);
    }
}
