//! No literal leaves: over the adversarial corpus, every byte prefix of it, broken encodings, wrong and unknown dialects.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop at what it did not expect, and says what it measured"
)]

mod sql_common;

use scoutcore::sql::{Dialect, Naming, Scratch, analyse, sanitize, summarize, tables};
use sql_common::{Canary, canaries};

/// Every output of one statement, as one string.
fn outputs(scratch: &mut Scratch, sql: &[u8], dialect: Dialect, truncated: bool) -> String {
    let statement = analyse(scratch, sql, dialect, truncated, Naming::Table);
    let model = analyse(scratch, sql, dialect, truncated, Naming::Model);
    assert_eq!(sanitize(scratch, sql, dialect, truncated), &*statement.text);
    assert_eq!(summarize(scratch, sql, dialect, truncated), &*statement.summary);
    let tables = tables(scratch, sql, dialect, truncated);
    format!(
        "{} | {} | {} | {} | {} | {:?}",
        statement.text,
        statement.summary,
        statement.operation,
        model.operation,
        model.model,
        tables
    )
}

fn leaks(
    scratch: &mut Scratch,
    canary: &Canary,
    sql: &[u8],
    dialect: Dialect,
    truncated: bool,
    found: &mut Vec<String>,
) {
    let shown = outputs(scratch, sql, dialect, truncated).to_lowercase();
    for secret in &canary.secrets {
        if shown.contains(&secret.to_lowercase()) {
            found.push(format!(
                "{} {} truncated={truncated}: {secret}\n    {}\n    {shown}",
                canary.id,
                dialect.name(),
                String::from_utf8_lossy(sql)
            ));
        }
    }
}

fn none(what: &str, checked: usize, found: &[String]) {
    println!("{what}: {} leaks in {checked} checks", found.len());
    assert!(
        found.is_empty(),
        "{what}: {} leaks\n{}",
        found.len(),
        found.iter().take(30).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn the_adversarial_corpus_in_its_dialects() {
    let Some(canaries) = canaries() else { return };
    let mut scratch = Scratch::default();
    let (mut found, mut checked) = (Vec::new(), 0);
    for canary in &canaries {
        for &dialect in &canary.dialects {
            checked += 1;
            leaks(&mut scratch, canary, &canary.sql, dialect, false, &mut found);
            leaks(&mut scratch, canary, &canary.sql, dialect, true, &mut found);
            let text = sanitize(&mut scratch, &canary.sql, dialect, false);
            for required in &canary.required {
                assert!(
                    text.contains(required.as_str()),
                    "{} {}: {required} is missing from {text}",
                    canary.id,
                    dialect.name()
                );
            }
        }
    }
    none("canaries, declared dialect", checked, &found);
}

#[test]
fn the_adversarial_corpus_in_wrong_and_unknown_dialects() {
    let Some(canaries) = canaries() else { return };
    let mut scratch = Scratch::default();
    let (mut found, mut checked) = (Vec::new(), 0);
    for canary in &canaries {
        for dialect in Dialect::ALL {
            checked += 2;
            leaks(&mut scratch, canary, &canary.sql, dialect, false, &mut found);
            leaks(&mut scratch, canary, &canary.sql, dialect, true, &mut found);
        }
    }
    none("canaries, wrong and unknown dialects", checked, &found);
}

#[test]
fn every_byte_prefix_in_every_dialect() {
    let Some(canaries) = canaries() else { return };
    let mut scratch = Scratch::default();
    let (mut found, mut checked) = (Vec::new(), 0);
    for canary in &canaries {
        for end in 0..canary.sql.len() {
            let prefix = &canary.sql[..end];
            for dialect in Dialect::ALL {
                for truncated in [false, true] {
                    checked += 1;
                    leaks(&mut scratch, canary, prefix, dialect, truncated, &mut found);
                }
            }
        }
    }
    none("canaries, every prefix, every dialect", checked, &found);
}

#[test]
fn every_byte_replaced_by_one_that_is_no_utf8() {
    let Some(canaries) = canaries() else { return };
    let mut scratch = Scratch::default();
    let (mut found, mut checked) = (Vec::new(), 0);
    for canary in &canaries {
        for at in 0..=canary.sql.len() {
            for byte in [0x80_u8, 0xbf, 0xff] {
                let mut broken = canary.sql.clone();
                broken.insert(at, byte);
                for &dialect in canary.dialects.iter().chain(&[Dialect::Generic]) {
                    checked += 1;
                    leaks(&mut scratch, canary, &broken, dialect, false, &mut found);
                }
            }
        }
    }
    none("canaries with a broken byte anywhere", checked, &found);
}
