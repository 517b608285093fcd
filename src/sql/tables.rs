//! The tables a statement reads and writes, from sqlparser's AST: aliases resolved, common table expressions left out.
//!
//! A recursive parser can be made to overflow any stack, even when it only drops what it has parsed, and no unwinding
//! helps. So this is for the core's own thread, for the few statements of slow traces, on sanitised text, and under caps:
//! nothing that passes them needs more than a small part of [`TABLES_STACK`], which a test proves for each recursive
//! construct. Nothing is named after what is found here.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Delete, FromTable, ObjectName, Query, Statement as Ast, TableFactor, TableObject,
    TableWithJoins, Visit, Visitor,
};
use sqlparser::dialect as parsers;
use sqlparser::parser::Parser;

use super::Scratch;
use super::dialect::Dialect;
use super::lexer;
use super::token::{Kind, Token};

/// The stack of the thread that calls [`tables`].
pub const TABLES_STACK: usize = 32 * 1024 * 1024;

const MAX_BYTES: usize = 4 * 1024;
const MAX_TOKENS: usize = 400;
const MAX_BRACKETS: usize = 32;
const MAX_OPERATORS: usize = 200;
/// sqlparser's own bound on the depth of expressions and queries.
const MAX_DEPTH: usize = 50;

/// The tables of a statement, each once, in the order in which they were met, without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Tables the statement reads.
    pub reads: Vec<Box<str>>,
    /// Tables the statement changes.
    pub writes: Vec<Box<str>>,
}

/// The tables of a statement, given its sanitised text. `None` when the text is over the caps or the parser does not know
/// it; why is not said, since the parser's messages quote what they read. Call it on a thread with [`TABLES_STACK`].
pub fn tables(scratch: &mut Scratch, text: &str, dialect: Dialect) -> Option<Tables> {
    if !within_caps(&mut scratch.tokens, text, dialect) {
        return None;
    }
    let parser: &dyn parsers::Dialect = match dialect {
        Dialect::MySql => &parsers::MySqlDialect {},
        Dialect::MsSql => &parsers::MsSqlDialect {},
        Dialect::Sqlite => &parsers::SQLiteDialect {},
        Dialect::Oracle => &parsers::OracleDialect {},
        // To sqlparser's PostgreSQL a `?` is an operator; to its generic dialect, the placeholder that sanitising left.
        Dialect::Postgres | Dialect::Generic | Dialect::Cassandra => &parsers::GenericDialect {},
    };
    let statements = Parser::new(parser)
        .with_recursion_limit(MAX_DEPTH)
        .try_with_sql(text)
        .ok()?
        .parse_statements()
        .ok()?;
    let mut finder = Finder::default();
    for statement in &statements {
        let _ = statement.visit(&mut finder);
        finder.statement(statement);
    }
    Some(finder.tables())
}

/// Whether the text is small and flat enough for the parser.
fn within_caps(tokens: &mut Vec<Token>, text: &str, dialect: Dialect) -> bool {
    if text.len() > MAX_BYTES {
        return false;
    }
    lexer::lex(text.as_bytes(), dialect, false, tokens);
    if tokens.len() > MAX_TOKENS {
        return false;
    }
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    for token in tokens.iter() {
        match (token.kind, token.code) {
            (Kind::Punct, b'(' | b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (Kind::Punct, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            (Kind::Operator, _) => operators += 1,
            _ => {}
        }
    }
    deepest <= MAX_BRACKETS && operators <= MAX_OPERATORS
}

/// A table's name without quotes, its parts joined with dots.
fn name(object: &ObjectName) -> String {
    let parts: Vec<String> = object
        .0
        .iter()
        .map(|part| part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone()))
        .collect();
    parts.join(".")
}

#[derive(Default)]
struct Finder {
    relations: Vec<String>,
    writes: Vec<String>,
    /// Common table expressions.
    common: Vec<String>,
    /// Aliases and what they stand for.
    aliases: Vec<(String, String)>,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for common in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.common.push(common.alias.name.value.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.relations.push(name(relation));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name: table, alias: Some(alias), .. } = factor {
            self.aliases.push((alias.name.value.clone(), name(table)));
        }
        ControlFlow::Continue(())
    }
}

impl Finder {
    /// What a statement writes to.
    fn statement(&mut self, statement: &Ast) {
        match statement {
            Ast::Insert(insert) => {
                if let TableObject::TableName(table) = &insert.table {
                    self.write(table);
                }
            }
            Ast::Update(update) => self.write_first(std::slice::from_ref(&update.table)),
            Ast::Delete(delete) => self.delete(delete),
            Ast::Merge(merge) => self.write_factor(&merge.table),
            Ast::Truncate(truncate) => {
                for target in &truncate.table_names {
                    self.write(&target.name);
                }
            }
            Ast::CreateTable(create) => self.write(&create.name),
            Ast::CreateView(create) => self.write(&create.name),
            Ast::AlterTable(alter) => self.write(&alter.name),
            _ => {}
        }
    }

    fn delete(&mut self, delete: &Delete) {
        if delete.tables.is_empty() {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            self.write_first(from);
        }
        // MySQL: DELETE a, b FROM tables a JOIN others b
        delete.tables.iter().for_each(|table| self.write(table));
    }

    fn write_first(&mut self, tables: &[TableWithJoins]) {
        if let Some(table) = tables.first() {
            self.write_factor(&table.relation);
        }
    }

    fn write_factor(&mut self, factor: &TableFactor) {
        if let TableFactor::Table { name, .. } = factor {
            self.write(name);
        }
    }

    fn write(&mut self, table: &ObjectName) {
        self.writes.push(name(table));
    }

    fn tables(self) -> Tables {
        let Finder { relations, writes, common, aliases } = self;
        let resolve = |name: String| {
            let real = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&name));
            real.map_or(name, |(_, table)| table.clone())
        };
        let writes: Vec<String> = writes.into_iter().map(resolve).collect();
        let mut tables = Tables::default();
        // A relation is met once for being written and once more for each time it is read.
        let mut met: Vec<&str> = writes.iter().map(String::as_str).collect();
        for relation in &relations {
            if let Some(written) = met.iter().position(|name| *name == relation) {
                met.swap_remove(written);
            } else if !common.iter().any(|name| name.eq_ignore_ascii_case(relation))
                && (writes.is_empty() || !aliases.iter().any(|(alias, _)| alias == relation))
            {
                add(&mut tables.reads, relation);
            }
        }
        writes.iter().for_each(|table| add(&mut tables.writes, table));
        tables
    }
}

fn add(names: &mut Vec<Box<str>>, name: &str) {
    if !names.iter().any(|known| **known == *name) {
        names.push(name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str, dialect: Dialect) -> (String, String) {
        let sql = sql.to_owned();
        std::thread::Builder::new()
            .stack_size(TABLES_STACK)
            .spawn(move || {
                let mut scratch = Scratch::default();
                let found = tables(&mut scratch, &sql, dialect)
                    .unwrap_or_else(|| panic!("not parsed: {sql}"));
                (found.reads.join(" "), found.writes.join(" "))
            })
            .unwrap()
            .join()
            .unwrap()
    }

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
                "WITH recent AS (SELECT * FROM events WHERE at > ?) SELECT * FROM recent, \"Users\"",
                Dialect::Postgres,
                "events Users",
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
            ("TRUNCATE TABLE users", Dialect::Postgres, "", "users"),
            (
                "SELECT a FROM t WHERE EXISTS (SELECT ? FROM s WHERE s.id = t.id)",
                Dialect::Oracle,
                "t s",
                "",
            ),
        ] {
            assert_eq!(of(sql, dialect), (reads.to_owned(), writes.to_owned()), "{sql}");
        }
    }

    #[test]
    fn what_is_over_the_caps_is_not_parsed() {
        let mut scratch = Scratch::default();
        for sql in [
            format!("SELECT {} FROM t", "a, ".repeat(MAX_TOKENS)),
            format!(
                "SELECT {}?{} FROM t",
                "(".repeat(MAX_BRACKETS + 1),
                ")".repeat(MAX_BRACKETS + 1)
            ),
            format!("SELECT ?{} FROM t", "-?".repeat(MAX_OPERATORS + 1)),
            format!("SELECT {} FROM t", "a".repeat(MAX_BYTES)),
        ] {
            assert_eq!(tables(&mut scratch, &sql, Dialect::Generic), None);
        }
        assert_eq!(tables(&mut scratch, "SELECT * FROM", Dialect::Generic), None);
    }
}
