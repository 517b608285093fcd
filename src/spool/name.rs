//! What a file's name says of it, so that files need not be read to be sorted, limited or counted.

use crate::model::Minute;

/// The ending of periods that do not count yet.
pub(super) const PENDING: &str = ".pending";
/// The ending of a merged period whose sources may still be there.
pub(super) const MERGING: &str = ".merging";
/// The ending of a merged period.
pub(super) const MERGED: &str = ".merged";
/// The ending of a period as a process put it in.
pub(super) const PERIOD: &str = ".period";
/// The ending of a parcel.
pub(super) const PARCEL: &str = ".parcel";

/// Behind the ending of a file that has to be sent by itself: it may have been received already,
/// under the id that its name gives.
pub(super) const ALONE: &str = ".alone";

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Period,
    Merged,
    Parcel,
}

/// A file that counts.
///
/// `<minute>-<signature>-<number>-<index>-<spans>.period`,
/// `<first>-<signature>-<number>-<last>-<spans>.merged`, `<minute>-<id>-<spans>.parcel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) first: Minute,
    pub(super) last: Minute,
    pub(super) spans: u64,
    pub(super) kind: Kind,
    pub(super) alone: bool,
    pub(super) bytes: u64,
    pub(super) name: String,
}

impl File {
    /// `None` for what does not count, or is none of ours.
    pub(super) fn of(name: String, bytes: u64) -> Option<File> {
        let (counted, alone) = match name.strip_suffix(ALONE) {
            Some(counted) => (counted, true),
            None => (name.as_str(), false),
        };
        let (stem, kind) = [(PERIOD, Kind::Period), (MERGED, Kind::Merged), (PARCEL, Kind::Parcel)]
            .iter()
            .find_map(|(ending, kind)| Some((counted.strip_suffix(ending)?, *kind)))?;
        let mut parts = stem.split('-');
        let first = Minute(parts.next()?.parse().ok()?);
        let parts: Vec<&str> = parts.collect();
        let number = |part: Option<&&str>| part.and_then(|part| part.parse::<u64>().ok());
        let last = match kind {
            Kind::Merged => Minute(number(parts.get(2))?),
            Kind::Period | Kind::Parcel => first,
        };
        let spans = number(parts.last()).unwrap_or(0);
        Some(File { first, last, spans, kind, alone, bytes, name })
    }

    pub(super) fn is_parcel(&self) -> bool {
        self.kind == Kind::Parcel
    }
}

/// How a period is called; with [`PENDING`] behind it until it counts.
pub(super) fn period(
    minute: Minute,
    signature: &str,
    number: u32,
    index: usize,
    spans: u64,
) -> String {
    format!("{:010}-{signature}-{number}-{index}-{spans}{PERIOD}", minute.0)
}

/// How a merged period is called, without its ending.
pub(super) fn merged(
    first: Minute,
    last: Minute,
    signature: &str,
    number: u32,
    spans: u64,
) -> String {
    format!("{:010}-{signature}m-{number}-{:010}-{spans}", first.0, last.0)
}

/// The signature of the process that wrote a period that does not count yet.
pub(super) fn signature_of_pending(name: &str) -> Option<&str> {
    name.strip_suffix(PENDING)?.strip_suffix(PERIOD)?.split('-').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_in_the_file() {
        let of = |name: &str| File::of(name.to_owned(), 9);
        let file = of(&period(Minute(7), "ab", 3, 1, 12)).unwrap();
        assert_eq!((file.first, file.last, file.spans), (Minute(7), Minute(7), 12));
        let name = merged(Minute(5), Minute(9), "ab", 3, 40);
        let file = of(&format!("{name}{MERGED}")).unwrap();
        assert_eq!((file.first, file.last, file.spans), (Minute(5), Minute(9), 40));
        assert_eq!(of("0000000007-abc-5.parcel").unwrap().spans, 5);
        assert!(of(&format!("{name}{MERGED}{ALONE}")).unwrap().alone && !file.alone);
        for other in [&format!("{name}{MERGING}"), "lock", ".0000000007-a-1-0-1.period.9.tmp", "x"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
