//! Recording: the calls that host applications make all the time. None of them blocks.

use super::guard::guard;
use super::plain;
use super::pointers::{Out, array16, bytes, read_struct, required, tags, text_or_id};
use super::status::scout_status_t;
use super::types::{scout_core_t, scout_error_t, scout_span_t, scout_tag_t};
use crate::core::{self, Failure};
use crate::model::{NameId, SpanId, TraceId, UnixNanos};
use crate::record::{AppEvent, ErrorEvent, Metric, RequestTags, Text};
use ::core::ffi::c_char;

/// Gives a string a 32-bit id, to be used in place of the string from then on: cheaper to pass,
/// and cheaper to record. The same string gets the same id. Ids are valid for this handle, in
/// every thread and in forked children.
///
/// For names that repeat: operations, tag keys. Not for values such as URLs: the table is bounded
/// (16,384 names; then `SCOUT_E_LIMIT`: pass the string itself, that always works).
/// Names are at most 1,024 bytes (`SCOUT_E_TOO_LARGE`) and UTF-8 (else `SCOUT_E_INVALID`).
///
/// Never blocks; `SCOUT_E_BUSY` if another thread is in the way for long. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_intern(
    core: scout_core_t,
    name: *const c_char,
    name_len: usize,
    id: *mut u32,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives a writable id or NULL.
        let out = unsafe { Out::new(id) }?;
        // SAFETY: the caller gives `name_len` readable bytes.
        let name = unsafe { required(name, name_len) }?;
        out.write(core::intern(core, name)?.0);
        Ok(())
    })
}

/// The core's clock: Unix time in nanoseconds, never running backwards within a process.
/// Taken from the CPU's invariant time-stamp counter where there is one, else from the system.
/// Returns 0 if the handle is not valid.
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn scout_now(core: scout_core_t) -> u64 {
    super::guard::guard_value(0, || core::now(core).map(|now| now.0))
}

/// Begins a span: fills `span` with new ids and the core's time.
///
/// With a `parent`, the span belongs to its request and lies under it; with NULL it is the root of
/// a new request. `operation_id` is an interned operation, or 0 to name the span at its end
/// (`span->operation_id`, or `span->operation` and `span->operation_len`).
///
/// All state is in `span`, which is the caller's: copy it, keep it in a fiber or an async task, end
/// it in another thread, or forget it; nothing leaks. `parent` is only read.
/// `span->struct_size` must be set by the caller before the call.
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_span_begin(
    core: scout_core_t,
    parent: *const scout_span_t,
    operation_id: u32,
    span: *mut scout_span_t,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives a readable parent or NULL, and a writable span that states its
        // size or NULL.
        Ok(unsafe { plain::begin(core, parent, operation_id, span) })
    })
}

/// Ends a span that `scout_span_begin` began, now, and records it with `n_tags` tags.
///
/// `span->end_ns` is written. The strings it points to are borrowed for this call only.
/// Ending a span twice records it twice; the second is counted as a duplicate.
///
/// Never blocks. Returns as `scout_record_span` does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_span_end(
    core: scout_core_t,
    span: *mut scout_span_t,
    tags: *const scout_tag_t,
    n_tags: usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives a writable span that states its size or NULL; its pointers and
        // the tags are valid for the call.
        Ok(unsafe { plain::end(core, span, tags, n_tags) })
    })
}

/// Records one completed span. **The hot path**: no lock, no allocation, no system call.
///
/// `span` and all it points to is borrowed for the call. `SCOUT_OK`: the span is accepted and
/// outlives what the durability level says. `SCOUT_CLAMPED`: accepted, but shortened.
/// `SCOUT_E_DROPPED`: no room, counted. Errors: `SCOUT_E_NULL`, `SCOUT_E_INVALID` (an id is zero
/// or was never interned), `SCOUT_E_HANDLE`, `SCOUT_E_SHUT_DOWN`, `SCOUT_E_BUSY`.
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_record_span(
    core: scout_core_t,
    span: *const scout_span_t,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives a readable span or NULL; its pointers are valid for the call.
        Ok(unsafe { plain::record(core, span) })
    })
}

/// Records many records of any kind, encoded as docs/record-format.md says, one after the other.
/// For runtimes whose calls are dear: one call a request instead of one a span.
///
/// Writes to `accepted` how many records were accepted; unlike other outputs, also on an error.
/// `SCOUT_E_FORMAT`: the first bad record stopped it, all before it are accepted, and
/// `scout_last_error` says what is wrong and at which byte. `SCOUT_E_DROPPED`: no room for the
/// rest. `bytes` is borrowed for the call. `accepted` may be NULL.
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_record_batch(
    core: scout_core_t,
    bytes: *const u8,
    bytes_len: usize,
    accepted: *mut usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives `bytes_len` readable bytes.
        let batch = unsafe { self::bytes(bytes, bytes_len) }?;
        let mut count = 0;
        let result = core::record_batch(core, batch, &mut count);
        // SAFETY: the caller gives a writable count or NULL.
        if let Ok(out) = unsafe { Out::new(accepted) } {
            out.write(count);
        }
        result
    })
}

/// Tags a whole request: `path`, `user_ip`, `transaction.name` (renames it), `error` (true),
/// `ignore_transaction` (true: it is not counted), `scout.queue_time_ns`, or any context of yours.
/// May come before, between or after the request's spans, but not after its root is complete.
///
/// Never blocks. Returns as `scout_record_span` does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_tag_request(
    core: scout_core_t,
    trace_id: *const u8,
    tags: *const scout_tag_t,
    n_tags: usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives 16 readable bytes or NULL.
        let trace_id = TraceId(unsafe { array16(trace_id) }?);
        // SAFETY: the caller gives `n_tags` readable tags.
        let tags = unsafe { self::tags(tags, n_tags) }?;
        if trace_id.is_none() {
            return Err(Failure::Invalid("the trace id must not be zero"));
        }
        core::record(core, tags.max_name, |out| {
            out.request_tags(&RequestTags { trace_id, time: core::clock_now() }, tags)
        })
    })
}

/// Records an exception, for the error service and, when it belongs to a request, to mark that
/// request as failed.
///
/// Never blocks. Returns as `scout_record_span` does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_record_error(
    core: scout_core_t,
    error: *const scout_error_t,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives a readable error or NULL.
        let error = unsafe { read_struct(error) }?;
        // SAFETY: the error's pointers are the caller's, valid for the call.
        let (class, message, backtrace, tags) = unsafe {
            (
                text_or_id(error.class_name, error.class_name_len, 0)?,
                text_or_id(error.message, error.message_len, 0)?,
                text_or_id(error.backtrace, error.backtrace_len, 0)?,
                self::tags(error.tags, error.n_tags)?,
            )
        };
        if class.is_empty() {
            return Err(Failure::Invalid("an error needs a class name"));
        }
        core::record(core, tags.max_name, |out| {
            let time =
                if error.time_ns == 0 { core::clock_now() } else { UnixNanos(error.time_ns) };
            let event = ErrorEvent {
                trace_id: TraceId(error.trace_id),
                span_id: SpanId(error.span_id),
                time,
                class,
                message,
                backtrace,
            };
            out.error(&event, tags)
        })
    })
}

/// Records one sample of a gauge, taken now, e.g. `Memory/Physical` in MB or `CPU/Utilization` in
/// percent. The name is `Type/name`.
///
/// Never blocks. Returns as `scout_record_span` does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_record_metric(
    core: scout_core_t,
    name: *const c_char,
    name_len: usize,
    value: f64,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives `name_len` readable bytes.
        let name = Text::Bytes(unsafe { required(name, name_len) }?);
        core::record(core, NameId(0), |out| {
            out.metric(&Metric { time: core::clock_now(), value, name }, std::iter::empty())
        })
    })
}

/// Records something about the application as a whole. `scout.metadata` with a JSON object
/// (`language`, `language_version`, `framework`, `libraries`, ...) is the one that every agent
/// sends once at its start. `json` is at most 65,000 bytes of JSON (`SCOUT_E_TOO_LARGE`).
///
/// Never blocks. Returns as `scout_record_span` does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_record_event(
    core: scout_core_t,
    kind: *const c_char,
    kind_len: usize,
    json: *const c_char,
    json_len: usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives `kind_len` and `json_len` readable bytes.
        let (kind, json) = unsafe {
            (Text::Bytes(required(kind, kind_len)?), Text::Bytes(required(json, json_len)?))
        };
        core::check_event(json)?;
        core::record(core, NameId(0), |out| {
            out.event(&AppEvent { time: core::clock_now(), kind, json })
        })
    })
}
