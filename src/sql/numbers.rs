//! The lexer's numbers and UUIDs.

use super::classes::{at, char_at, in_word, is_hex, skip_while, wide_in_word};
use super::keywords::{RESERVED, lookup};
use super::lexer::Lexer;

impl Lexer<'_> {
    /// UUIDs first, since they begin like numbers.
    pub(super) fn digits(&mut self, i: usize) -> usize {
        let end = skip_while(self.bytes, i + 1, |b| b.is_ascii_digit());
        let next = at(self.bytes, end);
        if !(in_word(next) || next == b'.' || next == b'-' || next >= 0x80) {
            self.push_number(i, end);
            return end;
        }
        if (next == b'-' || is_hex(next))
            && let Some(end) = self.uuid(i)
        {
            self.push_number(i, end);
            return end;
        }
        self.number(i)
    }

    /// A number by C's preprocessing rule: it takes letters, digits, dots and exponents, so that no spelling of a number
    /// (`0x1F`, `1_000`, `1.5f`, `10KB`) leaves a part behind. It ends before trailing letters that are a reserved word.
    pub(super) fn number(&mut self, i: usize) -> usize {
        let (mut j, mut word) = (i, i);
        loop {
            let byte = at(self.bytes, j);
            if byte.is_ascii_digit() || byte == b'.' {
                j += 1;
                continue;
            }
            let (wide, len) = if byte >= 0x80 { char_at(self.bytes, j) } else { (None, 1) };
            if !(in_word(byte) || byte >= 0x80 && (wide_in_word(wide) || j == i)) {
                break;
            }
            // The end of the letters is found once for all of them: this keeps `1aaaa...` linear.
            if j >= word {
                word = self.word_end(j);
            }
            if j > i && lookup(self.bytes, j, word - j).is(RESERVED) {
                break;
            }
            let exponent = matches!(byte, b'e' | b'E' | b'p' | b'P')
                && matches!(at(self.bytes, j + 1), b'+' | b'-')
                && at(self.bytes, j + 2).is_ascii_digit();
            j += if exponent { 2 } else { len };
        }
        self.wide(i, j);
        self.push_number(i, j);
        j
    }

    /// The end of a UUID at `i`: 32 hexadecimal digits with or without dashes and braces, or one that the input's end cuts off.
    pub(super) fn uuid(&self, i: usize) -> Option<usize> {
        let brace = at(self.bytes, i) == b'{';
        let start = i + usize::from(brace);
        if !is_hex(at(self.bytes, start)) {
            return None;
        }
        if self.cut_off_uuid(start) {
            return Some(self.bytes.len());
        }
        let (mut digits, mut dashes, mut decimal, mut k) = (0, 0, false, start);
        // `01234567-89ab-`: nothing else looks like it, so that even a damaged one is taken as far as it goes.
        let mut headed = true;
        while digits < 32 && k - start < 72 {
            let byte = at(self.bytes, k);
            if is_hex(byte) {
                digits += 1;
                decimal |= byte.is_ascii_digit();
            } else if byte == b'-' && digits > 0 && at(self.bytes, k - 1) != b'-' {
                headed &= dashes > 1 || k - start == if dashes == 0 { 8 } else { 13 };
                dashes += 1;
            } else {
                break;
            }
            k += 1;
        }
        let next = at(self.bytes, k);
        let continues = in_word(next) || next >= 0x80 && wide_in_word(char_at(self.bytes, k).0);
        let headed = headed && dashes > 1 && decimal;
        if digits < 32 || continues {
            // Letters that are no hexadecimal digits are still a part of it.
            return headed.then(|| if continues { self.word_end(k) } else { k });
        }
        if dashes == 0 && !decimal {
            return None;
        }
        match (brace, next) {
            (true, b'}') => Some(k + 1),
            (true, _) => headed.then_some(k),
            (false, _) => Some(k),
        }
    }

    /// `01234567-89ab-` and the end of the input.
    fn cut_off_uuid(&self, start: usize) -> bool {
        if self.bytes.len() - start >= 40 {
            return false;
        }
        let tail = self.bytes.get(start..).unwrap_or_default();
        if !tail.iter().any(u8::is_ascii_digit) {
            return false;
        }
        let mut groups = tail.split(|&b| b == b'-');
        let head = groups.next().unwrap_or_default();
        if head.len() != 8 || !head.iter().copied().all(is_hex) || head.len() == tail.len() {
            return false;
        }
        let mut seen = 0;
        let mut groups = groups.peekable();
        while let Some(group) = groups.next() {
            let whole = if groups.peek().is_some() {
                group.len() == 4 && seen < 3
            } else {
                group.len() <= 12
            };
            if !whole || !group.iter().copied().all(is_hex) {
                return false;
            }
            seen += 1;
        }
        true
    }
}
