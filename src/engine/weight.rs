use std::cmp::Reverse;

/// Places in a list of weights, the heaviest first; of equal ones, the first.
///
/// Sorting is 5 KiB of code for each type that is sorted: this sorts one for all tables.
pub(crate) fn heaviest_first(weights: impl Iterator<Item = u64>) -> Vec<usize> {
    let mut places: Vec<(Reverse<u64>, usize)> =
        weights.enumerate().map(|(place, weight)| (Reverse(weight), place)).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_comes_first_and_of_equals_the_first() {
        assert_eq!(heaviest_first([3, 7, 0, 7, 3].into_iter()), [1, 3, 0, 4, 2]);
    }
}
