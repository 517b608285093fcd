//! Reading the instants of payloads: ISO 8601, with or without a fraction, with `Z` or an offset.

use crate::model::UnixNanos;

/// The instant, or `None` when the text is not one (or lies before 1970 or after 2500).
pub fn parse(text: &str) -> Option<UnixNanos> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1970..=2500).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at_checked(at)?,
        None => (time, "Z"),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = u64::try_from(local - offset_seconds(offset)?).ok()?;
    Some(UnixNanos(seconds.checked_mul(1_000_000_000)? + nanos(fraction)?))
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// `Z`, `+hh:mm`, `+hhmm` or `+hh`.
fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let number = text.get(1..)?.replace(':', "");
    let (hours, minutes) = (digits(number.get(..2)?)?, number.get(2..)?);
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes)? };
    Some(sign * (hours * 3600 + minutes * 60))
}

fn nanos(fraction: &str) -> Option<u64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Days from 1970-01-01 of a proleptic Gregorian date.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        parse(text).unwrap().iso8601(true).to_string()
    }

    #[test]
    fn every_form_the_agents_send() {
        assert_eq!(
            round_trip("2018-12-01T17:04:34.386568+00:00"),
            "2018-12-01T17:04:34.386568+00:00"
        );
        assert_eq!(round_trip("2018-12-01T17:04:34+00:00"), "2018-12-01T17:04:34.000000+00:00");
        assert_eq!(round_trip("2019-09-23T15:31:19.4451Z"), "2019-09-23T15:31:19.445100+00:00");
        assert_eq!(round_trip("2026-03-01T01:30:00+02:00"), "2026-02-28T23:30:00.000000+00:00");
        assert_eq!(round_trip("2024-02-29T23:30:00-0130"), "2024-03-01T01:00:00.000000+00:00");
        assert_eq!(round_trip("1970-01-01 00:00:00"), "1970-01-01T00:00:00.000000+00:00");
    }

    #[test]
    fn anything_else_is_no_instant() {
        for text in [
            "",
            "T",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "99999-01-01T0:0:0Z",
            "1969-12-31T23:59:59Z",
            "2026-01-01T00:00:00.x",
            "2026-01-01T25:00:00Z",
            "1970-01-01T00:00:00+23:00",
            "2026-01-01T00:00:00+é",
            "-1-1-1T1:1:1Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
