//! The lexer's literals and names in quotes of every kind.

use memchr::{memchr, memchr2, memmem};

use super::classes::{at, char_at, in_word, skip_while, wide_in_word};
use super::dialect::Dialect;
use super::keywords::word_is;
use super::lexer::{Lexer, offset};
use super::token::{DOUBLE, Kind};

/// How a quoted thing treats the backslash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    /// It escapes the next byte.
    Escapes,
    /// It is a byte like others; another database would read it as an escape.
    Plain,
    /// It escapes, and no database would read this otherwise (`E'...'`).
    SurelyEscapes,
    /// It is a byte like others to everyone.
    SurelyPlain,
}

impl Lexer<'_> {
    /// From the quote at `open` to behind the closing one, and whether there is one; a doubled quote stands for itself.
    /// `literal` is where the token began, for the notes of doubt.
    fn quote_end(
        &mut self,
        literal: usize,
        open: usize,
        quote: u8,
        backslash: Backslash,
    ) -> (usize, bool) {
        let mut j = open + 1;
        loop {
            let rest = self.bytes.get(j..).unwrap_or_default();
            let Some(n) = memchr2(quote, b'\\', rest) else {
                return (self.bytes.len(), false);
            };
            j += n;
            let before_quote = at(self.bytes, j + 1) == quote;
            if at(self.bytes, j) != b'\\' {
                if !before_quote {
                    return (j + 1, true);
                }
                j += 2;
                continue;
            }
            if before_quote && matches!(backslash, Backslash::Escapes | Backslash::Plain) {
                self.doubts.escape = self.doubts.escape.min(offset(literal));
            }
            if matches!(backslash, Backslash::Escapes | Backslash::SurelyEscapes) {
                if before_quote && j > open + 1 && self.foreign_lead(j) {
                    self.doubts.ambiguous = self.doubts.ambiguous.min(offset(literal));
                }
                j += 2;
            } else {
                j += 1;
            }
        }
    }

    /// Whether the byte before `j` ends no UTF-8 character: in GBK or Shift-JIS it may take the backslash at `j` as its
    /// second byte, and then the quote behind it is a quote.
    fn foreign_lead(&self, j: usize) -> bool {
        if at(self.bytes, j - 1) < 0x80 {
            return false;
        }
        !(2..=4).filter(|&k| k <= j).any(|k| {
            self.bytes
                .get(j - k..j)
                .is_some_and(|tail| at(tail, 0) >= 0x80 && std::str::from_utf8(tail).is_ok())
        })
    }

    fn text(&mut self, start: usize, open: usize, quote: u8, backslash: Backslash) -> usize {
        let (end, closed) = self.quote_end(start, open, quote, backslash);
        self.push_text(start, end, (!closed).then_some(quote));
        end
    }

    /// A string literal whose quote is at `open`; `start` differs from it when there is a prefix.
    pub(super) fn quoted_text(
        &mut self,
        start: usize,
        open: usize,
        quote: u8,
        escapes: bool,
    ) -> usize {
        if start == open {
            self.glue_quote(quote);
        }
        self.text(start, open, quote, if escapes { Backslash::Escapes } else { Backslash::Plain })
    }

    /// Double quotes: a string to MySQL; elsewhere a name, which [`super::verdict`] may still take for a string.
    pub(super) fn double_quoted(&mut self, i: usize) -> usize {
        if self.dialect == Dialect::MySql {
            return self.quoted_text(i, i, b'"', true);
        }
        self.glue_quote(b'"');
        let (end, closed) = self.quote_end(i, i, b'"', Backslash::Plain);
        if closed {
            self.push_quoted(i, end, b'"', DOUBLE);
        } else {
            self.push_text(i, end, Some(b'"'));
        }
        end
    }

    pub(super) fn backtick(&mut self, i: usize) -> usize {
        let (end, closed) = self.quote_end(i, i, b'`', Backslash::SurelyPlain);
        if closed {
            self.push_quoted(i, end, b'`', 0);
        } else {
            self.push_text(i, end, Some(b'`'));
        }
        end
    }

    /// `[name]` where the dialect has such names, else an array's bracket.
    pub(super) fn bracket(&mut self, i: usize) -> usize {
        let next = at(self.bytes, i + 1);
        let name = next != b'['
            && match self.dialect {
                Dialect::MsSql | Dialect::Sqlite => true,
                Dialect::Generic => {
                    let index = self.touches_value();
                    !index && (self.word_starts(i + 1) || matches!(next, b'#' | b'@'))
                }
                _ => false,
            };
        if !name {
            return self.open_bracket(i);
        }
        let mut j = i + 1;
        loop {
            let rest = self.bytes.get(j..).unwrap_or_default();
            let Some(n) = memchr(b']', rest) else {
                self.push_text(i, self.bytes.len(), Some(b'['));
                return self.bytes.len();
            };
            j += n;
            if at(self.bytes, j + 1) != b']' {
                break;
            }
            j += 2;
        }
        // Elsewhere this may have been an array of literals: only what looks like a name is taken for one.
        if self.bytes.get(i + 1..j).is_some_and(bracket_name) {
            self.push_quoted(i, j + 1, b'[', 0);
        } else {
            self.push_text(i, j + 1, None);
        }
        j + 1
    }

    /// `$1`, `$tag$...$tag$`, `$name` or T-SQL's money. A dollar quote is one in every dialect: no name looks like it.
    pub(super) fn dollar(&mut self, i: usize) -> usize {
        let next = at(self.bytes, i + 1);
        if next.is_ascii_digit() {
            let mut end = skip_while(self.bytes, i + 1, |b| b.is_ascii_digit());
            // No parameter's number has a fraction.
            let fraction = at(self.bytes, end) == b'.' && at(self.bytes, end + 1).is_ascii_digit();
            let has_params = matches!(self.dialect, Dialect::Postgres | Dialect::Sqlite);
            if self.dialect == Dialect::MsSql || (fraction && !has_params) {
                end = skip_while(self.bytes, end, |b| b.is_ascii_digit() || b == b'.' || b == b',');
                self.push_dollar(Kind::Number, i, end);
            } else {
                self.push_dollar(if end - i <= 6 { Kind::Param } else { Kind::Number }, i, end);
            }
            return end;
        }
        let named = self.word_starts(i + 1);
        if next != b'$' && !named {
            self.push_dollar(Kind::Operator, i, i + 1);
            return i + 1;
        }
        if let Some(tag) = self.dollar_tag(i) {
            let found = self.bytes.get(i..tag).and_then(|mark| {
                let body = self.bytes.get(tag..).unwrap_or_default();
                memmem::find(body, mark).map(|n| tag + n + mark.len())
            });
            let end = found.unwrap_or(self.bytes.len());
            self.push_text(i, end, found.is_none().then_some(b'$'));
            return end;
        }
        let end = self.word_end(i + 1);
        match self.dialect {
            Dialect::Sqlite => self.push_dollar(Kind::Param, i, end),
            Dialect::MsSql | Dialect::Oracle => self.push_dollar(Kind::Word, i, end),
            // A tag that the input's end cut off would open a literal.
            _ if end >= self.bytes.len() => self.push_text(i, end, Some(b'$')),
            _ => self.push_dollar(Kind::Word, i, end),
        }
        end
    }

    /// Behind the second dollar of `$tag$`.
    fn dollar_tag(&self, i: usize) -> Option<usize> {
        if at(self.bytes, i + 1) == b'$' {
            return Some(i + 2);
        }
        let mut end = i + 1;
        loop {
            end = skip_while(self.bytes, end, |b| in_word(b) && b != b'$');
            if at(self.bytes, end) < 0x80 {
                break;
            }
            let (c, len) = char_at(self.bytes, end);
            if !wide_in_word(c) {
                break;
            }
            end += len;
        }
        (at(self.bytes, end) == b'$').then_some(end + 1)
    }

    fn push_dollar(&mut self, kind: Kind, start: usize, end: usize) {
        self.glue_word();
        let raw = self.wide(start, end);
        self.push(kind, b'$' * u8::from(kind == Kind::Operator), raw, start, end);
    }

    /// A literal whose prefix is the word at `i..end`, before the `next` byte; behind the literal.
    pub(super) fn prefixed(&mut self, i: usize, end: usize, next: u8) -> Option<usize> {
        use Dialect::{Generic, MySql, Oracle, Postgres};
        let dialect = self.dialect;
        if end - i > 2 && !(dialect == MySql && at(self.bytes, i) == b'_') {
            return None;
        }
        let is = |text: &[u8]| word_is(self.bytes, i, end, text);
        if next == b'&' {
            let quote = at(self.bytes, end + 1);
            let unicode = is(b"u")
                && matches!(quote, b'\'' | b'"')
                && matches!(dialect, Postgres | Generic | Oracle);
            return unicode.then(|| self.text(i, end + 1, quote, Backslash::SurelyPlain));
        }
        if next == b'\'' {
            if (is(b"q") || is(b"nq"))
                && matches!(dialect, Oracle | Generic)
                && end + 1 < self.bytes.len()
            {
                return Some(self.alternative_quote(i, end));
            }
            if is(b"e") && matches!(dialect, Postgres | Generic) {
                return Some(self.text(i, end, next, Backslash::SurelyEscapes));
            }
            if is(b"n") || is(b"x") || is(b"b") {
                return Some(self.quoted_text(i, end, next, dialect == MySql));
            }
        }
        // MySQL's character set introducer: _utf8mb4'...'
        (dialect == MySql && at(self.bytes, i) == b'_')
            .then(|| self.quoted_text(i, end, next, true))
    }

    /// Oracle's `q'[...]'`, whose quote is at `open`.
    fn alternative_quote(&mut self, start: usize, open: usize) -> usize {
        let opener = at(self.bytes, open + 1);
        let closer = match opener {
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            b'(' => b')',
            other => other,
        };
        let body = self.bytes.get(open + 2..).unwrap_or_default();
        let found = if opener > b' ' { memmem::find(body, &[closer, b'\'']) } else { None };
        let end = found.map_or(self.bytes.len(), |n| open + 2 + n + 2);
        self.push_text(start, end, found.is_none().then_some(b'\''));
        end
    }
}

/// Whether brackets hold a name: it begins with a letter, and no digit follows a sign or a space in it.
fn bracket_name(content: &[u8]) -> bool {
    let mut previous = b'-';
    content.iter().all(|&byte| {
        let fits = match byte {
            b'0'..=b'9' => in_word(previous) || previous >= 0x80,
            b' ' | b'-' | b'.' | b'/' | b'#' | b'@' => true,
            other => in_word(other) || other >= 0x80,
        };
        previous = byte;
        fits
    })
}
