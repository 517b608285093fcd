use super::Engine;
use super::open::{Fate, Recent, State};
use super::operation::{OpInfo, SpanKind};
use super::period::Application;
use super::request::{FoldedSpans, PendingError, Request, RequestTag, SpanRow, Subject};
use super::symbols::Interned;
use super::tag::{KnownTag, StoredTag, bytes_of};
use super::trace::Scalar;
use super::{live, uri};
use crate::engine::backtrace::BacktraceRules;
use crate::model::{TraceId, UnixNanos};
use crate::record::{
    AppEvent, ErrorEvent, Metric, Names, Record, RequestTags, Span, TagValue, Tags,
};
use crate::sql::{Dialect, Memo, Statement};
use std::sync::Arc;

/// The most tags of one request as a whole.
const MAX_REQUEST_TAGS: usize = 1000;
/// The most errors one request keeps.
const MAX_REQUEST_ERRORS: usize = 10;
/// The most groups of spans that one request keeps as sums.
const MAX_FOLDED: usize = 1000;
/// The most tags read of an error.
const MAX_ERROR_TAGS: usize = 100;

impl Engine {
    /// Takes in one decoded record. What is not UTF-8 in its strings is replaced.
    #[inline]
    pub fn ingest(&mut self, record: &Record<'_>, names: &impl Names, now: UnixNanos) {
        match record {
            Record::Span(span, tags) => self.ingest_span(span, *tags, names, now),
            Record::RequestTags(request, tags) => {
                self.ingest_request_tags(request, *tags, names, now);
            }
            Record::Error(error, tags) => self.ingest_error(error, *tags, names, now),
            Record::Metric(metric, _) => self.ingest_gauge(metric, names, now),
            Record::Event(event) => self.ingest_event(event, names, now),
            Record::Name(_) => {}
        }
    }

    /// The open request with this id, opened if it is new; `Err` for a completed one.
    #[inline]
    fn place(&mut self, trace_id: TraceId, now: UnixNanos) -> Result<u32, Recent> {
        let Some(at) = self.requests.find(trace_id) else {
            return Ok(self.open(trace_id, now));
        };
        match self.requests.state(at) {
            Some(State::Recent(recent)) => Err(*recent),
            _ => Ok(at),
        }
    }

    #[cold]
    fn open(&mut self, trace_id: TraceId, now: UnixNanos) -> u32 {
        while self.requests.open_len() >= self.config.max_open_requests.max(1) {
            let Some(oldest) = self.requests.oldest_open() else { break };
            self.stats.requests_closed_by_limit += 1;
            self.complete(oldest, now);
        }
        self.requests.open(trace_id, now)
    }

    #[inline]
    fn ingest_span(&mut self, span: &Span<'_>, tags: Tags<'_>, names: &impl Names, now: UnixNanos) {
        self.stats.spans += 1;
        self.stats.spans_inverted += u64::from(span.end < span.start);
        let op = self.operations.resolve(span.operation, names, &mut self.stats);
        let info = self.operations.info(op);
        let mut row = SpanRow {
            id: span.span_id,
            parent: span.parent_id,
            start: span.start.0,
            duration: span.end.since(span.start).0,
            op,
            kind: info.kind,
            layer: info.layer,
            subject: Subject::None,
            tags: 0,
            n_tags: 0,
        };
        let at = match self.place(span.trace_id, now) {
            Ok(at) => at,
            Err(recent) => return self.ingest_late(recent, row, info, tags, names),
        };
        let rooted = row.parent.is_none();
        let Some(State::Open(request)) = self.requests.state(at) else { return };
        self.open_spans += 1;
        let held = request.rows.len();
        let full =
            held >= self.config.max_request_spans || self.open_spans > self.config.max_open_spans;
        // A request's root and its scope are worth a place of their own.
        let folds = full
            && (held >= 2 * self.config.max_request_spans || !(rooted || info.kind.is_scope()));
        let mut reader = TagReader {
            keys: &mut self.keys,
            memo: &mut self.memo,
            hosts: &mut self.hosts,
            stats: &mut self.stats,
            dialect: self.dialect,
        };
        if folds {
            reader.fold(request, &mut row, info, tags, names, &mut self.operations);
            return;
        }
        reader.read(request, &mut row, info, tags, names);
        request.rows.push(row);
        request.scopes += u32::from(info.kind.is_scope());
        if rooted {
            request.roots += 1;
            if request.roots == 1 {
                self.rooted.push((at, span.trace_id));
            }
        }
    }

    /// A span whose request is complete already still counts in the metrics, with all its time:
    /// what it takes from its parent is not known any more.
    #[cold]
    fn ingest_late(
        &mut self,
        recent: Recent,
        mut row: SpanRow,
        info: OpInfo,
        tags: Tags<'_>,
        names: &impl Names,
    ) {
        let scope = match recent.fate {
            Fate::Counted(op) => op,
            Fate::WithoutScope => return self.stats.spans_without_scope += 1,
            Fate::Ignored => return self.stats.spans_ignored += 1,
            Fate::SampledOut => return self.stats.spans_sampled_out += 1,
        };
        self.stats.spans_late += 1;
        self.stats.spans_counted += 1;
        let mut late = self.late.take().unwrap_or_else(|| Box::new(Request::new(self.hash)));
        TagReader {
            keys: &mut self.keys,
            memo: &mut self.memo,
            hosts: &mut self.hosts,
            stats: &mut self.stats,
            dialect: self.dialect,
        }
        .read(&mut late, &mut row, info, tags, names);
        self.count_late(recent.minute, scope, &late, &row);
        late.clear();
        self.late = Some(late);
    }

    fn ingest_request_tags(
        &mut self,
        record: &RequestTags,
        tags: Tags<'_>,
        names: &impl Names,
        now: UnixNanos,
    ) {
        self.stats.request_tags += 1;
        let at = match self.place(record.trace_id, now) {
            Ok(at) => at,
            Err(_) => return self.stats.tags_late += tags.len() as u64,
        };
        let Some(State::Open(request)) = self.requests.state(at) else { return };
        for tag in tags {
            let stored = (request.tags.len() < MAX_REQUEST_TAGS)
                .then(|| self.keys.resolve(tag.key, names))
                .flatten()
                .and_then(|key| {
                    let known = self.keys.known(key);
                    let value = request.store.store(known, tag.value, names, &mut self.stats)?;
                    Some(StoredTag { key, value })
                });
            match stored {
                Some(tag) => request.tags.push(RequestTag { time: record.time, tag }),
                None => self.stats.tags_dropped += 1,
            }
        }
    }

    fn ingest_error(
        &mut self,
        record: &ErrorEvent<'_>,
        tags: Tags<'_>,
        names: &impl Names,
        now: UnixNanos,
    ) {
        self.stats.errors += 1;
        let text = |text| String::from_utf8_lossy(bytes_of(text, names)).into_owned();
        let class = text(record.class);
        if self.config.errors_ignored_exceptions.contains(&class) {
            self.stats.errors_ignored += 1;
            return;
        }
        let error = PendingError {
            time: record.time,
            class,
            message: text(record.message),
            backtrace: text(record.backtrace),
            tags: tags
                .take(MAX_ERROR_TAGS)
                .map(|tag| {
                    let value = match tag.value {
                        TagValue::Str { text: value, .. } => Scalar::Str(text(value)),
                        TagValue::I64(value) => Scalar::I64(value),
                        TagValue::F64(value) => Scalar::F64(value),
                        TagValue::Bool(value) => Scalar::Bool(value),
                    };
                    (text(tag.key), value)
                })
                .collect(),
        };
        // An error may well be the first that is heard of its request.
        let at = if record.trace_id.is_none() {
            None
        } else {
            self.place(record.trace_id, now).ok()
        };
        match at.and_then(|at| self.requests.state(at)) {
            Some(State::Open(request)) if request.errors.len() < MAX_REQUEST_ERRORS => {
                request.errors.push(error);
            }
            // Of no request, of a complete one, or one error more than it keeps.
            _ => self.report_alone(record.trace_id, &error, now),
        }
    }

    fn ingest_gauge(&mut self, record: &Metric<'_>, names: &impl Names, now: UnixNanos) {
        let name = String::from_utf8_lossy(bytes_of(record.name, names));
        self.count_gauge(&name, record.value, record.time, now);
    }

    fn count_gauge(&mut self, name: &str, value: f64, time: UnixNanos, now: UnixNanos) {
        self.stats.gauges += 1;
        if !value.is_finite() || name.is_empty() {
            self.stats.gauges_invalid += 1;
            return;
        }
        self.stats.gauges_clamped += u64::from(value < 0.0);
        let name = name.get(..super::symbols::cut(name.as_bytes(), 256).len()).unwrap_or_default();
        let minute = self.minute_of(time, now).0;
        let mut minutes = std::mem::take(&mut self.minutes);
        if let Some(live) = self.minute(&mut minutes, minute) {
            live.counts.gauges += 1;
            live.gauge(name, (value * 1e9).round() as u64, &mut self.stats);
        }
        self.minutes = minutes;
    }

    fn ingest_event(&mut self, record: &AppEvent<'_>, names: &impl Names, now: UnixNanos) {
        self.stats.events += 1;
        let kind = String::from_utf8_lossy(bytes_of(record.kind, names));
        let json = serde_json::from_slice(bytes_of(record.json, names));
        match (&*kind, json) {
            ("scout.metadata", Ok(serde_json::Value::Object(fields))) => {
                let application = Application { time: record.time, fields };
                self.learn(&application);
                let minute = self.minute_of(record.time, now).0;
                let mut minutes = std::mem::take(&mut self.minutes);
                if let Some(live) = self.minute(&mut minutes, minute) {
                    live.counts.events += 1;
                    live.application =
                        Application::later(live.application.take(), Some(application.clone()));
                }
                self.minutes = minutes;
                self.application = Application::later(self.application.take(), Some(application));
            }
            ("CPU/Utilization" | "Memory/Physical", Ok(serde_json::Value::Number(number))) => {
                self.count_gauge(&kind, number.as_f64().unwrap_or(f64::NAN), record.time, now);
            }
            _ => self.stats.events_invalid += 1,
        }
    }

    /// What the configuration left open, the application may say.
    fn learn(&mut self, application: &Application) {
        let fill = |ours: &mut String, configured: &Option<String>, field: &str| {
            if configured.is_none()
                && let Some(text) = application.text(field)
            {
                text.clone_into(ours);
            }
        };
        fill(&mut self.hostname, &self.config.hostname, "hostname");
        fill(&mut self.git_sha, &self.config.git_sha, "git_sha");
        let said = |configured: &Option<String>, field| {
            configured.clone().or_else(|| application.text(field).map(str::to_owned))
        };
        self.backtraces = BacktraceRules::new(
            said(&self.config.application_root, "application_root").as_deref(),
            said(&self.config.scm_subdirectory, "scm_subdirectory").as_deref(),
        );
        if self.config.dialect == Dialect::default() {
            let named = ["database_adapter", "database_engine"]
                .into_iter()
                .filter_map(|field| application.text(field))
                .map(Dialect::from_name)
                .find(|dialect| *dialect != Dialect::default());
            self.dialect = named.unwrap_or_default();
        }
    }
}

/// Reads a span's tags into its row and request.
struct TagReader<'e> {
    keys: &'e mut super::tag::TagKeys,
    memo: &'e mut Memo,
    hosts: &'e mut super::symbols::Symbols,
    stats: &'e mut super::stats::EngineStats,
    dialect: Dialect,
}

impl TagReader<'_> {
    #[inline]
    fn read(
        &mut self,
        request: &mut Request,
        row: &mut SpanRow,
        info: OpInfo,
        tags: Tags<'_>,
        names: &impl Names,
    ) {
        row.tags = request.store.mark();
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
                // Free text on a database span may hold data.
                (known, TagValue::Str { .. })
                    if info.kind.is_database() && !known.is_safe_on_database() =>
                {
                    continue;
                }
                _ => {}
            }
            let stored = request.store.store(known, tag.value, names, self.stats);
            match stored.map(|value| request.store.push(StoredTag { key, value })) {
                Some(true) => row.n_tags += 1,
                _ => self.stats.tags_dropped += 1,
            }
        }
        if let Some((sql, truncated)) = sql {
            row.subject = Subject::Statement(request.statements.len() as u32);
            request.statements.push(self.memo.get(sql, dialect, truncated));
        } else if info.kind == SpanKind::Http {
            row.subject = Subject::Host(self.host(url));
        }
    }

    fn host(&mut self, url: Option<&[u8]>) -> u32 {
        let host = url.and_then(uri::host).unwrap_or(b"Unknown");
        match self.hosts.intern(host) {
            Interned::Found(host) | Interned::Added(host) => host,
            Interned::Full => {
                self.stats.hosts_overflowed += 1;
                live::OTHER_HOST
            }
        }
    }

    /// Adds a span to the sums of its request.
    #[cold]
    fn fold(
        &mut self,
        request: &mut Request,
        row: &mut SpanRow,
        info: OpInfo,
        tags: Tags<'_>,
        names: &impl Names,
        operations: &mut super::operation::Operations,
    ) {
        // Its tags are read as ever, and forgotten again.
        let n_statements = request.statements.len();
        let before = (request.store.mark(), request.store.text_len());
        self.read(request, row, info, tags, names);
        let statement: Option<Arc<Statement>> = request.statement(row).cloned();
        let host = match row.subject {
            Subject::Host(host) => Some(host),
            _ => None,
        };
        let rows = super::count::rows_of(request, self.keys, row);
        request.statements.truncate(n_statements);
        request.store.truncate(before);
        request.folded_spans += 1;
        let subject = match (&statement, host) {
            (Some(statement), _) => statement.fingerprint,
            (None, Some(host)) => u64::from(host),
            (None, None) => 0,
        };
        let mut key = (row.op, subject);
        let mut at = request.folded_at.get(&key).copied();
        if at.is_none() && request.folded.len() >= MAX_FOLDED {
            key = (operations.other_of(info.layer, self.stats), 0);
            at = request.folded_at.get(&key).copied();
        }
        let at = at.unwrap_or_else(|| {
            request.folded_at.insert(key, request.folded.len());
            let whole = key.0 == row.op;
            request.folded.push(FoldedSpans {
                op: key.0,
                statement: statement.filter(|_| whole),
                host: host.map(|host| if whole { host } else { live::OTHER_HOST }),
                calls: Default::default(),
                rows: Default::default(),
                histogram: Default::default(),
            });
            request.folded.len() - 1
        });
        if let Some(folded) = request.folded.get_mut(at) {
            folded.calls.record_value(row.duration);
            folded.rows.record_value(rows);
            folded.histogram.record(row.duration);
        }
    }
}
