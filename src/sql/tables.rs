//! The tables a statement reads and writes: aliases resolved, common table expressions left out.
//!
//! One pass over the judged tokens, with a frame for each open bracket. A name is a table because of where it stands;
//! what the pass does not understand it leaves out. So it cannot fail, and needs no parser's stack: `docs/sql.md` says
//! why no syntax tree is built here. `tests/sql_ast.rs` compares it with sqlparser's trees.

use super::classes::at;
use super::dialect::Dialect;
use super::keywords::{Kw, RESERVED, VERB, word_is};
use super::render::{as_str, push_clean};
use super::token::{Fate, Kind, Token};
use super::verdict::Rules;
use super::{Scratch, read};
use std::borrow::Cow;

/// The tables of a statement, each once, in the order in which they were met, without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Tables the statement reads.
    pub reads: Vec<Box<str>>,
    /// Tables the statement changes.
    pub writes: Vec<Box<str>>,
}

/// Brackets deeper than this are looked past.
const DEPTH: usize = 64;
/// Tables, aliases and common table expressions remembered of one statement, each.
const NAMES: usize = 64;

/// The tables that a statement, or each of several, reads and changes.
#[must_use]
pub fn tables(scratch: &mut Scratch, sql: &[u8], dialect: Dialect, truncated: bool) -> Tables {
    let Scratch { tokens, inner, .. } = scratch;
    let sql = read(sql, dialect, truncated, Rules::CANONICAL, tokens, inner);
    let mut pass = Pass { sql, tokens, dialect, ..Pass::default() };
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        i = pass.step(i, *token);
    }
    pass.end_statement();
    pass.found
}

/// What a statement, or the query in a bracket, does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Op {
    /// Nothing yet. A bracket that holds no query stays so.
    #[default]
    None,
    With,
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Truncate,
    /// CREATE and ALTER: a target follows TABLE and VIEW.
    Define,
    /// The same, and more targets may follow.
    Drop,
    /// A statement without tables, or one that is not understood.
    Rest,
}

/// What the next name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Other,
    /// A table that is changed.
    Target,
    /// A table that is read.
    Source,
    /// The alias of the table before it.
    Alias,
    /// A common table expression's name.
    Common,
}

#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    op: Op,
    next: Next,
    /// In a list of tables: behind a comma comes another one.
    list: bool,
    /// DELETE's FROM was seen.
    from: bool,
}

/// A table that is changed.
struct Target {
    name: String,
    stands_for: StandsFor,
}

/// What a target's name may be besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StandsFor {
    Itself,
    /// `UPDATE u SET a = ? FROM users u`
    Alias,
    /// One of the sources, or an alias: `DELETE u, bans FROM users u JOIN bans`.
    Source,
}

#[derive(Default)]
struct Pass<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    dialect: Dialect,
    frame: Frame,
    outer: Vec<Frame>,
    /// Brackets open beyond [`DEPTH`].
    beyond: usize,
    sources: Vec<String>,
    targets: Vec<Target>,
    /// Aliases of tables, and what they stand for.
    aliases: Vec<(String, String)>,
    common: Vec<String>,
    /// The table an alias would belong to.
    last: String,
    found: Tables,
}

impl Pass<'_> {
    fn get(&self, at: usize) -> Token {
        self.tokens.get(at).copied().unwrap_or(Token::END)
    }

    fn step(&mut self, i: usize, token: Token) -> usize {
        if matches!(token.fate, Fate::Gone | Fate::Drop) {
            return i + 1;
        }
        match (token.kind, token.code) {
            (Kind::Punct, b'(') => self.open(i),
            (Kind::Punct, b')') => self.close(),
            _ if self.beyond > 0 => {}
            (Kind::Punct, b';') => self.end_statement(),
            (Kind::Punct, b',') => self.comma(),
            _ if token.fate == Fate::Mask || token.kind == Kind::Param => self.placed(),
            (Kind::Word | Kind::Quoted, _) => return self.name(i, token),
            _ => {}
        }
        i + 1
    }

    fn open(&mut self, i: usize) {
        if self.outer.len() >= DEPTH || self.beyond > 0 {
            self.beyond += 1;
            return;
        }
        let query = matches!(self.get(i + 1).word(), Kw::Select | Kw::With | Kw::Values);
        let mut inner = Frame::default();
        if self.frame.next == Next::Source {
            if !query {
                // FROM (a JOIN b ON ...)
                inner = Frame { op: Op::Select, next: Next::Source, list: true, from: false };
            }
            self.last.clear();
            self.frame.next = Next::Alias;
        }
        self.outer.push(self.frame);
        self.frame = inner;
    }

    fn close(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if let Some(outer) = self.outer.pop() {
            self.frame = outer;
            // An alias behind it is not one of a table inside of it.
            self.last.clear();
        }
    }

    fn comma(&mut self) {
        let frame = &mut self.frame;
        match frame.op {
            Op::With => frame.next = Next::Common,
            Op::Delete if !frame.from => frame.next = Next::Target,
            Op::Truncate | Op::Drop if frame.list => frame.next = Next::Target,
            _ if frame.list => frame.next = Next::Source,
            _ => {}
        }
    }

    /// Something stands where a table would, and is none.
    fn placed(&mut self) {
        if matches!(self.frame.next, Next::Source | Next::Target) {
            self.frame.next = Next::Other;
        }
    }

    /// A keyword, or a name with its dotted parts.
    fn name(&mut self, i: usize, token: Token) -> usize {
        let mut end = i + 1;
        while self.get(end).is_punct(b'.') {
            let dots = 1 + usize::from(self.get(end + 1).is_punct(b'.'));
            let part = self.get(end + dots);
            if !part.is_name() || part.fate != Fate::Keep {
                break;
            }
            end += dots + 1;
        }
        let link = self.get(end);
        if link.kind == Kind::Param
            && at(self.sql, link.start as usize) == b'@'
            && link.touches(&token)
        {
            // Oracle's table@link
            end += 1;
        }
        let word = if end == i + 1 { token.word() } else { Kw::None };
        if word == Kw::None || !self.keyword(word, i) {
            self.plain(word, i, end);
        }
        end
    }

    /// Takes a keyword for what it does; false when it may be a name.
    fn keyword(&mut self, word: Kw, i: usize) -> bool {
        let first = matches!(self.frame.op, Op::None | Op::With);
        // LEFT(a, 2), REPLACE(a, b, c), INSERT(...), a function's DELETE
        let called = self.get(i + 1).is_punct(b'(');
        match word {
            Kw::Select if self.frame.op != Op::Rest => {
                // Also behind INSERT, UNION and CREATE TABLE ... AS.
                self.frame = Frame { op: Op::Select, ..Frame::default() };
            }
            Kw::With if self.frame.op == Op::None => self.begin(Op::With, Next::Common),
            Kw::Insert | Kw::Replace if first && !called => self.begin(Op::Insert, Next::Target),
            Kw::Update if first => {
                self.begin(Op::Update, Next::Target);
                self.frame.list = true;
            }
            Kw::Delete if first => self.begin(Op::Delete, Next::Target),
            Kw::Merge if first => self.begin(Op::Merge, Next::Target),
            Kw::Truncate if first && !called => {
                self.begin(Op::Truncate, Next::Target);
                self.frame.list = true;
            }
            Kw::Create | Kw::Alter if first => self.begin(Op::Define, Next::Other),
            Kw::Drop if first => self.begin(Op::Drop, Next::Other),
            Kw::Table | Kw::View if matches!(self.frame.op, Op::Define | Op::Drop) => {
                if self.frame.next == Next::Target {
                    return false;
                }
                if self.targets.is_empty() {
                    self.frame.next = Next::Target;
                    self.frame.list = self.frame.op == Op::Drop;
                }
            }
            Kw::From => self.from(i),
            Kw::Using => self.using(),
            Kw::Join | Kw::Apply => self.read_next(),
            Kw::Into => self.into(),
            Kw::As | Kw::Only | Kw::Lateral | Kw::Recursive | Kw::Table => {}
            Kw::Left | Kw::Right if called => return false,
            Kw::If | Kw::Not | Kw::Exists if matches!(self.frame.op, Op::Define | Op::Drop) => {}
            Kw::Or
            | Kw::Ignore
            | Kw::LowPriority
            | Kw::Rollback
            | Kw::Abort
            | Kw::Replace
            | Kw::Fail
            | Kw::Top
                if self.frame.next == Next::Target => {}
            Kw::Where
            | Kw::Set
            | Kw::Group
            | Kw::Order
            | Kw::Having
            | Kw::Limit
            | Kw::Window
            | Kw::Values
            | Kw::Returning
            | Kw::Fetch
            | Kw::For
            | Kw::Offset
            | Kw::When
            | Kw::Union
            | Kw::Intersect
            | Kw::Except
            | Kw::Minus
                if self.frame.op != Op::None =>
            {
                self.clause();
            }

            Kw::On
            | Kw::Inner
            | Kw::Outer
            | Kw::Left
            | Kw::Right
            | Kw::Full
            | Kw::Cross
            | Kw::Natural
            | Kw::With
            | Kw::Partition
            | Kw::Use
            | Kw::Force => {
                if !matches!(self.frame.next, Next::Source | Next::Target) {
                    self.frame.next = Next::Other;
                    return true;
                }
                return false;
            }
            // What follows these is a statement.
            Kw::Explain | Kw::Describe | Kw::Desc | Kw::Analyze | Kw::Begin => return false,
            _ => {
                if self.frame.op == Op::None && self.outer.is_empty() && word.is(VERB) {
                    self.begin(Op::Rest, Next::Other);
                }
                return false;
            }
        }
        true
    }

    fn begin(&mut self, op: Op, next: Next) {
        self.frame = Frame { op, next, ..Frame::default() };
    }

    /// The list of tables is over.
    fn clause(&mut self) {
        self.frame.next = Next::Other;
        self.frame.list = false;
    }

    fn read_next(&mut self) {
        if matches!(self.frame.op, Op::Select | Op::Update | Op::Delete | Op::Merge) {
            self.frame.next = Next::Source;
        }
    }

    fn from(&mut self, i: usize) {
        let before = i.checked_sub(1).map_or(Kw::None, |before| self.get(before).word());
        if before == Kw::Distinct {
            // IS DISTINCT FROM
            return;
        }
        match self.frame.op {
            Op::None if self.outer.is_empty() => {
                self.frame = Frame { op: Op::Select, next: Next::Source, list: true, from: false };
            }
            Op::Delete => {
                // DELETE a, b FROM tables a JOIN others b
                let named = self.frame.next != Next::Target;
                self.frame.from = true;
                if named {
                    (self.frame.next, self.frame.list) = (Next::Source, true);
                }
            }
            Op::Select | Op::Update | Op::Merge => {
                (self.frame.next, self.frame.list) = (Next::Source, true);
            }
            _ => {}
        }
    }

    fn using(&mut self) {
        match self.frame.op {
            Op::Delete | Op::Merge => (self.frame.next, self.frame.list) = (Next::Source, true),
            // JOIN ... USING (id)
            _ => self.frame.next = Next::Other,
        }
    }

    fn into(&mut self) {
        let variables = matches!(self.dialect, Dialect::MySql | Dialect::Oracle);
        if self.frame.op == Op::Select && !variables {
            // SELECT a INTO new FROM old
            self.frame.next = Next::Target;
        }
    }

    /// A name that is no keyword here.
    fn plain(&mut self, word: Kw, i: usize, end: usize) {
        if self.frame.list && is_straight_join(self.sql, self.get(i)) {
            self.read_next();
            return;
        }
        let called = self.get(end).is_punct(b'(');
        match self.frame.next {
            Next::Common => {
                let name = self.text(i, end);
                if self.common.len() < NAMES {
                    self.common.push(name);
                }
                self.frame.next = Next::Other;
            }
            Next::Source if called => {
                // A function that gives rows.
                self.last.clear();
                self.frame.next = Next::Alias;
            }
            Next::Source => {
                let name = self.text(i, end);
                self.last.clone_from(&name);
                self.frame.next = Next::Alias;
                let common = self.common.iter().any(|known| known.eq_ignore_ascii_case(&name));
                if !common && self.sources.len() < NAMES {
                    self.sources.push(name);
                }
            }
            Next::Target => {
                let name = self.text(i, end);
                self.last.clone_from(&name);
                self.frame.next = Next::Alias;
                let stands_for = match self.frame.op {
                    Op::Update => StandsFor::Alias,
                    Op::Delete if !self.frame.from => StandsFor::Source,
                    _ => StandsFor::Itself,
                };
                if self.targets.len() < NAMES {
                    self.targets.push(Target { name, stands_for });
                }
            }
            Next::Alias => {
                self.frame.next = Next::Other;
                if !self.last.is_empty() && !word.is(RESERVED) {
                    let alias = self.text(i, end);
                    if self.aliases.len() < NAMES {
                        self.aliases.push((alias, std::mem::take(&mut self.last)));
                    }
                }
            }
            Next::Other => {}
        }
    }

    /// A name without its quotes, its parts joined with dots.
    fn text(&self, i: usize, end: usize) -> String {
        let mut bytes = Vec::new();
        for token in self.tokens.get(i..end).unwrap_or_default() {
            match token.bytes(self.sql) {
                [_, inside @ .., quote] if token.kind == Kind::Quoted => {
                    push_clean(&halved(inside, *quote), &mut bytes);
                }
                bare => push_clean(bare, &mut bytes),
            }
        }
        as_str(&bytes).to_owned()
    }

    fn end_statement(&mut self) {
        let mut targets = std::mem::take(&mut self.targets);
        for target in &mut targets {
            let known = |(alias, _): &&(String, String)| alias.eq_ignore_ascii_case(&target.name);
            let aliased = self.aliases.iter().find(known).map(|(_, table)| table.clone());
            let source = match target.stands_for {
                StandsFor::Itself => continue,
                StandsFor::Alias => aliased,
                StandsFor::Source => aliased.or_else(|| Some(target.name.clone())),
            };
            let Some(source) = source else { continue };
            // It is named among the sources, but only to be changed.
            if let Some(at) = self.sources.iter().position(|name| *name == source) {
                self.sources.remove(at);
            }
            target.name = source;
        }
        self.sources.iter().for_each(|name| add(&mut self.found.reads, name));
        targets.iter().for_each(|target| add(&mut self.found.writes, &target.name));
        self.sources.clear();
        self.aliases.clear();
        self.common.clear();
        self.last.clear();
        self.outer.clear();
        self.frame = Frame::default();
    }
}

/// A quoted name's inside, where the quote itself is written twice.
fn halved(inside: &[u8], quote: u8) -> Cow<'_, [u8]> {
    if !inside.contains(&quote) {
        return Cow::Borrowed(inside);
    }
    let mut bytes = inside.iter().copied().peekable();
    let once = std::iter::from_fn(|| {
        let byte = bytes.next()?;
        if byte == quote {
            bytes.next_if_eq(&quote);
        }
        Some(byte)
    });
    Cow::Owned(once.collect())
}

/// MySQL's other word for JOIN.
fn is_straight_join(sql: &[u8], token: Token) -> bool {
    token.kind == Kind::Word
        && word_is(sql, token.start as usize, token.end as usize, b"STRAIGHT_JOIN")
}

fn add(names: &mut Vec<Box<str>>, name: &str) {
    if !names.iter().any(|known| **known == *name) {
        names.push(name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_are_told_apart() {
        for (sql, dialect, reads, writes) in [
            (
                "SELECT * FROM users u JOIN public.orders AS o ON u.id = o.user_id WHERE u.id = ?",
                Dialect::Postgres,
                "users public.orders",
                "",
            ),
            (
                "WITH recent AS (SELECT * FROM events WHERE at > ?) SELECT * FROM recent, \"app\".\"Users\"",
                Dialect::Postgres,
                "events app.Users",
                "",
            ),
            (
                "INSERT INTO log (a, b) SELECT a, b FROM source WHERE c = ?",
                Dialect::Postgres,
                "source",
                "log",
            ),
            ("INSERT INTO log SELECT a FROM log", Dialect::MySql, "log", "log"),
            (
                "UPDATE users SET name = ? WHERE id IN (SELECT user_id FROM bans)",
                Dialect::MySql,
                "bans",
                "users",
            ),
            ("DELETE FROM users WHERE id = ?", Dialect::Sqlite, "", "users"),
            (
                "DELETE u FROM users u JOIN bans b ON b.user_id = u.id",
                Dialect::MySql,
                "bans",
                "users",
            ),
            (
                "MERGE INTO stock AS s USING news AS n ON s.id = n.id WHEN MATCHED THEN UPDATE SET a = ?",
                Dialect::MsSql,
                "news",
                "stock",
            ),
            ("REPLACE INTO users (id) VALUES (?)", Dialect::MySql, "", "users"),
            ("SELECT [a b] FROM [dbo].[users] u; DELETE FROM t", Dialect::MsSql, "dbo.users", "t"),
            (
                "WITH moved AS (DELETE FROM a WHERE b = ? RETURNING *) INSERT INTO c SELECT * FROM moved",
                Dialect::Postgres,
                "",
                "a c",
            ),
            (
                "SELECT a FROM t WHERE EXISTS (SELECT ? FROM s WHERE s.id = t.id)",
                Dialect::Oracle,
                "t s",
                "",
            ),
            ("SELECT extract(year FROM at), trim(BOTH FROM a) FROM t", Dialect::Postgres, "t", ""),
            ("SELECT a FROM t WHERE a IS DISTINCT FROM b FOR UPDATE", Dialect::Postgres, "t", ""),
            ("INSERT INTO t (a) VALUES (?) ON DUPLICATE KEY UPDATE a = ?", Dialect::MySql, "", "t"),
            (
                "SELECT a FROM (SELECT b FROM s) x, generate_series(?) g, t",
                Dialect::Postgres,
                "s t",
                "",
            ),
            ("UPDATE u SET a = ? FROM users u, bans WHERE b = ?", Dialect::MsSql, "bans", "users"),
            ("DELETE FROM a USING b, c WHERE d = ?", Dialect::Postgres, "b c", "a"),
            ("SELECT a FROM x STRAIGHT_JOIN y ON b = c, z", Dialect::MySql, "x y z", ""),
            ("SELECT a INTO fresh FROM old", Dialect::MsSql, "old", "fresh"),
            ("CREATE TABLE IF NOT EXISTS a AS SELECT * FROM b", Dialect::Postgres, "b", "a"),
            ("TRUNCATE TABLE a, b", Dialect::Postgres, "", "a b"),
            ("SELECT", Dialect::Generic, "", ""),
        ] {
            let found = tables(&mut Scratch::default(), sql.as_bytes(), dialect, false);
            let lists = (found.reads.join(" "), found.writes.join(" "));
            assert_eq!(lists, (reads.to_owned(), writes.to_owned()), "{sql}");
        }
    }

    #[test]
    fn depth_and_length_do_not_matter() {
        let mut scratch = Scratch::default();
        for deep in ["(", "SELECT a FROM (", "WITH a AS (", "a, ", "FROM a, "] {
            let sql = deep.repeat(10_000);
            let found = tables(&mut scratch, sql.as_bytes(), Dialect::Generic, false);
            assert!(found.reads.len() <= NAMES, "{deep}");
        }
    }
}
