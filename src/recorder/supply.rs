//! Where segments come from: given back, left by ended threads, or new; and who may have how many.

use super::arena::{CHUNK, segments_of};
use super::process::Recorder;
use super::segment::{Phase, Purpose, Segment};
use crate::sys::sync;
use std::sync::atomic::Ordering;

/// How long a thread waits while another one adds a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
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

impl Recorder {
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
                    sync::spin_loop()
                } else {
                    sync::yield_now()
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
}
