//! Looking inside: stats, diagnosis, logs, the last error. All copied out.

use super::guard::guard;
use super::pointers::CopyOut;
use super::status::scout_status_t;
use super::types::scout_core_t;
use crate::core;
use ::core::ffi::c_char;

/// Copies out the core's counters, as a flat JSON object of numbers: what was recorded, dropped
/// (by cause), clamped, spooled, delivered. The keys: docs/stats.md.
///
/// Writes up to `capacity` bytes to `buffer` (no NUL) and their number to `len`. If `capacity` is
/// too small: `SCOUT_E_TOO_SMALL`, nothing in `buffer`, the needed number in `len`.
/// `buffer` may be NULL if `capacity` is 0.
///
/// Does not wait for the background thread. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_stats(
    core: scout_core_t,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives `capacity` writable bytes and a writable length.
        let out = unsafe { CopyOut::new(buffer, capacity, len) }?;
        out.write(core::stats(core)?.as_bytes())
    })
}

/// Copies out a report for a person or a support ticket, as JSON: version, configuration with the
/// source of each value (secrets masked), directories and why they were chosen, the last delivery,
/// open requests, counters. Copies as `scout_stats` does.
///
/// May take milliseconds: looks at files. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_diagnose(
    core: scout_core_t,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives `capacity` writable bytes and a writable length.
        let out = unsafe { CopyOut::new(buffer, capacity, len) }?;
        out.write(core::diagnose(core)?.as_bytes())
    })
}

/// Copies out the oldest log line not yet taken, as a JSON object
/// (`time_ns`, `level`: "error", "warn", "info" or "debug", `message`), and removes it.
/// `SCOUT_EMPTY` when there is none; `*len` is 0 then. Copies as `scout_stats` does; a line that
/// did not fit stays. Lines that nobody takes are overwritten by newer ones, counted.
///
/// Logs are pulled, never pushed: call it from a timer, or after a flush, and hand the lines to
/// your language's logger. Never blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_next_log(
    core: scout_core_t,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives `capacity` writable bytes and a writable length.
        let out = unsafe { CopyOut::new(buffer, capacity, len) }?;
        let mut out = Some(out);
        let write = |line: &str| match out.take() {
            Some(out) => out.write(line.as_bytes()),
            None => Ok(()),
        };
        let done = core::next_log(core, write)?;
        if let Some(out) = out {
            out.write_nothing();
        }
        Ok(done)
    })
}

/// Copies out what was wrong with the last call that failed on this thread, as one line of text
/// for a person. Empty if none failed. Copies as `scout_stats` does; never changes the message.
///
/// Never blocks. Any thread: ask on the thread that made the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_last_error(
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> scout_status_t {
    super::guard::guard_quiet(|| {
        // SAFETY: the caller gives `capacity` writable bytes and a writable length.
        let out = unsafe { CopyOut::new(buffer, capacity, len) }?;
        core::last_error(|message| out.write(message.as_bytes()))
    })
}
