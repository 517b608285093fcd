//! What is sent next, and what an answer means for it: the courier's decisions, without its clock,
//! network and threads. The simulation drives the same.

use super::board::Left;
use crate::delivery::{Outcome, Retry};
use crate::model::Minute;
use crate::spool::{Body, Claim, Item, Parcel, Safety, Spool, Storage, Suspects};
use serde::Serialize;
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Faults in sending a parcel, while others go through, after which it is set aside.
const FAULTS: u32 = 3;

/// Minutes this far ahead are over: the clock was set back since they were recorded.
const AHEAD: u64 = 60;

/// The kind of payload in which an application describes itself. One that is refused is dropped:
/// it is not worth a minute's figures.
pub(super) const SERVER_LOAD: &str = "app_server_load";

/// Where payloads go. Each is tried again by itself: one that is away keeps nothing from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Service {
    /// Without it nothing is packed: what waits for it stays mergeable.
    CheckIns,
    Errors,
    ServerLoads,
}

impl Service {
    fn of(parcel: &Parcel) -> Service {
        match parcel.bodies.first().map(|body| body.kind.as_str()) {
            Some("errors") => Service::Errors,
            Some(SERVER_LOAD) => Service::ServerLoads,
            _ => Service::CheckIns,
        }
    }
}

/// The courier's decisions.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    /// When each of the services that failed may be tried again.
    retries: HashMap<Service, Retry>,
    /// Parcels, by name, whose next payload is for a service that may not be tried yet.
    waiting: HashMap<String, Service>,
    /// Parcels, by name, that are a fault to send: others go first.
    faulty: Suspects,
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
    pub(super) fn is_over(self, minute: Minute) -> bool {
        match self {
            Due::Everything => true,
            Due::Before(end) => minute < end || minute.0 > end.0.saturating_add(AHEAD),
        }
    }
}

/// What the decisions are made among: the spool, time, chance and the receiver.
pub(super) trait Around {
    type Item: Item;
    type Storage: Storage;

    /// The spool, locked for no longer than `f` takes.
    fn spool<R>(&self, f: impl FnOnce(&mut Spool<Self::Item, Self::Storage>) -> R) -> R;
    /// Of a clock that never steps.
    fn monotonic_ns(&self) -> u64;
    fn random(&self) -> u64;
    fn new_id(&self) -> String;
    fn render(&self, item: &Self::Item, id: &str) -> Vec<Body>;
    /// Whether no attempt may begin any more.
    fn is_late(&self) -> bool;
    /// Sends a parcel's first payload.
    fn send(&self, parcel: &Parcel) -> Outcome;
    /// A parcel was refused, and kept under this name.
    fn refused(&self, _aside: Option<String>) {}
    /// A fault in sending was contained.
    fn contained(&self) {}
    /// The receiver is tried again after this time.
    fn failed(&self, _why: &str, _wait: Duration) {}
}

type LockOf<A> = <<A as Around>::Storage as Storage>::Lock;

impl Dispatch {
    /// How long until what waits may be tried again.
    pub(super) fn backoff(&self, now_ns: u64) -> Duration {
        let wait = |retry: &Retry| retry.wait(now_ns);
        match self.retries.get(&Service::CheckIns).map(wait) {
            Some(wait) if !wait.is_zero() => wait,
            _ => self
                .retries
                .values()
                .map(wait)
                .filter(|wait| !wait.is_zero())
                .min()
                .unwrap_or_default(),
        }
    }

    fn is_due(&self, service: Service, now_ns: u64) -> bool {
        self.retries.get(&service).is_none_or(|retry| retry.is_due(now_ns))
    }

    fn failures(&self) -> u32 {
        self.retries.values().map(Retry::failures).max().unwrap_or(0)
    }

    /// Delivers what is due, until nothing is left or the receiver cannot take it. While nothing
    /// may be sent nothing is packed: what waits stays mergeable.
    pub(super) fn round<A: Around>(
        &mut self,
        around: &A,
        claim: &Claim<LockOf<A>>,
        due: Due,
    ) -> io::Result<Left> {
        let mut refused = false;
        // Of this minute and those before it nothing can be made now.
        let mut passed_over = None;
        let now = around.monotonic_ns();
        let retries = &self.retries;
        let waits =
            |service: &Service| retries.get(service).is_some_and(|retry| !retry.is_due(now));
        self.waiting.retain(|_, service| waits(service));
        while around.spool(|spool| spool.make_room(claim))? {}
        loop {
            let (parcel, minute) = around.spool(|spool| {
                let minutes = spool.minutes(claim, |minute| due.is_over(minute));
                let minute = minutes.into_iter().find(|minute| Some(*minute) > passed_over);
                let waits = |name: &str| self.waiting.contains_key(name);
                let sound =
                    spool.next_parcel(claim, |name| waits(name) || self.faulty.contains(name));
                let parcel = match minute {
                    None => sound.or_else(|| spool.next_parcel(claim, waits)),
                    Some(_) => sound,
                };
                (parcel, minute)
            });
            if parcel.is_none() && minute.is_none() {
                if refused {
                    return Ok(Left::Rejected);
                }
                // Nothing to send is not nothing left: it may be that nothing could be read.
                return around.spool(|spool| {
                    let waits = spool.has_waiting(claim, |minute| due.is_over(minute))?;
                    Ok(if waits { Left::Waiting(spool.safety()) } else { Left::Nothing })
                });
            }
            if around.is_late() || !self.is_due(Service::CheckIns, around.monotonic_ns()) {
                return Ok(Left::Waiting(around.spool(|spool| spool.safety())));
            }
            match (parcel, minute) {
                (Some(parcel), _) => match self.send(around, claim, parcel) {
                    Sent::Delivered => {}
                    Sent::Refused => refused = true,
                    Sent::Later(safety) => return Ok(Left::Waiting(safety)),
                    Sent::Aside(name, service) => {
                        self.waiting.insert(name, service);
                    }
                },
                (None, Some(minute)) => {
                    let render = |item: &A::Item, id: &str| around.render(item, id);
                    let id = around.new_id();
                    if !around.spool(|spool| spool.pack(claim, minute, id, render))? {
                        passed_over = Some(minute);
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Sends a parcel's payloads; those that are through are taken out of it.
    fn send<A: Around>(
        &mut self,
        around: &A,
        claim: &Claim<LockOf<A>>,
        mut parcel: Parcel,
    ) -> Sent {
        while !parcel.bodies.is_empty() {
            let service = Service::of(&parcel);
            if around.is_late() || !self.is_due(service, around.monotonic_ns()) {
                return put_back(around, claim, parcel, service);
            }
            let outcome = self.attempt(around, &parcel);
            let now = around.monotonic_ns();
            match outcome {
                Outcome::Delivered => {
                    self.retries.remove(&service);
                    self.report.failures_in_a_row = self.failures();
                    self.report.payloads_delivered += 1;
                    self.faulty.do_well(&parcel.file_name());
                    self.report.spans_delivered += spans_at_stake(&parcel);
                    parcel.bodies.remove(0);
                }
                Outcome::Retry { after, why } => {
                    let retry = self.retries.entry(service).or_default();
                    retry.failed(now, after, around.random());
                    around.failed(&why, retry.wait(now));
                    self.report.delivery_attempts_failed += 1;
                    self.report.failures_in_a_row = self.failures();
                    self.report.last_failure = Some(why);
                    return put_back(around, claim, parcel, service);
                }
                Outcome::Rejected { why } if is_dispensable(&parcel) => {
                    self.report.payloads_rejected += 1;
                    self.report.last_failure = Some(why);
                    parcel.bodies.remove(0);
                }
                Outcome::Rejected { why } => {
                    self.report.payloads_rejected += 1;
                    self.report.spans_rejected += spans_at_stake(&parcel);
                    self.report.last_failure = Some(why);
                    around.refused(around.spool(|spool| spool.set_aside(claim, parcel)));
                    return Sent::Refused;
                }
            }
        }
        around.spool(|spool| spool.delivered(claim, parcel));
        Sent::Delivered
    }

    /// Sends a parcel's first payload. A fault in that is tried again like any failure, after the
    /// others; if these go through, it is this parcel that nobody can send.
    fn attempt<A: Around>(&mut self, around: &A, parcel: &Parcel) -> Outcome {
        let sent = catch_unwind(AssertUnwindSafe(|| around.send(parcel)));
        sent.unwrap_or_else(|_| {
            around.contained();
            let why = "a fault in sending was contained".to_owned();
            if self.faulty.fail(&parcel.file_name(), FAULTS) {
                Outcome::Rejected { why }
            } else {
                Outcome::Retry { after: None, why }
            }
        })
    }
}

/// What is left of a parcel waits for its service.
fn put_back<A: Around>(
    around: &A,
    claim: &Claim<LockOf<A>>,
    parcel: Parcel,
    service: Service,
) -> Sent {
    let name = parcel.file_name();
    let safety = around.spool(|spool| spool.put_back(claim, parcel));
    if service == Service::CheckIns || around.is_late() {
        Sent::Later(safety)
    } else {
        Sent::Aside(name, service)
    }
}

fn is_dispensable(parcel: &Parcel) -> bool {
    parcel.bodies.first().is_some_and(|body| body.kind == SERVER_LOAD)
}

/// The spans that a parcel's next payload accounts for: those are in its check-in.
fn spans_at_stake(parcel: &Parcel) -> u64 {
    if Service::of(parcel) == Service::CheckIns { parcel.spans } else { 0 }
}

enum Sent {
    Delivered,
    Refused,
    Later(Safety),
    /// Of this one, what is left waits for another service than check-ins.
    Aside(String, Service),
}
