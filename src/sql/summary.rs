//! The summary: operations and their targets in source order, as OpenTelemetry's `db.query.summary`.
//!
//! One pass over the judged tokens with an explicit stack of subqueries. It follows the rules of OpenTelemetry's Java
//! instrumentation, whose test cases it reproduces.

use super::keywords::Kw;
use super::outline::Outline;
use super::token::{Fate, Kind, Token};

/// Subqueries deeper than this add no targets.
const DEPTH: usize = 64;
/// Names of common table expressions that are remembered and left out.
pub(super) const NAMES: usize = 64;

/// What a statement or subquery is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Op {
    #[default]
    None,
    With,
    Select,
    /// INSERT and DELETE: the target follows INTO or FROM.
    Insert,
    Delete,
    Update,
    /// The target is the next name: MERGE, REPLACE, USE, EXECUTE.
    Direct,
    Call,
    Define,
    Truncate,
    Lock,
    Transaction,
    Bulk,
    /// BACKUP, RESTORE, ENABLE, DISABLE
    Object,
    Values,
    /// Nothing more is taken from this statement.
    Done,
}

/// The state of one statement or subquery.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    pub(super) op: Op,
    /// The next name is one of FROM's tables.
    pub(super) tables: bool,
    /// The next name is the one table of a JOIN.
    pub(super) joined: bool,
    /// Names seen since the last table could have begun.
    pub(super) names: u32,
    /// The bracket level of the FROM, while in it.
    pub(super) from_level: Option<i32>,
    /// An alias follows; and the bracket level of an alias with columns.
    pub(super) alias: bool,
    pub(super) alias_level: Option<i32>,
    /// The target was found.
    pub(super) got: bool,
    /// The target, or a CTE's name, comes next.
    pub(super) expect: bool,
    /// The object's type was seen (TABLE, TRANSACTION, TRIGGER).
    pub(super) typed: bool,
    pub(super) trigger: bool,
    /// In DDL, behind the words that may stand before the name.
    pub(super) past_modifiers: bool,
    /// In DDL, the level of an embedded SELECT.
    pub(super) embedded: Option<i32>,
    pub(super) embedded_from: bool,
    /// In CALL: NEXT, VALUE, FOR.
    pub(super) next: bool,
    pub(super) value: bool,
    pub(super) sequence: bool,
    /// The level at which the statement began.
    pub(super) base: i32,
    /// The operation that targets are counted for, in [`Outline`].
    pub(super) operation: usize,
}

/// Buffers of the pass, reused.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) frames: Vec<(Frame, i32)>,
    pub(super) names: Vec<(u32, u32)>,
    pub(super) name: Vec<u8>,
}

pub(super) struct Pass<'a> {
    pub(super) sql: &'a [u8],
    pub(super) tokens: &'a [Token],
    pub(super) buffers: &'a mut Buffers,
    pub(super) outline: &'a mut Outline,
    pub(super) frame: Frame,
    pub(super) level: i32,
    /// The next SELECT or VALUES is a subquery.
    pub(super) pending: bool,
    /// Subqueries open beyond [`DEPTH`].
    pub(super) beyond: u32,
}

/// Reads the operations and targets of the judged `tokens` into `outline`.
pub(super) fn outline(sql: &[u8], tokens: &[Token], buffers: &mut Buffers, outline: &mut Outline) {
    outline.clear();
    buffers.frames.clear();
    buffers.names.clear();
    let mut pass = Pass {
        sql,
        tokens,
        buffers,
        outline,
        frame: Frame::default(),
        level: 0,
        pending: false,
        beyond: 0,
    };
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        i = pass.step(i, *token);
    }
}

impl Pass<'_> {
    pub(super) fn get(&self, index: usize) -> Token {
        self.tokens.get(index).copied().unwrap_or(Token::END)
    }

    fn step(&mut self, i: usize, token: Token) -> usize {
        if matches!(token.fate, Fate::Gone | Fate::Drop) {
            return i + 1;
        }
        if token.fate == Fate::Mask {
            self.literal();
            return i + 1;
        }
        match token.kind {
            Kind::Word | Kind::Quoted => return self.name(i, token),
            Kind::Punct => self.punct(i, token.code),
            _ => {}
        }
        i + 1
    }

    /// A literal is never a target, but it takes a target's place: UPDATE 'x'.
    fn literal(&mut self) {
        let frame = &mut self.frame;
        match frame.op {
            Op::Update => frame.got |= self.level == 0,
            Op::Select if (frame.tables || frame.joined) && frame.names == 0 => {
                frame.names = 1;
                frame.tables = false;
                frame.joined = false;
            }
            Op::Insert | Op::Delete => frame.expect = false,
            Op::Direct | Op::Call | Op::Object => frame.got = true,
            _ => {}
        }
    }

    /// A word, or a name with its dotted parts.
    fn name(&mut self, i: usize, token: Token) -> usize {
        let mut end = i + 1;
        while self.get(end).is_punct(b'.')
            && self.get(end + 1).is_name()
            && self.get(end + 1).fate == Fate::Keep
        {
            end += 2;
        }
        let remote = self.get(end);
        if remote.kind == Kind::Param
            && super::classes::at(self.sql, remote.start as usize) == b'@'
            && remote.touches(&token)
        {
            // Oracle's table@link
            end += 1;
        }
        let word = if end == i + 1 { token.word() } else { Kw::None };
        if word == Kw::None || !self.keyword(word, i, end) {
            self.pending = false;
            self.target(word, i, end);
        }
        end
    }

    pub(super) fn add_operation(&mut self, i: usize) {
        let depth = self.buffers.frames.len();
        self.frame.operation = self.outline.operation(self.sql, self.get(i), depth);
    }

    pub(super) fn add_word(&mut self, i: usize) {
        self.outline.word(self.sql, self.get(i));
    }

    pub(super) fn add_target(&mut self, i: usize, end: usize) {
        let operation = self.outline.operations().saturating_sub(1);
        self.add_target_of(operation, i, end);
    }

    pub(super) fn add_target_of(&mut self, operation: usize, i: usize, end: usize) {
        if self.beyond == 0 {
            let tokens = self.tokens.get(i..end).unwrap_or_default();
            self.outline.add_target(self.sql, tokens, operation, &mut self.buffers.name);
        }
    }

    pub(super) fn start(&mut self, op: Op) {
        self.frame =
            Frame { op, base: self.level, operation: self.frame.operation, ..Frame::default() };
    }

    pub(super) fn start_select(&mut self, i: usize) {
        self.start(Op::Select);
        self.add_operation(i);
    }

    /// Whether a main statement can begin here: at the start, or behind the CTEs.
    pub(super) fn at_main(&self) -> bool {
        self.frame.op == Op::None || self.frame.op == Op::With && self.level == self.frame.base
    }

    pub(super) fn descend(&mut self) {
        if self.pending {
            self.pending = false;
            if self.buffers.frames.len() < DEPTH {
                self.buffers.frames.push((self.frame, self.level));
            } else {
                self.beyond += 1;
            }
            self.frame = Frame::default();
        }
    }

    fn punct(&mut self, i: usize, byte: u8) {
        match byte {
            b',' => {
                let level = self.level;
                let frame = &mut self.frame;
                match frame.op {
                    Op::Select if frame.alias_level.is_none() => {
                        frame.alias = false;
                        if frame.from_level == Some(level) && (1..=3).contains(&frame.names) {
                            frame.tables = true;
                            frame.names = 0;
                        }
                    }
                    Op::With if level == frame.base => frame.expect = true,
                    _ => {}
                }
            }
            b'(' => self.open(i),
            b')' => self.close(),
            b';' => {
                self.outline.separator();
                self.frame = Frame::default();
                self.level = 0;
                self.buffers.frames.clear();
                self.buffers.names.clear();
                self.beyond = 0;
                self.pending = false;
            }
            _ => {}
        }
    }

    fn open(&mut self, i: usize) {
        self.level = self.level.saturating_add(1);
        let frame = &mut self.frame;
        let cte_name = frame.op == Op::With && frame.expect;
        let table = frame.op == Op::Select
            && !frame.alias
            && (frame.tables || frame.joined)
            && frame.names == 0;
        let body = frame.op == Op::With && !frame.expect;
        let next = self.tokens.get(i + 1).map_or(Kw::None, Token::word);
        let subquery = next == Kw::Select && frame.op != Op::None && !cte_name;
        if table || body || subquery {
            self.pending = true;
        } else if frame.op == Op::Select && frame.alias {
            frame.alias_level = Some(self.level);
            frame.alias = false;
        }
    }

    fn close(&mut self) {
        self.level = self.level.saturating_sub(1);
        self.pending = false;
        let level = self.level;
        if self.frame.op == Op::Select && self.frame.alias_level.is_some_and(|alias| level < alias)
        {
            self.frame.alias_level = None;
        }
        let ends = self.buffers.frames.last().is_some_and(|&(_, start)| level < start);
        if !ends {
            return;
        }
        let Some((outer, _)) = self.buffers.frames.pop() else {
            return;
        };
        self.beyond = 0;
        self.frame = outer;
        if self.frame.op == Op::Select {
            self.frame.tables = false;
            self.frame.joined = false;
            self.frame.names = self.frame.names.max(1);
        }
    }
}
