//! The lexer's comments, and the signs that are a comment to some databases and an operator to others.

use memchr::{memchr, memchr2, memchr3, memmem};

use super::classes::skip_while;
use super::dialect::Dialect;
use super::keywords::{Kw, MODIFIER, RESERVED};
use super::lexer::{Lexer, offset};
use super::token::{GAP, Kind};

impl Lexer<'_> {
    pub(super) fn dash(&mut self, i: usize) -> usize {
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
        self.swallow(i, end, 0);
        self.gap |= GAP;
        end
    }

    fn line_end(&self, i: usize) -> usize {
        let rest = self.bytes.get(i..).unwrap_or_default();
        memchr2(b'\n', b'\r', rest).map_or(self.bytes.len(), |n| i + n)
    }

    pub(super) fn hash(&mut self, i: usize) -> usize {
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
        let end = self.line_end(i);
        self.swallow(i, end, 0);
        end
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

    pub(super) fn star(&mut self, i: usize) -> usize {
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

    pub(super) fn slash(&mut self, i: usize) -> usize {
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
        self.swallow(i, j, 0);
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
