//! All that is kept of a statement.

use super::dialect::Dialect;
use super::name::{self, Naming};
use super::verdict::Rules;
use super::{Scratch, fingerprint, read, render, summary};

/// All that is kept of a statement; nothing of it comes from raw text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// The sanitised text.
    pub text: Box<str>,
    /// `SELECT users orders`
    pub summary: Box<str>,
    /// `User`; empty when the statement names no table.
    pub model: Box<str>,
    /// `select`, ... or `other`.
    pub verb: Box<str>,
    /// The name of the metric: `SQL/User/select`, `SQL/begin`, `SQL/other`.
    pub operation: Box<str>,
    /// Equal for statements that differ only in literals, case, spacing, comments and the lengths of lists.
    pub fingerprint: u64,
    /// Equal for equal models and verbs. Statements of one fingerprint may differ in it by letter case.
    pub names: u64,
    /// What it was read as.
    pub dialect: Dialect,
}

/// Everything about one statement, from one reading of it.
pub fn analyse(
    scratch: &mut Scratch,
    sql: &[u8],
    dialect: Dialect,
    truncated: bool,
    naming: Naming,
) -> Statement {
    let Scratch { tokens, text, inner, canon, buffers, outline } = scratch;
    let sql = read(sql, dialect, truncated, Rules::CANONICAL, tokens, inner);
    render::text(sql, tokens, text);
    let fingerprint = fingerprint::fingerprint(sql, tokens, canon);
    summary::outline(sql, tokens, buffers, outline);
    outline.finish();

    let table = name::table(outline.table());
    let model = name::model(&table);
    let verb = match outline.verb() {
        "" => "other".to_owned(),
        verb => verb.to_ascii_lowercase(),
    };
    let subject = match naming {
        Naming::Model => model.as_str(),
        Naming::Table => table.as_str(),
    };
    let operation =
        if subject.is_empty() { format!("SQL/{verb}") } else { format!("SQL/{subject}/{verb}") };
    let names = fingerprint::of_names(&model, &verb);
    Statement {
        text: render::as_str(text).into(),
        summary: render::as_str(outline.summary()).into(),
        model: model.into(),
        verb: verb.into(),
        operation: operation.into(),
        fingerprint,
        names,
        dialect,
    }
}
