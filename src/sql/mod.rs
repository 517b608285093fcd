//! SQL statements made safe to keep: sanitised text, low-cardinality names, fingerprints. Pure.
//!
//! One pass of a lexer, one of verdicts, and from what these leave the text, the summary, the metric's
//! name and the fingerprint. Nothing here fails: every byte string has an answer, and the worst answer is `?`.
//! The semantics, as users see them, are in `docs/sql.md`.
#![forbid(unsafe_code)]

mod classes;
mod comments;
mod dialect;
mod doublequote;
mod fingerprint;
mod keywords;
mod lexer;
mod lists;
mod literals;
mod memo;
mod name;
mod numbers;
mod operations;
mod outline;
mod profile;
mod render;
mod runs;
mod signs;
mod statement;
mod summary;
mod tables;
mod targets;
mod token;
mod unwrap;
mod verdict;

pub use dialect::Dialect;
pub use memo::Memo;
pub use name::Naming;
#[doc(hidden)]
pub use outline::Outline;
#[doc(hidden)]
pub use profile::{Profile, Whitespace, outline, render};
pub use statement::{Statement, analyse};
pub use tables::{Tables, tables};

use token::Token;
use verdict::Rules;

/// Statements longer than this are read up to here, as if the caller had cut them.
pub const MAX_STATEMENT: usize = 64 * 1024;

/// Buffers that are reused from statement to statement, so that nothing is allocated once they have grown.
#[derive(Debug, Default)]
pub struct Scratch {
    tokens: Vec<Token>,
    text: Vec<u8>,
    /// The statement inside of `sp_executesql`.
    inner: Vec<u8>,
    canon: Vec<u8>,
    buffers: summary::Buffers,
    outline: Outline,
}

/// The statement as it may be kept: literals as `?`, comments dropped, whitespace squeezed, lists collapsed.
///
/// `truncated` says that the caller knows the end to be cut off; without it, an unclosed literal casts doubt on everything
/// since the first one, and masks it. The output is valid UTF-8 without control characters and at most 16 bytes longer
/// than the input.
pub fn sanitize<'s>(
    scratch: &'s mut Scratch,
    sql: &[u8],
    dialect: Dialect,
    truncated: bool,
) -> &'s str {
    let Scratch { tokens, text, inner, .. } = scratch;
    let sql = read(sql, dialect, truncated, Rules::CANONICAL, tokens, inner);
    render::text(sql, tokens, text);
    render::as_str(text)
}

/// What the statement does to which tables, in source order: `SELECT users orders`, as OpenTelemetry's `db.query.summary`.
/// At most 255 bytes; empty when the statement names nothing.
pub fn summarize<'s>(
    scratch: &'s mut Scratch,
    sql: &[u8],
    dialect: Dialect,
    truncated: bool,
) -> &'s str {
    let Scratch { tokens, inner, buffers, outline, .. } = scratch;
    let sql = read(sql, dialect, truncated, Rules::CANONICAL, tokens, inner);
    summary::outline(sql, tokens, buffers, outline);
    outline.finish();
    render::as_str(outline.summary())
}

/// Lexes and judges a statement, or the one inside of it, and returns the bytes that `tokens` refer to.
fn read<'a>(
    sql: &'a [u8],
    dialect: Dialect,
    truncated: bool,
    rules: Rules,
    tokens: &mut Vec<Token>,
    inner: &'a mut Vec<u8>,
) -> &'a [u8] {
    let mut truncated = truncated;
    let sql = match sql.get(..MAX_STATEMENT) {
        Some(head) if sql.len() > MAX_STATEMENT => {
            truncated = true;
            head
        }
        _ => sql,
    };
    let collapse = rules.collapse_lists && rules.collapse_rows && rules.mask_booleans;
    let mut doubts = lexer::lex(sql, dialect, collapse, tokens);
    let sql = if dialect == Dialect::MsSql && unwrap::inner(sql, tokens, inner) {
        doubts = lexer::lex(inner, dialect, collapse, tokens);
        inner
    } else {
        sql
    };
    verdict::judge(sql, dialect, truncated, rules, &doubts, tokens);
    sql
}
