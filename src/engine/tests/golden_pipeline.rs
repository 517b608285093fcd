//! `pipeline_vectors.json`, from executing the Ruby agent's own classes: all of it that is not in
//! `payload::numeric_histogram`.
use super::support::*;
use crate::engine::backtrace::{self, BacktraceRules};
use crate::engine::hash::KeyedHash;
use crate::engine::live::keeps_name;
use crate::engine::request::truth_of;
use crate::engine::rules::{Candidate, Rules, Verdict, fraction};
use crate::engine::{
    CallStats, EngineConfig, Scored, ScoredSet, parse_sample_rate, queue_time, score,
};
use crate::model::{TraceId, UnixNanos};
use serde_json::Value;

fn vectors() -> Option<Value> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/scout/pipeline_vectors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("SKIPPED: no golden vectors at {path}");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn rows(vectors: &Value, name: &str) -> Vec<Value> {
    vectors[name].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Seconds as the integers that statistics are made of.
fn nanos(value: &Value) -> u64 {
    (number(value) * 1e9).round() as u64
}

fn check_stats(stats: &CallStats, golden: &Value) {
    assert_eq!(stats.count, golden["call_count"].as_u64().unwrap(), "{golden}");
    assert_eq!(stats.max, nanos(&golden["max"]), "{golden}");
    assert_eq!(stats.total, nanos(&golden["total"]), "{golden}");
    assert_eq!(stats.exclusive, nanos(&golden["excl"]), "{golden}");
}

#[test]
fn metric_stats() {
    let Some(vectors) = vectors() else { return };
    for golden in rows(&vectors, "metric_stats") {
        let mut stats = CallStats::default();
        for update in golden["updates"].as_array().unwrap() {
            let (call, exclusive) = (nanos(&update[0]), nanos(&update[1]));
            if golden["scoped"].as_bool().unwrap() {
                stats.record_scoped(call, exclusive);
            } else {
                stats.record(call, exclusive);
            }
        }
        check_stats(&stats, &golden);
        assert_eq!(stats.least().unwrap_or(0), nanos(&golden["min"]), "{golden}");
    }
}

#[test]
fn metric_stats_combine() {
    let Some(vectors) = vectors() else { return };
    for golden in rows(&vectors, "metric_stats_combine") {
        let side = |side: &str| {
            let mut stats = CallStats::default();
            for update in golden[side].as_array().unwrap() {
                let call = nanos(&update[0]);
                stats.record(call, update.get(1).map_or(call, nanos));
            }
            stats
        };
        let (mut stats, b) = (side("a"), side("b"));
        stats.add(&b);
        check_stats(&stats, &golden);
        // Deviation: Ruby takes a least value of 0 for none, and nothing for one of 0.
        let values: Vec<u64> = [&golden["a"], &golden["b"]]
            .iter()
            .flat_map(|side| side.as_array().unwrap().iter().map(|update| nanos(&update[0])))
            .collect();
        assert_eq!(stats.least(), values.iter().min().copied(), "{golden}");
        let quirk = values.contains(&0) || golden["b"].as_array().unwrap().is_empty();
        assert!(quirk || stats.least() == Some(nanos(&golden["min"])), "{golden}");
    }
}

#[test]
fn metric_set() {
    let Some(vectors) = vectors() else { return };
    let rows = rows(&vectors, "metric_set");
    assert_eq!(rows.len(), 29);
    for golden in rows {
        let (bucket, name) = (golden["bucket"].as_str().unwrap(), golden["name"].as_str().unwrap());
        assert_eq!(keeps_name(bucket), name != "all", "{golden}");
        let mut stats = CallStats::default();
        let value = nanos(&golden["stats"]["total"]);
        stats.record(value, value);
        check_stats(&stats, &golden["stats"]);
    }
    // And `Errors/Request` beside each `Errors/<endpoint>`, from the engine itself.
    let mut feed = feed();
    feed.span(&span(1, 1, 0, 0, MS, "Controller/users/show")).request_tag(1, "error", "true");
    let period = feed.close();
    assert_eq!(metric(&period, "", "Errors", "Controller/users/show").count, 1);
    assert_eq!(metric(&period, "", "Errors", "Request").count, 1);
}

#[test]
fn scored_sets() {
    let Some(vectors) = vectors() else { return };
    for golden in rows(&vectors, "scored_set") {
        let mut set = ScoredSet::new(golden["max"].as_u64().unwrap() as usize);
        for (n, add) in golden["adds"].as_array().unwrap().iter().enumerate() {
            // Requests without a name never get here.
            let name = add[0].as_str().unwrap();
            if let Some(name) = name.strip_prefix('"') {
                set.insert(Scored {
                    name: name.trim_end_matches('"').into(),
                    score: number(&add[1]),
                    // Deviation: ties go by id, not by order; ids as here agree with Ruby.
                    tie: format!("{n:04}"),
                    item: (),
                });
            }
        }
        let mut found: Vec<_> =
            set.iter().map(|scored| format!("{}:{}", scored.name, scored.score)).collect();
        found.sort();
        let wanted: Vec<_> = golden["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect();
        assert_eq!(found, wanted, "{golden}");
    }
}

#[test]
fn speed_policy() {
    let Some(vectors) = vectors() else { return };
    for golden in rows(&vectors, "speed_policy") {
        assert!((score::speed(number(&golden[0])) - number(&golden[1])).abs() < 1e-15, "{golden}");
    }
}

#[test]
fn queue_time_headers() {
    let Some(vectors) = vectors() else { return };
    for golden in rows(&vectors, "queue_time_ruby_parse") {
        let header = golden[0].as_str().unwrap();
        let seconds = number(&golden[2]);
        let start = UnixNanos(1_700_000_001 * SECOND);
        let found = queue_time::from_header(header, start);
        // Deviations: Ruby takes what is no time for 1970, and eleven digits for ten.
        if seconds == 0.0 || header == "17000000001.5" {
            assert_eq!(found, None, "{golden}");
            continue;
        }
        let wanted = start.0 as f64 - seconds * 1e9;
        assert!((found.unwrap() as f64 - wanted).abs() < 1000.0, "{golden}: {found:?}");
    }
}

#[test]
fn sampling() {
    let Some(vectors) = vectors() else { return };
    let golden = &vectors["sampling"];
    let rates = |name: &str| -> Vec<(String, f64)> {
        let map = golden[name].as_object().unwrap();
        let mut list: Vec<_> = map.iter().map(|(key, rate)| (key.clone(), number(rate))).collect();
        // Longer prefixes first, as in the configuration this was made with.
        list.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.0.cmp(&b.0)));
        list
    };
    let config = EngineConfig {
        sample_endpoints: rates("endpoints"),
        sample_jobs: rates("jobs"),
        endpoint_sample_rate: Some(0.123),
        ..EngineConfig::default()
    };
    let rules = Rules::new(&config, KeyedHash::new([1, 2]));
    for pair in golden["rate"].as_array().unwrap() {
        let wanted = pair[1].as_f64().unwrap_or(0.123);
        let kept = (0..2000_u32)
            .filter(|n| {
                let mut id = [9; 16];
                id[..4].copy_from_slice(&n.to_le_bytes());
                let path = pair[0].as_str().unwrap();
                let candidate = Candidate { is_job: false, name: "n", path, trace_id: TraceId(id) };
                rules.judge(candidate) == Verdict::Keep
            })
            .count();
        assert!((kept as f64 / 2000.0 - wanted).abs() < 0.05, "{pair}: {kept} of 2000");
    }
    let config = EngineConfig {
        ignore_endpoints: vec!["/baz".into(), "/q*x".into()],
        ..EngineConfig::default()
    };
    let rules = Rules::new(&config, KeyedHash::new([1, 2]));
    for pair in golden["ignore"].as_array().unwrap() {
        let candidate = Candidate {
            is_job: false,
            name: "n",
            path: pair[0].as_str().unwrap(),
            trace_id: TraceId([1; 16]),
        };
        let ignored = rules.judge(candidate) == Verdict::Ignore;
        assert_eq!(ignored, pair[1].as_bool().unwrap(), "{pair}");
    }
}

#[test]
fn sample_rates_as_written() {
    let Some(vectors) = vectors() else { return };
    for pair in rows(&vectors, "sample_rate_coercion") {
        let found = match &pair[0] {
            Value::Null => None,
            Value::String(text) => parse_sample_rate(text),
            rate => Some(fraction(number(rate))),
        };
        assert_eq!(found, pair[1].as_f64(), "{pair}");
    }
}

#[test]
fn truth_values() {
    let Some(vectors) = vectors() else { return };
    for pair in rows(&vectors, "bool_coercion") {
        let found = match &pair[0] {
            Value::Null => false,
            Value::Bool(flag) => *flag,
            Value::String(text) => truth_of(text.as_bytes()),
            rate => number(rate) != 0.0,
        };
        assert_eq!(found, pair[1].as_bool().unwrap(), "{pair}");
    }
}

#[test]
fn backtraces() {
    let Some(vectors) = vectors() else { return };
    let golden = &vectors["backtrace"];
    let rules = BacktraceRules::new(golden["root"].as_str(), None);
    let shown = |lines: &[String]| -> Vec<String> {
        rules
            .trim(backtrace::parse(&lines.join("\n")))
            .into_iter()
            .map(|frame| format!("{}:{}:in `{}'", frame.file, frame.line, frame.function))
            .collect()
    };
    let text = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(shown(&text(&golden["lines"])), text(&golden["result"]));
    let twelve: Vec<String> = (0..12).map(|n| format!("/app/root/app/a.rb:{n}:in `x'")).collect();
    assert_eq!(shown(&twelve).len() as u64, golden["twelve_frames"].as_u64().unwrap());
}

/// The Ruby class answers for each call whether it is the one that makes the N+1; the engine
/// answers for the request.
#[test]
fn call_sets() {
    let Some(vectors) = vectors() else { return };
    let found = |statements: &[&str]| {
        let mut feed = feed();
        feed.span(&span(1, 1, 0, 0, 900 * MS, "Controller/list"));
        for (n, sql) in statements.iter().enumerate() {
            let at = n as u64 * 40 * MS;
            let made = span(1, 2 + n as u64, 1, at, at + 40 * MS, "SQL/Query");
            feed.span(&made.tag("db.statement", *sql));
        }
        feed.close().n_plus_ones.len()
    };
    let (a, b) = ("SELECT * FROM a WHERE id = 1", "SELECT * FROM b");
    // Four, a wait, the fifth: found at the fifth, and once.
    assert_eq!([found(&[a; 4]), found(&[a; 5]), found(&[a; 6])], [0, 1, 1]);
    let golden =
        |name: &str| rows(&vectors, name).iter().filter(|answer| !answer.is_null()).count();
    assert_eq!(golden("call_set_4_wait_5_again"), 1);
    // Others between: only equal ones count.
    assert_eq!([found(&[b, a, a, a, a]), found(&[b, a, a, a, a, a])], [0, 1]);
    assert_eq!(golden("call_set_distinct_then_same"), 1);
}
