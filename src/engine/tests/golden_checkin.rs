//! The Ruby agent's own check-in, field by field, for an equivalent input.
//!
//! The golden payload comes from five requests of which three are shown span by span; the other
//! two follow from the sums. `docs/engine.md` lists the deviations that this test makes room for.
use super::support::*;
use crate::engine::EngineConfig;
use crate::model::UnixNanos;
use crate::payload::{Metadata, checkin};
use crate::sql::Dialect;
use serde_json::Value;

const SQL: &str = "SELECT `users`.* FROM `users` WHERE `users`.`id` = 7 AND name = 'Fred'";
const POST: &str = "INSERT INTO posts (a) VALUES ('x', 'y')";
/// 2026-11-22T06:57:00Z.
const MINUTE: u64 = 1_795_330_620 * SECOND;

fn golden() -> Option<Value> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/scout/ruby_checkin_payload.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("SKIPPED: no golden payload at {path}");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// Start in microseconds after the minute, duration in nanoseconds, allocation counters.
fn made(n: u64, id: u64, parent: u64, at: (u64, u64), allocations: (i64, i64), op: &str) -> Made {
    let start = MINUTE - T0 + at.0 * 1000;
    span(n, id, parent, start, start + at.1, op)
        .tag("start_allocations", allocations.0)
        .tag("stop_allocations", allocations.1)
}

fn query(made: Made, sql: &str, rows: Option<i64>) -> Made {
    let made = made.tag("db.statement", sql);
    match rows {
        Some(rows) => made.tag("db.record_count", rows).tag("db.class_name", "User"),
        None => made,
    }
}

const URL: &str = "http://api.example.com/v1/things?secret=1";

/// As golden shows it.
fn show() -> Vec<Made> {
    let at = 52_435_743;
    vec![
        made(1, 1, 0, (at, 8_125_392), (32_186, 32_388), "Middleware/Summary"),
        made(1, 2, 1, (at + 7, 8_110_361), (32_191, 32_375), "Controller/users/show"),
        query(
            made(1, 3, 2, (at + 14, 2_245_077), (32_198, 32_208), "ActiveRecord/User/find"),
            SQL,
            Some(2),
        ),
        query(
            made(1, 4, 2, (at + 2420, 3_335_773), (32_242, 32_252), "ActiveRecord/User/find"),
            SQL,
            Some(3),
        ),
        made(1, 5, 2, (at + 5821, 1_099_178), (32_279, 32_281), "HTTP/request").tag("url", URL),
        made(
            1,
            6,
            2,
            (at + 6962, 1_130_936),
            (32_310, 32_345),
            "View/users/show.html.erb/Rendering",
        ),
        made(
            1,
            7,
            6,
            (at + 6970, 1_087_350),
            (32_316, 32_318),
            "View/users/_row.html.erb/Rendering",
        ),
    ]
}

/// What is left of the sums for the second request of `users/show`.
fn second_show() -> Vec<Made> {
    let at = 52_700_000;
    vec![
        made(2, 1, 0, (at, 7_120_485), (0, 268), "Middleware/Summary"),
        made(2, 2, 1, (at + 1, 7_090_710), (0, 0), "Controller/users/show"),
        query(made(2, 3, 2, (at + 2, 2_145_588), (0, 0), "ActiveRecord/User/find"), SQL, Some(2)),
        query(made(2, 4, 2, (at + 3, 2_150_966), (0, 0), "ActiveRecord/User/find"), SQL, Some(3)),
        made(2, 5, 2, (at + 4, 1_132_127), (0, 0), "HTTP/request").tag("url", URL),
        made(2, 6, 2, (at + 5, 1_180_119), (0, 0), "View/users/show.html.erb/Rendering"),
        made(2, 7, 6, (at + 6, 1_103_555), (0, 0), "View/users/_row.html.erb/Rendering"),
    ]
}

fn boom() -> Vec<Made> {
    let at = 52_447_927;
    vec![
        made(3, 1, 0, (at, 557_367_476), (34_251, 34_473), "Middleware/Summary"),
        made(3, 2, 1, (at + 6, 557_353_195), (34_256, 34_460), "Controller/users/boom"),
        query(
            made(3, 3, 2, (at + 13, 2_134_753), (34_263, 34_273), "ActiveRecord/User/find"),
            SQL,
            Some(2),
        ),
        query(
            made(3, 4, 2, (at + 2202, 2_129_154), (34_307, 34_317), "ActiveRecord/User/find"),
            SQL,
            Some(3),
        ),
        made(3, 5, 2, (at + 4392, 551_459_259), (34_344, 34_346), "HTTP/request").tag("url", URL),
        made(
            3,
            6,
            2,
            (at + 556_088, 1_225_828),
            (34_392, 34_427),
            "View/users/show.html.erb/Rendering",
        ),
        made(
            3,
            7,
            6,
            (at + 556_105, 1_127_211),
            (34_398, 34_400),
            "View/users/_row.html.erb/Rendering",
        ),
    ]
}

fn job(n: u64, at: u64, nanos: [u64; 3], allocations: [(i64, i64); 3]) -> Vec<Made> {
    vec![
        made(n, 1, 0, (at, nanos[0]), allocations[0], "Queue/default"),
        made(n, 2, 1, (at + 5, nanos[1]), allocations[1], "Job/MailerJob")
            .tag("queue_latency", 1.5),
        query(
            made(n, 3, 2, (at + 10, nanos[2]), allocations[2], "ActiveRecord/Post/create"),
            POST,
            None,
        ),
    ]
}

fn payload() -> Vec<u8> {
    let config = EngineConfig {
        dialect: Dialect::MySql,
        hostname: Some("stub-host".into()),
        git_sha: Some("deadbeef".into()),
        ..EngineConfig::default()
    };
    let mut feed = Feed::started(config, UnixNanos(MINUTE + 52_112_049_000));
    feed.now = UnixNanos(MINUTE + 54 * SECOND);
    let jobs = [
        job(
            4,
            53_009_217,
            [1_208_842, 1_194_851, 1_130_295],
            [(37_513, 37_575), (37_519, 37_562), (37_526, 37_533)],
        ),
        job(5, 53_020_000, [1_208_392, 1_190_875, 1_117_646], [(0, 65), (0, 0), (0, 0)]),
    ];
    for (n, spans, waited) in
        [(1, show(), 200_300_900), (2, second_show(), 200_743_262), (3, boom(), 200_927_772)]
    {
        feed.spans(&spans)
            .request_tag(n, "path", if n == 3 { "/users/boom" } else { "/users/2" })
            .request_tag(n, "plan", "free")
            .request_tag(n, "seats", 3)
            .request_tag(n, "admin", true)
            .request_tag(n, "user_ip", "203.0.113.9")
            .request_tag(n, "scout.queue_time_ns", waited);
    }
    feed.request_tag(1, "mem_delta", 0.25).request_tag(3, "error", "true");
    jobs.iter().for_each(|job| {
        feed.spans(job);
    });
    let at = MINUTE - T0;
    feed.gauge_at(at, "CPU/Utilization", 0.940_893_370_581_475_5);
    feed.gauge_at(at, "Memory/Physical", 30.441_406_25);
    let period = feed.close();
    let metadata = Metadata {
        app_root: "/srv/app".into(),
        unique_id: "ebdbpwxayffdlabc".into(),
        agent_version: "6.2.1".into(),
        agent_pid: 3503,
        platform: Some("ruby".into()),
        ..Metadata::default()
    };
    checkin(&period, &metadata)
}

/// Compares two values; `path` says where they are.
fn compare(path: &str, golden: &Value, ours: &Value, differences: &mut Vec<String>) {
    let mut differ = || differences.push(format!("{path}: {golden} <> {ours}"));
    match (golden, ours) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // Whole nanoseconds and billionths, where Ruby has what is left after subtraction.
            if (a - b).abs() > 2e-9 {
                differ();
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let path = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => compare(&path, a, b, differences),
                    (a, b) => differences.push(format!("{path}: {a:?} <> {b:?}")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{at}]"), a, b, differences);
            }
        }
        _ if golden == ours => {}
        _ => differ(),
    }
}

/// Puts lists whose order means nothing into one order, and histograms into single values.
fn normalise(value: &mut Value) {
    if is_histogram(value) {
        let bins = value.as_array().unwrap();
        let mut singles = Vec::new();
        for bin in bins {
            for _ in 0..bin[1].as_u64().unwrap() {
                singles.push(bin[0].clone());
            }
        }
        *value = Value::Array(singles);
        return;
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(normalise),
        Value::Array(items) => {
            items.iter_mut().for_each(normalise);
            let name = |item: &Value| -> String {
                let key = &item["key"];
                let scope = key["scope"].to_string();
                [
                    &key["bucket"],
                    &key["name"],
                    &item["bucket"],
                    &item["name"],
                    &item["model_name"],
                    &item["domain_name"],
                    &item["scope"],
                    &item["identity"]["naming"]["path"],
                ]
                .iter()
                .map(|part| part.to_string())
                .collect::<String>()
                    + &scope
            };
            if items.iter().all(Value::is_object) {
                items.sort_by_key(name);
            }
        }
        _ => {}
    }
}

fn is_histogram(value: &Value) -> bool {
    value.as_array().is_some_and(|bins| {
        !bins.is_empty()
            && bins.iter().all(|bin| {
                bin.as_array()
                    .is_some_and(|bin| bin.len() == 2 && bin[0].is_number() && bin[1].is_u64())
            })
    })
}

/// Differences that are meant, each with its reason in `docs/engine.md`.
fn is_meant(difference: &str) -> bool {
    let (path, values) = difference.split_once(": ").unwrap();
    let numbers: Vec<f64> = values.split(" <> ").filter_map(|text| text.parse().ok()).collect();
    let close = |relative: f64, absolute: f64| matches!(numbers[..], [a, b] if (a - b).abs() <= a.abs() * relative + absolute);
    // D1: a score depends on all requests since the start.
    path.ends_with(".score")
        // D2: buckets are 1/64 of their value wide.
        || path.contains("istogram[") && close(1.0 / 64.0, 0.0001)
        || path.contains("_time[") && close(1.0 / 64.0, 0.0001)
        // D3: total histograms are of total times.
        || path.contains("total_histogram[")
        // D4: ids are ours.
        || path.ends_with("transaction_id")
        || path.ends_with("identity.id")
        || path.ends_with("parent_id")
        // D5: what is empty is left out.
        || path.ends_with(".backtrace") && values == "Some(Array []) <> None"
        // D7: to the end of the request, Ruby's own work on it not included.
        || path.ends_with(".seconds_since_startup") && close(0.0, 0.005)
        // The golden payload has start instants to the microsecond only, cut off.
        || path.ends_with(".stop_instant") && micros_apart(values) <= 1
        // D6: two lists more, a statement's tables, and the application's name.
        || path.ends_with(".tags.db.tables_read")
        || path.ends_with(".tags.db.tables_written")
        || path == ".metadata.app_name"
        || path == ".n_plus_one"
        || path == ".sql"
}

/// Microseconds between two instants of one second.
fn micros_apart(values: &str) -> u64 {
    let micros = |text: &str| -> Option<u64> { text.split(['.', '+']).nth(1)?.parse().ok() };
    let mut both = values.split(" <> ").filter_map(micros);
    let (Some(a), Some(b)) = (both.next(), both.next()) else { return u64::MAX };
    a.abs_diff(b)
}

#[test]
fn equals_the_ruby_agents_payload() {
    let Some(mut golden) = golden() else { return };
    let mut ours: Value = serde_json::from_slice(&payload()).unwrap();
    normalise(&mut golden);
    normalise(&mut ours);
    let mut differences = Vec::new();
    compare("", &golden, &ours, &mut differences);
    let found = differences.len();
    differences.retain(|difference| !is_meant(difference));
    println!("{found} differences from the golden payload, {} not meant", differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn keys_come_in_the_golden_order() {
    let text = String::from_utf8(payload()).unwrap();
    let mut rest = text.as_str();
    for key in [
        "{\"metadata\":{\"app_root\"",
        "\"unique_id\"",
        "\"agent_version\"",
        "\"agent_time\"",
        "\"agent_pid\"",
        "\"platform\"",
        "\"payload_version\"",
        "\"metrics\":[{\"call_count\"",
        "\"slow_transactions\":[{\"key\"",
        "\"jobs\":[{\"queue\"",
        "\"slow_jobs\":[{\"queue\"",
        "\"histograms\":[{\"name\"",
        "\"db_metrics\":{\"query\"",
        "\"es_metrics\":{\"http\"",
        "\"span_traces\":[{\"version\"",
        "\"n_plus_one\":[",
        "\"sql\":[",
    ] {
        let at = rest.find(key).unwrap_or_else(|| panic!("{key} is not after the one before"));
        rest = &rest[at..];
    }
}
