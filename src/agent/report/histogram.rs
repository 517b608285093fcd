//! Merged histograms: bins added up, quantiles read as the agents read them.

use serde::{Serialize, Serializer};

/// Bins sorted by value. Payload histograms hold at most 50 bins; many files' together are halved
/// whenever they pass [`Histogram::MAX_BINS`], so that a year of minutes still fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    bins: Vec<(f64, u64)>,
}

impl Histogram {
    /// Far above what a p95 needs: 2,048 bins are 0.05 % of the requests each.
    pub const MAX_BINS: usize = 4096;

    /// Adds another histogram's bins.
    pub fn add(&mut self, bins: &[(f64, u64)]) {
        let usable = |&&(value, count): &&(f64, u64)| value.is_finite() && count > 0;
        self.bins.extend(bins.iter().filter(usable).map(|&(value, count)| (value.max(0.0), count)));
        self.bins.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.bins.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        if self.bins.len() > Self::MAX_BINS {
            self.halve();
        }
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        self.add(&other.bins);
    }

    /// Merges each bin with its neighbour, at their weighted mean.
    fn halve(&mut self) {
        let pair = |pair: &[(f64, u64)]| {
            let count = pair.iter().fold(0u64, |sum, bin| sum.saturating_add(bin.1));
            (pair.iter().map(|bin| bin.0 * bin.1 as f64).sum::<f64>() / count as f64, count)
        };
        self.bins = self.bins.chunks(2).map(pair).collect();
    }

    /// How many values were added.
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(0, |sum, bin| sum.saturating_add(bin.1))
    }

    /// The sum of all values, as exact as the bins are.
    pub fn sum(&self) -> f64 {
        self.bins.iter().map(|bin| bin.0 * bin.1 as f64).sum()
    }

    /// The highest bin.
    pub fn max(&self) -> Option<f64> {
        self.bins.last().map(|bin| bin.0)
    }

    /// The value that `share` (0 to 1) of all values do not exceed; `None` when empty.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut remaining = share * self.count() as f64;
        for &(value, count) in &self.bins {
            remaining -= count as f64;
            if remaining <= 0.0 {
                return Some(value);
            }
        }
        self.max()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.bins.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bins: &[(f64, u64)]) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.add(bins);
        histogram
    }

    #[test]
    fn quantiles_take_the_first_bin_that_reaches_the_share() {
        let histogram = of(&[(0.3, 5), (0.1, 90), (0.2, 5)]);
        assert_eq!(histogram.quantile(0.5), Some(0.1));
        assert_eq!(histogram.quantile(0.95), Some(0.2));
        assert_eq!(histogram.quantile(0.99), Some(0.3));
        assert_eq!(histogram.quantile(1.0), Some(0.3));
        assert_eq!(Histogram::default().quantile(0.95), None);
    }

    #[test]
    fn the_order_of_merging_does_not_matter() {
        let (a, b) = ([(0.1, 2), (0.4, 1)], [(0.1, 3), (0.2, 7)]);
        let (mut ab, mut ba) = (of(&a), of(&b));
        ab.add(&b);
        ba.add(&a);
        assert_eq!(ab, ba);
        assert_eq!((ab.count(), ab.max()), (13, Some(0.4)));
    }

    #[test]
    fn bins_stay_bounded_and_counts_exact() {
        let mut histogram = Histogram::default();
        for file in 0..1000u32 {
            let bins: Vec<_> = (0..50).map(|bin| (f64::from(file * 50 + bin) / 1e4, 2)).collect();
            histogram.add(&bins);
        }
        assert!(histogram.bins.len() <= Histogram::MAX_BINS);
        assert_eq!(histogram.count(), 100_000);
        let p95 = histogram.quantile(0.95).unwrap();
        assert!((p95 - 4.75).abs() < 0.05, "{p95}");
        assert!((histogram.sum() - 249_995.0).abs() < 1.0);
    }

    #[test]
    fn values_that_are_no_time_are_left_out() {
        let histogram =
            of(&[(f64::NAN, 1), (f64::INFINITY, 1), (-1.0, 1), (0.5, 0), (0.5, u64::MAX)]);
        assert_eq!(histogram.max(), Some(0.5));
        assert_eq!(histogram.count(), u64::MAX);
    }
}
