use super::Engine;
use super::open::{Fate, Recent, State};
use super::operation::OpId;
use super::period::Application;
use super::request::{Load, PendingError, Request, RequestTag};
use super::tag::{KnownTag, StoredTag, bytes_of};
use super::tag_reader::TagReader;
use super::trace::Scalar;
use crate::engine::backtrace::BacktraceRules;
use crate::model::{TraceId, UnixNanos};
use crate::record::{
    AppEvent, ErrorEvent, Metric, Names, Record, RequestTags, Span, TagValue, Tags,
};
use crate::sql::{self, Dialect, Scratch};

/// The most tags of one request as a whole.
const MAX_REQUEST_TAGS: usize = 1000;
/// The most errors one request keeps.
const MAX_REQUEST_ERRORS: usize = 10;
/// What open requests may hold together. Beyond it one is closed: with what it has, and without what
/// is yet to come, which counts as late.
const MAX_OPEN_SUMS: usize = 2000;
const MAX_OPEN_DETAIL_BYTES: usize = 16 << 20;
/// The detail from which on text that is only shown is dropped.
const CROWDED_DETAIL_BYTES: usize = MAX_OPEN_DETAIL_BYTES / 2;
/// The bytes of statements from which on further spans are kept as sums only; but for roots and scopes,
/// which have as many again.
const FULL_STATEMENT_BYTES: usize = 16 << 20;
/// The most members of one field of an application's description: its libraries are a long list.
const MAX_METADATA_MEMBERS: usize = 10_000;
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
            self.close_oldest(now);
        }
        self.requests.open(trace_id, now)
    }

    #[cold]
    fn close_oldest(&mut self, now: UnixNanos) {
        if let Some(oldest) = self.requests.oldest_open() {
            self.stats.requests_closed_by_limit += 1;
            self.complete(oldest, now);
        }
    }

    #[inline]
    fn ingest_span(&mut self, span: &Span<'_>, tags: Tags<'_>, names: &impl Names, now: UnixNanos) {
        self.stats.spans += 1;
        self.stats.spans_inverted += u64::from(span.end < span.start);
        let op = self.operations.resolve(span.operation, names, &mut self.stats);
        let info = self.operations.info(op);
        let at = match self.place(span.trace_id, now) {
            Ok(at) => at,
            Err(recent) => return self.ingest_late(recent, span, op, tags, names),
        };
        let rooted = span.parent_id.is_none();
        let Some(State::Open(request)) = self.requests.state(at) else { return };
        self.load.spans += 1;
        let held = request.rows.len();
        let full = held >= self.config.max_request_spans
            || self.load.spans > self.config.max_open_spans
            || self.load.statement_bytes > FULL_STATEMENT_BYTES;
        // A request's root and its scope are worth a place of their own.
        let is_first_root = rooted && request.roots == 0;
        let is_dear = held < 2 * self.config.max_request_spans && (rooted || info.kind.is_scope());
        let folds = full && !is_first_root && !is_dear;
        let mut reader = TagReader {
            keys: &mut self.keys,
            memo: &mut self.memo,
            hosts: &mut self.hosts,
            stats: &mut self.stats,
            dialect: self.dialect,
            crowded: self.load.detail_bytes > CROWDED_DETAIL_BYTES,
        };
        let (statement_bytes, detail_bytes) = (request.statement_bytes, request.store.bytes());
        if folds {
            self.load.sums += reader.fold(request, span, op, tags, names, &mut self.operations);
            self.load.statement_bytes += request.statement_bytes - statement_bytes;
            return self.keep_load(now);
        }
        let read = reader.read(request, info.kind, tags, names);
        self.load.rows += 1;
        self.load.statement_bytes += request.statement_bytes - statement_bytes;
        self.load.detail_bytes += request.store.bytes() - detail_bytes;
        request.rows.push(read.row(span, op, info));
        request.scopes += u32::from(info.kind.is_scope());
        if rooted {
            request.roots += 1;
            if request.roots == 1 {
                self.rooted.push((at, span.trace_id));
            }
        }
        self.keep_load(now);
    }

    /// What open requests may hold together. Spans alone are no burden: there are sums for them.
    #[inline]
    fn limit(&self) -> Load {
        Load {
            spans: usize::MAX,
            // Roots and scopes have a place of their own, whatever the limit: as many again.
            rows: 2 * self.config.max_open_spans,
            statement_bytes: 2 * FULL_STATEMENT_BYTES,
            detail_bytes: MAX_OPEN_DETAIL_BYTES,
            sums: MAX_OPEN_SUMS,
        }
    }

    /// Closes requests, should those that are open hold more than they may.
    #[inline]
    fn keep_load(&mut self, now: UnixNanos) {
        if self.load.exceeds(&self.limit()) {
            self.shed_load(now);
        }
    }

    /// Closes the heaviest: the others are not to go for them. Some at once, so that the next time is
    /// not soon.
    #[cold]
    fn shed_load(&mut self, now: UnixNanos) {
        const WHOLE: usize = 1024;
        const ENOUGH: usize = WHOLE / 8 * 7;
        let limit = self.limit();
        let share = |load: &Load| load.share(&limit, WHOLE);
        // What has its root is complete, or nearly.
        self.complete_rooted(now);
        std::mem::swap(&mut self.rooted, &mut self.rooted_before);
        if share(&self.load) > ENOUGH {
            self.complete_rooted(now);
        }
        if share(&self.load) <= ENOUGH {
            return;
        }
        let mut open: Vec<(usize, TraceId)> = self
            .requests
            .each_open()
            .map(|request| (share(&request.load()), request.trace_id))
            .collect();
        // Of equal ones the oldest first.
        open.sort_by_key(|(share, _)| std::cmp::Reverse(*share));
        for (_, trace_id) in open {
            if share(&self.load) <= ENOUGH {
                break;
            }
            if let Some(at) = self.requests.find(trace_id) {
                self.stats.requests_closed_by_limit += 1;
                self.complete(at, now);
            }
        }
    }

    /// A span whose request is complete already still counts in the metrics, with all its time:
    /// what it takes from its parent is not known any more.
    #[cold]
    fn ingest_late(
        &mut self,
        recent: Recent,
        span: &Span<'_>,
        op: OpId,
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
        let info = self.operations.info(op);
        let read = TagReader {
            keys: &mut self.keys,
            memo: &mut self.memo,
            hosts: &mut self.hosts,
            stats: &mut self.stats,
            dialect: self.dialect,
            crowded: false,
        }
        .read(&mut late, info.kind, tags, names);
        self.count_late(recent.minute, scope, &late, &read.row(span, op, info));
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
        let text = request.store.bytes();
        let held = request.tags.len();
        let crowded = self.load.detail_bytes > CROWDED_DETAIL_BYTES;
        for tag in tags {
            let stored = (request.tags.len() < MAX_REQUEST_TAGS)
                .then(|| self.keys.resolve(tag.key, names))
                .flatten()
                .and_then(|key| {
                    let known = self.keys.known(key);
                    let is_text = matches!(tag.value, TagValue::Str { .. });
                    if crowded && is_text && known.is_only_shown() {
                        return None;
                    }
                    let value = request.store.store(known, tag.value, names, &mut self.stats)?;
                    Some(StoredTag { key, value })
                });
            match stored {
                Some(tag) => request.tags.push(RequestTag { time: record.time, tag }),
                None => self.stats.tags_dropped += 1,
            }
        }
        self.load.detail_bytes += request.store.bytes() - text;
        self.load.detail_bytes += (request.tags.len() - held) * size_of::<RequestTag>();
        self.keep_load(now);
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
                .filter_map(|tag| {
                    let key = text(tag.key);
                    let value = match tag.value {
                        TagValue::Str { text: value, truncated } => {
                            Scalar::Str(self.error_text(&key, text(value), truncated)?)
                        }
                        TagValue::I64(value) => Scalar::I64(value),
                        TagValue::F64(value) => Scalar::F64(value),
                        TagValue::Bool(value) => Scalar::Bool(value),
                    };
                    Some((key, value))
                })
                .collect(),
        };
        // An error may well be the first that is heard of its request.
        let at =
            if record.trace_id.is_none() { None } else { self.place(record.trace_id, now).ok() };
        let mut open = match at.and_then(|at| self.requests.state(at)) {
            Some(State::Open(request)) => Some(request),
            _ => None,
        };
        if let Some(request) = &mut open {
            request.failed = true;
        }
        match open {
            Some(request)
                if request.errors.len() < MAX_REQUEST_ERRORS
                    && self.load.detail_bytes < CROWDED_DETAIL_BYTES =>
            {
                self.load.detail_bytes += error.bytes();
                request.errors.push(error);
            }
            // Of no request, of a complete one, or one error more than there is room for.
            _ => self.report_alone(record.trace_id, &error, now),
        }
    }

    /// What may be kept of an error's tag, by the rules of spans and requests.
    fn error_text(&self, key: &str, text: String, truncated: bool) -> Option<String> {
        match KnownTag::of(key) {
            KnownTag::Secret => None,
            KnownTag::UserIp | KnownTag::ForwardedFor if !self.config.collect_remote_ip => None,
            _ if key == "ip" && !self.config.collect_remote_ip => None,
            KnownTag::Statement => {
                let mut scratch = Scratch::default();
                let sql = text.as_bytes();
                Some(sql::sanitize(&mut scratch, sql, self.dialect, truncated).to_owned())
            }
            _ => Some(text),
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
        let name = name.get(..super::symbols::cut(name.as_bytes(), 256).len()).unwrap_or_default();
        let minute = self.minute_of(time, now).0;
        self.with_minutes(|engine, minutes| {
            if let Some(live) = engine.minute(minutes, minute) {
                live.counts.gauges += 1;
                live.gauge(name, value, &mut engine.stats);
            }
        });
    }

    fn ingest_event(&mut self, record: &AppEvent<'_>, names: &impl Names, now: UnixNanos) {
        self.stats.events += 1;
        let kind = String::from_utf8_lossy(bytes_of(record.kind, names));
        let json = serde_json::from_slice(bytes_of(record.json, names));
        match (&*kind, json) {
            ("scout.metadata", Ok(serde_json::Value::Object(mut fields))) => {
                for field in fields.values_mut() {
                    super::report::flatten(field, MAX_METADATA_MEMBERS);
                }
                let application = Application { time: record.time, fields };
                self.learn(&application);
                let minute = self.minute_of(record.time, now).0;
                self.with_minutes(|engine, minutes| {
                    if let Some(live) = engine.minute(minutes, minute) {
                        live.counts.events += 1;
                        live.application =
                            Application::later(live.application.take(), Some(application.clone()));
                    }
                });
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
