//! Locks on files, which go with their process.
//!
//! Record locks, not `flock`: a forked child does not share them, so a lock is free as soon as its
//! owner is dead, whatever children live on. Such a lock is lost when its process closes any
//! descriptor of the file: files that are locked here must be opened nowhere else, and a lock that
//! is kept for long is renewed, since a host may close all descriptors there are.

use super::descriptor::{Descriptor, Identity, check, stat};
use super::dir::{Dir, c_string};
use super::fork::PerProcess;
use std::collections::HashSet;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What this process has locked: record locks do not keep a process from itself.
#[cfg(not(loom))]
static LOCKED: PerProcess<Mutex<HashSet<Identity>>> = PerProcess::new();
// Of atomics that cannot be made beforehand; no checked code locks files.
#[cfg(loom)]
static LOCKED: std::sync::LazyLock<PerProcess<Mutex<HashSet<Identity>>>> =
    std::sync::LazyLock::new(PerProcess::default);

fn locked() -> MutexGuard<'static, HashSet<Identity>> {
    LOCKED.get(|_, _| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is that the file system has no locks.
pub fn knows_no_locks(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOLCK)
}

/// An open, locked file. The lock ends when this is released or dropped.
#[derive(Debug)]
pub struct Lock(Descriptor);

impl Lock {
    pub(super) fn take(dir: &Dir, name: &CStr) -> io::Result<Option<Lock>> {
        let mut locked = locked();
        // Where this cannot be seen, nothing is opened: to close a file of ours again ends its lock.
        if dir.identity_of(name)?.is_some_and(|identity| locked.contains(&identity)) {
            return Ok(None);
        }
        let file = Descriptor::new(dir.open_at(name, libc::O_RDWR | libc::O_CREAT, 0o600)?)?;
        if locked.contains(&file.identity()) {
            // The name came to stand for a file of ours in between.
            std::mem::forget(file);
            return Ok(None);
        }
        if !file.get().map_or(Ok(false), lock)? {
            return Ok(None);
        }
        // Removed, or replaced, between opening and locking: what we hold is not what the name says.
        if dir.identity_of(name)? != Some(file.identity()) {
            return Ok(None);
        }
        locked.insert(file.identity());
        Ok(Some(Lock(file)))
    }

    /// The file, if its descriptor is still open.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.get()
    }

    /// Takes the lock again, should the process have closed the file's descriptor.
    ///
    /// # Errors
    /// `WouldBlock` when another process has taken it in the meantime; `NotFound` when the name
    /// stands for something else by now.
    pub fn renew(&self, dir: &Dir, name: &str) -> io::Result<()> {
        // Not while another thread closes it.
        let locked = locked();
        if !locked.contains(&self.0.identity()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let fd = match self.0.get() {
            Some(fd) => fd,
            None => self.0.renew(dir.open_at(&c_string(name.as_bytes())?, libc::O_RDWR, 0)?)?,
        };
        if lock(fd)? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// The file's size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        let fd = self.fd().ok_or(io::ErrorKind::NotFound)?;
        Ok(u64::try_from(stat(fd)?.st_size).unwrap_or(0))
    }

    /// Makes what was written to the file, through mappings too, outlive the machine.
    pub fn sync(&self) -> io::Result<()> {
        let fd = self.fd().ok_or(io::ErrorKind::NotFound)?.as_raw_fd();
        // SAFETY: the descriptor is open.
        check(unsafe { libc::fsync(fd) })
    }

    /// Four bytes of the file, as a number in this machine's order.
    pub fn read_u32(&self, offset: usize) -> io::Result<u32> {
        let mut bytes = [0u8; 4];
        self.read_at(&mut bytes, offset as u64)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// Fills a buffer from `offset` on. What cannot be read is an error here; behind a mapping it
    /// would be a signal.
    pub fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        let fd = self.fd().ok_or(io::ErrorKind::NotFound)?.as_raw_fd();
        while !bytes.is_empty() {
            let at = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
            // SAFETY: the descriptor is open, the buffer writable for its length.
            let read = unsafe { libc::pread(fd, bytes.as_mut_ptr().cast(), bytes.len(), at) };
            match usize::try_from(read) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    bytes = bytes.get_mut(read..).unwrap_or_default();
                    offset += read as u64;
                }
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets go of it.
    pub fn release(&self) {
        // Closed under the table's lock: closing ends a lock that another thread of this process
        // could have taken in between.
        let mut locked = locked();
        if self.0.close() {
            locked.remove(&self.0.identity());
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

/// False when another process has it.
fn lock(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: an all-zero lock is a valid value: from the start, without end.
    let mut whole = unsafe { std::mem::zeroed::<libc::flock>() };
    whole.l_type = libc::F_WRLCK as libc::c_short;
    whole.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open, the lock readable.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETLK, &raw const whole) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}
