use super::args::Args;
use crate::agent::intake::Plan;
use crate::config::{Environment, KEYS};
use crate::spool;
use crate::sys::dir::Dir;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The settings that concern the agent as a whole. It may have been started by any of the
/// applications that use it, and inherits that one's environment: the other settings in it are
/// that application's own, and it has applied them itself before it sends anything.
const OURS: &[&str] = &[
    "destination",
    "host",
    "data_dir",
    "http_timeout_ms",
    "payload_limit_mib",
    "spool_limit_mib",
    "recorder_memory_mib",
    "proxy",
    "ca_cert",
    "sql_naming",
];
/// Variables that say where this machine keeps files, and how it reaches others.
const MACHINE: &[&str] = &[
    "DYNO",
    "HOME",
    "HTTPS_PROXY",
    "NO_PROXY",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "https_proxy",
    "no_proxy",
];
/// One segment of memory for each thread and application, and room for a disk that is slow.
const RECORDER_MEMORY_MIB: u64 = 64;

/// What the cores are started with: flags first, then the environment.
pub(super) fn plan(args: &Args, environment: &Environment) -> Plan {
    let flags = [
        ("destination", &args.destination),
        ("host", &args.ingest_url),
        ("data_dir", &args.data_dir),
        ("proxy", &args.proxy),
        ("ca_cert", &args.ca_cert),
    ];
    let mut options = Map::new();
    options.insert("recorder_memory_mib".into(), RECORDER_MEMORY_MIB.into());
    options.insert("log_level".into(), args.log_level.of_core().into());
    for (key, value) in flags {
        if let Some(value) = value {
            options.insert(key.to_owned(), value.as_str().into());
        }
    }
    let ours = KEYS.iter().filter(|key| OURS.contains(&key.name));
    let mut names: Vec<String> = ours
        .filter(|key| !flags.iter().any(|(flag, value)| *flag == key.name && value.is_some()))
        .map(|key| key.variable())
        .collect();
    // An address given for this start alone must not be overruled by a general one.
    if args.ingest_url.is_some() && args.destination.is_none() {
        names.retain(|name| name != "SCOUT_DESTINATION");
    }
    names.extend(MACHINE.iter().map(|name| (*name).to_owned()));
    let pairs = |names: &[String]| -> Vec<(String, String)> {
        let get = |name: &String| Some((name.clone(), environment.get(name)?.to_owned()));
        names.iter().filter_map(get).collect()
    };
    let destination = args.destination.clone().or_else(|| {
        pairs(&names).into_iter().find(|(name, _)| name == "SCOUT_DESTINATION").map(|(_, v)| v)
    });
    let directory = destination
        .as_deref()
        .and_then(|destination| destination.strip_prefix("file://"))
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from);
    if directory.is_some() {
        options.remove("destination");
        names.retain(|name| name != "SCOUT_DESTINATION");
    }
    let pairs = pairs(&names);
    let borrowed: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Plan { options, environment: Environment::of(&borrowed), directory, memory: None }
}

/// Where the agent keeps what it is to remember: in the data directory, if there is one.
pub(super) fn memory(plan: &Plan) -> Option<Dir> {
    let configured = plan.options.get("data_dir").and_then(Value::as_str);
    let configured = configured.or_else(|| plan.environment.get("SCOUT_DATA_DIR"));
    let (_, dir) = spool::choose(configured, &plan.environment).found?;
    dir.subdir("agent").ok()
}

/// What a core of this plan would be started with, for an application with a key.
pub(super) fn example(plan: &Plan) -> String {
    let mut options = plan.options.clone();
    options.insert("key".into(), "example".into());
    if let Some(directory) = &plan.directory {
        let url = format!("file://{}", directory.display());
        options.insert("destination".into(), url.into());
    }
    Value::Object(options).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::daemon::parse;
    use std::ffi::OsString;

    fn of(args: &[&str], environment: &[(&str, &str)]) -> Plan {
        let args = parse(args.iter().map(OsString::from)).unwrap();
        plan(&args, &Environment::of(environment))
    }

    #[test]
    fn what_is_one_applications_own_stays_out() {
        let environment = [
            ("SCOUT_NAME", "Shop"),
            ("SCOUT_KEY", "k"),
            ("SCOUT_MONITOR", "false"),
            ("SCOUT_LOG_LEVEL", "WARNING"),
            ("SCOUT_SAMPLE_RATE", "10"),
            ("SCOUT_HOST", "https://example.com"),
            ("HOME", "/root"),
        ];
        let plan = of(&[], &environment);
        for name in
            ["SCOUT_NAME", "SCOUT_KEY", "SCOUT_MONITOR", "SCOUT_LOG_LEVEL", "SCOUT_SAMPLE_RATE"]
        {
            assert_eq!(plan.environment.get(name), None, "{name}");
        }
        assert_eq!(plan.environment.get("SCOUT_HOST"), Some("https://example.com"));
        assert_eq!(plan.environment.get("HOME"), Some("/root"));
    }

    #[test]
    fn flags_come_before_the_environment() {
        let environment =
            [("SCOUT_HOST", "https://a"), ("SCOUT_DESTINATION", "https://c"), ("SCOUT_PROXY", "p")];
        let plan = of(&["--ingest-url", "https://b"], &environment);
        assert_eq!(plan.environment.get("SCOUT_HOST"), None);
        assert_eq!(plan.environment.get("SCOUT_DESTINATION"), None);
        assert_eq!(plan.options["host"], "https://b");
        assert_eq!(plan.environment.get("SCOUT_PROXY"), Some("p"));
        let plan = of(&[], &[("SCOUT_DESTINATION", "file:///var/x")]);
        assert_eq!(plan.directory, Some("/var/x".into()));
        assert_eq!(plan.environment.get("SCOUT_DESTINATION"), None);
        let plan = of(&["--destination", "file:///var/y"], &environment);
        assert_eq!(plan.directory, Some("/var/y".into()));
        assert!(!plan.options.contains_key("destination"));
    }
}
