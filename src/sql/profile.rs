//! Other projects' ways of writing the same text, for their test vectors. No part of the product's behaviour.

use super::classes::{First, char_at, first, skip_while, wide_space};
use super::dialect::Dialect;
use super::render::{as_str, fuses};
use super::token::{Fate, Kind, Token};
use super::verdict::Rules;
use super::{Outline, Scratch, read, summary};

/// What becomes of whitespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whitespace {
    /// As written.
    Keep,
    /// Every run one space, also at the ends.
    Squeeze,
}

/// The differences between projects.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What becomes of whitespace.
    pub whitespace: Whitespace,
    /// Comments are shown as `?` rather than dropped.
    pub mark_comments: bool,
    /// TRUE and FALSE are masked.
    pub mask_booleans: bool,
    /// `IN (?, ?)` becomes `IN (?)`.
    pub collapse_lists: bool,
    /// All rows of VALUES but the first are dropped.
    pub collapse_rows: bool,
}

/// The text in another project's way.
pub fn render(scratch: &mut Scratch, sql: &[u8], dialect: Dialect, profile: Profile) -> String {
    let rules = Rules {
        mask_booleans: profile.mask_booleans,
        collapse_lists: profile.collapse_lists,
        collapse_rows: profile.collapse_rows,
    };
    let Scratch { tokens, inner, .. } = scratch;
    let sql = read(sql, dialect, false, rules, tokens, inner);
    let mut out = Vec::new();
    let mut previous = Token::END;
    let mut at = 0;
    for token in tokens.iter() {
        if token.fate != Fate::Gone {
            let next = if token.fate == Fate::Drop { Kind::End } else { token.kind };
            let gapless = token.flags & super::token::GAP == 0;
            if !gapless {
                gap(
                    sql,
                    at,
                    token.start as usize,
                    dialect,
                    profile,
                    fuses(previous.kind, next),
                    &mut out,
                );
            }
            match token.fate {
                Fate::Mask => out.push(b'?'),
                Fate::Keep => {
                    out.extend_from_slice(String::from_utf8_lossy(token.bytes(sql)).as_bytes())
                }
                Fate::Gone | Fate::Drop => {}
            }
            previous = *token;
        }
        at = token.end as usize;
    }
    let cut = tokens.last().is_some_and(|last| last.flags & super::token::OPEN != 0);
    if !cut {
        gap(sql, at, sql.len(), dialect, profile, false, &mut out);
    }
    as_str(&out).to_owned()
}

/// The whitespace and comments between two tokens.
fn gap(
    sql: &[u8],
    from: usize,
    to: usize,
    dialect: Dialect,
    profile: Profile,
    fuses: bool,
    out: &mut Vec<u8>,
) {
    let begin = out.len();
    let mut spaced = false;
    let mut i = from;
    while i < to {
        let end = trivia(sql, i, dialect).min(to).max(i + 1);
        let part = sql.get(i..end).unwrap_or_default();
        let space = char_at(part, 0).0.is_some_and(wide_space)
            || part.first().is_some_and(|&b| first(b) == First::Space);
        if space {
            match profile.whitespace {
                Whitespace::Keep => out.extend_from_slice(part),
                Whitespace::Squeeze if !spaced => out.push(b' '),
                Whitespace::Squeeze => {}
            }
            spaced = true;
        } else if profile.mark_comments && part != b"*/" {
            out.push(b'?');
            spaced = false;
        }
        i = end;
    }
    if out.len() == begin && fuses && to > from {
        out.push(b' ');
    }
}

/// The end of the whitespace or comment at `i`.
fn trivia(sql: &[u8], i: usize, dialect: Dialect) -> usize {
    let rest = sql.get(i..).unwrap_or_default();
    match rest {
        [b'-', b'-', ..] | [b'#', ..] => skip_while(sql, i, |b| b != b'\n' && b != b'\r'),
        [b'*', b'/', ..] => i + 2,
        [b'/', b'*', b'!', ..] if matches!(dialect, Dialect::MySql | Dialect::Generic) => {
            skip_while(sql, i + 3, |b| b.is_ascii_digit())
        }
        [b'/', b'*', ..] => {
            let (mut depth, mut j) = (1_u32, i + 2);
            while depth > 0 && j < sql.len() {
                match sql.get(j..j + 2) {
                    Some(b"*/") => {
                        depth -= 1;
                        j += 2;
                    }
                    Some(b"/*") if matches!(dialect, Dialect::Postgres | Dialect::MsSql) => {
                        depth += 1;
                        j += 2;
                    }
                    _ => j += 1,
                }
            }
            j
        }
        [byte, ..] if *byte >= 0x80 => i + char_at(sql, i).1,
        _ => skip_while(sql, i, |b| first(b) == First::Space),
    }
}

/// The statement's operations and targets, from which other projects' names can be derived.
pub fn outline<'s>(scratch: &'s mut Scratch, sql: &[u8], dialect: Dialect) -> &'s Outline {
    let Scratch { tokens, inner, buffers, outline, .. } = scratch;
    let sql = read(sql, dialect, false, Rules::CANONICAL, tokens, inner);
    summary::outline(sql, tokens, buffers, outline);
    outline.finish();
    outline
}
