//! The spool's second half: what could not be written to disk, bounded.

use super::grain::next_group;
use super::{Item, Parcel, merge};
use crate::model::Minute;
use std::collections::{BTreeMap, VecDeque};

/// Periods held without a disk. Then old ones are merged; when each is a day, the oldest is given
/// up, and counted.
const PERIODS: usize = 90;
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
        if self.periods.len() <= PERIODS || self.merge_some() {
            return 0;
        }
        self.periods.pop_first().map_or(0, |(_, given_up)| given_up.spans())
    }

    /// Makes one period of several, if some can be.
    fn merge_some(&mut self) -> bool {
        let extents: Vec<_> = self.extents().collect();
        let group = next_group(&extents).unwrap_or_default();
        let mut merged: Option<T> = None;
        for (first, _) in group.into_iter().filter_map(|at| extents.get(at)) {
            if let Some(period) = self.periods.remove(first) {
                merged = merge(merged, period);
            }
        }
        let Some(merged) = merged else { return false };
        self.periods.insert(merged.minute(), merged);
        true
    }

    pub(super) fn take(&mut self, minute: Minute) -> Option<T> {
        self.periods.remove(&minute)
    }

    pub(super) fn take_periods(&mut self) -> Vec<T> {
        std::mem::take(&mut self.periods).into_values().collect()
    }

    /// First and last minutes, in order.
    pub(super) fn extents(&self) -> impl Iterator<Item = (Minute, Minute)> {
        self.periods.values().map(|period| (period.minute(), period.last_minute()))
    }

    /// Keeps a parcel, or what is left of it; gives the spans of one that had to go for it.
    pub(super) fn put_parcel(&mut self, parcel: Parcel) -> u64 {
        if let Some(held) = self.parcels.iter_mut().find(|held| held.id == parcel.id) {
            *held = parcel;
            return 0;
        }
        self.parcels.push_back(parcel);
        if self.parcels.len() <= PARCELS {
            return 0;
        }
        let given_up = self.parcels.pop_front();
        // One with sources on disk will be packed from them again.
        given_up.filter(|parcel| parcel.sources.is_empty()).map_or(0, |parcel| parcel.spans)
    }

    /// A parcel is delivered, refused, or on disk.
    pub(super) fn remove_parcel(&mut self, id: &str) {
        self.parcels.retain(|parcel| parcel.id != id);
    }

    /// Whether a file is in one of the parcels held, and so must not be packed again.
    pub(super) fn is_source(&self, name: &str) -> bool {
        self.parcels.iter().any(|parcel| parcel.sources.iter().any(|source| source == name))
    }

    /// The oldest that is not to be skipped, or the oldest that is made of no file; it stays, lest a
    /// fault while it is sent loses it.
    pub(super) fn next_parcel(
        &self,
        of_no_file: bool,
        skip: impl Fn(&str) -> bool,
    ) -> Option<Parcel> {
        let fits = |parcel: &&Parcel| !of_no_file || parcel.sources.is_empty();
        self.parcels.iter().filter(fits).find(|parcel| !skip(&parcel.file_name())).cloned()
    }

    #[cfg(test)]
    pub(super) fn contents(&self) -> (impl Iterator<Item = &T>, impl Iterator<Item = &Parcel>) {
        (self.periods.values(), self.parcels.iter().filter(|parcel| parcel.sources.is_empty()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.periods.is_empty() && self.parcels.is_empty()
    }

    pub(super) fn parcels(&self) -> usize {
        self.parcels.len()
    }

    /// Spans that are nowhere else: not those of parcels that are made of files.
    pub(super) fn spans(&self) -> u64 {
        let periods = self.periods.values().map(Item::spans);
        let parcels = self.parcels.iter().filter(|parcel| parcel.sources.is_empty());
        periods.chain(parcels.map(|parcel| parcel.spans)).sum()
    }
}
