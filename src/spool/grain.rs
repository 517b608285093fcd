//! Which waiting minutes are merged when there are too many: pure.

use crate::model::Minute;

/// How coarse a period may become, in minutes: a minute, five, an hour, a day.
const GRAINS: [u64; 4] = [1, 5, 60, 1440];

/// The next periods to merge, of extents (first and last minute) in order: the oldest group there
/// is of the finest grain. `None` once every day is one period.
///
/// Finest first, so that resolution is given up evenly, and recent minutes stay fine for as long
/// as there is room.
pub(super) fn next_group(extents: &[(Minute, Minute)]) -> Option<Vec<usize>> {
    for grain in GRAINS {
        let mut group: Vec<usize> = Vec::new();
        let mut cell = None;
        for (at, (first, last)) in extents.iter().enumerate() {
            let of = first.0 / grain;
            if last.0 / grain != of {
                continue; // coarser already
            }
            if cell != Some(of) {
                if group.len() > 1 {
                    return Some(group);
                }
                group.clear();
                cell = Some(of);
            }
            group.push(at);
        }
        if group.len() > 1 {
            return Some(group);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(list: &[(u64, u64)]) -> Vec<(Minute, Minute)> {
        list.iter().map(|(first, last)| (Minute(*first), Minute(*last))).collect()
    }

    #[test]
    fn the_finest_grain_goes_first_and_the_oldest_of_it() {
        let group = |list: &[(u64, u64)]| next_group(&extents(list));
        assert_eq!(group(&[]), None);
        assert_eq!(
            group(&[(3, 3), (4, 4), (7, 7), (7, 7)]),
            Some(vec![2, 3]),
            "one minute's files"
        );
        assert_eq!(group(&[(3, 3), (4, 4), (5, 5), (6, 6)]), Some(vec![0, 1]), "five minutes");
        assert_eq!(group(&[(0, 4), (5, 9), (70, 70)]), Some(vec![0, 1]), "an hour");
        assert_eq!(group(&[(0, 59), (60, 119)]), Some(vec![0, 1]), "a day");
        assert_eq!(group(&[(0, 1439), (1440, 2879)]), None, "never two days");
        assert_eq!(group(&[(0, 1439), (3, 3)]), Some(vec![0, 1]), "a straggler joins its day");
        assert_eq!(group(&[(0, 1439), (3, 3), (4, 4)]), Some(vec![1, 2]));
    }

    #[test]
    fn merging_to_the_end_leaves_a_period_a_day() {
        let mut list = extents(&(0..10_000).map(|m| (m, m)).collect::<Vec<_>>());
        while let Some(group) = next_group(&list) {
            let (first, last) = (list[group[0]].0, list[*group.last().unwrap()].1);
            let last = last.max(list[group[0]].1);
            list.retain(|(f, l)| *l < first || *f > last);
            list.push((first, last));
            list.sort();
        }
        assert_eq!(list.len(), 7);
    }
}
