//! Bytes to tokens: one pass, no backtracking beyond a bounded look ahead, nothing allocated but the reused token list.
//!
//! The lexer never fails. Where the bytes can be read in two ways it takes one and notes its doubt, and [`super::verdict`]
//! masks whatever the doubt touches.

use super::classes::{First, at, char_at, first, in_word, skip_while, wide_in_word};
use super::dialect::Dialect;
use super::keywords::{Kw, RESERVED, lookup};
use super::token::{Fate, GAP, Kind, OPEN, RAW, SPACE, Token};

/// No position.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What made the lexer doubt its reading. Positions are byte offsets, [`NOWHERE`] when there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubts {
    /// From here on two readings differ, whatever follows.
    pub(super) ambiguous: u32,
    /// The first literal in which a backslash stands before a quote: two readings differ unless the dialect is certain.
    pub(super) escape: u32,
    /// The first string literal.
    pub(super) first_text: u32,
    /// The first token in double quotes that was read as a name.
    pub(super) first_double: u32,
    /// The first name in backticks or brackets.
    pub(super) first_name: u32,
    /// The first comment that holds another comment's opening: dialects differ on where it ends.
    pub(super) nested: u32,
    /// The quote that is still open at the end, or 0.
    pub(super) open: u8,
    /// A word touches a string's quote: the sign of a quote read on the wrong side.
    pub(super) glued: bool,
    /// The same with double quotes.
    pub(super) glued_double: bool,
    /// A backslash outside of literals: the same sign.
    pub(super) backslash: bool,
    /// Behind an [escape](Self::escape), something that is no string in that quote holds a quote: in the other reading
    /// the quote would end or begin a literal, and nothing later would show it.
    pub(super) swallowed: bool,
}

impl Doubts {
    const NONE: Doubts = Doubts {
        ambiguous: NOWHERE,
        escape: NOWHERE,
        first_text: NOWHERE,
        first_double: NOWHERE,
        first_name: NOWHERE,
        nested: NOWHERE,
        open: 0,
        glued: false,
        glued_double: false,
        backslash: false,
        swallowed: false,
    };
}

/// Reads one statement into `tokens`.
pub(super) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) dialect: Dialect,
    pub(super) tokens: Vec<Token>,
    pub(super) doubts: Doubts,
    /// SPACE and GAP flags of the next token.
    pub(super) gap: u8,
    /// Executable comments (`/*! ... */`) that are open.
    pub(super) executable: u32,
    /// The last token is a list's keyword or the end of a row: what follows may be a list of plain literals.
    collapse: bool,
    pub(super) last: Token,
}

/// Reads `bytes` into `tokens`, which are cleared first. With `collapse`, long lists of plain literals are taken at once.
pub(super) fn lex(
    bytes: &[u8],
    dialect: Dialect,
    collapse: bool,
    tokens: &mut Vec<Token>,
) -> Doubts {
    tokens.clear();
    let mut lexer = Lexer {
        bytes,
        dialect,
        tokens: std::mem::take(tokens),
        doubts: Doubts::NONE,
        gap: 0,
        executable: 0,
        collapse,
        last: Token::END,
    };
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        // By far the commonest gap, here rather than behind a call.
        if byte == b' ' {
            lexer.gap |= SPACE | GAP;
            position += 1;
            continue;
        }
        position = lexer.step(position, byte);
    }
    *tokens = lexer.tokens;
    lexer.doubts
}

/// A position as tokens keep it; inputs are cut to 64 KiB long before.
#[allow(clippy::cast_possible_truncation, reason = "the input's limit is far below u32::MAX")]
pub(super) fn offset(position: usize) -> u32 {
    position as u32
}

impl Lexer<'_> {
    #[inline]
    pub(super) fn at(&self, index: usize) -> u8 {
        at(self.bytes, index)
    }

    #[inline]
    pub(super) fn push(&mut self, kind: Kind, code: u8, flags: u8, start: usize, end: usize) {
        let token = Token {
            start: offset(start),
            end: offset(end),
            kind,
            code,
            flags: flags | self.gap,
            fate: Fate::Keep,
        };
        self.gap = 0;
        self.last = token;
        self.tokens.push(token);
    }

    /// Reads what begins at `i` and returns where the next thing begins.
    #[inline]
    fn step(&mut self, i: usize, byte: u8) -> usize {
        match first(byte) {
            First::Space => {
                self.gap |= SPACE | GAP;
                // A single space is by far the commonest gap.
                if self.at(i + 1) > b' ' {
                    i + 1
                } else {
                    skip_while(self.bytes, i + 1, |b| first(b) == First::Space)
                }
            }
            First::Word => self.word(i),
            First::Punct => self.punct(i, byte),
            First::Dot => {
                let after_name = self.gap == 0 && self.last.is_name();
                if self.at(i + 1).is_ascii_digit() && !after_name {
                    self.number(i)
                } else {
                    self.push(Kind::Punct, byte, 0, i, i + 1);
                    i + 1
                }
            }
            First::Operator => {
                self.push(Kind::Operator, byte, 0, i, i + 1);
                i + 1
            }
            First::Digit => self.digits(i),
            First::Quote => self.quoted_text(i, i, b'\'', self.dialect == Dialect::MySql),
            First::DoubleQuote => self.double_quoted(i),
            First::Backtick => self.backtick(i),
            First::Bracket => self.bracket(i),
            First::Brace => match self.uuid(i) {
                Some(end) => {
                    self.push(Kind::Number, 0, 0, i, end);
                    end
                }
                None => {
                    self.push(Kind::Punct, byte, 0, i, i + 1);
                    i + 1
                }
            },
            First::Dash => self.dash(i),
            First::Slash => self.slash(i),
            First::Star => self.star(i),
            First::Hash => self.hash(i),
            First::Dollar => self.dollar(i),
            First::Colon => self.colon(i),
            First::At => self.at_sign(i),
            First::Question => {
                let mut end = i + 1;
                if self.dialect == Dialect::Sqlite {
                    end = skip_while(self.bytes, end, |b| b.is_ascii_digit());
                }
                let kind = if end - i <= 6 { Kind::Param } else { Kind::Number };
                self.push(kind, 0, 0, i, end);
                end
            }
            First::Percent => self.percent(i),
            First::Backslash => {
                self.doubts.backslash = true;
                self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
                self.push(Kind::Operator, byte, 0, i, i + 1);
                i + 1
            }
            First::High => self.high(i),
        }
    }

    fn punct(&mut self, i: usize, byte: u8) -> usize {
        let list = self.collapse && byte == b'(' && self.last.kind == Kind::Word;
        let keyword = if list { self.last.word() } else { Kw::None };
        self.push(Kind::Punct, byte, 0, i, i + 1);
        match keyword {
            Kw::In | Kw::Any => self.plain_list(i + 1, b')'),
            Kw::Values | Kw::Value => self.plain_rows(i + 1),
            _ => i + 1,
        }
    }

    /// After `IN (`: a list of plain literals becomes one token, and reading goes on at its closing bracket.
    pub(super) fn plain_list(&mut self, from: usize, close: u8) -> usize {
        match super::runs::list(self.bytes, from, self.dialect, close) {
            Some(run) if run.items > 1 => {
                if run.text < NOWHERE {
                    self.doubts.first_text = self.doubts.first_text.min(run.text);
                }
                self.push(Kind::Text, 0, 0, from, run.close);
                run.close
            }
            _ => from,
        }
    }

    /// After `VALUES (`: the first row is read token by token, further rows of plain literals are passed over.
    fn plain_rows(&mut self, from: usize) -> usize {
        let Some(row) = super::runs::list(self.bytes, from, self.dialect, b')') else {
            return from;
        };
        let end =
            super::runs::rows(self.bytes, row.close + 1, self.dialect, &mut self.doubts.first_text);
        if end == row.close + 1 {
            return from;
        }
        // The first row holds nothing but plain literals, so these steps end exactly at its bracket.
        let mut position = from;
        while position < row.close {
            position = self.step_plain(position);
        }
        if position != row.close {
            return position;
        }
        self.push(Kind::Punct, b')', 0, row.close, row.close + 1);
        end
    }

    /// One step that is known to meet neither a bracket nor a list, so that it cannot come back to [`Self::plain_rows`].
    fn step_plain(&mut self, i: usize) -> usize {
        let byte = self.at(i);
        if first(byte) == First::Punct {
            self.push(Kind::Punct, byte, 0, i, i + 1);
            return i + 1;
        }
        self.step(i, byte)
    }

    /// The end of the word that `from` is inside of.
    pub(super) fn word_end(&self, from: usize) -> usize {
        let mut end = skip_while(self.bytes, from, in_word);
        loop {
            let byte = self.at(end);
            if byte >= 0x80 {
                let (c, len) = char_at(self.bytes, end);
                if !wide_in_word(c) {
                    return end;
                }
                end += len;
            } else if byte == b'#' && matches!(self.dialect, Dialect::MsSql | Dialect::Oracle) {
                end += 1;
            } else {
                return end;
            }
            end = skip_while(self.bytes, end, in_word);
        }
    }

    /// Whether a word could begin at `i`.
    pub(super) fn word_starts(&self, i: usize) -> bool {
        match first(self.at(i)) {
            First::Word => true,
            First::High => wide_in_word(char_at(self.bytes, i).0),
            _ => false,
        }
    }

    /// RAW when the bytes cannot be copied as they are.
    pub(super) fn raw(&self, start: usize, end: usize) -> u8 {
        let plain = self
            .bytes
            .get(start..end)
            .unwrap_or_default()
            .iter()
            .all(|&b| (b' '..=b'~').contains(&b));
        if plain { 0 } else { RAW }
    }

    fn word(&mut self, i: usize) -> usize {
        let mut end = skip_while(self.bytes, i + 1, in_word);
        let mut next = self.at(end);
        let mut raw = 0;
        if next >= 0x80 || next == b'#' {
            end = self.word_end(end);
            next = self.at(end);
            raw = self.wide(i, end);
        }
        if matches!(next, b'\'' | b'"' | b'&') {
            if let Some(end) = self.prefixed(i, end, next) {
                return end;
            }
        } else if (next == b'-' || end - i >= 32)
            && let Some(end) = self.uuid(i)
        {
            self.push(Kind::Number, 0, 0, i, end);
            return end;
        }
        self.push_word(i, end, raw);
        end
    }

    /// A bare word, with the check that it does not touch a string.
    #[inline]
    pub(super) fn push_word(&mut self, start: usize, end: usize, raw: u8) {
        let keyword = lookup(self.bytes, start, end - start);
        if self.gap == 0 {
            self.glue(keyword);
        }
        self.push(Kind::Word, keyword as u8, raw, start, end);
    }

    /// RAW when a word holds bytes beyond ASCII.
    #[inline]
    pub(super) fn wide(&mut self, start: usize, end: usize) -> u8 {
        let word = self.bytes.get(start..end).unwrap_or_default();
        if word.is_ascii() {
            return 0;
        }
        if std::str::from_utf8(word).is_err() {
            // Bytes that are no UTF-8 in a bare word: another encoding's name, or the rubble of something else.
            self.doubts.ambiguous = self.doubts.ambiguous.min(offset(start));
        }
        RAW
    }

    /// A word or number directly after a closing quote: well-formed SQL has no such thing, except for keywords.
    #[inline]
    fn glue(&mut self, keyword: Kw) {
        if keyword.is(RESERVED) || self.last.flags & OPEN != 0 {
            return;
        }
        match self.last.kind {
            Kind::Text => self.doubts.glued = true,
            Kind::Quoted if self.last.code == b'"' => self.doubts.glued_double = true,
            _ => {}
        }
    }

    /// Notes whether what is read as one thing holds a quote, when there is an escape before it. `outside` is the quote
    /// around it, or 0. A quote behind a backslash does not count: in the other reading both would be outside of literals,
    /// where no statement has a backslash.
    #[inline]
    pub(super) fn swallow(&mut self, start: usize, end: usize, outside: u8) {
        if self.doubts.escape < offset(start) {
            let held = self.bytes.get(start..end).unwrap_or_default();
            let mut previous = 0;
            self.doubts.swallowed |= held.iter().any(|&byte| {
                let quote = byte != outside && previous != b'\\' && matches!(byte, b'\'' | b'"');
                previous = byte;
                quote
            });
        }
    }

    /// The same for placeholders and words with a sign before them.
    #[inline]
    pub(super) fn glue_word(&mut self) {
        if self.gap == 0 {
            self.glue(Kw::None);
        }
    }

    /// The same from the other side: a quote directly after a plain word.
    #[inline]
    pub(super) fn glue_quote(&mut self, quote: u8) {
        if self.gap != 0 || self.last.kind != Kind::Word || self.last.word().is(RESERVED) {
            return;
        }
        self.doubts.glued = true;
        if quote == b'"' {
            self.doubts.glued_double = true;
        }
    }

    pub(super) fn push_number(&mut self, start: usize, end: usize) {
        if self.gap == 0 {
            self.glue(Kw::None);
        }
        self.push(Kind::Number, 0, 0, start, end);
    }

    /// A string literal's token; an open one also notes its quote.
    pub(super) fn push_text(&mut self, start: usize, end: usize, open: Option<u8>) {
        self.doubts.first_text = self.doubts.first_text.min(offset(start));
        let flags = match open {
            Some(quote) => {
                self.doubts.open = quote;
                OPEN
            }
            None => 0,
        };
        let quote = at(self.bytes, end.wrapping_sub(1));
        self.swallow(start, end, quote);
        self.push(Kind::Text, 0, flags, start, end);
    }

    pub(super) fn push_quoted(&mut self, start: usize, end: usize, quote: u8, flags: u8) {
        let noted =
            if quote == b'"' { &mut self.doubts.first_double } else { &mut self.doubts.first_name };
        *noted = (*noted).min(offset(start));
        self.swallow(start, end, quote);
        let raw = self.raw(start, end);
        self.push(Kind::Quoted, quote, flags | raw, start, end);
    }

    /// `[` as a bracket.
    pub(super) fn open_bracket(&mut self, i: usize) -> usize {
        let list = self.collapse && matches!(self.last.word(), Kw::Array | Kw::In | Kw::Any);
        self.push(Kind::Punct, b'[', 0, i, i + 1);
        if list { self.plain_list(i + 1, b']') } else { i + 1 }
    }

    /// Whether the last token is a value that an index could follow, without a gap.
    pub(super) fn touches_value(&self) -> bool {
        self.gap == 0
            && match self.last.kind {
                Kind::Word | Kind::Quoted | Kind::Text | Kind::Number | Kind::Param => true,
                Kind::Punct => matches!(self.last.code, b')' | b']'),
                Kind::Operator | Kind::End => false,
            }
    }
}
