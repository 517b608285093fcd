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
pub use secret::{Secret, without_user};
pub use settings::{OptionsError, Setting, Settings, Source};

const INTRODUCTION: &str = "\
# Configuration

Every key can be given in the options of `scout_start`, as JSON, and in the environment. The
environment wins over the options, the options over the defaults. The environment is read once, at
the start; blank variables count as unset. In the environment, a list is separated by commas or
written as a JSON array. An unknown option or a bad value is an error that says what is allowed.

Generated from `src/config/keys.rs`: `make docs` writes it.

";

const DURABILITY: &str = "
## Durability

| level | survives | what is there |
|---|---|---|
| memory | nothing | records, where there is no directory for files |
| spooled | the process, however it ends | every record whose call returned `SCOUT_OK` |
| fsynced | the machine | minutes that are over, and everything before a flush that returned `SCOUT_OK` or `SCOUT_SPOOLED` |

What a process leaves behind, the next core with the same name, key and data directory recovers:
at its start, and every fifteen seconds. `scout_diagnose` names the level in force and the
directories in use.
";

/// The body of `docs/configuration.md`.
pub fn document() -> String {
    [INTRODUCTION, &markdown(), DURABILITY].concat()
}

/// The table of keys as Markdown.
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
