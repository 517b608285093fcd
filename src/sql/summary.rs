//! The summary: operations and their targets in source order, as OpenTelemetry's `db.query.summary`.
//!
//! One pass over the judged tokens with an explicit stack of subqueries. It follows the rules of OpenTelemetry's Java
//! instrumentation, whose test cases it reproduces.

use super::keywords::{Kw, MODIFIER, OBJECT, VERB};
use super::outline::Outline;
use super::token::{Fate, Kind, Token};

/// Subqueries deeper than this add no targets.
const DEPTH: usize = 64;
/// Names of common table expressions that are remembered and left out.
const NAMES: usize = 64;

/// What a statement or subquery is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Op {
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
struct Frame {
    op: Op,
    /// The next name is one of FROM's tables.
    tables: bool,
    /// The next name is the one table of a JOIN.
    joined: bool,
    /// Names seen since the last table could have begun.
    names: u32,
    /// The bracket level of the FROM, while in it.
    from_level: Option<i32>,
    /// An alias follows; and the bracket level of an alias with columns.
    alias: bool,
    alias_level: Option<i32>,
    /// The target was found.
    got: bool,
    /// The target, or a CTE's name, comes next.
    expect: bool,
    /// The object's type was seen (TABLE, TRANSACTION, TRIGGER).
    typed: bool,
    trigger: bool,
    /// In DDL, behind the words that may stand before the name.
    past_modifiers: bool,
    /// In DDL, the level of an embedded SELECT.
    embedded: Option<i32>,
    embedded_from: bool,
    /// In CALL: NEXT, VALUE, FOR.
    next: bool,
    value: bool,
    sequence: bool,
    /// The level at which the statement began.
    base: i32,
    /// The operation that targets are counted for, in [`Outline`].
    operation: usize,
}

/// Buffers of the pass, reused.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    frames: Vec<(Frame, i32)>,
    names: Vec<(u32, u32)>,
    name: Vec<u8>,
}

struct Pass<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    buffers: &'a mut Buffers,
    outline: &'a mut Outline,
    frame: Frame,
    level: i32,
    /// The next SELECT or VALUES is a subquery.
    pending: bool,
    /// Subqueries open beyond [`DEPTH`].
    beyond: u32,
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
    fn get(&self, index: usize) -> Token {
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

    fn add_operation(&mut self, i: usize) {
        let depth = self.buffers.frames.len();
        self.frame.operation = self.outline.operation(self.sql, self.get(i), depth);
    }

    fn add_word(&mut self, i: usize) {
        self.outline.word(self.sql, self.get(i));
    }

    fn add_target(&mut self, i: usize, end: usize) {
        let operation = self.outline.operations().saturating_sub(1);
        self.add_target_of(operation, i, end);
    }

    fn add_target_of(&mut self, operation: usize, i: usize, end: usize) {
        if self.beyond == 0 {
            let tokens = self.tokens.get(i..end).unwrap_or_default();
            self.outline.add_target(self.sql, tokens, operation, &mut self.buffers.name);
        }
    }

    fn start(&mut self, op: Op) {
        self.frame =
            Frame { op, base: self.level, operation: self.frame.operation, ..Frame::default() };
    }

    fn start_select(&mut self, i: usize) {
        self.start(Op::Select);
        self.add_operation(i);
    }

    /// Whether a main statement can begin here: at the start, or behind the CTEs.
    fn at_main(&self) -> bool {
        self.frame.op == Op::None || self.frame.op == Op::With && self.level == self.frame.base
    }

    fn descend(&mut self) {
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

    /// Takes a keyword for what it does; false when it is a name like others here.
    fn keyword(&mut self, word: Kw, i: usize, end: usize) -> bool {
        let op = self.frame.op;
        match word {
            Kw::With if op == Op::None => {
                self.start(Op::With);
                self.frame.expect = true;
            }
            Kw::Recursive if op == Op::With => {}
            Kw::Select => self.select(i),
            Kw::Insert | Kw::Delete | Kw::Update if op != Op::Bulk || word == Kw::Insert => {
                return self.change(word, i);
            }
            Kw::Alter if op == Op::Define && !self.frame.past_modifiers => {
                self.target(word, i, end)
            }
            Kw::Call | Kw::Merge | Kw::Create | Kw::Drop | Kw::Alter | Kw::Exec | Kw::Execute => {
                if op != Op::None {
                    return false;
                }
                self.start(match word {
                    Kw::Call => Op::Call,
                    Kw::Create | Kw::Drop | Kw::Alter => Op::Define,
                    _ => Op::Direct,
                });
                self.add_operation(i);
            }
            Kw::Values => {
                self.descend();
                if self.frame.op == Op::None {
                    self.start(Op::Values);
                    if self.buffers.frames.is_empty() && self.beyond == 0 {
                        self.add_operation(i);
                    }
                }
            }
            Kw::Bulk | Kw::Backup | Kw::Restore | Kw::Enable | Kw::Disable | Kw::Deny
                if op != Op::None =>
            {
                return false;
            }
            Kw::Truncate
            | Kw::Replace
            | Kw::Lock
            | Kw::Use
            | Kw::Begin
            | Kw::Commit
            | Kw::Rollback
            | Kw::Grant
            | Kw::Revoke
            | Kw::Show
            | Kw::Deny
            | Kw::Bulk
            | Kw::Backup
            | Kw::Restore
            | Kw::Enable
            | Kw::Disable => {
                if op == Op::None {
                    self.start(simple(word));
                    self.add_operation(i);
                }
            }
            Kw::Connect | Kw::Validate | Kw::Check | Kw::Export | Kw::Import | Kw::Recover => {
                if op == Op::None {
                    self.start(Op::Done);
                }
            }
            Kw::Explain => {
                if op == Op::None {
                    self.add_operation(i);
                }
            }
            Kw::From => self.from(i),
            Kw::Into => self.frame.expect |= op == Op::Insert,
            Kw::Join | Kw::Apply => {
                if op == Op::Select {
                    self.frame.joined = true;
                    self.frame.names = 0;
                    self.frame.alias = false;
                }
            }
            Kw::Lateral
            | Kw::Only
            | Kw::Union
            | Kw::Intersect
            | Kw::Except
            | Kw::Minus
            | Kw::If
            | Kw::Not
            | Kw::Exists => {}
            Kw::Next => self.frame.next |= op == Op::Call,
            Kw::As => self.frame.alias |= op == Op::Select,
            _ => return self.other_verb(word, i),
        }
        true
    }

    /// Any other verb is the whole of its statement's summary.
    fn other_verb(&mut self, word: Kw, i: usize) -> bool {
        let inside = matches!(word, Kw::Case | Kw::Table | Kw::End | Kw::If | Kw::Analyze);
        let first = self.frame.op == Op::None
            && self.outline.operations() == 0
            && self.buffers.frames.is_empty();
        if !first || inside || !word.is(VERB) {
            return false;
        }
        self.start(Op::Done);
        self.add_operation(i);
        true
    }

    fn select(&mut self, i: usize) {
        self.descend();
        if self.at_main() {
            self.start_select(i);
            return;
        }
        match self.frame.op {
            Op::Select => {
                self.add_operation(i);
                let frame = &mut self.frame;
                frame.from_level = None;
                frame.tables = false;
                frame.joined = false;
                frame.names = 0;
                frame.alias = false;
                frame.alias_level = None;
            }
            Op::Insert => self.start_select(i),
            Op::Delete | Op::Update if self.frame.got => self.start_select(i),
            Op::Define => {
                self.frame.embedded = Some(self.level);
                self.frame.past_modifiers = true;
                self.add_operation(i);
            }
            _ => {}
        }
    }

    fn change(&mut self, word: Kw, i: usize) -> bool {
        if self.frame.op == Op::Bulk {
            self.add_word(i);
            self.frame.op = Op::Done;
            return true;
        }
        if !self.at_main() {
            return false;
        }
        self.start(match word {
            Kw::Insert => Op::Insert,
            Kw::Delete => Op::Delete,
            _ => Op::Update,
        });
        self.add_operation(i);
        true
    }

    fn from(&mut self, i: usize) {
        if self.frame.op == Op::None {
            // Some dialects let FROM begin the query.
            self.start(Op::Select);
            let upper = self.get(i).bytes(self.sql).first().is_some_and(u8::is_ascii_uppercase);
            let depth = self.buffers.frames.len();
            self.frame.operation =
                self.outline.named_operation(if upper { b"SELECT" } else { b"select" }, depth);
        }
        let level = self.level;
        let frame = &mut self.frame;
        match frame.op {
            Op::Select => {
                frame.tables = true;
                frame.from_level = Some(level);
                frame.names = 0;
                frame.alias = false;
            }
            Op::Delete => frame.expect = true,
            Op::Define => frame.embedded_from |= frame.embedded.is_some(),
            _ => {}
        }
    }

    /// A name in a place where it may be a target.
    fn target(&mut self, word: Kw, i: usize, end: usize) {
        let frame = &mut self.frame;
        match frame.op {
            Op::Select => self.table(i, end),
            Op::Insert | Op::Delete if frame.expect => {
                frame.expect = false;
                frame.got = true;
                self.add_target(i, end);
            }
            Op::Update if !frame.got => match word {
                Kw::LowPriority
                | Kw::Ignore
                | Kw::Or
                | Kw::Rollback
                | Kw::Abort
                | Kw::Replace
                | Kw::Fail
                | Kw::Top => {}
                _ => {
                    frame.got = word != Kw::Statistics;
                    self.add_target(i, end);
                }
            },
            Op::Direct if !frame.got => {
                frame.got = true;
                self.add_target(i, end);
            }
            Op::Call => self.called(word, i, end),
            Op::Define => self.defined(word, i, end),
            Op::Truncate | Op::Lock => {
                if word == Kw::Table || frame.op == Op::Lock && word == Kw::Tables {
                    if !frame.typed {
                        frame.typed = true;
                        self.add_word(i);
                    }
                } else if !frame.got {
                    frame.got = true;
                    self.add_target(i, end);
                }
            }
            Op::Transaction if word == Kw::Transaction && !frame.typed => {
                frame.typed = true;
                self.add_word(i);
            }
            Op::With if frame.expect => {
                frame.expect = false;
                let token = self.get(i);
                if self.buffers.names.len() < NAMES {
                    self.buffers.names.push((token.start, self.get(end - 1).end));
                }
            }
            Op::Object => {
                if !frame.typed && matches!(word, Kw::Database | Kw::Trigger) {
                    frame.typed = true;
                    frame.trigger = word == Kw::Trigger;
                    self.add_word(i);
                } else if frame.trigger && !frame.got {
                    frame.got = true;
                    self.add_target(i, end);
                }
            }
            _ => {}
        }
    }

    fn table(&mut self, i: usize, end: usize) {
        if self.frame.alias_level.is_some() || self.frame.alias {
            return;
        }
        self.frame.names += 1;
        if self.frame.names > 1 {
            return;
        }
        let common = (self.frame.joined || self.frame.tables) && self.is_common(i, end);
        if self.frame.joined {
            self.frame.joined = false;
            self.frame.names = 0;
            if !common {
                self.add_target(i, end);
            }
            return;
        }
        if self.frame.tables {
            self.frame.tables = false;
            if !common {
                self.add_target_of(self.frame.operation, i, end);
            }
        }
    }

    /// Whether the name is a common table expression's.
    fn is_common(&self, i: usize, end: usize) -> bool {
        let bytes =
            |from: u32, to: u32| self.sql.get(from as usize..to as usize).unwrap_or_default();
        let name = bytes(self.get(i).start, self.get(end - 1).end);
        self.buffers.names.iter().any(|&(from, to)| bytes(from, to).eq_ignore_ascii_case(name))
    }

    fn called(&mut self, word: Kw, i: usize, end: usize) {
        let frame = &mut self.frame;
        if frame.sequence {
            frame.sequence = false;
            frame.got = true;
            self.add_target(i, end);
        } else if !frame.got && !frame.next {
            frame.got = true;
            self.add_target(i, end);
        } else if frame.next && !frame.value && word == Kw::Value {
            frame.value = true;
        } else if frame.value && word == Kw::For {
            frame.sequence = true;
        }
    }

    fn defined(&mut self, word: Kw, i: usize, end: usize) {
        let frame = &mut self.frame;
        if frame.embedded.is_some() {
            if frame.embedded_from && frame.embedded == Some(self.level) {
                frame.embedded_from = false;
                self.add_target(i, end);
            }
            return;
        }
        if !frame.past_modifiers {
            if word.is(OBJECT) {
                frame.past_modifiers = true;
                self.add_word(i);
                return;
            }
            if word.is(MODIFIER) {
                return;
            }
            frame.past_modifiers = true;
        } else if word == Kw::Concurrently && !frame.got {
            return;
        }
        if !frame.got {
            frame.got = true;
            self.add_target(i, end);
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

fn simple(word: Kw) -> Op {
    match word {
        Kw::Truncate => Op::Truncate,
        Kw::Replace | Kw::Use => Op::Direct,
        Kw::Lock => Op::Lock,
        Kw::Begin | Kw::Commit | Kw::Rollback => Op::Transaction,
        Kw::Bulk => Op::Bulk,
        Kw::Backup | Kw::Restore | Kw::Enable | Kw::Disable => Op::Object,
        _ => Op::Done,
    }
}
