use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the agent did, refused and dropped: each bound is counted when it bites.
        #[derive(Debug, Default, Serialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }
    };
}

/// A number that only grows.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// What was sent to us in good form and is in no figure.
    pub fn lost(&self) -> u64 {
        self.requests_dropped.get() + self.spans_over_limit.get() + self.tags_dropped.get()
    }
}

counters! {
    /// Connections accepted.
    connections,
    /// Connections refused: too many.
    connections_refused,
    /// Connections closed by us: silent, stuck, or sending what is no frame.
    connections_closed,
    /// Frames answered.
    frames,
    /// Frames that hold no command, or one that cannot be done.
    frames_failed,
    /// Commands, those of batches counted one by one.
    commands,
    /// Parts of batches that are no command or cannot be done.
    commands_failed,
    /// Requests finished and handed on.
    requests,
    /// Spans handed on.
    spans,
    /// Finished requests without a span.
    requests_empty,
    /// Requests never finished, closed by age.
    requests_expired,
    /// Open requests that an agent before this one had left when it was killed.
    requests_recovered,
    /// Commands about open requests that a killed agent would take with it: the journal has no
    /// room, or no place.
    commands_not_kept,
    /// Requests closed because an application had too many open, or too much in them.
    requests_closed_by_limit,
    /// Requests still open when the agent ended.
    requests_closed_at_end,
    /// Spans over the bound of one request.
    spans_over_limit,
    /// Spans that were stopped or tagged, but never started.
    spans_without_start,
    /// Spans still open when their request was finished.
    spans_closed_at_finish,
    /// Spans attached to their request's root: their parent is unknown, or they had none.
    spans_attached_to_root,
    /// Tags over a bound.
    tags_dropped,
    /// Times that a request waited for room in its core.
    requests_waited,
    /// Requests, or parts of them, that their core had no room for in the end.
    requests_dropped,
    /// Application events that mean nothing to us.
    events_unknown,
    /// Samples out of range, clamped or left out.
    samples_clamped,
    /// Applications whose core was ended to make room for another.
    cores_evicted,
    /// Faults of ours that were contained.
    panics_contained,
}
