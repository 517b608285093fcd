//! What is sent next, and what an answer means for it: the courier's decisions, without its clock,
//! network and threads. The simulation drives the same.

use super::board::Left;
use crate::delivery::{Outcome, Retry};
use crate::model::Minute;
use crate::spool::{Claim, Item, Parcel, Safety, Spool, Storage};
use serde::Serialize;

/// Minutes this far ahead are over: the clock was set back since they were recorded.
const AHEAD: u64 = 60;

/// The kind of payload in which an application describes itself. One that is refused is dropped:
/// it is not worth a minute's figures.
pub(super) const SERVER_LOAD: &str = "app_server_load";

/// The courier's decisions.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    retry: Retry,
    /// Something was refused in this round.
    refused: bool,
    /// Nothing could be made of this minute, and those before it, in this round.
    passed_over: Option<Minute>,
    pub(super) report: Report,
}

/// What became of deliveries, for stats and diagnosis.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) payloads_delivered: u64,
    pub(super) payloads_rejected: u64,
    pub(super) delivery_attempts_failed: u64,
    pub(super) spans_delivered: u64,
    pub(super) spans_rejected: u64,
    pub(super) failures_in_a_row: u32,
    pub(super) last_delivery: Option<String>,
    pub(super) last_failure: Option<String>,
}

/// Which minutes are to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// All there are.
    Everything,
    /// Those that are over, when this one is not.
    Before(Minute),
}

impl Due {
    fn is_over(self, minute: Minute) -> bool {
        match self {
            Due::Everything => true,
            Due::Before(end) => minute < end || minute.0 > end.0.saturating_add(AHEAD),
        }
    }
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Step {
    /// Send the first payload of this parcel.
    Send(Parcel),
    /// Make this minute a parcel, and ask again.
    Pack(Minute),
    /// The round is over.
    Done(Left),
}

impl Dispatch {
    /// A round begins.
    pub(super) fn begin(&mut self) {
        self.refused = false;
        self.passed_over = None;
    }

    /// Whether the receiver may be tried.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        self.retry.is_due(now_ns)
    }

    /// Nothing could be made of this minute now.
    pub(super) fn pass_over(&mut self, minute: Minute) {
        self.passed_over = Some(minute);
    }

    /// How long until the receiver may be tried again.
    pub(super) fn backoff(&self, now_ns: u64) -> std::time::Duration {
        self.retry.wait(now_ns)
    }

    /// What to do next. While nothing may be sent, nothing is packed: what waits stays mergeable.
    pub(super) fn next<T: Item, S: Storage>(
        &self,
        spool: &mut Spool<T, S>,
        claim: &Claim<S::Lock>,
        due: Due,
        may_send: bool,
        now_ns: u64,
    ) -> Step {
        let minutes = spool.minutes(claim, |minute| due.is_over(minute));
        if !may_send || !self.retry.is_due(now_ns) {
            let waits = !minutes.is_empty() || spool.has_parcels();
            return Step::Done(if waits { Left::Waiting(spool.safety()) } else { self.nothing() });
        }
        let mut minutes = minutes.iter().filter(|minute| Some(**minute) > self.passed_over);
        match (spool.next_parcel(claim), minutes.next()) {
            (Some(parcel), _) => Step::Send(parcel),
            (None, Some(minute)) => Step::Pack(*minute),
            (None, None) => Step::Done(self.nothing()),
        }
    }

    fn nothing(&self) -> Left {
        if self.refused { Left::Rejected } else { Left::Nothing }
    }

    /// What came of sending a parcel's first payload. Gives what the round is over with, if it is.
    pub(super) fn answered<T: Item, S: Storage>(
        &mut self,
        spool: &mut Spool<T, S>,
        claim: &Claim<S::Lock>,
        parcel: Parcel,
        outcome: Outcome,
        now_ns: u64,
        random: u64,
    ) -> Answered {
        match outcome {
            Outcome::Delivered => {
                self.retry.succeeded();
                self.report.failures_in_a_row = 0;
                self.report.payloads_delivered += 1;
                self.through(spool, claim, parcel)
            }
            Outcome::Retry { after, why } => {
                self.retry.failed(now_ns, after, random);
                self.report.delivery_attempts_failed += 1;
                self.report.failures_in_a_row = self.retry.failures();
                self.report.last_failure = Some(why);
                Answered::Later(spool.put_back(claim, parcel))
            }
            Outcome::Rejected { why } if is_dispensable(&parcel) => {
                self.report.payloads_rejected += 1;
                self.report.last_failure = Some(why);
                self.through(spool, claim, parcel)
            }
            Outcome::Rejected { why } => {
                self.refused = true;
                self.report.payloads_rejected += 1;
                self.report.spans_rejected += parcel.spans;
                self.report.last_failure = Some(why);
                Answered::SetAside(spool.set_aside(claim, parcel))
            }
        }
    }

    /// A parcel's first payload is done with.
    fn through<T: Item, S: Storage>(
        &mut self,
        spool: &mut Spool<T, S>,
        claim: &Claim<S::Lock>,
        mut parcel: Parcel,
    ) -> Answered {
        parcel.bodies = parcel.bodies.split_off(1.min(parcel.bodies.len()));
        if !parcel.bodies.is_empty() {
            return Answered::More(parcel);
        }
        self.report.spans_delivered += parcel.spans;
        spool.delivered(claim, parcel);
        Answered::Next
    }
}

fn is_dispensable(parcel: &Parcel) -> bool {
    parcel.bodies.first().is_some_and(|body| body.kind == SERVER_LOAD)
}

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum Answered {
    /// The parcel has more payloads to send.
    More(Parcel),
    /// The parcel is through.
    Next,
    /// Not now; what waits is as safe as this.
    Later(Safety),
    /// The parcel was refused for good, and kept under this name.
    SetAside(Option<String>),
}
