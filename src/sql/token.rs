//! A statement's tokens: where they are, what they are, what becomes of them.

use super::keywords::Kw;

/// What a token is. Whitespace and comments are not tokens: they are the gap before one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A bare word, keyword or name.
    Word,
    /// A quoted name.
    Quoted,
    /// A string literal, or anything that may be one.
    Text,
    /// A number, UUID or money literal.
    Number,
    /// A placeholder for a value that is sent apart.
    Param,
    /// One of `( ) , ; [ ] { } .`
    Punct,
    /// Any other sign.
    Operator,
    /// Before the first and after the last token.
    End,
}

/// What becomes of a token in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fate {
    /// Shown as written.
    Keep,
    /// Shown as `?`.
    Mask,
    /// Not shown; the space before it stays.
    Drop,
    /// Part of a collapsed list: neither it nor the space before it is shown.
    Gone,
}

/// Whitespace in the gap before the token.
pub(super) const SPACE: u8 = 1;
/// A gap of any kind before the token.
pub(super) const GAP: u8 = 2;
/// Ends with the input, not with its closing quote.
pub(super) const OPEN: u8 = 4;
/// In double quotes, by the dialect perhaps a name and perhaps a string.
pub(super) const DOUBLE: u8 = 8;
/// Holds bytes that cannot be copied as they are: not ASCII, or control characters.
pub(super) const RAW: u8 = 16;

/// One token, 12 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
    /// A word's keyword number; a sign's first byte.
    pub(super) code: u8,
    pub(super) flags: u8,
    pub(super) fate: Fate,
}

impl Token {
    pub(super) const END: Token =
        Token { start: 0, end: 0, kind: Kind::End, code: 0, flags: 0, fate: Fate::Keep };

    /// The keyword this is; [`Kw::None`] for other words and for everything else.
    #[inline]
    pub(super) fn word(&self) -> Kw {
        if self.kind == Kind::Word { Kw::from_code(self.code) } else { Kw::None }
    }

    #[inline]
    pub(super) fn is_punct(&self, byte: u8) -> bool {
        self.kind == Kind::Punct && self.code == byte
    }

    #[inline]
    pub(super) fn is_operator(&self, byte: u8) -> bool {
        self.kind == Kind::Operator && self.code == byte
    }

    /// A name's place: a bare or quoted one.
    #[inline]
    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// The token's bytes in the statement it was read from.
    #[inline]
    pub(super) fn bytes<'b>(&self, sql: &'b [u8]) -> &'b [u8] {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Follows `previous` without any gap.
    #[inline]
    pub(super) fn touches(&self, previous: &Token) -> bool {
        self.flags & GAP == 0 && previous.kind != Kind::End
    }
}
