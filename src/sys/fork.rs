//! Noticing a fork.
//!
//! The child handler adds one to a counter, notes the process's id, and does nothing else: at that
//! moment other threads' locks are held for ever, so nothing else is safe. Whoever keeps state
//! compares generations.

use super::host::process_id;
use super::leaked::Leaked;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(1);
static PROCESS: AtomicU32 = AtomicU32::new(0);
static REGISTER: Once = Once::new();

extern "C" fn child() {
    // So that `check` does not take this fork for another one: a second generation would leave
    // behind what the child has recorded since.
    PROCESS.store(process_id(), Ordering::Relaxed);
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
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
}

/// State of one process: a forked child gets its own, made at its first use.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(Leaked<(u32, T)>);

impl<T> PerProcess<T> {
    /// Nothing is made yet.
    pub const fn new() -> Self {
        PerProcess(Leaked::empty())
    }

    /// This process's. `make` gets its parent's, of which only what is safe to read while the
    /// parent's threads stand still anywhere may be read. It may be called for nothing, when two
    /// threads are first at once.
    #[inline]
    pub fn get(&self, make: impl Fn(u32, Option<&'static T>) -> T) -> &'static T {
        match self.0.get() {
            Some((generation, state)) if *generation == self::generation() => state,
            before => self.make(before, make),
        }
    }

    #[cold]
    fn make(
        &self,
        mut before: Option<&'static (u32, T)>,
        make: impl Fn(u32, Option<&'static T>) -> T,
    ) -> &'static T {
        let generation = self::generation();
        loop {
            let state = make(generation, before.map(|(_, state)| state));
            let fresh: &'static (u32, T) = Box::leak(Box::new((generation, state)));
            match self.0.replace(before, fresh) {
                Ok(()) => return &fresh.1,
                Err(Some((made, state))) if *made == generation => return state,
                Err(other) => before = other,
            }
        }
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        PerProcess::new()
    }
}
