//! The lexer's placeholders, and characters beyond ASCII.

use super::classes::{char_at, in_word, quote_like, skip_while, wide_in_word, wide_space};
use super::dialect::Dialect;
use super::keywords::Kw;
use super::lexer::{Lexer, offset};
use super::token::{GAP, Kind, RAW, SPACE, Token};

impl Lexer<'_> {
    pub(super) fn colon(&mut self, i: usize) -> usize {
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
                self.glue_word();
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

    pub(super) fn at_sign(&mut self, i: usize) -> usize {
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
        // 'user'@localhost is an account.
        let accounts = matches!(
            self.tokens.first().map_or(Kw::None, Token::word),
            Kw::Grant
                | Kw::Revoke
                | Kw::Create
                | Kw::Alter
                | Kw::Drop
                | Kw::Rename
                | Kw::Set
                | Kw::Show
        );
        if !accounts {
            self.glue_word();
        }
        let raw = self.wide(i, end);
        self.push(kind, 0, raw, i, end);
        end
    }

    pub(super) fn percent(&mut self, i: usize) -> usize {
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

    pub(super) fn high(&mut self, i: usize) -> usize {
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
            let raw = self.wide(i, end);
            self.push_word(i, end, raw);
            return end;
        }
        self.push(Kind::Operator, 0, RAW, i, i + len);
        i + len
    }
}
