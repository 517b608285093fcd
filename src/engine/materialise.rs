use super::backtrace::{self, BacktraceRules};
use super::calls::CallStats;
use super::filter::{FILTERED, Filter};
use super::operation::{Operations, SpanKind, split};
use super::request::{Request, SpanRow};
use super::tag::{KnownTag, TagKeys};
use super::trace::{Frame, Repetition, Scalar, SpanDetail, TraceMetric, TraceSpan};
use super::tree::{NONE, Tree};
use super::uri;
use std::collections::HashMap;

/// Everything needed to show a request's spans.
#[derive(Clone, Copy)]
pub(crate) struct Materialiser<'a> {
    pub request: &'a Request,
    pub tree: &'a Tree,
    pub operations: &'a Operations,
    pub keys: &'a TagKeys,
    pub backtraces: &'a BacktraceRules,
    pub filter: &'a Filter,
    /// The row that names the request, and that name.
    pub scope: u32,
    pub scope_name: &'a str,
    pub max_spans: usize,
    pub max_metrics: usize,
    pub n_plus_one_calls: u64,
    pub n_plus_one_nanos: u64,
}

/// The spans and metrics of a trace.
pub(crate) struct Detail {
    pub metrics: Vec<TraceMetric>,
    pub spans: Vec<TraceSpan>,
    pub truncated_metrics: bool,
    pub reached_span_cap: bool,
}

/// A row as it is shown.
#[derive(Clone, Copy)]
struct Shown<'a> {
    operation: &'a str,
    desc: Option<&'a str>,
    detail: &'a SpanDetail,
}

/// Further tags shown of one span.
const MAX_TAGS: usize = 20;
/// Types that have a sum in a trace's metrics.
const MAX_SUMS: usize = 256;
/// The longest description of a span, in bytes; of all in a trace; and of one when that is used up.
const MAX_DESC: usize = 4096;
const MAX_DESC_ALL: usize = 256 * 1024;
const MIN_DESC: usize = 128;
/// Layers in which others can be shown as a scope of their own.
const SUBSCOPABLE: &str = "View";

impl Materialiser<'_> {
    pub(crate) fn detail(&self, timeline: bool) -> Detail {
        let rows = &self.request.rows;
        let order = self.tree.preorder(rows);
        let mut repetitions = self.repetitions();
        let child_allocations = self.child_allocations();
        let views = self.views(&order);
        let mut metrics = Metrics::default();
        let mut spans = Vec::new();
        let mut room = MAX_DESC_ALL;
        let mut reached_span_cap = timeline && self.request.folded_spans > 0;
        for at in order {
            let Some(row) = rows.get(at as usize) else { continue };
            let operation = self.operation(at, row);
            let desc = self.desc(row).map(|text| shorten(text, &mut room));
            let detail = self.span_detail(row);
            let shown = Shown { operation: &operation, desc: desc.as_deref(), detail: &detail };
            let view = views.get(at as usize).copied().unwrap_or(NONE);
            let scope = self.scope_for(at, view);
            self.add_metric(&mut metrics, at, row, shown, (scope, &child_allocations));
            if !timeline {
                continue;
            }
            if spans.len() >= self.max_spans {
                reached_span_cap = true;
                continue;
            }
            let statement = self.request.statement(row);
            // Half a statement would be read as another one.
            let whole = statement.filter(|held| desc.as_deref() == Some(&*held.text));
            let dialect = whole.map(|statement| statement.dialect);
            let n_plus_one =
                statement.and_then(|statement| repetitions.remove(&statement.fingerprint));
            spans.push(TraceSpan {
                id: row.id.0,
                parent: match self.tree.parent(at) {
                    NONE => 0,
                    parent => rows.get(parent as usize).map_or(0, |row| row.id.0),
                },
                start: crate::model::UnixNanos(row.start),
                end: row.end(),
                operation,
                desc,
                dialect,
                detail,
                allocations: self.allocation_counters(row),
                n_plus_one,
            });
        }
        Detail {
            truncated_metrics: metrics.truncated,
            metrics: metrics.list,
            spans,
            reached_span_cap,
        }
    }

    /// Statements that the request repeated, by fingerprint.
    fn repetitions(&self) -> HashMap<u64, Repetition> {
        let mut found: HashMap<u64, Repetition> = HashMap::new();
        for row in &self.request.rows {
            if let Some(statement) = self.request.statement(row) {
                let repetition =
                    found.entry(statement.fingerprint).or_insert(Repetition { count: 0, total: 0 });
                repetition.count += 1;
                repetition.total = repetition.total.saturating_add(row.duration);
            }
        }
        found.retain(|_, found| {
            found.count >= self.n_plus_one_calls && found.total >= self.n_plus_one_nanos
        });
        found
    }

    /// A row's name as it is shown: the scope as renamed, SQL by its statement.
    pub(crate) fn operation(&self, at: u32, row: &SpanRow) -> String {
        let text = self.operations.text(row.op);
        if at == self.scope {
            return self.scope_name.to_owned();
        }
        match self.request.statement(row) {
            Some(statement) if text == "SQL/Query" => statement.operation.to_string(),
            _ => text.to_owned(),
        }
    }

    fn desc(&self, row: &SpanRow) -> Option<String> {
        if let Some(statement) = self.request.statement(row) {
            return Some(statement.text.to_string());
        }
        let tags = self.request.tags_of(row);
        let of = |known| {
            tags.iter().find(|tag| self.keys.known(tag.key) == known).and_then(|tag| {
                match self.request.scalar(tag.value) {
                    Scalar::Str(text) => Some(text),
                    _ => None,
                }
            })
        };
        of(KnownTag::Uri)
            .or_else(|| of(KnownTag::Url))
            .map(|url| uri::describe(url.as_bytes()))
            .or_else(|| of(KnownTag::Description))
    }

    fn span_detail(&self, row: &SpanRow) -> SpanDetail {
        let mut detail = SpanDetail::default();
        let kind = row.kind;
        for tag in self.request.tags_of(row) {
            let value = || self.request.scalar(tag.value);
            match self.keys.known(tag.key) {
                KnownTag::Rows => {
                    detail.record_count = self.request.number(tag.value).map(|rows| rows as u64);
                }
                KnownTag::ClassName => {
                    if let Scalar::Str(text) = value() {
                        detail.class_name = Some(text);
                    }
                }
                KnownTag::Stack => {
                    if let Scalar::Str(text) = value() {
                        detail.backtrace = self.backtraces.trim(backtrace::parse(&text));
                    }
                }
                KnownTag::Context if detail.tags.len() < MAX_TAGS => {
                    let key = self.keys.text(tag.key);
                    let mut value = value();
                    // Addresses under whatever key lose their query.
                    if let Scalar::Str(text) = &value
                        && kind == SpanKind::Http
                        && text.contains("://")
                    {
                        value = Scalar::Str(uri::describe(text.as_bytes()));
                    }
                    if self.filter.hides(key) {
                        value = Scalar::Str(FILTERED.to_owned());
                    }
                    if !matches!(value, Scalar::F64(number) if !number.is_finite()) {
                        detail.tags.push((key.to_owned(), value));
                    }
                }
                _ => {}
            }
        }
        detail
    }

    fn allocation_counters(&self, row: &SpanRow) -> Option<(u64, u64)> {
        let of = |known| {
            let tags = self.request.tags_of(row);
            let tag = tags.iter().find(|tag| self.keys.known(tag.key) == known)?;
            self.request.number(tag.value).map(|number| number as u64)
        };
        Some((of(KnownTag::StartAllocations)?, of(KnownTag::StopAllocations)?))
    }

    /// Objects allocated while a row ran.
    pub(crate) fn allocations(&self, row: &SpanRow) -> Option<u64> {
        if let Some((start, stop)) = self.allocation_counters(row) {
            return Some(stop.saturating_sub(start));
        }
        let tags = self.request.tags_of(row);
        let tag = tags.iter().find(|tag| self.keys.known(tag.key) == KnownTag::Allocations)?;
        self.request.number(tag.value).map(|number| number as u64)
    }

    fn add_metric(
        &self,
        metrics: &mut Metrics,
        at: u32,
        row: &SpanRow,
        shown: Shown<'_>,
        (scope, child_allocations): (&str, &[u64]),
    ) {
        // A job's queue is shown beside its metrics, not among them.
        if row.kind == SpanKind::Queue {
            return;
        }
        let exclusive = self.tree.exclusive_of(&self.request.rows, at);
        let allocated = self.allocations(row).map(|all| {
            let of_children = child_allocations.get(at as usize).copied().unwrap_or(0);
            (all, all.saturating_sub(of_children))
        });
        let unscoped = scope.is_empty();
        let index = metrics.place(shown, scope, self.max_metrics);
        metrics.record(index, row.duration, exclusive, allocated, unscoped);
        let (layer, _) = split(shown.operation);
        let index = metrics.place_sum(layer);
        metrics.record(index, row.duration, exclusive, allocated, true);
    }

    /// What the children of each row allocated.
    fn child_allocations(&self) -> Vec<u64> {
        let mut sums = vec![0_u64; self.request.rows.len()];
        for (at, row) in self.request.rows.iter().enumerate() {
            if let Some(allocated) = self.allocations(row)
                && let Some(sum) = sums.get_mut(self.tree.parent(at as u32) as usize)
            {
                *sum = sum.saturating_add(allocated);
            }
        }
        sums
    }

    /// The outermost view around each row, in whose scope it is shown. `order` has parents first, so
    /// that nobody has to climb.
    fn views(&self, order: &[u32]) -> Vec<u32> {
        let mut views = vec![NONE; self.request.rows.len()];
        for &at in order {
            let parent = self.tree.parent(at);
            let above = views.get(parent as usize).copied().unwrap_or(NONE);
            let is_view = |row: &SpanRow| split(self.operations.text(row.op)).0 == SUBSCOPABLE;
            let view = match self.request.rows.get(parent as usize) {
                Some(row) if above == NONE && is_view(row) => parent,
                _ => above,
            };
            if let Some(of) = views.get_mut(at as usize) {
                *of = view;
            }
        }
        views
    }

    /// The scope that a row is shown in.
    fn scope_for(&self, at: u32, view: u32) -> &str {
        if at == self.scope {
            return "";
        }
        let view = self.request.rows.get(view as usize);
        view.map_or(self.scope_name, |row| self.operations.text(row.op))
    }

    /// For each of these statements, the nearest of the application's frames in any of its
    /// backtraces.
    pub(crate) fn callers(
        &self,
        mut of: HashMap<u64, Option<String>>,
    ) -> HashMap<u64, Option<String>> {
        for row in &self.request.rows {
            let Some(statement) = self.request.statement(row) else { continue };
            let Some(caller) = of.get_mut(&statement.fingerprint) else { continue };
            let frame = self.span_detail(row).backtrace.into_iter().next();
            if let Some(shown) = frame.map(|frame| show(&frame))
                && caller.as_ref().is_none_or(|held| shown < *held)
            {
                *caller = Some(shown);
            }
        }
        of
    }
}

/// `app/models/user.rb:10 in find`.
fn show(frame: &Frame) -> String {
    let mut text = frame.file.clone();
    if !frame.line.is_empty() {
        text.push(':');
        text.push_str(&frame.line);
    }
    if !frame.function.is_empty() {
        text.push_str(" in ");
        text.push_str(&frame.function);
    }
    text
}

/// Cuts a description to its limit, and further where a trace has little room left.
fn shorten(mut text: String, room: &mut usize) -> String {
    let limit = MAX_DESC.min(*room).max(MIN_DESC);
    text.truncate(super::symbols::cut(text.as_bytes(), limit).len());
    *room = room.saturating_sub(text.len());
    text
}

/// The metrics of a trace, in order of first appearance.
#[derive(Default)]
struct Metrics {
    list: Vec<TraceMetric>,
    by_key: HashMap<(String, String, Option<String>), usize>,
    by_layer: HashMap<String, usize>,
    truncated: bool,
}

impl Metrics {
    /// The metric of a layer's name; `None` when there are too many.
    fn place(&mut self, shown: Shown<'_>, scope: &str, limit: usize) -> Option<usize> {
        let Shown { operation: name, desc, detail } = shown;
        let key = (name.to_owned(), scope.to_owned(), desc.map(str::to_owned));
        if let Some(at) = self.by_key.get(&key) {
            return Some(*at);
        }
        if self.list.len() >= limit {
            self.truncated = true;
            return None;
        }
        let at = self.push(name, scope, desc, SpanDetail { tags: Vec::new(), ..detail.clone() });
        self.by_key.insert(key, at);
        Some(at)
    }

    /// The metric of a whole type; `None` when there are too many.
    fn place_sum(&mut self, layer: &str) -> Option<usize> {
        if let Some(at) = self.by_layer.get(layer) {
            return Some(*at);
        }
        if self.by_layer.len() >= MAX_SUMS {
            self.truncated = true;
            return None;
        }
        let at = self.push(&format!("{layer}/all"), "", None, SpanDetail::default());
        self.by_layer.insert(layer.to_owned(), at);
        Some(at)
    }

    fn push(&mut self, name: &str, scope: &str, desc: Option<&str>, detail: SpanDetail) -> usize {
        self.list.push(TraceMetric {
            name: name.to_owned(),
            scope: scope.to_owned(),
            desc: desc.map(str::to_owned),
            detail,
            calls: CallStats::default(),
            allocations: CallStats::default(),
        });
        self.list.len() - 1
    }

    fn record(
        &mut self,
        at: Option<usize>,
        total: u64,
        exclusive: u64,
        allocated: Option<(u64, u64)>,
        unscoped: bool,
    ) {
        let Some(metric) = at.and_then(|at| self.list.get_mut(at)) else { return };
        let record = if unscoped { CallStats::record } else { CallStats::record_scoped };
        record(&mut metric.calls, total, exclusive);
        if let Some((total, exclusive)) = allocated {
            record(&mut metric.allocations, total, exclusive);
        }
    }
}
