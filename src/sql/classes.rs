//! What a byte can be, by table.

/// What the first byte of a token says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum First {
    Space,
    Word,
    Digit,
    Quote,
    DoubleQuote,
    Backtick,
    Punct,
    Bracket,
    Brace,
    Dot,
    Dash,
    Slash,
    Star,
    Hash,
    Dollar,
    Colon,
    At,
    Question,
    Percent,
    Backslash,
    High,
    Operator,
}

const fn first_of(byte: u8) -> First {
    match byte {
        0..=b' ' | 127 => First::Space,
        b'A'..=b'Z' | b'a'..=b'z' | b'_' => First::Word,
        b'0'..=b'9' => First::Digit,
        b'\'' => First::Quote,
        b'"' => First::DoubleQuote,
        b'`' => First::Backtick,
        b'(' | b')' | b',' | b';' | b']' | b'}' => First::Punct,
        b'[' => First::Bracket,
        b'{' => First::Brace,
        b'.' => First::Dot,
        b'-' => First::Dash,
        b'/' => First::Slash,
        b'*' => First::Star,
        b'#' => First::Hash,
        b'$' => First::Dollar,
        b':' => First::Colon,
        b'@' => First::At,
        b'?' => First::Question,
        b'%' => First::Percent,
        b'\\' => First::Backslash,
        128..=255 => First::High,
        _ => First::Operator,
    }
}

const WORD: u8 = 1;
const HEX: u8 = 2;
const DIGIT: u8 = 4;

#[allow(
    clippy::indexing_slicing,
    reason = "runs at compile time: an index out of range would not compile"
)]
const fn tables() -> ([First; 256], [u8; 256]) {
    let (mut first, mut bits) = ([First::Operator; 256], [0; 256]);
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        first[byte] = first_of(b);
        bits[byte] = (if b.is_ascii_alphanumeric() || b == b'_' || b == b'$' { WORD } else { 0 })
            | (if b.is_ascii_hexdigit() { HEX } else { 0 })
            | (if b.is_ascii_digit() { DIGIT } else { 0 });
        byte += 1;
    }
    (first, bits)
}

static FIRST: [First; 256] = tables().0;
static BITS: [u8; 256] = tables().1;

/// The class of a token's first byte.
#[inline]
#[allow(clippy::indexing_slicing, reason = "a u8 cannot exceed a table of 256")]
pub(super) fn first(byte: u8) -> First {
    FIRST[usize::from(byte)]
}

#[inline]
#[allow(clippy::indexing_slicing, reason = "a u8 cannot exceed a table of 256")]
fn bits(byte: u8) -> u8 {
    BITS[usize::from(byte)]
}

/// ASCII letters, digits, `_` and `$`: what continues a word in every dialect.
#[inline]
pub(super) fn in_word(byte: u8) -> bool {
    bits(byte) & WORD != 0
}

/// A hexadecimal digit.
#[inline]
pub(super) fn is_hex(byte: u8) -> bool {
    bits(byte) & HEX != 0
}

/// The byte at `index`, or NUL (which is whitespace everywhere) beyond the end.
#[inline]
pub(super) fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

/// The first index at or after `from` whose byte fails `keep`, or the length.
#[inline]
pub(super) fn skip_while(bytes: &[u8], from: usize, keep: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|&byte| !keep(byte)).unwrap_or(rest.len())
}

/// The character that starts at `index` and its length; an invalid byte is `None` and one byte long.
pub(super) fn char_at(bytes: &[u8], index: usize) -> (Option<char>, usize) {
    // Four bytes hold any character, and looking no further keeps a long run of them linear.
    let window = bytes.get(index..(index + 4).min(bytes.len())).unwrap_or_default();
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(error) => window
            .get(..error.valid_up_to())
            .and_then(|head| std::str::from_utf8(head).ok())
            .unwrap_or(""),
    };
    valid.chars().next().map_or((None, 1), |c| (Some(c), c.len_utf8()))
}

/// Whether a non-ASCII character continues a word: letters, digits, combining marks, and bytes that are no UTF-8
/// (another encoding's letters).
pub(super) fn wide_in_word(c: Option<char>) -> bool {
    c.is_none_or(|c| c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20f0}' | '\u{fe20}'..='\u{fe2f}'))
}

/// Whitespace beyond ASCII, with the zero-width space and the byte order mark.
pub(super) fn wide_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

/// Looks like a quote and is none: typographic and full-width marks. Some database or driver may still fold it into one,
/// and whoever wrote it meant a literal.
pub(super) fn quote_like(c: char) -> bool {
    matches!(c, '\u{ab}' | '\u{b4}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}' | '\u{300c}'..='\u{300f}' | '\u{2032}' | '\u{2033}' | '\u{ff02}' | '\u{ff07}' | '\u{ff40}' | '\u{2b9}'..='\u{2bc}')
}
