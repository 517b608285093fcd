//! Spans, on three ways: what nearly every call is, inlined into the export and kept short; spans
//! with tags, or with a name that is not interned; and all else, which knows every reason why not.
//!
//! Each way answers what is not for it by trying the next one, with nothing recorded or counted. The
//! next one is a tail call of a function that does not unwind: so the first has no stack to set up,
//! and nothing for the guard around it to clean.

use super::guard::{Status, guard};
use super::pointers::{
    PlainTags, SpanOut, optional_struct, read_current, read_struct, tags as any_tags, text_or_id,
    worse,
};
use super::status::scout_status_t;
use super::types::{scout_core_t, scout_span_t, scout_tag_t};
use crate::core::{self, Done, Failure, Room};
use crate::model::{NameId, SpanId, TraceId, UnixNanos};
use crate::record::{Span, Tag, Text};

/// # Safety
/// `span` is readable or NULL; its pointers are valid for their lengths.
#[inline(always)]
pub(super) unsafe fn record(core: scout_core_t, span: *const scout_span_t) -> scout_status_t {
    // SAFETY: as the caller of this function promises.
    unsafe {
        match record_bare(core, span) {
            Some(done) => done.status(),
            None => record_with_texts(core, span),
        }
    }
}

/// # Safety
/// As [`record`].
#[inline(always)]
unsafe fn record_bare(core: scout_core_t, span: *const scout_span_t) -> Option<Done> {
    // SAFETY: as the caller promises.
    let first = unsafe { read_current(span) }?;
    if first.operation_id == 0 || first.n_tags != 0 {
        return None;
    }
    let mut entered = core::enter()?;
    let room = entered.room(core)?;
    // Read again, and only now: else all of it would have to be kept until here.
    // SAFETY: the same.
    let span = unsafe { span.read_unaligned() };
    let operation = Text::Name(NameId(span.operation_id));
    write(room, &span, operation, UnixNanos(span.end_ns), std::iter::empty())
}

/// # Safety
/// As [`record`].
#[inline(never)]
unsafe extern "C" fn record_with_texts(
    core: scout_core_t,
    span: *const scout_span_t,
) -> scout_status_t {
    let plain = || {
        let mut entered = core::enter()?;
        let room = entered.room(core)?;
        // SAFETY: as the caller promises.
        let (span, operation, tags) = unsafe {
            let span = read_current(span)?;
            let operation = text_or_id(span.operation, span.operation_len, span.operation_id);
            (span, operation.ok()?, PlainTags::new(span.tags, span.n_tags))
        };
        write(room, &span, operation, UnixNanos(span.end_ns), tags)
    };
    match plain() {
        Some(done) => done.status(),
        // SAFETY: as the caller promises.
        None => unsafe { record_any(core, span) },
    }
}

/// # Safety
/// As [`record`].
#[cold]
#[inline(never)]
unsafe extern "C" fn record_any(core: scout_core_t, span: *const scout_span_t) -> scout_status_t {
    // SAFETY: as the caller promises.
    guard(|| unsafe { record_checked(core, &read_struct(span)?) })
}

/// # Safety
/// `span` is writable or NULL; its pointers and the tags are valid for their lengths.
#[inline(always)]
pub(super) unsafe fn end(
    core: scout_core_t,
    span: *mut scout_span_t,
    tags: *const scout_tag_t,
    n_tags: usize,
) -> scout_status_t {
    // SAFETY: as the caller of this function promises.
    unsafe {
        match end_bare(core, span, n_tags) {
            Some(done) => done.status(),
            None => end_with_texts(core, span, tags, n_tags),
        }
    }
}

/// # Safety
/// As [`end`].
#[inline(always)]
unsafe fn end_bare(core: scout_core_t, span: *mut scout_span_t, n_tags: usize) -> Option<Done> {
    // SAFETY: as the caller promises.
    let first = unsafe { read_current(span.cast_const()) }?;
    if first.operation_id == 0 || n_tags != 0 {
        return None;
    }
    let end = core::clock_now();
    let mut entered = core::enter()?;
    let room = entered.room(core)?;
    // SAFETY: the same.
    let c_span = unsafe { span.read_unaligned() };
    let operation = Text::Name(NameId(c_span.operation_id));
    let done = write(room, &c_span, operation, end, std::iter::empty())?;
    // SAFETY: the same; it is no NULL, for it was read.
    unsafe { SpanOut::new(span) }.ok()?.write_end(end);
    Some(done)
}

/// # Safety
/// As [`end`].
#[inline(never)]
unsafe extern "C" fn end_with_texts(
    core: scout_core_t,
    span: *mut scout_span_t,
    tags: *const scout_tag_t,
    n_tags: usize,
) -> scout_status_t {
    let plain = || {
        let end = core::clock_now();
        let mut entered = core::enter()?;
        let room = entered.room(core)?;
        // SAFETY: as the caller promises.
        let (c_span, operation, tags) = unsafe {
            let span = read_current(span.cast_const())?;
            let operation = text_or_id(span.operation, span.operation_len, span.operation_id);
            (span, operation.ok()?, PlainTags::new(tags, n_tags))
        };
        let done = write(room, &c_span, operation, end, tags)?;
        // SAFETY: the same; it is no NULL, for it was read.
        unsafe { SpanOut::new(span) }.ok()?.write_end(end);
        Some(done)
    };
    match plain() {
        Some(done) => done.status(),
        // SAFETY: as the caller promises.
        None => unsafe { end_any(core, span, tags, n_tags) },
    }
}

/// # Safety
/// As [`end`].
#[cold]
#[inline(never)]
unsafe extern "C" fn end_any(
    core: scout_core_t,
    span: *mut scout_span_t,
    tags: *const scout_tag_t,
    n_tags: usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: as the caller promises.
        let (mut c_span, out) = unsafe { (read_struct(span.cast_const())?, SpanOut::new(span)?) };
        let end = core::now(core)?;
        c_span.end_ns = end.0;
        c_span.tags = tags;
        c_span.n_tags = n_tags;
        // SAFETY: the same.
        let done = unsafe { record_checked(core, &c_span) }?;
        out.write_end(end);
        Ok(done)
    })
}

/// # Safety
/// `parent` is readable or NULL; `span` is writable or NULL.
#[inline(always)]
pub(super) unsafe fn begin(
    core: scout_core_t,
    parent: *const scout_span_t,
    operation_id: u32,
    span: *mut scout_span_t,
) -> scout_status_t {
    // SAFETY: as the caller of this function promises.
    unsafe {
        match begin_plain(core, parent, operation_id, span) {
            Some(()) => ().status(),
            None => begin_any(core, parent, operation_id, span),
        }
    }
}

/// # Safety
/// As [`begin`].
#[inline(always)]
unsafe fn begin_plain(
    core: scout_core_t,
    parent: *const scout_span_t,
    operation_id: u32,
    span: *mut scout_span_t,
) -> Option<()> {
    let ids = core::try_ids(core)?;
    let parent = if parent.is_null() {
        None
    } else {
        // SAFETY: as the caller promises.
        let parent = unsafe { read_current(parent) }?;
        Some((TraceId(parent.trace_id), SpanId(parent.span_id)))
    };
    // SAFETY: the same.
    let out = unsafe { SpanOut::new(span) }.ok()?;
    out.write_begun(core::begun(ids, parent)?, operation_id);
    Some(())
}

/// # Safety
/// As [`begin`].
#[cold]
#[inline(never)]
unsafe extern "C" fn begin_any(
    core: scout_core_t,
    parent: *const scout_span_t,
    operation_id: u32,
    span: *mut scout_span_t,
) -> scout_status_t {
    guard(|| {
        // SAFETY: as the caller promises.
        let (parent, out) = unsafe { (optional_struct(parent)?, SpanOut::new(span)?) };
        let parent = parent.map(|parent| (TraceId(parent.trace_id), SpanId(parent.span_id)));
        out.write_begun(core::begin(core, parent)?, operation_id);
        Ok(())
    })
}

#[inline(always)]
fn write<'a>(
    room: Room<'_>,
    span: &scout_span_t,
    operation: Text<'a>,
    end: UnixNanos,
    tags: impl ExactSizeIterator<Item = Option<Tag<'a>>>,
) -> Option<Done> {
    let span = model(span, operation, end);
    core::record_plain_span(room, &span, tags)?;
    Some(worse(Done::Ok, span.end < span.start))
}

/// # Safety
/// The pointers in `span` are valid for their lengths.
unsafe fn record_checked(core: scout_core_t, span: &scout_span_t) -> Result<Done, Failure> {
    // SAFETY: as the caller promises.
    let (operation, tags) = unsafe {
        (
            text_or_id(span.operation, span.operation_len, span.operation_id)?,
            any_tags(span.tags, span.n_tags)?,
        )
    };
    let max_name = tags.max_name.max(NameId(span.operation_id));
    let span = model(span, operation, UnixNanos(span.end_ns));
    let done = core::record_span(core, &span, tags, max_name)?;
    Ok(worse(done, span.end < span.start))
}

#[inline(always)]
fn model<'a>(span: &scout_span_t, operation: Text<'a>, end: UnixNanos) -> Span<'a> {
    Span {
        trace_id: TraceId(span.trace_id),
        span_id: SpanId(span.span_id),
        parent_id: SpanId(span.parent_id),
        start: UnixNanos(span.start_ns),
        end,
        operation,
    }
}
