use crate::model::UnixNanos;

/// Nanoseconds a request waited, from a header (`X-Queue-Start`, `X-Request-Start`) that says when
/// a load balancer took it in: seconds, milliseconds, microseconds or nanoseconds since 1970,
/// perhaps after `t=`. `None` if it is no such time, lies in the future or ten years back.
pub(crate) fn from_header(header: &str, request_start: UnixNanos) -> Option<u64> {
    let text = header.trim();
    let text = text.strip_prefix("t=").unwrap_or(text);
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let taken_in = match text.parse::<u64>() {
        // Whole numbers keep their last digits.
        Ok(whole) => [1, 1_000, 1_000_000, 1_000_000_000]
            .into_iter()
            .filter_map(|scale| whole.checked_mul(scale))
            .find(|nanos| plausible(*nanos, request_start)),
        Err(_) => {
            let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
            [1.0, 1e3, 1e6, 1e9]
                .into_iter()
                .map(|scale| (number * scale) as u64)
                .find(|nanos| plausible(*nanos, request_start))
        }
    }?;
    Some(request_start.since(UnixNanos(taken_in)).0)
}

/// Not in the future, and less than ten years ago.
fn plausible(nanos: u64, request_start: UnixNanos) -> bool {
    const TEN_YEARS: u64 = 3653 * 86_400 * 1_000_000_000;
    nanos <= request_start.0 && nanos > request_start.0.saturating_sub(TEN_YEARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixNanos = UnixNanos(1_700_000_001_000_000_000);

    #[test]
    fn every_unit() {
        for (header, waited) in [
            ("1700000000", 1_000_000_000),
            ("1700000000.123", 877_000_000),
            ("t=1700000000.5", 500_000_000),
            ("1700000000123", 877_000_000),
            ("t=1700000000123", 877_000_000),
            ("1700000000123456", 876_544_000),
            ("1700000000123456789", 876_543_211),
        ] {
            let found = from_header(header, START).unwrap();
            assert!(found.abs_diff(waited) < 1000, "{header}: {found}");
        }
    }

    #[test]
    fn nonsense_is_ignored() {
        for header in [
            "",
            "junk",
            "t=",
            "t=X",
            "t=0.3f",
            "-1",
            "inf",
            "nan",
            "1",
            "1700000002",
            "1300000000",
            "99999999999999999999999999",
        ] {
            assert_eq!(from_header(header, START), None, "{header}");
        }
    }
}
