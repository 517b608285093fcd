use crate::engine::{Frame, Scalar};
use crate::model::UnixNanos;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Nanoseconds, shown as seconds.
#[derive(Clone, Copy)]
pub(super) struct Seconds(pub u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e9)
    }
}

/// An instant, shown as ISO 8601; with microseconds or without a fraction.
#[derive(Clone, Copy)]
pub(super) struct Instant(pub UnixNanos, pub bool);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.iso8601(self.1))
    }
}

/// `Type/name` as `{bucket, name}`.
#[derive(Serialize)]
pub(super) struct Name<'a> {
    pub bucket: &'a str,
    pub name: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        let (bucket, name) = name.split_once('/').unwrap_or((name, name));
        Name { bucket, name }
    }

    /// `None` for no name.
    pub(super) fn unless_empty(name: &'a str) -> Option<Self> {
        (!name.is_empty()).then(|| Name::of(name))
    }
}

/// A value as the Ruby agent's encoder writes it: truth values are text.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a>(pub &'a Scalar);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Scalar::Str(text) => serializer.serialize_str(text),
            Scalar::I64(number) => serializer.serialize_i64(*number),
            // Not a number is null in JSON.
            Scalar::F64(number) => serializer.serialize_f64(*number),
            Scalar::Bool(flag) => serializer.serialize_str(yes_no(*flag)),
        }
    }
}

/// A truth value as text.
pub(super) fn yes_no(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// A list of keys and values as an object.
pub(super) struct Members<'a>(pub &'a [(String, Scalar)]);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, Shown(value))))
    }
}

/// A trace's context: what was said of the request, its id, and of the user.
pub(super) struct ContextOf<'a> {
    pub extra: &'a [(String, Scalar)],
    pub user: &'a [(String, Scalar)],
    pub transaction_id: &'a str,
}

impl Serialize for ContextOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.extra {
            // These two are ours.
            if key != "transaction_id" && key != "user" {
                map.serialize_entry(key, &Shown(value))?;
            }
        }
        map.serialize_entry("transaction_id", self.transaction_id)?;
        map.serialize_entry("user", &Members(self.user))?;
        map.end()
    }
}

/// A backtrace.
pub(super) struct Backtrace<'a>(pub &'a [Frame]);

impl Serialize for Backtrace<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}
