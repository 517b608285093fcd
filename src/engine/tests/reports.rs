//! Errors, gauges, metadata, filters: what else gets into a minute.
use super::support::*;
use crate::engine::{EngineConfig, UriReporting};
use crate::payload::{Metadata, checkin, errors, server_load};
use serde_json::{Value, json};

fn golden_error() -> Option<Value> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/scout/ruby_error_request.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("SKIPPED: no golden error request at {path}");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn metadata() -> Metadata {
    Metadata {
        app_root: "/srv/app".into(),
        platform: Some("ruby".into()),
        environment: Some("development".into()),
        ..Metadata::default()
    }
}

#[test]
fn an_error_as_the_ruby_agent_reports_it() {
    let Some(golden) = golden_error() else { return };
    let config = EngineConfig { git_sha: Some("deadbeef".into()), ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    let message = format!("bad {}", "z".repeat(300));
    feed.error(
        1,
        "ArgumentError",
        &message,
        &[
            ("request_uri", "https://h/x".into()),
            (
                "request_params",
                r#"{"password":"hunter2","q":{"a":1},"controller":"c","action":"a"}"#.into(),
            ),
            ("environment", r#"{"REQUEST_METHOD":"GET","HTTP_USER_AGENT":"ua"}"#.into()),
            ("request_components", r#"{"controller":"c","action":"a","module":null}"#.into()),
            ("account", 7.into()),
        ],
    );
    feed.span(&span(1, 1, 0, 0, MS, "Controller/c/a"));
    let period = feed.close();
    let ours: Value = serde_json::from_slice(&errors(&period, &metadata()).unwrap()).unwrap();
    let (mut wanted, mut found) = (golden["body"].clone(), ours);
    for body in [&mut wanted, &mut found] {
        let problem = body["problems"][0].as_object_mut().unwrap();
        problem.remove("agent_time");
        problem["context"].as_object_mut().unwrap().remove("transaction_id").unwrap();
        // Deviations: keys that other agents send; quotes around functions.
        for key in ["request_id", "host", "revision_sha"] {
            problem.remove(key);
        }
        let trace = problem["trace"].to_string().replace(['`', '\''], "");
        problem.insert("trace".into(), trace.into());
    }
    assert_eq!(found, wanted);
}

#[test]
fn an_error_knows_its_request() {
    let mut feed = feed();
    feed.error(1, "E", "m", &[("password", "x".into())]);
    feed.span(&span(1, 1, 0, 0, MS, "Controller/users/show"));
    feed.request_tag(1, "path", "/u?token=1").request_tag(1, "plan", "free");
    feed.request_tag(1, "user_id", 3);
    feed.error(0, "Alone", "no request", &[]);
    let period = feed.close();
    let body: Value = serde_json::from_slice(&errors(&period, &metadata()).unwrap()).unwrap();
    let problem = body["problems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|problem| problem["exception_class"] == "E")
        .unwrap();
    assert_eq!(problem["request_uri"], "/u?token=%5BFILTERED%5D");
    assert_eq!(
        problem["request_components"],
        json!({"controller": "users", "action": "show", "module": null})
    );
    let context = &problem["context"];
    assert_eq!((&context["plan"], &context["user_id"]), (&json!("free"), &json!(3)));
    assert_eq!(context["password"], "[FILTERED]");
    assert_eq!((period.counts.errors, body["problems"].as_array().unwrap().len()), (2, 2));
}

#[test]
fn errors_are_ignored_and_limited() {
    let config = EngineConfig { max_errors: 3, ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    feed.error(0, "ActionController::RoutingError", "m", &[]);
    (0..10).for_each(|n| {
        feed.error(0, "E", &format!("message {n}"), &[]);
    });
    let period = feed.close();
    assert_eq!((period.errors.problems().len(), period.errors.omitted), (3, 7));
    assert_eq!(period.counts.errors, 10);
    let stats = feed.engine.stats();
    assert_eq!((stats.errors_ignored, stats.errors_over_limit, stats.errors), (1, 7, 11));
    let mut merged = period.clone();
    merged.merge(period);
    assert_eq!((merged.errors.problems().len(), merged.errors.omitted), (3, 17));
    assert!(errors(&crate::engine::Period::new(merged.minute, 1, 1), &metadata()).is_none());
}

#[test]
fn gauges() {
    let mut feed = feed();
    feed.gauge("CPU/Utilization", 1.5).gauge("CPU/Utilization", 0.5).gauge("Queue/depth", 7.0);
    feed.gauge("CPU/Utilization", f64::NAN).gauge("X/y", -3.0);
    feed.gauge("Errors/rate", 0.5).gauge("Memory/bytes", 64e9).gauge("Memory/bytes", 64e9);
    feed.gauge("Memory/more", 1e30).event("Memory/Physical", "30.25");
    let period = feed.close();
    let cpu = period.gauges["CPU/Utilization"];
    assert_eq!((cpu.count, cpu.total, cpu.min), (2, 2_000_000_000, 500_000_000));
    assert_eq!(period.gauges["Queue/depth"].total, 7_000_000_000);
    assert_eq!(period.gauges["X/y"].total, 0);
    assert_eq!(period.gauges["Memory/Physical"].total, 30_250_000_000);
    let stats = feed.engine.stats();
    assert_eq!((stats.gauges_invalid, stats.gauges_clamped), (1, 2));
    // Whatever it is called, and however great it is.
    assert_eq!(period.gauges["Errors/rate"].total, 500_000_000);
    let json: serde_json::Value = serde_json::from_slice(&checkin(&period, &metadata())).unwrap();
    let shown = |bucket: &str, name: &str| {
        let of = |metric: &&serde_json::Value| {
            metric["key"]["bucket"] == bucket && metric["key"]["name"] == name
        };
        json["metrics"].as_array().unwrap().iter().find(of).unwrap().clone()
    };
    assert_eq!(shown("Errors", "rate")["total_call_time"], 0.5);
    assert_eq!(shown("Memory", "bytes")["max_call_time"], 64e9);
    assert_eq!(shown("Memory", "bytes")["total_exclusive_time"], 128e9);
}

#[test]
fn the_application_says_what_the_configuration_does_not() {
    let config = EngineConfig { hostname: Some("configured".into()), ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    feed.event(
        "scout.metadata",
        r#"{"language":"python","hostname":"said","git_sha":"abc","application_root":"/srv"}"#,
    );
    feed.event("scout.metadata", "nonsense").event("unknown", "{}");
    let stack = r#"[{"file":"/usr/lib/x.py","line":1,"function":"f"},
        {"file":"/srv/app/v.py","line":12,"function":"list"}]"#;
    feed.span(&span(1, 1, 0, 0, 10 * MS, "Controller/a"));
    feed.span(
        &span(1, 2, 1, 0, MS, "Custom/x").tag("stack", stack).tag("api_key", "s").tag("n", 1),
    );
    let period = feed.close();
    let trace = &period.slow_requests.iter().next().unwrap().item;
    assert_eq!((&*trace.hostname, &*trace.git_sha), ("configured", "abc"));
    let json: Value = serde_json::from_slice(&checkin(&period, &Metadata::default())).unwrap();
    assert_eq!(json["metadata"]["platform"], "python");
    assert_eq!(json["metadata"]["app_root"], "/srv");
    let tags = &json["span_traces"][0]["spans"][1]["tags"];
    let frame = json!({"file": "app/v.py", "line": "12", "function": "list"});
    assert_eq!(tags["backtrace"], json!([frame]));
    assert_eq!((&tags["api_key"], &tags["n"]), (&json!("[FILTERED]"), &json!(1)));
    assert_eq!(feed.engine.stats().events_invalid, 2);
}

#[test]
fn no_data_of_database_spans_gets_out() {
    let mut feed = feed();
    feed.span(&span(1, 1, 0, 0, 10 * MS, "Controller/a"));
    let secret = "hunter2";
    let made = span(1, 2, 1, 0, MS, "SQL/Query")
        .tag("db.statement", &*format!("SELECT * FROM t WHERE a = '{secret}' AND b = 12345"))
        .tag("db.params", secret)
        .tag("note", secret)
        .tag("desc", secret)
        .tag("db.operation", &*format!("SELECT '{secret}'"))
        .tag("db.model", &*format!("it is {secret}"));
    feed.span(&made);
    let mut without = made.clone();
    without.tags.remove(0);
    (without.id, without.op) = (3, "SQL/Many".into());
    feed.span(&without);
    feed.span(&span(1, 4, 1, 0, MS, "Redis/SET").tag("command", secret).tag("args", secret));
    let url = format!("https://u:{secret}@h.example.com/p?token={secret}");
    let made = span(1, 5, 1, 0, MS, "HTTP/GET").tag("url", &*url).tag("http.url", &*url);
    feed.span(&made);
    let period = feed.close();
    let stored = serde_json::to_string(&period).unwrap();
    let sent = String::from_utf8(checkin(&period, &Metadata::default())).unwrap();
    for text in [stored, sent] {
        assert!(!text.contains(secret) && !text.contains("12345"), "{text}");
    }
}

#[test]
fn what_is_sampled_out_or_ignored_is_counted() {
    let config = EngineConfig {
        sample_endpoints: vec![("/none".into(), 0.0)],
        ignore_endpoints: vec!["/health".into()],
        ignore_jobs: vec!["Noise".into()],
        uri_reporting: UriReporting::Path,
        ..EngineConfig::default()
    };
    let mut feed = Feed::new(config);
    for (n, path) in [(1, "/none/x"), (2, "/healthz"), (3, "/kept?a=b")] {
        feed.span(&span(n, 1, 0, 0, MS, "Controller/a")).request_tag(n, "path", path);
    }
    feed.span(&span(4, 1, 0, 0, MS, "Job/Noise")).rounds();
    // Late spans share their request's fate.
    feed.span(&span(1, 2, 1, 0, MS, "View/x")).span(&span(2, 2, 1, 0, MS, "View/x"));
    let period = feed.close();
    assert_eq!(period.requests(), 1);
    assert_eq!(period.slow_requests.iter().next().unwrap().item.uri, "/kept");
    let stats = feed.engine.stats();
    assert_eq!((stats.requests_sampled_out, stats.requests_ignored), (1, 2));
    assert_eq!((stats.spans_sampled_out, stats.spans_ignored, stats.spans_counted), (2, 3, 1));
}

#[test]
fn queue_time() {
    let mut feed = feed();
    feed.span(&span(1, 1, 0, SECOND, 2 * SECOND, "Controller/a"));
    feed.request_tag(1, "X-Request-Start", &*format!("t={}", T0 / 1_000_000 + 400));
    feed.span(&span(2, 1, 0, 0, SECOND, "Controller/a"));
    feed.request_tag(2, "scout.queue_time_ns", "5000");
    feed.span(&span(3, 1, 0, 0, SECOND, "Controller/a"));
    feed.request_tag(3, "X-Queue-Start", "nonsense");
    let period = feed.close();
    let waited = metric(&period, "Controller/a", "QueueTime", "all");
    assert_eq!((waited.count, waited.max, waited.min), (2, 600 * MS, 5000));
}

#[test]
fn a_traces_statements_say_which_tables_they_read_and_change() {
    let mut feed = feed();
    feed.span(&span(1, 1, 0, 0, 10 * MS, "Controller/a"));
    let sql = "INSERT INTO archive SELECT * FROM users u JOIN public.orders o ON o.user_id = u.id";
    feed.span(&span(1, 2, 1, 0, MS, "SQL/Query").tag("db.statement", sql));
    let json: Value =
        serde_json::from_slice(&checkin(&feed.close(), &Metadata::default())).unwrap();
    let tags = &json["span_traces"][0]["spans"][1]["tags"];
    assert_eq!(tags["db.tables_read"], json!(["users", "public.orders"]));
    assert_eq!(tags["db.tables_written"], json!(["archive"]));
}

#[test]
fn what_the_application_says_of_itself_is_completed_and_sent_once() {
    let mut feed = feed();
    let said = r#"{"language":"ruby","hostname":"","libraries":[["rack","3.0"]],"paas":null}"#;
    feed.event("scout.metadata", said);
    feed.span(&span(1, 1, 0, 0, 10 * MS, "Controller/a"));
    let metadata = Metadata {
        app_name: "Shop".into(),
        hostname: "web-1".into(),
        git_sha: "abc".into(),
        paas: "Server".into(),
        ..Metadata::default()
    };
    let mut period = feed.close();
    let load: Value = serde_json::from_slice(&server_load(&period, &metadata).unwrap()).unwrap();
    assert_eq!(load["libraries"], json!([["rack", "3.0"]]));
    for (field, value) in [
        ("language", "ruby"),
        ("application_name", "Shop"),
        ("hostname", "web-1"),
        ("git_sha", "abc"),
        ("paas", "Server"),
    ] {
        assert_eq!(load[field], value, "{field}");
    }
    assert!(load["server_time"].as_str().unwrap().starts_with("20"));
    // The minutes after it know it too, but it is not said again.
    period.minute.0 += 1;
    period.until.0 += 1;
    assert_eq!(server_load(&period, &metadata), None);
}

#[test]
fn a_users_address_comes_from_the_headers_a_proxy_sets() {
    let of = |headers: &[(&str, &str)], collect_remote_ip| {
        let mut feed = Feed::new(EngineConfig { collect_remote_ip, ..EngineConfig::default() });
        for (name, value) in headers {
            feed.request_tag(1, name, *value);
        }
        feed.span(&span(1, 1, 0, 0, 10 * MS, "Controller/a"));
        let period = feed.close();
        let trace = &period.slow_requests.iter().next().unwrap().item;
        assert!(trace.context.is_empty(), "{:?}", trace.context);
        trace.user.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<String>()
    };
    let forwarded = [("Remote-Addr", "10.0.0.1"), ("X-Forwarded-For", " 203.0.113.9, 10.1.1.1")];
    assert_eq!(of(&forwarded, true), r#"ip=Str("203.0.113.9")"#);
    assert_eq!(of(&forwarded, false), "");
    assert_eq!(
        of(&[("client-ip", "9.9.9.9,8.8.8.8"), ("REMOTE-ADDR", "1.1.1.1")], true),
        r#"ip=Str("9.9.9.9")"#
    );
    assert_eq!(of(&[("Remote-Addr", "1.1.1.1")], true), r#"ip=Str("1.1.1.1")"#);
    let own = [("user_ip", "7.7.7.7"), ("x-forwarded-for", "9.9.9.9")];
    assert_eq!(of(&own, true), r#"ip=Str("7.7.7.7")"#);
}

/// What an error's tags say is kept by the rules of spans' and requests' tags.
#[test]
fn errors_tags_leak_neither_literals_nor_arguments_nor_addresses() {
    let config = EngineConfig { collect_remote_ip: false, ..EngineConfig::default() };
    let mut feed = Feed::new(config);
    let tags = [
        ("db.statement", "SELECT * FROM users WHERE ssn = 'kanari-123'".into()),
        ("args", "kanari".into()),
        ("command", "kanari".into()),
        ("db.params", "kanari".into()),
        ("user_ip", "192.0.2.77".into()),
        ("X-Forwarded-For", "192.0.2.77".into()),
        ("account", "seven".into()),
    ];
    feed.error(1, "ArgumentError", "no", &tags);
    feed.span(&span(1, 1, 0, 0, MS, "Controller/c/a"));
    let period = feed.close();
    let kept = serde_json::to_string(&period).unwrap();
    let sent = String::from_utf8(errors(&period, &metadata()).unwrap()).unwrap();
    for text in [kept, sent] {
        assert!(!text.contains("kanari") && !text.contains("192.0.2.77"), "{text}");
        assert!(text.contains("SELECT * FROM users WHERE ssn = ?") && text.contains("seven"));
    }
}

/// A parser gives up at 128 levels, and a period's file has some around what is in it.
#[test]
fn json_nested_however_deep_costs_no_minute() {
    for depth in [1, 30, 100, 123, 124, 125, 126, 127] {
        let json = format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let mut feed = feed();
        let tags = ["request_params", "request_session", "environment", "request_components"]
            .map(|key| (key, json.as_str().into()));
        feed.error(1, "ArgumentError", "no", &tags);
        feed.event("scout.metadata", &json);
        feed.span(&span(1, 1, 0, 0, MS, "Controller/c/a"));
        let period = feed.close();
        let text = serde_json::to_string(&vec![vec![vec![&period]]]).unwrap();
        let read: Vec<Vec<Vec<crate::engine::Period>>> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{depth}: {error}"));
        assert_eq!(read[0][0][0].requests(), 1);
    }
}

/// However many keys an application makes up, those that mean something keep their meaning.
#[test]
fn keys_without_end_do_not_take_the_known_ones_places() {
    let mut feed = feed();
    for n in 0..6000 {
        feed.request_tag(1, &format!("user_{n}"), 1);
    }
    feed.span(&span(1, 1, 0, 0, MS, "Controller/c/a"));
    feed.rounds();
    let query = span(2, 2, 1, 0, MS, "SQL/Query").tag("db.statement", "SELECT 1 FROM t");
    feed.span(&query).span(&span(2, 1, 0, 0, MS, "Controller/c/b")).request_tag(2, "error", true);
    feed.span(&span(3, 1, 0, 0, MS, "Controller/c/c")).request_tag(3, "ignore_transaction", true);
    let period = feed.close();
    assert_eq!(period.requests(), 2, "one is ignored");
    assert_eq!(metric(&period, "", "Errors", "Controller/c/b").count, 1);
    assert!(serde_json::to_string(&period).unwrap().contains("SELECT"));
}

/// A trace has so many metrics and no more, whatever its spans are called.
#[test]
fn types_without_end_are_no_metrics_without_end() {
    let mut feed = feed();
    feed.span(&span(1, 1, 0, 0, 9000 * MS, "Controller/c/a"));
    for n in 0..5000 {
        feed.span(&span(1, 2 + n, 1, n * MS, (n + 1) * MS, &format!("T{n}/x")));
    }
    let period = feed.close();
    let kept = period.slow_requests.iter().map(|slow| slow.item.metrics.len()).max().unwrap();
    assert!(kept <= 500 + 256, "{kept}");
}
