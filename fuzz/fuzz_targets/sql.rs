//! The SQL engine's promises, for whatever bytes libFuzzer finds.
//!
//! Bytes 0..4 choose what is done with the rest: raw bytes as a statement, or a literal of a known dialect with the rest as
//! its content, in a template and under the same, an unknown or a wrong dialect. The content carries a canary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scoutcore::sql::{Dialect, Memo, Naming, Scratch, Statement, analyse, sanitize, summarize, tables};

#[path = "../../tests/sql_common/templates.rs"]
mod templates;

use templates::{Hole, TEMPLATES, fill, holes, literal};

const CANARY: &str = "kanari";

/// Every output, after the checks that hold for all bytes.
fn check(sql: &[u8], dialect: Dialect, truncated: bool) -> (Statement, String) {
    let mut scratch = Scratch::default();
    let statement = analyse(&mut scratch, sql, dialect, truncated, Naming::Model);
    // The same answer from used buffers, from the separate functions and from memory.
    assert_eq!(sanitize(&mut scratch, sql, dialect, truncated), &*statement.text);
    assert_eq!(summarize(&mut scratch, sql, dialect, truncated), &*statement.summary);
    let mut memo = Memo::new(4, [1, 2], Naming::Model);
    assert_eq!(*memo.get(sql, dialect, truncated), statement);
    assert_eq!(*memo.get(sql, dialect, truncated), statement);

    assert!(statement.text.len() <= (sql.len() + 16).min(64 * 1024 + 16));
    assert!(statement.summary.len() <= 255);
    assert!(statement.operation.len() <= 300);
    for output in [&statement.text, &statement.summary, &statement.model, &statement.verb, &statement.operation] {
        assert!(!output.chars().any(char::is_control), "{output:?}");
    }
    let tables = tables(&mut scratch, sql, dialect, truncated);
    (statement, tables.reads.join(" ") + &tables.writes.join(" "))
}

fn no_canary((statement, tables): &(Statement, String), sql: &[u8]) {
    for output in [&*statement.text, &statement.summary, &statement.model, &statement.operation, tables] {
        assert!(!output.to_lowercase().contains(CANARY), "{}\n{output}", String::from_utf8_lossy(sql));
    }
}

fuzz_target!(|data: &[u8]| {
    let [mode, first, second, third, rest @ ..] = data else { return };
    let dialect = Dialect::ALL[usize::from(first % 7)];
    let declared = Dialect::ALL[usize::from(second % 7)];
    let truncated = first & 0x80 != 0;
    if mode % 4 == 0 {
        check(rest, dialect, truncated);
        return;
    }
    // A line feed parts what goes into the literal from what follows the statement.
    let split = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    let (content, suffix) = rest.split_at(split);
    // Templates are text; bytes that are no UTF-8 are the raw mode's.
    let Ok(content) = std::str::from_utf8(content) else { return };
    if content.to_lowercase().contains(CANARY) || content.len() > 4_096 {
        return;
    }
    let template = TEMPLATES[usize::from(*third) % TEMPLATES.len()];
    let available = holes(dialect);
    let kinds: Vec<Hole> = (0..4).map(|i| available[usize::from(second >> i) % available.len()]).collect();
    let filled = |content: &str| fill(template, &kinds, &[format!("{content}{CANARY}{content}{CANARY}")], dialect);
    match mode % 4 {
        1 => {
            // A literal in its own or an unknown dialect, and anything at all behind it.
            let declared = if second & 0x80 == 0 { dialect } else { Dialect::Generic };
            let mut sql = b"SELECT * FROM t WHERE a = ".to_vec();
            sql.extend_from_slice(literal(kinds[0], &format!("{content}{CANARY}"), dialect).as_bytes());
            sql.push(b' ');
            sql.extend_from_slice(suffix);
            if !suffix.to_ascii_lowercase().windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
                no_canary(&check(&sql, declared, truncated), &sql);
            }
        }
        2 => {
            // A whole statement in a wrong dialect.
            let sql = filled(content);
            no_canary(&check(sql.as_bytes(), declared, false), sql.as_bytes());
        }
        _ => {
            // A statement cut anywhere, in its own or a wrong dialect.
            let sql = filled(content);
            let end = sql.len() * usize::from(*third) / 256;
            let declared = if second & 0x80 == 0 { dialect } else { declared };
            no_canary(&check(&sql.as_bytes()[..end], declared, true), sql.as_bytes());
            no_canary(&check(&sql.as_bytes()[..end], dialect, false), sql.as_bytes());
        }
    }
});
