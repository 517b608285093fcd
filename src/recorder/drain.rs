use super::process::Recorder;
use super::segment::{CAPACITY, Phase, Purpose, Segment};
use crate::model::TraceId;
use crate::record::{Encoder, Record, decode};
use std::sync::atomic::Ordering;

/// What a drain found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Records handed on.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Reads what threads recorded. One per recorder: whoever has it is the only reader.
///
/// A segment that was read is not given back at once: until a [`Drainer::checkpoint`], what was
/// read is nowhere but in memory, and must be found in the file should the process die.
#[derive(Debug)]
pub struct Drainer {
    stamp: u64,
    /// Segments without a writer, read to their end.
    retained: Vec<u32>,
    /// Segments with records of requests that were open at the last checkpoint.
    carried: Vec<u32>,
    /// The last checkpoint's number.
    checkpoint: u32,
}

impl Drainer {
    pub(super) fn of(recorder: &Recorder) -> Drainer {
        Drainer { stamp: recorder.stamp, retained: Vec::new(), carried: Vec::new(), checkpoint: 0 }
    }

    /// Hands on every record that was published when this was called, and possibly some later ones.
    /// With another recorder than the one it came from, it does nothing.
    ///
    /// Should `each` panic, the next drain goes on behind the record it was given: none comes twice,
    /// and one that is always a panic keeps nobody's.
    pub fn drain(&mut self, recorder: &Recorder, mut each: impl FnMut(&Record<'_>)) -> DrainReport {
        let mut report = DrainReport::default();
        if self.stamp != recorder.stamp {
            return report;
        }
        let mut read = |segment: Segment| {
            let start = segment.drained();
            // SAFETY: `self` is the only drainer; the slice is done with before any reset.
            let bytes = unsafe { segment.published_from(start) };
            if !each_record(bytes, |record, _, end| {
                segment.set_drained(start + end as u32);
                report.records += 1;
                each(record);
            }) {
                recorder.counters.unreadable.fetch_add(1, Ordering::Relaxed);
            }
            report.bytes += bytes.len() as u64;
            segment.set_drained(start + bytes.len() as u32);
        };
        let is_short = recorder.is_short();
        for index in 0..recorder.filled.load(Ordering::Acquire) as u32 {
            let Some(segment) = recorder.segment(index) else { continue };
            if segment.purpose() != Purpose::Records {
                continue;
            }
            match segment.phase(self.stamp) {
                // A full one is on its way through the queue, but what it holds counts from now.
                Some(Phase::Active | Phase::Full) => read(segment),
                Some(Phase::Retired) => {
                    // Before it is read: a thread could go on in it after.
                    if (is_short || !segment.has_room())
                        && segment.turn(self.stamp, Phase::Retired, Phase::Full)
                    {
                        self.retained.push(index);
                    }
                    read(segment);
                }
                Some(Phase::Free) | None => {}
            }
        }
        while let Some(index) = recorder.full.pop() {
            if let Some(segment) = recorder.segment(index) {
                self.retained.push(index);
                read(segment);
            }
        }
        if recorder.file().is_none() {
            self.give_back(recorder);
        }
        report
    }

    /// Whether no segment waits for a checkpoint.
    pub fn is_empty(&self) -> bool {
        self.retained.is_empty()
    }

    /// Whether so many segments wait for a checkpoint that threads may soon find none.
    pub fn is_pressed(&self, recorder: &Recorder) -> bool {
        let many = (recorder.limit / 4).max(1);
        self.retained.len() >= many || (recorder.is_short() && !self.retained.is_empty())
    }

    /// The first step of a checkpoint, which makes what was read so far safe elsewhere and gives
    /// its segments back: copies the records of the requests that `is_open` tells into segments of
    /// their own, since they are still needed. `None` when there is no memory for that: then there
    /// can be no checkpoint before fewer requests are open.
    pub fn carry_over(
        &mut self,
        recorder: &Recorder,
        is_open: impl FnMut(TraceId) -> bool,
    ) -> Option<Carry> {
        if recorder.file().is_none() {
            return Some(Carry::default());
        }
        let number = self.checkpoint + 1;
        let (carry, complete) = self.copy_open(recorder, number, is_open);
        if complete {
            return Some(carry);
        }
        carry.indexes.into_iter().for_each(|index| free(recorder, index));
        None
    }

    /// The second step: `store` is given the checkpoint's number, and puts everything else to where
    /// it is safe, but so that it only counts once the checkpoint is committed. Then comes the
    /// commit: one store to the file. A process that dies before it has made no checkpoint, one
    /// that dies after it has made it in whole.
    pub fn checkpoint<R>(
        &mut self,
        recorder: &Recorder,
        carry: Carry,
        store: impl FnOnce(u32) -> R,
    ) -> R {
        let number = self.checkpoint + 1;
        self.checkpoint = number;
        let Some(file) = recorder.file() else { return store(number) };
        for segment in self.readable(recorder) {
            segment.cover(number, segment.drained());
        }
        let stored = store(number);
        file.commit(number);
        for index in std::mem::replace(&mut self.carried, carry.indexes) {
            free(recorder, index);
        }
        self.give_back(recorder);
        stored
    }

    /// Every segment with records that the last checkpoint does not cover.
    fn readable(&self, recorder: &Recorder) -> Vec<Segment> {
        let all = 0..recorder.filled.load(Ordering::Acquire) as u32;
        let used = all.filter_map(|index| recorder.segment(index)).filter(|segment| {
            segment.purpose() == Purpose::Records
                && segment.phase(self.stamp).is_some_and(|phase| phase != Phase::Free)
        });
        used.chain(self.carried.iter().filter_map(|&index| recorder.segment(index))).collect()
    }

    /// Copies the records of open requests into new segments, which count from checkpoint `number`;
    /// false if not all found room.
    fn copy_open(
        &self,
        recorder: &Recorder,
        number: u32,
        mut is_open: impl FnMut(TraceId) -> bool,
    ) -> (Carry, bool) {
        let mut carrier = Carrier { recorder, number, indexes: Vec::new(), current: None };
        let mut complete = true;
        for segment in self.readable(recorder) {
            let start = segment.covered(self.checkpoint);
            let drained = segment.drained();
            // SAFETY: `self` is the only drainer; the slice is done with before any reset.
            let bytes = unsafe { segment.published_from(start) };
            let seen = bytes.get(..drained.saturating_sub(start) as usize).unwrap_or(bytes);
            each_record(seen, |record, bytes, _| {
                let trace = match record {
                    Record::Span(span, _) => span.trace_id,
                    Record::RequestTags(request, _) => request.trace_id,
                    Record::Error(error, _) => error.trace_id,
                    Record::Metric(..) | Record::Event(_) | Record::Name(_) => return,
                };
                if complete && is_open(trace) {
                    complete = carrier.add(bytes);
                }
            });
        }
        (Carry { indexes: carrier.indexes }, complete)
    }

    fn give_back(&mut self, recorder: &Recorder) {
        for index in self.retained.drain(..) {
            free(recorder, index);
        }
    }
}

/// Records that a checkpoint carries over.
#[derive(Debug, Default)]
pub struct Carry {
    indexes: Vec<u32>,
}

/// Fills segments with carried records.
struct Carrier<'r> {
    recorder: &'r Recorder,
    number: u32,
    indexes: Vec<u32>,
    current: Option<(Segment, u32)>,
}

impl Carrier<'_> {
    fn add(&mut self, record: &[u8]) -> bool {
        for _ in 0..2 {
            if let Some((segment, position)) = &mut self.current {
                // SAFETY: a segment taken for this, which nobody else writes.
                let rest = unsafe { segment.rest(*position) };
                if let Ok(fit) = Encoder::new(rest).verbatim(record) {
                    *position += fit.len as u32;
                    segment.publish(*position);
                    // It was drained before it was carried.
                    segment.set_drained(*position);
                    return true;
                }
            }
            self.current = self.recorder.take_beyond(Purpose::Carried).map(|(index, segment)| {
                segment.bear(self.number);
                self.indexes.push(index);
                (segment, 0)
            });
        }
        false
    }
}

fn free(recorder: &Recorder, index: u32) {
    if let Some(segment) = recorder.segment(index) {
        segment.reset(recorder.stamp, Phase::Free, Purpose::Records);
        // Has room for every segment there is.
        let _ = recorder.free.push(index);
    }
}

/// Visits the records in `bytes`, each with its own bytes and where they end; false if some could not
/// be read.
pub(super) fn each_record(bytes: &[u8], mut visit: impl FnMut(&Record<'_>, &[u8], usize)) -> bool {
    debug_assert!(bytes.len() <= CAPACITY);
    let mut rest = bytes;
    while !rest.is_empty() {
        let Ok((record, len)) = decode(rest) else { return false };
        let Some((own, after)) = rest.split_at_checked(len) else { return false };
        if let Some(record) = record {
            visit(&record, own, bytes.len() - after.len());
        }
        rest = after;
    }
    true
}
