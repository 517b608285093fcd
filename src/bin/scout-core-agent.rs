//! Arguments and exit codes of the core agent; everything else is in the library.

use scoutcore::agent::{daemon, report};
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let command = args.next();
    let rest: Vec<OsString> = args.collect();
    let command = command.as_ref().map(|command| command.to_string_lossy());
    let wants_help = rest.iter().any(|arg| arg == "--help" || arg == "-h");
    let result = match command.as_deref() {
        Some("version" | "--version" | "-V") => print(&version()),
        Some("help" | "--help" | "-h") => print(&daemon::help()),
        Some("report" | "start" | "probe" | "shutdown" | "config" | "diagnose") if wants_help => {
            print(&daemon::help())
        }
        Some("report") => run_report(rest),
        Some("start") => with_args(rest, |args| Ok(daemon::start(args))),
        Some("probe") => with_args(rest, |args| daemon::probe(args, &mut io::stdout().lock())),
        Some("shutdown") => {
            with_args(rest, |args| daemon::shutdown(args, &mut io::stdout().lock()))
        }
        Some("config") => with_args(rest, |args| daemon::config(args, &mut io::stdout().lock())),
        Some("diagnose") => {
            with_args(rest, |args| daemon::diagnose(args, &mut io::stdout().lock()))
        }
        Some(other) => usage_error(&format!("there is no command {}", other.escape_debug())),
        None => usage_error("which command?"),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        // The reader has seen enough, as in `report DIR | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "scout-core-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn with_args(
    args: Vec<OsString>,
    run: impl FnOnce(&daemon::Args) -> io::Result<u8>,
) -> io::Result<u8> {
    match daemon::parse(args) {
        Ok(args) => run(&args),
        Err(message) => usage_error(&message),
    }
}

fn version() -> String {
    format!("scout-core-agent {}\n", env!("CARGO_PKG_VERSION"))
}

fn run_report(args: Vec<OsString>) -> io::Result<u8> {
    let args = match report::parse(args) {
        Ok(args) => args,
        Err(message) => return usage_error(&message),
    };
    let terminal = report::Terminal {
        colour: io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb(),
        columns: env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    report::run(&args, terminal, &mut out, &mut io::stderr().lock()).map(|outcome| outcome as u8)
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

fn print(text: &str) -> io::Result<u8> {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

fn usage_error(message: &str) -> io::Result<u8> {
    let mut err = io::stderr().lock();
    writeln!(err, "scout-core-agent: {message}")?;
    writeln!(
        err,
        "Usage: scout-core-agent start | probe | shutdown | diagnose | config\n       {}\n       \
         scout-core-agent version | help",
        report::USAGE
    )?;
    Ok(USAGE_ERROR)
}
