//! Sanitising statements, beside libdatadog's obfuscator.

use crate::rows::{Row, median};
use std::hint::black_box;

use libdd_trace_obfuscation::obfuscation_config::{DbmsKind, SqlConfig};
use libdd_trace_obfuscation::sql::obfuscate_sql_resource;
use scoutcore::sql::{Dialect, Scratch, sanitize};

fn kind(dialect: Dialect) -> DbmsKind {
    match dialect {
        Dialect::Postgres => DbmsKind::Postgresql,
        Dialect::MySql => DbmsKind::Mysql,
        Dialect::MsSql => DbmsKind::Mssql,
        Dialect::Oracle => DbmsKind::Oracle,
        _ => DbmsKind::Generic,
    }
}

pub fn run() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/sql/corpus.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("SKIPPED: corpus.json is not in ../shared/vectors/sql");
        return;
    };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
    let short: Vec<(Dialect, &str)> = cases
        .iter()
        .filter_map(|case| {
            Some((Dialect::from_name(case["dialect"].as_str()?), case["sql"].as_str()?))
        })
        .filter(|(_, sql)| sql.len() < 1_024)
        .collect();
    let mut scratch = Scratch::default();
    let config = SqlConfig::default();
    let mut ours: Vec<f64> = Vec::new();
    let mut theirs: Vec<f64> = Vec::new();
    for &(dialect, sql) in &short {
        ours.push(median(|| {
            black_box(sanitize(&mut scratch, sql.as_bytes(), dialect, false).len());
        }));
        theirs.push(median(|| {
            black_box(obfuscate_sql_resource(sql, &config, kind(dialect)).len());
        }));
    }
    for (name, times) in
        [("scoutcore sanitize", &mut ours), ("libdatadog obfuscate_sql", &mut theirs)]
    {
        times.sort_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        if name.starts_with("scoutcore") {
            println!("{name:<64} {:>10.2} ns/statement", times[times.len() / 2]);
        } else {
            // As the rows of `benches/library/sql.rs`.
            let note = format!("{} statements under 1 KB; mean {mean:.0} ns", times.len());
            Row { ours: false, note: &note, ..Row::of("sql", name, "ns/statement") }
                .write(times[times.len() / 4..=times.len() * 3 / 4].to_vec());
        }
    }
    let ids: Vec<String> = (0..6_000).map(|n| (1_000_000 + n * 37).to_string()).collect();
    let list = format!("SELECT * FROM users WHERE id IN ({})", ids.join(", "));
    let ours = median(|| {
        black_box(sanitize(&mut scratch, list.as_bytes(), Dialect::Postgres, false).len());
    });
    let theirs = median(|| {
        black_box(obfuscate_sql_resource(&list, &config, DbmsKind::Postgresql).len());
    });
    println!("IN list of 6,000 ids: ours {:.1} us, libdatadog {:.1} us", ours / 1e3, theirs / 1e3);
}
