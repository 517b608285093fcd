use super::call_group::{CallKind, SubjectKey};
use super::live::LiveMinute;
use super::operation::{OTHER, OpId, Operations, SpanKind, split};
use super::request::{FoldedSpans, FoldedSubject, Request, SpanRow, Subject};
use super::stats::EngineStats;
use super::tag::{KnownTag, TagKeys};
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

    /// As [`Groups::count`], for calls of which only sums are known.
    #[cold]
    pub(super) fn count_folded(&mut self, folded: &FoldedSpans, kind: SpanKind) -> Option<u32> {
        let (group, statement) = match &folded.subject {
            FoldedSubject::None => return None,
            FoldedSubject::Host(host) => {
                let calls = self.live.host_calls(self.endpoint, *host, self.request, self.stats)?;
                calls.calls.add(&folded.calls);
                calls.histogram.merge(&folded.histogram);
                return None;
            }
            FoldedSubject::OtherStatements => {
                (self.live.other_calls(self.endpoint, self.stats), None)
            }
            FoldedSubject::Call { statement, tagged } => {
                let statement = statement.as_ref();
                let group =
                    self.find(folded.op, kind, statement, folded.query_hash, || tagged.clone());
                (group, statement)
            }
        };
        self.live.add_calls(group, self.request, statement, folded).then_some(group)
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
            // Calls of one group are of one query, whichever came first.
            Some(statement) if kind == SpanKind::ActiveRecord => {
                SubjectKey::statement(statement.fingerprint, Some(op))
            }
            Some(statement) => SubjectKey::statement(statement.fingerprint ^ statement.names, None),
            None => SubjectKey::operation(op, query_hash),
        };
        let describe = || {
            let (model, operation) = match statement {
                Some(statement) if kind != SpanKind::ActiveRecord => {
                    let model = if statement.model.is_empty() { "SQL" } else { &statement.model };
                    (model.into(), (&*statement.verb).into())
                }
                Some(_) => query_of(operations.text(op)),
                None => tagged().unwrap_or_else(|| query_of(operations.text(op))),
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

/// A hash of what [`tagged_query`] finds; 0 for nothing.
#[inline]
pub(super) fn query_hash(request: &Request, keys: &TagKeys, row: &SpanRow) -> u64 {
    let (model, operation) = named(request, keys, row);
    if model.is_none() && operation.is_none() {
        return 0;
    }
    let mut lower = [0_u8; LONGEST_NAME];
    let operation = operation.unwrap_or_default();
    for (to, from) in lower.iter_mut().zip(operation) {
        *to = from.to_ascii_lowercase();
    }
    let operation = lower.get(..operation.len()).unwrap_or_default();
    let hash = keys.hash();
    hash.word(hash.bytes(model.unwrap_or_default()) ^ hash.bytes(operation).rotate_left(1))
}

/// Model and operation from the tags of a span that has no statement.
pub(super) fn tagged_query(
    request: &Request,
    keys: &TagKeys,
    row: &SpanRow,
) -> Option<TaggedQuery> {
    let (model, operation) = named(request, keys, row);
    if model.is_none() && operation.is_none() {
        return None;
    }
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    Some((
        model.map_or("SQL".into(), |name| text(name).into()),
        operation.map_or(OTHER.into(), |name| text(name).to_ascii_lowercase().into()),
    ))
}

/// The longest name of a model or an operation in a tag, in bytes.
const LONGEST_NAME: usize = 64;

/// What a span's tags name as its model and its operation: names, not a statement that someone put
/// there.
#[inline]
fn named<'r>(
    request: &'r Request,
    keys: &TagKeys,
    row: &SpanRow,
) -> (Option<&'r [u8]>, Option<&'r [u8]>) {
    let of = |known| {
        let tag = request.tags_of(row).iter().find(|tag| keys.known(tag.key) == known)?;
        let text = request.text(Some(tag.value));
        let is_name = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b':' | b'.');
        let fits = !text.is_empty() && text.len() <= LONGEST_NAME && text.iter().all(is_name);
        fits.then_some(text)
    };
    (of(KnownTag::DbModel), of(KnownTag::DbOperation))
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
