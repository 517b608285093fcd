//! Which names of a statement are the targets of its operations.

use super::keywords::{Kw, MODIFIER, OBJECT};
use super::summary::{NAMES, Op, Pass};

impl Pass<'_> {
    /// A name in a place where it may be a target.
    pub(super) fn target(&mut self, word: Kw, i: usize, end: usize) {
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
}
