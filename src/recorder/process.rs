use super::arena::{Arena, CHUNK, SegmentFile};
use super::drain::Drainer;
use super::names::InternError;
use super::names::NameTable;
use super::segment::{Header, Phase, Purpose, SEGMENT_BYTES, Segment};
use super::shared::Shared;
use super::thread::{ThreadRecord, ThreadRecords};
use crate::model::NameId;
use crate::record::{Encoder, NameDefinition, Names};
use crate::sys::memory::Region;
use crate::sys::sync::{self, ArrayQueue, Mutex};
use crate::sys::{leaked::Leaked, thread};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many recorders may run at once in a process; the low bits of a handle.
pub const MAX_RECORDERS: usize = 32;
/// Chunks' addresses kept for the next recorder.
const SPARE_REGIONS: usize = 4096;

/// What one process, in one fork generation, has of recorders and threads. A child starts with an
/// empty one and never looks into its parent's: the parent's queues may be caught mid-operation.
pub(super) struct Process {
    pub(super) generation: u32,
    pub(super) slots: [Slot; MAX_RECORDERS],
    pub(super) threads: ThreadRecords,
    /// Address ranges of chunks that nobody uses.
    pub(super) spare: ArrayQueue<Region>,
    /// Address ranges of files' first pages.
    pub(super) spare_pages: ArrayQueue<Region>,
}

/// The place of one recorder. `stamp` is 0 when none is live here; it is what the hot path checks.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) stamp: sync::AtomicU64,
    pub(super) recorder: Leaked<Recorder>,
}

#[cfg(not(any(loom, shuttle)))]
static CURRENT: crate::sys::fork::PerProcess<Process> = crate::sys::fork::PerProcess::new();

// To a checker, each execution is a process.
#[cfg(any(loom, shuttle))]
sync::lazy_static! {
    static ref CURRENT: Process = Process::new(crate::sys::fork::current());
}

/// This process's state; made at the first call after a start or a fork.
pub(super) fn current() -> &'static Process {
    #[cfg(not(any(loom, shuttle)))]
    return CURRENT.get(|generation, _| Process::new(generation));
    #[cfg(any(loom, shuttle))]
    return &CURRENT;
}

impl Process {
    fn new(generation: u32) -> Process {
        thread::register_fences();
        Process {
            generation,
            slots: Default::default(),
            threads: ThreadRecords::default(),
            spare: ArrayQueue::new(SPARE_REGIONS),
            spare_pages: ArrayQueue::new(MAX_RECORDERS),
        }
    }
}

/// Counts of what the recorder refused or shortened. What it accepted is counted by the drain.
#[derive(Debug, Default)]
pub struct RecorderCounters {
    /// Records refused: no free segment.
    pub dropped_no_room: AtomicU64,
    /// Records refused: the call came from inside another on the same thread.
    pub refused_reentrant: AtomicU64,
    /// Strings cut to their limit.
    pub strings_cut: AtomicU64,
    /// Tags left out of a record.
    pub tags_dropped: AtomicU64,
    /// Records of threads that had no segment to themselves.
    pub shared: AtomicU64,
    /// Segments of memory in use or kept for use.
    pub segments: AtomicU64,
    /// Records in segments that could not be read; always 0 but for a defect.
    pub unreadable: AtomicU64,
}

/// What becomes of a recorder's file at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has served its purpose.
    Done,
    /// The next core has to look at it: what its last checkpoint was still matters.
    Left,
}

/// Where definitions of names are written.
enum NameLog {
    Empty,
    /// Up to here in this segment.
    At(Segment, u32),
    /// Nowhere any more: the segments may be another recorder's.
    Closed,
}

/// The segments of one core, and the queues they travel through.
pub struct Recorder {
    pub(super) stamp: u64,
    /// Places for all segments there may be; filled from the front.
    pub(super) directory: Box<[sync::AtomicPtr<Header>]>,
    pub(super) filled: sync::AtomicUsize,
    /// The most that threads may fill; the rest is for names and for what is carried over.
    pub(super) limit: usize,
    /// Free segments that threads leave alone: a checkpoint must find room for the records of open
    /// requests, or it would have to close them.
    pub(super) reserve: usize,
    /// And free segments that only threads without one of their own use, one after another: see
    /// `shared`.
    pub(super) shared_reserve: usize,
    pub(super) free: ArrayQueue<u32>,
    pub(super) full: ArrayQueue<u32>,
    /// Segments that ended threads left with room in them. A hint: an entry may be out of date.
    pub(super) left: ArrayQueue<u32>,
    pub(super) shared: Shared,
    pub(super) arena: Arena,
    /// Interned names.
    pub names: NameTable,
    name_log: Mutex<NameLog>,
    /// Counts.
    pub counters: RecorderCounters,
    drainer: OnceLock<std::thread::Thread>,
    drainer_given: AtomicBool,
    pub(super) growing: sync::AtomicBool,
    panic_at_attach: AtomicBool,
}

impl Recorder {
    /// With at most `memory_bytes` of segments for threads (at least two segments), in `file` or in
    /// memory. `stamp` is not zero, fits 62 bits (it shares a word with a phase), and is used once
    /// in a process; a child's recorder may have its parent's.
    pub fn new(
        stamp: u64,
        memory_bytes: usize,
        names: NameTable,
        file: Option<SegmentFile>,
    ) -> Recorder {
        let limit = (memory_bytes / SEGMENT_BYTES).max(2);
        let places = (limit + limit / 2 + CHUNK).next_multiple_of(CHUNK);
        let recorder = Recorder {
            stamp,
            directory: std::iter::repeat_with(sync::AtomicPtr::default).take(places).collect(),
            filled: sync::AtomicUsize::new(0),
            limit,
            reserve: if file.is_some() { (limit / 4).clamp(1, CHUNK / 2) } else { 0 },
            shared_reserve: (limit / 64).clamp(1, CHUNK / 4),
            free: ArrayQueue::new(places),
            full: ArrayQueue::new(places),
            left: ArrayQueue::new(places),
            shared: Shared::default(),
            arena: Arena::new(file),
            names,
            name_log: Mutex::new(NameLog::Empty),
            counters: RecorderCounters::default(),
            drainer: OnceLock::new(),
            drainer_given: AtomicBool::new(false),
            growing: sync::AtomicBool::new(false),
            panic_at_attach: AtomicBool::new(false),
        };
        recorder.log_inherited_names();
        recorder.prepare();
        recorder
    }

    /// The recorder's only drainer: to the first who asks.
    pub fn drainer(&self) -> Option<Drainer> {
        (!self.drainer_given.swap(true, Ordering::AcqRel)).then(|| Drainer::of(self))
    }

    /// For the test that a panic in a recording call stays inside: the next thread's first record
    /// panics.
    pub fn panic_at_next_attach(&self) {
        self.panic_at_attach.store(true, Ordering::Relaxed);
    }

    pub(super) fn panic_if_asked(&self) {
        if self.panic_at_attach.swap(false, Ordering::Relaxed) {
            crate::sys::panic_for_test()
        }
    }

    /// The thread to wake when segments run low.
    pub fn set_drainer(&self, thread: std::thread::Thread) {
        let _ = self.drainer.set(thread);
    }

    /// Wakes the drainer. Cheap, safe from any thread, does not wait.
    pub fn wake(&self) {
        if let Some(thread) = self.drainer.get() {
            thread.unpark();
        }
    }

    /// Whether what threads record outlives the process.
    pub fn is_on_file(&self) -> bool {
        self.arena.file.is_some() && self.arena.chunks_in_memory.load(Ordering::Relaxed) == 0
    }

    /// The recorder's file, if it has one.
    pub fn file(&self) -> Option<&SegmentFile> {
        self.arena.file.as_ref()
    }

    pub(super) fn segment(&self, index: u32) -> Option<Segment> {
        Segment::from_raw(self.directory.get(index as usize)?.load(Ordering::Acquire))
    }

    /// Interns a name, and writes its definition where the ids' users will be found after a crash.
    pub fn intern(&self, name: &str) -> Result<NameId, InternError> {
        self.names.intern(name, |id, text| self.log_name(id, text))
    }

    fn log_inherited_names(&self) {
        for id in 1..=self.names.highest().0 {
            if let Some(text) = self.names.name(NameId(id)) {
                let _ = self.log_name(NameId(id), text);
            }
        }
    }

    /// Called under the name table's lock, so the log's own is free.
    fn log_name(&self, id: NameId, text: &str) -> Result<(), InternError> {
        if self.arena.file.is_none() {
            return Ok(());
        }
        let Some(mut log) = self.name_log.try_lock() else { return Err(InternError::Busy) };
        let definition = NameDefinition { id, text: text.as_bytes() };
        for _ in 0..2 {
            match &mut *log {
                NameLog::Closed => return Err(InternError::Ended),
                NameLog::At(segment, position) => {
                    // SAFETY: a segment for names, which only the log's holder writes.
                    let rest = unsafe { segment.rest(*position) };
                    if let Ok(fit) = Encoder::new(rest).name(&definition) {
                        *position += fit.len as u32;
                        segment.publish(*position);
                        return Ok(());
                    }
                }
                NameLog::Empty => {}
            }
            *log = match self.take_beyond(Purpose::Names) {
                Some((_, segment)) => NameLog::At(segment, 0),
                None => NameLog::Empty,
            };
        }
        Err(InternError::Full)
    }

    /// From here on no definition of a name is written: a call that is late gets no id. False when
    /// one was being written until `deadline`.
    pub fn close_names(&self, deadline: Instant) -> bool {
        loop {
            if let Some(mut log) = self.name_log.try_lock() {
                *log = NameLog::Closed;
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            sync::sleep(Duration::from_micros(50));
        }
    }

    /// Gives all memory back to the process, and the file up. After `retire`, `close_names`, the last
    /// drain, and once what was drained is safe elsewhere.
    pub fn release_segments(&self, ending: Ending) {
        for (index, place) in self.directory.iter().enumerate() {
            if let Some(segment) = self.segment(index as u32) {
                segment.reset(0, Phase::Free, Purpose::Records);
                self.counters.segments.fetch_sub(1, Ordering::Relaxed);
            }
            place.store(std::ptr::null_mut(), Ordering::Release);
        }
        self.arena.release(ending);
    }
}

/// Makes a recorder live in a slot: from now on, threads record into it under handles of that slot.
pub fn install(slot: usize, recorder: &'static Recorder) {
    super::thread::prepare();
    if let Some(slot) = current().slots.get(slot) {
        slot.recorder.set(Some(recorder));
        slot.stamp.store(recorder.stamp, Ordering::SeqCst);
    }
}

/// In a slot's stamp while its drainer sleeps for long: no call finds its own stamp there then, so
/// the next record takes the slow way, and wakes the drainer. A stamp itself fits 62 bits.
const DOZING: u64 = 1 << 62;

/// Before the drainer sleeps for long: from now on, the next record wakes it. What was recorded so
/// far is published when this returns true. False, and all is as before, when a call did not end
/// within `patience`, or the recorder has ended.
pub fn doze(slot: usize, recorder: &Recorder, patience: Duration) -> bool {
    let process = current();
    let Some(place) = process.slots.get(slot) else { return false };
    let (awake, dozing) = (recorder.stamp, recorder.stamp | DOZING);
    if place.stamp.compare_exchange(awake, dozing, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return false;
    }
    let quiet = is_quiet(Instant::now() + patience);
    if !quiet {
        rouse(process, slot, recorder.stamp);
    }
    quiet
}

/// The drainer is awake again; whether it was a record that woke it.
pub fn awake(slot: usize, recorder: &Recorder) -> bool {
    let process = current();
    let stamp = process.slots.get(slot).map(|place| place.stamp.load(Ordering::SeqCst));
    rouse(process, slot, recorder.stamp);
    stamp == Some(recorder.stamp)
}

/// Whether the recorder with `stamp` is live in the slot, and only dozes.
#[cold]
#[inline(never)]
pub(super) fn is_dozing(process: &Process, slot: usize, stamp: u64) -> bool {
    let held = process.slots.get(slot).map(|place| place.stamp.load(Ordering::Relaxed));
    stamp != 0 && held == Some(stamp | DOZING)
}

/// A record comes for a recorder that is not live: if that only dozes, it is live now, the clock is
/// right, and the drainer wakes. Atomic operations and one system call; does not wait.
#[cold]
#[inline(never)]
pub(super) fn rouse(process: &Process, slot: usize, stamp: u64) -> bool {
    let Some(place) = process.slots.get(slot).filter(|_| stamp != 0) else { return false };
    let dozing = stamp | DOZING;
    match place.stamp.compare_exchange(dozing, stamp, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {
            super::clock::renew();
            if let Some(recorder) = place.recorder.get() {
                recorder.wake();
            }
            true
        }
        // Another thread was first.
        Err(held) => held == stamp,
    }
}

/// Ends a recorder: no record is accepted after this returns, and every record that was accepted
/// is published. Waits for calls in progress, at most until `deadline`; false when one did not end.
pub fn retire(slot: usize, recorder: &Recorder, deadline: Instant) -> bool {
    if let Some(slot) = current().slots.get(slot) {
        let ended = |held: u64| (held & !DOZING == recorder.stamp).then_some(0);
        let _ = slot.stamp.fetch_update(Ordering::SeqCst, Ordering::SeqCst, ended);
    }
    is_quiet(deadline)
}

/// Whether no thread of this process is inside a recording call that began before this one. Waits for
/// them until `deadline`.
pub fn is_quiet(deadline: Instant) -> bool {
    // Pairs with the light fence in `writer::record`: a call that began before a stamp was changed
    // sees the new one and refuses, or is seen here as busy.
    thread::heavy_fence();
    current().threads.iter().all(|thread| wait_until_idle(thread, deadline))
}

fn wait_until_idle(thread: &ThreadRecord, deadline: Instant) -> bool {
    while thread.is_busy() {
        if Instant::now() >= deadline {
            return false;
        }
        sync::sleep(Duration::from_micros(50));
    }
    true
}
