use super::instance::Core;
use crate::engine::{Engine, Period};
use crate::model::{Minute, UnixNanos};
use crate::recorder::{DrainReport, Drainer, clock};
use crate::spool::{Item, Safety};
use std::sync::PoisonError;

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
        let periods = match extent {
            Extent::Closed => self.engine.take_closed(clock::now()),
            Extent::Flush | Extent::Shutdown => {
                // A request is complete one round after its root came in.
                let second = self.round(core);
                drained.records += second.records;
                drained.bytes += second.bytes;
                let now = clock::now();
                if extent == Extent::Flush {
                    self.engine.take_all(now)
                } else {
                    self.engine.close_all(now)
                }
            }
        };
        let mut spool = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let mut safety = Safety::Disk;
        for period in periods {
            safety = safety.min(spool.put(period));
        }
        Settled { drained, safety }
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

    fn spans(&self) -> u64 {
        Period::spans(self)
    }

    fn merge(&mut self, other: Self) {
        Period::merge(self, other);
    }
}
