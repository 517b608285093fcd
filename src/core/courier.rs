use super::board::Left;
use super::dispatch::{Answered, Dispatch, Due, Report, SERVER_LOAD, Step};
use super::instance::Core;
use super::log::Level;
use crate::delivery::{Outcome, Payload, Transport};
use crate::engine::Period;
use crate::model::UnixNanos;
use crate::payload::{self, Metadata};
use crate::recorder::clock;
use crate::spool::{Body, Claim, Parcel, Safety, Spool};
use crate::sys::clock::monotonic_ns;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// After a minute's end, how long its stragglers are waited for: other processes write it out
/// within a second or so.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// The shortest time that an attempt is given.
const SHORTEST: Duration = Duration::from_millis(50);

/// Packs what is in the spool and sends it. One thread at a time; blocks as long as a send does.
pub(super) struct Courier {
    transport: Box<dyn Transport>,
    dispatch: Dispatch,
    timeout: Duration,
}

impl Courier {
    pub(super) fn new(transport: Box<dyn Transport>, timeout: Duration) -> Courier {
        Courier { transport, dispatch: Dispatch::default(), timeout }
    }

    /// How long until the receiver may be tried again.
    pub(super) fn backoff(&self) -> Duration {
        self.dispatch.backoff(monotonic_ns())
    }

    pub(super) fn report(&self) -> &Report {
        &self.dispatch.report
    }

    /// Delivers the minutes that are over, or all of them if `everything`; no attempt begins after
    /// `deadline`.
    pub(super) fn round(&mut self, core: &Core, everything: bool, deadline: Instant) -> Left {
        let Some(claim) = claim(core, everything, deadline) else {
            // Another process merges and delivers what we put in, as far as it is on disk.
            return Left::Waiting(lock(core).safety());
        };
        let due = if everything {
            Due::Everything
        } else {
            let now = UnixNanos(clock::now().0.saturating_sub(GRACE.as_nanos() as u64));
            Due::Before(now.minute())
        };
        self.dispatch.begin();
        match self.deliver(core, &claim, due, deadline) {
            Ok(left) => left,
            Err(error) => {
                core.log.add(Level::Error, || format!("spool: {error}"));
                Left::Waiting(lock(core).safety())
            }
        }
    }

    fn deliver(
        &mut self,
        core: &Core,
        claim: &Claim,
        due: Due,
        deadline: Instant,
    ) -> std::io::Result<Left> {
        // The lock is let go between the steps: the worker may want to put something in.
        while lock(core).make_room(claim)? {}
        loop {
            let may_send = Instant::now() < deadline;
            let step = self.dispatch.next(&mut lock(core), claim, due, may_send, monotonic_ns());
            match step {
                Step::Done(left) => return Ok(left),
                Step::Pack(minute) => {
                    let id = core.new_id();
                    let render = |period: &Period, id: &str| render(core, period, id);
                    if !lock(core).pack(claim, minute, id, render)? {
                        self.dispatch.pass_over(minute);
                    }
                }
                Step::Send(parcel) => {
                    if let Some(safety) = self.send(core, claim, parcel, deadline) {
                        return Ok(Left::Waiting(safety));
                    }
                }
            }
        }
    }

    /// Sends a parcel's payloads; those that are through are taken out of it. Where it is, if it
    /// has to wait.
    fn send(
        &mut self,
        core: &Core,
        claim: &Claim,
        mut parcel: Parcel,
        deadline: Instant,
    ) -> Option<Safety> {
        loop {
            let now = Instant::now();
            if now >= deadline || !self.dispatch.is_due(monotonic_ns()) {
                return Some(lock(core).put_back(claim, parcel));
            }
            let timeout = self.timeout.min(deadline - now).max(SHORTEST);
            let outcome = self.attempt(core, &parcel, timeout);
            let mut spool = lock(core);
            let (now, random) = (monotonic_ns(), core.random());
            match self.dispatch.answered(&mut spool, claim, parcel, outcome, now, random) {
                Answered::More(rest) => parcel = rest,
                Answered::Next => return None,
                Answered::Later(safety) => {
                    core.log.add(Level::Warn, || {
                        let wait = self.dispatch.backoff(now).as_secs_f64();
                        let why = self.dispatch.report.last_failure.as_deref().unwrap_or("");
                        format!("delivery failed, next attempt in {wait:.1} s: {why}")
                    });
                    return Some(safety);
                }
                Answered::SetAside(aside) => {
                    core.log.add(Level::Error, || match aside {
                        Some(name) => format!("a payload was refused, and set aside as {name}"),
                        None => "a payload was refused, and is gone".into(),
                    });
                    return None;
                }
            }
        }
    }

    fn attempt(&mut self, core: &Core, parcel: &Parcel, timeout: Duration) -> Outcome {
        let Some(body) = parcel.bodies.first() else { return Outcome::Delivered };
        let payload = Payload {
            kind: &body.kind,
            id: &parcel.id,
            minute: parcel.minute,
            entries: body.entries,
            json: &body.json,
        };
        core.test_panic("deliver");
        let outcome = self.transport.send(&payload, timeout);
        match &outcome {
            Outcome::Delivered => {
                let now = clock::now().iso8601(false).to_string();
                self.dispatch.report.last_delivery = Some(now);
            }
            Outcome::Retry { .. } => {}
            Outcome::Rejected { why } => {
                core.log.add(Level::Error, || format!("delivery refused: {why}"));
            }
        }
        outcome
    }
}

fn lock(core: &Core) -> std::sync::MutexGuard<'_, Spool<Period>> {
    core.spool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to deliver; a flush waits for it a while, a regular round does not.
fn claim(core: &Core, wait: bool, deadline: Instant) -> Option<Claim> {
    loop {
        let claimed = lock(core).claim();
        match claimed {
            Ok(Some(claim)) => return Some(claim),
            Ok(None) if wait && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(None) => return None,
            Err(error) => {
                core.log.add(Level::Error, || format!("spool: {error}"));
                return None;
            }
        }
    }
}

fn render(core: &Core, period: &Period, id: &str) -> Vec<Body> {
    let metadata: Metadata = core.metadata(id);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut bodies = vec![Body {
        kind: "checkin".into(),
        entries: 1,
        json: text(payload::checkin(period, &metadata)),
    }];
    if core.setup.settings.flag("errors_enabled")
        && let Some(errors) = payload::errors(period, &metadata)
    {
        let entries = period.errors.problems().len() as u64;
        bodies.push(Body { kind: "errors".into(), entries, json: text(errors) });
    }
    // Last: what it says is not worth a minute's figures, should a receiver refuse it.
    if let Some(load) = payload::server_load(period, &metadata) {
        bodies.push(Body { kind: SERVER_LOAD.into(), entries: 1, json: text(load) });
    }
    bodies
}
