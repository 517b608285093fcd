use crate::engine::Histogram;
use serde::{Serialize, Serializer};

/// A histogram of few bins whose places follow the data: Scout's.
///
/// Equal values share a bin; when there are too many bins, the two closest become one.
#[derive(Clone, Debug, PartialEq)]
pub struct NumericHistogram {
    max_bins: usize,
    total: u64,
    /// Value and count, in order of value.
    bins: Vec<(f64, u64)>,
}

impl NumericHistogram {
    /// Bins of the payload's histograms.
    pub const BINS: usize = 50;

    /// An empty histogram of at most `max_bins`.
    pub fn new(max_bins: usize) -> Self {
        NumericHistogram { max_bins, total: 0, bins: Vec::new() }
    }

    /// Counts a value.
    pub fn add(&mut self, value: f64) {
        self.place(value, 1);
        self.trim();
    }

    fn place(&mut self, value: f64, count: u64) {
        self.total = self.total.saturating_add(count);
        let at = self.bins.partition_point(|(held, _)| *held < value);
        match self.bins.get_mut(at) {
            Some((held, held_count)) if *held == value => {
                *held_count = held_count.saturating_add(count);
            }
            _ => self.bins.insert(at, (value, count)),
        }
    }

    /// Adds another histogram's bins to these.
    pub fn combine(&mut self, other: &NumericHistogram) {
        for (value, count) in &other.bins {
            self.place(*value, *count);
        }
        self.trim();
    }

    /// Joins the closest neighbours, the first of them on ties, until there are few enough.
    fn trim(&mut self) {
        while self.bins.len() > self.max_bins.max(1) {
            let gaps = self.bins.windows(2).map(|pair| match pair {
                [(a, _), (b, _)] => b - a,
                _ => f64::INFINITY,
            });
            let closest = gaps.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
            let Some((at, _)) = closest else { return };
            let (value, count) = self.bins.remove(at);
            if let Some((next, next_count)) = self.bins.get_mut(at) {
                let sum = count + *next_count;
                let weighted = value * count as f64 + *next * *next_count as f64;
                (*next, *next_count) = (weighted / sum as f64, sum);
            }
        }
    }

    /// Values counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Value and count of each bin.
    pub fn bins(&self) -> &[(f64, u64)] {
        &self.bins
    }

    /// The mean of all values; 0 when empty.
    pub fn mean(&self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        self.bins.iter().map(|(value, count)| value * *count as f64).sum::<f64>()
            / self.total as f64
    }

    /// The value below which the fraction `q` lies; above 1 `q` means percent. 0 when empty.
    pub fn quantile(&self, q: f64) -> f64 {
        let q = if q > 1.0 { q / 100.0 } else { q };
        let mut remaining = q * self.total as f64;
        for (value, count) in &self.bins {
            remaining -= *count as f64;
            if remaining <= 0.0 {
                return *value;
            }
        }
        self.bins.last().map_or(0.0, |(value, _)| *value)
    }

    /// The fraction of values in bins below `value`; 100 when empty.
    pub fn approximate_quantile_of_value(&self, value: f64) -> f64 {
        if self.total == 0 {
            return 100.0;
        }
        let below = self.bins.iter().take_while(|(held, _)| *held < value);
        below.map(|(_, count)| *count).sum::<u64>() as f64 / self.total as f64
    }
}

impl From<&Histogram> for NumericHistogram {
    fn from(histogram: &Histogram) -> Self {
        let mut numeric = NumericHistogram::new(Self::BINS);
        for (seconds, count) in histogram.points() {
            numeric.place(seconds, count);
        }
        numeric.trim();
        numeric
    }
}

impl Serialize for NumericHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.bins.iter().map(|(value, count)| (round4(*value), count)))
    }
}

/// To four decimals, halves away from zero.
pub(super) fn round4(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Option<Value> {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/scout/pipeline_vectors.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("SKIPPED: no golden vectors at {path}");
            return None;
        };
        Some(serde_json::from_str(&text).unwrap())
    }

    fn filled(values: &Value, max_bins: &Value) -> NumericHistogram {
        let mut histogram = NumericHistogram::new(max_bins.as_u64().unwrap() as usize);
        for value in values.as_array().unwrap() {
            histogram.add(value.as_f64().unwrap());
        }
        histogram
    }

    fn check(histogram: &NumericHistogram, golden: &Value) {
        let name = golden;
        let close = |a: f64, b: &Value| (a - b.as_f64().unwrap()).abs() < 1e-12;
        assert_eq!(histogram.total(), golden["total"].as_u64().unwrap(), "{name}");
        let bins = golden["bins"].as_array().unwrap();
        assert_eq!(histogram.bins().len(), bins.len(), "{name}");
        for ((value, count), bin) in histogram.bins().iter().zip(bins) {
            assert!(close(*value, &bin[0]) && *count == bin[1].as_u64().unwrap(), "{name}");
        }
        let json = serde_json::to_value(histogram).unwrap();
        let rounded: Vec<(f64, u64)> = serde_json::from_value(json).unwrap();
        let golden_rounded: Vec<(f64, u64)> =
            serde_json::from_value(golden["as_json"].clone()).unwrap();
        assert_eq!(rounded, golden_rounded, "{name}");
        assert!(close(histogram.mean(), &golden["mean"]), "{name}");
        for pair in golden["quantile"].as_array().unwrap() {
            assert!(close(histogram.quantile(pair[0].as_f64().unwrap()), &pair[1]), "{name}");
        }
    }

    #[test]
    fn golden_histograms() {
        let Some(vectors) = vectors() else { return };
        let mut by_name = std::collections::HashMap::new();
        for golden in vectors["histogram_add"].as_array().unwrap() {
            by_name.insert(golden["name"].as_str().unwrap(), &golden["values"]);
            let histogram = filled(&golden["values"], &golden["max_bins"]);
            check(&histogram, golden);
            for pair in golden["approx"].as_array().unwrap() {
                let found = histogram.approximate_quantile_of_value(pair[0].as_f64().unwrap());
                assert!((found - pair[1].as_f64().unwrap()).abs() < 1e-12, "{golden}");
            }
        }
        for golden in vectors["histogram_combine"].as_array().unwrap() {
            let side = |side: &str, max: &str| {
                filled(by_name[golden[side].as_str().unwrap()], &golden[max])
            };
            let mut histogram = side("a", "a_max");
            histogram.combine(&side("b", "b_max"));
            check(&histogram, golden);
        }
    }

    #[test]
    fn golden_rounding() {
        let Some(vectors) = vectors() else { return };
        for pair in vectors["numbers_round"].as_array().unwrap() {
            assert_eq!(round4(pair[0].as_f64().unwrap()), pair[1].as_f64().unwrap(), "{pair}");
        }
    }

    #[test]
    fn renders_at_most_fifty_bins_and_keeps_the_total() {
        let mut histogram = Histogram::default();
        (1..=5000_u64).for_each(|n| histogram.record(n * n * 1000));
        let numeric = NumericHistogram::from(&histogram);
        assert_eq!((numeric.bins().len(), numeric.total()), (50, 5000));
        assert_eq!(numeric.bins().iter().map(|bin| bin.1).sum::<u64>(), 5000);
    }
}
