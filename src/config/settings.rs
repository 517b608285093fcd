use super::{Environment, KEYS, Key, Kind, Secret};
use serde_json::{Map, Value};
use std::fmt;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The built-in default.
    Default,
    /// The options given to start.
    Options,
    /// An environment variable.
    Environment,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Default => "default",
            Source::Options => "options",
            Source::Environment => "environment",
        })
    }
}

/// A key's value in its own type, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// `Null` when it is not set and has no default. Rates and numbers are numbers.
    pub value: Value,
    /// Where it came from.
    pub source: Source,
}

/// What is wrong with the options, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError(pub String);

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OptionsError {}

/// All settings, validated. Precedence: environment, options, default.
#[derive(Clone, Debug)]
pub struct Settings(Vec<(&'static Key, Setting)>);

impl Settings {
    /// Reads options, a JSON object or nothing.
    ///
    /// # Errors
    /// Text that is no JSON object, an unknown key, a value that its key does not take.
    pub fn read(options: &str, environment: &Environment) -> Result<Settings, OptionsError> {
        let options = parse_object(options)?;
        if let Some(unknown) = options.keys().find(|name| find(name).is_none()) {
            return Err(unknown_key(unknown));
        }
        let settings = KEYS.iter().map(|key| Ok((key, read_key(key, &options, environment)?)));
        settings.collect::<Result<_, _>>().map(Settings)
    }

    /// All of them, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, &Setting)> {
        self.0.iter().map(|(key, setting)| (*key, setting))
    }

    fn value(&self, name: &str) -> &Value {
        self.0.iter().find(|(key, _)| key.name == name).map_or(&Value::Null, |(_, s)| &s.value)
    }

    /// A text; empty when unset.
    pub fn text(&self, name: &str) -> &str {
        self.value(name).as_str().unwrap_or("")
    }

    /// A text, unless it is unset or empty.
    pub fn text_if_set(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// A secret.
    pub fn secret(&self, name: &str) -> Secret {
        Secret::new(self.text(name))
    }

    /// A truth value.
    pub fn flag(&self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or(false)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> u64 {
        self.value(name).as_u64().unwrap_or(0)
    }

    /// A rate from 0 to 1.
    pub fn rate(&self, name: &str) -> Option<f64> {
        self.value(name).as_f64()
    }

    /// A list of texts.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.value(name).as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }

    /// Pairs of a prefix and a rate from 0 to 1.
    pub fn rates(&self, name: &str) -> Vec<(String, f64)> {
        self.list(name).iter().filter_map(|entry| split_rate(entry)).collect()
    }
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn parse_object(options: &str) -> Result<Map<String, Value>, OptionsError> {
    if options.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(options) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(OptionsError("options must be a JSON object".into())),
        // Not the parser's own words: they may quote what was given, a key for instance.
        Err(error) => Err(OptionsError(format!(
            "options are not valid JSON (line {}, column {})",
            error.line(),
            error.column()
        ))),
    }
}

fn unknown_key(name: &str) -> OptionsError {
    let nearest = KEYS
        .iter()
        .filter(|key| !key.hidden)
        .min_by_key(|key| distance(name, key.name))
        .map_or("", |key| key.name);
    let shown: String = name.chars().take(64).collect();
    OptionsError(format!("unknown option {shown:?}; did you mean {nearest:?}?"))
}

/// Levenshtein distance, for texts of a few dozen characters.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let substituted = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = substituted.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

fn read_key(
    key: &'static Key,
    options: &Map<String, Value>,
    environment: &Environment,
) -> Result<Setting, OptionsError> {
    let variable = key.variable();
    let (value, source) = if let Some(text) = environment.get(&variable) {
        (from_text(key, text), Source::Environment)
    } else if let Some(value) = options.get(key.name).filter(|value| !value.is_null()) {
        (from_json(key, value), Source::Options)
    } else if key.default.is_empty() {
        (Some(Value::Null), Source::Default)
    } else {
        (from_text(key, key.default), Source::Default)
    };
    let name = if source == Source::Environment { variable.as_str() } else { key.name };
    let value =
        value.ok_or_else(|| OptionsError(format!("{name} must be {}", key.kind.allowed())))?;
    Ok(Setting { value, source })
}

fn from_text(key: &Key, text: &str) -> Option<Value> {
    let text = text.trim();
    match key.kind {
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => Some(Value::Bool(true)),
            "false" | "f" | "no" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Integer { .. } => from_json(key, &Value::from(text.parse::<u64>().ok()?)),
        Kind::Rate => from_json(key, &Value::from(text.parse::<f64>().ok()?)),
        Kind::List | Kind::Rates if text.starts_with('[') => {
            from_json(key, &serde_json::from_str(text).ok()?)
        }
        Kind::List | Kind::Rates => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            from_json(key, &items.map(Value::from).collect::<Vec<_>>().into())
        }
        Kind::Text | Kind::OneOf(_) => from_json(key, &Value::from(text)),
    }
}

fn from_json(key: &Key, value: &Value) -> Option<Value> {
    let fits = match key.kind {
        Kind::Bool => value.is_boolean(),
        Kind::Text => value.as_str().is_some_and(|text| text.len() <= 4096),
        Kind::Integer { min, max } => value.as_u64().is_some_and(|n| (min..=max).contains(&n)),
        Kind::Rate => return normal_rate(value.as_f64()?).map(Value::from),
        Kind::OneOf(words) => {
            let word = value.as_str()?.to_ascii_lowercase();
            return words.contains(&word.as_str()).then_some(Value::from(word));
        }
        Kind::List => value.as_array()?.iter().all(Value::is_string),
        Kind::Rates => value
            .as_array()?
            .iter()
            .all(|item| item.as_str().is_some_and(|s| split_rate(s).is_some())),
    };
    fits.then(|| value.clone())
}

/// As the Ruby agent reads rates: above 1 they are percentages.
fn normal_rate(rate: f64) -> Option<f64> {
    let rate = if rate > 1.0 { rate / 100.0 } else { rate };
    (0.0..=1.0).contains(&rate).then_some(rate)
}

fn split_rate(entry: &str) -> Option<(String, f64)> {
    let (prefix, rate) = entry.rsplit_once(':')?;
    let rate = normal_rate(rate.trim().parse().ok()?)?;
    Some((prefix.trim().to_owned(), rate)).filter(|(prefix, _)| !prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(options, &Environment::of(environment)).map_err(|error| error.0)
    }

    #[test]
    fn the_environment_wins_over_options_over_defaults() {
        let settings =
            read(r#"{"name":"Shop","monitor":false}"#, &[("SCOUT_NAME", "Ops")]).unwrap();
        assert_eq!(settings.text("name"), "Ops");
        assert!(!settings.flag("monitor"));
        assert_eq!(settings.text("log_level"), "info");
        let sources: Vec<_> = settings.iter().take(4).map(|(_, s)| s.source).collect();
        use Source::*;
        assert_eq!(sources, [Options, Environment, Default, Default]);
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let error = |options| read(options, &[]).unwrap_err();
        assert_eq!(error("[]"), "options must be a JSON object");
        assert_eq!(error("{"), "options are not valid JSON (line 1, column 1)");
        assert_eq!(error(r#"{"nmae":"x"}"#), r#"unknown option "nmae"; did you mean "name"?"#);
        assert_eq!(error(r#"{"monitor":"yes"}"#), "monitor must be true or false");
        assert_eq!(
            error(r#"{"log_level":"loud"}"#),
            "log_level must be one of error, warn, info, debug"
        );
        assert_eq!(
            error(r#"{"recorder_memory_mib":0}"#),
            "recorder_memory_mib must be a whole number from 1 to 1024"
        );
        let error = read("", &[("SCOUT_MONITOR", "maybe")]).unwrap_err();
        assert_eq!(error, "SCOUT_MONITOR must be true or false");
    }

    #[test]
    fn rates_and_lists_in_every_form() {
        let settings = read(
            r#"{"sample_rate": 40, "sample_jobs": ["mailer:0.5"], "ignore": ["/up"]}"#,
            &[("SCOUT_SAMPLE_ENDPOINTS", "/a:40, /b:0"), ("SCOUT_IGNORE_JOBS", r#"["x","y"]"#)],
        )
        .unwrap();
        assert_eq!(settings.rate("sample_rate"), Some(0.4));
        assert_eq!(settings.rates("sample_jobs"), [("mailer".to_owned(), 0.5)]);
        let endpoints = [("/a".to_owned(), 0.4), ("/b".to_owned(), 0.0)];
        assert_eq!(settings.rates("sample_endpoints"), endpoints);
        assert_eq!(settings.list("ignore_jobs"), ["x", "y"]);
        assert!(read(r#"{"sample_rate": 101}"#, &[]).is_err());
        assert!(read(r#"{"sample_jobs": ["mailer"]}"#, &[]).is_err());
    }

    #[test]
    fn a_secret_is_not_in_an_error() {
        let error = read(r#"{"key":"s3cr3t-s3cr3t" x}"#, &[]).unwrap_err();
        assert!(!error.contains("s3cr"), "{error}");
    }

    #[test]
    fn every_default_is_a_value_its_key_takes() {
        let settings = read("", &[]).unwrap();
        for (key, setting) in settings.iter() {
            assert_eq!(setting.value.is_null(), key.default.is_empty(), "{}", key.name);
        }
    }
}
