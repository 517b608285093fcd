//! sqlparser as an independent oracle, and the caps that keep it from overflowing the stack of the core's own thread.
#![cfg(feature = "sql-ast")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop at what it did not expect, and says what it measured"
)]

mod sql_common;

use std::collections::HashSet;
use std::ops::ControlFlow;

use scoutcore::sql::{Dialect, Scratch, TABLES_STACK, sanitize, summarize, tables};
use sql_common::{canaries, check, key, text, vectors};
use sqlparser::ast::{Query, Statement, Value, ValueWithSpan, Visit, Visitor, visit_relations};
use sqlparser::dialect as parsers;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

fn on_stack<T: Send + 'static>(size: usize, run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(size).spawn(run).unwrap().join().unwrap()
}

/// Everything that makes sqlparser recurse or its tree deep.
fn recursive_constructs() -> Vec<(&'static str, String)> {
    let repeat = |head: &str, unit: &str, middle: &str, close: &str, times: usize| {
        format!("{head}{}{middle}{}", unit.repeat(times), close.repeat(times))
    };
    let mut all = Vec::new();
    // Each as deep as the caps on tokens, brackets and operators can ever let through, and deeper.
    for times in [16, 31, 32, 50, 100, 130, 190, 199, 200, 390, 399] {
        all.extend([
            ("brackets", repeat("SELECT ", "(", "?", ")", times)),
            ("subqueries", repeat("", "SELECT * FROM (", "SELECT ?", ") a", times)),
            ("EXISTS", repeat("SELECT ? WHERE ", "EXISTS (SELECT ? WHERE ", "?", ")", times)),
            ("sums", repeat("SELECT ?", "+?", "", "", times)),
            ("ORs", repeat("SELECT ? FROM t WHERE ?", " OR ?", "", "", times)),
            ("ANDs", repeat("SELECT ? FROM t WHERE a", " AND a", "", "", times)),
            ("comparisons", repeat("SELECT a", " = a", "", "", times)),
            ("NOTs", repeat("SELECT ", "NOT ", "?", "", times)),
            ("minus signs", repeat("SELECT ", "- ", "?", "", times)),
            ("plus signs", repeat("SELECT ", "+ ", "?", "", times)),
            ("tildes", repeat("SELECT ", "~ ", "?", "", times)),
            ("EXPLAINs", repeat("", "EXPLAIN ", "SELECT ?", "", times)),
            ("DESCRIBEs", repeat("", "DESCRIBE ", "SELECT ?", "", times)),
            ("CASEs", repeat("SELECT ", "CASE WHEN ", "a", " THEN ? END", times)),
            ("CASE heads", repeat("SELECT ", "CASE ", "a", "", times)),
            ("UNIONs", repeat("SELECT ?", " UNION SELECT ?", "", "", times)),
            ("INTERSECTs", repeat("SELECT ?", " INTERSECT SELECT ?", "", "", times)),
            ("JOINs", repeat("SELECT ? FROM a", " JOIN a ON b", "", "", times)),
            ("comma joins", repeat("SELECT ? FROM a", ", a", "", "", times)),
            ("nested joins", repeat("SELECT ? FROM ", "(a JOIN ", "a", ")", times)),
            ("INTERVALs", repeat("SELECT ", "INTERVAL ", "?", "", times)),
            ("casts", repeat("SELECT ?", "::int", "", "", times)),
            ("CASTs", repeat("SELECT ", "CAST(", "?", " AS int)", times)),
            ("arrays", repeat("SELECT ", "ARRAY[", "?", "]", times)),
            ("brackets of arrays", repeat("SELECT ", "[", "?", "]", times)),
            ("subscripts", repeat("SELECT a", "[?]", "", "", times)),
            ("structs", repeat("SELECT ", "{a: ", "?", "}", times)),
            ("function calls", repeat("SELECT ", "f(", "?", ")", times)),
            ("method calls", repeat("SELECT a", ".f()", "", "", times)),
            ("dotted names", repeat("SELECT a", ".a", "", "", times)),
            ("BETWEENs", repeat("SELECT ? WHERE a", " BETWEEN ? AND a", "", "", times)),
            ("LIKEs", repeat("SELECT a", " LIKE ?", "", "", times)),
            ("INs", repeat("SELECT a", " IN (?)", "", "", times)),
            ("IS NULLs", repeat("SELECT a", " IS NULL", "", "", times)),
            ("COLLATEs", repeat("SELECT a", " COLLATE b", "", "", times)),
            ("AT TIME ZONEs", repeat("SELECT a", " AT TIME ZONE ?", "", "", times)),
            ("PRIORs", repeat("SELECT ", "PRIOR ", "a", "", times)),
            ("lambdas", repeat("SELECT ", "a -> ", "a", "", times)),
            ("array types", repeat("SELECT ?::", "ARRAY<", "int", ">", times)),
            ("struct types", repeat("CREATE TABLE t (a ", "STRUCT<b ", "int", ">", times)),
            ("nested types", repeat("CREATE TABLE t (a ", "Nullable(", "int", ")", times)),
            ("WITHs", repeat("", "WITH a AS (", "SELECT ?", ") SELECT ?", times)),
            ("CTEs", repeat("WITH a AS (SELECT ?)", ", a AS (SELECT ?)", " SELECT ?", "", times)),
            ("statements", repeat("SELECT ?", "; SELECT ?", "", "", times)),
            ("BEGINs", repeat("", "BEGIN ", "", " END", times)),
            ("IFs", repeat("", "IF ? THEN ", "SELECT ?;", " END IF;", times)),
            ("WHILEs", repeat("", "WHILE ? BEGIN ", "SELECT ?;", " END", times)),
            ("PREPAREs", repeat("", "PREPARE a AS ", "SELECT ?", "", times)),
            ("VALUES rows", repeat("VALUES (?)", ", (?)", "", "", times)),
            ("PIVOTs", repeat("SELECT * FROM a", " PIVOT(f(b) FOR c IN (?))", "", "", times)),
            ("windows", repeat("SELECT ", "f(", "?", ") OVER (ORDER BY a)", times)),
            ("pipes", repeat("FROM a", " |> WHERE b", "", "", times)),
        ]);
    }
    all
}

#[test]
fn no_construct_within_the_caps_overflows_the_stack() {
    // A quarter of the stack: the margin. A debug build's frames are several times a release build's.
    let parsed = on_stack(TABLES_STACK / 4, || {
        let mut scratch = Scratch::default();
        let mut parsed = HashSet::new();
        for (name, sql) in recursive_constructs() {
            for dialect in Dialect::ALL {
                if tables(&mut scratch, &sql, dialect).is_some() {
                    parsed.insert(name);
                }
            }
        }
        parsed
    });
    println!("{} kinds of recursive constructs pass the caps at some depth", parsed.len());
    assert!(parsed.len() > 30, "the caps let too little through to prove anything: {parsed:?}");
}

fn parse(sql: &str, dialect: Dialect) -> Option<Vec<Statement>> {
    let parser: &dyn parsers::Dialect = match dialect {
        Dialect::Postgres => &parsers::PostgreSqlDialect {},
        Dialect::MySql => &parsers::MySqlDialect {},
        Dialect::MsSql => &parsers::MsSqlDialect {},
        Dialect::Sqlite => &parsers::SQLiteDialect {},
        Dialect::Oracle => &parsers::OracleDialect {},
        _ => &parsers::GenericDialect {},
    };
    Parser::parse_sql(parser, sql).ok()
}

/// The contents of all literals, and the names of common table expressions.
#[derive(Default)]
struct Found {
    values: Vec<String>,
    common: Vec<String>,
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        match &value.value {
            Value::Placeholder(_) | Value::Null | Value::Boolean(_) => {}
            Value::Number(number, _) => self.values.push(number.to_string()),
            other => self.values.extend(other.clone().into_string()),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let common = query.with.iter().flat_map(|with| &with.cte_tables);
        self.common.extend(common.map(|common| common.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }
}

/// Every name and keyword of the statement, by sqlparser's own tokenizer.
fn words(sql: &str) -> Vec<String> {
    let tokens = Tokenizer::new(&parsers::GenericDialect {}, sql).tokenize().unwrap_or_default();
    tokens
        .into_iter()
        .filter_map(|token| {
            if let Token::Word(word) = token { Some(word.value.to_lowercase()) } else { None }
        })
        .collect()
}

fn statements() -> Vec<(Dialect, String)> {
    let mut all = Vec::new();
    for case in vectors("corpus.json").unwrap_or_default() {
        all.push((Dialect::from_name(text(&case, "dialect")), text(&case, "sql").to_owned()));
    }
    for case in vectors("otel_java_sanitizer.json").unwrap_or_default() {
        all.push((Dialect::Generic, text(&case, "input").to_owned()));
    }
    for case in vectors("newrelic_sql_obfuscation.json").unwrap_or_default() {
        for dialect in case["dialects"].as_array().into_iter().flatten() {
            all.push((
                Dialect::from_name(dialect.as_str().unwrap_or_default()),
                text(&case, "sql").to_owned(),
            ));
        }
    }
    for canary in canaries().unwrap_or_default() {
        if let Ok(sql) = String::from_utf8(canary.sql) {
            all.extend(canary.dialects.iter().map(|&dialect| (dialect, sql.clone())));
        }
    }
    all.retain(|(_, sql)| sql.len() < 4_096);
    all
}

#[test]
fn no_value_of_the_tree_is_shown() {
    let (parsed, values, found) = on_stack(16 * 1024 * 1024, || {
        let mut scratch = Scratch::default();
        let (mut parsed, mut values, mut found) = (0, 0, Vec::new());
        for (dialect, sql) in statements() {
            let Some(tree) = parse(&sql, dialect) else { continue };
            parsed += 1;
            let mut visitor = Found::default();
            let _ = tree.visit(&mut visitor);
            let shown = sanitize(&mut scratch, sql.as_bytes(), dialect, false).to_lowercase();
            let names = words(&sql);
            for value in visitor.values {
                let value = value.trim().to_lowercase();
                // Short values are parts of names by chance; so is a value that is also a name.
                if value.len() < 3 || names.iter().any(|name| name.contains(&value)) {
                    continue;
                }
                values += 1;
                if shown.contains(&value) {
                    found.push(format!("{value:?} of {sql}\n    {shown}"));
                }
            }
        }
        (parsed, values, found)
    });
    println!("{parsed} statements parsed, {values} values looked for, {} shown", found.len());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_table_of_the_tree_is_in_the_summary() {
    let (total, failures) = on_stack(16 * 1024 * 1024, || {
        let mut scratch = Scratch::default();
        let (mut total, mut failures) = (0, Vec::new());
        for (dialect, sql) in statements() {
            let Some(tree) = parse(&sql, dialect) else { continue };
            let mut visitor = Found::default();
            let _ = tree.visit(&mut visitor);
            let summary = summarize(&mut scratch, sql.as_bytes(), dialect, false).to_lowercase();
            let shown = summary.replace(['"', '`', '[', ']'], "");
            let mut missing = Vec::new();
            let _ = visit_relations(&tree, |relation| {
                let name = relation.to_string().to_lowercase().replace(['"', '`', '[', ']'], "");
                let known = shown.split([' ', ';']).any(|word| word == name)
                    || shown.contains(&name) && name.contains(' ');
                if !known && !visitor.common.contains(&name) {
                    missing.push(name);
                }
                ControlFlow::<()>::Continue(())
            });
            total += 1;
            // A summary near its limit of 255 bytes was cut.
            if !missing.is_empty() && summary.len() < 200 {
                failures.push((key(&sql), format!("{sql}\n    {missing:?}\n    {summary}")));
            }
        }
        failures.sort();
        failures.dedup();
        (total, failures)
    });
    const CHANGED: &str = "UPDATE, DELETE, MERGE and TRUNCATE are named after the table they change, as in OpenTelemetry's cases";
    const ONLY: &str = "sqlparser takes PostgreSQL's ONLY for the table";
    const INNER: &str =
        "the statement inside of DECLARE and PREPARE runs later, and is counted then";
    const INDEX: &str = "an index is the target of CREATE INDEX, as in OpenTelemetry's cases";
    const MASKED: &str =
        "adversarial: masked from the doubt on, so that the table behind it is not shown";
    check(
        "sqlparser's tables in the summary",
        total,
        &failures,
        &[
            ("347cc4c7", CHANGED),
            ("36f1b908", CHANGED),
            ("436f7ae8", CHANGED),
            ("67576002", CHANGED),
            ("6c9d97db", CHANGED),
            ("965cc916", CHANGED),
            ("985cd941", CHANGED),
            ("c44bbc39", CHANGED),
            ("c663610d", CHANGED),
            ("f3411a8b", CHANGED),
            ("0299702b", ONLY),
            ("42c843ba", ONLY),
            ("79a3bd40", ONLY),
            ("0f691b0b", INNER),
            ("bc19bf85", INNER),
            ("3ea3f1c7", INDEX),
            ("877a9cc0", INDEX),
            ("10925ad1", MASKED),
            ("11a1b79e", MASKED),
            ("a5b17938", MASKED),
            ("7342768d", "a string literal is never a table"),
            ("78ac66f6", "SHOW is the whole of its summary, as in OpenTelemetry's cases"),
        ],
    );
}

#[test]
fn tables_of_the_corpus() {
    let Some(cases) = vectors("corpus.json") else { return };
    let (parsed, total) = on_stack(TABLES_STACK, move || {
        let mut scratch = Scratch::default();
        let mut parsed = 0;
        for case in &cases {
            let dialect = Dialect::from_name(text(case, "dialect"));
            let shown =
                sanitize(&mut scratch, text(case, "sql").as_bytes(), dialect, false).to_owned();
            parsed += usize::from(tables(&mut scratch, &shown, dialect).is_some());
        }
        (parsed, cases.len())
    });
    println!(
        "tables listed for {parsed} of {total} statements of the corpus, from their sanitised text"
    );
    assert!(parsed * 10 >= total * 7);
}
