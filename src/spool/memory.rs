//! The spool's second half: what could not be written to disk, bounded.

use super::{Item, Parcel};
use crate::model::Minute;
use std::collections::{BTreeMap, VecDeque};

/// Minutes held without a disk: an hour and a half. Then the oldest is given up, and counted.
const MINUTES: usize = 90;
/// Parcels held without a disk.
const PARCELS: usize = 90;

#[derive(Debug)]
pub(super) struct Held<T> {
    periods: BTreeMap<Minute, T>,
    parcels: VecDeque<Parcel>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Held { periods: BTreeMap::new(), parcels: VecDeque::new() }
    }
}

impl<T: Item> Held<T> {
    /// Keeps a period; gives the spans of one that had to go for it.
    pub(super) fn put(&mut self, item: T) -> u64 {
        let minute = item.minute();
        match self.periods.get_mut(&minute) {
            Some(held) => held.merge(item),
            None => {
                self.periods.insert(minute, item);
            }
        }
        if self.periods.len() <= MINUTES {
            return 0;
        }
        self.periods.pop_first().map_or(0, |(_, given_up)| given_up.spans())
    }

    pub(super) fn take(&mut self, minute: Minute) -> Option<T> {
        self.periods.remove(&minute)
    }

    pub(super) fn take_periods(&mut self) -> Vec<T> {
        std::mem::take(&mut self.periods).into_values().collect()
    }

    pub(super) fn minutes(&self) -> impl Iterator<Item = Minute> {
        self.periods.keys().copied()
    }

    /// Keeps a parcel; gives the spans of one that had to go for it.
    pub(super) fn put_parcel(&mut self, parcel: Parcel) -> u64 {
        self.parcels.push_back(parcel);
        if self.parcels.len() <= PARCELS {
            return 0;
        }
        let given_up = self.parcels.pop_front();
        // One with sources on disk will be packed from them again.
        given_up.filter(|parcel| parcel.sources.is_empty()).map_or(0, |parcel| parcel.spans)
    }

    /// Whether a file is in one of the parcels held, and so must not be packed again.
    pub(super) fn is_source(&self, name: &str) -> bool {
        self.parcels.iter().any(|parcel| parcel.sources.iter().any(|source| source == name))
    }

    pub(super) fn take_parcel(&mut self) -> Option<Parcel> {
        self.parcels.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.periods.is_empty() && self.parcels.is_empty()
    }

    pub(super) fn parcels(&self) -> usize {
        self.parcels.len()
    }
}
