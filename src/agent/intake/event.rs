use super::application::Application;
use super::hub::Hub;
use super::memory::Metadata;
use crate::agent::protocol::{Fields, Scalar};
use crate::core::{self, Failure};
use crate::model::{NameId, UnixNanos};
use crate::record::{MAX_RECORD, Metric, Text};
use serde_json::Value;

/// The longest metadata that a record holds, in bytes.
const MAX_METADATA: usize = MAX_RECORD - 400;

impl Hub {
    /// Takes in what an application says about itself: metadata, or a sample.
    pub(super) fn event(
        &self,
        app: &Application,
        fields: &Fields<'_>,
        now: UnixNanos,
    ) -> Result<(), Failure> {
        let time = fields.time().unwrap_or(now);
        let kind = Fields::text(fields.event_type);
        match (&*kind, Fields::value(fields.event_value)) {
            ("scout.metadata", Scalar::Json(json)) => self.metadata(app, time, json),
            ("CPU/Utilization", value) => self.sample(app, &kind, number(&value), 100.0, time, now),
            ("Memory/Physical", value) => {
                self.sample(app, &kind, number(&value), f64::MAX, time, now)
            }
            ("", _) => Err(Failure::Invalid("event_type is missing")),
            _ => {
                // Of a newer agent, maybe: nothing that a retry would mend.
                self.counters.events_unknown.add(1);
                Ok(())
            }
        }
    }

    fn metadata(&self, app: &Application, time: UnixNanos, json: &str) -> Result<(), Failure> {
        let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(json) else {
            return Err(Failure::Invalid("event_value is not an object"));
        };
        let host = fields.get("hostname").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut text = json.to_owned();
        if text.len() > MAX_METADATA {
            fields.remove("libraries");
            text = Value::Object(fields).to_string();
        }
        if text.len() > MAX_METADATA {
            return Err(Failure::TooLarge("metadata is at most 65,000 bytes"));
        }
        app.describe(self.memory_dir(), Metadata { host, time, json: text });
        Ok(())
    }

    /// Utilisation is a percentage of all processors, so at most 100; what agents send can be far
    /// above, as two of them measure it wrongly.
    fn sample(
        &self,
        app: &Application,
        name: &str,
        value: Option<f64>,
        most: f64,
        time: UnixNanos,
        now: UnixNanos,
    ) -> Result<(), Failure> {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            self.counters.samples_clamped.add(1);
            return Ok(());
        };
        let clamped = value.clamp(0.0, most);
        self.counters.samples_clamped.add(u64::from(clamped != value));
        let metric = Metric { time, value: clamped, name: Text::Bytes(name.as_bytes()) };
        self.with_core(app, now, |core| {
            core::record(core, NameId(0), |out| out.metric(&metric, std::iter::empty()))
        })
        .map(|_| ())
    }
}

fn number(value: &Scalar<'_>) -> Option<f64> {
    match value {
        Scalar::I64(number) => Some(*number as f64),
        Scalar::F64(number) => Some(*number),
        Scalar::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}
