//! What the recorder's tests record, and how they read it back.

use super::{Drainer, Recorder, Refusal, record};
use crate::model::{SpanId, TraceId, UnixNanos};
use crate::record::{Record, Span, Tag, Text};

/// Records a span with this id and these tags.
pub(super) fn put(slot: usize, stamp: u64, id: u64, tags: &[Tag<'_>]) -> Result<(), Refusal> {
    let span = Span {
        trace_id: TraceId([1; 16]),
        span_id: SpanId(id),
        parent_id: SpanId(1),
        start: UnixNanos(1),
        end: UnixNanos(2),
        operation: Text::Bytes(b"SQL/Query"),
    };
    record(slot, stamp, |_, out| Ok::<_, ()>(out.span(&span, tags.iter().copied()))).map(|_| ())
}

/// The ids of the spans that a drain finds.
pub(super) fn drain(drainer: &mut Drainer, recorder: &Recorder) -> Vec<u64> {
    let mut ids = Vec::new();
    drainer.drain(recorder, |record| {
        if let Record::Span(span, _) = record {
            ids.push(span.span_id.0);
        }
    });
    ids
}
