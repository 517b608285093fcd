//! The nouns everything else speaks in: ids, times and sizes as newtypes.
//!
//! Owns no state, does no I/O and reads no clock.

mod id;
mod time;

pub use id::{NameId, SpanId, TraceId};
pub use time::{DurationNanos, Minute, UnixNanos};
