use super::board::Left;
use super::instance::Core;
use super::log::Level;
use crate::delivery::{Outcome, Payload, Retry, Transport};
use crate::engine::Period;
use crate::model::{Minute, UnixNanos};
use crate::payload::{self, Metadata};
use crate::recorder::clock;
use crate::spool::{Body, Claim, Parcel};
use crate::sys::clock::monotonic_ns;
use serde::Serialize;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// After a minute's end, how long its stragglers are waited for: other processes write it out
/// within a second or so.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// The kind of payload in which an application describes itself.
const SERVER_LOAD: &str = "app_server_load";
/// The shortest time that an attempt is given.
const SHORTEST: Duration = Duration::from_millis(50);

/// Packs what is in the spool and sends it. One thread at a time; blocks as long as a send does.
pub(super) struct Courier {
    transport: Box<dyn Transport>,
    retry: Retry,
    timeout: Duration,
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

impl Courier {
    pub(super) fn new(transport: Box<dyn Transport>, timeout: Duration) -> Courier {
        Courier { transport, retry: Retry::default(), timeout, report: Report::default() }
    }

    /// How long until the receiver may be tried again.
    pub(super) fn backoff(&self) -> Duration {
        self.retry.wait(monotonic_ns())
    }

    /// Delivers the minutes that are over, or all of them if `everything`; no attempt begins after
    /// `deadline`.
    pub(super) fn round(&mut self, core: &Core, everything: bool, deadline: Instant) -> Left {
        let Some(claim) = claim(core, everything, deadline) else {
            // Another process merges and delivers what we put in, as far as it is on disk.
            let spool = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
            return Left::Waiting(spool.safety());
        };
        let end = if everything {
            Minute(u64::MAX)
        } else {
            UnixNanos(clock::now().0.saturating_sub(GRACE.as_nanos() as u64)).minute()
        };
        self.pack(core, &claim, end);
        self.send_all(core, &claim, deadline)
    }

    fn pack(&mut self, core: &Core, claim: &Claim, end: Minute) {
        let mut spool = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
        for minute in spool.minutes(claim, end) {
            spool.pack(claim, minute, core.new_id(), |period, id| render(core, period, id));
        }
    }

    fn send_all(&mut self, core: &Core, claim: &Claim, deadline: Instant) -> Left {
        let mut left = Left::Nothing;
        loop {
            let parcel = {
                let mut spool = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
                spool.next_parcel(claim)
            };
            let Some(mut parcel) = parcel else { return left };
            let verdict = self.send(core, &mut parcel, deadline);
            let mut spool = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
            match verdict {
                Verdict::Delivered => {
                    spool.delivered(claim, &parcel);
                    self.report.spans_delivered += parcel.spans;
                }
                Verdict::Later => {
                    return Left::Waiting(spool.put_back(claim, parcel));
                }
                Verdict::Rejected => {
                    let aside = spool.set_aside(claim, &parcel);
                    self.report.spans_rejected += parcel.spans;
                    core.log.add(Level::Error, || {
                        format!("a payload was refused, and set aside as {aside:?}")
                    });
                    left = Left::Rejected;
                }
            }
        }
    }

    /// Sends a parcel's payloads; those that are through are taken out of it.
    fn send(&mut self, core: &Core, parcel: &mut Parcel, deadline: Instant) -> Verdict {
        while let Some(body) = parcel.bodies.first() {
            let now = Instant::now();
            if !self.retry.is_due(monotonic_ns()) || now >= deadline {
                return Verdict::Later;
            }
            let timeout = self.timeout.min(deadline - now).max(SHORTEST);
            let payload = Payload {
                kind: &body.kind,
                id: &parcel.id,
                minute: parcel.minute,
                entries: body.entries,
                json: &body.json,
            };
            core.test_panic("deliver");
            match self.transport.send(&payload, timeout) {
                Outcome::Delivered => {
                    self.retry.succeeded();
                    self.report.failures_in_a_row = 0;
                    self.report.payloads_delivered += 1;
                    self.report.last_delivery = Some(clock::now().iso8601(false).to_string());
                    parcel.bodies.remove(0);
                }
                Outcome::Retry { after, why } => {
                    self.retry.failed(monotonic_ns(), after, core.random());
                    self.report.delivery_attempts_failed += 1;
                    self.report.failures_in_a_row = self.retry.failures();
                    core.log.add(Level::Warn, || {
                        let wait = self.retry.wait(monotonic_ns()).as_secs_f64();
                        format!("delivery failed, next attempt in {wait:.1} s: {why}")
                    });
                    self.report.last_failure = Some(why);
                    return Verdict::Later;
                }
                Outcome::Rejected { why } => {
                    self.report.payloads_rejected += 1;
                    core.log.add(Level::Error, || format!("delivery refused: {why}"));
                    self.report.last_failure = Some(why);
                    if body.kind == SERVER_LOAD {
                        parcel.bodies.remove(0);
                        continue;
                    }
                    return Verdict::Rejected;
                }
            }
        }
        Verdict::Delivered
    }
}

enum Verdict {
    Delivered,
    Later,
    Rejected,
}

/// The right to deliver; a flush waits for it a while, a regular round does not.
fn claim(core: &Core, wait: bool, deadline: Instant) -> Option<Claim> {
    loop {
        let claimed = core.spool.lock().unwrap_or_else(PoisonError::into_inner).claim();
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
