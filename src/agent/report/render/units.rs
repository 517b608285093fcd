//! Numbers for people: three significant digits are enough, and units stay comparable.

/// A length of time. Milliseconds below a second, however few, so that columns compare.
pub fn duration(seconds: f64) -> String {
    let ms = seconds * 1e3;
    if ms < 0.005 {
        "0 ms".to_owned()
    } else if ms < 0.995 {
        format!("{ms:.2} ms")
    } else if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else if seconds < 600.0 {
        format!("{seconds:.0} s")
    } else if seconds < 7200.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

/// A length of time, or `-` when it is not known.
pub fn maybe_duration(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), duration)
}

/// A whole number with separators: `1,204`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 error`, `1,204 errors`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A rate: one decimal where it says something.
pub fn rate(number: f64) -> String {
    if number < 9.95 { format!("{number:.1}") } else { count(number.round() as u64) }
}

/// A share of a whole: `62%`, `<1%`.
pub fn percent(part: f64, whole: f64) -> String {
    let percent = if whole > 0.0 { part / whole * 100.0 } else { 0.0 };
    if percent > 0.0 && percent < 1.0 { "<1%".to_owned() } else { format!("{percent:.0}%") }
}

/// A file size.
pub fn bytes(number: u64) -> String {
    match number {
        0..1000 => format!("{number} bytes"),
        1000..1_000_000 => format!("{} kB", number.div_ceil(1000)),
        _ => format!("{:.1} MB", number as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits_at_most() {
        let shown =
            [0.0, 0.00042, 0.0076, 0.0234, 0.2912, 0.9994, 0.9996, 12.5, 125.0, 3000.0, 9000.0]
                .map(duration);
        assert_eq!(
            shown,
            [
                "0 ms", "0.42 ms", "7.6 ms", "23 ms", "291 ms", "999 ms", "1.00 s", "12.5 s",
                "125 s", "50.0 min", "2.5 h"
            ]
        );
    }

    #[test]
    fn numbers_read_easily() {
        assert_eq!([count(7), count(1204), count(1_000_000)], ["7", "1,204", "1,000,000"]);
        assert_eq!([counted(1, "error"), counted(0, "error")], ["1 error", "0 errors"]);
        assert_eq!([rate(0.5), rate(3.25), rate(120.4)], ["0.5", "3.2", "120"]);
        assert_eq!([percent(1.0, 3.0), percent(1.0, 1e4), percent(0.0, 0.0)], ["33%", "<1%", "0%"]);
        assert_eq!([bytes(12), bytes(41_971), bytes(3_400_000)], ["12 bytes", "42 kB", "3.4 MB"]);
    }
}
