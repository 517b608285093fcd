//! What a core says of itself: counters for machines, a report for people. No secret in either.

use super::api::PANICS_IN_CALLS;
use super::instance::Core;
use crate::config::without_user;
use crate::recorder::clock;
use serde_json::{Map, Value, json};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// Flat JSON of numbers. The keys are documented in `docs/stats.md`.
pub(super) fn stats(core: &Core) -> String {
    Value::Object(counters(core)).to_string()
}

fn counters(core: &Core) -> Map<String, Value> {
    let get = |counter: &AtomicU64| Value::from(counter.load(Ordering::Relaxed));
    let recorder = &core.recorder.counters;
    let snapshot = core.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| {
        all.insert(name.to_owned(), value);
    };
    add("records_drained", snapshot.records_drained.into());
    add("records_dropped_no_room", get(&recorder.dropped_no_room));
    add("records_refused_reentrant", get(&recorder.refused_reentrant));
    add("records_unreadable", get(&recorder.unreadable));
    add("recorder_strings_cut", get(&recorder.strings_cut));
    add("recorder_tags_dropped", get(&recorder.tags_dropped));
    add("records_shared_segment", get(&recorder.shared));
    add("recorder_segments", get(&recorder.segments));
    add("checkpoints_closing_requests", get(&core.closing_checkpoints));
    add("recorder_on_file", u64::from(core.recorder.is_on_file()).into());
    add("recovered_files", get(&core.recovered.files));
    add("recovered_records", get(&core.recovered.records));
    add("recovered_segments_damaged", get(&core.recovered.damaged));
    add("recovery_files_unreadable", get(&core.recovered.unreadable));
    add("recovery_files_of_other_versions", get(&core.recovered.other_versions));
    add("names_interned", core.recorder.names.highest().0.into());
    let in_calls = PANICS_IN_CALLS.load(Ordering::Relaxed);
    add("panics_contained", (core.panics.load(Ordering::Relaxed) + in_calls).into());
    add("threads_failed", get(&core.threads.failed));
    add("log_lines_lost", get(&core.log.lost));
    add("clock_steps", clock::steps().into());
    for (name, value) in flat(&snapshot.engine) {
        add(&name, value);
    }
    for (name, value) in flat(&snapshot.courier) {
        add(&name, value);
    }
    // Not waited for: the courier may hold it across a directory scan.
    if let Ok(spool) = core.spool.try_lock() {
        let counters = spool.counters();
        add("spool_spans_given_up", counters.spans_given_up.into());
        add("spool_files_damaged", counters.files_damaged.into());
        add("spool_files_of_other_versions", counters.files_of_other_versions.into());
        add("spool_spans_damaged", counters.spans_damaged.into());
        add("spool_files_merged", counters.files_merged.into());
        add("spool_write_errors", counters.write_errors.into());
        add("spool_faults_contained", counters.faults.into());
        add("spool_bytes_on_disk", counters.bytes_on_disk.into());
        add("spool_files_on_disk", counters.files_on_disk.into());
        add("spool_parcels_in_memory", counters.parcels_in_memory.into());
        add("spool_spans_in_memory", counters.spans_in_memory.into());
        add("spool_on_disk", u64::from(spool.is_on_disk()).into());
    }
    all
}

/// A part's numbers.
fn flat(part: &impl serde::Serialize) -> Vec<(String, Value)> {
    match serde_json::to_value(part) {
        Ok(Value::Object(map)) => map.into_iter().filter(|(_, value)| value.is_number()).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn diagnose(core: &Core) -> String {
    let setup = &core.setup;
    let configuration: Map<String, Value> = setup
        .settings
        .iter()
        .filter(|(key, _)| !key.hidden)
        .map(|(key, setting)| {
            let value = match setting.value.as_str() {
                Some(_) if key.secret => setup.settings.secret(key.name).to_string().into(),
                Some(url) if key.name == "proxy" => without_user(url).into(),
                _ => setting.value.clone(),
            };
            let shown = json!({ "value": value, "source": setting.source.to_string() });
            (key.name.to_owned(), shown)
        })
        .collect();
    let snapshot = core.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let open = core.pipeline.try_lock().ok().and_then(|pipeline| {
        pipeline.as_ref().map(|pipeline| pipeline.engine().open_requests(clock::now()))
    });
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time": clock::now().iso8601(false).to_string(),
        "durability": if core.recorder.is_on_file() {
            "spooled: records outlive the process, minutes that are over outlive the machine"
        } else {
            "memory: there is no file for records, see places and the log"
        },
        "threads": {
            "worker": core.threads.worker.get().is_some(),
            "courier": core.threads.courier.get().is_some(),
        },
        "places": {
            "data_dir": core.place.data_dir,
            "payloads": core.place.payloads,
            "passed_over": core.place.passed_over,
        },
        "delivery": snapshot.courier,
        "open_requests": open,
        "configuration": configuration,
        "counters": counters(core),
    });
    serde_json::to_string_pretty(&report).unwrap_or_default()
}
