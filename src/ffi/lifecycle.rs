//! What a loader checks first; start, flush, shutdown.

use super::guard::{guard, silence_panics};
use super::pointers::{Out, bytes};
use super::status::{NAMES, scout_status_t};
use super::types::scout_core_t;
use crate::core::{self, Failure};
use ::core::ffi::c_char;

/// The ABI this header describes: `scout_abi_version()` must return this number.
pub const SCOUT_ABI_VERSION: u32 = 1;

/// The library's ABI version. Compare it with `SCOUT_ABI_VERSION` before any other call, and use
/// nothing else if they differ.
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn scout_abi_version() -> u32 {
    SCOUT_ABI_VERSION
}

/// The library's version, e.g. "0.1.0": static, NUL-terminated, never NULL.
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn scout_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// A status's name, e.g. "SCOUT_E_HANDLE": static, NUL-terminated, never NULL
/// ("SCOUT_E_UNKNOWN" for a number that this version does not know).
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn scout_status_name(status: scout_status_t) -> *const c_char {
    NAMES
        .iter()
        .find(|(number, _)| *number == status)
        .map_or(c"SCOUT_E_UNKNOWN", |(_, name)| *name)
        .as_ptr()
}

/// Starts a core and writes its handle to `core`.
///
/// `options` is a JSON object of `options_len` bytes; NULL or empty means all defaults, which need
/// no account and no network: payload files in a directory. An unknown key, a wrong type or a bad
/// value is `SCOUT_E_OPTIONS`, and `scout_last_error` says what is allowed. Environment variables
/// (`SCOUT_*`) are read here, once, and win over options. The keys: docs/configuration.md.
///
/// A process usually has one core; 32 may run at once. A core needs no call after a fork: the
/// child builds its own, lazily, behind the same handle, and never sends what the parent holds.
///
/// Errors: `SCOUT_E_NULL`, `SCOUT_E_OPTIONS`, `SCOUT_E_LIMIT`, `SCOUT_E_DISABLED` (monitoring is
/// off: use no other function, or ignore their `SCOUT_E_HANDLE`).
/// May block briefly: creates a directory and a thread. If no thread can be had, the core works
/// without: flush then does the work on the calling thread. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_start(
    options: *const c_char,
    options_len: usize,
    core: *mut scout_core_t,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives a writable handle or NULL.
        let out = unsafe { Out::new(core) }?;
        // SAFETY: the caller gives `options_len` readable bytes or NULL.
        let options = unsafe { bytes(options.cast(), options_len) }?;
        let options = str::from_utf8(options)
            .map_err(|_| Failure::Options("the options are not UTF-8".into()))?;
        silence_panics();
        out.write(core::start(options)?);
        Ok(())
    })
}

/// Delivers what any thread recorded before this call: every complete request, and every minute
/// so far, the current one included.
///
/// Returns `SCOUT_OK` when all of it was delivered, `SCOUT_SPOOLED` when it is on disk instead
/// (fsynced; delivery goes on in the background), `SCOUT_E_TIMEOUT` when `timeout_ms` ran out
/// first, `SCOUT_E_UNDELIVERED` when it is only in memory: `scout_last_error` says how many spans.
/// Requests whose root span has not been recorded stay open. 0 means: do not wait.
///
/// Blocks for at most `timeout_ms` milliseconds: release your GIL/GVL, use a dirty scheduler. Without
/// a background thread it does the work itself, and a disk that hangs may hold it longer.
/// Any thread, several at once.
#[unsafe(no_mangle)]
pub extern "C" fn scout_flush(core: scout_core_t, timeout_ms: u32) -> scout_status_t {
    guard(|| core::flush(core, timeout_ms))
}

/// Flushes as `scout_flush` does, closes requests that are still open, stops the background
/// thread, and ends the handle: all later calls with it return `SCOUT_E_SHUT_DOWN` and do nothing.
///
/// Idempotent; the second call returns `SCOUT_E_SHUT_DOWN`. Call it from your language's own
/// at-exit hook: this library registers none. A process that ends without it keeps what the
/// durability level promises (docs/configuration.md, `durability`).
///
/// Blocks for at most `timeout_ms` milliseconds, but as `scout_flush` says, and returns as that does;
/// `SCOUT_E_BUSY` when another core was being made for all that time: then nothing has ended, and it may
/// be called again. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn scout_shutdown(core: scout_core_t, timeout_ms: u32) -> scout_status_t {
    guard(|| core::shutdown(core, timeout_ms))
}
