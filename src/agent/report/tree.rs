//! One trace: spans to a tree of steps, repeated siblings collapsed.
//!
//! Spans come from outside: ids may repeat, parents may be missing or form a circle, and the
//! nesting may be absurd. Each span is used at most once, to a bounded depth.

use super::instant;
use super::model::{Step, Trace};
use super::payload::{SlowTransaction, Span, SpanTrace};
use crate::model::UnixNanos;
use std::collections::HashMap;

/// Deeper steps are left out: nobody reads them, and the tree is walked by recursion.
const MAX_DEPTH: usize = 48;

/// A repeated query is an N+1 from this many executions on that together take this long.
const N_PLUS_ONE_CALLS: u64 = 5;
const N_PLUS_ONE_SECONDS: f64 = 0.150;

/// Layer types whose repetition is an N+1: those that talk to a database.
const DATABASE: [&str; 5] = ["SQL", "ActiveRecord", "Ecto", "MongoDB", "Elasticsearch"];

/// Request tags that say nothing about this request to a reader.
const DULL_TAGS: [&str; 5] =
    ["allocations", "mem_delta", "transaction_id", "scout.reached_span_cap", "path"];

/// The trace as a tree.
pub fn trace(from: SpanTrace) -> Trace {
    let SpanTrace { identity, tags, spans } = from;
    let endpoint = spans
        .iter()
        .map(|span| span.identity.operation.as_str())
        .find(|operation| operation.starts_with("Controller/") || operation.starts_with("Job/"))
        .unwrap_or("Unknown")
        .to_owned();
    let total = spans.len();
    let timed: Vec<TimedSpan> = spans.into_iter().map(TimedSpan::from).collect();
    let first = timed.iter().map(|span| span.start).filter(|start| start.0 > 0).min();
    let last = timed.iter().map(|span| span.end).max();
    let start_ns = instant::parse(&identity.start_instant).or(first);
    let end_ns = instant::parse(&identity.stop_instant).or(last);
    let start = start_ns.unwrap_or_default();
    let mut tree = Tree { spans: timed, children: HashMap::new(), start, used: 0 };
    let roots = tree.link();
    let steps = tree.steps(roots, 0);
    let context = tags
        .into_iter()
        .filter(|(key, _)| !DULL_TAGS.contains(&key.as_str()))
        .map(|(key, value)| (key, super::lenient::value_text(value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    Trace {
        endpoint,
        uri: identity.naming.path,
        host: identity.host,
        start_ns,
        seconds: end_ns.unwrap_or(start).since(start).as_seconds(),
        context,
        has_n_plus_one: any_n_plus_one(&steps),
        steps,
        left_out: total.saturating_sub(tree.used),
    }
}

/// The flat trace of agents that send no spans: its metrics, the longest first.
pub fn flat_trace(from: SlowTransaction) -> Trace {
    let SlowTransaction { key, time, total_call_time, uri, hostname, metrics } = from;
    let endpoint = format!("{}/{}", key.bucket, key.name);
    let mut steps: Vec<Step> = metrics
        .into_iter()
        .filter(|metric| metric.key.name != "all")
        .map(|metric| step_of_metric(&metric.key.bucket, &metric.key.name, &metric))
        .filter(|step| step.operation != endpoint)
        .collect();
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let has_n_plus_one = any_n_plus_one(&steps);
    let root = Step {
        operation: endpoint.clone(),
        description: String::new(),
        calls: 1,
        seconds: total_call_time,
        n_plus_one: false,
        caller: String::new(),
        intervals: vec![(0.0, total_call_time)],
        steps,
    };
    Trace {
        endpoint,
        uri,
        host: hostname,
        start_ns: instant::parse(&time),
        seconds: total_call_time,
        context: Vec::new(),
        has_n_plus_one,
        steps: vec![root],
        left_out: 0,
    }
}

fn step_of_metric(bucket: &str, name: &str, metric: &super::payload::Metric) -> Step {
    let (calls, seconds) = (metric.call_count, metric.total_call_time);
    Step {
        operation: format!("{bucket}/{name}"),
        description: metric.key.desc.clone(),
        calls,
        seconds,
        n_plus_one: is_n_plus_one(bucket, calls, seconds),
        caller: String::new(),
        intervals: Vec::new(),
        steps: Vec::new(),
    }
}

fn is_n_plus_one(kind: &str, calls: u64, seconds: f64) -> bool {
    DATABASE.contains(&kind) && calls >= N_PLUS_ONE_CALLS && seconds >= N_PLUS_ONE_SECONDS
}

fn any_n_plus_one(steps: &[Step]) -> bool {
    steps.iter().any(|step| step.n_plus_one || any_n_plus_one(&step.steps))
}

/// The innermost frame of a span's backtrace, as `file:line in function`.
fn caller(span: &Span) -> String {
    let Some(frame) = span.tags.backtrace.first() else { return String::new() };
    let mut text = frame.file.clone();
    if !frame.line.is_empty() {
        text = format!("{text}:{}", frame.line);
    }
    if !frame.function.is_empty() {
        text = format!("{text} in {}", frame.function);
    }
    text
}

struct TimedSpan {
    id: String,
    parent: String,
    operation: String,
    description: String,
    n_plus_one: bool,
    caller: String,
    start: UnixNanos,
    end: UnixNanos,
}

impl From<Span> for TimedSpan {
    fn from(span: Span) -> Self {
        let caller = caller(&span);
        let Span { identity, tags } = span;
        let start = instant::parse(&identity.start_instant).unwrap_or_default();
        Self {
            id: identity.id,
            parent: identity.parent_id,
            operation: identity.operation,
            description: if tags.desc.is_empty() { tags.name } else { tags.desc },
            n_plus_one: tags.n_plus_one.is_some_and(|tag| !tag.is_null() && tag != false),
            caller,
            start,
            end: instant::parse(&identity.stop_instant).unwrap_or(start),
        }
    }
}

struct Tree {
    spans: Vec<TimedSpan>,
    /// By parent id, in the order of their start. Taken out when used, so that nothing repeats.
    children: HashMap<String, Vec<usize>>,
    start: UnixNanos,
    used: usize,
}

impl Tree {
    /// Fills `children`; what has no known parent is a root.
    fn link(&mut self) -> Vec<usize> {
        let known: std::collections::HashSet<&str> =
            self.spans.iter().map(|span| span.id.as_str()).collect();
        let mut order: Vec<usize> = (0..self.spans.len()).collect();
        order.sort_by_key(|&index| self.spans.get(index).map(|span| span.start));
        let mut roots = Vec::new();
        for index in order {
            let Some(span) = self.spans.get(index) else { continue };
            if span.parent.is_empty() || !known.contains(span.parent.as_str()) {
                roots.push(index);
            } else {
                self.children.entry(span.parent.clone()).or_default().push(index);
            }
        }
        roots
    }

    /// Siblings with the same operation and description become one step, at the first one's place;
    /// their children are siblings again.
    fn steps(&mut self, siblings: Vec<usize>, depth: usize) -> Vec<Step> {
        if depth == MAX_DEPTH {
            return Vec::new();
        }
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut group_of: HashMap<(String, String), usize> = HashMap::new();
        for index in siblings {
            let Some(span) = self.spans.get(index) else { continue };
            let key = (span.operation.clone(), span.description.clone());
            let group = *group_of.entry(key).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(members) => members.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups.into_iter().map(|members| self.step(&members, depth)).collect()
    }

    fn step(&mut self, members: &[usize], depth: usize) -> Step {
        self.used += members.len();
        let mut children = Vec::new();
        let mut intervals = Vec::with_capacity(members.len());
        let (mut operation, mut description) = (String::new(), String::new());
        let mut caller = String::new();
        let (mut seconds, mut tagged) = (0.0, false);
        for &index in members {
            let Some(span) = self.spans.get(index) else { continue };
            if operation.is_empty() {
                operation.clone_from(&span.operation);
                description.clone_from(&span.description);
            }
            if caller.is_empty() {
                caller.clone_from(&span.caller);
            }
            seconds += span.end.since(span.start).as_seconds();
            tagged |= span.n_plus_one;
            let from_start = |at: UnixNanos| at.since(self.start).as_seconds();
            intervals.push((from_start(span.start), from_start(span.end.max(span.start))));
            children.extend(self.children.remove(&span.id).unwrap_or_default());
        }
        let kind = operation.split('/').next().unwrap_or_default();
        let calls = members.len() as u64;
        let n_plus_one = tagged || is_n_plus_one(kind, calls, seconds);
        let steps = self.steps(children, depth + 1);
        Step { operation, description, calls, seconds, n_plus_one, caller, intervals, steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Spans as (id, parent, operation, description, start ms, end ms).
    fn of(spans: &[(&str, &str, &str, &str, u32, u32)]) -> Trace {
        let at = |ms: &u32| format!("2026-11-22T06:57:52.{ms:03}+00:00");
        let spans: Vec<_> = spans
            .iter()
            .map(|(id, parent, operation, desc, start, end)| {
                json!({"identity": {"id": id, "parent_id": parent, "operation": operation,
                    "start_instant": at(start), "stop_instant": at(end)}, "tags": {"desc": desc}})
            })
            .collect();
        trace(
            serde_json::from_value(json!({"spans": spans, "tags": {"plan": "pro", "path": "/"}}))
                .unwrap(),
        )
    }

    fn shape(steps: &[Step]) -> String {
        let mut text = String::new();
        for step in steps {
            text.push_str(&format!("{}*{}", step.operation, step.calls));
            if step.n_plus_one {
                text.push('!');
            }
            if !step.steps.is_empty() {
                text.push_str(&format!("({})", shape(&step.steps)));
            }
            text.push(' ');
        }
        text.trim_end().to_owned()
    }

    #[test]
    fn repeated_siblings_are_one_step_and_so_are_their_children() {
        let trace = of(&[
            ("r", "", "Controller/o", "", 0, 400),
            ("a", "r", "SQL/O/select", "SELECT o", 1, 20),
            ("b", "r", "View/row", "", 20, 120),
            ("c", "r", "View/row", "", 120, 220),
            ("d", "b", "SQL/U/select", "SELECT u", 30, 40),
            ("e", "c", "SQL/U/select", "SELECT u", 130, 140),
            ("f", "c", "SQL/U/select", "SELECT other", 140, 150),
        ]);
        assert_eq!(
            shape(&trace.steps),
            "Controller/o*1(SQL/O/select*1 View/row*2(SQL/U/select*2 SQL/U/select*1))"
        );
        assert_eq!(
            (trace.endpoint.as_str(), trace.seconds, trace.left_out),
            ("Controller/o", 0.4, 0)
        );
        assert_eq!(trace.context, [("plan".to_owned(), "pro".to_owned())]);
        assert!(!trace.has_n_plus_one);
    }

    #[test]
    fn a_repeated_query_is_an_n_plus_one_from_5_calls_and_150_ms() {
        let queries = |count: u32, ms: u32| {
            let ids: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            let mut spans = vec![("r", "", "Controller/o", "", 0, 900)];
            for (n, id) in ids.iter().enumerate() {
                let start = n as u32 * ms;
                spans.push((id, "r", "SQL/U/select", "SELECT u", start, start + ms));
            }
            of(&spans).has_n_plus_one
        };
        assert!(queries(5, 30));
        assert!(!queries(4, 100));
        assert!(!queries(5, 29));
    }

    #[test]
    fn circles_duplicates_and_orphans_do_no_harm() {
        let trace = of(&[
            ("r", "", "Controller/o", "", 0, 10),
            ("r", "gone", "Custom/orphan", "", 1, 2),
            ("k", "r", "Custom/kid", "", 1, 2),
            ("x", "y", "Custom/circle", "", 1, 2),
            ("y", "x", "Custom/circle", "", 1, 2),
            ("s", "s", "Custom/self", "", 1, 2),
        ]);
        assert_eq!(shape(&trace.steps), "Controller/o*1(Custom/kid*1) Custom/orphan*1");
        assert_eq!(trace.left_out, 3);
    }

    #[test]
    fn absurd_nesting_is_cut_and_counted() {
        let ids: Vec<String> = (0..5000).map(|n| format!("s{n}")).collect();
        let mut spans = vec![(ids[0].as_str(), "", "Job/deep", "", 0, 999)];
        for pair in ids.windows(2) {
            spans.push((&pair[1], &pair[0], "Custom/x", "", 0, 999));
        }
        assert_eq!(of(&spans).left_out, 5000 - MAX_DEPTH);
    }

    #[test]
    fn nothing_usable_is_still_a_trace() {
        let trace = trace(SpanTrace::default());
        assert_eq!(
            (trace.endpoint.as_str(), trace.seconds, trace.steps.len()),
            ("Unknown", 0.0, 0)
        );
    }
}
