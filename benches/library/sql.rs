//! What a statement costs, beside what others do with it: medians and ratios of one run.
//!
//! With `--count sql NAME` it runs one case a fixed number of times and nothing else, for instruction counters
//! (`perf stat -e instructions:u`, `valgrind --tool=callgrind`).

use crate::rows::{Row, median};
use regex::Regex;
use scoutcore::sql::{Dialect, Memo, Naming, Scratch, analyse, sanitize, summarize};
use sqlparser::dialect::{GenericDialect, MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Tokenizer;
use std::hint::black_box;

struct Statement {
    dialect: Dialect,
    sql: String,
}

/// The corpus, or a few statements of one's own when it is not there.
fn corpus() -> Vec<Statement> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/sql/corpus.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!(
            "SKIPPED: corpus.json is not in ../shared/vectors/sql; three statements stand in for it"
        );
        return [
            "SELECT * FROM users WHERE id = 1",
            "UPDATE users SET name = 'x' WHERE id = 2",
            "COMMIT",
        ]
        .map(|sql| Statement { dialect: Dialect::Postgres, sql: sql.to_owned() })
        .into();
    };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    cases
        .iter()
        .map(|case| Statement {
            dialect: Dialect::from_name(case["dialect"].as_str().unwrap_or_default()),
            sql: case["sql"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}

/// Uses a result, so that the work for it is done.
fn let_go<T>(_: T) {}

/// The regular expressions of the Ruby agent for PostgreSQL, chained as it chains them.
struct RegexChain(Vec<(Regex, &'static str)>);

impl RegexChain {
    fn new() -> RegexChain {
        let rules = [
            (r"\$\d+", "?"),
            (r"'(?:[^']|'')*'", "?"),
            (r"\b\d+\b", "?"),
            (r"(?i)IN\s+\(\?[^)]*\)", "IN (?)"),
            (r"--.*", ""),
            (r"\s+", " "),
        ];
        RegexChain(rules.map(|(rule, by)| (Regex::new(rule).unwrap(), by)).into())
    }

    fn sanitize(&self, sql: &str) -> String {
        let mut text = sql.trim().to_owned();
        for (rule, by) in &self.0 {
            text = rule.replace_all(&text, *by).into_owned();
        }
        text
    }
}

fn tokenize(statement: &Statement) -> usize {
    let tokens = match statement.dialect {
        Dialect::MySql => Tokenizer::new(&MySqlDialect {}, &statement.sql).tokenize(),
        Dialect::Postgres => Tokenizer::new(&PostgreSqlDialect {}, &statement.sql).tokenize(),
        _ => Tokenizer::new(&GenericDialect {}, &statement.sql).tokenize(),
    };
    tokens.map_or(0, |tokens| tokens.len())
}

fn parse(statement: &Statement) -> usize {
    let parsed = match statement.dialect {
        Dialect::MySql => Parser::parse_sql(&MySqlDialect {}, &statement.sql),
        Dialect::Postgres => Parser::parse_sql(&PostgreSqlDialect {}, &statement.sql),
        _ => Parser::parse_sql(&GenericDialect {}, &statement.sql),
    };
    parsed.map_or(0, |parsed| parsed.len())
}

/// The statements of the speed budget for long texts.
fn long_texts() -> Vec<(&'static str, String)> {
    let ids: Vec<String> = (0..6_000).map(|n| (1_000_000 + n * 37).to_string()).collect();
    let rows: Vec<String> =
        (0..1_500).map(|n| format!("({n}, 'name of number {n}', 12.50, NULL)")).collect();
    let names: Vec<String> = (0..4_000).map(|n| format!("'user{n}@host'")).collect();
    vec![
        ("IN list of 6,000 ids", format!("SELECT * FROM users WHERE id IN ({})", ids.join(", "))),
        (
            "IN list of 4,000 strings",
            format!("SELECT * FROM users WHERE email IN ({})", names.join(",")),
        ),
        (
            "INSERT of 1,500 rows",
            format!("INSERT INTO users (id, name, price, note) VALUES {}", rows.join(", ")),
        ),
        (
            "60 KB string literal",
            format!("UPDATE documents SET body = '{}' WHERE id = 7", "lorem ipsum ".repeat(5_000)),
        ),
        ("60 KB comment", format!("SELECT 1 /* {} */ FROM users", "lorem ipsum ".repeat(5_000))),
        ("60 KB of arguments", format!("SELECT f({})", ids.join(", "))),
        ("60 KB of columns", format!("SELECT {} FROM users", "users.column_name, ".repeat(3_100))),
    ]
}

pub fn count(name: &str) {
    const ROUNDS: usize = 2_000;
    let corpus = corpus();
    let short: Vec<&Statement> = corpus.iter().filter(|s| s.sql.len() < 1_024).collect();
    let mut scratch = Scratch::default();
    let mut memo = Memo::new(1_024, [1, 2], Naming::Model);
    for _ in 0..ROUNDS {
        for s in &short {
            match name {
                "nothing" => let_go(black_box(s.sql.as_bytes())),
                "sanitize" => let_go(black_box(
                    sanitize(&mut scratch, s.sql.as_bytes(), s.dialect, false).len(),
                )),
                "summarize" => let_go(black_box(
                    summarize(&mut scratch, s.sql.as_bytes(), s.dialect, false).len(),
                )),
                "analyse" => let_go(black_box(analyse(
                    &mut scratch,
                    s.sql.as_bytes(),
                    s.dialect,
                    false,
                    Naming::Model,
                ))),
                "memo" => let_go(black_box(memo.get(s.sql.as_bytes(), s.dialect, false))),
                "tokenize" => let_go(black_box(tokenize(s))),
                other => panic!("no case {other}"),
            }
        }
    }
    println!("{name}: {} calls", ROUNDS * short.len());
}

pub fn run() {
    let corpus = corpus();
    let short: Vec<&Statement> = corpus.iter().filter(|s| s.sql.len() < 1_024).collect();
    let bytes: usize = short.iter().map(|s| s.sql.len()).sum();
    println!(
        "corpus: {} statements under 1 KB, {} bytes each on average",
        short.len(),
        bytes / short.len()
    );

    let mut scratch = Scratch::default();
    let mut memo = Memo::new(1_024, [0x9E37, 0x79B9], Naming::Model);
    let chain = RegexChain::new();
    type Case = Box<dyn FnMut(&Statement)>;
    let mut cases: Vec<(&str, Case)> = Vec::new();
    let mut other = Scratch::default();
    let mut third = Scratch::default();
    cases.push((
        "sanitize",
        Box::new(move |s| {
            let_go(black_box(sanitize(&mut scratch, s.sql.as_bytes(), s.dialect, false).len()))
        }),
    ));
    cases.push((
        "summarize",
        Box::new(move |s| {
            let_go(black_box(summarize(&mut other, s.sql.as_bytes(), s.dialect, false).len()))
        }),
    ));
    cases.push((
        "analyse (everything)",
        Box::new(move |s| {
            let_go(black_box(analyse(
                &mut third,
                s.sql.as_bytes(),
                s.dialect,
                false,
                Naming::Model,
            )))
        }),
    ));
    cases.push((
        "memo hit",
        Box::new(move |s| let_go(black_box(memo.get(s.sql.as_bytes(), s.dialect, false)))),
    ));
    cases.push((
        "regex chain, as the Ruby agent's",
        Box::new(move |s| let_go(black_box(chain.sanitize(&s.sql)))),
    ));
    cases.push(("sqlparser tokenizer", Box::new(|s| let_go(black_box(tokenize(s))))));
    cases.push(("sqlparser parser", Box::new(|s| let_go(black_box(parse(s))))));

    for (name, case) in &mut cases {
        // The median statement's median time, and the mean over all of them.
        let mut each: Vec<f64> = short.iter().map(|s| median(|| case(s))).collect();
        each.sort_by(f64::total_cmp);
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        let note = format!("{} statements under 1 KB; mean {mean:.0} ns", each.len());
        let ours = !name.starts_with("regex") && !name.starts_with("sqlparser");
        // Extremes of statements say nothing of noise: the middle half's instead.
        let middle_half = each[each.len() / 4..=each.len() * 3 / 4].to_vec();
        Row { section: "sql", row: name, ours, unit: "ns/statement", note: &note }
            .write(middle_half);
    }

    let mut scratch = Scratch::default();
    for (name, sql) in long_texts() {
        let time = median(|| {
            let_go(black_box(
                sanitize(&mut scratch, sql.as_bytes(), Dialect::Postgres, false).len(),
            ))
        });
        let row = format!("sanitize, {name}");
        Row::of("sql", &row, "GB/s").write(vec![sql.len() as f64 / time]);
    }
}
