//! Properties that hold for every statement: no literal interferes, the outputs are bounded and valid, the same bytes give
//! the same answer after any history.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop at what it did not expect, and says what it measured"
)]

#[path = "sql_common/templates.rs"]
mod templates;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scoutcore::sql::{
    Dialect, Memo, Naming, Scratch, Statement, analyse, sanitize, summarize, tables,
};
use templates::{Hole, TEMPLATES, fill, holes};

fn dialects() -> impl Strategy<Value = Dialect> {
    select(&Dialect::ALL[..])
}

fn all(sql: &[u8], dialect: Dialect, truncated: bool) -> Statement {
    analyse(&mut Scratch::default(), sql, dialect, truncated, Naming::Model)
}

/// Contents that try to get out of their literal.
fn contents() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        "[a-z0-9 ]{0,12}",
        select(vec![
            "'",
            "''",
            "\"",
            "`",
            "\\",
            "\\'",
            "--",
            "/*",
            "*/",
            "#",
            "$",
            "$k",
            "[",
            "]",
            ";",
            "it's",
            " FROM secret ",
            "?",
            ":x",
            "E'",
            "q'[",
            "é",
            "\u{2019}",
            "\u{0}",
            "\n",
        ])
        .prop_map(str::to_owned),
    ];
    vec(vec(piece, 0..5).prop_map(|pieces| pieces.concat()), 1..5)
}

/// Whether `masked` is `full`, or was masked from some point on: then it ends there, and has no word that is not the template's.
fn shows_no_more(masked: &str, full: &str, template: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    masked == full
        || masked.ends_with('?') && {
            let allowed = words(template);
            words(masked).iter().all(|word| allowed.contains(word))
        }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The same template with other literals gives the same outputs, or strictly more masking.
    #[test]
    fn literals_do_not_interfere(
        template in select(TEMPLATES),
        dialect in dialects(),
        order in any::<u64>(),
        one in contents(),
        two in contents(),
    ) {
        let available = holes(dialect);
        let kinds: Vec<Hole> =
            (0..8).map(|i| available[(order >> (i * 8)) as usize % available.len()]).collect();
        let neutral: Vec<String> = vec!["x".to_owned()];
        let full = all(fill(template, &kinds, &neutral, dialect).as_bytes(), dialect, false);
        for contents in [&one, &two] {
            let sql = fill(template, &kinds, contents, dialect);
            let shown = all(sql.as_bytes(), dialect, false);
            prop_assert!(shows_no_more(&shown.text, &full.text, template), "{sql:?}\n{:?}\n{:?}", shown.text, full.text);
            prop_assert!(full.summary.starts_with(&*shown.summary), "{sql:?}\n{:?}\n{:?}", shown.summary, full.summary);
            if shown.text == full.text {
                prop_assert_eq!(shown.fingerprint, full.fingerprint);
                prop_assert_eq!(shown.operation, full.operation.clone());
            }
        }
    }

    /// A literal written for one dialect does not leave under any other, nor under none.
    #[test]
    fn wrong_dialects_show_no_literal(
        template in select(TEMPLATES),
        dialect in dialects(),
        declared in dialects(),
        order in any::<u64>(),
        contents in contents(),
        truncated in any::<bool>(),
        cut in 0..40_usize,
    ) {
        let available = holes(dialect);
        let kinds: Vec<Hole> =
            (0..8).map(|i| available[(order >> (i * 8)) as usize % available.len()]).collect();
        let contents: Vec<String> = contents.iter().map(|content| format!("{content}kanari{content}kanari")).collect();
        let sql = fill(template, &kinds, &contents, dialect);
        let sql = if truncated { &sql.as_bytes()[..sql.len().saturating_sub(cut)] } else { sql.as_bytes() };
        let shown = all(sql, declared, truncated);
        let tables = format!("{:?}", tables(&mut Scratch::default(), sql, declared, truncated)).into();
        for output in [&shown.text, &shown.summary, &shown.operation, &shown.model, &tables] {
            prop_assert!(
                !output.to_lowercase().contains("kanari"),
                "{} as {}: {}\n{output}", dialect.name(), declared.name(), String::from_utf8_lossy(sql)
            );
        }
    }

    /// Any bytes at all: valid, bounded, free of control characters, and the same after every history.
    #[test]
    fn every_byte_string_has_an_answer(
        pieces in vec(prop_oneof![
            vec(any::<u8>(), 0..12),
            select(vec![
                "SELECT ", "FROM ", "'", "\"", "`", "[", "]", "(", ")", "$a$", "/*", "*/", "--", "#", "\\", "E'", "q'[", "IN (", "VALUES (", "1,", "?,", ";", "x", ".", "\u{feff}",
                "INSERT INTO t ", "/*!", "EXEC sp_executesql N'", "[[", "PASSWORD ", "SET a = ", "\u{2019}", "0x1F", "{",
            ]).prop_map(|piece| piece.as_bytes().to_vec()),
        ], 0..24),
        dialect in dialects(),
        truncated in any::<bool>(),
        history in vec(any::<u8>(), 0..24),
    ) {
        let sql = pieces.concat();
        let fresh = all(&sql, dialect, truncated);
        let mut used = Scratch::default();
        sanitize(&mut used, &history, Dialect::MySql, true);
        prop_assert_eq!(sanitize(&mut used, &sql, dialect, truncated), &*fresh.text);
        prop_assert_eq!(summarize(&mut used, &sql, dialect, truncated), &*fresh.summary);
        prop_assert_eq!(&analyse(&mut used, &sql, dialect, truncated, Naming::Model), &fresh);
        let mut memo = Memo::new(4, [7, 8], Naming::Model);
        for _ in 0..2 {
            prop_assert_eq!(&*memo.get(&sql, dialect, truncated), &fresh);
        }
        prop_assert!(fresh.text.len() <= sql.len() + 16);
        prop_assert!(fresh.summary.len() <= 255);
        prop_assert!(fresh.operation.len() <= 300);
        for output in [&fresh.text, &fresh.summary, &fresh.operation, &fresh.model, &fresh.verb] {
            prop_assert!(!output.chars().any(char::is_control), "{output:?}");
        }
    }

    /// What is masked stays masked: sanitising twice shows no more than once.
    #[test]
    fn sanitising_again_shows_nothing_new(template in select(TEMPLATES), dialect in dialects(), contents in contents()) {
        let sql = fill(template, holes(dialect), &contents, dialect);
        let once = all(sql.as_bytes(), dialect, false);
        let twice = all(once.text.as_bytes(), dialect, false);
        prop_assert_eq!(&twice.text, &once.text);
    }
}

const PINNED: u64 = 0x02bf_b18c_c37a_9d2c;

#[test]
fn spelling_does_not_change_the_fingerprint_and_meaning_does() {
    let of = |sql: &str| all(sql.as_bytes(), Dialect::Postgres, false).fingerprint;
    let base = of("SELECT * FROM users WHERE id = 1");
    for same in [
        "select * from users where id = 22;",
        "SELECT *\n  FROM \"users\" -- comment\n WHERE id=$1",
        "SELECT * FROM USERS WHERE id = 'x'",
        "SELECT * FROM users WHERE id = NULL",
        "SELECT * FROM users WHERE id = -5",
    ] {
        assert_eq!(of(same), base, "{same}");
    }
    for other in [
        "SELECT * FROM user WHERE id = 1",
        "SELECT * FROM users WHERE id <> 1",
        "SELECT * FROM users WHERE id IS NULL",
    ] {
        assert_ne!(of(other), base, "{other}");
    }
    assert_eq!(of("SELECT 1 FROM t WHERE a IN (1, 2, 3)"), of("SELECT 1 FROM t WHERE a IN ($1)"));
    assert_eq!(of("INSERT INTO t VALUES (1, 2), (3, 4)"), of("INSERT INTO t VALUES (5, 6)"));
    assert_ne!(of("SELECT \"a b\" FROM t.\"x\""), of("SELECT a b FROM t.\"x\""));
    // Part of the stored form: it may change only with the version that stands before the hashed stream.
    assert_eq!(
        of("SELECT * FROM users WHERE id = 1"),
        PINNED,
        "{:#x}",
        of("SELECT * FROM users WHERE id = 1")
    );
}
