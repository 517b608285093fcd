use super::arena::{Arena, CHUNK, SegmentFile, segments_of};
use super::drain::Drainer;
use super::names::InternError;
use super::names::NameTable;
use super::segment::{Header, Phase, Purpose, SEGMENT_BYTES, Segment};
use super::shared::Shared;
use super::thread::{ThreadRecord, ThreadRecords};
use crate::model::NameId;
use crate::record::{Encoder, NameDefinition, Names};
use crate::sys::fork::PerProcess;
use crate::sys::memory::Region;
use crate::sys::{leaked::Leaked, thread};
use crossbeam_queue::ArrayQueue;
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
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
    pub(super) stamp: AtomicU64,
    pub(super) recorder: Leaked<Recorder>,
}

static CURRENT: PerProcess<Process> = PerProcess::new();

/// This process's state; made at the first call after a start or a fork.
pub(super) fn current() -> &'static Process {
    CURRENT.get(|generation, _| {
        thread::register_fences();
        Process {
            generation,
            slots: Default::default(),
            threads: ThreadRecords::default(),
            spare: ArrayQueue::new(SPARE_REGIONS),
            spare_pages: ArrayQueue::new(MAX_RECORDERS),
        }
    })
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

/// How long a thread waits while another one adds a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all: there is another way.
    None,
    /// For as long as it takes on a slow disk, within reason.
    Growth,
}

impl Patience {
    fn attempts(self) -> u32 {
        match self {
            Patience::None => 50,
            Patience::Growth => 50_000,
        }
    }
}

/// The segments of one core, and the queues they travel through.
pub struct Recorder {
    pub(super) stamp: u64,
    /// Places for all segments there may be; filled from the front.
    pub(super) directory: Box<[AtomicPtr<Header>]>,
    pub(super) filled: AtomicUsize,
    /// The most that threads may fill; the rest is for names and for what is carried over.
    limit: usize,
    /// Free segments that threads leave alone: a checkpoint must find room for the records of open
    /// requests, or it would have to close them.
    reserve: usize,
    /// And free segments that only threads without one of their own use, one after another: see
    /// `shared`.
    shared_reserve: usize,
    pub(super) free: ArrayQueue<u32>,
    pub(super) full: ArrayQueue<u32>,
    /// Segments that ended threads left with room in them. A hint: an entry may be out of date.
    left: ArrayQueue<u32>,
    pub(super) shared: Shared,
    pub(super) arena: Arena,
    /// Interned names.
    pub names: NameTable,
    name_log: Mutex<Option<(Segment, u32)>>,
    /// Counts.
    pub counters: RecorderCounters,
    drainer: OnceLock<std::thread::Thread>,
    drainer_given: AtomicBool,
    growing: AtomicBool,
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
            directory: std::iter::repeat_with(AtomicPtr::default).take(places).collect(),
            filled: AtomicUsize::new(0),
            limit,
            reserve: if file.is_some() { (limit / 4).clamp(1, CHUNK / 2) } else { 0 },
            shared_reserve: (limit / 64).clamp(1, CHUNK / 4),
            free: ArrayQueue::new(places),
            full: ArrayQueue::new(places),
            left: ArrayQueue::new(places),
            shared: Shared::default(),
            arena: Arena::new(file),
            names,
            name_log: Mutex::new(None),
            counters: RecorderCounters::default(),
            drainer: OnceLock::new(),
            drainer_given: AtomicBool::new(false),
            growing: AtomicBool::new(false),
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

    /// The most segments that threads fill.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether what threads record outlives the process.
    pub fn is_on_file(&self) -> bool {
        self.arena.file.is_some() && self.arena.chunks_in_memory.load(Ordering::Relaxed) == 0
    }

    /// The recorder's file, if it has one.
    pub fn file(&self) -> Option<&SegmentFile> {
        self.arena.file.as_ref()
    }

    /// Segments that threads may still get before one is given back.
    pub(super) fn available(&self) -> usize {
        let filled = self.filled.load(Ordering::Relaxed).min(self.limit);
        self.free.len() + (self.limit - filled)
    }

    /// Whether threads will soon find no segment for themselves.
    pub(super) fn is_short(&self) -> bool {
        self.available() <= self.kept() + CHUNK / 4
    }

    /// Free segments that a thread does not get for itself.
    fn kept(&self) -> usize {
        self.reserve + self.shared_reserve
    }

    /// Adds a chunk if few segments are free, so that a thread need not do it in its call. For the
    /// drainer's thread.
    pub fn prepare(&self) {
        if self.free.len() < self.kept() + CHUNK / 8
            && self.filled.load(Ordering::Acquire) < self.limit
            && !self.growing.swap(true, Ordering::Acquire)
        {
            while self.free.len() <= self.kept() && self.grow(self.limit) {}
            self.growing.store(false, Ordering::Release);
        }
    }

    /// Hands out an empty segment, active; `None` when the bound is reached, or when another thread
    /// is adding a chunk: then there is the shared one.
    fn take(&self) -> Option<(u32, Segment)> {
        let taken = self.take_for(Purpose::Records, self.limit, self.kept(), Patience::None)?;
        let wants_chunk = self.free.len() <= self.kept() && self.available() > self.kept();
        if self.available() < self.limit / 2 || wants_chunk {
            self.wake();
        }
        Some(taken)
    }

    /// Where a thread may go on by itself, and from which position: it tries first what an ended
    /// thread left if it `is_first` here, so that short-lived threads take little room.
    pub(super) fn place(&self, is_first: bool) -> Option<(u32, Segment, u32)> {
        let empty = || self.take().map(|(index, segment)| (index, segment, 0));
        if is_first { self.adopt().or_else(empty) } else { empty().or_else(|| self.adopt()) }
    }

    /// As `take`, for threads without a segment to themselves.
    pub(super) fn take_shared(&self) -> Option<(u32, Segment)> {
        let taken = self.take_for(Purpose::Records, self.limit, self.reserve, Patience::Growth);
        self.wake();
        taken
    }

    /// As `take`, for what may go beyond the threads' bound, into what they leave in reserve.
    pub(super) fn take_beyond(&self, purpose: Purpose) -> Option<(u32, Segment)> {
        self.take_for(purpose, self.directory.len(), 0, Patience::Growth)
    }

    /// A segment that an ended thread left with room in it, active again; and how far it is filled.
    pub(super) fn adopt(&self) -> Option<(u32, Segment, u32)> {
        while let Some(index) = self.left.pop() {
            if let Some(segment) = self.segment(index)
                && segment.turn(self.stamp, Phase::Retired, Phase::Active)
            {
                return Some((index, segment, segment.published()));
            }
        }
        None
    }

    /// A thread that ends leaves its segment: to another, if there is room in it. Atomic
    /// operations only.
    pub(super) fn leave_behind(&self, index: u32, segment: Segment) {
        if segment.leave(self.stamp, Phase::Retired) && segment.has_room() {
            // Without a place in the queue it is as a full one to the drain, when memory is short.
            let _ = self.left.push(index);
        }
    }

    /// A thread's segment is full.
    pub(super) fn hand_over(&self, index: u32, segment: Segment) {
        if segment.leave(self.stamp, Phase::Full) {
            // Has room for every segment there is.
            let _ = self.full.push(index);
        }
    }

    fn take_for(
        &self,
        purpose: Purpose,
        limit: usize,
        reserve: usize,
        patience: Patience,
    ) -> Option<(u32, Segment)> {
        let (index, segment) = self.pop(reserve).or_else(|| {
            // Growing takes a system call or two; whoever comes in between gets one of the sixteen,
            // if it is as patient as that.
            for attempt in 0..patience.attempts() {
                if self.filled.load(Ordering::Acquire) >= limit {
                    return None;
                }
                if !self.growing.swap(true, Ordering::Acquire) {
                    // The first chunk may be no more than the reserve.
                    while self.free.len() <= reserve && self.grow(limit) {}
                    self.growing.store(false, Ordering::Release);
                    return self.pop(reserve);
                }
                if attempt < 50 {
                    std::hint::spin_loop()
                } else {
                    std::thread::yield_now()
                }
                if let Some(taken) = self.pop(reserve) {
                    return Some(taken);
                }
            }
            None
        })?;
        segment.reset(self.stamp, Phase::Active, purpose);
        Some((index, segment))
    }

    fn pop(&self, reserve: usize) -> Option<(u32, Segment)> {
        if self.free.len() <= reserve {
            return None;
        }
        let index = self.free.pop()?;
        self.segment(index).map(|segment| (index, segment))
    }

    /// Adds a chunk, but for what would go beyond `limit`. One thread at a time.
    fn grow(&self, limit: usize) -> bool {
        let filled = self.filled.load(Ordering::Relaxed);
        if filled >= limit {
            return false;
        }
        let Ok(region) = self.arena.grow() else { return false };
        let places = self.directory.iter().enumerate().skip(filled);
        for ((index, place), segment) in places.zip(segments_of(region)) {
            segment.reset(self.stamp, Phase::Free, Purpose::Records);
            place.store(segment.as_raw(), Ordering::Release);
            // Has room for every segment there is.
            let _ = self.free.push(index as u32);
        }
        self.filled.store((filled + CHUNK).min(self.directory.len()), Ordering::Release);
        self.counters.segments.fetch_add(CHUNK as u64, Ordering::Relaxed);
        true
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
                self.log_name(NameId(id), text);
            }
        }
    }

    /// Called under the name table's lock, so the log's own is free.
    fn log_name(&self, id: NameId, text: &str) -> bool {
        if self.arena.file.is_none() {
            return true;
        }
        let Some(mut log) = self.name_log.try_lock() else { return false };
        let definition = NameDefinition { id, text: text.as_bytes() };
        for _ in 0..2 {
            if let Some((segment, position)) = log.as_mut() {
                // SAFETY: a segment for names, which only the log's holder writes.
                let rest = unsafe { segment.rest(*position) };
                if let Ok(fit) = Encoder::new(rest).name(&definition) {
                    *position += fit.len as u32;
                    segment.publish(*position);
                    return true;
                }
            }
            *log = self.take_beyond(Purpose::Names).map(|(_, segment)| (segment, 0));
        }
        false
    }

    /// Gives all memory back to the process, and removes the file. After `retire`, the last drain,
    /// and once what was drained is safe elsewhere.
    pub fn release_segments(&self) {
        for (index, place) in self.directory.iter().enumerate() {
            if let Some(segment) = self.segment(index as u32) {
                segment.reset(0, Phase::Free, Purpose::Records);
                self.counters.segments.fetch_sub(1, Ordering::Relaxed);
            }
            place.store(std::ptr::null_mut(), Ordering::Release);
        }
        self.arena.discard();
    }
}

/// Makes a recorder live in a slot: from now on, threads record into it under handles of that slot.
pub fn install(slot: usize, recorder: &'static Recorder) {
    if let Some(slot) = current().slots.get(slot) {
        slot.recorder.set(Some(recorder));
        slot.stamp.store(recorder.stamp, Ordering::SeqCst);
    }
}

/// Ends a recorder: no record is accepted after this returns, and every record that was accepted
/// is published. Waits for calls in progress, at most until `deadline`; false when one did not end.
pub fn retire(slot: usize, recorder: &Recorder, deadline: Instant) -> bool {
    let process = current();
    if let Some(slot) = process.slots.get(slot) {
        let _ = slot.stamp.compare_exchange(recorder.stamp, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
    // Pairs with the light fence in `writer::record`: a call that began before sees the new stamp
    // and refuses, or is seen here as busy.
    thread::heavy_fence();
    process.threads.iter().all(|thread| wait_until_idle(thread, deadline))
}

fn wait_until_idle(thread: &ThreadRecord, deadline: Instant) -> bool {
    while thread.is_busy() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    true
}
