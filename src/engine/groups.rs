use super::call_group::{CallKind, SubjectKey};
use super::live::LiveMinute;
use super::operation::{OTHER, OpId, Operations, SpanKind, split};
use super::request::{Request, SpanRow, Subject};
use super::stats::EngineStats;
use super::tag::{KnownTag, StoredTag, TagKeys};
use super::trace::Scalar;
use crate::sql::Statement;
use std::sync::Arc;

/// Finds the figures that database and external calls belong to.
pub(super) struct Groups<'e> {
    pub operations: &'e Operations,
    pub keys: &'e TagKeys,
    pub stats: &'e mut EngineStats,
    pub live: &'e mut LiveMinute,
    pub endpoint: u32,
    pub request: u64,
}

impl Groups<'_> {
    /// Counts a span's call, if it is one; gives its group if it is the request's first in it.
    #[inline]
    pub(super) fn count(
        &mut self,
        request: &Request,
        row: &SpanRow,
        kind: SpanKind,
    ) -> Option<u32> {
        match row.subject {
            Subject::Host(host) => {
                let calls = self.live.host_calls(self.endpoint, host, self.request, self.stats)?;
                calls.calls.record_value(row.duration);
                calls.histogram.record(row.duration);
                None
            }
            Subject::None if !kind.is_database() => None,
            _ => {
                let keys = self.keys;
                let statement = request.statement(row);
                let hash = if statement.is_none() { query_hash(request, keys, row) } else { 0 };
                let group =
                    self.find(row.op, kind, statement, hash, || tagged_query(request, keys, row));
                let rows = rows_of(request, keys, row);
                self.live.call(group, statement, self.request, row.duration, rows).then_some(group)
            }
        }
    }

    /// The group of database calls with this operation and statement.
    #[inline]
    pub(super) fn find(
        &mut self,
        op: OpId,
        kind: SpanKind,
        statement: Option<&Arc<Statement>>,
        query_hash: u64,
        tagged: impl FnOnce() -> Option<TaggedQuery>,
    ) -> u32 {
        let operations = self.operations;
        let key = match statement {
            Some(statement) => {
                let named = (kind == SpanKind::ActiveRecord).then_some(op);
                SubjectKey::statement(statement.fingerprint, named)
            }
            None => SubjectKey::operation(op, query_hash),
        };
        let describe = || {
            let (model, operation) = match statement {
                Some(statement) if kind != SpanKind::ActiveRecord => {
                    let model = if statement.model.is_empty() { "SQL" } else { &statement.model };
                    (model.into(), (&*statement.verb).into())
                }
                _ => tagged().unwrap_or_else(|| query_of(operations.text(op))),
            };
            CallKind { statement: statement.cloned(), model, operation }
        };
        self.live.call_group(self.endpoint, key, describe, self.stats)
    }
}

/// Model and operation from an operation's name, `ActiveRecord/User/find`.
fn query_of(operation: &str) -> (Box<str>, Box<str>) {
    let name = split(operation).1;
    let mut parts = name.split('/');
    match (parts.next(), parts.next()) {
        (Some("Query" | "Many" | "SQL" | "") | None, _) => ("SQL".into(), OTHER.into()),
        (Some(model), operation) => (model.into(), operation.unwrap_or(OTHER).into()),
    }
}

/// Model and operation.
pub(super) type TaggedQuery = (Box<str>, Box<str>);

/// A hash of the tags that name a span's model and operation; 0 where there are none.
#[inline]
pub(super) fn query_hash(request: &Request, keys: &TagKeys, row: &SpanRow) -> u64 {
    let named =
        |tag: &&StoredTag| matches!(keys.known(tag.key), KnownTag::DbModel | KnownTag::DbOperation);
    let mut hash = 0_u64;
    for tag in request.tags_of(row).iter().filter(named) {
        let which = u64::from(keys.known(tag.key) == KnownTag::DbModel);
        hash = keys.hash().word(hash ^ keys.hash().bytes(request.text(Some(tag.value))) ^ which);
    }
    hash
}

/// Model and operation from the tags of a span that has no statement.
pub(super) fn tagged_query(
    request: &Request,
    keys: &TagKeys,
    row: &SpanRow,
) -> Option<TaggedQuery> {
    let of = |known| {
        let tags = request.tags_of(row);
        let tag = tags.iter().find(|tag| keys.known(tag.key) == known)?;
        let Scalar::Str(text) = request.scalar(tag.value) else { return None };
        // A name, not a statement that someone put there.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        (text.len() <= 64 && !text.is_empty() && text.chars().all(is_name)).then_some(text)
    };
    let model = of(KnownTag::DbModel);
    let operation = of(KnownTag::DbOperation).map(|text| text.to_lowercase());
    if model.is_none() && operation.is_none() {
        return None;
    }
    Some((
        model.map_or("SQL".into(), String::into_boxed_str),
        operation.map_or(OTHER.into(), String::into_boxed_str),
    ))
}

/// Rows a span read.
pub(super) fn rows_of(request: &Request, keys: &TagKeys, row: &SpanRow) -> u64 {
    request
        .tags_of(row)
        .iter()
        .find(|tag| keys.known(tag.key) == KnownTag::Rows)
        .and_then(|tag| request.number(tag.value))
        .map_or(0, |rows| rows as u64)
}
