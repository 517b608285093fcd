//! From spans to minutes: request assembly, metrics, histograms, traces, repeated statements.
//!
//! Pure: time and randomness come in as arguments. All state is bounded; each bound is counted in
//! [`EngineStats`] when it bites. `docs/engine.md` has the rules and where they come from.

mod backtrace;
mod call_group;
mod calls;
mod config;
mod count;
mod error;
mod facts;
mod filter;
mod freeze;
mod gauge;
mod groups;
mod hash;
mod histogram;
mod ingest;
mod live;
mod materialise;
mod merge;
mod open;
mod operation;
mod period;
mod queue_time;
mod report;
mod request;
mod rules;
mod score;
mod scored_set;
mod select;
mod stats;
mod symbols;
mod tag;
mod tag_reader;
#[cfg(test)]
mod tests;
mod trace;
mod tree;
mod uri;
mod weight;

pub use calls::CallStats;
pub use config::{EngineConfig, UriReporting};
pub use error::{ErrorLog, Problem};
pub use gauge::GaugeStats;
pub use histogram::Histogram;
#[doc(hidden)]
pub use histogram::LiveHistogram;
pub use period::{
    Application, HostKey, HostStats, JobKey, JobStats, MetricKey, NPlusOne, Period, PeriodCounts,
    QueryKey, QueryStats, StatementKey, StatementStats,
};
pub use rules::{check_pattern, parse_sample_rate, parse_sample_rule};
pub use scored_set::{Scored, ScoredSet};
pub use stats::EngineStats;
pub use trace::{Frame, Repetition, Scalar, SlowTrace, SpanDetail, TraceMetric, TraceSpan};
pub(crate) use weight::heaviest_first;

use crate::model::{Minute, TraceId, UnixNanos};
use crate::sql::{Dialect, Memo};
use backtrace::BacktraceRules;
use filter::Filter;
use hash::KeyedHash;
use live::LiveMinute;
use open::Requests;
use operation::{OpId, Operations};
use request::{Load, Request};
use rules::Rules;
use score::Scorer;
use serde::Serialize;
use symbols::Symbols;
use tag::TagKeys;
use tree::Tree;

/// Assembles requests from spans and counts them by the minute.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    hash: KeyedHash,
    started: UnixNanos,
    stats: EngineStats,
    operations: Operations,
    keys: TagKeys,
    hosts: Symbols,
    queues: Symbols,
    memo: Memo,
    requests: Requests,
    /// Requests whose root came in this round, and before it.
    rooted: Vec<(u32, TraceId)>,
    rooted_before: Vec<(u32, TraceId)>,
    /// What all open requests hold.
    load: Load,
    /// A late span's place while it is counted.
    late: Option<Box<Request>>,
    tree: Tree,
    rules: Rules,
    filter: Filter,
    backtraces: BacktraceRules,
    scorer: Scorer,
    minutes: Vec<LiveMinute>,
    /// Number of the request last counted; 0 is none.
    request: u64,
    /// Call groups of the request being counted.
    touched: Vec<u32>,
    application: Option<Application>,
    hostname: String,
    git_sha: String,
    dialect: Dialect,
}

/// An open request, for people who look for one that hangs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenRequest {
    /// Its id, in hex.
    pub trace_id: String,
    /// Its name, as far as it is known: the scope's, or else the first span's operation.
    pub name: String,
    /// Seconds since its first record came in.
    pub age: f64,
    /// Spans so far.
    pub spans: u64,
    /// The operation of its longest span so far.
    pub longest: String,
    /// How long that took, in seconds.
    pub longest_seconds: f64,
}

/// Open requests told of at once.
const MAX_TOLD: usize = 50;
/// Distinct hosts and queues known.
const MAX_HOSTS: usize = 4096;
const MAX_QUEUES: usize = 1024;

impl Engine {
    /// An empty engine. `hash_key` must be random: it guards the tables against chosen keys and
    /// decides sampling.
    pub fn new(config: EngineConfig, hash_key: [u64; 2], started: UnixNanos) -> Engine {
        let hash = KeyedHash::new(hash_key);
        Engine {
            hash,
            started,
            stats: EngineStats::default(),
            operations: Operations::new(hash, config.max_operations),
            keys: TagKeys::new(hash),
            hosts: Symbols::new(hash, MAX_HOSTS),
            queues: Symbols::new(hash, MAX_QUEUES),
            memo: Memo::new(config.sql_memo_entries, hash_key, config.sql_naming),
            requests: Requests::new(hash, config.max_recent_requests),
            rooted: Vec::new(),
            rooted_before: Vec::new(),
            load: Load::default(),
            late: None,
            tree: Tree::new(hash),
            rules: Rules::new(&config, hash),
            filter: Filter::new(&config.filtered_params),
            backtraces: BacktraceRules::new(
                config.application_root.as_deref(),
                config.scm_subdirectory.as_deref(),
            ),
            scorer: Scorer::new(started, 2 * config.max_endpoints, hash),
            minutes: Vec::new(),
            request: 0,
            touched: Vec::new(),
            application: None,
            hostname: config.hostname.clone().unwrap_or_default(),
            git_sha: config.git_sha.clone().or(config.found_git_sha.clone()).unwrap_or_default(),
            dialect: config.dialect,
            config,
        }
    }

    /// A drain round has passed: requests whose root was in before it are complete, and those
    /// open for too long are closed.
    pub fn end_round(&mut self, now: UnixNanos) {
        self.complete_rooted(now);
        std::mem::swap(&mut self.rooted, &mut self.rooted_before);
        while let Some(at) = self.requests.oldest_open() {
            let age =
                self.requests.request(at).map_or(0, |request| now.since(request.first_seen).0);
            if age <= self.config.request_max_age {
                break;
            }
            self.stats.requests_closed_by_age += 1;
            self.complete(at, now);
        }
        if self.operations.is_nearly_full() {
            self.rebuild_operations();
        }
    }

    /// Takes out the minutes that are over.
    pub fn take_closed(&mut self, now: UnixNanos) -> Vec<Period> {
        self.take(|minute| minute < now.minute())
    }

    /// Takes out all minutes as they are. Requests that are open stay so.
    pub fn take_complete(&mut self) -> Vec<Period> {
        self.take(|_| true)
    }

    /// Whether a minute is over; or so far ahead that the clock was set back since, and it would
    /// not be over for long.
    pub fn has_closed(&self, now: UnixNanos) -> bool {
        let (now, ahead) = (now.minute(), Minute(now.minute().0.saturating_add(1)));
        self.minutes.iter().any(|live| live.minute < now || live.minute > ahead)
    }

    /// Whether it has no request and no minute.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.requests.open_len() == 0
    }

    /// Whether a request is being assembled.
    pub fn is_open(&mut self, trace: TraceId) -> bool {
        let at = self.requests.find(trace);
        let state = at.and_then(|at| self.requests.state(at));
        matches!(state, Some(open::State::Open(_)))
    }

    /// Completes every request whose root is in, and takes out all minutes.
    pub fn take_all(&mut self, now: UnixNanos) -> Vec<Period> {
        self.complete_rooted(now);
        std::mem::swap(&mut self.rooted, &mut self.rooted_before);
        self.complete_rooted(now);
        self.take(|_| true)
    }

    /// As [`Engine::take_all`]; the other requests are closed too.
    pub fn close_all(&mut self, now: UnixNanos) -> Vec<Period> {
        self.complete_rooted(now);
        std::mem::swap(&mut self.rooted, &mut self.rooted_before);
        self.complete_rooted(now);
        while let Some(at) = self.requests.oldest_open() {
            self.stats.requests_closed_at_shutdown += 1;
            self.complete(at, now);
        }
        self.take(|_| true)
    }

    /// Completes what was rooted before this round.
    fn complete_rooted(&mut self, now: UnixNanos) {
        let mut ready = std::mem::take(&mut self.rooted_before);
        for (at, trace_id) in ready.drain(..) {
            // It may have been closed in between, and its place taken.
            if self.requests.request(at).is_some_and(|request| request.trace_id == trace_id) {
                self.complete(at, now);
            }
        }
        self.rooted_before = ready;
    }

    fn take(&mut self, over: impl Fn(Minute) -> bool) -> Vec<Period> {
        let (done, rest) =
            std::mem::take(&mut self.minutes).into_iter().partition(|live| over(live.minute));
        self.minutes = rest;
        let mut done: Vec<LiveMinute> = done;
        done.sort_by_key(|live| live.minute);
        done.into_iter()
            .map(|mut live| {
                live.application =
                    Application::later(live.application.take(), self.application.clone());
                freeze::freeze(live, &self.operations, &self.hosts, &self.queues)
            })
            .filter(|period| !period.is_empty())
            .collect()
    }

    /// What happened so far.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            open_requests: self.requests.open_len() as u64,
            open_spans: self.load.spans as u64,
            ..self.stats.clone()
        }
    }

    /// The requests being assembled, the oldest first; not more than fifty.
    pub fn open_requests(&self, now: UnixNanos) -> Vec<OpenRequest> {
        self.requests
            .each_open()
            .take(MAX_TOLD)
            .map(|request| {
                let scope = request.rows.iter().find(|row| row.kind.is_scope());
                let longest = request.rows.iter().max_by_key(|row| row.duration);
                let text = |row: Option<&request::SpanRow>| {
                    row.map_or(String::new(), |row| self.operations.text(row.op).to_owned())
                };
                OpenRequest {
                    trace_id: request.trace_id.to_string(),
                    name: text(scope.or(request.rows.first())),
                    age: now.since(request.first_seen).as_seconds(),
                    spans: request.spans(),
                    longest: text(longest),
                    longest_seconds: longest.map_or(0.0, |row| row.duration as f64 / 1e9),
                }
            })
            .collect()
    }

    /// The minute a moment counts in: its own, or the present one if it lies too far from that.
    fn minute_of(&mut self, at: UnixNanos, now: UnixNanos) -> (Minute, bool) {
        let skewed = at.0.abs_diff(now.0) > self.config.max_skew;
        (if skewed { now.minute() } else { at.minute() }, skewed)
    }

    /// Forgets operations that nothing refers to any more.
    #[cold]
    fn rebuild_operations(&mut self) {
        self.stats.operations_rebuilt += 1;
        let mut keep = vec![false; self.operations.len()];
        self.requests.each_op(|op| {
            if let Some(keep) = keep.get_mut(op.0 as usize) {
                *keep = true;
            }
        });
        let (table, moved) = self.operations.rebuilt(&keep, &mut self.stats);
        let new = |op: OpId| moved.get(op.0 as usize).copied().flatten();
        self.requests.each_op(|op| *op = new(*op).unwrap_or_default());
        self.scorer.renumber(new);
        self.minutes.iter_mut().for_each(LiveMinute::forget_numbers);
        self.operations = table;
    }
}
