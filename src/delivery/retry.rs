use std::time::Duration;

/// When to try again: exponential backoff with full jitter, or what the receiver asked for.
///
/// Delays are uniform in [0, min(cap, base * 2^failures)], so that many processes whose receiver
/// was away do not come back together. Source: Marc Brooker, "Exponential Backoff And Jitter"
/// (AWS Architecture Blog, 2015). Pure: time is given in nanoseconds of any monotonic clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    failures: u32,
    not_before_ns: u64,
}

impl Retry {
    /// The longest first delay.
    pub const BASE: Duration = Duration::from_secs(1);
    /// The longest delay of our own.
    pub const CAP: Duration = Duration::from_secs(60);
    /// The longest that a receiver is obeyed.
    pub const OBEY: Duration = Duration::from_secs(300);

    /// Whether it is time.
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.not_before_ns
    }

    /// How long until it is time.
    pub fn wait(&self, now_ns: u64) -> Duration {
        Duration::from_nanos(self.not_before_ns.saturating_sub(now_ns))
    }

    /// Attempts that failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// An attempt went well.
    pub fn succeeded(&mut self) {
        *self = Retry::default();
    }

    /// An attempt failed. `random` is uniform over u64; it also spreads what the receiver asked
    /// for, upwards: by up to a tenth, or, where it asked for next to nothing, as we would.
    pub fn failed(&mut self, now_ns: u64, after: Option<Duration>, random: u64) {
        let ceiling = Self::BASE.saturating_mul(1 << self.failures.min(16)).min(Self::CAP);
        self.failures = self.failures.saturating_add(1);
        let delay = match after {
            Some(after) => {
                let after = after.min(Self::OBEY);
                let spread = if after < Self::BASE { ceiling } else { after / 10 };
                after + part(spread, random)
            }
            None => part(ceiling, random),
        };
        self.not_before_ns = now_ns.saturating_add(delay.as_nanos() as u64);
    }
}

fn part(of: Duration, random: u64) -> Duration {
    Duration::from_nanos(((of.as_nanos() * u128::from(random)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = u64::MAX;

    #[test]
    fn delays_double_up_to_the_cap_and_are_forgotten_on_success() {
        let mut retry = Retry::default();
        let ceilings: Vec<_> = (0..8)
            .map(|_| {
                retry.failed(0, None, MOST);
                retry.wait(0).as_secs_f64().round() as u64
            })
            .collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!retry.is_due(59_000_000_000) && retry.is_due(60_000_000_000));
        retry.succeeded();
        assert!(retry.is_due(0) && retry.failures() == 0);
    }

    #[test]
    fn jitter_is_over_the_whole_range() {
        let mut retry = Retry::default();
        retry.failed(0, None, 0);
        assert_eq!(retry.wait(0), Duration::ZERO);
        let mut retry = Retry::default();
        retry.failed(0, None, MOST / 2);
        assert_eq!(retry.wait(0).as_millis(), 499);
    }

    #[test]
    fn nothing_is_tried_again_without_jitter() {
        let mut retry = Retry::default();
        let waits: Vec<u64> = (0..4)
            .map(|_| {
                // As from a date that is over.
                retry.failed(0, Some(Duration::ZERO), MOST);
                retry.wait(0).as_secs_f64().round() as u64
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8]);
    }

    #[test]
    fn over_many_tries_delays_are_half_their_ceiling() {
        let mut random = 7u64;
        let mut sums = [0.0; 8];
        for _ in 0..1000 {
            let mut retry = Retry::default();
            for sum in &mut sums {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                retry.failed(0, None, random ^ (random >> 29));
                *sum += retry.wait(0).as_secs_f64() / 1000.0;
            }
        }
        for (mean, ceiling) in sums.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]) {
            assert!((mean - ceiling / 2.0).abs() < ceiling * 0.05, "{mean} of {ceiling}");
        }
    }

    #[test]
    fn a_receiver_is_obeyed_within_reason() {
        let mut retry = Retry::default();
        retry.failed(0, Some(Duration::from_secs(5)), 0);
        assert_eq!(retry.wait(0), Duration::from_secs(5));
        retry.failed(0, Some(Duration::from_secs(1_000_000_000)), MOST);
        assert!(retry.wait(0) >= Retry::OBEY && retry.wait(0) < Retry::OBEY * 11 / 10);
    }
}
