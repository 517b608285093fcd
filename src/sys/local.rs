//! One pointer for each thread, found as fast as the system allows.
//!
//! A plain thread-local in a library that is loaded at run time is found by a call of
//! `__tls_get_addr`, which looks it up in tables: fourteen instructions, and the caller's registers
//! are lost. The linkers of Linux know a better way, TLS descriptors, which the compiler does not use
//! on x86_64 unless it is asked by an unstable option: a call of two instructions that keeps every
//! register, where the loader found room in the thread's own block, as it does for a small library.
//! Where it found none, the same call goes the long way.

use std::ffi::c_void;

/// This thread's pointer, null at first.
#[inline(always)]
pub fn get() -> *mut c_void {
    imp::get()
}

/// Sets this thread's pointer.
pub fn set(pointer: *mut c_void) {
    imp::set(pointer);
}

#[cfg(all(
    target_arch = "x86_64",
    target_os = "linux",
    target_pointer_width = "64",
    not(any(miri, loom, shuttle))
))]
mod imp {
    use core::arch::{asm, global_asm};
    use std::ffi::c_void;

    // Eight zero bytes in every thread; hidden, so that no other library's are meant.
    global_asm!(
        ".pushsection .tbss.scoutcore_local,\"awT\",@nobits",
        ".globl scoutcore_local",
        ".hidden scoutcore_local",
        ".type scoutcore_local,@object",
        ".size scoutcore_local,8",
        ".p2align 3",
        "scoutcore_local:",
        ".zero 8",
        ".popsection",
    );

    #[inline(always)]
    fn place() -> *mut *mut c_void {
        let offset: usize;
        let thread: usize;
        // SAFETY: the sequence that the ABI prescribes, in the form that linkers rewrite for an
        // executable. The call changes rax and flags only; the long way of glibc before 2.40 may
        // change vector registers, so these count as lost.
        unsafe {
            asm!(
                "lea rax, [rip + scoutcore_local@tlsdesc]",
                "call qword ptr [rax + scoutcore_local@tlscall]",
                out("rax") offset,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            );
            // The thread's own address is at its beginning, by the same ABI.
            asm!("mov {}, qword ptr fs:[0]", out(reg) thread, options(nostack, readonly, pure, preserves_flags));
        }
        thread.wrapping_add(offset) as *mut *mut c_void
    }

    #[inline(always)]
    pub(super) fn get() -> *mut c_void {
        // SAFETY: this thread's eight bytes, aligned, zero at first, written by `set` alone.
        unsafe { place().read() }
    }

    pub(super) fn set(pointer: *mut c_void) {
        // SAFETY: as in `get`; a signal handler in between finds the old pointer or the new one.
        unsafe { place().write(pointer) }
    }
}

// To a checker, a thread is not one of the system's.
#[cfg(any(loom, shuttle))]
mod imp {
    use std::cell::Cell;
    use std::ffi::c_void;

    crate::sys::sync::thread_local! {
        static LOCAL: Cell<*mut c_void> = Cell::new(std::ptr::null_mut());
    }

    pub(super) fn get() -> *mut c_void {
        LOCAL.with(Cell::get)
    }

    pub(super) fn set(pointer: *mut c_void) {
        LOCAL.with(|local| local.set(pointer));
    }
}

#[cfg(not(any(
    all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)),
    loom,
    shuttle
)))]
mod imp {
    use std::cell::Cell;
    use std::ffi::c_void;

    thread_local! {
        // Const and without a destructor: std registers nothing for it with the host's thread.
        static LOCAL: Cell<*mut c_void> = const { Cell::new(std::ptr::null_mut()) };
    }

    #[inline(always)]
    pub(super) fn get() -> *mut c_void {
        LOCAL.try_with(Cell::get).unwrap_or(std::ptr::null_mut())
    }

    pub(super) fn set(pointer: *mut c_void) {
        let _ = LOCAL.try_with(|local| local.set(pointer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own_null_at_first() {
        let mine = 8 as *mut c_void;
        let before = get();
        set(mine);
        std::thread::spawn(|| {
            assert!(get().is_null());
            set(16 as *mut c_void);
            assert_eq!(get() as usize, 16);
        })
        .join()
        .expect("the other thread");
        assert_eq!(get(), mine);
        set(before);
    }
}
