use super::calls::CallStats;
use super::groups::TaggedQuery;
use super::hash::KeyedHash;
use super::histogram::LiveHistogram;
use super::live::OTHER_HOST;
use super::operation::{OTHER, OpId, SpanKind, TypeId};
use super::tag::{StoredTag, StoredValue, TagStore, Value};
use crate::engine::Scalar;
use crate::model::{SpanId, TraceId, UnixNanos};
use crate::sql::Statement;
use std::collections::HashMap;
use std::mem::size_of;
use std::ops::SubAssign;
use std::sync::Arc;

/// A span of an open request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanRow {
    pub id: SpanId,
    pub parent: SpanId,
    pub start: u64,
    /// Zero where the end lay before the start.
    pub duration: u64,
    pub op: OpId,
    /// As the operation's, here so that counting needs no look at the table.
    pub kind: SpanKind,
    pub layer: TypeId,
    pub subject: Subject,
    /// Where its tags begin in the request's store ...
    pub tags: u32,
    /// ... and how many there are.
    pub n_tags: u16,
}

impl SpanRow {
    pub(crate) fn end(&self) -> UnixNanos {
        UnixNanos(self.start.saturating_add(self.duration))
    }
}

/// What a span was about, if the engine keeps figures of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Subject {
    #[default]
    None,
    /// Index into the request's statements.
    Statement(u32),
    /// Number of the host called.
    Host(u32),
}

/// A tag of the request as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestTag {
    pub time: UnixNanos,
    pub tag: StoredTag,
}

/// An error of an open request: it is completed with what is known of the request at its end.
#[derive(Clone, Debug)]
pub(crate) struct PendingError {
    pub time: UnixNanos,
    pub class: String,
    pub message: String,
    pub backtrace: String,
    pub tags: Vec<(String, Scalar)>,
}

impl PendingError {
    /// About the bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let tag = |(key, value): &(String, Scalar)| {
            let text = if let Scalar::Str(text) = value { text.len() } else { 0 };
            size_of::<(String, Scalar)>() + key.len() + text
        };
        let text = self.class.len() + self.message.len() + self.backtrace.len();
        size_of::<Self>() + text + self.tags.iter().map(tag).sum::<usize>()
    }
}

/// What open requests hold: of one, or of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Spans, those kept as sums included.
    pub spans: usize,
    /// Spans kept one by one.
    pub rows: usize,
    /// About the bytes of statements, as if none were shared.
    pub statement_bytes: usize,
    /// Bytes of tags and errors.
    pub detail_bytes: usize,
    /// Sums that stand for spans; each may have a histogram.
    pub sums: usize,
}

impl Load {
    /// Whether it is more than `limit` of anything.
    #[inline]
    pub(crate) fn exceeds(&self, limit: &Load) -> bool {
        self.spans > limit.spans
            || self.rows > limit.rows
            || self.statement_bytes > limit.statement_bytes
            || self.detail_bytes > limit.detail_bytes
            || self.sums > limit.sums
    }

    /// How much of `limit` it is, of what it has most of: in `whole` parts.
    pub(crate) fn share(&self, limit: &Load, whole: usize) -> usize {
        let part = |held: usize, limit: usize| held.saturating_mul(whole) / limit.max(1);
        part(self.spans, limit.spans)
            .max(part(self.rows, limit.rows))
            .max(part(self.statement_bytes, limit.statement_bytes))
            .max(part(self.detail_bytes, limit.detail_bytes))
            .max(part(self.sums, limit.sums))
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, other: Load) {
        self.spans = self.spans.saturating_sub(other.spans);
        self.rows = self.rows.saturating_sub(other.rows);
        self.statement_bytes = self.statement_bytes.saturating_sub(other.statement_bytes);
        self.detail_bytes = self.detail_bytes.saturating_sub(other.detail_bytes);
        self.sums = self.sums.saturating_sub(other.sums);
    }
}

/// What folded spans were about.
#[derive(Clone, Debug)]
pub(crate) enum FoldedSubject {
    None,
    Host(u32),
    /// A database call. Model and operation are as the spans' tags named them.
    Call {
        statement: Option<Arc<Statement>>,
        tagged: Option<TaggedQuery>,
    },
    /// Database calls with statements of all kinds.
    OtherStatements,
}

impl FoldedSubject {
    /// What it is among spans that are too many even for sums of their own.
    pub(crate) fn surplus(&self) -> Self {
        match self {
            FoldedSubject::None => FoldedSubject::None,
            FoldedSubject::Host(_) => FoldedSubject::Host(OTHER_HOST),
            FoldedSubject::Call { statement: Some(_), .. } | FoldedSubject::OtherStatements => {
                FoldedSubject::OtherStatements
            }
            FoldedSubject::Call { statement: None, .. } => {
                let tagged = Some(("SQL".into(), OTHER.into()));
                FoldedSubject::Call { statement: None, tagged }
            }
        }
    }
}

/// What folded spans are found by, besides their operation. Kinds of subject are never mixed: each
/// counts elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FoldKey {
    None,
    Host(u32),
    Statement(u64),
    /// A hash of what the tags name.
    Tagged(u64),
    OtherStatements,
}

impl FoldKey {
    pub(crate) fn of(subject: &FoldedSubject, query_hash: u64) -> Self {
        match subject {
            FoldedSubject::None => FoldKey::None,
            FoldedSubject::Host(host) => FoldKey::Host(*host),
            FoldedSubject::Call { statement: Some(statement), .. } => {
                FoldKey::Statement(statement.fingerprint ^ statement.names)
            }
            FoldedSubject::OtherStatements => FoldKey::OtherStatements,
            FoldedSubject::Call { statement: None, .. } => FoldKey::Tagged(query_hash),
        }
    }

    pub(crate) fn of_surplus(subject: &FoldedSubject) -> Self {
        Self::of(&subject.surplus(), 0)
    }
}

/// Spans of one operation and subject that were too many to be kept one by one.
#[derive(Clone, Debug)]
pub(crate) struct FoldedSpans {
    pub op: OpId,
    pub subject: FoldedSubject,
    /// Of what the tags named.
    pub query_hash: u64,
    pub calls: CallStats,
    pub rows: CallStats,
    pub histogram: LiveHistogram,
}

/// A request being assembled. All its parts keep their capacity for the next one.
#[derive(Debug)]
pub(crate) struct Request {
    pub trace_id: TraceId,
    pub first_seen: UnixNanos,
    pub rows: Vec<SpanRow>,
    pub statements: Vec<Arc<Statement>>,
    /// About the bytes these take, as if none were shared.
    pub statement_bytes: usize,
    pub store: TagStore,
    pub tags: Vec<RequestTag>,
    pub errors: Vec<PendingError>,
    pub folded: Vec<FoldedSpans>,
    pub folded_at: HashMap<(OpId, FoldKey), usize, KeyedHash>,
    /// Spans folded.
    pub folded_spans: u64,
    /// Spans with kind Controller or Job.
    pub scopes: u32,
    /// Spans without a parent.
    pub roots: u32,
    /// An error was told of it, wherever that is kept.
    pub failed: bool,
}

/// Rows that a finished request keeps room for; tags, and sums.
const KEEP_ROWS: usize = 256;
const KEEP_TAGS: usize = 64;
const KEEP_SUMS: usize = 16;

impl Request {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Request {
            trace_id: TraceId::default(),
            first_seen: UnixNanos(0),
            rows: Vec::new(),
            statements: Vec::new(),
            statement_bytes: 0,
            store: TagStore::default(),
            tags: Vec::new(),
            errors: Vec::new(),
            folded: Vec::new(),
            folded_at: HashMap::with_hasher(hash),
            folded_spans: 0,
            scopes: 0,
            roots: 0,
            failed: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.rows.shrink_to(KEEP_ROWS);
        self.statements.clear();
        self.statement_bytes = 0;
        self.statements.shrink_to(KEEP_ROWS);
        self.store.clear();
        self.tags.clear();
        self.tags.shrink_to(KEEP_TAGS);
        self.errors = Vec::new();
        self.folded.clear();
        self.folded.shrink_to(KEEP_SUMS);
        self.folded_at.clear();
        self.folded_at.shrink_to(KEEP_SUMS);
        self.folded_spans = 0;
        self.scopes = 0;
        self.roots = 0;
        self.failed = false;
    }

    pub(crate) fn spans(&self) -> u64 {
        self.rows.len() as u64 + self.folded_spans
    }

    /// Operations have new numbers: finds its sums by these.
    pub(crate) fn find_folded_anew(&mut self) {
        self.folded_at.clear();
        for (at, folded) in self.folded.iter().enumerate() {
            let key = FoldKey::of(&folded.subject, folded.query_hash);
            self.folded_at.insert((folded.op, key), at);
        }
    }

    /// What it holds.
    pub(crate) fn load(&self) -> Load {
        Load {
            spans: self.spans() as usize,
            rows: self.rows.len(),
            statement_bytes: self.statement_bytes,
            detail_bytes: self.store.bytes()
                + self.tags.len() * size_of::<RequestTag>()
                + self.errors.iter().map(PendingError::bytes).sum::<usize>(),
            sums: self.folded.len(),
        }
    }

    pub(crate) fn statement(&self, row: &SpanRow) -> Option<&Arc<Statement>> {
        match row.subject {
            Subject::Statement(at) => self.statements.get(at as usize),
            _ => None,
        }
    }

    pub(crate) fn tags_of(&self, row: &SpanRow) -> &[StoredTag] {
        self.store.range(row.tags, row.n_tags)
    }

    /// A stored value with its text, what is not UTF-8 in it replaced.
    pub(crate) fn scalar(&self, value: StoredValue) -> Scalar {
        match self.store.read(value) {
            Value::Str(text) => Scalar::Str(String::from_utf8_lossy(text).into_owned()),
            Value::I64(value) => Scalar::I64(value),
            Value::F64(value) => Scalar::F64(value),
            Value::Bool(value) => Scalar::Bool(value),
        }
    }

    /// A stored value read as a number.
    pub(crate) fn number(&self, value: StoredValue) -> Option<f64> {
        let number = match self.store.read(value) {
            Value::I64(value) => value as f64,
            Value::F64(value) => value,
            Value::Bool(_) => return None,
            Value::Str(text) => std::str::from_utf8(text).ok()?.trim().parse().ok()?,
        };
        number.is_finite().then_some(number)
    }

    /// A stored value read as a truth value; text as [`truth_of`] has it.
    pub(crate) fn truth(&self, value: StoredValue) -> bool {
        match self.store.read(value) {
            Value::Bool(value) => value,
            Value::I64(value) => value != 0,
            Value::F64(value) => value != 0.0,
            Value::Str(text) => truth_of(text),
        }
    }

    /// A stored value's text; none for other kinds of value.
    pub(crate) fn text(&self, value: Option<StoredValue>) -> &[u8] {
        match value.map(|value| self.store.read(value)) {
            Some(Value::Str(text)) => text,
            _ => &[],
        }
    }
}

/// Text is true unless it is empty, `f` or `false`: as the Ruby agent reads it.
pub(crate) fn truth_of(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    ![&b""[..], b"f", b"false"].iter().any(|no| text.eq_ignore_ascii_case(no))
}
