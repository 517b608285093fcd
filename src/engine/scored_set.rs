use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The best item of each name, and of these the best few.
///
/// An item enters with a score and keeps it; between equal scores the greater `tie` wins. So the
/// outcome is the same in whatever order items and sets are put together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredSet<T> {
    limit: usize,
    /// From the best to the least.
    items: Vec<Scored<T>>,
}

/// An item with its name and score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored<T> {
    /// At most one item of a name is in a set.
    pub name: String,
    /// Higher is better. Finite.
    pub score: f64,
    /// Decides between equal scores.
    pub tie: String,
    /// What was scored.
    pub item: T,
}

impl<T> Scored<T> {
    /// Order of preference: by score, then by `tie`, then by name.
    fn compare(&self, name: &str, score: f64, tie: &str) -> Ordering {
        self.score
            .total_cmp(&score)
            .then_with(|| self.tie.as_str().cmp(tie))
            .then_with(|| self.name.as_str().cmp(name))
    }
}

impl<T> ScoredSet<T> {
    /// An empty set of at most `limit` items.
    pub fn new(limit: usize) -> Self {
        ScoredSet { limit, items: Vec::new() }
    }

    /// The items, best first.
    pub fn iter(&self) -> impl Iterator<Item = &Scored<T>> {
        self.items.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The score an item of this name must at least have to get in; `None`: there is room.
    pub fn threshold(&self, name: &str) -> Option<f64> {
        match self.items.iter().find(|held| held.name == name) {
            Some(held) => Some(held.score),
            None if self.items.len() < self.limit => None,
            None => Some(self.items.last().map_or(f64::INFINITY, |least| least.score)),
        }
    }

    /// Whether an item with this name and score would get in.
    pub fn accepts(&self, name: &str, score: f64, tie: &str) -> bool {
        let rival = match self.items.iter().find(|held| held.name == name) {
            Some(held) => held,
            None if self.items.len() < self.limit => return true,
            None => match self.items.last() {
                Some(least) => least,
                None => return false,
            },
        };
        rival.compare(name, score, tie).is_lt()
    }

    /// Puts an item in, if it is good enough.
    pub fn insert(&mut self, new: Scored<T>) {
        if !self.accepts(&new.name, new.score, &new.tie) {
            return;
        }
        self.items.retain(|held| held.name != new.name);
        let at =
            self.items.partition_point(|held| held.compare(&new.name, new.score, &new.tie).is_gt());
        self.items.insert(at, new);
        self.items.truncate(self.limit);
    }

    /// Puts all items of another set in.
    pub fn merge(&mut self, other: ScoredSet<T>) {
        self.limit = self.limit.max(other.limit);
        other.items.into_iter().for_each(|item| self.insert(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(limit: usize, items: &[(u8, u8, u8)]) -> ScoredSet<()> {
        let mut set = ScoredSet::new(limit);
        for (name, score, tie) in items {
            set.insert(Scored {
                name: name.to_string(),
                score: f64::from(*score),
                tie: tie.to_string(),
                item: (),
            });
        }
        set
    }

    proptest! {
        #[test]
        fn any_order_and_any_split_select_the_same(
            items in prop::collection::vec((0..8_u8, 0..6_u8, 0..4_u8), 0..40),
            at in 0..40_usize,
            rotation in 0..40_usize,
        ) {
            let whole = set(3, &items);
            let at = at.min(items.len());
            let (mut a, b) = (set(3, &items[..at]), set(3, &items[at..]));
            let mut reversed = b.clone();
            reversed.merge(a.clone());
            a.merge(b);
            prop_assert_eq!(&a, &whole);
            prop_assert_eq!(&reversed, &whole);
            let mut rotated = items.clone();
            rotated.rotate_left(rotation % items.len().max(1));
            prop_assert_eq!(&set(3, &rotated), &whole);
        }

        #[test]
        fn the_threshold_is_necessary(
            items in prop::collection::vec((0..8_u8, 0..6_u8, 0..4_u8), 0..40),
            new in (0..8_u8, 0..6_u8, 0..4_u8),
        ) {
            let set = set(3, &items);
            let (name, score) = (new.0.to_string(), f64::from(new.1));
            if set.accepts(&name, score, &new.2.to_string()) {
                prop_assert!(set.threshold(&name).is_none_or(|least| score >= least));
            }
        }
    }
}
