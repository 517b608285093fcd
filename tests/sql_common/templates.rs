//! Statements with holes, and literals that fill them as each dialect writes them. Shared with the fuzz target.

use scoutcore::sql::Dialect;

/// The kinds of literals a template can hold, by the dialects that have them.
#[derive(Clone, Copy, Debug)]
pub enum Hole {
    Text,
    Number,
    Dollar,
    Escaped,
    Double,
    Alternative,
}

/// The kinds a dialect has.
pub fn holes(dialect: Dialect) -> &'static [Hole] {
    match dialect {
        Dialect::Postgres => &[Hole::Text, Hole::Number, Hole::Dollar, Hole::Escaped],
        Dialect::MySql => &[Hole::Text, Hole::Number, Hole::Double],
        Dialect::Oracle => &[Hole::Text, Hole::Number, Hole::Alternative],
        _ => &[Hole::Text, Hole::Number],
    }
}

/// A literal of the kind whose content is `content`, written as the dialect wants it.
pub fn literal(hole: Hole, content: &str, dialect: Dialect) -> String {
    let plain = |quote: char| {
        let doubled = content.replace(quote, &format!("{quote}{quote}"));
        let escaped =
            if dialect == Dialect::MySql { doubled.replace('\\', "\\\\") } else { doubled };
        format!("{quote}{escaped}{quote}")
    };
    match hole {
        Hole::Text => plain('\''),
        Hole::Double => plain('"'),
        Hole::Number => {
            let digits: String = content.chars().filter(char::is_ascii_digit).take(12).collect();
            format!("{}{digits}", if content.len().is_multiple_of(2) { "1" } else { "2." })
        }
        Hole::Dollar => format!("$k${}$k$", content.replace('$', "")),
        Hole::Escaped => format!("E'{}'", content.replace('\\', "\\\\").replace('\'', "\\'")),
        Hole::Alternative => format!("q'[{}]'", content.replace(']', "")),
    }
}

/// Statements with holes, as `{}`.
pub const TEMPLATES: &[&str] = &[
    "SELECT * FROM users WHERE name = {} AND id = {}",
    "SELECT a, {} AS b, f({}, {}) FROM t WHERE c LIKE {} ORDER BY d LIMIT {}",
    "INSERT INTO t (a, b) VALUES ({}, {})",
    "INSERT INTO t VALUES ({}, {}, NULL), ({}, {}, NULL)",
    "UPDATE t SET a = {}, b = {} WHERE c IN ({}, {}, {})",
    "DELETE FROM t WHERE a BETWEEN {} AND {} OR b IS NULL",
    "SELECT * FROM a JOIN b ON a.id = b.id WHERE x <> {} -- trailing\n AND y = {}",
    "WITH q AS (SELECT {} FROM r) SELECT * FROM q, s WHERE z = {}",
    "CALL proc({}, {})",
    "SELECT CASE WHEN a = {} THEN {} ELSE {} END FROM t",
    "SELECT {}/* c */, {} FROM t GROUP BY 1",
    "SELECT * FROM (SELECT {} FROM u WHERE v = {}) w",
    "MERGE INTO t USING s ON t.a = {} WHEN MATCHED THEN UPDATE SET b = {}",
    "SELECT SUBSTRING({} FROM 2 FOR 3) FROM t",
];

/// The template with its holes filled.
pub fn fill(template: &str, kinds: &[Hole], contents: &[String], dialect: Dialect) -> String {
    let mut parts = template.split("{}");
    let mut sql = parts.next().unwrap_or_default().to_owned();
    for (i, part) in parts.enumerate() {
        sql += &literal(kinds[i % kinds.len()], &contents[i % contents.len()], dialect);
        sql += part;
    }
    sql
}
