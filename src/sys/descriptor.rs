//! A descriptor whose number may come to stand for something else: a host that becomes a daemon
//! closes all there are, ours too, and opens others under the same numbers.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Device and inode.
pub(super) type Identity = (u64, u64);

/// An open file, as long as its number stands for it.
#[derive(Debug)]
pub(super) struct Descriptor {
    /// -1: closed by us.
    fd: AtomicI32,
    identity: Identity,
}

impl Descriptor {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Descriptor> {
        let identity = identity(&stat_raw(fd.as_raw_fd())?);
        Ok(Descriptor { fd: AtomicI32::new(fd.into_raw_fd()), identity })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// The descriptor, if it still is what it was.
    pub(super) fn get(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.fd.load(Ordering::Acquire);
        if fd < 0 || !stat_raw(fd).is_ok_and(|stat| identity(&stat) == self.identity) {
            return None;
        }
        // SAFETY: just found open, and ours; whoever closes all descriptors in between takes it
        // from us, and the system says so at the next use.
        Some(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Puts `fd` in the place of one that was lost, if it is the same file.
    pub(super) fn renew(&self, fd: OwnedFd) -> io::Result<BorrowedFd<'_>> {
        if identity(&stat_raw(fd.as_raw_fd())?) != self.identity {
            return Err(io::Error::new(io::ErrorKind::NotFound, "replaced by another file"));
        }
        let lost = self.fd.load(Ordering::Acquire);
        let fresh = fd.as_raw_fd();
        if self.fd.compare_exchange(lost, fresh, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            let _ = fd.into_raw_fd();
        }
        self.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Closes it, if it still is what it was; false if that was done before.
    pub(super) fn close(&self) -> bool {
        let own = self.get().map(|fd| fd.as_raw_fd());
        let before = self.fd.swap(-1, Ordering::AcqRel);
        if let Some(fd) = own.filter(|fd| *fd == before) {
            // SAFETY: ours, and forgotten above.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        before >= 0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.close();
    }
}

pub(super) fn identity(stat: &libc::stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

pub(super) fn stat(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    stat_raw(fd.as_raw_fd())
}

fn stat_raw(fd: RawFd) -> io::Result<libc::stat> {
    // SAFETY: an all-zero stat is a valid value to be filled in.
    let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
    // SAFETY: `stat` is writable; a closed descriptor is an error, no more.
    check(unsafe { libc::fstat(fd, &raw mut stat) })?;
    Ok(stat)
}

pub(super) fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(super) fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
