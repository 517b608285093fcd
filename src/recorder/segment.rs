use crate::sys::sync::{AtomicU32, AtomicU64, Watch};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

/// A segment's size, header included. Small enough that 256 threads fit the default bound, large
/// enough that the hand-over is rare.
pub(super) const SEGMENT_BYTES: usize = if cfg!(any(loom, shuttle)) { 2 * 65_536 } else { 65_536 };
/// Bytes for records. One record fits at least: `MAX_RECORD`.
pub(super) const CAPACITY: usize = SEGMENT_BYTES - size_of::<Header>();

const _: () = assert!(CAPACITY >= crate::record::MAX_RECORD);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Header>() == 128);

/// Where a segment is in its life; see the table in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Phase {
    Free = 0,
    Active = 1,
    Full = 2,
    Retired = 3,
}

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Purpose {
    /// Records of a thread.
    Records = 0,
    /// Definitions of interned names.
    Names = 1,
    /// Records of open requests, carried over from segments that were given back.
    Carried = 2,
}

/// The head of a segment, in the segment's own memory, so that a mapped file carries it along.
/// The writer's and the drain's fields lie in cache lines of their own.
#[repr(C)]
pub(super) struct Header {
    /// The recorder's stamp, and the phase in the lowest two bits.
    state: AtomicU64,
    /// Bytes of complete records. Written by the owner, with release.
    published: AtomicU32,
    purpose: AtomicU32,
    _writer_line: [u8; 48],
    /// Bytes that the drain has taken. Of no meaning after its process's death.
    drained: AtomicU32,
    /// The checkpoint from which on the segment counts; see [`Segment::valid_after`].
    born: AtomicU32,
    /// Bytes that a checkpoint covers, with its number in the upper half; one for the last
    /// checkpoint, one for the one being made, by the number's lowest bit.
    covered: [AtomicU64; 2],
    _drain_line: [u8; 40],
    watch: Watch,
}

#[cfg(any(loom, shuttle))]
impl Header {
    /// What zeroed memory is where atomics are plain numbers.
    fn zeroed() -> Header {
        Header {
            state: AtomicU64::new(0),
            published: AtomicU32::new(0),
            purpose: AtomicU32::new(0),
            _writer_line: [0; 48],
            drained: AtomicU32::new(0),
            born: AtomicU32::new(0),
            covered: [AtomicU64::new(0), AtomicU64::new(0)],
            _drain_line: [0; 40],
            watch: Watch::unwritten(),
        }
    }
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
    /// # Safety
    /// At `start` are `SEGMENT_BYTES` that stay mapped, aligned to a page, and that nobody uses but
    /// as a segment.
    pub(super) unsafe fn at(start: NonNull<u8>) -> Segment {
        // SAFETY: the caller's promise; a checker's execution begins with a header of its own.
        #[cfg(any(loom, shuttle))]
        unsafe {
            start.cast().write(Header::zeroed());
        }
        Segment(start.cast())
    }

    pub(super) fn from_raw(header: *mut Header) -> Option<Segment> {
        NonNull::new(header).map(Segment)
    }

    pub(super) fn as_raw(self) -> *mut Header {
        self.0.as_ptr()
    }

    fn header(&self) -> &Header {
        // SAFETY: aligned and mapped, by the promise given to `at`; any bytes are a valid header.
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

    pub(super) fn purpose(self) -> Purpose {
        match self.header().purpose.load(Ordering::Relaxed) {
            1 => Purpose::Names,
            2 => Purpose::Carried,
            _ => Purpose::Records,
        }
    }

    /// What its head says, found in a dead process's file whose last checkpoint is `committed`: from
    /// where on it counts, if at all, and whether its process can have written such a head.
    ///
    /// Of a head that cannot be believed nothing counts that may have counted before.
    pub(super) fn found(self, committed: u32) -> (Option<u32>, bool) {
        let header = self.header();
        let load = |field: &AtomicU32| field.load(Ordering::Acquire);
        let (published, born) = (load(&header.published), load(&header.born));
        let next = committed.saturating_add(1);
        let believed = |covered: &AtomicU64| {
            let covered = covered.load(Ordering::Acquire);
            let (number, position) = ((covered >> 32) as u32, covered as u32);
            number <= next && position <= published
        };
        let is_free = header.state.load(Ordering::Acquire) & 3 == Phase::Free as u64;
        let covers = header.covered.iter().all(believed);
        let start = if is_free || born > committed {
            None
        } else if covers {
            Some(self.covered(committed))
        } else {
            (committed == 0).then_some(0)
        };
        let purpose = load(&header.purpose);
        let is_sound = covers
            && published as usize <= CAPACITY
            && !(is_free && published > 0)
            && born <= next
            && (born == 0 || purpose == Purpose::Carried as u32)
            && purpose <= Purpose::Carried as u32;
        (start, is_sound)
    }

    /// Empties it and gives it a new phase and purpose. For who has it to itself: the drain, or a
    /// taker.
    pub(super) fn reset(self, stamp: u64, phase: Phase, purpose: Purpose) {
        let header = self.header();
        // First: whoever finds the file of a process that died here finds nothing in it.
        header.published.store(0, Ordering::Release);
        header.watch.renew();
        header.drained.store(0, Ordering::Relaxed);
        header.born.store(0, Ordering::Relaxed);
        header.covered.iter().for_each(|covered| covered.store(0, Ordering::Relaxed));
        header.purpose.store(purpose as u32, Ordering::Relaxed);
        header.state.store(stamp << 2 | phase as u64, Ordering::Release);
    }

    /// The owner gives it up, unless it stopped being the owner in the meantime.
    pub(super) fn leave(self, stamp: u64, phase: Phase) -> bool {
        self.turn(stamp, Phase::Active, phase)
    }

    /// Goes from one phase to another, if it is in the one.
    pub(super) fn turn(self, stamp: u64, from: Phase, to: Phase) -> bool {
        let (from, to) = (stamp << 2 | from as u64, stamp << 2 | to as u64);
        let state = &self.header().state;
        state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The unpublished rest, from `position` on.
    ///
    /// # Safety
    /// The caller is the segment's owner, `position` is what it published last, and it keeps no
    /// other slice of the rest.
    #[inline(always)]
    pub(super) unsafe fn rest<'s>(self, position: u32) -> &'s mut [u8] {
        let position = position as usize;
        if position > CAPACITY {
            return &mut [];
        }
        self.header().watch.write(position as u32);
        // SAFETY: within the mapping, since `position` is at most CAPACITY; past the published
        // mark, so the drain does not read it; the caller has no other slice.
        unsafe {
            let data = self.0.as_ptr().cast::<u8>().add(size_of::<Header>());
            std::slice::from_raw_parts_mut(data.add(position), CAPACITY - position)
        }
    }

    /// Makes everything before `position` visible to the drain, and safe from the process's death
    /// where the segment is in a file. By the owner.
    #[inline(always)]
    pub(super) fn publish(self, position: u32) {
        self.header().published.store(position, Ordering::Release);
    }

    /// How far it is filled.
    pub(super) fn published(self) -> u32 {
        self.header().published.load(Ordering::Acquire)
    }

    /// Whether it is worth another thread's while to go on in it.
    pub(super) fn has_room(self) -> bool {
        (self.published() as usize) < CAPACITY / 2
    }

    /// What was published, from `start` on.
    ///
    /// # Safety
    /// The caller is the one drain of the segment's recorder, and keeps the slice no longer than
    /// until it resets the segment.
    pub(super) unsafe fn published_from<'s>(self, start: u32) -> &'s [u8] {
        let end = (self.header().published.load(Ordering::Acquire) as usize).min(CAPACITY);
        let start = (start as usize).min(end);
        self.header().watch.read(start as u32, end as u32);
        // SAFETY: within the mapping; before the published mark, so the owner writes it no more.
        unsafe {
            let data = self.0.as_ptr().cast::<u8>().add(size_of::<Header>());
            std::slice::from_raw_parts(data.add(start), end - start)
        }
    }

    /// Bytes that the drain has taken.
    pub(super) fn drained(self) -> u32 {
        self.header().drained.load(Ordering::Relaxed)
    }

    /// Notes that the drain has taken everything before `position`.
    pub(super) fn set_drained(self, position: u32) {
        self.header().drained.store(position, Ordering::Relaxed);
    }

    /// Bytes that the last checkpoint covers, `committed` being its number.
    pub(super) fn covered(self, committed: u32) -> u32 {
        let newest = self
            .header()
            .covered
            .iter()
            .map(|covered| covered.load(Ordering::Acquire))
            .filter(|covered| (covered >> 32) as u32 <= committed)
            .max();
        newest.unwrap_or(0) as u32
    }

    /// Notes that checkpoint `number`, once it is committed, covers everything before `position`.
    pub(super) fn cover(self, number: u32, position: u32) {
        if let Some(covered) = self.header().covered.get(number as usize & 1) {
            covered.store(u64::from(number) << 32 | u64::from(position), Ordering::Release);
        }
    }

    /// Makes the segment count from checkpoint `number` on.
    pub(super) fn bear(self, number: u32) {
        self.header().born.store(number, Ordering::Release);
    }
}
