use std::collections::BTreeMap;

/// Variables that are read besides `SCOUT_*`.
const OTHERS: &[&str] = &[
    "DYNO",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "HOME",
    "HTTPS_PROXY",
    "KAMAL_VERSION",
    "NO_PROXY",
    "TMPDIR",
    "VCAP_APPLICATION",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "https_proxy",
    "no_proxy",
];

/// The environment as it was at the start. Read once, on the caller's thread: a later `getenv`
/// from a thread of ours would race the host's `setenv`.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads what concerns us. Values that are not UTF-8, and blank ones, count as unset.
    pub fn read() -> Environment {
        let keys = super::KEYS.iter().map(super::Key::variable);
        let others = OTHERS.iter().map(|name| (*name).to_owned());
        let pairs = keys.chain(others).filter_map(|name| {
            let value = std::env::var(&name).ok().filter(|value| !value.trim().is_empty())?;
            Some((name, value))
        });
        Environment(pairs.collect())
    }

    /// An environment of these variables.
    pub fn of(pairs: &[(&str, &str)]) -> Environment {
        Environment(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
