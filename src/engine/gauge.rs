use super::merge::Entry;
use super::operation::OTHER;
use serde::{Deserialize, Serialize};

/// A gauge's samples: how many, their sum, their extremes.
///
/// Integers, in billionths, so that merging is exact in any order. Wide ones: a process's memory in
/// bytes, sampled for a day, is beyond what 64 bits of billionths hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GaugeStats {
    /// How many.
    pub count: u64,
    /// Their sum, in billionths.
    pub total: u128,
    /// The least, in billionths; meaningless while `count` is 0.
    pub min: u128,
    /// The greatest, in billionths.
    pub max: u128,
}

/// A greater sample is taken as this one: 2^63, beyond any size of anything. Sums of as many as there
/// may be samples fit.
const MAX_SAMPLE: f64 = 9.223_372_036_854_776e18;

impl GaugeStats {
    /// Adds a sample; `true` if it was below zero, or too great, and was taken for less than it is.
    /// It must be a number.
    pub fn record(&mut self, sample: f64) -> bool {
        let taken = sample.clamp(0.0, MAX_SAMPLE);
        // Whole units and what is beyond them apart: a double has 53 bits for both together.
        let whole = taken.trunc();
        let value = whole as u128 * 1_000_000_000 + ((taken - whole) * 1e9).round() as u128;
        self.add(&GaugeStats { count: 1, total: value, min: value, max: value });
        taken != sample
    }

    /// Adds the other's samples to these.
    pub fn add(&mut self, other: &GaugeStats) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.total = self.total.saturating_add(other.total);
    }
}

impl Entry for GaugeStats {
    type Key = String;
    const LIMIT: usize = 4_000;
    fn add(&mut self, other: Self) {
        GaugeStats::add(self, &other);
    }
    fn weight(&self) -> u64 {
        self.count
    }
    fn other(_: &String) -> String {
        // Of one name, whatever they are: a name with an id in it makes a type of each.
        format!("{OTHER}/{OTHER}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BILLION: u128 = 1_000_000_000;

    #[test]
    fn great_sums_are_exact() {
        let mut stats = GaugeStats::default();
        // 64 GiB in bytes, of a hundred processes, each minute of a day.
        let sample = 64.0 * f64::from(1 << 30);
        (0..144_000).for_each(|_| assert!(!stats.record(sample)));
        assert_eq!(stats.total, 144_000 * (64 << 30) * BILLION);
        assert_eq!((stats.min, stats.max), ((64 << 30) * BILLION, (64 << 30) * BILLION));
        let json = serde_json::to_string(&stats).unwrap();
        assert_eq!(serde_json::from_str::<GaugeStats>(&json).unwrap(), stats);
    }

    #[test]
    fn what_is_out_of_range_is_said() {
        let mut stats = GaugeStats::default();
        assert!(!stats.record(0.25) && !stats.record(0.0) && !stats.record(-0.0));
        assert!(stats.record(-1.0) && stats.record(1e300));
        assert_eq!((stats.count, stats.min, stats.max), (5, 0, (1 << 63) * BILLION));
        for _ in 0..1000 {
            let before = stats;
            stats.add(&before);
        }
        assert_eq!(stats.total, u128::MAX);
    }
}
