use super::Engine;
use super::calls::CallStats;
use super::facts::Facts;
use super::groups::Groups;
use super::live::{LATE, LiveMinute, OTHER_QUEUE};
use super::materialise::Materialiser;
use super::merge::Entry;
use super::open::{Fate, Recent};
use super::operation::{OpId, SpanKind, split};
use super::period::NPlusOne;
use super::request::{Load, Request, SpanRow};
use super::rules::{Candidate, Verdict};
use super::symbols::Interned;
use super::tag::StoredValue;
use crate::model::{Minute, UnixNanos};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The most minutes that are filled at once. A recovery may find times of any age; a clock that counts in
/// the wrong unit makes a minute of each request. Further ones count in the last of these.
const MAX_MINUTES: usize = 512;

/// A request on its way into its minute.
pub(super) struct Counting {
    pub root: u32,
    pub scope: u32,
    /// The scope's operation, as renamed.
    pub op: OpId,
    pub is_job: bool,
    pub endpoint: u32,
    pub job: Option<u32>,
    pub queue: Option<u32>,
    pub start: UnixNanos,
    pub end: UnixNanos,
}

impl Engine {
    /// Closes a request and counts it.
    pub(super) fn complete(&mut self, at: u32, now: UnixNanos) {
        let Some(mut request) = self.requests.close(at) else { return };
        self.load -= request.load();
        debug_assert!(
            self.requests.open_len() > 0 || self.load == Load::default(),
            "{:?}",
            self.load
        );
        let recent = self.with_minutes(|engine, minutes| engine.count(&mut request, minutes, now));
        self.requests.remember(at, recent);
        self.requests.recycle(request);
    }

    /// The minutes, out of `self`, so that they can be filled from the tables beside them. Whatever
    /// happens meanwhile, they come back: a fault in one request is none in all others.
    pub(super) fn with_minutes<R>(
        &mut self,
        fill: impl FnOnce(&mut Engine, &mut Vec<LiveMinute>) -> R,
    ) -> R {
        let mut minutes = std::mem::take(&mut self.minutes);
        let filled = catch_unwind(AssertUnwindSafe(|| fill(self, &mut minutes)));
        self.minutes = minutes;
        filled.unwrap_or_else(|fault| resume_unwind(fault))
    }

    fn count(
        &mut self,
        request: &mut Request,
        minutes: &mut Vec<LiveMinute>,
        now: UnixNanos,
    ) -> Recent {
        self.tree.build(&request.rows, &mut self.stats);
        let root = self.tree.root();
        let (start, end) = match request.rows.get(root as usize) {
            Some(row) => (UnixNanos(row.start), row.end()),
            None => (now, now),
        };
        let (minute, skewed) = self.minute_of(end, now);
        self.stats.requests_skewed += u64::from(skewed);
        let dropped = |fate| Recent { minute, fate };
        let Some(scope) = self.scope_of(request) else {
            self.stats.requests_without_scope += 1;
            self.stats.spans_without_scope += request.spans();
            self.report_errors(request, None, minutes, now);
            return dropped(Fate::WithoutScope);
        };
        let (op, is_job) = request
            .rows
            .get(scope as usize)
            .map_or((OpId(0), false), |row| (row.op, row.kind == SpanKind::Job));
        let mut facts = Facts::read(request, &self.keys, start);
        facts.error |= request.failed;
        let op = self.renamed(request, op, facts.rename);
        let path = request.text(facts.path);
        let candidate = Candidate {
            is_job,
            name: split(self.operations.text(op)).1,
            path: &String::from_utf8_lossy(path),
            trace_id: request.trace_id,
        };
        let verdict = self.rules.judge(candidate);
        if facts.ignore || verdict == Verdict::Ignore {
            self.stats.requests_ignored += 1;
            self.stats.spans_ignored += request.spans();
            self.stats.errors_ignored += request.errors.len() as u64;
            return dropped(Fate::Ignored);
        }
        if verdict == Verdict::SampleOut {
            self.stats.requests_sampled_out += 1;
            self.stats.spans_sampled_out += request.spans();
            self.report_errors(request, Some((op, facts)), minutes, now);
            return dropped(Fate::SampledOut);
        }
        if is_job && let Some(row) = request.rows.get(scope as usize) {
            facts.read_job_span(request, &self.keys, row);
        }
        self.stats.requests += 1;
        self.stats.spans_counted += request.spans();
        self.stats.spans_folded += request.folded_spans;
        self.request += 1;
        if let Some(live) = self.minute(minutes, minute) {
            live.counts.requests += 1;
            live.counts.spans += request.spans();
            let endpoint = live.endpoint(op, &self.operations, &mut self.stats);
            let queue = is_job.then(|| self.queue_of(request, facts.queue));
            let job = queue.map(|queue| live.job(endpoint, queue, &mut self.stats));
            let counting = Counting { root, scope, op, is_job, endpoint, job, queue, start, end };
            self.count_layers(request, live, &counting);
            self.count_facts(request, live, &counting, &facts);
            self.find_repetitions(request, live, &counting);
            self.consider_trace(request, live, &counting, &facts, now);
        }
        self.report_errors(request, Some((op, facts)), minutes, now);
        Recent { minute, fate: Fate::Counted(op) }
    }

    pub(super) fn minute<'m>(
        &self,
        minutes: &'m mut Vec<LiveMinute>,
        minute: Minute,
    ) -> Option<&'m mut LiveMinute> {
        let at = minutes.iter().position(|live| live.minute == minute).unwrap_or_else(|| {
            if minutes.len() < MAX_MINUTES {
                minutes.push(LiveMinute::new(minute, &self.config, self.hash));
            }
            minutes.len() - 1
        });
        minutes.get_mut(at)
    }

    /// The row that names the request: the first `Controller/` or `Job/`, depth first.
    fn scope_of(&self, request: &Request) -> Option<u32> {
        let is_scope = |row: &SpanRow| row.kind.is_scope();
        match request.scopes {
            0 => None,
            1 => request.rows.iter().position(is_scope).map(|at| at as u32),
            _ => self
                .tree
                .preorder(&request.rows)
                .into_iter()
                .find(|at| request.rows.get(*at as usize).is_some_and(is_scope)),
        }
    }

    /// The scope's operation under the name that the tag `transaction.name` gives it.
    fn renamed(&mut self, request: &Request, op: OpId, name: Option<StoredValue>) -> OpId {
        let name = request.text(name);
        if name.is_empty() {
            return op;
        }
        let layer = |text: &[u8]| text.starts_with(b"Controller/") || text.starts_with(b"Job/");
        if layer(name) {
            return self.operations.intern(name, &mut self.stats);
        }
        let mut whole = split(self.operations.text(op)).0.as_bytes().to_vec();
        whole.push(b'/');
        whole.extend_from_slice(name);
        self.operations.intern(&whole, &mut self.stats)
    }

    fn queue_of(&mut self, request: &Request, tag: Option<StoredValue>) -> u32 {
        let mut queue = request.text(tag);
        if queue.is_empty() {
            let of_queue = |row: &&SpanRow| row.kind == SpanKind::Queue;
            let row = request.rows.iter().filter(of_queue).min_by_key(|row| (row.start, row.id));
            queue = row.map_or(b"default", |row| split(self.operations.text(row.op)).1.as_bytes());
        }
        match self.queues.intern(super::symbols::cut(queue, 256)) {
            Interned::Found(queue) | Interned::Added(queue) => queue,
            Interned::Full => OTHER_QUEUE,
        }
    }

    /// Counts every span of a request.
    fn count_layers(&mut self, request: &Request, live: &mut LiveMinute, counting: &Counting) {
        let Counting { root, scope, endpoint, job, .. } = *counting;
        self.touched.clear();
        let mut groups = Groups {
            operations: &self.operations,
            keys: &self.keys,
            stats: &mut self.stats,
            live,
            endpoint,
            request: self.request,
        };
        for folded in &request.folded {
            let info = groups.operations.info(folded.op);
            // Whose children they were is not known: they take their time from the root.
            self.tree.add_children(root, folded.calls.total);
            let job = job.filter(|_| info.kind.is_job_layer());
            groups.live.layer(endpoint, job, info.layer, &folded.calls, groups.stats);
            if let Some(group) = groups.count_folded(folded, info.kind) {
                self.touched.push(group);
            }
        }
        for (at, (row, exclusive)) in self.tree.exclusive(&request.rows).enumerate() {
            if at as u32 == scope {
                if let Some(endpoint) = groups.live.endpoints.get_mut(endpoint as usize) {
                    endpoint.own.record(row.duration, exclusive);
                }
            } else {
                let mut calls = CallStats::default();
                calls.record_scoped(row.duration, exclusive);
                let job = job.filter(|_| row.kind.is_job_layer());
                groups.live.layer(endpoint, job, row.layer, &calls, groups.stats);
            }
            if let Some(group) = groups.count(request, row, row.kind) {
                self.touched.push(group);
            }
        }
    }

    /// Counts one span that came after its request was complete.
    pub(super) fn count_late(&mut self, minute: Minute, op: OpId, late: &Request, row: &SpanRow) {
        self.with_minutes(|engine, minutes| {
            let Some(live) = engine.minute(minutes, minute) else { return };
            live.counts.spans += 1;
            live.counts.late_spans += 1;
            let endpoint = live.endpoint(op, &engine.operations, &mut engine.stats);
            let mut calls = CallStats::default();
            calls.record_scoped(row.duration, row.duration);
            live.layer(endpoint, None, row.layer, &calls, &mut engine.stats);
            Groups {
                operations: &engine.operations,
                keys: &engine.keys,
                stats: &mut engine.stats,
                live,
                endpoint,
                request: LATE,
            }
            .count(late, row, row.kind);
        });
    }

    /// Counts what is known of a request as a whole.
    fn count_facts(
        &mut self,
        request: &Request,
        live: &mut LiveMinute,
        counting: &Counting,
        facts: &Facts,
    ) {
        let row_of = |at: u32| request.rows.get(at as usize);
        let total = counting.end.since(counting.start).0;
        if let Some(endpoint) = live.endpoints.get_mut(counting.endpoint as usize) {
            endpoint.histogram.record(total);
            endpoint.errors += u64::from(facts.error);
            if let Some(waited) = facts.queue_time
                && !counting.is_job
                && self.config.record_queue_time
            {
                endpoint.queue_time.record_value(waited);
            }
            let shown = self.materialiser(request, counting.scope, "");
            if let Some(allocated) = row_of(counting.root).and_then(|row| shown.allocations(row)) {
                endpoint.allocations.record_value(allocated);
            }
        }
        if let Some(job) = counting.job.and_then(|job| live.jobs.get_mut(job as usize))
            && let Some(row) = row_of(counting.scope)
        {
            job.count += 1;
            job.errors += u64::from(facts.error);
            job.total = job.total.saturating_add(row.duration);
            job.total_times.record(row.duration);
            let exclusive = self.tree.exclusive_of(&request.rows, counting.scope);
            job.exclusive_times.record(exclusive);
            job.latency.record_value(facts.latency.unwrap_or(0));
        }
    }

    /// Notes the statements that the request repeated, under whatever names its spans have.
    fn find_repetitions(&mut self, request: &Request, live: &mut LiveMinute, counting: &Counting) {
        let (least_calls, least_nanos) =
            (self.config.n_plus_one_calls, self.config.n_plus_one_nanos);
        let repeated = |group: &u32| {
            let held = live.calls.get(*group as usize)?;
            let fingerprint = held.statement.as_ref()?.fingerprint;
            Some((fingerprint, *group, held.in_request.calls, held.in_request.nanos))
        };
        let calls = self.touched.iter().filter_map(repeated).map(|(.., calls, _)| calls);
        if calls.sum::<u64>() < least_calls {
            return;
        }
        let mut found: Vec<_> = self.touched.iter().filter_map(repeated).collect();
        found.sort_unstable();
        found.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.2 += later.2;
                kept.3 = kept.3.saturating_add(later.3);
            }
            same
        });
        found.retain(|(.., calls, nanos)| *calls >= least_calls && *nanos >= least_nanos);
        if found.is_empty() {
            return;
        }
        // One walk for all of them: there may be as many as spans.
        let wanted = found.iter().map(|(fingerprint, ..)| (*fingerprint, None)).collect();
        let callers: HashMap<u64, Option<String>> =
            self.materialiser(request, counting.scope, "").callers(wanted);
        self.stats.n_plus_ones += found.len() as u64;
        for (fingerprint, group, count, total) in found {
            let caller = callers.get(&fingerprint).cloned().flatten();
            let found = NPlusOne { statement: String::new(), requests: 1, count, total, caller };
            live.n_plus_ones.entry(group).or_default().add(found);
        }
    }

    pub(super) fn materialiser<'a>(
        &'a self,
        request: &'a Request,
        scope: u32,
        scope_name: &'a str,
    ) -> Materialiser<'a> {
        Materialiser {
            request,
            tree: &self.tree,
            operations: &self.operations,
            keys: &self.keys,
            backtraces: &self.backtraces,
            filter: &self.filter,
            scope,
            scope_name,
            max_spans: self.config.max_trace_spans,
            max_metrics: self.config.max_trace_metrics,
            n_plus_one_calls: self.config.n_plus_one_calls,
            n_plus_one_nanos: self.config.n_plus_one_nanos,
        }
    }
}
