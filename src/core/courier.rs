use super::board::Left;
use super::dispatch::{Around, Dispatch, Due, Report, SERVER_LOAD};
use super::instance::Core;
use super::log::Level;
use crate::delivery::{Outcome, Payload, Transport};
use crate::engine::Period;
use crate::model::UnixNanos;
use crate::payload::{self, Metadata};
use crate::recorder::clock;
use crate::spool::{Body, Claim, Parcel, Spool};
use crate::sys::clock::monotonic_ns;
use crate::sys::dir::Dir;
use std::cell::RefCell;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
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
        let trip = Trip {
            core,
            transport: RefCell::new(&mut *self.transport),
            timeout: self.timeout,
            deadline,
            delivered: RefCell::new(None),
        };
        let left = self.dispatch.round(&trip, &claim, due);
        if let Some(last) = trip.delivered.into_inner() {
            self.dispatch.report.last_delivery = Some(last);
        }
        left.unwrap_or_else(|error| {
            core.log.add(Level::Error, || format!("spool: {error}"));
            Left::Waiting(lock(core).safety())
        })
    }
}

/// One round's surroundings.
struct Trip<'a> {
    core: &'a Core,
    transport: RefCell<&'a mut dyn Transport>,
    timeout: Duration,
    deadline: Instant,
    /// When a payload was delivered last.
    delivered: RefCell<Option<String>>,
}

impl Around for Trip<'_> {
    type Item = Period;
    type Storage = Dir;

    fn spool<R>(&self, f: impl FnOnce(&mut Spool<Period>) -> R) -> R {
        f(&mut lock(self.core))
    }

    fn monotonic_ns(&self) -> u64 {
        monotonic_ns()
    }

    fn random(&self) -> u64 {
        self.core.random()
    }

    fn new_id(&self) -> String {
        self.core.new_id()
    }

    fn render(&self, period: &Period, id: &str) -> Vec<Body> {
        render(self.core, period, id)
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn send(&self, parcel: &Parcel) -> Outcome {
        let Some(body) = parcel.bodies.first() else { return Outcome::Delivered };
        let payload = Payload {
            kind: &body.kind,
            id: &parcel.id,
            minute: parcel.minute,
            entries: body.entries,
            json: &body.json,
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.core.test_panic("deliver");
        let timeout = self.timeout.min(left).max(SHORTEST);
        let outcome = self.transport.borrow_mut().send(&payload, clock::now(), timeout);
        match &outcome {
            Outcome::Delivered => {
                let now = clock::now().iso8601(false).to_string();
                *self.delivered.borrow_mut() = Some(now);
            }
            Outcome::Rejected { why } => {
                self.core.log.add(Level::Error, || format!("delivery refused: {why}"));
            }
            Outcome::Retry { .. } => {}
        }
        outcome
    }

    fn refused(&self, aside: Option<String>) {
        self.core.log.add(Level::Error, || match aside {
            Some(name) => format!("a payload was refused, and set aside as {name}"),
            None => "a payload was refused, and is gone".into(),
        });
    }

    fn contained(&self) {
        self.core.panics.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&self, why: &str, wait: Duration) {
        self.core.log.add(Level::Warn, || {
            format!("delivery failed, next attempt in {:.1} s: {why}", wait.as_secs_f64())
        });
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
