use super::process::{MAX_RECORDERS, Process, current};
use super::segment::Segment;
use crate::sys::sync::{AtomicBool, AtomicU32, Watch};
use crate::sys::thread::{ExitHook, LazyExitHook, add_by_owner};
use crate::sys::{fork, leaked::Leaked, local, random};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a thread keeps for one recorder.
#[derive(Clone, Copy)]
pub(super) struct Writer {
    /// The recorder this is for; 0 when for none.
    pub(super) stamp: u64,
    pub(super) segment: Option<Segment>,
    pub(super) index: u32,
    /// Bytes published so far.
    pub(super) position: u32,
    /// The recorder itself.
    pub(super) recorder: Option<&'static super::Recorder>,
}

impl Writer {
    const NONE: Writer = Writer { stamp: 0, segment: None, index: 0, position: 0, recorder: None };
}

/// What one thread has: written by that thread alone, but for `taken` and `busy`, which others read.
/// Records of ended threads are reused; none is ever freed.
pub(super) struct ThreadRecord {
    next: Leaked<ThreadRecord>,
    taken: AtomicBool,
    /// 1 while the thread is inside a recording call.
    busy: AtomicU32,
    pub(super) process: &'static Process,
    writers: UnsafeCell<[Writer; MAX_RECORDERS]>,
    random: AtomicU64,
    error: UnsafeCell<ErrorText>,
    watch: Watch,
}

// SAFETY: shared for `busy`, `taken` and `next`, which are atomics; the cells are touched only by
// the thread that has taken the record.
unsafe impl Sync for ThreadRecord {}

/// The last error's text, in place: no allocation, no destructor.
struct ErrorText {
    len: usize,
    bytes: [u8; ERROR_BYTES],
}

const ERROR_BYTES: usize = 512;

static EXIT: LazyExitHook = LazyExitHook::new();

/// All records of a process; grows to the highest number of threads that recorded at once.
#[derive(Default)]
pub(super) struct ThreadRecords(Leaked<ThreadRecord>);

impl ThreadRecords {
    pub(super) fn iter(&self) -> impl Iterator<Item = &'static ThreadRecord> {
        std::iter::successors(self.0.get(), |record| record.next.get())
    }

    fn take(&self, process: &'static Process) -> &'static ThreadRecord {
        let reused = self.iter().find(|record| {
            record.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        if let Some(record) = reused {
            return record;
        }
        let record: &'static ThreadRecord = Box::leak(Box::new(ThreadRecord {
            next: Leaked::empty(),
            taken: AtomicBool::new(true),
            busy: AtomicU32::new(0),
            process,
            writers: UnsafeCell::new([Writer::NONE; MAX_RECORDERS]),
            random: AtomicU64::new(random::seed()[0]),
            error: UnsafeCell::new(ErrorText { len: 0, bytes: [0; ERROR_BYTES] }),
            watch: Watch::unwritten(),
        }));
        let mut head = self.0.get();
        loop {
            record.next.set(head);
            match self.0.replace(head, record) {
                Ok(()) => return record,
                Err(now) => head = now,
            }
        }
    }
}

impl ThreadRecord {
    /// Whether its thread is inside a recording call.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) != 0
    }

    /// Marks the thread as inside a recording call; `None` if it already is, as when a signal
    /// handler interrupted one. Unmarked when dropped, even by a panic.
    #[inline(always)]
    pub(super) fn enter(&'static self) -> Option<Entered> {
        if self.busy.load(Ordering::Relaxed) != 0 {
            return None;
        }
        self.busy.store(1, Ordering::Relaxed);
        crate::sys::thread::light_fence();
        Some(Entered(self))
    }

    /// Three numbers of this thread's generator (SplitMix64; Steele, Lea and Flood 2014), none zero.
    /// One step for all: a signal handler in between must not get the same.
    #[inline(always)]
    pub(super) fn random(&self) -> Numbers {
        Numbers(add_by_owner(&self.random, STEP.wrapping_mul(3)))
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Three random numbers, each made when it is asked for.
pub(super) struct Numbers(u64);

impl Numbers {
    /// The first, second or third; not zero.
    #[inline(always)]
    pub(super) fn get(&self, n: u64) -> u64 {
        mix(self.0.wrapping_add(STEP.wrapping_mul(n))).max(1)
    }
}

#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A thread inside a recording call; gives access to its writers.
pub struct Entered(&'static ThreadRecord);

impl Entered {
    #[inline(always)]
    pub(super) fn writer(&mut self, slot: usize) -> Option<&mut Writer> {
        self.0.watch.write(0);
        // SAFETY: `enter` admits one at a time, and only the record's own thread; the borrow ends
        // with `self`'s.
        unsafe { &mut *self.0.writers.get() }.get_mut(slot)
    }

    #[inline(always)]
    pub(super) fn process(&self) -> &'static Process {
        self.0.process
    }
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.busy.store(0, Ordering::Release);
    }
}

/// This thread's record, if it has one of this fork generation.
#[inline(always)]
pub(super) fn existing() -> Option<&'static ThreadRecord> {
    // SAFETY: null or a leaked record: nobody else sets it.
    let record = unsafe { local::get().cast_const().cast::<ThreadRecord>().as_ref() }?;
    (record.process.generation == fork::generation()).then_some(record)
}

/// This thread's record, made if need be.
pub(super) fn mine() -> &'static ThreadRecord {
    if let Some(record) = existing() {
        return record;
    }
    let process = current();
    let record = process.threads.take(process);
    arm(record);
    local::set(std::ptr::from_ref(record).cast_mut().cast());
    record
}

/// Makes the hook, before there are threads that record: should one be forked off while another is at
/// it, its child would wait for ever.
pub(super) fn prepare() {
    if !cfg!(any(loom, shuttle)) {
        exit_hook();
    }
}

fn exit_hook() -> Option<ExitHook> {
    // SAFETY: `on_exit` is a plain function of an object that is never unmapped; it is armed with
    // leaked records only.
    unsafe { EXIT.get(on_exit) }
}

/// Asks to be told of the thread's end. A checker's threads tell it themselves.
fn arm(record: &'static ThreadRecord) {
    if cfg!(any(loom, shuttle)) {
        return;
    }
    if let Some(hook) = exit_hook() {
        hook.arm(std::ptr::from_ref(record).cast_mut().cast());
    }
}

/// A thread ends: its segments are left to other threads and the drain, its record to the next
/// thread. Atomic operations only; should the thread record once more, it takes a record anew.
pub(super) unsafe extern "C" fn on_exit(pointer: *mut libc::c_void) {
    // SAFETY: armed with a leaked record.
    let Some(record) = (unsafe { pointer.cast_const().cast::<ThreadRecord>().as_ref() }) else {
        return;
    };
    local::set(std::ptr::null_mut());
    if record.process.generation != fork::generation() {
        return;
    }
    let Some(mut entered) = record.enter() else { return };
    for slot in 0..MAX_RECORDERS {
        if let Some(writer) = entered.writer(slot) {
            if let (Some(recorder), Some(segment)) = (writer.recorder, writer.segment) {
                recorder.leave_behind(writer.index, segment);
            }
            *writer = Writer::NONE;
        }
    }
    drop(entered);
    // SAFETY: still this thread's own record.
    unsafe { (*record.error.get()).len = 0 };
    record.taken.store(false, Ordering::Release);
}

/// Remembers what was wrong with this thread's last failed call. Text past 512 bytes is cut.
pub fn set_last_error(message: &dyn std::fmt::Display) {
    struct Into<'t>(&'t mut ErrorText);
    impl std::fmt::Write for Into<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let room = self.0.bytes.get_mut(self.0.len..).unwrap_or_default();
            let len = text.floor_char_boundary(room.len());
            if let (Some(to), Some(from)) = (room.get_mut(..len), text.as_bytes().get(..len)) {
                to.copy_from_slice(from);
                self.0.len += len;
            }
            Ok(())
        }
    }
    let record = mine();
    // SAFETY: this thread's own record; a signal handler in between may mix the text, which stays
    // within its bounds.
    let text = unsafe { &mut *record.error.get() };
    text.len = 0;
    let _ = std::fmt::write(&mut Into(text), format_args!("{message}"));
}

/// Shows this thread's last error's text; empty when there was none.
pub fn with_last_error<R>(show: impl FnOnce(&str) -> R) -> R {
    let Some(record) = existing() else { return show("") };
    // SAFETY: this thread's own record, not written while it is shown.
    let text = unsafe { &*record.error.get() };
    show(text.bytes.get(..text.len).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or(""))
}
