//! Arguments and exit codes of the core agent; everything else is in the library.

use scoutcore::agent::report;
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let command = args.next();
    let result = match command.as_ref().map(|command| command.to_string_lossy()).as_deref() {
        Some("report") => run_report(args.collect()),
        Some("version" | "--version" | "-V") => print(&version()),
        Some("help" | "--help" | "-h") => print(&help()),
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

fn version() -> String {
    format!("scout-core-agent {}\n", env!("CARGO_PKG_VERSION"))
}

fn help() -> String {
    format!(
        "{}
Usage:
  {}
  scout-core-agent version
  scout-core-agent help

report shows what the check-in payloads (*.json, *.json.gz) at or below DIR say: endpoints, jobs,
the slowest request, N+1 queries, SQL, external services and errors.
  --top N       rows of each table (10)
  --no-color    no colours; nor are there any with NO_COLOR set, or when the output is no terminal
  --json        the same as JSON, with nothing left out

The page is as wide as COLUMNS says, or 100. Exit codes: 0 shown, 1 no payloads found, 2 wrong usage.
",
        version(),
        report::USAGE
    )
}

fn run_report(args: Vec<OsString>) -> io::Result<u8> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return print(&help());
    }
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
    writeln!(err, "Usage: {}\n       scout-core-agent version | help", report::USAGE)?;
    Ok(USAGE_ERROR)
}
