use super::application::Application;
use super::applications::Applications;
use super::counters::Counters;
use super::draft::Draft;
use super::emit::Finished;
use super::left::{self, Left, Progress};
use crate::config::Environment;
use crate::core::{self, Done, Failure, Handle};
use crate::model::UnixNanos;
use crate::sys::dir::Dir;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A core with nothing to do for this long may be ended to make room, in nanoseconds.
const IDLE: u64 = 60_000_000_000;
/// How long requests that nobody finished wait for room in a core that is behind.
const PATIENCE: Duration = Duration::from_millis(200);

/// What every core of this agent is started with.
#[derive(Debug, Default)]
pub struct Plan {
    /// Options of every core, beside its name, key and host.
    pub options: Map<String, Value>,
    /// The environment, without what is meant for one application.
    pub environment: Environment,
    /// Payload files go to a directory below this one for each application.
    pub directory: Option<PathBuf>,
    /// Where metadata is kept from one agent to the next.
    pub memory: Option<Dir>,
}

/// What all connections share: the applications and their cores.
#[derive(Debug)]
pub struct Hub {
    plan: Plan,
    secret: [u64; 2],
    pub(super) applications: Applications,
    /// Bytes in all open requests.
    pub(super) open_bytes: AtomicUsize,
    /// What happened so far.
    pub counters: Counters,
}

impl Hub {
    /// Without any application yet.
    pub fn new(plan: Plan) -> Hub {
        Hub {
            plan,
            secret: crate::sys::random::seed(),
            applications: Applications::default(),
            open_bytes: AtomicUsize::new(0),
            counters: Counters::default(),
        }
    }

    pub(super) fn application(&self, key: &str, name: &str) -> Option<Arc<Application>> {
        self.applications.get(key, name, self.secret, self.memory_dir())
    }

    /// Takes over what an agent that was killed has left of an application's requests. Once.
    pub(super) fn take_over(&self, app: &Application, now: UnixNanos) {
        if !app.take_over_once() {
            return;
        }
        let (open, bytes) = {
            let book = app.book();
            (book.len(), book.bytes())
        };
        self.open_bytes.fetch_add(bytes, Ordering::Relaxed);
        let left = app.left();
        let (finished, bytes): (usize, usize) =
            (left.len(), left.iter().map(|left| left.draft.bytes()).sum());
        drop(left);
        self.open_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counters.requests_recovered.add((open + finished) as u64);
        self.finish_left(app, now);
    }

    /// Hands on what is missing of the requests that a killed agent was about to hand on.
    fn finish_left(&self, app: &Application, now: UnixNanos) {
        // Starting the core finds out how far they got.
        if app.left().is_empty() || self.with_core(app, now, |_| Ok(Done::Ok)).is_err() {
            return;
        }
        let left = std::mem::take(&mut *app.left());
        let (there, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(Left::is_handed_on);
        for left in there {
            self.open_bytes.fetch_sub(left.draft.bytes(), Ordering::Relaxed);
            app.book().done(&left.draft);
        }
        self.close_all(app, rest.into_iter().map(Finished::continued).collect(), now);
    }

    pub(super) fn memory_dir(&self) -> Option<&Dir> {
        self.plan.memory.as_ref()
    }

    fn options(&self, app: &Application, host: &str) -> String {
        let mut options = self.plan.options.clone();
        let mut set = |key: &str, value: &str| {
            if !value.is_empty() {
                options.insert(key.to_owned(), value.into());
            }
        };
        set("name", &app.name);
        set("key", app.key.reveal());
        set("hostname", host);
        if let Some(directory) = &self.plan.directory {
            set("destination", &format!("file://{}", directory.join(&app.label).display()));
        }
        Value::Object(options).to_string()
    }

    /// Starts an application's core; ends the one idle for longest if there are too many.
    fn start(&self, app: &Application, host: &str, now: UnixNanos) -> Result<Handle, Failure> {
        let options = self.options(app, host);
        self.find_left(app, &options)?;
        let start = || core::start_in(&options, self.plan.environment.clone());
        match start() {
            Err(Failure::Limit(_)) if self.evict_one(now) => start(),
            other => other,
        }
    }

    /// Finds out how far requests were handed on, before a core brings what it finds to a payload.
    fn find_left(&self, app: &Application, options: &str) -> Result<(), Failure> {
        let mut left = app.left();
        if left.iter().all(|left| left.progress.is_some()) {
            return Ok(());
        }
        left.iter_mut().for_each(|left| left.progress = Some(Progress::default()));
        core::left_behind(options, self.plan.environment.clone(), |record| {
            left::note_record(&mut left, record);
        })
    }

    fn evict_one(&self, now: UnixNanos) -> bool {
        let idle = self
            .applications
            .all()
            .into_iter()
            .filter(|app| app.handle().is_some())
            .filter(|app| now.0.saturating_sub(app.last_used()) >= IDLE)
            .min_by_key(|app| app.last_used());
        let Some(app) = idle else { return false };
        self.counters.cores_evicted.add(1);
        app.end(2000).is_some()
    }

    /// Runs `work` with an application's core, which is started if need be.
    pub(super) fn with_core(
        &self,
        app: &Application,
        now: UnixNanos,
        mut work: impl FnMut(Handle) -> Result<Done, Failure>,
    ) -> Result<Done, Failure> {
        let mut restarted = false;
        loop {
            let handle = app.running(|host| self.start(app, host, now))?;
            match work(handle) {
                Err(Failure::ShutDown | Failure::Handle) if !restarted => {
                    app.forget(handle);
                    restarted = true;
                }
                other => return other,
            }
        }
    }

    /// Work that is due by the clock: closes requests that are never finished.
    pub fn tend(&self, now: UnixNanos) {
        for app in self.applications.all() {
            let expired = app.book().expired(now, &self.counters);
            self.close(&app, expired, now);
            self.finish_left(&app, now);
        }
    }

    /// Hands on requests that were not finished, each as if it had ended with its last command.
    pub(super) fn close(&self, app: &Application, drafts: Vec<Draft>, now: UnixNanos) {
        let finished = drafts.into_iter().map(|draft| Finished::new(draft, None)).collect();
        self.close_all(app, finished, now);
    }

    fn close_all(&self, app: &Application, all: Vec<Finished>, now: UnixNanos) {
        let until = Instant::now() + PATIENCE;
        for mut finished in all {
            self.open_bytes.fetch_sub(finished.draft.bytes(), Ordering::Relaxed);
            while self.emit(app, &mut finished, now) == Err(Failure::Dropped) {
                if Instant::now() >= until {
                    self.counters.requests_dropped.add(1);
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            app.book().done(&finished.draft);
        }
    }

    /// Ends all cores: delivers or stores what they have, all at once, within `timeout`.
    pub fn end(&self, now: UnixNanos, timeout: Duration) -> Vec<(String, Result<Done, Failure>)> {
        let apps = self.applications.all();
        let millis = timeout.as_millis().try_into().unwrap_or(u32::MAX);
        let ends = apps.into_iter().map(|app| {
            let open = app.book().all();
            self.counters.requests_closed_at_end.add(open.len() as u64);
            self.close(&app, open, now);
            app.book().close();
            let label = app.label.clone();
            let thread = std::thread::Builder::new().spawn(move || app.end(millis));
            (label, thread)
        });
        let ends: Vec<_> = ends.collect();
        ends.into_iter()
            .filter_map(|(label, thread)| {
                let ended = thread.ok()?.join().ok()??;
                Some((label, ended))
            })
            .collect()
    }

    /// Hands on the log lines of all cores: application, level, message.
    pub fn each_log_line(&self, mut each: impl FnMut(&str, &str, &str)) {
        for app in self.applications.all() {
            let Some(handle) = app.handle() else { continue };
            let mut line = String::new();
            while let Ok(Done::Ok) = core::next_log(handle, |json| {
                line = json.to_owned();
                Ok(())
            }) {
                let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
                let field = |name| line.get(name).and_then(Value::as_str).unwrap_or_default();
                each(&app.label, field("level"), field("message"));
            }
        }
    }

    /// A report on this agent, in JSON. Keys are not in it.
    pub fn diagnose(&self) -> String {
        let applications: Vec<Value> = self
            .applications
            .all()
            .into_iter()
            .map(|app| {
                let core = app.handle().and_then(|handle| core::diagnose(handle).ok());
                let core = core.and_then(|text| serde_json::from_str::<Value>(&text).ok());
                let (open, bytes) = {
                    let book = app.book();
                    (book.len(), book.bytes())
                };
                json!({
                    "application": app.name,
                    "label": app.label,
                    "requests_open": open,
                    "bytes_open": bytes,
                    "core": core,
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "process": crate::sys::host::process_id(),
            "counters": self.counters,
            "applications": applications,
        })
        .to_string()
    }
}
