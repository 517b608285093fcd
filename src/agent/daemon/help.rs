use crate::agent::report;

/// What `--help` shows.
pub fn help() -> String {
    format!(
        "scout-core-agent {} takes what an application's Scout agent records, works out minutes of
metrics and traces from it, and delivers them: to Scout, or to files that it can show itself.
A drop-in for Scout's core agent: the agents for Python, PHP, Node and Elixir need no change.

Usage:
  scout-core-agent start    [where] [flags]   run an agent
  scout-core-agent probe    [where]           is one there? (exit code 0 yes, 1 no)
  scout-core-agent shutdown [where]           have it deliver what it has, and end
  scout-core-agent diagnose [where] [flags]   what it is doing, and what is wrong
  scout-core-agent config   [where] [flags]   the settings it would have, and where from
  {}
  scout-core-agent version | help

Where (tcp://127.0.0.1:6590 if nothing is said; start takes both at once):
  --tcp IP:PORT          a TCP address; on loopback, unless --allow-remote
  --socket PATH          a socket file, made with its directory

Where payloads go (to Scout, for an application with a key; else to files):
  --destination URL      file:///directory: files, a directory for each application
                         https://host: a service that speaks Scout's check-in protocol
  --ingest-url URL       the service for applications with a key (https://checkin.scoutapp.com)
  --config-file PATH     TOML; of it, ingest_url in [debug], as the agents write it
  --data-dir DIR         where minutes are kept until they are delivered
  --proxy URL            the HTTP proxy for deliveries
  --ca-cert PATH         a PEM file of certificate authorities to trust, instead of the usual

How start runs:
  --daemonize true       returns once the sockets are bound and served; else it stays
  --log-level LEVEL      error, warn, info, debug or trace (info)
  --log-file PATH        opened anew at SIGHUP; else standard output
  --socket-mode MODE     the socket file's mode (0666: as open as a port on loopback is)
  --socket-group GROUP   the socket file's group
  --allow-remote         let --tcp listen for other machines, which anyone there can then use
  --threads N            threads that read (2 to 4, as there are processors)

start ends with SIGTERM, SIGINT, SIGQUIT or shutdown, and delivers or stores what it has first.
Its exit codes: 0 ended, or daemonized; 1 failed; 2 wrong usage; 3 another agent serves the address.

report shows what the check-in payloads (*.json, *.json.gz) at or below DIR say: endpoints, jobs,
the slowest request, N+1 queries, SQL, external services and errors.
  --top N       rows of each table (10)
  --no-color    no colours; nor are there any with NO_COLOR set, or when the output is no terminal
  --json        the same as JSON, with nothing left out
The page is as wide as COLUMNS says, or 100.
Exit codes: 0 shown, 1 no payloads found, 2 wrong usage.

Try it, without an account:
  scout-core-agent start --daemonize true --destination file:///tmp/scout
  SCOUT_MONITOR=true SCOUT_CORE_AGENT_LAUNCH=false python my_flask_app.py
  scout-core-agent shutdown
  scout-core-agent report /tmp/scout
",
        env!("CARGO_PKG_VERSION"),
        report::USAGE
    )
}
