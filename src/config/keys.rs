/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// Any text.
    Text,
    /// A whole number within bounds.
    Integer {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// 0 to 1, or a percentage above 1 up to 100.
    Rate,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Texts.
    List,
    /// Pairs of a prefix and a rate.
    Rates,
}

impl Kind {
    /// What is allowed, for a person.
    pub fn allowed(&self) -> String {
        match self {
            Kind::Bool => "true or false".into(),
            Kind::Text => "text".into(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Rate => "a fraction from 0 to 1, or a percentage up to 100".into(),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
            Kind::List => "a list of texts".into(),
            Kind::Rates => "a list of \"prefix:rate\"".into(),
        }
    }
}

/// One thing that can be configured.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the options.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its default, as it would be written in the environment; empty for none.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub meaning: &'static str,
    /// Never shown.
    pub secret: bool,
    /// For tests of this library; not documented.
    pub hidden: bool,
}

impl Key {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("SCOUT_{}", self.name.to_ascii_uppercase())
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning, secret: false, hidden: false }
}

const fn secret(name: &'static str, meaning: &'static str) -> Key {
    Key { secret: true, ..key(name, Kind::Text, "", meaning) }
}

const fn hidden(name: &'static str, kind: Kind) -> Key {
    Key { hidden: true, ..key(name, kind, "", "") }
}

/// Every key, in the order in which they are documented.
pub const KEYS: &[Key] = &[
    key("monitor", Kind::Bool, "true", "Whether anything is recorded at all."),
    key(
        "name",
        Kind::Text,
        "App",
        "The application's name. Processes with one name and key are one application.",
    ),
    secret(
        "key",
        "The account's key. Without one, payloads are written to files, and nothing leaves the machine.",
    ),
    key(
        "destination",
        Kind::Text,
        "",
        "Where payloads go: `https://host`, `http://` on loopback, or `file:///directory`. Default: `host` when there is a key, else `payloads` in the data directory.",
    ),
    key(
        "host",
        Kind::Text,
        "https://checkin.scoutapp.com",
        "The check-in service, used when there is a key and no destination.",
    ),
    key(
        "errors_host",
        Kind::Text,
        "https://errors.scoutapm.com",
        "The error service, used when there is a key and no destination.",
    ),
    key("errors_enabled", Kind::Bool, "true", "Whether exceptions are reported in detail."),
    key(
        "data_dir",
        Kind::Text,
        "",
        "Where files are kept. Default: `scout` in `$XDG_STATE_HOME`, `~/.local/state` or `/var/lib`; else a private directory in the temporary one.",
    ),
    key(
        "log_level",
        Kind::OneOf(&["error", "warn", "info", "debug"]),
        "info",
        "The least important lines that `scout_next_log` gives.",
    ),
    key(
        "hostname",
        Kind::Text,
        "",
        "The machine's name in payloads. Default: `$DYNO`, or what the machine calls itself.",
    ),
    key(
        "revision_sha",
        Kind::Text,
        "",
        "The deployed revision. Default: `$HEROKU_BUILD_COMMIT`, `$HEROKU_SLUG_COMMIT` or `$KAMAL_VERSION`; else what the application says; else `REVISION`, `.mina_git_revision` or the git checkout in `application_root`.",
    ),
    key(
        "application_root",
        Kind::Text,
        "",
        "The application's directory: backtraces are shown relative to it.",
    ),
    key(
        "scm_subdirectory",
        Kind::Text,
        "",
        "Where the application lies in its repository: backtraces are prefixed with it.",
    ),
    key("sample_rate", Kind::Rate, "1", "Fraction of all requests that is kept."),
    key(
        "sample_endpoints",
        Kind::Rates,
        "",
        "Fractions by prefix of a web request's path or name; the first that fits decides.",
    ),
    key("sample_jobs", Kind::Rates, "", "Fractions by name of job."),
    key(
        "endpoint_sample_rate",
        Kind::Rate,
        "",
        "Fraction of the web requests that no entry above names.",
    ),
    key("job_sample_rate", Kind::Rate, "", "Fraction of the jobs that no entry above names."),
    key(
        "ignore",
        Kind::List,
        "",
        "Web requests to leave out, by path or name: prefixes, in which `*` stands for any text, or regular expressions (what holds one of `\\ ( [ | ^ $ {`, `.*`, `.+`), which must fit from the start.",
    ),
    key(
        "ignore_jobs",
        Kind::List,
        "",
        "Names of jobs to leave out; the same patterns, for the whole name.",
    ),
    key(
        "uri_reporting",
        Kind::OneOf(&["filtered_params", "path", "full_path"]),
        "filtered_params",
        "How a request's address is shown: with sensitive parameters replaced, without its query, or as it is.",
    ),
    key("uri_filtered_params", Kind::List, "", "Names of further sensitive parameters."),
    key(
        "errors_filtered_params",
        Kind::List,
        "",
        "The same list under the name that the Ruby and PHP agents have for it; both lists count everywhere.",
    ),
    key(
        "record_queue_time",
        Kind::Bool,
        "true",
        "Whether the time before a request reached the application is counted.",
    ),
    key("collect_remote_ip", Kind::Bool, "true", "Whether users' addresses are kept."),
    key("timeline_traces", Kind::Bool, "true", "Whether slow requests carry their spans."),
    key(
        "errors_ignored_exceptions",
        Kind::List,
        "ActiveRecord::RecordNotFound,ActionController::RoutingError",
        "Classes of exceptions not to report: their very names.",
    ),
    key(
        "sql_dialect",
        Kind::OneOf(&["generic", "postgres", "mysql", "sqlite", "mssql", "oracle", "cassandra"]),
        "generic",
        "How SQL is read where a span does not say (tag `db.system`). `generic` is the strictest.",
    ),
    key(
        "sql_naming",
        Kind::OneOf(&["model", "table"]),
        "model",
        "How SQL spans are named: `SQL/User/select` or `SQL/users/select`.",
    ),
    key(
        "recorder_memory_mib",
        Kind::Integer { min: 1, max: 1024 },
        "16",
        "The most memory for records that are not analysed yet, in MiB. Taken as it is needed.",
    ),
    key(
        "spool_limit_mib",
        Kind::Integer { min: 1, max: 65_536 },
        "64",
        "The most disk for periods that are not delivered yet, in MiB.",
    ),
    key(
        "payload_limit_mib",
        Kind::Integer { min: 1, max: 65_536 },
        "64",
        "The most disk for payload files in a directory, in MiB; the oldest are removed.",
    ),
    key(
        "background",
        Kind::Bool,
        "true",
        "Whether the core has a background thread. Without one, all work is done in flush and shutdown.",
    ),
    key(
        "http_timeout_ms",
        Kind::Integer { min: 100, max: 120_000 },
        "10000",
        "How long one delivery may take, in milliseconds.",
    ),
    key(
        "proxy",
        Kind::Text,
        "",
        "The HTTP proxy for deliveries, `http://user:password@host:port`. Default: `$HTTPS_PROXY`, unless `$NO_PROXY` names the host.",
    ),
    key(
        "ca_cert",
        Kind::Text,
        "",
        "A PEM file of certificate authorities to trust instead of the built-in ones.",
    ),
    hidden("test_panic", Kind::OneOf(&["record", "worker", "deliver", "recover"])),
];
