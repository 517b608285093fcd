use super::metadata::Metadata;
use crate::engine::Period;
use serde_json::Value;

/// What the application said about itself in a period, completed: the body of `app_server_load`.
/// `None` in periods in which it said nothing: it does when it starts.
///
/// Source: facts/scout.md 3.4 for the keys, 3.3 for JSON in place of Ruby's Marshal.
pub fn server_load(period: &Period, metadata: &Metadata) -> Option<Vec<u8>> {
    let said = period.application.as_ref()?;
    let minute = said.time.minute();
    if minute < period.minute || minute > period.until {
        return None;
    }
    let mut fields = said.fields.clone();
    let mut complete = |field: &str, value: &str| {
        let held = fields.entry(field).or_insert(Value::Null);
        if !value.is_empty() && (held.is_null() || held.as_str() == Some("")) {
            *held = value.into();
        }
    };
    complete("application_name", &metadata.app_name);
    complete("application_root", &metadata.app_root);
    complete("hostname", &metadata.hostname);
    complete("git_sha", &metadata.git_sha);
    complete("paas", &metadata.paas);
    complete("server_time", &said.time.iso8601(false).to_string());
    complete("agent_version", &metadata.agent_version);
    serde_json::to_vec(&fields).ok()
}
