//! What the two faces call. Handles in, statuses out.

use super::instance::Core;
use super::pipeline::Extent;
use super::registry::{self, Handle, slot_of, stamp_of};
use super::setup::Setup;
use super::{Done, Failure, recovery, stats as inspection, worker};
use crate::config::Environment;
use crate::model::{NameId, SpanId, TraceId, UnixNanos};
use crate::record::{
    Batch, EncodeError, Encoder, Fit, MAX_RECORD, Plain, PlainTag, Record, Span, Tag, Text,
    plain_span,
};
pub use crate::recorder::Room;
use crate::recorder::{self, InternError, NewIds, Recorder, Refusal, clock};
use crate::spool::Safety;
use crate::sql::{self, Dialect, Scratch};
use crate::sys::wait::lock_until;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Starts a core from options in JSON.
pub fn start(options: &str) -> Result<Handle, Failure> {
    registry::start(options, Environment::read())
}

/// Starts a core from options in JSON, in an environment of the caller's choice: that of the
/// process may be meant for another application.
pub fn start_in(options: &str, environment: Environment) -> Result<Handle, Failure> {
    registry::start(options, environment)
}

/// Whether a core would start with these options. Starts none.
pub fn check_options(options: &str, environment: Environment) -> Result<(), Failure> {
    Setup::read(options, environment).map(|_| ())
}

/// Hands on the records of dead processes of the application that these options name, as far as no
/// core has recovered them yet. They stay where they are.
pub fn left_behind(
    options: &str,
    environment: Environment,
    each: impl FnMut(&Record<'_>),
) -> Result<(), Failure> {
    let setup = Setup::read(options, environment)?;
    // What cannot be looked at will not be recovered either: nothing of it counts.
    let _ = recovery::look(&setup, each);
    Ok(())
}

/// Interns a name.
pub fn intern(handle: Handle, name: &[u8]) -> Result<NameId, Failure> {
    let core = registry::find(handle)?;
    let name = str::from_utf8(name).map_err(|_| Failure::Invalid("a name must be UTF-8"))?;
    core.recorder.intern(name).map_err(|error| match error {
        InternError::Full => Failure::Limit("16,384 names are interned; pass the string itself"),
        InternError::TooLong => Failure::TooLarge("a name is at most 1,024 bytes"),
        InternError::Busy => Failure::Busy,
        InternError::Ended => Failure::ShutDown,
    })
}

/// The clock.
#[inline]
pub fn now(handle: Handle) -> Result<UnixNanos, Failure> {
    check_live(handle)?;
    Ok(clock::now())
}

/// The time, for a record that says none. Only inside a recording call.
#[inline]
pub fn clock_now() -> UnixNanos {
    clock::now()
}

#[inline]
fn check_live(handle: Handle) -> Result<(), Failure> {
    if recorder::is_live(slot_of(handle), stamp_of(handle)) {
        return Ok(());
    }
    registry::live_or_why(handle)
}

/// A span that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// Its request's id.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The id of the span it lies in.
    pub parent_id: SpanId,
    /// When it began.
    pub start: UnixNanos,
}

/// Ids for a span that begins, when all is as it nearly always is; inlined into the caller.
#[inline(always)]
pub fn try_ids(handle: Handle) -> Option<NewIds> {
    recorder::try_ids(slot_of(handle), stamp_of(handle))
}

/// A span that begins now, with ids from [`try_ids`].
#[inline(always)]
pub fn begun(ids: NewIds, parent: Option<(TraceId, SpanId)>) -> Option<Begun> {
    if parent.is_some_and(|(trace, span)| trace.is_none() || span.is_none()) {
        return None;
    }
    let trace_id = parent.map_or_else(|| ids.trace(), |(trace, _)| trace);
    let parent_id = parent.map_or(SpanId::NONE, |(_, span)| span);
    Some(Begun { trace_id, span_id: ids.span(), parent_id, start: clock::now() })
}

/// Begins a span, in a request or as the root of a new one.
pub fn begin(handle: Handle, parent: Option<(TraceId, SpanId)>) -> Result<Begun, Failure> {
    check_live(handle)?;
    begun(recorder::ids(), parent).ok_or(Failure::Invalid("the parent's ids must not be zero"))
}

/// Records one record of any kind: `encode` writes it.
///
/// `max_name` is the highest interned id in it.
#[inline]
pub fn record(
    handle: Handle,
    max_name: NameId,
    mut encode: impl FnMut(Encoder<'_>) -> Result<Fit, EncodeError>,
) -> Result<Done, Failure> {
    let (slot, stamp) = (slot_of(handle), stamp_of(handle));
    let mut write = |recorder: &Recorder, out: Encoder<'_>| {
        if max_name > recorder.names.highest() {
            return Err(Failure::Invalid("a name id was never interned"));
        }
        let result = encode(out);
        if let Ok(fit) = result
            && fit.strings_cut + fit.tags_dropped > 0
        {
            count_clamped(recorder, fit);
        }
        Ok(result)
    };
    let mut result = recorder::record(slot, stamp, &mut write);
    if let Err(Refusal::NotLive) = result {
        // A stale handle, or a child's first call: then there is a core now.
        registry::live_or_why(handle)?;
        result = recorder::record(slot, stamp, &mut write);
    }
    match result {
        Ok(Ok(fit)) if fit.strings_cut + fit.tags_dropped > 0 => Ok(Done::Clamped),
        Ok(Ok(_)) => Ok(Done::Ok),
        Ok(Err(failure)) => Err(failure),
        Err(refusal) => Err(refused(refusal)),
    }
}

#[cold]
fn count_clamped(recorder: &Recorder, fit: Fit) {
    let counters = &recorder.counters;
    counters.strings_cut.fetch_add(u64::from(fit.strings_cut), Ordering::Relaxed);
    counters.tags_dropped.fetch_add(u64::from(fit.tags_dropped), Ordering::Relaxed);
}

#[cold]
fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::NotLive => Failure::ShutDown,
        Refusal::NoRoom => Failure::Dropped,
        Refusal::Reentrant => Failure::Busy,
    }
}

/// A thread inside a recording call; see [`recorder::enter`].
pub struct Entered(recorder::Entered);

/// Begins a recording call, when all is as it nearly always is; inlined into the caller.
#[inline(always)]
pub fn enter() -> Option<Entered> {
    recorder::enter().map(Entered)
}

impl Entered {
    /// Where this thread records into a core.
    #[inline(always)]
    pub fn room(&mut self, handle: Handle) -> Option<Room<'_>> {
        self.0.room(slot_of(handle), stamp_of(handle))
    }
}

/// As [`record_span`], when all is as it nearly always is; inlined into the caller. `None`: nothing
/// was recorded or counted, and [`record_span`] knows why.
#[inline(always)]
pub fn record_plain_span<'a>(
    mut room: Room<'_>,
    span: &Span<'a>,
    tags: impl ExactSizeIterator<Item = Option<impl PlainTag<'a>>>,
) -> Option<()> {
    if span.trace_id.is_none() || span.span_id.is_none() {
        return None;
    }
    let plain = plain_span(room.bytes()?, span, tags)?;
    room.publish(plain)
}

/// As [`record`] of a record that is encoded already and valid, when all is as it nearly always is.
#[inline(always)]
fn record_plain_bytes(handle: Handle, record: &[u8]) -> Option<()> {
    let mut entered = enter()?;
    let mut room = entered.room(handle)?;
    room.bytes()?.get_mut(..record.len())?.copy_from_slice(record);
    // Its names were checked with the rest of it.
    room.publish(Plain { len: record.len() as u32, max_name: NameId(0) })
}

/// Records a span.
pub fn record_span<'a>(
    handle: Handle,
    span: &Span<'a>,
    tags: impl Iterator<Item = Tag<'a>> + Clone,
    max_name: NameId,
) -> Result<Done, Failure> {
    if span.trace_id.is_none() || span.span_id.is_none() {
        return Err(Failure::Invalid("trace id and span id must not be zero"));
    }
    record(handle, max_name, |out| out.span(span, tags.clone()))
}

/// Records a batch; counts what was accepted, also when it fails.
pub fn record_batch(handle: Handle, bytes: &[u8], accepted: &mut usize) -> Result<Done, Failure> {
    let core = registry::find(handle)?;
    let mut batch = Batch::new(bytes);
    while let Some(bytes) = batch.next(core.recorder.names.highest())? {
        if record_plain_bytes(handle, bytes).is_none()
            && let Err(failure) = record(handle, NameId(0), |out| out.verbatim(bytes))
        {
            if failure == Failure::Dropped {
                count_dropped(core, batch);
            }
            return Err(failure);
        }
        *accepted += 1;
    }
    Ok(Done::Ok)
}

/// The first of a batch that found no room was counted where it was refused; this is the rest.
#[cold]
fn count_dropped(core: &Core, mut rest: Batch<'_>) {
    let mut records = 0;
    while let Ok(Some(_)) = rest.next(core.recorder.names.highest()) {
        records += 1;
    }
    core.recorder.counters.dropped_no_room.fetch_add(records, Ordering::Relaxed);
}

/// Whether an event's JSON is one that will be understood later.
pub fn check_event(json: Text<'_>) -> Result<(), Failure> {
    let Text::Bytes(bytes) = json else { return Ok(()) };
    if bytes.len() > MAX_RECORD - 400 {
        return Err(Failure::TooLarge("an event's JSON is at most 65,000 bytes"));
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
        .map(|_| ())
        .map_err(|_| Failure::Invalid("the event's value is not JSON"))
}

/// Flushes.
pub fn flush(handle: Handle, timeout_ms: u32) -> Result<Done, Failure> {
    crate::sys::fork::check();
    let core = registry::find(handle)?;
    finish(core, Extent::Flush, deadline(timeout_ms))
}

/// Shuts down.
pub fn shutdown(handle: Handle, timeout_ms: u32) -> Result<Done, Failure> {
    crate::sys::fork::check();
    let deadline = deadline(timeout_ms);
    // A start is waited for even by who would not wait: without that, nothing ends.
    let Some(core) = registry::end(handle, deadline.max(Instant::now() + END))? else {
        return Ok(Done::Ok);
    };
    recorder::retire(core.slot, &core.recorder, deadline);
    finish(core, Extent::Shutdown, deadline)
}

/// How long a shutdown waits at least for another core that is being made.
const END: Duration = Duration::from_millis(100);

fn deadline(timeout_ms: u32) -> Instant {
    Instant::now() + Duration::from_millis(timeout_ms.into())
}

/// Has the work done by the background threads, or does it here when there are none.
fn finish(core: &Core, extent: Extent, deadline: Instant) -> Result<Done, Failure> {
    let ticket = core.board.request(extent == Extent::Shutdown);
    match core.threads.worker.get() {
        Some(worker) => worker.unpark(),
        None => work(core, ticket, deadline),
    }
    core.board.wait(ticket, deadline, || in_memory(core))
}

/// Does here what is asked for. While another thread is at it, that is waited for until `deadline`;
/// what a shutdown asked for that gave up waiting, the other does.
fn work(core: &Core, ticket: u64, deadline: Instant) {
    recovery::recover(core, Some(deadline));
    loop {
        let requested = core.board.requested();
        let wanted = if requested.is_ending { requested.ticket } else { ticket };
        if core.board.is_couriered(wanted) {
            return;
        }
        let extent = if requested.is_ending { Extent::Shutdown } else { Extent::Flush };
        if requested.is_ending {
            core.note_quiet(deadline);
        }
        let Some(pipeline) = lock_until(&core.pipeline, deadline) else { return };
        let settled = worker::settle_in(core, pipeline, extent);
        core.board.note_settled(requested.satisfied(), settled.map_or(Safety::Disk, |s| s.safety));
        let Some(mut courier) = lock_until(&core.courier, deadline) else { return };
        if courier.is_none() {
            // Another thread has ended it all, and says what came of it.
            return;
        }
        let left = worker::courier_round_in(core, &mut courier, true, deadline);
        if requested.is_ending {
            core.empty_in(courier);
        } else {
            drop(courier);
        }
        core.board.note_couriered(requested.satisfied(), left);
    }
}

/// How many spans are in memory alone; for a message, so a disk that hangs is not waited for.
fn in_memory(core: &Core) -> u64 {
    for _ in 0..20 {
        if let Ok(spool) = core.spool.try_lock() {
            return spool.counters().spans_in_memory;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    0
}

/// Counters as flat JSON.
pub fn stats(handle: Handle) -> Result<String, Failure> {
    Ok(inspection::stats(registry::find(handle)?))
}

/// A report for a person, as JSON.
pub fn diagnose(handle: Handle) -> Result<String, Failure> {
    Ok(inspection::diagnose(registry::find(handle)?))
}

/// Shows the oldest log line and removes it if `take` succeeds.
pub fn next_log(
    handle: Handle,
    take: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<Done, Failure> {
    match registry::find(handle)?.log.next(take) {
        Some(taken) => taken.map(|()| Done::Ok),
        None => Ok(Done::Empty),
    }
}

/// Shows this thread's last error.
pub fn last_error<R>(show: impl FnOnce(&str) -> R) -> R {
    recorder::with_last_error(show)
}

/// Remembers this thread's last error.
#[cold]
pub fn set_last_error(failure: &Failure) {
    recorder::set_last_error(failure);
}

/// Panics caught in calls, of all cores: the guard knows of none.
pub(super) static PANICS_IN_CALLS: AtomicU64 = AtomicU64::new(0);

/// Counts a panic that a guard caught.
#[cold]
pub fn note_panic() {
    PANICS_IN_CALLS.fetch_add(1, Ordering::Relaxed);
    recorder::set_last_error(&"a fault inside the library was contained");
}

/// A name that is no text is one that nobody knows.
fn dialect_of(name: &[u8]) -> Dialect {
    Dialect::from_name(str::from_utf8(name).unwrap_or_default())
}

/// Shows a statement without its literals.
pub fn sql_sanitize<R>(dialect: &[u8], sql: &[u8], show: impl FnOnce(&str) -> R) -> R {
    let mut scratch = Scratch::default();
    show(sql::sanitize(&mut scratch, sql, dialect_of(dialect), false))
}

/// Shows a statement's summary.
pub fn sql_summarize<R>(dialect: &[u8], sql: &[u8], show: impl FnOnce(&str) -> R) -> R {
    let mut scratch = Scratch::default();
    show(sql::summarize(&mut scratch, sql, dialect_of(dialect), false))
}
