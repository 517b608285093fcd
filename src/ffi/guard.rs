//! The one panic guard.

use super::status::*;
use crate::core::{self, Done, Failure};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a guarded body may return when it went well.
pub(super) trait Status {
    fn status(self) -> scout_status_t;
}

impl Status for scout_status_t {
    #[inline(always)]
    fn status(self) -> scout_status_t {
        self
    }
}

impl Status for () {
    #[inline(always)]
    fn status(self) -> scout_status_t {
        SCOUT_OK
    }
}

impl Status for Done {
    #[inline(always)]
    fn status(self) -> scout_status_t {
        match self {
            Done::Ok => SCOUT_OK,
            Done::Spooled => SCOUT_SPOOLED,
            Done::Clamped => SCOUT_CLAMPED,
            Done::Empty => SCOUT_EMPTY,
        }
    }
}

/// Runs an export's body: its failure becomes a status and this thread's last error, its panic
/// becomes `SCOUT_E_PANIC`.
#[inline(always)]
pub(super) fn guard<S: Status>(body: impl FnOnce() -> Result<S, Failure>) -> scout_status_t {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(done)) => done.status(),
        Ok(Err(failure)) => failed(&failure),
        Err(_) => panicked(),
    }
}

/// As [`guard`], for a call that shows the last error and so must not set it.
pub(super) fn guard_quiet<S: Status>(body: impl FnOnce() -> Result<S, Failure>) -> scout_status_t {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(done)) => done.status(),
        Ok(Err(failure)) => status_of(&failure),
        Err(_) => SCOUT_E_PANIC,
    }
}

/// As [`guard`], for a call that returns a value.
#[inline(always)]
pub(super) fn guard_value<T>(otherwise: T, body: impl FnOnce() -> Result<T, Failure>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(failure)) => {
            failed(&failure);
            otherwise
        }
        Err(_) => otherwise,
    }
}

#[cold]
#[inline(never)]
fn failed(failure: &Failure) -> scout_status_t {
    // Setting the message allocates nothing, but guard it all the same: it is on every error path.
    let _ = catch_unwind(AssertUnwindSafe(|| core::set_last_error(failure)));
    status_of(failure)
}

#[cold]
#[inline(never)]
fn panicked() -> scout_status_t {
    let _ = catch_unwind(core::note_panic);
    SCOUT_E_PANIC
}

fn status_of(failure: &Failure) -> scout_status_t {
    match failure {
        Failure::Null => SCOUT_E_NULL,
        Failure::Invalid(_) => SCOUT_E_INVALID,
        Failure::TooSmall(_) => SCOUT_E_TOO_SMALL,
        Failure::Handle => SCOUT_E_HANDLE,
        Failure::Options(_) => SCOUT_E_OPTIONS,
        Failure::Format(_) => SCOUT_E_FORMAT,
        Failure::TooLarge(_) => SCOUT_E_TOO_LARGE,
        Failure::Limit(_) => SCOUT_E_LIMIT,
        Failure::ShutDown => SCOUT_E_SHUT_DOWN,
        Failure::Dropped => SCOUT_E_DROPPED,
        Failure::Timeout => SCOUT_E_TIMEOUT,
        Failure::Busy => SCOUT_E_BUSY,
        Failure::Disabled => SCOUT_E_DISABLED,
        Failure::Rejected => SCOUT_E_REJECTED,
        Failure::Undelivered(_) => SCOUT_E_UNDELIVERED,
    }
}

/// A caught panic is answered with a status; it must not also be printed to the host's standard
/// error. This library's copy of std is its own, so the host's panics are not concerned.
pub(super) fn silence_panics() {
    static IS_SET: AtomicBool = AtomicBool::new(false);
    // The second thread does not wait for the first: neither would a child that is forked off now.
    if !IS_SET.swap(true, Ordering::Relaxed) {
        std::panic::set_hook(Box::new(|_| {}));
    }
}
