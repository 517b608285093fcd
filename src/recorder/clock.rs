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

/// A line, and what it is fitted to.
struct Clock {
    line: Line,
    /// Wall clock minus monotonic clock, as of the start or the last step.
    offset: AtomicU64,
    /// Where fitting began, in (ticks, monotonic).
    origin_ticks: AtomicU64,
    origin_ns: AtomicU64,
    trusted: AtomicBool,
    /// The fork generation that is renewing, or 0. A child is not kept out by its parent's.
    renewing: AtomicU32,
    steps: AtomicU64,
}

/// The process's.
static CLOCK: Clock = Clock::new();

/// What the system's clocks say at one moment.
#[derive(Clone, Copy)]
struct Readings {
    ticks: u64,
    monotonic: u64,
    wall: u64,
}

impl Readings {
    fn take() -> Readings {
        // In this order: whatever comes between the first two puts a new line ahead of the system's
        // clock, from which readers come, and never behind it.
        let ticks = clock::ticks();
        let monotonic = clock::monotonic_ns();
        Readings { ticks, monotonic, wall: clock::realtime_ns() }
    }
}

/// The shortest time over which a slope is measured: two readings err by about 50 ns together, so
/// this is one part in a million.
const BASELINE_NS: u64 = 50_000_000;
/// A wall clock that is further off than this was set, or the machine slept: follow at once.
const STEP_NS: u64 = 1_000_000_000;

/// Begins. Idempotent; cheap.
pub fn start() {
    if !CLOCK.has_begun() {
        CLOCK.begin(Readings::take(), clock::ticks_are_invariant());
    }
}

/// Now.
#[inline(always)]
pub fn now() -> UnixNanos {
    CLOCK.on_line(clock::ticks).unwrap_or_else(otherwise)
}

/// The line is being renewed; or, in a child, caught so for ever until its own thread renews it; or
/// there is none.
#[cold]
#[inline(never)]
fn otherwise() -> UnixNanos {
    let system_now = || {
        let offset = CLOCK.offset.load(Ordering::Acquire);
        UnixNanos(clock::monotonic_ns().wrapping_add(offset))
    };
    (0..3).find_map(|_| CLOCK.on_line(clock::ticks)).unwrap_or_else(system_now)
}

/// Renews the line. By the background thread, about once a second; does not wait.
pub fn renew() {
    CLOCK.renew(Readings::take);
}

/// Nobody will renew the line for long, and it would drift: the system's clock is read until the
/// next renewal, which begins a new line.
pub fn rest() {
    CLOCK.rest();
}

/// Steps of the wall clock that were followed.
pub fn steps() -> u64 {
    CLOCK.steps.load(Ordering::Relaxed)
}

impl Clock {
    const fn new() -> Clock {
        Clock {
            line: Line {
                version: AtomicU32::new(0),
                base_ticks: AtomicU64::new(0),
                base_ns: AtomicU64::new(0),
                slope: AtomicU64::new(0),
            },
            offset: AtomicU64::new(0),
            origin_ticks: AtomicU64::new(0),
            origin_ns: AtomicU64::new(0),
            trusted: AtomicBool::new(false),
            renewing: AtomicU32::new(0),
            steps: AtomicU64::new(0),
        }
    }

    fn has_begun(&self) -> bool {
        self.offset.load(Ordering::Relaxed) != 0
    }

    fn begin(&self, at: Readings, trusted: bool) {
        self.trusted.store(trusted, Ordering::Relaxed);
        self.measure_from(at);
        self.offset.store(at.wall.wrapping_sub(at.monotonic), Ordering::Release);
    }

    /// The time, by the line; `None` where there is none.
    #[inline(always)]
    fn on_line(&self, ticks: impl FnOnce() -> u64) -> Option<UnixNanos> {
        let line = &self.line;
        let version = line.version.load(Ordering::Acquire);
        let base_ticks = line.base_ticks.load(Ordering::Relaxed);
        let base_ns = line.base_ns.load(Ordering::Relaxed);
        let slope = line.slope.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if version == 0 || version & 1 != 0 || line.version.load(Ordering::Relaxed) != version {
            return None;
        }
        let passed = ticks().saturating_sub(base_ticks);
        Some(UnixNanos(base_ns.wrapping_add(scale(passed, slope))))
    }

    fn renew(&self, read: impl FnOnce() -> Readings) {
        if !self.begin_renewing() {
            return;
        }
        let at = read();
        let offset = self.offset.load(Ordering::Acquire);
        if at.wall.abs_diff(at.monotonic.wrapping_add(offset)) > STEP_NS {
            self.offset.store(at.wall.wrapping_sub(at.monotonic), Ordering::Release);
            self.steps.fetch_add(1, Ordering::Relaxed);
            // It may have been a suspension, in which the ticks went on, or began anew, while the
            // monotonic clock stood still: what they made of each other before is no measure any more.
            self.measure_from(at);
            self.write(at.ticks, at.wall, self.line.slope.load(Ordering::Relaxed));
        } else if self.trusted.load(Ordering::Relaxed) {
            self.fit(at, offset);
        }
        self.renewing.store(0, Ordering::Release);
    }

    fn rest(&self) {
        if self.begin_renewing() {
            let version = self.line.version.load(Ordering::Relaxed);
            if version != 0 {
                self.line.version.store(version | 1, Ordering::Release);
            }
            self.renewing.store(0, Ordering::Release);
        }
    }

    fn begin_renewing(&self) -> bool {
        let mine = fork::current();
        let before = self.renewing.load(Ordering::Relaxed);
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        before != mine && self.renewing.compare_exchange(before, mine, acquire, relaxed).is_ok()
    }

    /// From here on the slope is measured.
    fn measure_from(&self, at: Readings) {
        self.origin_ticks.store(at.ticks, Ordering::Relaxed);
        self.origin_ns.store(at.monotonic, Ordering::Relaxed);
    }

    fn fit(&self, at: Readings, offset: u64) {
        let Readings { ticks, monotonic, .. } = at;
        let elapsed_ns = monotonic.saturating_sub(self.origin_ns.load(Ordering::Relaxed));
        let elapsed_ticks = ticks.saturating_sub(self.origin_ticks.load(Ordering::Relaxed));
        if elapsed_ns < BASELINE_NS || elapsed_ticks == 0 {
            return;
        }
        let true_slope = ((u128::from(elapsed_ns) << 32) / u128::from(elapsed_ticks)) as u64;
        let target = monotonic.wrapping_add(offset);
        let old_slope = self.line.slope.load(Ordering::Relaxed);
        let version = self.line.version.load(Ordering::Relaxed);
        // None, or one that rested, or that a dead thread of the parent left half written.
        if version == 0 || version & 1 != 0 || old_slope == 0 {
            return self.write(ticks, target, true_slope);
        }
        let passed = ticks.saturating_sub(self.line.base_ticks.load(Ordering::Relaxed));
        let reached =
            self.line.base_ns.load(Ordering::Relaxed).wrapping_add(scale(passed, old_slope));
        // Meet the system's clock a second from now, bending by at most a thousandth.
        let error = i128::from(target) - i128::from(reached);
        let bend = (i128::from(true_slope) * error / 1_000_000_000)
            .clamp(-i128::from(true_slope / 1000), i128::from(true_slope / 1000));
        self.write(ticks, reached, (i128::from(true_slope) + bend) as u64);
    }

    fn write(&self, ticks: u64, ns: u64, slope: u64) {
        if slope == 0 {
            return;
        }
        let line = &self.line;
        // Odd from here on, whatever a dead thread of the parent left.
        let version = line.version.load(Ordering::Relaxed) | 1;
        line.version.store(version, Ordering::Relaxed);
        fence(Ordering::Release);
        line.base_ticks.store(ticks, Ordering::Relaxed);
        line.base_ns.store(ns, Ordering::Relaxed);
        line.slope.store(slope, Ordering::Relaxed);
        let next = version.wrapping_add(1);
        line.version.store(if next == 0 { 2 } else { next }, Ordering::Release);
    }
}

#[inline(always)]
fn scale(ticks: u64, slope: u64) -> u64 {
    ((u128::from(ticks) * u128::from(slope)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A machine's clocks, and a line fitted to them: three ticks are a nanosecond.
    struct Machine {
        clock: Clock,
        at: Readings,
    }

    impl Machine {
        /// One that has run, and been watched, for a minute.
        fn running() -> Machine {
            let at = Readings { ticks: 7, monotonic: 5 * SECOND, wall: 1_795_000_000 * SECOND };
            let machine = Machine { clock: Clock::new(), at };
            machine.clock.begin(at, true);
            let mut machine = machine;
            (0..60).for_each(|_| machine.runs(SECOND));
            machine
        }

        /// Time passes, and the line is renewed.
        fn runs(&mut self, ns: u64) {
            self.at.ticks += 3 * ns;
            self.at.monotonic += ns;
            self.at.wall += ns;
            self.clock.renew(|| self.at);
        }

        /// How far off the line is now, in nanoseconds.
        fn off(&self) -> i64 {
            let shown = self.clock.on_line(|| self.at.ticks).unwrap();
            shown.0.cast_signed() - self.at.wall.cast_signed()
        }

        /// It is right at once, and stays so between renewals.
        fn is_right(&mut self) {
            for _ in 0..20 {
                self.runs(SECOND / 10);
                assert!(self.off().abs() < 100, "{} ns off", self.off());
                let before = self.at;
                self.at.ticks += 3 * SECOND / 2;
                self.at.wall += SECOND / 2;
                assert!(self.off().abs() < 1000, "{} ns off half a second later", self.off());
                self.at = before;
            }
        }
    }

    #[test]
    fn a_machine_that_slept_has_its_time_back() {
        let mut machine = Machine::running();
        machine.is_right();
        assert_eq!(machine.clock.steps.load(Ordering::Relaxed), 0);
        // An hour in which the counter ran on, and the monotonic clock did not.
        machine.at.ticks += 3 * 3600 * SECOND;
        machine.at.wall += 3600 * SECOND;
        machine.runs(SECOND / 10);
        machine.is_right();
        // Two in which the counter was off, and began anew.
        machine.at.ticks = 11;
        machine.at.wall += 7200 * SECOND;
        machine.runs(SECOND / 10);
        machine.is_right();
        assert_eq!(machine.clock.steps.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_wall_clock_that_is_set_is_followed_and_one_that_drifts_is_not() {
        let mut machine = Machine::running();
        for by in [-3600 * SECOND.cast_signed(), 86_400 * SECOND.cast_signed()] {
            machine.at.wall = machine.at.wall.wrapping_add_signed(by);
            machine.runs(SECOND / 10);
            machine.is_right();
        }
        assert_eq!(machine.clock.steps.load(Ordering::Relaxed), 2);
        machine.at.wall += SECOND / 2;
        machine.runs(SECOND / 10);
        assert!(machine.off() < -400_000_000, "less than a second is no step");
    }

    #[test]
    fn after_a_rest_it_begins_where_the_system_is() {
        let mut machine = Machine::running();
        machine.clock.rest();
        assert!(machine.clock.on_line(|| machine.at.ticks).is_none(), "the system's clock is read");
        machine.runs(600 * SECOND);
        machine.is_right();
    }

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
