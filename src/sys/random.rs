//! Randomness from the kernel.

/// Sixteen random bytes as two words. Falls back to clock and address when the kernel has none
/// to give (an early boot, a sandbox): ids stay distinct, they are no secrets.
pub fn seed() -> [u64; 2] {
    let mut words = [0u64; 2];
    // SAFETY: the buffer is 16 writable bytes.
    #[cfg(target_os = "linux")]
    let got = unsafe { libc::getrandom(words.as_mut_ptr().cast(), 16, libc::GRND_NONBLOCK) };
    // SAFETY: the buffer is 16 writable bytes.
    #[cfg(not(target_os = "linux"))]
    let got = if unsafe { libc::getentropy(words.as_mut_ptr().cast(), 16) } == 0 { 16 } else { 0 };
    if got != 16 {
        let here = &raw const words as u64;
        words[0] ^= super::clock::monotonic_ns().rotate_left(17) ^ here;
        words[1] ^= super::clock::realtime_ns() ^ (u64::from(std::process::id()) << 32);
    }
    words
}
