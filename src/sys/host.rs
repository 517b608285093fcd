//! Who and where we are.

/// This process's id, from the kernel: right in a child, however it was made.
pub fn process_id() -> u32 {
    // SAFETY: has no preconditions.
    (unsafe { libc::getpid() }).cast_unsigned()
}

/// Whether a living process has a file of this name mapped; false also where that cannot be seen.
pub fn has_mapped(process: u32, name: &str) -> bool {
    use std::io::{BufRead, BufReader};
    let Ok(maps) = std::fs::File::open(format!("/proc/{process}/maps")) else { return false };
    // A path may be anything, so not by lines of text.
    BufReader::new(maps).split(b'\n').map_while(Result::ok).any(|line| {
        let path = line.strip_suffix(b" (deleted)").unwrap_or(&line);
        path.strip_suffix(name.as_bytes()).is_some_and(|before| before.ends_with(b"/"))
    })
}

/// The effective user's id.
pub fn user_id() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { libc::geteuid() }
}

/// The machine's name; empty if it has none.
pub fn hostname() -> String {
    let mut buffer = [0u8; 256];
    // SAFETY: the buffer is writable for the length given.
    let failed = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len()) };
    if failed != 0 {
        return String::new();
    }
    let name = buffer.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
