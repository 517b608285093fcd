use crate::sys::memory;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A segment's size, header included. Small enough that 256 threads fit the default bound, large
/// enough that the hand-over is rare.
pub(super) const SEGMENT_BYTES: usize = 65_536;
/// Bytes for records. One record fits at least: `MAX_RECORD`.
pub(super) const CAPACITY: usize = SEGMENT_BYTES - size_of::<Header>();

const _: () = assert!(CAPACITY >= crate::record::MAX_RECORD);

/// Where a segment is in its life; see the table in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Phase {
    Free = 0,
    Active = 1,
    Full = 2,
    Retired = 3,
}

/// The head of a segment, in the segment's own memory, so that a mapped file carries it along.
/// The writer's and the drain's fields lie in cache lines of their own.
#[repr(C)]
pub(super) struct Header {
    /// The recorder's stamp, and the phase in the lowest two bits.
    state: AtomicU64,
    /// Bytes of complete records. Written by the owner, with release.
    published: AtomicU32,
    _writer_line: [u8; 52],
    /// Bytes that the drain has taken. Written by the drain.
    drained: AtomicU32,
    _drain_line: [u8; 60],
}

/// A segment. Its memory stays mapped for the life of the process, so a late thread that still
/// knows an old segment finds memory there, and by the stamp that it is no longer its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment(NonNull<Header>);

// SAFETY: the header is atomics; the data is written by the owner alone, past the published mark,
// and read by the drain alone, before it.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// A new one, free, of no recorder.
    pub(super) fn map() -> Option<Segment> {
        memory::map_forever(SEGMENT_BYTES).map(|memory| Segment(memory.cast()))
    }

    pub(super) fn from_raw(header: *mut Header) -> Option<Segment> {
        NonNull::new(header).map(Segment)
    }

    pub(super) fn as_raw(self) -> *mut Header {
        self.0.as_ptr()
    }

    fn header(&self) -> &Header {
        // SAFETY: made by `map`: zeroed, aligned to a page, mapped for ever.
        unsafe { self.0.as_ref() }
    }

    /// Its phase, if it belongs to the recorder with this stamp.
    pub(super) fn phase(self, stamp: u64) -> Option<Phase> {
        let state = self.header().state.load(Ordering::Acquire);
        (state >> 2 == stamp).then_some(match state & 3 {
            0 => Phase::Free,
            1 => Phase::Active,
            2 => Phase::Full,
            _ => Phase::Retired,
        })
    }

    /// Empties it and gives it a new phase. For who has it to itself: the drain, or a taker.
    pub(super) fn reset(self, stamp: u64, phase: Phase) {
        let header = self.header();
        header.published.store(0, Ordering::Relaxed);
        header.drained.store(0, Ordering::Relaxed);
        header.state.store(stamp << 2 | phase as u64, Ordering::Release);
    }

    /// The owner gives it up, unless it stopped being the owner in the meantime.
    pub(super) fn leave(self, stamp: u64, phase: Phase) -> bool {
        let active = stamp << 2 | Phase::Active as u64;
        let left = stamp << 2 | phase as u64;
        self.header()
            .state
            .compare_exchange(active, left, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// The unpublished rest, from `position` on.
    ///
    /// # Safety
    /// The caller is the segment's owner, `position` is what it published last, and it keeps no
    /// other slice of the rest.
    #[inline(always)]
    pub(super) unsafe fn rest<'s>(self, position: u32) -> &'s mut [u8] {
        let len = CAPACITY.saturating_sub(position as usize);
        // SAFETY: within the mapping, since `position` is at most CAPACITY; past the published
        // mark, so the drain does not read it; the caller has no other slice.
        unsafe {
            let data = self.0.as_ptr().cast::<u8>().add(size_of::<Header>());
            std::slice::from_raw_parts_mut(data.add(CAPACITY - len), len)
        }
    }

    /// Makes everything before `position` visible to the drain. By the owner.
    #[inline(always)]
    pub(super) fn publish(self, position: u32) {
        self.header().published.store(position, Ordering::Release);
    }

    /// What was published and not drained yet.
    ///
    /// # Safety
    /// The caller is the one drain of the segment's recorder, and keeps the slice no longer than
    /// until it resets the segment.
    pub(super) unsafe fn undrained<'s>(self) -> &'s [u8] {
        let header = self.header();
        let end = (header.published.load(Ordering::Acquire) as usize).min(CAPACITY);
        let start = (header.drained.load(Ordering::Relaxed) as usize).min(end);
        // SAFETY: within the mapping; before the published mark, so the owner writes it no more.
        unsafe {
            let data = self.0.as_ptr().cast::<u8>().add(size_of::<Header>());
            std::slice::from_raw_parts(data.add(start), end - start)
        }
    }

    /// Notes that the drain has taken `len` more bytes.
    pub(super) fn advance(self, len: usize) {
        let drained = &self.header().drained;
        drained.store(drained.load(Ordering::Relaxed) + len as u32, Ordering::Relaxed);
    }
}
