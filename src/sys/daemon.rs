//! What a process does to leave the terminal it was started from, and how it is told to end.
//! For the executable alone: a library does none of this to its host.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// Closes every descriptor but the standard ones: a daemon must not hold its starter's listening
/// sockets and pipes.
///
/// Only before this process has opened any of its own.
pub fn close_inherited() {
    let most = open_files_limit().clamp(1024, 1 << 20) as RawFd;
    for fd in 3..most {
        if cfg!(target_os = "linux") && fd == 3 && close_range(3) {
            return;
        }
        // SAFETY: nothing of ours is open yet, so nothing of ours is closed.
        unsafe { libc::close(fd) };
    }
}

#[cfg(target_os = "linux")]
fn close_range(first: libc::c_uint) -> bool {
    // SAFETY: as for `close`.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn close_range(_: libc::c_uint) -> bool {
    false
}

fn open_files_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur
}

/// Raises this process's limit of open descriptors as far as it may go; gives the limit.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max.min(1 << 20);
        // SAFETY: `limit` is a valid limit.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
    open_files_limit()
}

/// Which process one is after [`fork`].
#[derive(Debug)]
pub enum Role {
    /// The one that was there before: learns here whether the other became ready.
    Parent(Readiness),
    /// The new one, without a terminal.
    Child(Ready),
}

/// The parent's end.
#[derive(Debug)]
pub struct Readiness(UnixStream);

impl Readiness {
    /// Waits until the child is ready; false if it ended before it was.
    pub fn wait(mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(1))
    }
}

/// The child's end.
#[derive(Debug)]
pub struct Ready(UnixStream);

impl Ready {
    /// Tells the parent that it may end.
    pub fn tell(mut self) {
        let _ = self.0.write_all(b"r");
    }
}

/// Splits the process in two; the child leads a session of its own.
///
/// Only while the process has one thread.
pub fn fork() -> io::Result<Role> {
    let (near, far) = UnixStream::pair()?;
    // SAFETY: there is one thread, so no lock is held by another one that the child would miss.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(near);
            // SAFETY: takes no pointers. A fresh child leads no group, so it cannot fail.
            unsafe { libc::setsid() };
            Ok(Role::Child(Ready(far)))
        }
        _ => {
            drop(far);
            Ok(Role::Parent(Readiness(near)))
        }
    }
}

/// Turns standard input, output and error to nowhere.
pub fn silence_stdio() -> io::Result<()> {
    let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for fd in 0..=2 {
        // SAFETY: both descriptors are plain numbers to the call; the standard ones belong to the
        // process as a whole.
        if unsafe { libc::dup2(nowhere.as_raw_fd(), fd) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// A signal that the executable waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End: SIGTERM, SIGINT or SIGQUIT.
    End,
    /// SIGHUP.
    HangUp,
}

const WAITED_FOR: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];

fn waited_for() -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid value to be filled in, and is writable.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        for signal in WAITED_FOR {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// From now on these signals wait for [`wait_for_signal`]. Before any thread is started: threads
/// inherit it.
pub fn hold_signals() {
    let set = waited_for();
    // SAFETY: the set is valid.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for a signal.
pub fn wait_for_signal() -> Signal {
    let set = waited_for();
    let mut signal = 0;
    // SAFETY: the set is valid, the number writable.
    let failed = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
    if failed == 0 && signal == libc::SIGHUP { Signal::HangUp } else { Signal::End }
}

/// Sends this process what ends it in an orderly way.
pub fn end_self() {
    // SAFETY: the signal is held by every thread, so it only wakes `wait_for_signal`.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
}
