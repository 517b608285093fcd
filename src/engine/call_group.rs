use super::calls::CallStats;
use super::histogram::LiveHistogram;
use super::live::{LATE, LiveMinute};
use super::operation::{OTHER, OpId};
use super::request::FoldedSpans;
use super::stats::EngineStats;
use crate::sql::Statement;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The most bytes of statements a minute holds.
const MAX_STATEMENT_BYTES: usize = 8 << 20;

/// What calls are grouped by, in an endpoint.
///
/// Plain words, not an enum: this is looked up and compared for every database call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubjectKey {
    /// A statement's fingerprint, or a hash of what tags named.
    what: u64,
    /// An operation's number, or [`NO_OPERATION`].
    operation: u32,
    kind: u32,
}

const NO_OPERATION: u32 = u32::MAX;
const STATEMENT: u32 = 0;
const OPERATION: u32 = 1;
const OTHERS: u32 = 2;

impl SubjectKey {
    /// All further ones.
    pub(crate) const OTHER: SubjectKey =
        SubjectKey { what: u64::MAX, operation: NO_OPERATION, kind: OTHERS };

    /// A statement, and the operation if that says more than `SQL/Query`.
    #[inline]
    pub(crate) fn statement(fingerprint: u64, operation: Option<OpId>) -> SubjectKey {
        let operation = operation.map_or(NO_OPERATION, |op| op.0);
        SubjectKey { what: fingerprint, operation, kind: STATEMENT }
    }

    /// An operation, where there is no statement, and a hash of what tags named.
    #[inline]
    pub(crate) fn operation(operation: OpId, query_hash: u64) -> SubjectKey {
        SubjectKey { what: query_hash, operation: operation.0, kind: OPERATION }
    }

    /// Whether it stays true when operations get new numbers.
    pub(crate) fn has_no_operation(&self) -> bool {
        self.operation == NO_OPERATION
    }
}

impl Hash for SubjectKey {
    /// One word.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.what ^ u64::from(self.operation) << 16);
    }
}

/// Database calls of one endpoint with one statement, or one operation.
#[derive(Debug)]
pub(crate) struct CallGroup {
    pub endpoint: u32,
    /// `None` for calls without a statement, and for those that did not fit.
    pub statement: Option<Arc<Statement>>,
    pub is_other: bool,
    pub query: u32,
    pub calls: CallStats,
    pub rows: CallStats,
    pub histogram: LiveHistogram,
    pub in_request: InRequest,
}

/// A call group's part in the request being counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InRequest {
    /// Which request this is about.
    request: u64,
    pub calls: u64,
    pub nanos: u64,
}

/// A kind of database call; its figures are those of its call groups.
#[derive(Debug)]
pub(crate) struct Query {
    pub endpoint: u32,
    pub model: Box<str>,
    pub operation: Box<str>,
    pub transactions: u64,
    request: u64,
}

impl LiveMinute {
    /// The group of database calls with this subject.
    #[inline]
    pub(crate) fn call_group(
        &mut self,
        endpoint: u32,
        key: SubjectKey,
        describe: impl FnOnce() -> CallKind,
        stats: &mut EngineStats,
    ) -> u32 {
        match self.by_subject.get(&(endpoint, key)) {
            Some(at) => *at,
            None => self.new_call_group(endpoint, key, describe(), stats),
        }
    }

    /// The group of all calls that found no place by themselves.
    pub(crate) fn other_calls(&mut self, endpoint: u32, stats: &mut EngineStats) -> u32 {
        let describe =
            || CallKind { statement: None, model: "SQL".into(), operation: OTHER.into() };
        self.call_group(endpoint, SubjectKey::OTHER, describe, stats)
    }

    #[cold]
    fn new_call_group(
        &mut self,
        endpoint: u32,
        mut key: SubjectKey,
        kind: CallKind,
        stats: &mut EngineStats,
    ) -> u32 {
        let mut statement = kind.statement;
        let bytes = statement.as_ref().map_or(0, |statement| statement.text.len());
        if self.calls.len() >= self.limits.calls
            || self.statement_bytes + bytes > MAX_STATEMENT_BYTES
        {
            stats.statements_overflowed += 1;
            (key, statement) = (SubjectKey::OTHER, None);
            if let Some(at) = self.by_subject.get(&(endpoint, key)) {
                return *at;
            }
        }
        let is_other = key == SubjectKey::OTHER;
        let query = if is_other {
            self.query(endpoint, "SQL".into(), OTHER.into(), stats)
        } else {
            self.query(endpoint, kind.model, kind.operation, stats)
        };
        self.statement_bytes += statement.as_ref().map_or(0, |statement| statement.text.len());
        let at = self.calls.len() as u32;
        self.calls.push(CallGroup {
            endpoint,
            statement,
            is_other,
            query,
            calls: CallStats::default(),
            rows: CallStats::default(),
            histogram: LiveHistogram::default(),
            in_request: InRequest::default(),
        });
        self.by_subject.insert((endpoint, key), at);
        at
    }

    fn query(
        &mut self,
        endpoint: u32,
        mut model: Box<str>,
        mut operation: Box<str>,
        stats: &mut EngineStats,
    ) -> u32 {
        let key = (endpoint, model.clone(), operation.clone());
        if let Some(at) = self.by_query.get(&key) {
            return *at;
        }
        if self.queries.len() >= self.limits.queries {
            stats.queries_overflowed += 1;
            (model, operation) = ("SQL".into(), OTHER.into());
            if let Some(at) = self.by_query.get(&(endpoint, model.clone(), operation.clone())) {
                return *at;
            }
        }
        let at = self.queries.len() as u32;
        self.by_query.insert((endpoint, model.clone(), operation.clone()), at);
        self.queries.push(Query { endpoint, model, operation, transactions: 0, request: 0 });
        at
    }

    /// Counts a call in its group. `true`: the first of this request.
    #[inline]
    pub(crate) fn call(
        &mut self,
        group: u32,
        statement: Option<&Arc<Statement>>,
        request: u64,
        duration: u64,
        rows: u64,
    ) -> bool {
        let Some(group) = self.calls.get_mut(group as usize) else { return false };
        group.note_spelling(statement);
        group.calls.record_value(duration);
        group.rows.record_value(rows);
        group.histogram.record(duration);
        let first = group.begin_request(request, &mut self.queries);
        group.in_request.calls += 1;
        group.in_request.nanos = group.in_request.nanos.saturating_add(duration);
        first
    }

    /// Counts calls of which only sums are known. `true`: the first of this request.
    pub(crate) fn add_calls(
        &mut self,
        group: u32,
        request: u64,
        statement: Option<&Arc<Statement>>,
        folded: &FoldedSpans,
    ) -> bool {
        let Some(group) = self.calls.get_mut(group as usize) else { return false };
        group.note_spelling(statement);
        group.calls.add(&folded.calls);
        group.rows.add(&folded.rows);
        group.histogram.merge(&folded.histogram);
        let first = group.begin_request(request, &mut self.queries);
        group.in_request.calls += folded.calls.count;
        group.in_request.nanos = group.in_request.nanos.saturating_add(folded.calls.total);
        first
    }
}

impl CallGroup {
    /// One fingerprint covers several spellings; the first by alphabet is shown, so that it does
    /// not depend on the order of calls.
    #[inline]
    fn note_spelling(&mut self, statement: Option<&Arc<Statement>>) {
        if let (Some(held), Some(new)) = (&self.statement, statement)
            && !Arc::ptr_eq(held, new)
            && new.text < held.text
        {
            self.statement = Some(Arc::clone(new));
        }
    }

    /// Starts anew for another request; `true` if it is another.
    #[inline]
    fn begin_request(&mut self, request: u64, queries: &mut [Query]) -> bool {
        let first = self.in_request.request != request;
        if first {
            self.in_request = InRequest { request, calls: 0, nanos: 0 };
            if let Some(query) = queries.get_mut(self.query as usize)
                && query.request != request
                && request != LATE
            {
                query.request = request;
                query.transactions += 1;
            }
        }
        first
    }
}

/// What a new call group is about.
pub(crate) struct CallKind {
    pub statement: Option<Arc<Statement>>,
    pub model: Box<str>,
    pub operation: Box<str>,
}
