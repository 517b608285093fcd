//! Tokens to text.

use super::classes::{at, char_at};
use super::token::{Fate, GAP, Kind, RAW, SPACE, Token};

/// No text is longer, whatever the statement.
pub(super) const MAX_TEXT: usize = 64 * 1024 + 16;

/// The canonical text: literals as `?`, comments dropped, one space wherever there was whitespace.
pub(super) fn text(sql: &[u8], tokens: &[Token], out: &mut Vec<u8>) {
    out.clear();
    let limit = sql.len().saturating_add(16).min(MAX_TEXT);
    let mut gap = 0;
    let mut previous = Kind::End;
    // Tokens that stand in the output as they stand in the statement, with at most one space between, are copied together.
    let (mut from, mut to) = (0_usize, 0_usize);
    for token in tokens {
        match token.fate {
            Fate::Gone => continue,
            Fate::Drop => {
                gap |= token.flags & (SPACE | GAP);
                continue;
            }
            Fate::Keep | Fate::Mask => {}
        }
        let plain = token.fate == Fate::Keep && token.flags & RAW == 0;
        let start = token.start as usize;
        if plain && to > from && (start == to || start == to + 1 && gap == 0 && at(sql, to) == b' ')
        {
            to = token.end as usize;
            previous = token.kind;
            continue;
        }
        out.extend_from_slice(sql.get(from..to).unwrap_or_default());
        (from, to) = (0, 0);
        gap |= token.flags;
        if gap & SPACE != 0 {
            if previous != Kind::End {
                out.push(b' ');
            }
        } else if gap & GAP != 0 && fuses(previous, token.kind) {
            // Only a comment stood between them.
            out.push(b' ');
        }
        gap = 0;
        previous = token.kind;
        if token.fate == Fate::Mask {
            out.push(b'?');
        } else if plain {
            (from, to) = (start, token.end as usize);
        } else {
            push_clean(token.bytes(sql), out);
        }
    }
    out.extend_from_slice(sql.get(from..to).unwrap_or_default());
    truncate(out, limit);
}

/// Whether two tokens would read as one, or as the start of a comment, if nothing stood between them.
pub(super) fn fuses(left: Kind, right: Kind) -> bool {
    let wordy = |kind| !matches!(kind, Kind::Punct | Kind::Operator | Kind::End);
    wordy(left) && wordy(right) || left == Kind::Operator && right == Kind::Operator
}

/// The bytes as valid UTF-8 without control characters: a run of bytes that are none becomes one U+FFFD.
pub(super) fn push_clean(bytes: &[u8], out: &mut Vec<u8>) {
    let mut i = 0;
    let mut broken = false;
    while i < bytes.len() {
        let (c, len) = char_at(bytes, i);
        match c {
            Some(c) if c.is_control() => out.push(b' '),
            Some(_) => out.extend_from_slice(bytes.get(i..i + len).unwrap_or_default()),
            None if broken => {}
            None => out.extend_from_slice("\u{fffd}".as_bytes()),
        }
        broken = c.is_none();
        i += len;
    }
}

/// Cuts at a character's boundary. `out` is UTF-8.
pub(super) fn truncate(out: &mut Vec<u8>, limit: usize) {
    if out.len() > limit {
        let mut end = limit;
        while end > 0 && at(out, end) & 0xc0 == 0x80 {
            end -= 1;
        }
        out.truncate(end);
    }
}

/// What was rendered, as a string. It is valid UTF-8 by construction; were it not, nothing would be shown of it.
pub(super) fn as_str(rendered: &[u8]) -> &str {
    std::str::from_utf8(rendered).unwrap_or("?")
}
