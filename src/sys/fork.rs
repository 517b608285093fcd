//! Noticing a fork.
//!
//! The child handler adds one to a counter and does nothing else: at that moment other threads'
//! locks are held for ever, so nothing else is safe. Whoever keeps state compares generations.

use super::host::process_id;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(1);
static PROCESS: AtomicU32 = AtomicU32::new(0);
static REGISTER: Once = Once::new();

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Asks the system to tell us of forks. Idempotent.
pub fn watch() {
    REGISTER.call_once(|| {
        PROCESS.store(process_id(), Ordering::Relaxed);
        // SAFETY: the handler is async-signal-safe, and stays mapped: the object is linked
        // with `-z nodelete`.
        unsafe { libc::pthread_atfork(None, None, Some(child)) };
    });
}

/// Changes with every fork, in the child.
#[inline(always)]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Notices children that were made behind the handlers' back (a raw `clone`): by process id.
/// For slow paths.
pub fn check() {
    let now = process_id();
    let before = PROCESS.swap(now, Ordering::Relaxed);
    if before != 0 && before != now {
        // With the handler run, this skips a generation, which does no harm.
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
}
