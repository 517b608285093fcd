//! Threads: ours, and what we need to know of others'.

use super::sync::fence;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Our threads parse SQL and JSON: room enough, and only virtual until touched.
const STACK_BYTES: usize = 1 << 20;

/// Starts a named thread with an explicit stack and all signals blocked, so that the host's
/// handlers never run on it. Fails, and does not panic, where no thread can be had.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let before = block_signals();
    let result = std::thread::Builder::new().name(name.into()).stack_size(STACK_BYTES).spawn(body);
    if let Some(mask) = before {
        // SAFETY: `mask` is the valid mask that the kernel gave us for this very thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut()) };
    }
    result
}

fn block_signals() -> Option<libc::sigset_t> {
    // SAFETY: an all-zero set is a valid value to be filled in.
    let (mut all, mut before) =
        unsafe { (std::mem::zeroed::<libc::sigset_t>(), std::mem::zeroed::<libc::sigset_t>()) };
    // SAFETY: both sets are writable.
    let failed = unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before)
    };
    (failed == 0).then_some(before)
}

static MEMBARRIER: AtomicBool = AtomicBool::new(false);

const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;

#[cfg(target_os = "linux")]
fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call takes no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn membarrier(_: libc::c_int) -> bool {
    false
}

/// Prepares [`heavy_fence`]. Once per process; again in a child does no harm.
pub fn register_fences() {
    MEMBARRIER.store(membarrier(REGISTER_PRIVATE_EXPEDITED), Ordering::Relaxed);
}

/// The cheap side of an asymmetric fence: orders this thread's earlier stores before its later
/// loads, as seen by a thread that runs [`heavy_fence`].
#[inline(always)]
pub fn light_fence() {
    #[cfg(not(any(loom, shuttle)))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    // To a checker, what the other thread's system call makes of it.
    #[cfg(any(loom, shuttle))]
    super::sync::fence(Ordering::SeqCst);
}

/// The dear side: after it, every other thread has passed a full barrier.
///
/// Without `membarrier(2)` (before Linux 4.14, some sandboxes, macOS) it waits two milliseconds:
/// store buffers drain in far less than one.
pub fn heavy_fence() {
    fence(Ordering::SeqCst);
    if cfg!(any(loom, shuttle)) {
        return;
    }
    if !(MEMBARRIER.load(Ordering::Relaxed) && membarrier(PRIVATE_EXPEDITED)) {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    fence(Ordering::SeqCst);
}

/// Adds to a number that one thread alone writes, and gives what it was. A signal handler of that
/// thread comes before or after, never in between: one instruction, but without the bus lock that
/// `fetch_add` takes against other threads, a third of what beginning a span costs.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
pub fn add_by_owner(number: &std::sync::atomic::AtomicU64, by: u64) -> u64 {
    let mut value = by;
    // SAFETY: reads and writes the eight bytes behind a valid reference to an atomic, nothing else.
    unsafe {
        core::arch::asm!(
            "xadd qword ptr [{at}], {value}",
            at = in(reg) number.as_ptr(),
            value = inout(reg) value,
            options(nostack),
        );
    }
    value
}

/// As on x86_64, where one instruction does it.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline(always)]
pub fn add_by_owner(number: &std::sync::atomic::AtomicU64, by: u64) -> u64 {
    number.fetch_add(by, Ordering::Relaxed)
}

/// A hook that is made at its first use. Nobody waits for anybody: two threads that are first at once
/// make two, and one of these goes.
#[derive(Debug)]
pub struct LazyExitHook(AtomicU64);

/// It was tried, and there was no key left.
const NO_HOOK: u64 = u64::MAX;

impl LazyExitHook {
    /// Not made yet.
    pub const fn new() -> LazyExitHook {
        LazyExitHook(AtomicU64::new(0))
    }

    /// The hook, made if need be with [`ExitHook::new`].
    ///
    /// # Safety
    /// As there.
    pub unsafe fn get(&self, at_exit: unsafe extern "C" fn(*mut libc::c_void)) -> Option<ExitHook> {
        let hook_of =
            |word: u64| (word != NO_HOOK).then(|| ExitHook((word - 1) as libc::pthread_key_t));
        match self.0.load(Ordering::Acquire) {
            0 => {}
            word => return hook_of(word),
        }
        // SAFETY: the caller's promise.
        let made = unsafe { ExitHook::new(at_exit) };
        let word = made.map_or(NO_HOOK, |hook| u64::from(hook.0) + 1);
        match self.0.compare_exchange(0, word, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(other) => {
                if let Some(ExitHook(key)) = made {
                    // SAFETY: just made, and never armed.
                    unsafe { libc::pthread_key_delete(key) };
                }
                hook_of(other)
            }
        }
    }
}

impl Default for LazyExitHook {
    fn default() -> Self {
        LazyExitHook::new()
    }
}

/// A per-thread pointer whose destructor runs when its thread ends.
#[derive(Clone, Copy, Debug)]
pub struct ExitHook(libc::pthread_key_t);

impl ExitHook {
    /// Makes a hook. `at_exit` gets the pointer that the ending thread had [`ExitHook::arm`]ed
    /// with. `None` when the process has no keys left.
    ///
    /// # Safety
    /// `at_exit` must stay mapped for the life of the process, and accept every armed pointer.
    pub unsafe fn new(at_exit: unsafe extern "C" fn(*mut libc::c_void)) -> Option<ExitHook> {
        let mut key = 0;
        // SAFETY: `key` is writable; the destructor is as the caller promises.
        let failed = unsafe { libc::pthread_key_create(&raw mut key, Some(at_exit)) };
        (failed == 0).then_some(ExitHook(key))
    }

    /// Sets this thread's pointer. Null disarms.
    #[allow(clippy::not_unsafe_ptr_arg_deref, reason = "the pointer is stored, not followed")]
    pub fn arm(&self, pointer: *mut libc::c_void) -> bool {
        // SAFETY: the key was created and is never deleted.
        unsafe { libc::pthread_setspecific(self.0, pointer) == 0 }
    }
}
