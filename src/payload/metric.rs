use super::render::{Backtrace, Name, Seconds};
use crate::engine::{CallStats, GaugeStats, SpanDetail, TraceMetric};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// What a metric's values are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// Nanoseconds, shown as seconds.
    Time,
    /// Plain numbers.
    Count,
}

impl Unit {
    /// Metrics of these buckets count things.
    pub(super) fn of(bucket: &str) -> Unit {
        if matches!(bucket, "Errors" | "ObjectAllocations") { Unit::Count } else { Unit::Time }
    }

    pub(super) fn show(self, value: u64) -> Amount {
        match self {
            Unit::Time => Amount::Time(Seconds(value)),
            Unit::Count => Amount::Count(value),
        }
    }
}

/// A metric's value in its unit.
#[derive(Clone, Copy)]
pub(super) enum Amount {
    Time(Seconds),
    Count(u64),
    /// Of a gauge, shown in whole units.
    Billionths(u128),
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Amount::Time(seconds) => seconds.serialize(serializer),
            Amount::Count(count) => serializer.serialize_u64(*count),
            Amount::Billionths(value) => serializer.serialize_f64(*value as f64 / 1e9),
        }
    }
}

/// A metric in the style of `metrics` and of web traces.
#[derive(Serialize)]
pub(super) struct OldMetric<'a> {
    call_count: u64,
    max_call_time: Amount,
    min_call_time: Amount,
    total_call_time: Amount,
    total_exclusive_time: Amount,
    key: OldKey<'a>,
}

#[derive(Serialize)]
struct OldKey<'a> {
    bucket: &'a str,
    name: &'a str,
    desc: Option<&'a str>,
    extra: Extra<'a>,
    scope: Option<Name<'a>>,
}

impl<'a> OldMetric<'a> {
    pub(super) fn new(name: Name<'a>, scope: &'a str, calls: &CallStats, unit: Unit) -> Self {
        OldMetric {
            call_count: calls.count,
            max_call_time: unit.show(calls.max),
            min_call_time: unit.show(calls.min),
            total_call_time: unit.show(calls.total),
            total_exclusive_time: unit.show(calls.exclusive),
            key: OldKey::new(name, scope),
        }
    }

    /// A gauge has no children: all of it is its own.
    pub(super) fn of_gauge(name: &'a str, gauge: &GaugeStats) -> Self {
        OldMetric {
            call_count: gauge.count,
            max_call_time: Amount::Billionths(gauge.max),
            min_call_time: Amount::Billionths(gauge.min),
            total_call_time: Amount::Billionths(gauge.total),
            total_exclusive_time: Amount::Billionths(gauge.total),
            key: OldKey::new(Name::of(name), ""),
        }
    }

    pub(super) fn of_trace(metric: &'a TraceMetric, calls: &CallStats, unit: Unit) -> Self {
        let mut shown = Self::new(Name::of(&metric.name), &metric.scope, calls, unit);
        shown.key.desc = metric.desc.as_deref();
        shown.key.extra = Extra(Some(&metric.detail));
        shown
    }
}

impl<'a> OldKey<'a> {
    fn new(name: Name<'a>, scope: &'a str) -> Self {
        OldKey {
            bucket: name.bucket,
            name: name.name,
            desc: None,
            extra: Extra(None),
            scope: Name::unless_empty(scope),
        }
    }
}

/// Rows, class and backtrace of a metric's first call.
struct Extra<'a>(Option<&'a SpanDetail>);

impl Extra<'_> {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Some(detail) = self.0 else { return Ok(()) };
        if let Some(class) = &detail.class_name {
            map.serialize_entry("class_name", class)?;
        }
        if let Some(count) = detail.record_count {
            map.serialize_entry("record_count", &count)?;
        }
        if !detail.backtrace.is_empty() {
            map.serialize_entry("backtrace", &Backtrace(&detail.backtrace))?;
        }
        Ok(())
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

/// A metric in the style of jobs.
#[derive(Serialize)]
pub(super) struct NewMetric<'a> {
    bucket: &'a str,
    name: &'a str,
    count: u64,
    total_call_time: Amount,
    total_exclusive_time: Amount,
    min_call_time: Amount,
    max_call_time: Amount,
    total_histogram: [(f64, u64); 1],
    exclusive_histogram: [(f64, u64); 1],
    metrics: [(); 0],
    detail: Detail<'a>,
}

/// Description first, then what else is known.
struct Detail<'a> {
    desc: Option<&'a str>,
    extra: Extra<'a>,
}

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("desc", &self.desc)?;
        self.extra.write(&mut map)?;
        map.end()
    }
}

impl<'a> NewMetric<'a> {
    pub(super) fn new(name: Name<'a>, calls: &CallStats, unit: Unit) -> Self {
        let scale = if unit == Unit::Count { 1.0 } else { 1e9 };
        let mean = |sum: u64| [(sum as f64 / scale / calls.count.max(1) as f64, calls.count)];
        NewMetric {
            bucket: name.bucket,
            name: name.name,
            count: calls.count,
            total_call_time: unit.show(calls.total),
            total_exclusive_time: unit.show(calls.exclusive),
            min_call_time: unit.show(calls.min),
            max_call_time: unit.show(calls.max),
            total_histogram: mean(calls.total),
            exclusive_histogram: mean(calls.exclusive),
            metrics: [],
            detail: Detail { desc: None, extra: Extra(None) },
        }
    }

    pub(super) fn of_trace(metric: &'a TraceMetric, calls: &CallStats, unit: Unit) -> Self {
        let mut shown = Self::new(Name::of(&metric.name), calls, unit);
        shown.detail = Detail { desc: metric.desc.as_deref(), extra: Extra(Some(&metric.detail)) };
        shown
    }
}
