//! A receiver that is away for a week: what waits stays within its limit, and no count is lost.

use crate::engine::{CallStats, Histogram, MetricKey, Period};
use crate::model::Minute;
use crate::payload::{self, Metadata};
use crate::spool::virtual_disk::{Disk, VirtualDir};
use crate::spool::{Body, Spool};

/// A minute of `endpoints` endpoints, three layers each. Its figures differ from other minutes'.
fn minute(minute: u64, endpoints: u64) -> Period {
    let mut period = Period::new(Minute(minute), 10, 100);
    for endpoint in 0..endpoints {
        let scope = format!("Controller/endpoint_{endpoint}/show");
        let (calls, spread) = (1 + (minute + endpoint) % 5, 1 + (minute * 31 + endpoint) % 1000);
        let mut histogram = Histogram::default();
        let mut add = |scope: &str, bucket: &str, name: &str| {
            let mut stats = CallStats::default();
            for call in 0..calls {
                stats.record_scoped(spread * 1_000_000 + call, spread * 1000);
            }
            let key = MetricKey { scope: scope.into(), bucket: bucket.into(), name: name.into() };
            period.metrics.insert(key, stats);
        };
        add("", "Controller", &scope["Controller/".len()..]);
        for layer in ["ActiveRecord", "View", "HTTP"] {
            add(&scope, layer, "all");
        }
        (0..calls).for_each(|call| histogram.record(spread * 1_000_000 + call));
        period.histograms.insert(scope, histogram);
        period.counts.spans += 4 * calls;
        period.counts.requests += calls;
    }
    period
}

fn render(period: &Period, id: &str) -> Vec<Body> {
    let metadata = Metadata { unique_id: id.to_owned(), ..Metadata::default() };
    let json = String::from_utf8(payload::checkin(period, &metadata)).unwrap();
    vec![Body { kind: "checkin".into(), entries: 1, json }]
}

/// Calls of endpoints and in their histograms, in a payload.
fn totals(json: &str) -> (u64, u64) {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let metrics = value["metrics"].as_array().unwrap().iter();
    let calls = metrics
        .filter(|metric| metric["key"]["bucket"] == "Controller")
        .map(|metric| metric["call_count"].as_u64().unwrap())
        .sum();
    let histograms = value["histograms"].as_array().unwrap().iter();
    let counted = histograms
        .flat_map(|one| one["histogram"].as_array().unwrap())
        .map(|bin| bin[1].as_u64().unwrap())
        .sum();
    (calls, counted)
}

fn away(endpoints: u64, limit: u64, step: usize) {
    let disk = Disk::shared(1);
    let open = |process: u64| -> Spool<Period, VirtualDir> {
        let dir = VirtualDir { disk: disk.clone(), process };
        Spool::new(Some(dir), process.to_string(), limit)
    };
    let mut spool = open(1);
    let (mut spans, mut requests) = (0, 0);
    let (mut most, mut after) = (0, 0);
    for at in (0..7 * 1440).step_by(step) {
        let period = minute(29_900_160 + at as u64, endpoints);
        spans += period.counts.spans;
        requests += period.counts.requests;
        spool.put(period);
        after = disk.borrow().files.values().map(Vec::len).sum::<usize>() as u64;
        most = most.max(after);
        // As the courier does in each of its rounds.
        let claim = spool.claim().unwrap().unwrap();
        while spool.make_room(&claim).unwrap() {}
    }
    assert!(most <= limit, "{most} bytes");
    assert_eq!(spool.counters().spans_given_up, 0);
    assert!(spool.counters().files_merged > 0);
    println!("at most {most} bytes, {after} in the end, {:?}", spool.counters());

    let mut heir = open(2);
    let claim = heir.claim().unwrap().unwrap();
    let (mut got, mut payloads) = ((0, 0, 0), 0);
    for minute in heir.minutes(&claim, |_| true) {
        assert!(heir.pack(&claim, minute, format!("{}", minute.0), render).unwrap());
        let parcel = heir.next_parcel(&claim, |_| false).unwrap();
        let (calls, counted) = totals(&parcel.bodies[0].json);
        got = (got.0 + parcel.spans, got.1 + calls, got.2 + counted);
        payloads += 1;
        heir.delivered(&claim, parcel);
    }
    println!("{requests} requests in {payloads} payloads");
    assert_eq!(got, (spans, requests, requests));
    assert!(disk.borrow().files.is_empty());
}

#[test]
fn a_week_without_a_receiver_keeps_every_count() {
    match std::env::var_os("SIM_WEEK") {
        // A minute of a thousand endpoints, each minute, in the default limit.
        Some(_) => away(1000, 64 << 20, 1),
        None => away(50, 400_000, 60),
    }
}
