//! Which words of a statement begin an operation, and what they make of the words behind them.

use super::keywords::{Kw, VERB};
use super::summary::{Op, Pass};

impl Pass<'_> {
    /// Takes a keyword for what it does; false when it is a name like others here.
    pub(super) fn keyword(&mut self, word: Kw, i: usize, end: usize) -> bool {
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
        // WITH gone AS (DELETE FROM ... RETURNING *)
        self.descend();
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
