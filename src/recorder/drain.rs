use super::process::Recorder;
use super::segment::{Phase, Segment};
use crate::record::{Record, decode};
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
#[derive(Debug)]
pub struct Drainer(u64);

impl Drainer {
    pub(super) fn of(recorder: &Recorder) -> Drainer {
        Drainer(recorder.stamp)
    }

    /// Hands on every record that was published when this was called, and possibly some later ones.
    /// With another recorder than the one it came from, it does nothing.
    pub fn drain(&mut self, recorder: &Recorder, mut each: impl FnMut(&Record<'_>)) -> DrainReport {
        let mut report = DrainReport::default();
        if self.0 != recorder.stamp {
            return report;
        }
        let mut read = |segment: Segment| {
            // SAFETY: `self` is the only drainer; the slice is done with before any reset.
            let bytes = unsafe { segment.undrained() };
            let taken = read_records(recorder, bytes, &mut each, &mut report);
            segment.advance(taken);
        };
        for index in 0..recorder.directory.len() as u32 {
            let Some(segment) = recorder.segment(index) else { continue };
            match segment.phase(recorder.stamp) {
                // A full one is on its way through the queue, but what it holds counts from now.
                Some(Phase::Active | Phase::Full) => read(segment),
                Some(Phase::Retired) => {
                    read(segment);
                    give_back(recorder, index, segment);
                }
                Some(Phase::Free) | None => {}
            }
        }
        while let Some(index) = recorder.full.pop() {
            if let Some(segment) = recorder.segment(index) {
                read(segment);
                give_back(recorder, index, segment);
            }
        }
        report
    }
}

fn give_back(recorder: &Recorder, index: u32, segment: Segment) {
    segment.reset(recorder.stamp, Phase::Free);
    // Has room for every segment there is.
    let _ = recorder.free.push(index);
}

fn read_records(
    recorder: &Recorder,
    bytes: &[u8],
    each: &mut impl FnMut(&Record<'_>),
    report: &mut DrainReport,
) -> usize {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Ok((record, len)) = decode(rest) else {
            // Only a defect gets here. The segment's rest cannot be read: count it, go on.
            recorder.counters.unreadable.fetch_add(1, Ordering::Relaxed);
            break;
        };
        if let Some(record) = record {
            each(&record);
            report.records += 1;
        }
        report.bytes += len as u64;
        rest = rest.get(len..).unwrap_or_default();
    }
    bytes.len()
}
