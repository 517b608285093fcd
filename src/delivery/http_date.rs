//! The dates of HTTP: RFC 9110, 5.6.7. Pure.

use crate::model::UnixNanos;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads a date in any of the three forms; `now` decides the century of the one that has none.
pub(super) fn parse(text: &str, now: UnixNanos) -> Option<UnixNanos> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match *words.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [weekday, day, month, year, time, "GMT"] if weekday.ends_with(',') && year.len() == 4 => {
            instant(year.parse().ok()?, month, day, time)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        [weekday, date, time, "GMT"] if weekday.ends_with(',') => {
            let mut parts = date.split('-');
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() || year.len() != 2 {
                return None;
            }
            two_digit_year(year.parse().ok()?, month, day, time, now)
        }
        // Sun Nov  6 08:49:37 1994
        [_, month, day, time, year] if year.len() == 4 => {
            instant(year.parse().ok()?, month, day, time)
        }
        _ => None,
    }
}

/// One that appears to be over fifty years ahead is in the past century.
fn two_digit_year(
    year: u64,
    month: &str,
    day: &str,
    time: &str,
    now: UnixNanos,
) -> Option<UnixNanos> {
    const FIFTY_YEARS: u64 = 50 * 31_556_952;
    let now = now.seconds();
    let this_year = 1970 + now / 31_556_952;
    let century = this_year / 100 * 100;
    let of = |year| instant(year, month, day, time);
    [century + 100 + year, century + year]
        .into_iter()
        .find_map(|year| of(year).filter(|at| at.seconds() <= now + FIFTY_YEARS))
        .or_else(|| of((century + year).saturating_sub(100)))
}

fn instant(year: u64, month: &str, day: &str, time: &str) -> Option<UnixNanos> {
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let day: u64 = day.parse().ok()?;
    let mut parts = time.split(':');
    let mut two_digits = || parts.next().filter(|part| part.len() == 2)?.parse::<u64>().ok();
    let (hour, minute, second) = (two_digits()?, two_digits()?, two_digits()?);
    let fits = parts.next().is_none()
        && (1970..2500).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    fits.then(|| UnixNanos(seconds * 1_000_000_000))
}

/// Days from 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let of_era = year % 400;
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day;
    let days = year / 400 * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    days.saturating_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_the_same_moment() {
        let now = UnixNanos(1_795_000_000_000_000_000);
        let texts = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ];
        for text in texts {
            assert_eq!(parse(text, now).map(UnixNanos::seconds), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn two_digits_mean_the_nearest_century() {
        let now = UnixNanos(1_795_000_000_000_000_000); // 2026
        let shown = |text: &str| parse(text, now).unwrap().iso8601(false).to_string();
        assert_eq!(shown("Friday, 27-Nov-26 00:00:30 GMT"), "2026-11-27T00:00:30+00:00");
        assert_eq!(shown("Friday, 27-Nov-70 00:00:30 GMT"), "2070-11-27T00:00:30+00:00");
        assert_eq!(shown("Friday, 27-Nov-80 00:00:30 GMT"), "1980-11-27T00:00:30+00:00");
    }

    #[test]
    fn every_day_is_read_as_it_is_written() {
        let days = (0..100_000).step_by(17);
        for day in days {
            let at = UnixNanos((day * 86_400 + 3_661) * 1_000_000_000);
            let iso = at.iso8601(false).to_string();
            let month = MONTHS[iso[5..7].parse::<usize>().unwrap() - 1];
            let text = format!("Sun, {} {month} {} 01:01:01 GMT", &iso[8..10], &iso[..4]);
            assert_eq!(parse(&text, at), Some(at), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        let texts = [
            "",
            "soon",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nix 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94-1 08:49:37 GMT",
            "Sun Nov  6 08:49:37 99999999999999999999",
            "Sun, 06 Nov 9999 08:49:37 GMT",
        ];
        for text in texts {
            assert_eq!(parse(text, UnixNanos(0)), None, "{text}");
        }
    }
}
