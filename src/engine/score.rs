use super::hash::KeyedHash;
use super::histogram::LiveHistogram;
use super::operation::OpId;
use crate::model::UnixNanos;
use std::collections::HashMap;

/// How much a request deserves a place among the traces: slow ones, of endpoints that take much
/// of the time, not seen for a while, and typical or extreme for their endpoint.
#[derive(Debug)]
pub(crate) struct Scorer {
    created: UnixNanos,
    /// Nanoseconds of all requests since the start.
    all: u64,
    endpoints: HashMap<OpId, History, KeyedHash>,
    limit: usize,
    hash: KeyedHash,
}

/// An endpoint since the engine's start.
#[derive(Debug, Default)]
struct History {
    total: u64,
    last_stored: Option<UnixNanos>,
    histogram: LiveHistogram,
}

/// Stands for all endpoints that did not fit.
const OTHER: OpId = OpId(u32::MAX);
const SPEED: f64 = 0.25;
const PERCENT: f64 = 2.5;
const AGE: f64 = 0.25;
/// What the percentile adds at most.
const MAX_PERCENTILE: f64 = 1.4;

/// Longer requests score higher, but not in proportion.
pub(crate) fn speed(seconds: f64) -> f64 {
    libm::log1p(seconds) * SPEED
}

/// Typical and extreme requests score higher than those between; `percent` is 0 to 100.
pub(crate) fn percentile(percent: f64) -> f64 {
    if percent < 40.0 {
        0.4
    } else if percent < 60.0 {
        1.4
    } else if percent < 90.0 {
        0.7
    } else {
        MAX_PERCENTILE
    }
}

impl Scorer {
    pub(crate) fn new(created: UnixNanos, limit: usize, hash: KeyedHash) -> Self {
        Scorer { created, all: 0, endpoints: HashMap::with_hasher(hash), limit, hash }
    }

    /// Takes a request into account, and scores it unless it cannot reach `threshold`.
    pub(crate) fn score(
        &mut self,
        endpoint: OpId,
        total: u64,
        now: UnixNanos,
        threshold: Option<f64>,
    ) -> Option<f64> {
        self.all = self.all.saturating_add(total);
        let endpoint = self.place(endpoint);
        let history = self.endpoints.entry(endpoint).or_default();
        history.total = history.total.saturating_add(total);
        history.histogram.record(total);
        let share = if self.all == 0 { 0.0 } else { history.total as f64 / self.all as f64 };
        let unseen = now.since(history.last_stored.unwrap_or(self.created));
        let score = speed(total as f64 / 1e9) + share * PERCENT + unseen.as_seconds() / 60.0 * AGE;
        if threshold.is_some_and(|threshold| score + MAX_PERCENTILE < threshold) {
            return None;
        }
        let (below, count) = history.histogram.rank(total);
        Some(score + percentile(100.0 * below as f64 / count.max(1) as f64))
    }

    /// A trace of this endpoint was taken.
    pub(crate) fn stored(&mut self, endpoint: OpId, now: UnixNanos) {
        let endpoint = self.place(endpoint);
        if let Some(history) = self.endpoints.get_mut(&endpoint) {
            history.last_stored = history.last_stored.max(Some(now));
        }
    }

    fn place(&self, endpoint: OpId) -> OpId {
        let fits = self.endpoints.len() < self.limit || self.endpoints.contains_key(&endpoint);
        if fits { endpoint } else { OTHER }
    }

    /// Operations have new numbers; those without one are forgotten.
    pub(crate) fn renumber(&mut self, new: impl Fn(OpId) -> Option<OpId>) {
        let mut endpoints = HashMap::with_hasher(self.hash);
        for (op, history) in self.endpoints.drain() {
            if let Some(op) = if op == OTHER { Some(op) } else { new(op) } {
                endpoints.insert(op, history);
            }
        }
        self.endpoints = endpoints;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorer() -> Scorer {
        Scorer::new(UnixNanos(0), 2, KeyedHash::new([1, 2]))
    }

    #[test]
    fn the_four_parts_add_up() {
        let mut scorer = scorer();
        let second = 1_000_000_000;
        // Alone: all the time is its; a minute since the start; nothing is faster.
        let score = scorer.score(OpId(1), second, UnixNanos(60 * second), None).unwrap();
        assert!((score - (speed(1.0) + 2.5 + 0.25 + 0.4)).abs() < 1e-12);
        scorer.stored(OpId(1), UnixNanos(60 * second));
        let score = scorer.score(OpId(2), 3 * second, UnixNanos(60 * second), None).unwrap();
        assert!((score - (speed(3.0) + 2.5 * 0.75 + 0.25 + 0.4)).abs() < 1e-12);
        // Slower than the one before: half of its endpoint's requests are below it.
        let score = scorer.score(OpId(1), 4 * second, UnixNanos(60 * second), None).unwrap();
        assert!((score - (speed(4.0) + 2.5 * 5.0 / 8.0 + 1.4)).abs() < 1e-12);
    }

    #[test]
    fn hopeless_ones_are_not_scored() {
        let mut scorer = scorer();
        assert_eq!(scorer.score(OpId(1), 1, UnixNanos(0), Some(100.0)), None);
        assert!(scorer.score(OpId(1), 1, UnixNanos(0), Some(4.0)).is_none());
        assert!(scorer.score(OpId(1), 1, UnixNanos(0), Some(3.8)).is_some());
    }

    #[test]
    fn bounded() {
        let mut scorer = scorer();
        (0..100).for_each(|op| {
            scorer.score(OpId(op), 1, UnixNanos(0), None);
        });
        assert!(scorer.endpoints.len() <= 3);
    }

    #[test]
    fn percentile_on_its_intended_scale() {
        let of = [(0.0, 0.4), (39.9, 0.4), (40.0, 1.4), (59.9, 1.4), (60.0, 0.7), (90.0, 1.4)];
        for (percent, points) in of {
            assert_eq!(percentile(percent), points);
        }
    }
}
