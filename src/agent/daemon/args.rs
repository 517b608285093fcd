use super::config_file;
use super::logger::Level;
use crate::agent::server::{Address, UnixOptions};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where agents look for us when they are told nothing else.
const DEFAULT_TCP: &str = "127.0.0.1:6590";

/// What the commands that concern a running agent are asked for.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// `--socket`.
    pub socket: Option<Address>,
    /// `--tcp`.
    pub tcp: Option<Address>,
    /// `--daemonize`.
    pub daemonize: bool,
    /// `--log-level`.
    pub log_level: Level,
    /// What was given as `--log-level`, if it was no level.
    pub odd_log_level: Option<String>,
    /// `--log-file`.
    pub log_file: Option<PathBuf>,
    /// `--config-file`: its name, for the log.
    pub config_file: Option<PathBuf>,
    /// `--ingest-url`, or what the configuration file says.
    pub ingest_url: Option<String>,
    /// `--destination`.
    pub destination: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// `--proxy`.
    pub proxy: Option<String>,
    /// `--ca-cert`.
    pub ca_cert: Option<String>,
    /// `--allow-remote`.
    pub allow_remote: bool,
    /// `--socket-mode` and `--socket-group`.
    pub unix: UnixOptions,
    /// `--threads`.
    pub threads: Option<usize>,
}

impl Args {
    /// Where to listen, or to look; the agents' default if nothing is said.
    pub fn addresses(&self) -> Vec<Address> {
        let mut all: Vec<Address> =
            [&self.tcp, &self.socket].into_iter().flatten().cloned().collect();
        if all.is_empty() {
            all.extend(Address::tcp(DEFAULT_TCP));
        }
        all
    }
}

/// Reads the arguments after a command. The error is one sentence for a person.
///
/// Both `--flag value` and `--flag=value`, as the agents' own launchers and people write them.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, String> {
    let mut parsed = Args::default();
    let mut config_files = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let text = arg.to_str().ok_or_else(|| format!("{arg:?} is not UTF-8"))?.to_owned();
        let (flag, inline) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value)),
            _ => (text.clone(), None),
        };
        let mut value = || match inline {
            Some(value) => Ok(value.to_owned()),
            None => args
                .next()
                .and_then(|value| value.into_string().ok())
                .ok_or_else(|| format!("{flag} needs a value")),
        };
        match flag.as_str() {
            "--socket" => parsed.socket = Some(Address::unix(&value()?)?),
            "--tcp" => parsed.tcp = Some(Address::tcp(&value()?)?),
            "--daemonize" => parsed.daemonize = truth(&flag, &value()?)?,
            "--log-level" => {
                let text = value()?;
                match Level::named(&text) {
                    Some(level) => parsed.log_level = level,
                    // An agent must not fail to start over this.
                    None => parsed.odd_log_level = Some(text),
                }
            }
            "--log-file" => parsed.log_file = Some(value()?.into()),
            "--config-file" => config_files.push(PathBuf::from(value()?)),
            "--ingest-url" => parsed.ingest_url = Some(value()?),
            "--destination" => parsed.destination = Some(value()?),
            "--data-dir" => parsed.data_dir = Some(value()?),
            "--proxy" => parsed.proxy = Some(value()?),
            "--ca-cert" => parsed.ca_cert = Some(value()?),
            "--socket-mode" => parsed.unix.mode = mode(&value()?)?,
            "--socket-group" => parsed.unix.group = Some(value()?),
            "--threads" => parsed.threads = Some(threads(&value()?)?),
            "--allow-remote" => {
                parsed.allow_remote = inline.map_or(Ok(true), |value| truth(&flag, value))?;
            }
            _ if flag.starts_with('-') => {
                return Err(format!("there is no option {}", flag.escape_debug()));
            }
            _ => return Err(format!("{} is not expected here", text.escape_debug())),
        }
    }
    for file in config_files {
        // A file that is not there is no reason to fail: agents name theirs whether they wrote it
        // or not. What is said on the command line comes first.
        if let Some(url) = config_file::ingest_url(&file) {
            parsed.ingest_url.get_or_insert(url);
        }
        parsed.config_file = Some(file);
    }
    if let Some(remote) = parsed.tcp.as_ref().filter(|tcp| !tcp.is_local())
        && !parsed.allow_remote
    {
        return Err(format!(
            "{remote} can be reached from other machines, and whoever reaches it can send data and \
             end the agent: say --allow-remote if that is meant"
        ));
    }
    Ok(parsed)
}

fn truth(flag: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(format!("{flag} takes true or false")),
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok();
    mode.filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "--socket-mode takes an octal mode, for instance 0660".to_owned())
}

fn threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok();
    threads
        .filter(|threads| (2..=64).contains(threads))
        .ok_or_else(|| "--threads takes a number from 2 to 64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Result<Args, String> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn as_each_agent_launches_us() {
        let python = of(&[
            "--daemonize",
            "true",
            "--log-level",
            "info",
            "--log-file",
            "/tmp/l",
            "--tcp",
            "127.0.0.1:6590",
        ])
        .unwrap();
        assert!(python.daemonize && python.socket.is_none());
        assert_eq!(python.log_file, Some("/tmp/l".into()));
        let php = of(&["--daemonize", "true", "--log-file", "/dev/null", "--log-level", "DEBUG"]);
        assert_eq!(php.unwrap().log_level, Level::Debug);
        let elixir =
            of(&["--socket", "/x/s.sock", "--daemonize", "false", "--tcp", "127.0.0.1:9000"]);
        assert_eq!(elixir.unwrap().addresses().len(), 2);
        let node = of(&["--tcp", "127.0.0.1:1", "--config-file", "/nonexistent/config.toml"]);
        assert!(!node.unwrap().daemonize);
        assert_eq!(of(&[]).unwrap().addresses(), [Address::tcp("127.0.0.1:6590").unwrap()]);
        assert_eq!(of(&["--log-level=loud"]).unwrap().odd_log_level.as_deref(), Some("loud"));
    }

    #[test]
    fn mistakes_are_said() {
        for (args, part) in [
            (&["--tcp", "0.0.0.0:1"][..], "--allow-remote"),
            (&["--tcp"], "--tcp needs a value"),
            (&["--daemonize", "maybe"], "true or false"),
            (&["--socket-mode", "9"], "octal"),
            (&["--dance"], "no option --dance"),
            (&["dance"], "not expected"),
        ] {
            let error = of(args).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(of(&["--tcp", "0.0.0.0:1", "--allow-remote"]).is_ok());
        assert_eq!(of(&["--socket-mode", "0660"]).unwrap().unix.mode, 0o660);
    }
}
