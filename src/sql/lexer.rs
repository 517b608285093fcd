//! Bytes to tokens: one pass, no backtracking beyond a bounded look ahead, nothing allocated but the reused token list.
//!
//! The lexer never fails. Where the bytes can be read in two ways it takes one and notes its doubt, and [`super::verdict`]
//! masks whatever the doubt touches.

use memchr::{memchr, memchr2, memchr3, memmem};

use super::classes::{
    First, at, char_at, first, in_word, quote_like, skip_while, wide_in_word, wide_space,
};
use super::dialect::Dialect;
use super::keywords::{Kw, MODIFIER, RESERVED, lookup};
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
    };
}

/// Reads one statement into `tokens`.
pub(super) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) dialect: Dialect,
    pub(super) tokens: &'a mut Vec<Token>,
    pub(super) doubts: Doubts,
    /// SPACE and GAP flags of the next token.
    gap: u8,
    /// Executable comments (`/*! ... */`) that are open.
    executable: u32,
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
        tokens,
        doubts: Doubts::NONE,
        gap: 0,
        executable: 0,
        collapse,
        last: Token::END,
    };
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        position = lexer.step(position, byte);
    }
    lexer.doubts
}

/// A position as tokens keep it; inputs are cut to 64 KiB long before.
#[allow(clippy::cast_possible_truncation, reason = "the input's limit is far below u32::MAX")]
pub(super) fn offset(position: usize) -> u32 {
    position as u32
}

impl Lexer<'_> {
    #[inline]
    fn at(&self, index: usize) -> u8 {
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
        let end = self.word_end(i + 1);
        let next = self.at(end);
        if matches!(next, b'\'' | b'"' | b'&') {
            if let Some(end) = self.prefixed(i, end, next) {
                return end;
            }
        } else if next == b'-' || end - i >= 32 {
            if let Some(end) = self.uuid(i) {
                self.push(Kind::Number, 0, 0, i, end);
                return end;
            }
        }
        self.push_word(i, end);
        end
    }

    /// A bare word, with the check that it does not touch a string.
    #[inline]
    fn push_word(&mut self, start: usize, end: usize) {
        let keyword = lookup(self.bytes, start, end - start);
        if self.gap == 0 {
            self.glue(keyword);
        }
        let raw = self.wide(start, end);
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
        self.push(Kind::Text, 0, flags, start, end);
    }

    pub(super) fn push_quoted(&mut self, start: usize, end: usize, quote: u8, flags: u8) {
        let noted =
            if quote == b'"' { &mut self.doubts.first_double } else { &mut self.doubts.first_name };
        *noted = (*noted).min(offset(start));
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

    fn colon(&mut self, i: usize) -> usize {
        let next = self.at(i + 1);
        let doubled = i > 0 && self.at(i - 1) == b':';
        if next == b':' {
            self.push(Kind::Operator, b':', 0, i, i + 2);
            return i + 2;
        }
        if !doubled && self.word_starts(i + 1) {
            let path = self.gap == 0 && (self.last.is_name() || self.last.kind == Kind::Number);
            if !path {
                let end = self.word_end(i + 1);
                let raw = self.wide(i, end);
                self.push(Kind::Param, 0, raw, i, end);
                return end;
            }
        }
        if !doubled && self.dialect == Dialect::Oracle && next.is_ascii_digit() {
            let end = skip_while(self.bytes, i + 1, |b| b.is_ascii_digit());
            let kind = if end - i <= 6 { Kind::Param } else { Kind::Number };
            self.push(kind, 0, 0, i, end);
            return end;
        }
        self.push(Kind::Operator, b':', 0, i, i + 1);
        i + 1
    }

    fn at_sign(&mut self, i: usize) -> usize {
        let doubled = self.at(i + 1) == b'@';
        let name = i + 1 + usize::from(doubled);
        let digits = !doubled && self.at(name).is_ascii_digit();
        if self.dialect == Dialect::Postgres || !(digits || self.word_starts(name)) {
            self.push(Kind::Operator, b'@', 0, i, i + 1);
            return i + 1;
        }
        let end = self.word_end(name);
        let kind = match (doubled, digits) {
            (true, _) => Kind::Word,
            // `@1` is a placeholder; `@918273645` is more likely somebody's data.
            (false, true) if end - name > 5 => Kind::Number,
            (false, _) => Kind::Param,
        };
        let raw = self.wide(i, end);
        self.push(kind, 0, raw, i, end);
        end
    }

    fn percent(&mut self, i: usize) -> usize {
        let end = match self.at(i + 1) {
            b'(' => {
                let name =
                    skip_while(self.bytes, i + 2, |b| b.is_ascii_alphanumeric() || b == b'_');
                let named = name > i + 2 && !self.at(i + 2).is_ascii_digit();
                if named && self.at(name) == b')' && self.at(name + 1) == b's' {
                    name + 2
                } else {
                    i
                }
            }
            b's' | b'd' | b'i' | b'f' | b'b' if !in_word(self.at(i + 2)) => i + 2,
            _ => i,
        };
        if end > i {
            self.push(Kind::Param, 0, 0, i, end);
            return end;
        }
        self.push(Kind::Operator, b'%', 0, i, i + 1);
        i + 1
    }

    fn high(&mut self, i: usize) -> usize {
        let (c, len) = char_at(self.bytes, i);
        if let Some(c) = c {
            if wide_space(c) {
                self.gap |= SPACE | GAP;
                return i + len;
            }
            if quote_like(c) {
                self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
            }
            if c.is_numeric() {
                return self.number(i);
            }
        }
        if wide_in_word(c) {
            let end = self.word_end(i);
            self.push_word(i, end);
            return end;
        }
        self.push(Kind::Operator, 0, RAW, i, i + len);
        i + len
    }

    fn dash(&mut self, i: usize) -> usize {
        if self.at(i + 1) != b'-' {
            self.push(Kind::Operator, b'-', 0, i, i + 1);
            return i + 1;
        }
        let end = self.line_end(i);
        if self.dialect == Dialect::MySql && self.at(i + 2) > b' ' {
            // To MySQL this is two minus signs, to everybody else a comment. If the rest of the line holds anything that
            // would be read differently in the two, neither reading can be trusted from here on.
            let rest = self.bytes.get(i + 2..end).unwrap_or_default();
            let minus = matches!(
                self.at(i + 2),
                b'0'..=b'9' | b'.' | b'(' | b'-' | b'@' | b'\'' | b'"' | b'`' | b'+'
            );
            if minus
                || memchr3(b'\'', b'"', b'`', rest).is_some()
                || memmem::find(rest, b"/*").is_some()
            {
                self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
            }
        }
        self.gap |= GAP;
        end
    }

    fn line_end(&self, i: usize) -> usize {
        let rest = self.bytes.get(i..).unwrap_or_default();
        memchr2(b'\n', b'\r', rest).map_or(self.bytes.len(), |n| i + n)
    }

    fn hash(&mut self, i: usize) -> usize {
        let next = self.at(i + 1);
        match self.dialect {
            Dialect::MySql => {}
            Dialect::MsSql
                if self.word_starts(i + 1) || (next == b'#' && self.word_starts(i + 2)) =>
            {
                let end = self.word_end(i + 1);
                if !self.temp_table_place(end) {
                    self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
                }
                let raw = self.wide(i, end);
                self.push(Kind::Word, 0, raw, i, end);
                return end;
            }
            _ if matches!(next, b'>' | b'-') && self.path_operand(i + 2) => {
                self.push(Kind::Operator, b'#', 0, i, i + 1);
                return i + 1;
            }
            // A comment to MySQL, exclusive-or to PostgreSQL, nothing to the others.
            Dialect::Postgres | Dialect::MsSql => {
                self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
                self.push(Kind::Operator, b'#', 0, i, i + 1);
                return i + 1;
            }
            _ if matches!(next, b'>' | b'#' | b'-') => {
                self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
            }
            _ => {}
        }
        self.gap |= GAP;
        self.line_end(i)
    }

    /// Where T-SQL can name a `#temp` table; anywhere else it is somebody's comment.
    fn temp_table_place(&self, end: usize) -> bool {
        match self.last.kind {
            Kind::Word => {
                matches!(
                    self.last.word(),
                    Kw::From
                        | Kw::Join
                        | Kw::Into
                        | Kw::Update
                        | Kw::Table
                        | Kw::Exists
                        | Kw::On
                        | Kw::Delete
                        | Kw::Insert
                        | Kw::Merge
                        | Kw::Using
                ) || (self.last.word().is(RESERVED | MODIFIER) && self.at(end) == b'.')
            }
            Kind::Punct => matches!(self.last.code, b',' | b'(' | b'.'),
            Kind::Operator => self.at(end) == b'.',
            _ => false,
        }
    }

    /// After `#>`: a JSON path's operand, without which the sign begins a comment.
    fn path_operand(&self, from: usize) -> bool {
        let from = if self.at(from) == b'>' { from + 1 } else { from };
        let operand = skip_while(self.bytes, from, |b| b == b' ');
        matches!(self.at(operand), b'\'' | b'$' | b'?' | b':' | b'@' | b'(' | b'%')
            || super::keywords::word_is(self.bytes, operand, operand + 5, b"array")
    }

    fn star(&mut self, i: usize) -> usize {
        if self.at(i + 1) == b'/' {
            if self.executable > 0 {
                self.executable -= 1;
                self.gap |= GAP;
                return i + 2;
            }
            // A comment's end outside of a comment: it began somewhere the lexer did not see it, or ended too early.
            let since = self.doubts.nested.min(offset(i));
            self.doubts.ambiguous = self.doubts.ambiguous.min(since);
        }
        self.push(Kind::Operator, b'*', 0, i, i + 1);
        i + 1
    }

    fn slash(&mut self, i: usize) -> usize {
        if self.at(i + 1) != b'*' {
            self.push(Kind::Operator, b'/', 0, i, i + 1);
            return i + 1;
        }
        self.gap |= GAP;
        if let Some(live) = self.executable_comment(i) {
            self.executable += 1;
            return live;
        }
        // Comments nest for some databases and not for others. When the dialect is unknown, both readings have to agree on
        // what is live: the nested one is taken if nothing in the part they disagree on can open or close a literal.
        let nests = matches!(self.dialect, Dialect::Postgres | Dialect::MsSql | Dialect::Generic);
        let (mut depth, mut j, mut first_end) = (1_u32, i + 2, 0);
        loop {
            let rest = self.bytes.get(j..).unwrap_or_default();
            let Some(n) = memchr2(b'*', b'/', rest) else {
                j = self.bytes.len();
                break;
            };
            j += n;
            match (self.at(j), self.at(j + 1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    j += 2;
                    if first_end == 0 {
                        first_end = j;
                    }
                    if depth == 0 {
                        break;
                    }
                }
                (b'/', b'*') => {
                    self.doubts.nested = self.doubts.nested.min(offset(i));
                    depth += u32::from(nests);
                    j += 2;
                }
                _ => j += 1,
            }
        }
        if self.dialect == Dialect::Generic && first_end > 0 && j > first_end {
            let between = self.bytes.get(first_end..j).unwrap_or_default();
            let literals =
                between.iter().any(|b| matches!(b, b'\'' | b'"' | b'`' | b'$' | b'[' | b'\\'));
            if depth > 0 || literals {
                self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
            }
        }
        j
    }

    /// `/*!50110 ...` and `/*M! ...`: live SQL to MySQL. Where its content begins, if it is one.
    fn executable_comment(&mut self, i: usize) -> Option<usize> {
        let bang = match self.at(i + 2) {
            b'!' => i + 2,
            b'M' | b'm' if self.at(i + 3) == b'!' => i + 3,
            _ => return None,
        };
        let digits = skip_while(self.bytes, bang + 1, |b| b.is_ascii_digit());
        let content = digits.min(bang + 7);
        match self.dialect {
            Dialect::MySql => Some(content),
            // Unknown dialect: live only with a version, as dumps and tools write it; otherwise it may be prose.
            Dialect::Generic if content - bang >= 6 => Some(content),
            Dialect::Generic => {
                let rest = self.bytes.get(bang..).unwrap_or_default();
                let body = memmem::find(rest, b"*/").and_then(|n| rest.get(..n)).unwrap_or(rest);
                if memchr2(b'\'', b'"', body).is_some() || memchr(b'`', body).is_some() {
                    self.doubts.ambiguous = self.doubts.ambiguous.min(offset(i));
                }
                None
            }
            _ => None,
        }
    }
}
