//! The system's clocks and the CPU's counter.

/// Wall-clock time, Unix nanoseconds.
pub fn realtime_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Nanoseconds since some start; never runs backwards, is not set by anyone.
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable; both clocks exist on every supported system.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// The CPU's time-stamp counter, in ticks of unknown length.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86_64 CPU has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Whether [`ticks`] runs at one rate in every power state and on every core, and the kernel
/// trusts it enough to keep time by it.
#[cfg(target_arch = "x86_64")]
pub fn ticks_are_invariant() -> bool {
    use core::arch::x86_64::__cpuid;
    let invariant =
        __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & (1 << 8) != 0;
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    invariant && std::fs::read_to_string(source).is_ok_and(|name| name.trim() == "tsc")
}

/// No counter that we know how to read here.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn ticks() -> u64 {
    0
}

/// No counter that we know how to read here.
#[cfg(not(target_arch = "x86_64"))]
pub fn ticks_are_invariant() -> bool {
    false
}
