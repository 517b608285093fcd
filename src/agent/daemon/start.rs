use super::args::Args;
use super::client::version_at;
use super::logger::{Level, Logger};
use super::plan::{example, memory, plan};
use crate::agent::intake::Hub;
use crate::agent::protocol::VERSION;
use crate::agent::server::{Address, BindError, Limits, Listener, Server};
use crate::config::Environment;
use crate::core;
use crate::model::UnixNanos;
use crate::sys::daemon::{self, Ready, Role, Signal};
use crate::sys::{self, clock};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The exit code when another agent serves the address: launchers count on it.
pub const ALREADY_RUNNING: u8 = 3;
const FAILED: u8 = 1;

/// Connections at once, at most; fewer where the system allows fewer descriptors.
const MAX_CONNECTIONS: usize = 8192;
/// Bytes in incomplete frames of all connections.
const MAX_PARTIAL: usize = 128 << 20;
/// What cores get to deliver or store what they have, at the end. One launcher kills us after 5 s.
const END: Duration = Duration::from_secs(4);
/// How long threads get to end what they are at.
const LAST_FRAMES: Duration = Duration::from_millis(500);
const TEND: Duration = Duration::from_secs(1);

/// Runs an agent until it is told to end. Gives the exit code.
pub fn start(args: &Args) -> u8 {
    if args.daemonize {
        daemon::close_inherited();
    }
    daemon::hold_signals();
    let threads = args.threads.unwrap_or_else(default_threads);
    let mut plan = plan(args, &Environment::read());
    // Before anything is bound: an agent that can deliver nothing must not stand in the way.
    if let Err(failure) = core::check_options(&example(&plan), plan.environment.clone()) {
        return fail(&failure.to_string());
    }
    let log = Arc::new(Logger::open(args.log_level, args.log_file.as_deref()));
    log.info("core_agent", &format!("Initializing logger with log level: {:?}", args.log_level));
    if let Some(odd) = &args.odd_log_level {
        log.warn("core_agent", &format!("unknown log level {odd:?}: info is used"));
    }
    log.info("core_agent", &format!("Starting ScoutApm CoreAgent version: {VERSION:?}"));
    log.info("core_agent", &format!("This is scout-core-agent {}", env!("CARGO_PKG_VERSION")));
    let mut listeners = Vec::new();
    for address in args.addresses() {
        match bind(args, &address) {
            Ok(listener) => {
                let address = listener.address().unwrap_or(address);
                let line = format!("Socket Server bound to socket at {address}");
                log.info("socket::server", &line);
                listeners.push(listener);
            }
            Err(Taken::ByAgent(version)) => {
                let line = format!("A core agent, version {version:?}, serves {address} already");
                log.info("core_agent", &line);
                return ALREADY_RUNNING;
            }
            Err(Taken::Failed(why)) => {
                log.log("core_agent", Level::Error, &why);
                return fail(&why);
            }
        }
    }
    let ready = match args.daemonize.then(daemon::fork).transpose() {
        Ok(None) => None,
        Ok(Some(Role::Parent(readiness))) => {
            // The sockets are the child's now; a file of theirs must not go with this process.
            std::mem::forget(listeners);
            return if readiness.wait() { 0 } else { fail("the agent did not start") };
        }
        Ok(Some(Role::Child(ready))) => {
            let _ = daemon::silence_stdio();
            Some(ready)
        }
        Err(error) => return fail(&format!("fork: {error}")),
    };
    plan.memory = memory(&plan);
    let hub = Arc::new(Hub::new(plan));
    match serve(&hub, listeners, threads, &log, ready) {
        Ok(()) => 0,
        Err(error) => {
            log.log("core_agent", Level::Error, &error.to_string());
            fail(&error.to_string())
        }
    }
}

fn fail(why: &str) -> u8 {
    let _ = writeln!(io::stderr(), "scout-core-agent: {why}");
    FAILED
}

/// Reading frames is short work: two threads are enough that a long one holds up nobody.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

enum Taken {
    ByAgent(String),
    Failed(String),
}

fn bind(args: &Args, address: &Address) -> Result<Listener, Taken> {
    let mut tries = 0;
    loop {
        match Listener::bind(address, &args.unix) {
            Ok(listener) => return Ok(listener),
            Err(BindError::Other(why)) => {
                return Err(Taken::Failed(format!("cannot listen at {address}: {why}")));
            }
            Err(BindError::InUse) => {}
        }
        match version_at(address) {
            Ok(version) => return Err(Taken::ByAgent(version)),
            // It may be about to begin, or about to end.
            Err(_) if tries < 5 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => {
                return Err(Taken::Failed(format!(
                    "{address} is in use, but what has it does not answer as a core agent: {error}"
                )));
            }
        }
    }
}

fn now() -> UnixNanos {
    UnixNanos(clock::realtime_ns())
}

fn serve(
    hub: &Arc<Hub>,
    listeners: Vec<Listener>,
    threads: usize,
    log: &Arc<Logger>,
    ready: Option<Ready>,
) -> io::Result<()> {
    let descriptors = usize::try_from(daemon::raise_open_files()).unwrap_or(usize::MAX);
    let limits = Limits {
        threads,
        connections: descriptors.saturating_sub(256).clamp(64, MAX_CONNECTIONS),
        partial_bytes: MAX_PARTIAL,
    };
    let server = Server::new(hub.clone(), listeners, limits, daemon::end_self)?;
    let workers = server.start(threads)?;
    let ending = Arc::new(AtomicBool::new(false));
    let tender = {
        let (hub, server, log, ending) = (hub.clone(), server.clone(), log.clone(), ending.clone());
        sys::thread::spawn("agent-tend", move || tend(&hub, &server, &log, &ending))?
    };
    let daemonized = ready.is_some();
    if let Some(ready) = ready {
        ready.tell();
    }
    while daemon::wait_for_signal() == Signal::HangUp {
        // The terminal went away, or somebody has moved the log file.
        if !log.reopen() && !daemonized {
            break;
        }
    }
    log.info("core_agent", "Shutting down: sending what is pending");
    server.stop();
    ending.store(true, Ordering::Release);
    tender.thread().unpark();
    join(workers, LAST_FRAMES);
    server.withdraw();
    for (application, ended) in hub.end(now(), END) {
        match ended {
            Ok(done) => log.info("core_agent", &format!("{application}: {}", word_for(done))),
            Err(failure) => log.warn("core_agent", &format!("{application}: {failure}")),
        }
    }
    log_core_lines(hub, log);
    log.info("core_agent", &format!("Done. {}", summary(hub)));
    Ok(())
}

fn word_for(done: core::Done) -> &'static str {
    match done {
        core::Done::Spooled => "stored, to be delivered later",
        _ => "delivered",
    }
}

fn join(threads: Vec<JoinHandle<()>>, patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until && threads.iter().any(|thread| !thread.is_finished()) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What is due by the clock.
fn tend(hub: &Hub, server: &Server, log: &Logger, ending: &AtomicBool) {
    let mut lost_before = 0;
    let mut rounds = 0_u64;
    while !ending.load(Ordering::Acquire) {
        std::thread::park_timeout(TEND);
        hub.tend(now());
        server.close_overdue();
        log_core_lines(hub, log);
        rounds += 1;
        if rounds.is_multiple_of(60) {
            let lost = hub.counters.lost();
            let level = if lost > lost_before { Level::Warn } else { Level::Debug };
            lost_before = lost;
            let open = server.connections();
            log.log("core_agent", level, &format!("{open} connections. {}", summary(hub)));
        }
    }
}

fn log_core_lines(hub: &Hub, log: &Logger) {
    hub.each_log_line(|application, level, message| {
        let level = Level::named(level).unwrap_or_default();
        log.log(application, level, message);
    });
}

/// The counters that are not zero.
fn summary(hub: &Hub) -> String {
    let Ok(serde_json::Value::Object(counters)) = serde_json::to_value(&hub.counters) else {
        return String::new();
    };
    let counted = counters.iter().filter(|(_, value)| value.as_u64() != Some(0));
    let parts: Vec<String> = counted.map(|(name, value)| format!("{name} {value}")).collect();
    parts.join(", ")
}
