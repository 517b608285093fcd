use super::application::Application;
use super::draft::{Draft, SpanDraft, Stop};
use super::hub::Hub;
use super::left::Left;
use super::roots::{self, Roots};
use crate::core::{self, Failure};
use crate::model::{NameId, SpanId, UnixNanos};
use crate::record::{MAX_TAGS, RequestTags, Span, Tag, TagValue, Text};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The most bytes of text that one record of request tags is given.
const RECORD_TEXT: usize = 48 * 1024;

/// A request at its end, and how far it is handed on.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) draft: Draft,
    at: UnixNanos,
    tags_done: usize,
    spans_done: usize,
    /// Spans that an agent before this one has handed on.
    spans_before: usize,
    /// While a part of it is handed on, and the rest waits.
    torn: Option<Torn>,
}

impl Finished {
    /// Ended at this time, or else with its last command.
    pub(super) fn new(draft: Draft, at: Option<UnixNanos>) -> Finished {
        let at = at.unwrap_or(draft.latest);
        Finished { draft, at, tags_done: 0, spans_done: 0, spans_before: 0, torn: None }
    }

    /// Where an agent that was killed has left off.
    pub(super) fn continued(left: Left) -> Finished {
        let Left { draft, at, progress, .. } = left;
        let mut finished = Finished::new(draft, at);
        let progress = progress.unwrap_or_default();
        (finished.tags_done, finished.spans_before) = (progress.tags, progress.spans);
        finished
    }
}

/// Counts a request that is handed on in part, until this is dropped.
#[derive(Debug)]
struct Torn(Arc<Application>);

impl Torn {
    fn of(app: &Arc<Application>) -> Torn {
        app.torn.fetch_add(1, Ordering::Relaxed);
        Torn(app.clone())
    }
}

impl Drop for Torn {
    fn drop(&mut self) {
        self.0.torn.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// Hands a request on to its application's core, or as much of it as there is room for.
    ///
    /// A core that is full of halves of requests could complete none of them: while one waits for
    /// its rest, no other is begun.
    pub(super) fn hand_on(
        &self,
        app: &Arc<Application>,
        finished: &mut Finished,
        now: UnixNanos,
    ) -> Result<(), Failure> {
        let begun = finished.tags_done + finished.spans_done > 0;
        if !begun && app.torn.load(Ordering::Relaxed) > 0 {
            return Err(Failure::Dropped);
        }
        let done = self.emit(app, finished, now);
        if done.is_err() && finished.tags_done + finished.spans_done > 0 {
            finished.torn.get_or_insert_with(|| Torn::of(app));
        }
        done
    }

    /// Hands a request on to its application's core: its tags, its spans, its root last. Where the
    /// core has no room, goes on from there when called again.
    ///
    /// A request without spans is nothing to count.
    pub(super) fn emit(
        &self,
        app: &Application,
        finished: &mut Finished,
        now: UnixNanos,
    ) -> Result<(), Failure> {
        let counters = &self.counters;
        let Finished { draft, at: finish, tags_done, spans_done, spans_before, .. } = finished;
        let Some(Roots { root, attached }) = roots::find(draft) else {
            counters.requests_empty.add(1);
            counters.spans_without_start.add(draft.spans.len() as u64);
            return Ok(());
        };
        let root_id = draft.spans.get(root).map_or(SpanId::NONE, |span| span.id);
        self.emit_request_tags(app, draft, *finish, tags_done, now)?;
        let others = draft.spans.iter().enumerate().filter(|(at, _)| *at != root);
        let in_order = others.chain(draft.spans.get(root).map(|span| (root, span)));
        for (at, span) in in_order.skip(*spans_done) {
            if span.start.is_some() && *spans_before > 0 {
                *spans_before -= 1;
            } else if let Some(start) = span.start {
                let parent_id = match () {
                    () if at == root => SpanId::NONE,
                    () if attached.contains(&span.id.0) => root_id,
                    () => span.parent,
                };
                let record = Span {
                    trace_id: draft.trace,
                    span_id: span.id,
                    parent_id,
                    start,
                    end: end_of(span, *finish),
                    operation: Text::Bytes(draft.operation(span)),
                };
                let tags = || draft.span_tags(span).map(|(tag, _)| tag);
                self.with_core(app, now, |core| {
                    core::record_span(core, &record, tags(), NameId(0))
                })?;
                counters.spans.add(1);
                counters.spans_closed_at_finish.add(u64::from(span.stop.is_none()));
            } else {
                counters.spans_without_start.add(1);
            }
            *spans_done += 1;
        }
        counters.requests.add(1);
        counters.spans_attached_to_root.add(attached.len() as u64);
        Ok(())
    }

    fn emit_request_tags(
        &self,
        app: &Application,
        draft: &Draft,
        finish: UnixNanos,
        done: &mut usize,
        now: UnixNanos,
    ) -> Result<(), Failure> {
        // Of two tags with one key the later counts, through whichever connection it came.
        let mut tags: Vec<(Tag<'_>, UnixNanos)> = draft.request_tags().collect();
        tags.sort_by_key(|(_, time)| *time);
        let id = TagValue::Str { text: Text::Bytes(draft.request_id.as_bytes()), truncated: false };
        let id = Tag { key: Text::Bytes(b"scout.request_id"), value: id };
        let mut tags: Vec<Tag<'_>> = tags.into_iter().map(|(tag, _)| tag).collect();
        tags.push(id);
        let request = RequestTags { trace_id: draft.trace, time: finish };
        while let Some(rest) = tags.get(*done..).filter(|rest| !rest.is_empty()) {
            let (in_this, _) = rest.split_at(fitting(rest));
            self.with_core(app, now, |core| {
                core::record(core, NameId(0), |out| {
                    out.request_tags(&request, in_this.iter().copied())
                })
            })?;
            *done += in_this.len();
        }
        Ok(())
    }
}

/// How many of these tags go into one record; at least one.
fn fitting(tags: &[Tag<'_>]) -> usize {
    let mut bytes = 0;
    tags.iter()
        .take(MAX_TAGS)
        .take_while(|tag| {
            bytes += len(tag.key)
                + match tag.value {
                    TagValue::Str { text, .. } => len(text),
                    _ => 0,
                };
            bytes <= RECORD_TEXT
        })
        .count()
        .max(1)
}

fn len(text: Text<'_>) -> usize {
    match text {
        Text::Bytes(bytes) => bytes.len(),
        Text::Name(_) => 0,
    }
}

/// A span still open when its request is finished ends with it. So does one whose end was told
/// without a time, behind the finish: PHP sends that for a span that was never stopped.
fn end_of(span: &SpanDraft, finish: UnixNanos) -> UnixNanos {
    match span.stop {
        None => finish,
        Some(Stop { at, said: true }) => at,
        Some(Stop { at, said: false }) => at.min(finish),
    }
}
