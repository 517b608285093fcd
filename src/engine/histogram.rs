use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Sub-buckets of an octave: a bucket is at most 1/64 of its value wide.
const SUB_BUCKETS: usize = 64;
const SUB_BITS: u32 = 6;
/// Values are clamped to one microsecond ...
const LEAST: u64 = 1_000;
/// ... and one hour.
const GREATEST: u64 = 3_600_000_000_000;
const FIRST_OCTAVE: u32 = LEAST.ilog2();
const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
/// The bits of the first octave's beginning, as `bucket` cuts them.
const FIRST: u64 =
    (1.0_f64.to_bits() >> (FRACTION_BITS - SUB_BITS)) + ((FIRST_OCTAVE as u64) << SUB_BITS);
const _: () = assert!(GREATEST < 1 << f64::MANTISSA_DIGITS && OCTAVES < NONE as usize);
const OCTAVES: usize = (GREATEST.ilog2() - FIRST_OCTAVE + 1) as usize;

/// Which bucket a duration in nanoseconds falls into: octave, then sub-bucket.
///
/// A float's exponent and the first bits of its fraction are just these two, side by side, and every
/// duration up to the greatest is a float without rounding.
#[inline]
fn bucket(nanos: u64) -> (usize, usize) {
    let nanos = nanos.clamp(LEAST, GREATEST).cast_signed() as f64;
    let bucket = (nanos.to_bits() >> (FRACTION_BITS - SUB_BITS)) - FIRST;
    (bucket as usize >> SUB_BITS, bucket as usize & (SUB_BUCKETS - 1))
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: u16) -> f64 {
    let octave = u32::from(bucket) / SUB_BUCKETS as u32 + FIRST_OCTAVE;
    let sub = u64::from(bucket) % SUB_BUCKETS as u64;
    let width = (1_u64 << (octave - SUB_BITS)) as f64;
    (SUB_BUCKETS as u64 + sub) as f64 * width + width / 2.0
}

/// A histogram that is being filled: one page of counters for each octave that was touched.
#[derive(Clone, Debug, Default)]
pub struct LiveHistogram {
    /// Page of each octave.
    page_of: PageOf,
    pages: Vec<[u32; SUB_BUCKETS]>,
}

#[derive(Clone, Debug)]
struct PageOf([u8; OCTAVES]);

/// The page of an octave that has none.
const NONE: u8 = u8::MAX;

impl Default for PageOf {
    fn default() -> Self {
        PageOf([NONE; OCTAVES])
    }
}

impl LiveHistogram {
    /// Counts one duration.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        let (octave, sub) = bucket(nanos);
        let page = self.page_of.0.get(octave).copied().unwrap_or(NONE);
        let counter = self.pages.get_mut(usize::from(page)).and_then(|page| page.get_mut(sub));
        match counter {
            Some(counter) => *counter = counter.saturating_add(1),
            None => self.record_in_new_page(octave, sub),
        }
    }

    #[cold]
    fn record_in_new_page(&mut self, octave: usize, sub: usize) {
        let mut page = [0; SUB_BUCKETS];
        if let Some(counter) = page.get_mut(sub) {
            *counter = 1;
        }
        if let Some(entry) = self.page_of.0.get_mut(octave) {
            *entry = self.pages.len() as u8;
        }
        self.pages.push(page);
    }

    pub(crate) fn merge(&mut self, other: &LiveHistogram) {
        for (octave, from) in other.page_of.0.iter().enumerate() {
            let Some(from) = other.pages.get(usize::from(*from)) else { continue };
            let Some(entry) = self.page_of.0.get_mut(octave) else { continue };
            if *entry == NONE {
                *entry = self.pages.len() as u8;
                self.pages.push([0; SUB_BUCKETS]);
            }
            let Some(to) = self.pages.get_mut(usize::from(*entry)) else { continue };
            for (to, from) in to.iter_mut().zip(from) {
                *to = to.saturating_add(*from);
            }
        }
    }

    /// How many values lie in buckets below that of `nanos`, and how many there are.
    pub(crate) fn rank(&self, nanos: u64) -> (u64, u64) {
        let (octave, sub) = bucket(nanos);
        let (mut below, mut total) = (0, 0);
        for (at, page) in self.page_of.0.iter().enumerate() {
            let Some(page) = self.pages.get(usize::from(*page)) else { continue };
            let sum: u64 = page.iter().map(|count| u64::from(*count)).sum();
            total += sum;
            if at < octave {
                below += sum;
            } else if at == octave {
                below += page.iter().take(sub).map(|count| u64::from(*count)).sum::<u64>();
            }
        }
        (below, total)
    }

    pub(crate) fn freeze(&self) -> Histogram {
        let mut buckets = Vec::new();
        for (octave, page) in self.page_of.0.iter().enumerate() {
            let Some(page) = self.pages.get(usize::from(*page)) else { continue };
            for (sub, count) in page.iter().enumerate().filter(|(_, count)| **count > 0) {
                buckets.push(((octave * SUB_BUCKETS + sub) as u16, u64::from(*count)));
            }
        }
        Histogram { buckets }
    }
}

/// How often durations occurred, to within 1/64 of their value, from one microsecond to one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    /// Bucket number and count, in order of bucket.
    buckets: Vec<(u16, u64)>,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, nanos: u64) {
        let (octave, sub) = bucket(nanos);
        self.add_to((octave * SUB_BUCKETS + sub) as u16, 1);
    }

    fn add_to(&mut self, bucket: u16, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |entry| entry.0) {
            Ok(at) => {
                if let Some(entry) = self.buckets.get_mut(at) {
                    entry.1 = entry.1.saturating_add(count);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }

    /// Adds the other's counts to these.
    pub fn merge(&mut self, other: &Histogram) {
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let (mut ours, mut theirs) =
            (self.buckets.iter().peekable(), other.buckets.iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) => a.0.cmp(&b.0),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let a = if order.is_le() { ours.next() } else { None };
            let b = if order.is_ge() { theirs.next() } else { None };
            let sum = a.map_or(0, |a| a.1).saturating_add(b.map_or(0, |b| b.1));
            merged.extend(a.or(b).map(|(bucket, _)| (*bucket, sum)));
        }
        self.buckets = merged;
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The middle of each bucket, in seconds, and its count, in ascending order.
    pub fn points(&self) -> impl Iterator<Item = (f64, u64)> {
        self.buckets.iter().map(|(bucket, count)| (middle(*bucket) / 1e9, *count))
    }

    /// Seconds below which the fraction `q` (0 to 1) of the durations lie; `None` when empty.
    pub fn percentile(&self, q: f64) -> Option<f64> {
        let wanted = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        self.points().find_map(|(seconds, count)| {
            seen = seen.saturating_add(count);
            (seen >= wanted).then_some(seconds)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_one_64th_of_its_values() {
        let mut nanos = LEAST;
        while nanos < GREATEST {
            let (octave, sub) = bucket(nanos);
            let middle = middle((octave * SUB_BUCKETS + sub) as u16);
            let off = (middle - nanos as f64).abs() / nanos as f64;
            assert!(off <= 1.0 / 64.0, "{nanos} is in the bucket around {middle}");
            nanos += nanos / 97 + 1;
        }
    }

    #[test]
    fn a_bucket_is_the_octave_and_its_64th() {
        let by_definition = |nanos: u64| {
            let nanos = nanos.clamp(LEAST, GREATEST);
            let octave = nanos.ilog2();
            let sub = (nanos >> (octave - SUB_BITS)) as usize & (SUB_BUCKETS - 1);
            ((octave - FIRST_OCTAVE) as usize, sub)
        };
        let edges =
            (0..64).flat_map(|bit| (0..64).map(move |sub| (1_u64 << bit) / 64 * (64 + sub)));
        for nanos in edges.flat_map(|edge| [edge.wrapping_sub(1), edge, edge.wrapping_add(1)]) {
            assert_eq!(bucket(nanos), by_definition(nanos), "{nanos}");
        }
        for nanos in [0, 1, LEAST, GREATEST, u64::MAX].into_iter().chain(900..100_000) {
            assert_eq!(bucket(nanos), by_definition(nanos), "{nanos}");
        }
    }

    #[test]
    fn live_and_frozen_agree() {
        let (mut live, mut frozen) = (LiveHistogram::default(), Histogram::default());
        let mut nanos = 1_u64;
        for i in 0..5000_u64 {
            nanos = nanos.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
            live.record(nanos >> (i % 60));
            frozen.record(nanos >> (i % 60));
        }
        assert_eq!(live.freeze(), frozen);
        assert_eq!(frozen.count(), 5000);
        assert_eq!(live.rank(u64::MAX).1, 5000);
        assert_eq!(live.rank(0).0, 0);
    }

    #[test]
    fn merged_in_either_way() {
        let of = |values: &[u64]| {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record(value * 1_000_000));
            histogram
        };
        let (a, b) = (of(&[1, 5, 5, 900]), of(&[2, 5, 1000]));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        assert_eq!(ab, of(&[1, 2, 5, 5, 5, 900, 1000]));
        assert_eq!(ab, ba);
        let mut live = LiveHistogram::default();
        [1, 5, 5, 900].iter().for_each(|value| live.record(value * 1_000_000));
        let mut other = LiveHistogram::default();
        [2, 5, 1000].iter().for_each(|value| other.record(value * 1_000_000));
        live.merge(&other);
        assert_eq!(live.freeze(), ab);
    }

    #[test]
    fn percentiles_of_a_known_distribution() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), None);
        (1..=1000).for_each(|ms| histogram.record(ms * 1_000_000));
        for (q, seconds) in [(0.5, 0.5), (0.95, 0.95), (0.99, 0.99), (1.0, 1.0)] {
            let estimate = histogram.percentile(q).unwrap();
            assert!((estimate - seconds).abs() / seconds < 1.0 / 64.0, "{q}: {estimate}");
        }
    }

    #[test]
    fn values_outside_the_range_are_clamped() {
        let mut histogram = Histogram::default();
        histogram.record(0);
        histogram.record(u64::MAX);
        let points: Vec<_> = histogram.points().collect();
        assert_eq!(points.len(), 2);
        assert!(points[0].0 < 2e-6 && points[1].0 > 3500.0);
    }
}
