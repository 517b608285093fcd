use super::*;
use serde_json::{Value, json};

fn check_in(json: Value) -> CheckIn {
    serde_json::from_value(json).unwrap()
}

fn report(check_ins: &[Value]) -> Report {
    let mut merge = Merge::default();
    for json in check_ins {
        merge.add(check_in(json.clone()));
    }
    merge.finish(Files::default())
}

fn as_json(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

fn metric(bucket: &str, name: &str, count: u64, total: f64, scope: Option<&str>) -> Value {
    let scope = scope.map(|scope| scope.split_once('/').unwrap());
    json!({"call_count": count, "total_call_time": total, "total_exclusive_time": total / 2.0,
        "max_call_time": total, "key": {"bucket": bucket, "name": name,
        "scope": scope.map(|(bucket, name)| json!({"bucket": bucket, "name": name}))}})
}

fn minute(time: &str, pid: u32) -> Value {
    json!({
        "metadata": {"app_name": "Shop", "agent_time": time, "agent_pid": pid},
        "metrics": [
            metric("Controller", "home", 4, 0.5, None),
            metric("SQL", "all", 8, 0.25, Some("Controller/home")),
            metric("ObjectAllocations", "all", 4, 470.0, Some("Controller/home")),
            metric("QueueTime", "all", 4, 2.0, Some("Controller/home")),
            metric("Errors", "Controller/home", 1, 1.0, None),
            metric("Errors", "Request", 1, 1.0, None),
            metric("Job", "mail", 2, 3.0, None),
        ],
        "histograms": [{"name": "Controller/home", "histogram": [[0.125, 4]]}],
        "jobs": [{"queue": "q", "name": "mail", "count": 2, "errors": 1,
            "total_time": [[1.5, 2]], "exclusive_time": [[0.5, 2]], "metrics": [
                {"bucket": "Latency", "count": 2, "total_call_time": 0.5},
                {"bucket": "SQL", "count": 2, "total_exclusive_time": 2.0}]}],
    })
}

#[test]
fn minutes_and_processes_add_up() {
    let minutes = [minute("2026-11-22T06:57:00+00:00", 1), minute("2026-11-22T06:59:00+00:00", 2)];
    let report = report(&minutes);
    assert_eq!((report.apps.as_slice(), report.processes), (&["Shop".to_owned()][..], 2));
    assert_eq!(report.period.unwrap().minutes(), 3.0);
    let totals = &report.totals;
    assert_eq!(
        (totals.requests, totals.request_errors, totals.jobs, totals.job_errors),
        (8, 2, 4, 2)
    );
    let [home] = report.endpoints.as_slice() else { panic!("{:?}", report.endpoints) };
    assert_eq!(
        (home.name.as_str(), home.errors, home.queue_seconds),
        ("Controller/home", 2, Some(0.5))
    );
    assert_eq!((home.calls.mean(), home.calls.p95()), (Some(0.125), Some(0.125)));
    let layers: Vec<_> =
        home.layers.iter().map(|layer| (layer.kind.as_str(), layer.seconds)).collect();
    assert_eq!(layers, [("Controller", 0.5), ("SQL", 0.25)]);
    let [mail] = report.jobs.as_slice() else { panic!("{:?}", report.jobs) };
    assert_eq!((mail.latency_seconds, mail.errors, mail.calls.seconds), (Some(0.25), 2, 6.0));
    let layers: Vec<_> =
        mail.layers.iter().map(|layer| (layer.kind.as_str(), layer.seconds)).collect();
    assert_eq!(layers, [("SQL", 4.0), ("Job", 2.0)]);
}

#[test]
fn the_order_of_files_changes_nothing() {
    let mut files: Vec<Value> =
        (0..4).map(|n| minute(&format!("2026-11-22T06:5{n}:00+00:00"), n)).collect();
    let forth = as_json(&report(&files));
    files.reverse();
    assert_eq!(forth, as_json(&report(&files)));
}

#[test]
fn one_job_in_two_queues_is_two_rows_from_their_histograms() {
    let job =
        |queue: &str| json!({"queue": queue, "name": "mail", "count": 1, "total_time": [[0.5, 1]]});
    let report = report(&[json!({"metrics": [metric("Job", "mail", 2, 9.0, None)],
        "jobs": [job("a"), job("b")]})]);
    let rows: Vec<_> =
        report.jobs.iter().map(|job| (job.queue.as_str(), job.calls.seconds)).collect();
    assert_eq!(rows, [("a", 0.5), ("b", 0.5)]);
}

#[test]
fn a_job_without_a_queue_is_known_by_its_metric() {
    let report = report(&[json!({"metrics": [metric("Job", "mail", 2, 9.0, None)]})]);
    assert_eq!((report.jobs.len(), report.totals.jobs), (1, 2));
}

/// A trace with that many queries of 100 ms, of one agent that marks nothing itself.
fn trace(endpoint: &str, queries: u32) -> Value {
    let at = |tenths: u32| format!("2026-11-22T06:57:{:02}.{}+00:00", tenths / 10, tenths % 10);
    let span = |id: u32, parent: &str, operation: &str, from: u32, to: u32| {
        json!({"identity": {"id": id.to_string(), "parent_id": parent, "operation": operation,
            "start_instant": at(from), "stop_instant": at(to)}, "tags": {"desc":
            if parent.is_empty() { "" } else { "SELECT 1" }}})
    };
    let mut spans = vec![span(0, "", &format!("Controller/{endpoint}"), 0, 10 + queries % 5)];
    spans.extend((1..=queries).map(|n| span(n, "0", "ActiveRecord/User/find", n, n + 1)));
    json!({"identity": {"type": "Web"}, "spans": spans})
}

fn endpoints_of_traces(traces: &[Value]) -> Vec<String> {
    let report = report(&[json!({"span_traces": traces})]);
    report.traces.into_iter().map(|trace| trace.endpoint).collect()
}

#[test]
fn the_slowest_trace_and_the_slowest_n_plus_one_are_kept() {
    let (fast_n, slow_n, plain) = (trace("fast_n", 5), trace("slow_n", 8), trace("plain", 4));
    let expected = ["Controller/plain", "Controller/slow_n"];
    assert_eq!(endpoints_of_traces(&[fast_n.clone(), slow_n.clone(), plain.clone()]), expected);
    assert_eq!(endpoints_of_traces(&[plain, slow_n.clone(), fast_n.clone()]), expected);
    assert_eq!(endpoints_of_traces(&[trace("quick", 0), slow_n, fast_n]), ["Controller/slow_n"]);
}

#[test]
fn n_plus_ones_are_derived_from_traces_only_where_no_list_is_given() {
    let derived = report(&[json!({"span_traces": [trace("a", 5), trace("a", 7)]})]);
    let [repeat] = derived.n_plus_one.as_slice() else { panic!("{:?}", derived.n_plus_one) };
    assert_eq!((repeat.statement.as_str(), repeat.calls, repeat.requests), ("SELECT 1", 12, 2));
    let given = report(&[json!({"span_traces": [trace("a", 5)], "n_plus_one": []})]);
    assert_eq!(given.n_plus_one.len(), 0);
}

#[test]
fn statements_come_from_the_sql_list_or_from_traces() {
    let query = json!({"query": [{"model_name": "User", "operation": "find", "call_count": 3,
        "scope": "Controller/a", "call_time": 0.75, "max_call_time": 0.5, "histogram": [[0.25, 3]]}]});
    let derived = report(&[json!({"db_metrics": query, "span_traces": [trace("a", 1)]})]);
    let [user] = derived.sql.as_slice() else { panic!("{:?}", derived.sql) };
    assert_eq!((user.operation.as_str(), user.statement.as_str()), ("User/find", "SELECT 1"));
    assert_eq!(
        (user.calls.mean(), user.scopes.as_slice()),
        (Some(0.25), &["Controller/a".to_owned()][..])
    );
    let given = report(&[json!({"db_metrics": query, "sql": [{"statement": "SELECT 2",
        "operation": "SQL/User/select", "call_count": 1}]})]);
    assert_eq!((given.sql.len(), given.sql[0].statement.as_str()), (1, "SELECT 2"));
}

#[test]
fn traces_without_spans_are_shown_by_their_metrics() {
    let slow = json!({"key": {"bucket": "Controller", "name": "a"}, "total_call_time": 2.0,
        "metrics": [metric("Controller", "a", 1, 2.0, None), metric("SQL", "all", 1, 1.0, None),
            metric("Ecto", "select#users", 9, 1.0, Some("Controller/a"))]});
    let report = report(&[json!({"slow_transactions": [slow]})]);
    let [trace] = report.traces.as_slice() else { panic!("{:?}", report.traces) };
    let step = &trace.steps[0].steps[0];
    assert_eq!(
        (step.operation.as_str(), step.calls, step.n_plus_one),
        ("Ecto/select#users", 9, true)
    );
    assert_eq!(trace.steps[0].steps.len(), 1);
}

#[test]
fn equal_problems_are_counted_together() {
    let mut merge = Merge::default();
    let problem = |count: Value| {
        json!({"exception_class": "E", "message": "m", "count": count,
        "request_components": {"controller": "a", "action": "b"}})
    };
    let body = json!({"problems": [problem(Value::Null), problem(json!(3)), problem(Value::Null),
        {"exception_class": "F", "request_uri": "/x"}]});
    merge.add_errors(serde_json::from_value(body).unwrap());
    let errors = merge.finish(Files::default()).errors;
    let rows: Vec<_> =
        errors.iter().map(|e| (e.class.as_str(), e.place.as_str(), e.count)).collect();
    assert_eq!(rows, [("E", "a/b", 5), ("F", "/x", 1)]);
}
