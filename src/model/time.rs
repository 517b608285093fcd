use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z. Holds until the year 2554.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// Time passed since `earlier`; zero if the clock went backwards.
    pub fn since(self, earlier: UnixNanos) -> DurationNanos {
        DurationNanos(self.0.saturating_sub(earlier.0))
    }

    /// The minute this instant lies in.
    pub fn minute(self) -> Minute {
        Minute(self.0 / Minute::NANOS)
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// `2026-11-22T06:57:52.435743+00:00`, or without the fraction when `micros` is false.
    pub fn iso8601(self, micros: bool) -> Iso8601 {
        Iso8601 { at: self, micros }
    }
}

/// A length of time in nanoseconds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DurationNanos(pub u64);

impl DurationNanos {
    /// As the payload's unit: seconds.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// A minute of UTC, counted from 1970: the grain of a period.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Minute(pub u64);

impl Minute {
    /// Nanoseconds in a minute.
    pub const NANOS: u64 = 60_000_000_000;

    /// The minute's first instant.
    pub fn start(self) -> UnixNanos {
        UnixNanos(self.0.saturating_mul(Self::NANOS))
    }
}

/// Displays an instant as ISO 8601 in UTC with a numeric offset, as Scout payloads have it.
#[derive(Clone, Copy, Debug)]
pub struct Iso8601 {
    at: UnixNanos,
    micros: bool,
}

impl fmt::Display for Iso8601 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.seconds();
        let (year, month, day) = civil_from_days(seconds / 86_400);
        let of_day = seconds % 86_400;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60
        )?;
        if self.micros {
            write!(f, ".{:06}", self.at.0 % 1_000_000_000 / 1000)?;
        }
        f.write_str("+00:00")
    }
}

/// Proleptic Gregorian date of a day count from 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso8601_of_known_instants() {
        assert_eq!(UnixNanos(0).iso8601(false).to_string(), "1970-01-01T00:00:00+00:00");
        let leap = UnixNanos(951_782_400_123_456_789); // 2000-02-29
        assert_eq!(leap.iso8601(true).to_string(), "2000-02-29T00:00:00.123456+00:00");
        let end = UnixNanos(1_798_761_599_000_000_000);
        assert_eq!(end.iso8601(false).to_string(), "2026-12-31T23:59:59+00:00");
    }

    #[test]
    fn time_never_runs_backwards() {
        assert_eq!(UnixNanos(5).since(UnixNanos(9)), DurationNanos(0));
        assert_eq!(UnixNanos(119_999_999_999).minute(), Minute(1));
        assert_eq!(Minute(2).start(), UnixNanos(120_000_000_000));
    }
}
