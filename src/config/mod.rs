//! What can be configured: one table of keys, from which parsing, error messages,
//! `docs/configuration.md` and `scout-core-agent config` are produced.
//!
//! Pure: the environment comes in as an argument, read once by [`Environment::read`].

mod destination;
mod environment;
mod keys;
mod secret;
mod settings;

pub use destination::Destination;
pub use environment::Environment;
pub use keys::{KEYS, Key, Kind};
pub use secret::Secret;
pub use settings::{OptionsError, Setting, Settings, Source};

/// The table of keys as Markdown: the body of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut text =
        String::from("| key | environment | type | default | meaning |\n|---|---|---|---|---|\n");
    for key in KEYS.iter().filter(|key| !key.hidden) {
        let default = if key.default.is_empty() { "" } else { key.default };
        text.push_str(&format!(
            "| `{}` | `{}` | {} | {} | {} |\n",
            key.name,
            key.variable(),
            key.kind.allowed(),
            if default.is_empty() { "–".to_owned() } else { format!("`{default}`") },
            key.meaning
        ));
    }
    text
}
