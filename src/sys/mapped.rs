//! A file's bytes in memory, for one writer.

use super::lock::Lock;
use super::memory::{self, Region};
use std::io;

/// A locked file behind a piece of memory: what is written there outlives the process.
#[derive(Debug)]
pub struct Mapped {
    region: Region,
    /// Held as long as the memory: nobody else writes the file.
    _lock: Lock,
}

impl Mapped {
    /// Maps the first `len` bytes of a file, which is made that long: a full disk is an error
    /// here, and not a signal later.
    pub fn of_length(lock: Lock, len: usize) -> io::Result<Mapped> {
        let fd = lock.fd().ok_or(io::ErrorKind::NotFound)?;
        memory::allocate(fd, 0, len as u64)?;
        let region = memory::reserve(len).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: just reserved, so nobody uses it.
        let shared = unsafe { memory::share(region, fd, 0) };
        let mapped = Mapped { region, _lock: lock };
        shared.map(|()| mapped)
    }

    /// Maps a whole file that somebody made before.
    pub fn whole(lock: Lock) -> io::Result<Mapped> {
        let len = usize::try_from(lock.size()?).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Mapped::of_length(lock, len)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for reading until this value is dropped; any bytes are valid. They change
        // through `bytes_mut` only: the file is locked by us, and private to this user.
        unsafe { std::slice::from_raw_parts(self.region.start.as_ptr(), self.region.len) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, mapped for writing too; `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.region.start.as_ptr(), self.region.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: a mapping of ours that ends with this value: nothing borrows it any more.
        unsafe { libc::munmap(self.region.start.as_ptr().cast(), self.region.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::{Dir, Trust};

    #[test]
    fn what_is_written_is_in_the_file() {
        let path = std::env::temp_dir().join(format!("scout-mapped-{}", std::process::id()));
        let dir = Dir::create(&path, Trust::Given).unwrap();
        let lock = dir.try_lock("x").unwrap().unwrap();
        let mut mapped = Mapped::of_length(lock, 10_000).unwrap();
        mapped.bytes_mut()[9_990..].copy_from_slice(b"0123456789");
        assert!(dir.try_lock("x").unwrap().is_none(), "it is locked as long as it is mapped");
        drop(mapped);
        let again = Mapped::whole(dir.try_lock("x").unwrap().unwrap()).unwrap();
        assert_eq!((again.bytes().len(), &again.bytes()[9_990..]), (10_000, &b"0123456789"[..]));
        assert!(Mapped::whole(dir.try_lock("empty").unwrap().unwrap()).is_err());
        std::fs::remove_dir_all(path).unwrap();
    }
}
