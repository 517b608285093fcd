use super::board::Board;
use super::courier::Courier;
use super::dispatch::Report;
use super::log::{Level, Log};
use super::pipeline::Pipeline;
use super::setup::Setup;
use crate::engine::{Engine, EngineStats, Period};
use crate::payload::Metadata;
use crate::recorder::{self, Ending, NameTable, Recorder, SUFFIX, SegmentFile, clock};
use crate::spool::{Place, Spool};
use crate::sys::{dir::Dir, host, random};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// One core of one process, in one fork generation. Never freed (threads of the host may be about
/// to look at it), but emptied at its shutdown.
pub(super) struct Core {
    pub(super) setup: Arc<Setup>,
    pub(super) slot: usize,
    pub(super) recorder: Recorder,
    /// `None` once the core has ended.
    pub(super) pipeline: Mutex<Option<Pipeline>>,
    pub(super) courier: Mutex<Option<Courier>>,
    pub(super) spool: Mutex<Spool<Period>>,
    /// What this core's files are signed with.
    pub(super) signature: String,
    /// The spool's directory, for the segment files in it.
    pub(super) files: Option<Dir>,
    pub(super) recovered: Recovered,
    pub(super) board: Board,
    pub(super) log: Log,
    pub(super) threads: Threads,
    pub(super) snapshot: Mutex<Snapshot>,
    pub(super) closing_checkpoints: AtomicU64,
    /// Panics that a guard caught.
    pub(super) panics: AtomicU64,
    /// Before the last drain, no recording call was under way, and none could begin any more.
    ended_quietly: AtomicBool,
    is_empty: AtomicBool,
    pub(super) place: PlaceNote,
    seed: [u64; 2],
    sequence: AtomicU64,
    process: u32,
    panic_at: Mutex<Option<String>>,
}

/// The background threads, as far as they are there.
#[derive(Default)]
pub(super) struct Threads {
    pub(super) worker: OnceLock<std::thread::Thread>,
    pub(super) courier: OnceLock<std::thread::Thread>,
    /// Threads that could not be had.
    pub(super) failed: AtomicU64,
    /// When the last look at the spool began that found nothing waiting; monotonic, 0 for never.
    pub(super) emptied_ns: AtomicU64,
    /// The worker sleeps until something is recorded or asked for.
    pub(super) dozing: AtomicBool,
}

/// The parts' own counts as of their last turn, so that stats wait for nobody.
#[derive(Clone, Default)]
pub(super) struct Snapshot {
    pub(super) engine: EngineStats,
    pub(super) courier: Report,
    pub(super) records_drained: u64,
}

/// How long a name that is being interned is waited for at the end.
const LAST_NAME: Duration = Duration::from_millis(50);

/// What was recovered from dead processes.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) files: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) damaged: AtomicU64,
    /// Files that are none, kept under another name.
    pub(super) unreadable: AtomicU64,
    /// Files of other versions of this library, as of the last look.
    pub(super) other_versions: AtomicU64,
    /// Files that the disk does not give back: at how many looks, and since when.
    pub(super) failing: Mutex<HashMap<String, (u32, Instant)>>,
}

/// Where files lie, for the diagnosis.
#[derive(Clone, Debug)]
pub(super) struct PlaceNote {
    pub(super) data_dir: Option<String>,
    pub(super) payloads: Option<String>,
    pub(super) passed_over: Vec<String>,
}

impl Core {
    /// Builds a core from a valid setup. What fails here is the machine's doing: the core lives
    /// with it, and says so in its log and diagnosis.
    pub(super) fn new(setup: Arc<Setup>, slot: usize, stamp: u64, names: NameTable) -> Core {
        clock::start();
        let now = clock::now();
        let seed = random::seed();
        let log = Log::new(Level::named(setup.settings.text("log_level")));
        let place = setup.place();
        for line in &place.passed_over {
            log.add(Level::Debug, || format!("not used as data directory: {line}"));
        }
        let dir = setup.spool_dir(&place).unwrap_or_else(|error| {
            log.add(Level::Warn, || format!("spool directory: {error}"));
            None
        });
        if dir.is_none() {
            log.add(Level::Warn, || {
                "no directory for files: minutes are kept in memory until delivered".into()
            });
        }
        let timeout = Duration::from_millis(setup.settings.integer("http_timeout_ms"));
        let courier = match setup.transport(&place) {
            Ok(transport) => Some(Courier::new(transport, timeout)),
            // The setup was checked: only a defect gets here.
            Err(failure) => {
                log.add(Level::Error, || failure.to_string());
                None
            }
        };
        let engine = Engine::new(setup.engine_config(), seed, now);
        let limit = setup.settings.integer("spool_limit_mib") << 20;
        let panic_at = setup.settings.text_if_set("test_panic").map(str::to_owned);
        let signature = format!("{:016x}", seed[1]);
        let file = dir.as_ref().and_then(|dir| segment_file(dir, &signature, &log));
        let recorder = Recorder::new(stamp, setup.recorder_bytes(), names, file);
        let files = dir.as_ref().and_then(|dir| dir.duplicate().ok());
        let drainer = recorder.drainer();
        if panic_at.as_deref() == Some("record") {
            recorder.panic_at_next_attach();
        }
        Core {
            slot,
            recorder,
            pipeline: Mutex::new(drainer.map(|drainer| Pipeline::new(drainer, engine))),
            courier: Mutex::new(courier),
            spool: Mutex::new(Spool::new(dir, signature.clone(), limit)),
            signature,
            files,
            recovered: Recovered::default(),
            board: Board::default(),
            log,
            threads: Threads::default(),
            snapshot: Mutex::default(),
            closing_checkpoints: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            ended_quietly: AtomicBool::new(false),
            is_empty: AtomicBool::new(false),
            place: note(&setup, &place),
            seed,
            sequence: AtomicU64::new(0),
            process: host::process_id(),
            panic_at: Mutex::new(panic_at),
            setup,
        }
    }

    /// Random enough for jitter and ids; not for secrets.
    pub(super) fn random(&self) -> u64 {
        let n = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let mut z = self.seed[0].wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A new payload's id: sixteen letters, as the Ruby agent's `unique_id`.
    pub(super) fn new_id(&self) -> String {
        let (mut a, mut b) = (self.random(), self.random());
        let letter = |n: &mut u64| {
            let at = (*n % 26) as u8;
            *n /= 26;
            char::from(b'a' + at)
        };
        (0..16).map(|i| letter(if i < 8 { &mut a } else { &mut b })).collect()
    }

    /// What a payload says of its sender.
    pub(super) fn metadata(&self, id: &str) -> Metadata {
        Metadata {
            app_name: self.setup.settings.text("name").to_owned(),
            app_root: self.setup.settings.text("application_root").to_owned(),
            unique_id: id.to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            agent_pid: self.process,
            platform: None,
            hostname: self.setup.hostname(),
            git_sha: self.setup.known_revision().unwrap_or_default(),
            paas: self.setup.platform().to_owned(),
            environment: None,
        }
    }

    /// Panics, once, if a test asked for it here.
    pub(super) fn test_panic(&self, at: &str) {
        if let Ok(mut wanted) = self.panic_at.try_lock()
            && wanted.as_deref() == Some(at)
        {
            *wanted = None;
            drop(wanted);
            crate::sys::panic_for_test();
        }
    }

    /// The recorder is retired: waits for the calls under way, and notes whether they ended. Before the
    /// last drain.
    pub(super) fn note_quiet(&self, deadline: Instant) {
        if recorder::is_quiet(deadline) {
            self.ended_quietly.store(true, Ordering::Release);
        }
    }

    /// Gives up what takes memory and descriptors. After this the core answers nothing.
    pub(super) fn empty(&self) {
        self.empty_in(self.courier.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// As [`Core::empty`].
    pub(super) fn empty_in(&self, mut courier: MutexGuard<'_, Option<Courier>>) {
        *courier = None;
        drop(courier);
        if self.is_empty.swap(true, Ordering::Relaxed) {
            return;
        }
        *self.pipeline.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let spool = || self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        // What is written and has no name yet gets it from whoever finds the file for records.
        let ending = if spool().has_unnamed() { Ending::Left } else { Ending::Done };
        let is_quiet = self.ended_quietly.load(Ordering::Acquire);
        if is_quiet && self.recorder.close_names(Instant::now() + LAST_NAME) {
            self.recorder.release_segments(ending);
        } else {
            // A call was under way at the last drain, though it was waited for: its segment stays what
            // it is, and the file ours, until the process ends; then the next core finds what it
            // recorded.
            self.log.add(Level::Warn, || "a recording call outlasts its core".into());
        }
        spool().leave();
        if let Some(dir) = &self.files {
            dir.close();
        }
    }
}

/// The file for this core's segments; without one they are in memory, and the log says why.
fn segment_file(dir: &Dir, signature: &str, log: &Log) -> Option<SegmentFile> {
    let create = || SegmentFile::create(dir.duplicate()?, format!("{signature}{SUFFIX}"));
    create()
        .inspect_err(|error| {
            log.add(Level::Warn, || format!("no file for records, memory serves: {error}"));
        })
        .ok()
}

fn note(setup: &Setup, place: &Place) -> PlaceNote {
    let show = |path: &std::path::Path| path.display().to_string();
    PlaceNote {
        data_dir: place.found.as_ref().map(|(path, _)| show(path)),
        payloads: setup.payload_directory(place).as_deref().map(show),
        passed_over: place.passed_over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{api, registry};
    use crate::core::Failure;
    use crate::model::{NameId, SpanId, TraceId, UnixNanos};
    use crate::record::{Span, Tag, Text};

    /// Runs a core with one request in it to its end. A rename onto a directory fails for ever: with
    /// `in_the_way`, what it writes cannot be given its name.
    fn run(data: &std::path::Path, in_the_way: bool) -> Result<super::super::Done, Failure> {
        let handle = start(data);
        let core = registry::find(handle).unwrap();
        let now = api::now(handle).unwrap();
        if in_the_way {
            let spool =
                std::fs::read_dir(data.join("spool")).unwrap().next().unwrap().unwrap().path();
            // The minute may be over by then.
            for minute in now.minute().0..now.minute().0 + 3 {
                let name = format!("{minute:010}-{}-1-0-1.period", core.signature);
                std::fs::create_dir(spool.join(name)).unwrap();
            }
        }
        let tags = std::iter::empty::<Tag<'_>>();
        assert!(api::record_span(handle, &request(now, 1), tags, NameId(0)).is_ok());
        api::shutdown(handle, 10_000)
    }

    fn request(now: UnixNanos, number: u8) -> Span<'static> {
        Span {
            trace_id: TraceId([number; 16]),
            span_id: SpanId(1),
            parent_id: SpanId::NONE,
            start: now,
            end: UnixNanos(now.0 + 1000),
            operation: Text::Bytes(b"Controller/ends"),
        }
    }

    /// Requests in the payloads of a data directory.
    fn delivered(data: &std::path::Path) -> u64 {
        let folders = std::fs::read_dir(data.join("payloads")).into_iter().flatten();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        let payloads = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        payloads
            .map(|json| {
                let payload: serde_json::Value = serde_json::from_slice(&json).unwrap();
                let metrics = payload["metrics"].as_array().unwrap().iter();
                metrics
                    .filter(|metric| metric["key"]["bucket"] == "Controller")
                    .map(|metric| metric["call_count"].as_u64().unwrap())
                    .sum::<u64>()
            })
            .sum()
    }

    fn start(data: &std::path::Path) -> registry::Handle {
        let options = serde_json::json!({ "name": "ends", "data_dir": data, "background": false });
        api::start(&options.to_string()).unwrap()
    }

    #[test]
    fn a_call_that_outlasts_its_core_writes_into_no_other() {
        let data = std::env::temp_dir().join(format!("scout-outlasts-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let first = start(&data);
        let file = registry::find(first).unwrap().recorder.file().unwrap().signature().to_owned();
        let (inside, is_inside) = std::sync::mpsc::channel();
        let (go, may_go) = std::sync::mpsc::channel::<()>();
        let late = std::thread::spawn(move || {
            let now = api::now(first).unwrap();
            let none = std::iter::empty::<Tag<'_>>;
            // Attached, so that the next has a segment from the start.
            api::record_span(first, &request(now, 1), none(), NameId(0)).unwrap();
            api::record(first, NameId(0), |out| {
                inside.send(()).unwrap();
                may_go.recv().unwrap();
                out.span(&request(now, 2), none())
            })
        });
        is_inside.recv().unwrap();
        let _ = api::shutdown(first, 50);
        // Others come and go meanwhile, and fill what was given back.
        for _ in 0..3 {
            let next = start(&data);
            let now = api::now(next).unwrap();
            for number in 10..200 {
                let none = std::iter::empty::<Tag<'_>>();
                api::record_span(next, &request(now, number), none, NameId(0)).unwrap();
            }
            assert!(api::flush(next, 10_000).is_ok());
            // Whose call it is that lasts is not known: it waits for that, too.
            let _ = api::shutdown(next, 50);
        }
        assert_eq!(delivered(&data), 1 + 3 * 190);
        go.send(()).unwrap();
        assert!(late.join().unwrap().is_ok(), "it was accepted ...");
        let next = start(&data);
        assert!(api::shutdown(next, 10_000).is_ok());
        assert_eq!(
            delivered(&data),
            1 + 3 * 190,
            "... and is in none that it was not made for ..."
        );
        let spool = std::fs::read_dir(data.join("spool")).unwrap().next().unwrap().unwrap().path();
        let left = spool.join(format!("{file}.segments"));
        assert!(left.exists(), "... but in its own file, for the next process");
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn a_second_shutdown_ends_no_new_core() {
        let data = std::env::temp_dir().join(format!("scout-second-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let mut handle = start(&data);
        for _ in 0..50 {
            let barrier = std::sync::Barrier::new(3);
            let next = std::thread::scope(|scope| {
                let end = || {
                    barrier.wait();
                    api::shutdown(handle, 10_000)
                };
                let ends = [scope.spawn(end), scope.spawn(end)];
                barrier.wait();
                // It may get the slot of the one that ends.
                let next = start(&data);
                let ends = ends.map(|end| end.join().unwrap());
                let refused = [Err(Failure::ShutDown), Err(Failure::Handle)];
                assert_eq!(ends.iter().filter(|end| refused.contains(end)).count(), 1, "{ends:?}");
                next
            });
            assert!(api::now(next).is_ok(), "the new one was ended");
            handle = next;
        }
        assert!(api::shutdown(handle, 10_000).is_ok());
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn what_a_shutdown_could_not_name_is_found_by_the_next_core() {
        let data = std::env::temp_dir().join(format!("scout-ends-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        assert_eq!(run(&data, true), Err(Failure::Undelivered(0)), "on disk, but without a name");
        let spool = std::fs::read_dir(data.join("spool")).unwrap().next().unwrap().unwrap().path();
        for entry in std::fs::read_dir(spool).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                std::fs::remove_dir(entry.path()).unwrap();
            }
        }
        assert_eq!(run(&data, false), Ok(super::super::Done::Ok));
        assert_eq!(delivered(&data), 2, "one of each core");
        std::fs::remove_dir_all(data).unwrap();
    }
}
