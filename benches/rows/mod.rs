//! Rows for `docs/benchmarks.md`: one JSON object a line, appended to the file that
//! `SCOUT_BENCH_JSON` names; without it, nothing is written.

use std::io::Write;

/// One measurement.
pub struct Row<'a> {
    pub section: &'a str,
    pub row: &'a str,
    pub ours: bool,
    pub unit: &'a str,
    pub note: &'a str,
}

impl Row<'_> {
    /// Appends it, with the median and the extremes of the samples.
    pub fn write(&self, mut samples: Vec<f64>) {
        let Some(path) = std::env::var_os("SCOUT_BENCH_JSON") else { return };
        samples.sort_by(f64::total_cmp);
        let line = serde_json::json!({
            "section": self.section, "row": self.row, "ours": self.ours, "unit": self.unit,
            "median": samples[samples.len() / 2], "low": samples[0],
            "high": samples[samples.len() - 1], "note": self.note,
        });
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}
