//! Is `"x"` a name or a string? The databases disagree, SQLite and SQL Server decide at run time, and the dialect an
//! application declares may be wrong. So a name is only what stands where no string can, or where the statement itself
//! proves that its double quotes are names; the rest is masked.

use super::keywords::{Kw, OBJECT};
use super::token::{Kind, Token};

const DEPTH: usize = 64;

/// What a pair of brackets holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A statement or subquery.
    Query,
    /// Tables, in brackets for grouping.
    Tables,
    /// The columns an INSERT names.
    Columns,
    /// Literals: VALUES and IN.
    Values,
    /// An expression, arguments, anything else.
    Other,
}

#[derive(Clone, Copy)]
struct Frame {
    inside: Inside,
    clause: Kw,
}

/// The open brackets of a statement and the clause each is in.
pub(super) struct Frames {
    stack: [Frame; DEPTH],
    depth: usize,
    /// The statement proves that double quotes are names in it.
    names: bool,
    /// The dialect has no strings in double quotes.
    sure: bool,
    /// Behind INTO, or a MERGE's INSERT: only the table's name so far, so that a bracket would hold
    /// columns.
    target: bool,
}

const STATEMENT: Frame = Frame { inside: Inside::Query, clause: Kw::None };
/// Deeper than any statement goes: nothing is a name there.
const ABYSS: Frame = Frame { inside: Inside::Other, clause: Kw::None };

impl Frames {
    pub(super) fn new(names: bool, sure: bool) -> Frames {
        Frames { stack: [STATEMENT; DEPTH], depth: 0, names, sure, target: false }
    }

    fn top(&self) -> Frame {
        self.stack.get(self.depth).copied().unwrap_or(ABYSS)
    }

    fn set_clause(&mut self, clause: Kw) {
        if let Some(frame) = self.stack.get_mut(self.depth) {
            frame.clause = clause;
        }
    }

    /// A new statement begins.
    pub(super) fn statement(&mut self) {
        self.depth = 0;
        self.target = false;
        if let Some(frame) = self.stack.first_mut() {
            *frame = STATEMENT;
        }
    }

    pub(super) fn open(&mut self, previous: Token, next: Token) {
        let top = self.top();
        let inside = match previous.word() {
            Kw::Values | Kw::Value | Kw::In | Kw::Any | Kw::Some | Kw::All => Inside::Values,
            Kw::From | Kw::Join | Kw::Only if top.inside == Inside::Query => Inside::Tables,
            _ if self.target => Inside::Columns,
            _ if previous.is_punct(b'(') && top.inside == Inside::Tables => Inside::Tables,
            // Further rows of VALUES.
            _ if previous.is_punct(b',') && top.clause == Kw::Values => Inside::Values,
            _ => Inside::Other,
        };
        self.target = false;
        let query = matches!(
            next.word(),
            Kw::Select | Kw::With | Kw::Values | Kw::Insert | Kw::Update | Kw::Delete
        ) || next.is_punct(b'(') && matches!(previous.kind, Kind::End);
        self.depth = self.depth.saturating_add(1);
        if let Some(frame) = self.stack.get_mut(self.depth) {
            *frame = Frame { inside: if query { Inside::Query } else { inside }, clause: Kw::None };
        }
    }

    pub(super) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.target = false;
    }

    /// A name or a word that is no keyword, behind `previous`.
    pub(super) fn name(&mut self, previous: Token) {
        self.target = self.target
            && (matches!(previous.word(), Kw::Into | Kw::As | Kw::Table)
                || previous.is_punct(b'.')
                || previous.is_name());
    }

    pub(super) fn keyword(
        &mut self,
        word: Kw,
        previous: Token,
        before: Token,
        next: Token,
        verb: Kw,
    ) {
        match word {
            Kw::From => {
                let comparison =
                    previous.word() == Kw::Distinct && matches!(before.word(), Kw::Is | Kw::Not);
                if verb == Kw::Prepare && self.top().clause == Kw::None {
                    // PREPARE s FROM "..." takes a statement, as a string.
                    self.set_clause(Kw::Prepare);
                } else if self.top().inside == Inside::Query && !comparison {
                    self.set_clause(Kw::From);
                }
                self.target = false;
            }
            Kw::Into => {
                self.set_clause(Kw::Into);
                self.target = true;
            }
            // WHEN NOT MATCHED THEN INSERT (columns); elsewhere it may be the function INSERT().
            Kw::Insert => self.target = verb == Kw::Merge,
            Kw::Using => {
                self.set_clause(if matches!(verb, Kw::Delete | Kw::Merge) && !next.is_punct(b'(') {
                    Kw::From
                } else {
                    Kw::Using
                })
            }
            Kw::As | Kw::Table => {}
            Kw::Select
            | Kw::Set
            | Kw::Where
            | Kw::By
            | Kw::Returning
            | Kw::Values
            | Kw::Value
            | Kw::On
            | Kw::Having
            | Kw::Limit
            | Kw::Join
            | Kw::Update => {
                let clause = if word == Kw::Value { Kw::Values } else { word };
                // IDENTIFIED BY is no list of names.
                let clause = if word == Kw::By
                    && !matches!(previous.word(), Kw::Order | Kw::Group | Kw::Partition)
                {
                    Kw::Where
                } else {
                    clause
                };
                self.set_clause(clause);
                self.target = false;
            }
            _ => self.target = false,
        }
    }

    /// Whether the quoted `token` is shown.
    pub(super) fn keeps(&self, token: Token, previous: Token, next: Token, after: Token) -> bool {
        if token.code != b'"' {
            return true;
        }
        if previous.is_punct(b'.') || next.is_punct(b'.') {
            return true;
        }
        let top = self.top();
        if top.inside == Inside::Values || top.clause == Kw::Prepare || value_follows(previous) {
            return false;
        }
        if top.inside == Inside::Columns || self.is_table(previous, next, top) {
            return true;
        }
        if previous.word() == Kw::As {
            return top.clause != Kw::None;
        }
        if !self.names {
            return false;
        }
        let listed = matches!(top.clause, Kw::Select | Kw::By | Kw::Set | Kw::Returning | Kw::From)
            && (previous.is_punct(b',')
                || matches!(
                    previous.word(),
                    Kw::Select | Kw::Distinct | Kw::By | Kw::Set | Kw::Returning
                ));
        let compared = comparison(next) && (self.sure || !after.is_name());
        listed || compared || self.sure
    }

    /// Where a table is named: no database takes a string there.
    fn is_table(&self, previous: Token, next: Token, top: Frame) -> bool {
        match previous.word() {
            Kw::From => top.clause == Kw::From,
            Kw::Join | Kw::Into | Kw::Update | Kw::Table | Kw::Only | Kw::References => true,
            Kw::Using => top.clause == Kw::From,
            Kw::With | Kw::Recursive => next.word() == Kw::As || next.is_punct(b'('),
            // IF EXISTS "x", CREATE VIEW "x"
            word if word == Kw::Exists || word.is(OBJECT) => {
                top.clause == Kw::None && self.depth == 0
            }
            _ if previous.is_punct(b'(') => top.inside == Inside::Tables,
            _ => {
                previous.is_punct(b',')
                    && (top.clause == Kw::From && self.names || top.inside == Inside::Tables)
            }
        }
    }
}

/// Whether what follows `previous` is compared, computed or matched: a string's place.
fn value_follows(previous: Token) -> bool {
    match previous.kind {
        Kind::Operator => true,
        Kind::Word => matches!(
            previous.word(),
            Kw::Like
                | Kw::Ilike
                | Kw::Rlike
                | Kw::Regexp
                | Kw::Glob
                | Kw::Match
                | Kw::Similar
                | Kw::Between
                | Kw::Escape
                | Kw::Then
                | Kw::Else
                | Kw::Limit
                | Kw::Offset
                | Kw::Interval
                | Kw::Collate
                | Kw::Default
        ),
        // `"a" "b"` is one string to MySQL.
        Kind::Text => true,
        _ => false,
    }
}

/// What stands between the two sides of a comparison.
fn comparison(token: Token) -> bool {
    match token.kind {
        Kind::Operator => matches!(token.code, b'=' | b'<' | b'>' | b'!' | b'~'),
        Kind::Word => {
            matches!(token.word(), Kw::Is | Kw::In | Kw::Like | Kw::Ilike | Kw::Between | Kw::Not)
        }
        _ => false,
    }
}

/// Whether the statement proves that its double quotes are names: one is part of a dotted name, or a table's.
pub(super) fn are_names(tokens: &[Token]) -> bool {
    // One bit a bracket: whether it holds a query, so that FROM begins its tables and is no part of SUBSTRING(x FROM y).
    let mut queries = u64::MAX;
    let (mut earlier, mut before, mut previous) = (Token::END, Token::END, Token::END);
    let mut tokens = tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        if token.is_punct(b'(') {
            let query =
                tokens.peek().is_some_and(|next| matches!(next.word(), Kw::Select | Kw::With));
            queries = queries << 1 | u64::from(query);
        } else if token.is_punct(b')') {
            queries = queries >> 1 | 1 << 63;
        } else if token.kind == Kind::Quoted && token.code == b'"' {
            let dotted =
                previous.is_punct(b'.') || tokens.peek().is_some_and(|next| next.is_punct(b'.'));
            let table = match previous.word() {
                Kw::Join | Kw::Into | Kw::Update | Kw::Table => true,
                // Not IS DISTINCT FROM, nor PREPARE s FROM.
                Kw::From => {
                    queries & 1 == 1
                        && before.word() != Kw::Distinct
                        && earlier.word() != Kw::Prepare
                }
                _ => false,
            };
            if dotted || table {
                return true;
            }
        }
        earlier = before;
        before = previous;
        previous = *token;
    }
    false
}
