//! Noticing a fork.
//!
//! The child handler gives the child a generation of its own, notes the process's id, and does
//! nothing else: at that moment other threads' locks are held for ever, so nothing else is safe.
//! Whoever keeps state compares generations.
//!
//! A child that is made behind the handlers' back, by a raw `clone`, is noticed too where the kernel
//! wipes the generation for us: it then finds 0, which is nobody's.

use super::host::process_id;
use super::leaked::Leaked;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A page to itself. Zero at first, so that it lies in anonymous memory, as wiping asks for.
#[repr(C, align(4096))]
struct Page {
    generation: AtomicU32,
    _rest: [u8; PAGE - 4],
}

const PAGE: usize = 4096;

/// 0: not used yet in this process.
static CURRENT: Page = Page { generation: AtomicU32::new(0), _rest: [0; PAGE - 4] };
/// The last generation given out. Unlike the page it is inherited.
static LAST: AtomicU32 = AtomicU32::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);
static IS_WIPED: AtomicBool = AtomicBool::new(false);
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

extern "C" fn child() {
    begin_generation();
}

fn begin_generation() {
    PROCESS.store(process_id(), Ordering::Relaxed);
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    CURRENT.generation.store(next, Ordering::Relaxed);
}

/// Asks the system to tell us of forks. Idempotent; two threads that are first at once ask twice, which
/// does no harm: neither waits for the other, so that a child that is forked off in between finds
/// nothing to wait for.
pub fn watch() {
    if IS_WATCHED.load(Ordering::Acquire) {
        return;
    }
    // Forked off in between?
    check();
    current();
    PROCESS.store(process_id(), Ordering::Relaxed);
    IS_WIPED.store(wipe_in_children(), Ordering::Relaxed);
    // SAFETY: the handler is async-signal-safe, and stays mapped: the object is linked with
    // `-z nodelete`.
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
    IS_WATCHED.store(true, Ordering::Release);
}

/// Has the kernel zero the generation's page in every child. False where it cannot (Linux before
/// 4.14, other systems), or where pages are larger than ours, with other things in them.
fn wipe_in_children() -> bool {
    #[cfg(target_os = "linux")]
    {
        let page = (&raw const CURRENT).cast_mut().cast();
        // SAFETY: has no preconditions.
        let fits = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } == PAGE as libc::c_long;
        // SAFETY: a page of ours, of which a zeroed one is as good.
        fits && unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } == 0
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Changes with every fork, in the child; 0 until somebody there asks for [`current`]. To be
/// compared with what was current.
#[inline(always)]
pub fn generation() -> u32 {
    CURRENT.generation.load(Ordering::Relaxed)
}

/// This process's generation, begun if need be. Never 0.
pub fn current() -> u32 {
    let generation = generation();
    if generation != 0 {
        return generation;
    }
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let place = &CURRENT.generation;
    match place.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(other) => other,
    }
}

/// Notices children that were made behind the handlers' back where the kernel does not tell: by
/// process id. For slow paths.
pub fn check() {
    // A child that shares our memory (`vfork`) has another id, and is no other process to us.
    if IS_WIPED.load(Ordering::Relaxed) {
        return;
    }
    let before = PROCESS.load(Ordering::Relaxed);
    if before != 0 && before != process_id() {
        begin_generation();
    }
}

/// State of one process: a forked child gets its own, made at its first use.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(Leaked<(u32, T)>);

impl<T> PerProcess<T> {
    /// Nothing is made yet.
    #[cfg(not(loom))]
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
        let generation = current();
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
        PerProcess(Leaked::empty())
    }
}
