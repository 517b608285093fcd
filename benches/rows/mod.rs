//! Rows for `docs/benchmarks.md`: one JSON object a line, appended to the file that
//! `SCOUT_BENCH_JSON` names; without it, nothing is written. And the clocks that they are taken by.

use std::io::Write;
use std::time::{Duration, Instant};

/// One measurement.
pub struct Row<'a> {
    pub section: &'a str,
    pub row: &'a str,
    pub ours: bool,
    pub unit: &'a str,
    pub note: &'a str,
}

impl<'a> Row<'a> {
    /// A row of the library's own, without a note.
    pub fn of(section: &'a str, row: &'a str, unit: &'a str) -> Row<'a> {
        Row { section, row, ours: true, unit, note: "" }
    }

    /// Appends it, with the median and the extremes of the samples; prints it. Gives the median.
    pub fn write(&self, mut samples: Vec<f64>) -> f64 {
        samples.sort_by(f64::total_cmp);
        let median = samples[samples.len() / 2];
        println!("{:<64} {median:>10.2} {}  {}", self.row, self.unit, self.note);
        let Some(path) = std::env::var_os("SCOUT_BENCH_JSON") else { return median };
        let line = serde_json::json!({
            "section": self.section, "row": self.row, "ours": self.ours, "unit": self.unit,
            "median": median, "low": samples[0], "high": samples[samples.len() - 1],
            "note": self.note,
        });
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
        median
    }
}

/// Nanoseconds this thread has run: others on the machine do not count.
pub fn cpu() -> f64 {
    // The kernel brings its count up to date at each tick, and when a thread goes to sleep.
    std::thread::sleep(Duration::from_nanos(1));
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    line.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0.0)
}

/// The median of nine measurements of one call, each long enough to be measured, in nanoseconds.
pub fn median(mut call: impl FnMut()) -> f64 {
    let mut rounds = 1_u32;
    loop {
        let start = Instant::now();
        (0..rounds).for_each(|_| call());
        if start.elapsed().as_micros() > 2_000 {
            break;
        }
        rounds *= 2;
    }
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..rounds).for_each(|_| call());
            start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
