use super::instance::Core;
use super::log::Level;
use crate::engine::{Engine, Period};
use crate::model::{Minute, UnixNanos};
use crate::recorder::{Carry, DrainReport, Drainer, SegmentFile, clock};
use crate::spool::{Item, Safety};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// What one thread at a time does: take the records from the recorder, through the engine, into
/// the spool.
pub(super) struct Pipeline {
    drainer: Drainer,
    engine: Engine,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Minutes that are over.
    Closed,
    /// And the current minute: all requests whose root is in.
    Flush,
    /// And requests that are still open: there will be no more.
    Shutdown,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) drained: DrainReport,
    /// Where the least safe of them is.
    pub(super) safety: Safety,
    /// Nothing is in the pipeline, and nothing was: no record, open request, minute, or segment to
    /// give back.
    pub(super) is_empty: bool,
}

impl Pipeline {
    pub(super) fn new(drainer: Drainer, engine: Engine) -> Pipeline {
        Pipeline { drainer, engine }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Every record published before this call is in what it puts into the spool, as far as
    /// `extent` goes.
    pub(super) fn settle(&mut self, core: &Core, extent: Extent) -> Settled {
        let mut drained = self.round(core);
        let closed = self.engine.has_closed(clock::now());
        if extent == Extent::Closed && !closed && !self.drainer.is_pressed(&core.recorder) {
            let is_empty =
                drained.records == 0 && self.engine.is_empty() && self.drainer.is_empty();
            return Settled { drained, safety: Safety::Disk, is_empty };
        }
        // A request is complete one round after its root came in; and the fewer are open, the less
        // has to be carried over.
        let second = self.round(core);
        drained.records += second.records;
        drained.bytes += second.bytes;
        let now = clock::now();
        let periods = match extent {
            Extent::Closed => self.engine.take_complete(),
            Extent::Flush => self.engine.take_all(now),
            Extent::Shutdown => self.engine.close_all(now),
        };
        // What only makes room need not outlive the machine.
        let synced = closed || extent != Extent::Closed;
        Settled { drained, safety: self.checkpoint(core, periods, synced), is_empty: false }
    }

    /// Puts periods into the spool, and gives back the segments that they were made from.
    fn checkpoint(&mut self, core: &Core, mut periods: Vec<Period>, synced: bool) -> Safety {
        let Pipeline { drainer, engine } = self;
        let recorder = &core.recorder;
        let mut carry = drainer.carry_over(recorder, |trace| engine.is_open(trace));
        if carry.is_none() {
            // So many requests have just got their root that there is no room to carry them all:
            // they are complete now, a round early. What still comes of them counts as late.
            periods.extend(engine.take_all(clock::now()));
            carry = drainer.carry_over(recorder, |trace| engine.is_open(trace));
        }
        let carry = carry.unwrap_or_else(|| {
            // Requests without a root alone fill the recorder: they are closed as they are.
            core.closing_checkpoints.fetch_add(1, Ordering::Relaxed);
            periods.extend(engine.close_all(clock::now()));
            Carry::default()
        });
        let spool = || core.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = drainer.checkpoint(recorder, carry, |number| {
            spool().prepare(periods, &core.signature, number, synced)
        });
        if synced && let Some(Err(error)) = recorder.file().map(SegmentFile::sync) {
            core.log.add(Level::Warn, || format!("the file for records: {error}"));
        }
        spool().publish(prepared)
    }

    fn round(&mut self, core: &Core) -> DrainReport {
        let now: UnixNanos = clock::now();
        let Pipeline { drainer, engine } = self;
        let names = &core.recorder.names;
        let report = drainer.drain(&core.recorder, |record| engine.ingest(record, names, now));
        engine.end_round(now);
        report
    }
}

impl Item for Period {
    fn minute(&self) -> Minute {
        self.minute
    }

    fn last_minute(&self) -> Minute {
        self.until
    }

    fn spans(&self) -> u64 {
        Period::spans(self)
    }

    fn merge(&mut self, other: Self) {
        Period::merge(self, other);
    }
}
