//! The core's clock: Unix nanoseconds at the price of one counter read.
//!
//! A straight line fitted to the system's monotonic clock, which the background thread renews about
//! once a second. Each renewal starts where the last line would have been, and bends the slope to
//! meet the system's clock a second later: so it does not step, and does not drift. Until the first
//! line, while it [rests](rest), and where there is no counter to trust, the system's clock is read
//! instead.

use crate::model::UnixNanos;
use crate::sys::{clock, fork};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

/// A line: `ns = base_ns + (ticks - base_ticks) * slope / 2^32`.
struct Line {
    /// Odd while being written; 0 when there is no line.
    version: AtomicU32,
    base_ticks: AtomicU64,
    base_ns: AtomicU64,
    slope: AtomicU64,
}

static LINE: Line = Line {
    version: AtomicU32::new(0),
    base_ticks: AtomicU64::new(0),
    base_ns: AtomicU64::new(0),
    slope: AtomicU64::new(0),
};
/// Wall clock minus monotonic clock, as of the start or the last step.
static OFFSET: AtomicU64 = AtomicU64::new(0);
/// Where fitting began, in (ticks, monotonic).
static ORIGIN_TICKS: AtomicU64 = AtomicU64::new(0);
static ORIGIN_NS: AtomicU64 = AtomicU64::new(0);
static TRUSTED: AtomicBool = AtomicBool::new(false);
/// The fork generation that is renewing, or 0. A child is not kept out by its parent's.
static RENEWING: AtomicU32 = AtomicU32::new(0);

/// Steps of the wall clock that were followed.
pub static STEPS: AtomicU64 = AtomicU64::new(0);

/// The shortest time over which a slope is measured: two readings err by about 50 ns together, so
/// this is one part in a million.
const BASELINE_NS: u64 = 50_000_000;
/// A wall clock that is further off than this was set, or the machine slept: follow at once.
const STEP_NS: u64 = 1_000_000_000;

/// Begins. Idempotent; cheap.
pub fn start() {
    if OFFSET.load(Ordering::Relaxed) == 0 {
        TRUSTED.store(clock::ticks_are_invariant(), Ordering::Relaxed);
        let (ticks, monotonic) = (clock::ticks(), clock::monotonic_ns());
        begin(ticks, monotonic);
        OFFSET.store(clock::realtime_ns().wrapping_sub(monotonic), Ordering::Release);
    }
}

/// Now.
#[inline(always)]
pub fn now() -> UnixNanos {
    on_line().unwrap_or_else(otherwise)
}

#[inline(always)]
fn on_line() -> Option<UnixNanos> {
    let version = LINE.version.load(Ordering::Acquire);
    let base_ticks = LINE.base_ticks.load(Ordering::Relaxed);
    let base_ns = LINE.base_ns.load(Ordering::Relaxed);
    let slope = LINE.slope.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    if version == 0 || version & 1 != 0 || LINE.version.load(Ordering::Relaxed) != version {
        return None;
    }
    let passed = clock::ticks().saturating_sub(base_ticks);
    Some(UnixNanos(base_ns.wrapping_add(scale(passed, slope))))
}

/// The line is being renewed; or, in a child, caught so for ever until its own thread renews it; or
/// there is none.
#[cold]
#[inline(never)]
fn otherwise() -> UnixNanos {
    (0..3).find_map(|_| on_line()).unwrap_or_else(system_now)
}

fn system_now() -> UnixNanos {
    UnixNanos(clock::monotonic_ns().wrapping_add(OFFSET.load(Ordering::Acquire)))
}

#[inline(always)]
fn scale(ticks: u64, slope: u64) -> u64 {
    ((u128::from(ticks) * u128::from(slope)) >> 32) as u64
}

/// Renews the line. By the background thread, about once a second; does not wait.
pub fn renew() {
    if !begin_renewing() {
        return;
    }
    // In this order: whatever comes between the two puts a new line ahead of the system's clock, from
    // which readers come, and never behind it.
    let ticks = clock::ticks();
    let monotonic = clock::monotonic_ns();
    let offset = OFFSET.load(Ordering::Acquire);
    let wall = clock::realtime_ns();
    if wall.abs_diff(monotonic.wrapping_add(offset)) > STEP_NS {
        OFFSET.store(wall.wrapping_sub(monotonic), Ordering::Release);
        STEPS.fetch_add(1, Ordering::Relaxed);
        // It may have been a suspension, in which the ticks went on, or began anew, while the monotonic
        // clock stood still: what they made of each other before is no measure any more.
        begin(ticks, monotonic);
        write(ticks, wall, LINE.slope.load(Ordering::Relaxed));
    } else if TRUSTED.load(Ordering::Relaxed) {
        fit(ticks, monotonic, offset);
    }
    RENEWING.store(0, Ordering::Release);
}

/// Nobody will renew the line for long, and it would drift: the system's clock is read until the
/// next renewal, which begins a new line.
pub fn rest() {
    if begin_renewing() {
        let version = LINE.version.load(Ordering::Relaxed);
        if version != 0 {
            LINE.version.store(version | 1, Ordering::Release);
        }
        RENEWING.store(0, Ordering::Release);
    }
}

fn begin_renewing() -> bool {
    let mine = fork::current();
    let before = RENEWING.load(Ordering::Relaxed);
    before != mine
        && RENEWING.compare_exchange(before, mine, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

/// From here on the slope is measured.
fn begin(ticks: u64, monotonic: u64) {
    ORIGIN_TICKS.store(ticks, Ordering::Relaxed);
    ORIGIN_NS.store(monotonic, Ordering::Relaxed);
}

fn fit(ticks: u64, monotonic: u64, offset: u64) {
    let elapsed_ns = monotonic.saturating_sub(ORIGIN_NS.load(Ordering::Relaxed));
    let elapsed_ticks = ticks.saturating_sub(ORIGIN_TICKS.load(Ordering::Relaxed));
    if elapsed_ns < BASELINE_NS || elapsed_ticks == 0 {
        return;
    }
    let true_slope = ((u128::from(elapsed_ns) << 32) / u128::from(elapsed_ticks)) as u64;
    let target = monotonic.wrapping_add(offset);
    let old_slope = LINE.slope.load(Ordering::Relaxed);
    let version = LINE.version.load(Ordering::Relaxed);
    // None, or one that rested, or that a dead thread of the parent left half written.
    if version == 0 || version & 1 != 0 || old_slope == 0 {
        return write(ticks, target, true_slope);
    }
    let passed = ticks.saturating_sub(LINE.base_ticks.load(Ordering::Relaxed));
    let reached = LINE.base_ns.load(Ordering::Relaxed).wrapping_add(scale(passed, old_slope));
    // Meet the system's clock a second from now, bending by at most a thousandth.
    let error = i128::from(target) - i128::from(reached);
    let bend = (i128::from(true_slope) * error / 1_000_000_000)
        .clamp(-i128::from(true_slope / 1000), i128::from(true_slope / 1000));
    write(ticks, reached, (i128::from(true_slope) + bend) as u64);
}

fn write(ticks: u64, ns: u64, slope: u64) {
    if slope == 0 {
        return;
    }
    // Odd from here on, whatever a dead thread of the parent left.
    let version = LINE.version.load(Ordering::Relaxed) | 1;
    LINE.version.store(version, Ordering::Relaxed);
    fence(Ordering::Release);
    LINE.base_ticks.store(ticks, Ordering::Relaxed);
    LINE.base_ns.store(ns, Ordering::Relaxed);
    LINE.slope.store(slope, Ordering::Relaxed);
    let next = version.wrapping_add(1);
    LINE.version.store(if next == 0 { 2 } else { next }, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_to_the_system_clock_and_does_not_run_backwards() {
        start();
        let mut last = now();
        for round in 0..40 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            if round % 4 == 0 {
                renew();
            }
            for _ in 0..1000 {
                let next = now();
                assert!(next >= last, "{next:?} after {last:?}");
                last = next;
            }
            let off = clock::realtime_ns().abs_diff(now().0);
            assert!(off < 50_000_000, "{off} ns off");
        }
    }
}
