//! Long lists of plain literals, taken in one sweep.
//!
//! Bulk inserts and `IN` lists of thousands of ids are most of the bytes of the longest statements, and all that is shown of
//! them is `(?)`. Only the plainest literals are taken here; at anything else the sweep gives up and the lexer reads
//! token by token, so that no rule of the language needs to be known twice.

use memchr::memchr2;

use super::classes::{at, in_word, skip_while};
use super::dialect::Dialect;
use super::keywords::word_is;
use super::lexer::{NOWHERE, offset};

/// A list from behind its opening bracket.
pub(super) struct Run {
    /// Where its closing bracket is.
    pub(super) close: usize,
    /// How many members it has.
    pub(super) items: u32,
    /// Its first string, or [`NOWHERE`].
    pub(super) text: u32,
}

#[inline]
fn space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

#[inline]
fn skip_space(bytes: &[u8], from: usize) -> usize {
    if space(at(bytes, from)) { skip_while(bytes, from + 1, space) } else { from }
}

/// The list that begins at `from`, if all of it is plain literals, placeholders and NULL up to `close`.
#[inline]
pub(super) fn list(bytes: &[u8], from: usize, dialect: Dialect, close: u8) -> Option<Run> {
    let mut run = Run { close: from, items: 0, text: NOWHERE };
    let mut j = from;
    loop {
        j = skip_space(bytes, j);
        let start = j;
        j = item(bytes, j, dialect)?;
        if run.text == NOWHERE && matches!(at(bytes, start), b'\'' | b'"') {
            run.text = offset(start);
        }
        run.items += 1;
        j = skip_space(bytes, j);
        let byte = at(bytes, j);
        if byte == close {
            run.close = j;
            return Some(run);
        }
        if byte != b',' {
            return None;
        }
        j += 1;
    }
}

/// Behind the rows of plain literals that follow the row ending before `from`.
pub(super) fn rows(bytes: &[u8], from: usize, dialect: Dialect, first_text: &mut u32) -> usize {
    let mut end = from;
    loop {
        let comma = skip_space(bytes, end);
        if at(bytes, comma) != b',' {
            return end;
        }
        let open = skip_space(bytes, comma + 1);
        if at(bytes, open) != b'(' {
            return end;
        }
        let Some(run) = list(bytes, open + 1, dialect, b')') else {
            return end;
        };
        *first_text = (*first_text).min(run.text);
        end = run.close + 1;
    }
}

/// Behind the plain literal at `i`.
#[inline]
fn item(bytes: &[u8], i: usize, dialect: Dialect) -> Option<usize> {
    let byte = at(bytes, i);
    match byte {
        b'0'..=b'9' => Some(number(bytes, i)),
        b'-' | b'+' if at(bytes, i + 1).is_ascii_digit() => Some(number(bytes, i + 1)),
        b'\'' => string(bytes, i, byte),
        b'"' if dialect == Dialect::MySql => string(bytes, i, byte),
        b'?' if dialect != Dialect::Sqlite => Some(i + 1),
        b'%' if at(bytes, i + 1) == b's' && !in_word(at(bytes, i + 2)) => Some(i + 2),
        b'$' if dialect != Dialect::MsSql => {
            let end = skip_while(bytes, i + 1, |b| b.is_ascii_digit());
            ((2..=6).contains(&(end - i)) && !in_word(at(bytes, end))).then_some(end)
        }
        b'n' | b'N' => {
            (word_is(bytes, i, i + 4, b"null") && !in_word(at(bytes, i + 4))).then_some(i + 4)
        }
        _ => None,
    }
}

/// Digits with at most one dot; what follows must be a comma or a bracket, or the list is not plain.
#[inline]
fn number(bytes: &[u8], i: usize) -> usize {
    let end = skip_while(bytes, i, |b| b.is_ascii_digit());
    if at(bytes, end) == b'.' { skip_while(bytes, end + 1, |b| b.is_ascii_digit()) } else { end }
}

/// A string without a backslash.
#[inline]
fn string(bytes: &[u8], i: usize, quote: u8) -> Option<usize> {
    let mut j = i + 1;
    loop {
        let rest = bytes.get(j..)?;
        j += memchr2(quote, b'\\', rest)?;
        if at(bytes, j) != quote {
            return None;
        }
        if at(bytes, j + 1) != quote {
            return Some(j + 1);
        }
        j += 2;
    }
}
