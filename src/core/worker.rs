//! The background threads: one that drains, analyses and spools; one that delivers, where delivery
//! crosses a network. Both sleep in `park_timeout`, catch their own panics, and end with the core.

use super::board::{Left, Requested};
use super::courier::{Courier, GRACE};
use super::instance::{Core, Snapshot};
use super::log::Level;
use super::pipeline::{Extent, Pipeline, Settled};
use super::recovery;
use crate::model::Minute;
use crate::recorder::{self, SegmentFile, clock};
use crate::spool::Safety;
use crate::sys::clock::monotonic_ns;
use crate::sys::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest sleep of a core with something to do: it wakes once a second.
const IDLE: Duration = Duration::from_secs(1);
/// The shortest sleep between two drains under load.
const BUSY: Duration = Duration::from_millis(10);
/// How often the files of dead processes are looked for.
const RECOVERY: Duration = Duration::from_secs(15);
/// The sleep of a core with nothing to do, unless something is recorded or asked for: then dead
/// processes' files are looked for all the same.
const DOZE: Duration = Duration::from_secs(600);
/// How long after the pipeline was emptied into the spool, or a flush did that, its minute is over
/// and its stragglers are in: what a look at the spool finds after that is all there is.
const SETTLED: Duration = Duration::from_secs(60 + GRACE.as_secs() + 5);
/// How long recording calls in progress are waited for before a doze.
const PATIENCE: Duration = Duration::from_millis(20);
/// And before the last drain.
const CALLS: Duration = Duration::from_secs(2);
/// How long an unattended round of deliveries may take.
const ROUND: Duration = Duration::from_secs(120);

/// Starts the threads that this core needs. One that cannot be had is counted: flush and shutdown
/// do its work then.
pub(super) fn start(core: &'static Core) {
    if !core.setup.settings.flag("background") {
        return;
    }
    match thread::spawn("scout-worker", move || run(core, worker_turn)) {
        Ok(handle) => {
            core.recorder.set_drainer(handle.thread().clone());
            let _ = core.threads.worker.set(handle.thread().clone());
        }
        Err(error) => no_thread(core, &error),
    }
    if core.setup.is_remote() && core.threads.worker.get().is_some() {
        match thread::spawn("scout-courier", move || run(core, courier_turn)) {
            Ok(handle) => {
                let _ = core.threads.courier.set(handle.thread().clone());
            }
            Err(error) => no_thread(core, &error),
        }
    }
}

fn no_thread(core: &Core, error: &std::io::Error) {
    core.threads.failed.fetch_add(1, Ordering::Relaxed);
    core.log.add(Level::Warn, || format!("no background thread, flush does its work: {error}"));
}

/// What a thread carries from turn to turn.
struct Turn {
    sleep: Duration,
    next_delivery: Instant,
    next_recovery: Instant,
    /// Turns in a row that the lock of the file for records could not be renewed.
    unlocked: u32,
    /// When there was last something to do, if ever.
    busy: Option<Instant>,
    done: bool,
}

fn run(core: &'static Core, turn: fn(&'static Core, &mut Turn)) {
    let now = Instant::now();
    let mut state = Turn {
        sleep: BUSY,
        next_delivery: now + IDLE,
        next_recovery: now,
        unlocked: 0,
        busy: None,
        done: false,
    };
    while !state.done {
        if catch_unwind(AssertUnwindSafe(|| turn(core, &mut state))).is_err() {
            core.panics.fetch_add(1, Ordering::Relaxed);
            core.log.add(Level::Error, || "a fault in a background thread was contained".into());
            state.sleep = IDLE / 10;
        }
        if !state.done {
            std::thread::park_timeout(state.sleep);
        }
    }
}

fn worker_turn(core: &'static Core, turn: &mut Turn) {
    clock::renew();
    if core.threads.dozing.swap(false, Ordering::Relaxed) {
        wake_up(core, turn);
    }
    core.test_panic("worker");
    if Instant::now() >= turn.next_recovery {
        turn.next_recovery = Instant::now() + RECOVERY;
        if recovery::recover(core, None) {
            turn.busy = Some(Instant::now());
        }
    }
    hold_on(core, turn);
    let requested = core.board.requested();
    if requested.is_ending {
        // Whoever asked may not have had the time: what a call under way accepts is drained below.
        core.note_quiet(Instant::now() + CALLS);
    }
    let asked = !core.board.is_settled(requested.ticket);
    let extent = match (requested.is_ending, asked) {
        (true, _) => Extent::Shutdown,
        (false, true) => Extent::Flush,
        (false, false) => Extent::Closed,
    };
    let Some(settled) = settle(core, extent) else {
        turn.done = true;
        return;
    };
    core.recorder.prepare();
    turn.sleep = next_sleep(turn.sleep, &settled);
    if asked || !settled.is_empty {
        turn.busy = Some(Instant::now());
    }
    if asked || requested.is_ending {
        core.board.note_settled(requested.satisfied(), settled.safety);
    }
    match core.threads.courier.get() {
        Some(courier) if asked => courier.unpark(),
        Some(_) => {}
        None => deliver(core, turn, requested, Instant::now() + ROUND),
    }
    turn.done = requested.is_ending;
    if !turn.done {
        doze(core, turn);
    }
}

/// Sleeps for long, if there is nothing to do: no records, nothing open, nothing to deliver.
fn doze(core: &Core, turn: &mut Turn) {
    if turn.sleep < IDLE
        || !is_delivered(core, turn)
        || !recorder::doze(core.slot, &core.recorder, PATIENCE)
    {
        return;
    }
    core.threads.dozing.store(true, Ordering::Relaxed);
    // From here on a record wakes this thread; what came before is found now.
    if settle(core, Extent::Closed).is_some_and(|settled| settled.is_empty) {
        clock::rest();
        turn.sleep = DOZE;
    } else {
        turn.busy = Some(Instant::now());
        turn.sleep = BUSY;
    }
}

/// Whether the last look at the spool found nothing, and was late enough to find everything.
fn is_delivered(core: &Core, turn: &Turn) -> bool {
    let emptied = core.threads.emptied_ns.load(Ordering::Acquire);
    let ago = Duration::from_nanos(monotonic_ns().saturating_sub(emptied));
    emptied != 0 && turn.busy.is_none_or(|busy| busy.elapsed() >= ago + SETTLED)
}

/// After a doze, whatever ended it.
fn wake_up(core: &Core, turn: &mut Turn) {
    turn.sleep = BUSY;
    if recorder::awake(core.slot, &core.recorder) {
        // Its record may not be published yet.
        turn.busy = Some(Instant::now());
    }
    if let Some(courier) = core.threads.courier.get() {
        courier.unpark();
    }
}

/// Renews the lock of the file for records: the host may have closed all descriptors.
fn hold_on(core: &Core, turn: &mut Turn) {
    match core.recorder.file().map_or(Ok(()), SegmentFile::renew) {
        Ok(()) => turn.unlocked = 0,
        Err(error) => {
            turn.unlocked += 1;
            // Another process that just looks whose file it is lets go of it at once.
            if turn.unlocked == 3 {
                let why = || format!("the lock of the file for records is lost: {error}");
                core.log.add(Level::Warn, why);
            }
        }
    }
}

fn courier_turn(core: &'static Core, turn: &mut Turn) {
    let requested = core.board.requested();
    // What was asked for is in the spool first.
    if core.board.is_settled(requested.ticket) {
        deliver(core, turn, requested, Instant::now() + ROUND);
        turn.done = requested.is_ending;
    }
    turn.sleep = if core.threads.dozing.load(Ordering::Relaxed) { DOZE } else { IDLE };
}

/// A round of deliveries, if one was asked for or is due.
fn deliver(core: &Core, turn: &mut Turn, requested: Requested, deadline: Instant) {
    let asked = !core.board.is_couriered(requested.ticket);
    if !asked && Instant::now() < turn.next_delivery {
        return;
    }
    let began = monotonic_ns();
    // Should the round be a fault, the next is not at once.
    turn.next_delivery = Instant::now() + IDLE;
    let left = courier_round(core, asked, deadline);
    if matches!(left, Left::Nothing | Left::Rejected) {
        core.threads.emptied_ns.store(began, Ordering::Release);
    }
    turn.next_delivery = Instant::now() + until_next(core, left);
    if requested.is_ending {
        // Before the answer: when a shutdown returns, no file is left that it could have removed.
        core.empty();
    }
    if asked {
        core.board.note_couriered(requested.satisfied(), left);
    }
}

/// Runs the courier on this thread.
fn courier_round(core: &Core, everything: bool, deadline: Instant) -> Left {
    let mut guard = core.courier.lock().unwrap_or_else(PoisonError::into_inner);
    courier_round_in(core, &mut guard, everything, deadline)
}

/// As [`courier_round`].
pub(super) fn courier_round_in(
    core: &Core,
    guard: &mut Option<Courier>,
    everything: bool,
    deadline: Instant,
) -> Left {
    let Some(courier) = guard.as_mut() else { return Left::Waiting(Safety::Disk) };
    let left = courier.round(core, everything, deadline);
    let mut snapshot = core.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
    snapshot.courier = courier.report().clone();
    left
}

/// Until the next minute is over and its stragglers are in, spread over two seconds so that the
/// processes of an application do not all look at once; or until the receiver may be tried again,
/// or what could not be read or claimed, a second later.
fn until_next(core: &Core, left: Left) -> Duration {
    let into_minute = Duration::from_nanos(clock::now().0 % Minute::NANOS);
    let spread = Duration::from_millis(core.random() % 2000);
    let next_minute =
        Duration::from_nanos(Minute::NANOS).saturating_sub(into_minute) + GRACE + spread;
    match left {
        Left::Waiting(_) => {
            let guard = core.courier.lock().unwrap_or_else(PoisonError::into_inner);
            guard.as_ref().map_or(next_minute, |courier| courier.backoff().clamp(IDLE, next_minute))
        }
        Left::Nothing | Left::Rejected => next_minute,
    }
}

/// Runs the pipeline on this thread. `None` once the core is empty.
fn settle(core: &Core, extent: Extent) -> Option<Settled> {
    settle_in(core, core.pipeline.lock().unwrap_or_else(PoisonError::into_inner), extent)
}

/// As [`settle`].
pub(super) fn settle_in(
    core: &Core,
    mut guard: MutexGuard<'_, Option<Pipeline>>,
    extent: Extent,
) -> Option<Settled> {
    let pipeline = guard.as_mut()?;
    let settled = pipeline.settle(core, extent);
    let mut snapshot = core.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
    let drained = snapshot.records_drained + settled.drained.records;
    *snapshot = Snapshot {
        engine: pipeline.engine().stats(),
        records_drained: drained,
        courier: std::mem::take(&mut snapshot.courier),
    };
    Some(settled)
}

/// Longer when little came, shorter when much did: memory is to be a quarter full at most.
fn next_sleep(before: Duration, settled: &Settled) -> Duration {
    match settled.drained.bytes {
        0..=65_536 => (before * 2).min(IDLE),
        65_537..=1_048_576 => before.clamp(BUSY, IDLE / 4),
        _ => (before / 2).max(BUSY),
    }
}
