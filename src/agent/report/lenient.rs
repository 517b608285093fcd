//! Deserialising what other agents wrote: a field that is missing, null or of another type takes
//! its default, and costs neither its neighbours nor the file.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A structure, or its default when the value has another shape.
pub fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// The elements that have the right shape, in their order.
pub fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(match Value::deserialize(from)? {
        Value::Array(items) => {
            items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
        }
        _ => Vec::new(),
    })
}

/// As [`list`], but `None` when there is no list, so that its content can be derived instead.
pub fn optional_list<'de, D, T>(from: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(match Value::deserialize(from)? {
        Value::Array(items) => {
            Some(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
        }
        _ => None,
    })
}

/// Text; numbers and booleans as their text.
pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(value_text(Value::deserialize(from)?))
}

/// The text of a scalar; nothing for anything else.
pub fn value_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// A finite number that is not negative: a time, a size. Numbers inside strings count.
pub fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(value_amount(&Value::deserialize(from)?))
}

/// A count: as [`amount`], whole.
pub fn count<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    // `as` saturates, which is what a count beyond all bounds should do.
    Ok(value_amount(&Value::deserialize(from)?) as u64)
}

fn value_amount(value: &Value) -> f64 {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite()).unwrap_or(0.0).max(0.0)
}

/// A scope as `Type/name`: sent as an object in metrics, as a string in the database metrics, and
/// as null or an empty object where there is none.
pub fn scope<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text,
        Value::Object(mut key) => {
            let mut part = |name| key.remove(name).map(value_text).unwrap_or_default();
            match (part("bucket"), part("name")) {
                (bucket, name) if name.is_empty() => bucket,
                (bucket, name) if bucket.is_empty() => name,
                (bucket, name) => format!("{bucket}/{name}"),
            }
        }
        _ => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Default, Debug, PartialEq)]
    #[serde(default)]
    struct Probe {
        #[serde(deserialize_with = "text")]
        text: String,
        #[serde(deserialize_with = "amount")]
        amount: f64,
        #[serde(deserialize_with = "count")]
        count: u64,
        #[serde(deserialize_with = "scope")]
        scope: String,
        #[serde(deserialize_with = "list")]
        list: Vec<Vec<u64>>,
    }

    fn probe(json: &str) -> Probe {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn wrong_types_cost_only_their_own_field() {
        let odd = probe(r#"{"text":[1],"amount":"x","count":{},"scope":7,"list":"no"}"#);
        assert_eq!(odd, Probe::default());
        let mixed = probe(r#"{"text":3,"amount":"1.5","count":2.9,"list":[[1],"x",[2,3]]}"#);
        assert_eq!((mixed.text.as_str(), mixed.amount, mixed.count), ("3", 1.5, 2));
        assert_eq!(mixed.list, [vec![1], vec![2, 3]]);
        assert_eq!(probe(r#"{"amount":-3,"count":-1}"#), Probe::default());
        assert_eq!(probe(r#"{"count":1e300}"#).count, u64::MAX);
    }

    #[test]
    fn a_scope_is_an_object_a_string_or_nothing() {
        let scope = |json: &str| probe(&format!(r#"{{"scope":{json}}}"#)).scope;
        assert_eq!(scope(r#"{"bucket":"Controller","name":"a/b"}"#), "Controller/a/b");
        assert_eq!(scope(r#""Job/mail""#), "Job/mail");
        assert_eq!(scope(r#"{"bucket":"Unknown"}"#), "Unknown");
        assert_eq!(scope("{}"), "");
        assert_eq!(scope("null"), "");
    }
}
