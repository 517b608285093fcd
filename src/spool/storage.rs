use crate::sys::dir::{Dir, Lock};
use std::io;

/// A flat directory of files, as far as a spool needs one: the real one, or a simulated one whose
/// writes fail and whose processes die.
pub trait Storage {
    /// A held lock; it ends when this is dropped.
    type Lock: std::fmt::Debug;

    /// Reads a whole file of at most `limit` bytes; a longer one is `InvalidData`.
    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>>;
    /// Puts a file in place, whole or not at all; with `synced`, its contents outlive the machine.
    fn write(&self, name: &str, bytes: &[u8], synced: bool) -> io::Result<()>;
    /// Makes names that were given and taken outlive the machine.
    fn sync(&self) -> io::Result<()>;
    /// Renames a file, over any that has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. One that is not there is no error.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names and sizes of the files, in no order.
    fn files(&self) -> io::Result<Vec<(String, u64)>>;
    /// Locks a file; `None` while somebody else has it locked.
    fn try_lock(&self, name: &str) -> io::Result<Option<Self::Lock>>;

    /// A write that, with its name, outlives the machine.
    fn write_durably(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(name, bytes, true)?;
        self.sync()
    }
}

impl Storage for Dir {
    type Lock = Lock;

    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        Dir::read(self, name, limit)
    }
    fn write(&self, name: &str, bytes: &[u8], synced: bool) -> io::Result<()> {
        Dir::write(self, name, bytes, synced)
    }
    fn sync(&self) -> io::Result<()> {
        Dir::sync(self)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Dir::rename(self, from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        Dir::remove(self, name)
    }
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        Dir::files(self)
    }
    fn try_lock(&self, name: &str) -> io::Result<Option<Lock>> {
        Dir::try_lock(self, name)
    }
}
