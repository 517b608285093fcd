use super::{Done, Failure};
use crate::spool::Safety;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Where flushes are asked for and answered. A flush is a ticket; the threads that do the work note
/// how far they have come.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The highest ticket, and whether it or one before it was a shutdown's, in one word: whoever
    /// sees the one sees the other.
    requested: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct State {
    settled: u64,
    safety: Safety,
    couriered: u64,
    left: Left,
}

impl Default for State {
    fn default() -> Self {
        State { settled: 0, safety: Safety::Disk, couriered: 0, left: Left::Nothing }
    }
}

/// What a round of deliveries left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// All is delivered.
    Nothing,
    /// Something waits, safe or not.
    Waiting(Safety),
    /// Something was refused for good.
    Rejected,
}

/// Set in `Board::requested` from the shutdown on.
const ENDING: u64 = 1 << 63;

/// What is asked for. Read before the work begins that is to satisfy it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requested {
    /// The highest ticket so far.
    pub(super) ticket: u64,
    /// A shutdown is among them.
    pub(super) is_ending: bool,
}

impl Requested {
    /// The highest ticket that the work satisfies: after a shutdown there is no more to be done for
    /// any, and nobody to do it.
    pub(super) fn satisfied(self) -> u64 {
        if self.is_ending { !ENDING } else { self.ticket }
    }
}

impl Board {
    /// Takes a ticket, the shutdown's if `is_ending`.
    pub(super) fn request(&self, is_ending: bool) -> u64 {
        let bit = if is_ending { ENDING } else { 0 };
        let next = |requested: u64| Some((requested + 1) | bit);
        let before = self.requested.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        (before.unwrap_or_else(|requested| requested) & !ENDING) + 1
    }

    pub(super) fn requested(&self) -> Requested {
        let requested = self.requested.load(Ordering::SeqCst);
        Requested { ticket: requested & !ENDING, is_ending: requested & ENDING != 0 }
    }

    /// The highest ticket whose records are through analysis and in the spool.
    pub(super) fn is_settled(&self, ticket: u64) -> bool {
        self.lock().settled >= ticket
    }

    pub(super) fn is_couriered(&self, ticket: u64) -> bool {
        self.lock().couriered >= ticket
    }

    pub(super) fn note_settled(&self, ticket: u64, safety: Safety) {
        let mut state = self.lock();
        state.settled = state.settled.max(ticket);
        state.safety = safety;
        self.changed.notify_all();
    }

    pub(super) fn note_couriered(&self, ticket: u64, left: Left) {
        let mut state = self.lock();
        state.couriered = state.couriered.max(ticket);
        state.left = left;
        self.changed.notify_all();
    }

    /// Waits for a ticket's outcome.
    /// `in_memory` tells how many spans are nowhere else.
    pub(super) fn wait(
        &self,
        ticket: u64,
        deadline: Instant,
        in_memory: impl FnOnce() -> u64,
    ) -> Result<Done, Failure> {
        let mut state = self.lock();
        loop {
            if state.couriered >= ticket {
                let left = state.left;
                // Not under this lock: whoever is asked may wait for the disk.
                drop(state);
                return match left {
                    Left::Nothing => Ok(Done::Ok),
                    Left::Waiting(Safety::Disk) => Ok(Done::Spooled),
                    Left::Waiting(Safety::Memory) => Err(Failure::Undelivered(in_memory())),
                    Left::Rejected => Err(Failure::Rejected),
                };
            }
            let now = Instant::now();
            if now >= deadline {
                return match (state.settled >= ticket, state.safety) {
                    (true, Safety::Disk) => Ok(Done::Spooled),
                    _ => Err(Failure::Timeout),
                };
            }
            state = self
                .changed
                .wait_timeout(state, deadline - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
