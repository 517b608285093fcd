//! Lists of literals, collapsed: their lengths are data too, and would make one statement many.

use super::keywords::Kw;
use super::token::{Fate, GAP, Kind, SPACE};
use super::verdict::Judge;

impl Judge<'_> {
    /// `IN (?, $1, NULL)` becomes `IN (?)`.
    pub(super) fn collapse_list(&mut self, i: usize) {
        let close = match self.get(i + 1) {
            open if open.is_punct(b'(') => b')',
            open if open.is_punct(b'[') => b']',
            _ => return,
        };
        let Some(end) = self.plain_list(i + 2, close) else {
            return;
        };
        for (index, token) in self.tokens.iter_mut().enumerate().take(end + 1).skip(i + 2) {
            if index == i + 2 {
                // It stands for the whole list now.
                token.kind = Kind::Text;
                token.flags &= !(SPACE | GAP);
            } else if index == end {
                token.flags &= !(SPACE | GAP);
            } else {
                token.kind = Kind::End;
                token.fate = Fate::Gone;
            }
        }
    }

    /// `VALUES (?, ?), (?, ?)` keeps its first row.
    pub(super) fn collapse_rows(&mut self, i: usize) {
        if !self.get(i + 1).is_punct(b'(') {
            return;
        }
        let Some(first) = self.plain_list(i + 2, b')') else {
            return;
        };
        self.row_end = first;
        let mut end = first + 1;
        while self.get(end).is_punct(b',') && self.get(end + 1).is_punct(b'(') {
            let Some(close) = self.plain_list(end + 2, b')') else {
                break;
            };
            end = close + 1;
        }
        for token in self.tokens.iter_mut().take(end).skip(first + 1) {
            token.fate = Fate::Gone;
            token.kind = Kind::End;
        }
    }

    /// The index of the closing bracket, if all members from `from` on are literals, placeholders or NULL.
    fn plain_list(&self, from: usize, close: u8) -> Option<usize> {
        let mut i = from;
        loop {
            let token = self.get(i);
            let next = self.get(i + 1);
            let literal = match token.kind {
                Kind::Text | Kind::Number | Kind::Param => true,
                Kind::Word => {
                    token.word() == Kw::Null
                        || self.rules.mask_booleans && matches!(token.word(), Kw::True | Kw::False)
                }
                // In these lists double quotes are always masked.
                Kind::Quoted => token.code == b'"' && !next.is_punct(b'.'),
                Kind::Operator => {
                    matches!(token.code, b'-' | b'+')
                        && next.kind == Kind::Number
                        && next.touches(&token)
                }
                Kind::Punct | Kind::End => false,
            };
            if !literal {
                return None;
            }
            i += if token.kind == Kind::Operator { 2 } else { 1 };
            let separator = self.get(i);
            if separator.is_punct(close) {
                return Some(i);
            }
            if !separator.is_punct(b',') {
                return None;
            }
            i += 1;
        }
    }
}
