use super::Engine;
use super::count::Counting;
use super::facts::{Context, Facts};
use super::live::{LiveMinute, OTHER_QUEUE};
use super::operation::OTHER;
use super::request::Request;
use super::scored_set::Scored;
use super::trace::SlowTrace;
use super::uri;
use crate::model::UnixNanos;

impl Engine {
    /// Scores a request, and keeps its trace if that is among the minute's best.
    pub(super) fn consider_trace(
        &mut self,
        request: &Request,
        live: &mut LiveMinute,
        counting: &Counting,
        facts: &Facts,
        now: UnixNanos,
    ) {
        let Some(name) = live.endpoints.get(counting.endpoint as usize).map(|held| &held.name)
        else {
            return;
        };
        let set = if counting.is_job { &mut live.slow_jobs } else { &mut live.slow_requests };
        let total = counting.end.since(counting.start).0;
        let threshold = set.threshold(name);
        let score = self.scorer.score(counting.op, total, now, threshold);
        let Some(score) = score.filter(|score| threshold.is_none_or(|least| *score >= least))
        else {
            return;
        };
        // Only now: ids as text are made for candidates alone.
        let tie = request.trace_id.to_string();
        if !set.accepts(name, score, &tie) {
            return;
        }
        let item = self.slow_trace(request, counting, facts, name, score);
        set.insert(Scored { name: name.to_string(), score, tie, item });
        self.scorer.stored(counting.op, now);
        self.stats.traces_taken += 1;
    }

    fn slow_trace(
        &self,
        request: &Request,
        counting: &Counting,
        facts: &Facts,
        name: &str,
        score: f64,
    ) -> SlowTrace {
        let shown = self.materialiser(request, counting.scope, name);
        let detail = shown.detail(self.config.timeline_traces);
        let context =
            Context::read(request, &self.keys, &self.filter, self.config.collect_remote_ip);
        let row_of = |at: u32| request.rows.get(at as usize);
        let allocations = |at: u32| row_of(at).and_then(|row| shown.allocations(row)).unwrap_or(0);
        let queue = counting.queue.map(|queue| {
            if queue == OTHER_QUEUE { OTHER } else { self.queues.text(queue) }.to_owned()
        });
        SlowTrace {
            trace_id: request.trace_id.to_string(),
            name: name.to_owned(),
            queue: queue.unwrap_or_default(),
            uri: self.shown_uri(request, facts),
            start: counting.start,
            end: counting.end,
            scope_total: row_of(counting.scope).map_or(0, |row| row.duration),
            scope_exclusive: self.tree.exclusive_of(&request.rows, counting.scope),
            since_startup: counting.end.since(self.started).0,
            context: context.extra,
            user: context.user,
            score,
            // Shrinking is no news, and not this request's doing.
            mem_delta: facts.mem_delta.unwrap_or(0.0).max(0.0),
            allocations: allocations(counting.root),
            scope_allocations: allocations(counting.scope),
            hostname: self.hostname.clone(),
            git_sha: self.git_sha.clone(),
            truncated_metrics: detail.truncated_metrics,
            reached_span_cap: detail.reached_span_cap,
            metrics: detail.metrics,
            spans: detail.spans,
        }
    }

    /// The request's address as configured.
    pub(super) fn shown_uri(&self, request: &Request, facts: &Facts) -> String {
        let path = String::from_utf8_lossy(request.text(facts.path));
        uri::report(&path, self.config.uri_reporting, &self.filter)
    }
}
