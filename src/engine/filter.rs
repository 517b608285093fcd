/// What stands in for a secret.
pub(crate) const FILTERED: &str = "[FILTERED]";

/// Names whose values are never shown, in lower case.
const SENSITIVE: [&str; 26] = [
    "access",
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authorization",
    "card[number]",
    "certificate",
    "credentials",
    "crypt",
    "key",
    "mysql_pwd",
    "otp",
    "passwd",
    "password",
    "private",
    "protected",
    "s3-key",
    "salt",
    "scout_key",
    "secret",
    "secret_key",
    "ssn",
    "stripetoken",
    "token",
];

/// Tells which names hold secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    extra: Vec<String>,
}

impl Filter {
    pub(crate) fn new(extra: &[String]) -> Self {
        Filter { extra: extra.iter().map(|name| name.to_lowercase()).collect() }
    }

    /// Whether `name`, or one of the parts of `user[password]`, is sensitive.
    pub(crate) fn hides(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let known =
            |part: &str| SENSITIVE.contains(&part) || self.extra.iter().any(|extra| extra == part);
        known(&name)
            || name.contains('[') && name.split('[').any(|part| known(part.trim_end_matches(']')))
    }

    /// Replaces the values of sensitive members, at any depth.
    pub(crate) fn clean(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if self.hides(name) {
                        *member = Value::from(FILTERED);
                    } else {
                        self.clean(member);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean(item)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_by_name_in_any_case_and_at_any_depth() {
        let filter = Filter::new(&["Own-Key".to_owned()]);
        for name in ["password", "PASSWORD", "S3-Key", "own-key", "user[password]", "card[number]"]
        {
            assert!(filter.hides(name), "{name}");
        }
        for name in ["passwords", "user", "monkey", "number"] {
            assert!(!filter.hides(name), "{name}");
        }
        let mut value = serde_json::json!({"a": [{"token": {"b": 1}}], "q": "x"});
        filter.clean(&mut value);
        assert_eq!(value, serde_json::json!({"a": [{"token": "[FILTERED]"}], "q": "x"}));
    }
}
