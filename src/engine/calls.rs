use serde::{Deserialize, Serialize};

/// Count, sums and extremes of something measured.
///
/// All integers, so that merging is exact in any order: nanoseconds for times, plain numbers for
/// counts (`ObjectAllocations`, `Errors`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStats {
    /// How many.
    pub count: u64,
    /// Sum of the whole values.
    pub total: u64,
    /// Sum of what was left of each after its children.
    pub exclusive: u64,
    /// Least value; meaningless while `count` is 0.
    pub min: u64,
    /// Greatest value.
    pub max: u64,
}

impl CallStats {
    /// One measurement; its extremes are those of `call`.
    #[inline]
    pub fn record(&mut self, call: u64, exclusive: u64) {
        self.add(&CallStats { count: 1, total: call, exclusive, min: call, max: call });
    }

    /// One measurement of a layer inside another one: its extremes are those of `exclusive`.
    #[inline]
    pub fn record_scoped(&mut self, call: u64, exclusive: u64) {
        self.add(&CallStats { count: 1, total: call, exclusive, min: exclusive, max: exclusive });
    }

    /// One measurement without children.
    #[inline]
    pub fn record_value(&mut self, value: u64) {
        self.record(value, value);
    }

    /// The least value, once there is one.
    pub fn least(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// Adds the other's measurements to these.
    #[inline]
    pub fn add(&mut self, other: &CallStats) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.total = self.total.saturating_add(other.total);
        self.exclusive = self.exclusive.saturating_add(other.exclusive);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_minimum_and_empty_is_none() {
        let mut stats = CallStats::default();
        assert_eq!(stats.least(), None);
        stats.record(0, 0);
        stats.record(4, 1);
        assert_eq!(stats, CallStats { count: 2, total: 4, exclusive: 1, min: 0, max: 4 });
        stats.add(&CallStats::default());
        assert_eq!(stats.least(), Some(0));
    }
}
