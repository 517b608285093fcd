use crate::model::UnixNanos;

/// Reads a timestamp in any of the forms that agents send: ISO 8601 with a fraction of any length
/// or none, and `Z`, an offset, or nothing (which means UTC) behind it.
pub fn parse_timestamp(text: &str) -> Option<UnixNanos> {
    let mut rest = Cursor(text.trim().as_bytes());
    let year = rest.number(4)?;
    rest.one_of(b"-")?;
    let month = rest.number(2)?;
    rest.one_of(b"-")?;
    let day = rest.number(2)?;
    rest.one_of(b"Tt ")?;
    let hour = rest.number(2)?;
    rest.one_of(b":")?;
    let minute = rest.number(2)?;
    rest.one_of(b":")?;
    let second = rest.number(2)?;
    let nanos = if rest.one_of(b".,").is_some() { rest.fraction()? } else { 0 };
    let offset = rest.offset()?;
    let in_range =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour <= 24 && minute < 60;
    if !in_range || second > 60 || year < 1970 {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = u64::try_from(seconds - offset).ok()?;
    Some(UnixNanos(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, for years from 1970.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn digit(&mut self) -> Option<i64> {
        self.one_of(b"0123456789").map(|byte| i64::from(byte - b'0'))
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    /// Nanoseconds from any number of digits, none included.
    fn fraction(&mut self) -> Option<u64> {
        let mut nanos = 0_u64;
        let mut unit = 100_000_000_u64;
        while let Some(digit) = self.digit() {
            nanos += digit as u64 * unit;
            unit /= 10;
        }
        Some(nanos)
    }

    /// Seconds east of UTC. Nothing may follow.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-") {
            None => return self.0.is_empty().then_some(0),
            Some(b'Z' | b'z') => return self.0.is_empty().then_some(0),
            Some(b'-') => -1,
            Some(_) => 1,
        };
        let hours = self.number(2)?;
        let _ = self.one_of(b":");
        let minutes = if self.0.is_empty() { 0 } else { self.number(2)? };
        self.0.is_empty().then_some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agents_form() {
        let nanos = |text| parse_timestamp(text).map(|time| time.0);
        let base = 1_543_683_874_000_000_000;
        assert_eq!(nanos("2018-12-01T17:04:34.386568+00:00"), Some(base + 386_568_000), "python");
        assert_eq!(nanos("2018-12-01T17:04:34+00:00"), Some(base), "python without a fraction");
        assert_eq!(nanos("2018-12-01T17:04:34.5Z"), Some(base + 500_000_000), "elixir");
        assert_eq!(nanos("2018-12-01T17:04:34.386568Z"), Some(base + 386_568_000), "php");
        assert_eq!(nanos("2018-12-01T17:04:34.936Z"), Some(base + 936_000_000), "node");
        assert_eq!(nanos("2018-12-01T17:04:34"), Some(base), "naive is UTC");
        assert_eq!(nanos("2018-12-01T18:04:34+01:00"), Some(base), "an offset");
        assert_eq!(nanos("2018-12-01T12:34:34.000000000123-0430"), Some(base), "12 digits");
        assert_eq!(nanos("2000-02-29T00:00:00.Z"), Some(951_782_400_000_000_000), "a leap day");
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "now",
            "2018-12-01",
            "2018-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2018-12-01T17:04:34Zx",
            "2018-12-01T17:04:34+",
            "1543683874",
            "2018-12-01T99:00:00Z",
            "9999-12-31T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
