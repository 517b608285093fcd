use super::process::{Process, Recorder, is_dozing, rouse};
use super::segment::{CAPACITY, Segment};
use super::thread::{Entered, Numbers, Writer, existing, mine};
use crate::model::{SpanId, TraceId};
use crate::record::{EncodeError, Encoder, Fit, Plain};
use std::sync::atomic::Ordering;

/// Why a record was not accepted. All but `NotLive` are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No recorder is live in that slot, in this process.
    NotLive,
    /// No free segment.
    NoRoom,
    /// The call came from inside another one on the same thread.
    Reentrant,
}

/// Records into the recorder with `stamp`, if it is live in `slot`: `write` encodes into the
/// thread's segment.
///
/// `write` may be called a second time, when the first segment had too little room. An error from
/// it is handed back, and nothing is recorded.
#[inline]
pub fn record<E>(
    slot: usize,
    stamp: u64,
    mut write: impl FnMut(&Recorder, Encoder<'_>) -> Result<Result<Fit, EncodeError>, E>,
) -> Result<Result<Fit, E>, Refusal> {
    let record = match existing() {
        Some(record) => record,
        None => mine(),
    };
    let Some(mut entered) = record.enter() else {
        return Err(reentrant(slot));
    };
    let process = entered.process();
    if !live(process, slot, stamp) && !rouse(process, slot, stamp) {
        return Err(Refusal::NotLive);
    }
    let Some(writer) = entered.writer(slot) else { return Err(Refusal::NotLive) };
    if writer.stamp != stamp {
        *writer = attach(process, slot, stamp).ok_or(Refusal::NotLive)?;
    }
    let Some(recorder) = writer.recorder else { return Err(Refusal::NotLive) };
    if let Some(segment) = writer.segment {
        // SAFETY: this thread owns the segment while the stamp is live; the slice ends with the call.
        let rest = unsafe { segment.rest(writer.position) };
        match write(recorder, Encoder::new(rest)) {
            Ok(Ok(fit)) => {
                writer.position += fit.len as u32;
                segment.publish(writer.position);
                return Ok(Ok(fit));
            }
            Ok(Err(EncodeError::NeedsSpace(_))) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    roll(recorder, writer, write)
}

/// This thread, inside a recording call until this is dropped, when it recorded here before and is
/// not in a call already.
///
/// This and [`Room`] are the plain way: for when all is as it nearly always is. A `None` says that
/// something is otherwise, and that nothing was recorded or counted; [`record`] knows what. There is
/// no closure in it, and all is inlined into the caller: so no result goes through memory.
#[inline(always)]
pub fn enter() -> Option<Entered> {
    existing()?.enter()
}

impl Entered {
    /// The rest of this thread's segment, if the recorder with `stamp` is live in `slot` and the
    /// thread has one of it.
    #[inline(always)]
    pub fn room(&mut self, slot: usize, stamp: u64) -> Option<Room<'_>> {
        // A stamp of 0 is found to have no recorder below.
        if self.process().slots.get(slot)?.stamp.load(Ordering::Relaxed) != stamp {
            return None;
        }
        let writer = self.writer(slot)?;
        if writer.stamp != stamp {
            return None;
        }
        let (recorder, segment) = (writer.recorder?, writer.segment?);
        Some(Room { writer, recorder, segment })
    }
}

/// Room for records in a thread's segment.
pub struct Room<'e> {
    writer: &'e mut Writer,
    recorder: &'static Recorder,
    segment: Segment,
}

impl Room<'_> {
    /// Where to encode a record.
    #[inline(always)]
    pub fn bytes(&mut self) -> Option<&mut [u8]> {
        if self.writer.position as usize > CAPACITY {
            return None;
        }
        // SAFETY: this thread owns the segment while the stamp is live, which it is for as long as
        // the thread is inside a call; the slice ends before the next one begins.
        Some(unsafe { self.segment.rest(self.writer.position) })
    }

    /// Accepts what was encoded at the start of [`Room::bytes`].
    #[inline(always)]
    pub fn publish(self, plain: Plain) -> Option<()> {
        if plain.max_name > self.recorder.names.highest() {
            return None;
        }
        self.writer.position += plain.len;
        self.segment.publish(self.writer.position);
        Some(())
    }
}

/// Goes on in another segment: an empty one, one that an ended thread left, or the one that threads
/// share.
#[cold]
#[inline(never)]
fn roll<E>(
    recorder: &Recorder,
    writer: &mut Writer,
    mut write: impl FnMut(&Recorder, Encoder<'_>) -> Result<Result<Fit, EncodeError>, E>,
) -> Result<Result<Fit, E>, Refusal> {
    let is_first = writer.segment.is_none();
    if let Some(segment) = writer.segment.take() {
        recorder.hand_over(writer.index, segment);
    }
    let mut place = recorder.place(is_first);
    while let Some((index, segment, position)) = place {
        (writer.index, writer.segment, writer.position) = (index, Some(segment), position);
        // SAFETY: just taken: this thread owns it, and nothing past `position` is published.
        match write(recorder, Encoder::new(unsafe { segment.rest(position) })) {
            Ok(Ok(fit)) => {
                writer.position += fit.len as u32;
                segment.publish(writer.position);
                return Ok(Ok(fit));
            }
            Err(error) => return Ok(Err(error)),
            // What another thread left has too little room; an empty one always has enough.
            Ok(Err(_)) => {
                writer.segment = None;
                recorder.hand_over(index, segment);
                place = if position > 0 { recorder.place(false) } else { None };
            }
        }
    }
    recorder.record_shared(&mut write).ok_or_else(|| {
        recorder.counters.dropped_no_room.fetch_add(1, Ordering::Relaxed);
        recorder.wake();
        Refusal::NoRoom
    })
}

#[cold]
fn attach(process: &Process, slot: usize, stamp: u64) -> Option<Writer> {
    let found = process.slots.get(slot)?.recorder.get()?;
    found.panic_if_asked();
    // A new core may have moved in between the two loads.
    (found.stamp == stamp).then_some(Writer {
        stamp,
        segment: None,
        index: 0,
        position: 0,
        recorder: Some(found),
    })
}

#[cold]
fn reentrant(slot: usize) -> Refusal {
    if let Some(recorder) = super::process::current().slots.get(slot).and_then(|s| s.recorder.get())
    {
        recorder.counters.refused_reentrant.fetch_add(1, Ordering::Relaxed);
    }
    Refusal::Reentrant
}

/// Whether the recorder with `stamp` is live in `slot`, in this process.
#[inline]
pub fn is_live(slot: usize, stamp: u64) -> bool {
    let process = mine().process;
    live(process, slot, stamp) || is_dozing(process, slot, stamp)
}

#[inline(always)]
fn live(process: &Process, slot: usize, stamp: u64) -> bool {
    stamp != 0 && process.slots.get(slot).is_some_and(|s| s.stamp.load(Ordering::Relaxed) == stamp)
}

/// Three random numbers that are ids of a new span, and of a new request if it needs one.
pub struct NewIds(Numbers);

impl NewIds {
    /// The span's.
    #[inline(always)]
    pub fn span(&self) -> SpanId {
        SpanId(self.0.get(1))
    }

    /// The request's.
    #[inline(always)]
    pub fn trace(&self) -> TraceId {
        let (high, low) = (self.0.get(2), self.0.get(3));
        TraceId((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }
}

/// As [`ids`], for a thread that recorded before, while a recorder with `stamp` is live in `slot`.
#[inline(always)]
pub fn try_ids(slot: usize, stamp: u64) -> Option<NewIds> {
    let record = existing()?;
    live(record.process, slot, stamp).then(|| NewIds(record.random()))
}

/// New ids.
pub fn ids() -> NewIds {
    NewIds(mine().random())
}
