use super::groups::{query_hash, rows_of, tagged_query};
use super::live::OTHER_HOST;
use super::operation::{OpId, OpInfo, Operations, SpanKind};
use super::request::{FoldKey, FoldedSpans, FoldedSubject, Request, SpanRow, Subject};
use super::stats::EngineStats;
use super::symbols::{Interned, Symbols};
use super::tag::{KnownTag, StoredTag, TagKeys, bytes_of};
use super::uri;
use crate::record::{Names, Span, TagValue, Tags};
use crate::sql::{Dialect, Memo};

/// Reads a span's tags into its request.
pub(super) struct TagReader<'e> {
    pub keys: &'e mut TagKeys,
    pub memo: &'e mut Memo,
    pub hosts: &'e mut Symbols,
    pub stats: &'e mut EngineStats,
    pub dialect: Dialect,
    /// Whether open requests hold so much already that only what figures depend on is read.
    pub crowded: bool,
}

/// What a span's tags came to.
#[derive(Clone, Copy)]
pub(super) struct TagsRead {
    subject: Subject,
    tags: u32,
    n_tags: u16,
}

/// About the bytes a statement takes besides its text.
const STATEMENT: usize = 200;
/// The most groups of spans that one request keeps as sums.
const MAX_FOLDED: usize = 1000;

impl TagsRead {
    /// The span with them.
    #[inline]
    pub(super) fn row(self, span: &Span<'_>, op: OpId, info: OpInfo) -> SpanRow {
        SpanRow {
            id: span.span_id,
            parent: span.parent_id,
            start: span.start.0,
            duration: span.end.since(span.start).0,
            op,
            kind: info.kind,
            layer: info.layer,
            subject: self.subject,
            tags: self.tags,
            n_tags: self.n_tags,
        }
    }
}

impl TagReader<'_> {
    #[inline]
    pub(super) fn read(
        &mut self,
        request: &mut Request,
        kind: SpanKind,
        tags: Tags<'_>,
        names: &impl Names,
    ) -> TagsRead {
        let mut read = TagsRead { subject: Subject::None, tags: request.store.mark(), n_tags: 0 };
        let mut sql: Option<(&[u8], bool)> = None;
        let mut url: Option<&[u8]> = None;
        let mut dialect = self.dialect;
        for tag in tags {
            let Some(key) = self.keys.resolve(tag.key, names) else {
                self.stats.tags_dropped += 1;
                continue;
            };
            let known = self.keys.known(key);
            match (known, tag.value) {
                (KnownTag::Secret, _) => continue,
                (KnownTag::Statement, TagValue::Str { text, truncated }) => {
                    sql = Some((bytes_of(text, names), truncated));
                    continue;
                }
                (KnownTag::DbSystem, TagValue::Str { text, .. }) => {
                    if let Ok(name) = std::str::from_utf8(bytes_of(text, names)) {
                        let named = Dialect::from_name(name);
                        // An unknown name says less than the configuration.
                        if named != Dialect::default() {
                            dialect = named;
                        }
                    }
                    continue;
                }
                (KnownTag::Uri, TagValue::Str { text, .. }) => url = Some(bytes_of(text, names)),
                (KnownTag::Url, TagValue::Str { text, .. }) => {
                    url = url.or(Some(bytes_of(text, names)));
                }
                (known, TagValue::Str { .. })
                    if kind.holds_data() && !known.is_safe_on_database() =>
                {
                    continue;
                }
                _ => {}
            }
            if self.crowded && known.is_only_shown() {
                self.stats.tags_dropped += 1;
                continue;
            }
            let stored = request.store.store(known, tag.value, names, self.stats);
            match stored.map(|value| request.store.push(StoredTag { value, key })) {
                Some(true) => read.n_tags += 1,
                _ => self.stats.tags_dropped += 1,
            }
        }
        if let Some((sql, truncated)) = sql {
            if !kind.holds_data() && read.n_tags > 0 {
                read.n_tags = request.store.drop_free_text(read.tags, self.keys);
            }
            read.subject = Subject::Statement(request.statements.len() as u32);
            let statement = self.memo.get(sql, dialect, truncated);
            request.statement_bytes += STATEMENT + statement.text.len();
            request.statements.push(statement);
        } else if kind == SpanKind::Http {
            read.subject = Subject::Host(self.host(url));
        }
        read
    }

    fn host(&mut self, url: Option<&[u8]>) -> u32 {
        let host = url.and_then(uri::host).unwrap_or(b"Unknown");
        match self.hosts.intern(host) {
            Interned::Found(host) | Interned::Added(host) => host,
            Interned::Full => {
                self.stats.hosts_overflowed += 1;
                OTHER_HOST
            }
        }
    }

    /// Adds a span to the sums of its request; gives the number of sums that are new.
    #[cold]
    pub(super) fn fold(
        &mut self,
        request: &mut Request,
        span: &Span<'_>,
        op: OpId,
        tags: Tags<'_>,
        names: &impl Names,
        operations: &mut Operations,
    ) -> usize {
        let before_groups = request.folded.len();
        let info = operations.info(op);
        // Its tags are read as ever, and forgotten again.
        let n_statements = request.statements.len();
        let before = (request.store.mark(), request.store.text_len());
        let statement_bytes = request.statement_bytes;
        let row = self.read(request, info.kind, tags, names).row(span, op, info);
        let subject = match row.subject {
            Subject::Host(host) => FoldedSubject::Host(host),
            Subject::None if !info.kind.is_database() => FoldedSubject::None,
            _ => FoldedSubject::Call {
                statement: request.statement(&row).cloned(),
                tagged: tagged_query(request, self.keys, &row),
            },
        };
        let query_hash = query_hash(request, self.keys, &row);
        let rows = rows_of(request, self.keys, &row);
        request.statements.truncate(n_statements);
        request.statement_bytes = statement_bytes;
        request.store.truncate(before);
        request.folded_spans += 1;
        let mut key = (row.op, FoldKey::of(&subject, query_hash));
        let mut at = request.folded_at.get(&key).copied();
        let whole = at.is_some() || request.folded.len() < MAX_FOLDED;
        if !whole {
            key = (operations.other_of(info.layer, self.stats), FoldKey::of_surplus(&subject));
            at = request.folded_at.get(&key).copied();
        }
        let spelling = match &subject {
            FoldedSubject::Call { statement, .. } => statement.clone(),
            _ => None,
        };
        let at = at.unwrap_or_else(|| {
            request.folded_at.insert(key, request.folded.len());
            // It holds its statement as long as the request is open.
            let text = spelling.as_ref().filter(|_| whole);
            request.statement_bytes += text.map_or(0, |statement| STATEMENT + statement.text.len());
            request.folded.push(FoldedSpans {
                op: key.0,
                subject: if whole { subject } else { subject.surplus() },
                query_hash: if whole { query_hash } else { 0 },
                calls: Default::default(),
                rows: Default::default(),
                histogram: Default::default(),
            });
            request.folded.len() - 1
        });
        if let Some(folded) = request.folded.get_mut(at) {
            // The first by alphabet is shown, as in a minute's table.
            if let (FoldedSubject::Call { statement: Some(held), .. }, Some(new)) =
                (&mut folded.subject, spelling)
                && new.text < held.text
            {
                *held = new;
            }
            folded.calls.record_value(row.duration);
            folded.rows.record_value(rows);
            if !matches!(folded.subject, FoldedSubject::None) {
                folded.histogram.record(row.duration);
            }
        }
        request.folded.len() - before_groups
    }
}
