//! What the summary's pass found: the words of the summary, and which statement does what to which table.

use super::render::{push_clean, truncate};
use super::token::{Kind, Token};

/// The longest summary, in bytes.
pub(super) const LONGEST: usize = 255;

/// A statement's operations and targets.
#[derive(Debug, Default)]
pub struct Outline {
    words: Vec<u8>,
    full: bool,
    operations: usize,
    /// The operation the statement is named after, and whether it is the outermost one.
    verb: String,
    named: usize,
    outermost: bool,
    /// The first target of that operation.
    own: Target,
    /// The first target of any operation.
    any: Target,
}

/// A target as written, and where its last dotted part begins.
#[derive(Debug, Default)]
struct Target {
    name: String,
    last: usize,
}

impl Target {
    fn clear(&mut self) {
        self.name.clear();
        self.last = 0;
    }

    fn set(&mut self, sql: &[u8], tokens: &[Token]) {
        for token in tokens {
            if token.is_name() {
                self.last = self.name.len();
            }
            match std::str::from_utf8(token.bytes(sql)) {
                Ok(part) => self.name.push_str(part),
                Err(_) => self.name.push_str(&String::from_utf8_lossy(token.bytes(sql))),
            }
        }
    }

    fn last(&self) -> &str {
        self.name.get(self.last..).unwrap_or("")
    }
}

impl Outline {
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.full = false;
        self.operations = 0;
        self.verb.clear();
        self.named = 0;
        self.outermost = false;
        self.own.clear();
        self.any.clear();
    }

    /// The summary: `SELECT users orders`, at most 255 bytes, cut between words.
    pub(super) fn summary(&self) -> &[u8] {
        &self.words
    }

    /// The verb of the outermost statement, as written; empty when there is none. EXPLAIN gives way to what it explains.
    #[must_use]
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// The first target of the outermost statement, as written, with its dotted parts.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.own.name
    }

    /// The first target of any statement or subquery.
    #[must_use]
    pub fn any_target(&self) -> &str {
        &self.any.name
    }

    /// The last dotted part of the table the statement is named after: its own first target, or a subquery's when it has
    /// none (`SELECT count(*) FROM (SELECT ... FROM users)`).
    pub(super) fn table(&self) -> &str {
        if self.own.name.is_empty() { self.any.last() } else { self.own.last() }
    }

    pub(super) fn operations(&self) -> usize {
        self.operations
    }

    fn push(&mut self, word: &[u8]) {
        if self.full || word.is_empty() {
            return;
        }
        let space = usize::from(!self.words.is_empty());
        if self.words.len() + space + word.len() > LONGEST {
            self.full = true;
            if self.words.is_empty() {
                self.words.extend_from_slice(word);
                truncate(&mut self.words, LONGEST);
            }
            return;
        }
        if space == 1 {
            self.words.push(b' ');
        }
        self.words.extend_from_slice(word);
    }

    /// Between statements: `SELECT a; DELETE b`.
    pub(super) fn separator(&mut self) {
        if !self.full
            && !self.words.is_empty()
            && self.words.last() != Some(&b';')
            && self.words.len() < LONGEST
        {
            self.words.push(b';');
        }
    }

    /// The last statement's separator separates nothing.
    pub(super) fn finish(&mut self) {
        if self.words.last() == Some(&b';') {
            self.words.pop();
        }
    }

    pub(super) fn operation(&mut self, sql: &[u8], token: Token, depth: usize) -> usize {
        self.named_operation(token.bytes(sql), depth)
    }

    /// Adds an operation and returns its number. `word` is a keyword, so it is ASCII.
    pub(super) fn named_operation(&mut self, word: &[u8], depth: usize) -> usize {
        self.push(word);
        let number = self.operations;
        self.operations += 1;
        let explain = self.verb.eq_ignore_ascii_case("explain");
        if self.verb.is_empty() || explain || depth == 0 && !self.outermost {
            self.verb.clear();
            self.verb.push_str(std::str::from_utf8(word).unwrap_or(""));
            self.named = number;
            self.own.clear();
            self.outermost = depth == 0 && !self.verb.eq_ignore_ascii_case("explain");
        }
        number
    }

    /// A word of the summary that is no target: TABLE in CREATE TABLE.
    pub(super) fn word(&mut self, sql: &[u8], token: Token) {
        self.push(token.bytes(sql));
    }

    /// A target of an operation; `tokens` are its dotted parts. `buffer` is scratch space.
    pub(super) fn add_target(
        &mut self,
        sql: &[u8],
        tokens: &[Token],
        operation: usize,
        buffer: &mut Vec<u8>,
    ) {
        buffer.clear();
        for token in tokens {
            match token.kind {
                Kind::Word | Kind::Quoted | Kind::Param => push_clean(token.bytes(sql), buffer),
                _ => buffer.extend_from_slice(token.bytes(sql)),
            }
        }
        self.push(buffer);
        if operation == self.named && self.own.name.is_empty() && self.operations > 0 {
            self.own.set(sql, tokens);
        }
        if self.any.name.is_empty() {
            self.any.set(sql, tokens);
        }
    }
}
