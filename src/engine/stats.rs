use serde::{Deserialize, Serialize};

/// What the engine took in, made of it, and had to bend or leave out.
///
/// Every limit that bites and every clamp has its counter here. All spans are somewhere:
/// `spans = spans_counted + spans_without_scope + spans_ignored + spans_sampled_out + open_spans`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineStats {
    /// Spans taken in.
    pub spans: u64,
    /// Records of request tags taken in.
    pub request_tags: u64,
    /// Errors taken in.
    pub errors: u64,
    /// Gauge samples taken in.
    pub gauges: u64,
    /// Application events taken in.
    pub events: u64,

    /// Requests being assembled now.
    pub open_requests: u64,
    /// Spans of requests being assembled now.
    pub open_spans: u64,

    /// Requests that became part of a period.
    pub requests: u64,
    /// Requests closed because they had been open too long.
    pub requests_closed_by_age: u64,
    /// Requests closed early because too many were open, or they held too much together.
    pub requests_closed_by_limit: u64,
    /// Requests closed without their root at shutdown.
    pub requests_closed_at_shutdown: u64,
    /// Requests without a `Controller/` or `Job/` span: they have no name and are not counted.
    pub requests_without_scope: u64,
    /// Requests left out because the application or its configuration says so.
    pub requests_ignored: u64,
    /// Requests left out by sampling.
    pub requests_sampled_out: u64,
    /// Requests whose end lay far from the present; they count in the present minute.
    pub requests_skewed: u64,

    /// Spans that became part of a period's metrics.
    pub spans_counted: u64,
    /// Of these, spans that came after their request was complete.
    pub spans_late: u64,
    /// Of these, spans counted in sums only, because their request, or all open ones, have too many.
    pub spans_folded: u64,
    /// Spans of requests without a scope.
    pub spans_without_scope: u64,
    /// Spans of ignored requests.
    pub spans_ignored: u64,
    /// Spans of requests left out by sampling.
    pub spans_sampled_out: u64,
    /// Spans that end before they begin; their duration is 0.
    pub spans_inverted: u64,
    /// Spans whose parent is unknown; they are taken as the root's children.
    pub spans_orphaned: u64,
    /// Rings of parents, cut open at their earliest span.
    pub span_cycles: u64,
    /// Spans with an id that another span of the request has.
    pub span_ids_repeated: u64,
    /// Roots beyond a request's first; they are trees of their own.
    pub roots_extra: u64,

    /// Tags left out: too many, too much text, too many distinct keys, or too much in all open requests.
    pub tags_dropped: u64,
    /// Tag values kept in part.
    pub tag_values_cut: u64,
    /// Request tags that came after their request was complete.
    pub tags_late: u64,
    /// Names kept in part.
    pub names_cut: u64,
    /// References to names that were never defined.
    pub unknown_names: u64,

    /// Lookups of operations that found the table full.
    pub operations_overflowed: u64,
    /// Operations whose type did not fit its table.
    pub layers_overflowed: u64,
    /// Times the table of operations was rebuilt without what is no longer used.
    pub operations_rebuilt: u64,
    /// Endpoints counted under `other` because a minute had too many.
    pub endpoints_overflowed: u64,
    /// Spans counted under the type `other` because a minute had too many metrics.
    pub metrics_overflowed: u64,
    /// Statements counted under `other` because a minute had too many.
    pub statements_overflowed: u64,
    /// Queries counted under `other` because a minute had too many kinds.
    pub queries_overflowed: u64,
    /// External calls counted under `other` because there were too many hosts.
    pub hosts_overflowed: u64,
    /// Jobs counted under `other` because a minute had too many.
    pub jobs_overflowed: u64,
    /// Gauges left out because a minute had too many names.
    pub gauges_overflowed: u64,
    /// Gauge samples that were no number; left out.
    pub gauges_invalid: u64,
    /// Gauge samples below zero, taken as 0, or beyond 2^63, taken as that.
    pub gauges_clamped: u64,
    /// Application events of an unknown kind or without valid JSON.
    pub events_invalid: u64,

    /// Errors left out because the configuration says so, or with an ignored request.
    pub errors_ignored: u64,
    /// Errors beyond what a minute keeps.
    pub errors_over_limit: u64,

    /// Traces kept at some time, of which the best of each minute stay.
    pub traces_taken: u64,
    /// Repeated statements found in requests.
    pub n_plus_ones: u64,
}
