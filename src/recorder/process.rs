use super::drain::Drainer;
use super::names::NameTable;
use super::segment::{Header, Phase, SEGMENT_BYTES, Segment};
use super::thread::{ThreadRecord, ThreadRecords};
use crate::sys::fork::PerProcess;
use crate::sys::{leaked::Leaked, thread};
use crossbeam_queue::ArrayQueue;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many recorders may run at once in a process; the low bits of a handle.
pub const MAX_RECORDERS: usize = 8;
/// Emptied segments of recorders that ended, kept for the next.
const SPARE_SEGMENTS: usize = 4096;

/// What one process, in one fork generation, has of recorders and threads. A child starts with an
/// empty one and never looks into its parent's: the parent's queues may be caught mid-operation.
pub(super) struct Process {
    pub(super) generation: u32,
    pub(super) slots: [Slot; MAX_RECORDERS],
    pub(super) threads: ThreadRecords,
    spare: ArrayQueue<Segment>,
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
            spare: ArrayQueue::new(SPARE_SEGMENTS),
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
    /// Segments of memory in use or kept for use.
    pub segments: AtomicU64,
    /// Records in segments that could not be read; always 0 but for a defect.
    pub unreadable: AtomicU64,
}

/// The segments of one core, and the queues they travel through.
pub struct Recorder {
    pub(super) stamp: u64,
    pub(super) directory: Box<[AtomicPtr<Header>]>,
    pub(super) allocated: AtomicUsize,
    pub(super) free: ArrayQueue<u32>,
    pub(super) full: ArrayQueue<u32>,
    /// Interned names.
    pub names: NameTable,
    /// Counts.
    pub counters: RecorderCounters,
    drainer: OnceLock<std::thread::Thread>,
    drainer_given: AtomicBool,
    panic_at_attach: AtomicBool,
}

impl Recorder {
    /// With at most `memory_bytes` of segments (at least two). `stamp` is not zero, fits 62 bits
    /// (it shares a word with a phase), and is used once in a process; a child's recorder may have
    /// its parent's.
    pub fn new(stamp: u64, memory_bytes: usize, names: NameTable) -> Recorder {
        let segments = (memory_bytes / SEGMENT_BYTES).max(2);
        Recorder {
            stamp,
            directory: std::iter::repeat_with(AtomicPtr::default).take(segments).collect(),
            allocated: AtomicUsize::new(0),
            free: ArrayQueue::new(segments),
            full: ArrayQueue::new(segments),
            names,
            counters: RecorderCounters::default(),
            drainer: OnceLock::new(),
            drainer_given: AtomicBool::new(false),
            panic_at_attach: AtomicBool::new(false),
        }
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
            crate::sys::panic_for_test();
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

    /// Hands out an empty segment, active; `None` when the bound is reached.
    pub(super) fn take(&self) -> Option<(u32, Segment)> {
        let taken = match self.free.pop() {
            Some(index) => self.segment(index).map(|segment| (index, segment)),
            None => self.allocate(),
        }?;
        taken.1.reset(self.stamp, Phase::Active);
        if self.free.len() + (self.directory.len() - self.in_use()) < self.directory.len() / 2 {
            self.wake();
        }
        Some(taken)
    }

    fn in_use(&self) -> usize {
        self.allocated.load(Ordering::Relaxed).min(self.directory.len())
    }

    fn allocate(&self) -> Option<(u32, Segment)> {
        let index = self
            .allocated
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| {
                (n < self.directory.len()).then_some(n + 1)
            })
            .ok()?;
        let Some(segment) = current().spare.pop().or_else(Segment::map) else {
            // The system has no memory: the place stays empty, the drain skips it.
            return None;
        };
        segment.reset(self.stamp, Phase::Free);
        self.directory.get(index)?.store(segment.as_raw(), Ordering::Release);
        self.counters.segments.fetch_add(1, Ordering::Relaxed);
        Some((index as u32, segment))
    }

    pub(super) fn segment(&self, index: u32) -> Option<Segment> {
        Segment::from_raw(self.directory.get(index as usize)?.load(Ordering::Acquire))
    }

    /// Gives all memory back to the process. After `retire`, and the last drain.
    pub fn release_segments(&self) {
        for place in &self.directory {
            if let Some(segment) =
                Segment::from_raw(place.swap(std::ptr::null_mut(), Ordering::AcqRel))
            {
                segment.reset(0, Phase::Free);
                let _ = current().spare.push(segment);
                self.counters.segments.fetch_sub(1, Ordering::Relaxed);
            }
        }
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
