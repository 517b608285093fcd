use super::args::Args;
use super::client::ask;
use super::plan::{example, plan};
use crate::agent::protocol::Command;
use crate::config::{Destination, Environment, Settings, Source, without_user};
use crate::core;
use crate::spool;
use std::io::{self, Write};

/// Shows the settings that an agent with these arguments would have, and where each comes from.
pub fn config(args: &Args, out: &mut impl Write) -> io::Result<u8> {
    let plan = plan(args, &Environment::read());
    let settings = match Settings::read(&example(&plan), &plan.environment) {
        Ok(settings) => settings,
        Err(error) => {
            writeln!(out, "{}", error.0)?;
            return Ok(1);
        }
    };
    for address in args.addresses() {
        writeln!(out, "{:24} {address}", "listens at")?;
    }
    writeln!(out, "{:24} {}", "payloads go to", destination(&settings))?;
    writeln!(out)?;
    for (key, setting) in settings.iter() {
        // Of one application, which says so itself.
        if key.hidden || key.secret || matches!(key.name, "name" | "monitor") {
            continue;
        }
        let value = match &setting.value {
            serde_json::Value::Null => "-".to_owned(),
            value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        let value = if key.name == "proxy" { without_user(&value) } else { value };
        let source = match setting.source {
            Source::Options => "flag or agent".to_owned(),
            Source::Environment => key.variable(),
            Source::Default => "default".to_owned(),
        };
        writeln!(out, "{:24} {value:32} {source}", key.name)?;
    }
    writeln!(out, "\nWhat each means: docs/configuration.md. Of the SCOUT_* variables, an agent")?;
    writeln!(out, "reads only those that concern it as a whole: docs/agent.md.")?;
    Ok(0)
}

fn destination(settings: &Settings) -> String {
    match Destination::of(settings) {
        Ok(Destination::DataDirectory) => "the data directory".to_owned(),
        Ok(Destination::Directory(path)) => format!("{} (a directory each)", path.display()),
        Ok(Destination::Service { checkin, .. }) => {
            format!("{checkin} (applications without a key: the data directory)")
        }
        Err(error) => error.0,
    }
}

/// Says what is right and wrong with an agent and its surroundings. Exit code 0 if one answers
/// and nothing is wrong.
pub fn diagnose(args: &Args, out: &mut impl Write) -> io::Result<u8> {
    let mut wrong = false;
    let environment = Environment::read();
    let plan = plan(args, &environment);
    writeln!(out, "scout-core-agent {}", env!("CARGO_PKG_VERSION"))?;
    match core::check_options(&example(&plan), plan.environment.clone()) {
        Ok(()) => writeln!(out, "ok     settings")?,
        Err(failure) => {
            wrong = true;
            writeln!(out, "WRONG  settings: {failure}")?;
        }
    }
    let configured = args.data_dir.as_deref().or_else(|| plan.environment.get("SCOUT_DATA_DIR"));
    let place = spool::choose(configured, &plan.environment);
    match &place.found {
        Some((path, _)) => writeln!(out, "ok     data directory {}", path.display())?,
        None => {
            wrong = true;
            writeln!(out, "WRONG  no data directory: an outage of the receiver loses data")?;
        }
    }
    for line in &place.passed_over {
        writeln!(out, "       not used: {line}")?;
    }
    for address in args.addresses() {
        match ask(&address, Command::CoreAgentDiagnose) {
            Ok(answer) => {
                writeln!(out, "ok     {address} answers")?;
                let report = answer.get("CoreAgentDiagnose").unwrap_or(&answer);
                let text = serde_json::to_string_pretty(report).unwrap_or_default();
                writeln!(out, "{text}")?;
            }
            Err(error) => {
                wrong = true;
                writeln!(out, "WRONG  {address}: {error}{}", advice(&error))?;
            }
        }
    }
    Ok(u8::from(wrong))
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => " (nothing listens there: start one)",
        io::ErrorKind::NotFound => " (there is no such socket: start one)",
        io::ErrorKind::PermissionDenied => " (another user's: see --socket-mode, --socket-group)",
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            " (something listens, and is silent)"
        }
        _ => "",
    }
}
