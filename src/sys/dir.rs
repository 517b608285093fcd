//! A directory held open, and files in it by name: nothing is ever reached through a link that
//! somebody else could have planted.

use super::descriptor::{Descriptor, Identity, check, identity, owned};
pub use super::lock::{Lock, knows_no_locks};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file that is being written is written to within this time.
const STALE: Duration = Duration::from_secs(3600);

/// Whether the disk does not give something back, and it is no want of anything else.
pub fn is_of_the_disk(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EBADMSG))
}

/// Whether it is how [`Dir::write`] calls what is not whole yet.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// An open directory. Should its process close all its descriptors, as programs do that become
/// daemons, it is opened again by its path, if that still leads to the same directory.
#[derive(Debug)]
pub struct Dir {
    fd: Descriptor,
    path: PathBuf,
}

/// What a directory's owner and mode must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The administrator's choice: taken as it is.
    Given,
    /// In a place that others can write to: must be ours, and closed to group and others.
    Private,
}

impl Dir {
    /// Opens `path`, creating what is missing of it with mode 0700.
    ///
    /// # Errors
    /// Those of the system; `PermissionDenied` with an explanation when `trust` is not met.
    pub fn create(path: &Path, trust: Trust) -> io::Result<Dir> {
        if !path.is_dir() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let no_follow = if trust == Trust::Private { libc::O_NOFOLLOW } else { 0 };
        let name = c_string(path.as_os_str().as_bytes())?;
        // SAFETY: `name` is NUL-terminated and lives through the call.
        let fd = owned(unsafe {
            libc::open(name.as_ptr(), libc::O_DIRECTORY | libc::O_CLOEXEC | no_follow)
        })?;
        let dir = Dir { fd: Descriptor::new(fd)?, path: std::path::absolute(path)? };
        if trust == Trust::Private {
            dir.check_private()?;
        }
        Ok(dir)
    }

    /// Closes it. Should it be used once more, it is opened again.
    pub fn close(&self) {
        self.fd.close();
    }

    fn check_private(&self) -> io::Result<()> {
        let stat = super::descriptor::stat(self.fd()?)?;
        let refuse = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        if stat.st_uid != super::host::user_id() {
            return refuse("the directory belongs to another user");
        }
        if stat.st_mode & 0o077 != 0 {
            return refuse("the directory is open to its group or to others (mode must be 0700)");
        }
        Ok(())
    }

    fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        match self.fd.get() {
            Some(fd) => Ok(fd),
            None => self.reopen(),
        }
    }

    #[cold]
    fn reopen(&self) -> io::Result<BorrowedFd<'_>> {
        let path = c_string(self.path.as_os_str().as_bytes())?;
        // SAFETY: `path` is NUL-terminated and lives through the call.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_DIRECTORY | libc::O_CLOEXEC) };
        self.fd.renew(owned(fd)?)
    }

    /// Opens a directory in this one, creating it with mode 0700.
    pub fn subdir(&self, name: &str) -> io::Result<Dir> {
        let path = self.path.join(name);
        let name = c_string(name.as_bytes())?;
        // SAFETY: the descriptor is open, `name` NUL-terminated.
        let made = unsafe { libc::mkdirat(self.fd()?.as_raw_fd(), name.as_ptr(), 0o700) };
        if made != 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
        }
        let fd = Descriptor::new(self.open_at(&name, libc::O_DIRECTORY, 0)?)?;
        Ok(Dir { fd, path })
    }

    /// Reads a whole file of at most `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = File::from(self.open_at(&c_string(name.as_bytes())?, libc::O_RDONLY, 0)?);
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is over its limit"));
        }
        Ok(bytes)
    }

    /// Puts a file in place so that a reader sees all of it or nothing, and so that it outlives
    /// the machine: temporary name, fsync, rename, fsync of the directory.
    pub fn write_durably(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(name, bytes, true)?;
        self.sync()
    }

    /// Puts a file in place so that a reader sees all of it or nothing. It outlives the process;
    /// with `synced`, and a [`Dir::sync`] after it, the machine.
    pub fn write(&self, name: &str, bytes: &[u8], synced: bool) -> io::Result<()> {
        let temporary = format!(".{name}.{}.tmp", super::host::process_id());
        let c_temporary = c_string(temporary.as_bytes())?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        let mut file = File::from(self.open_at(&c_temporary, flags, 0o600)?);
        let written =
            file.write_all(bytes).and_then(|()| if synced { file.sync_all() } else { Ok(()) });
        drop(file);
        written.and_then(|()| self.rename(&temporary, name)).inspect_err(|_| {
            let _ = self.remove(&temporary);
        })
    }

    /// Makes a file's contents outlive the machine.
    pub fn sync_file(&self, name: &str) -> io::Result<()> {
        File::from(self.open_at(&c_string(name.as_bytes())?, libc::O_RDONLY, 0)?).sync_all()
    }

    /// Makes names that were given and taken outlive the machine.
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open.
        match check(unsafe { libc::fsync(self.fd()?.as_raw_fd()) }) {
            // Some file systems have no such thing for directories, and mean no harm.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EINVAL | libc::ENOTSUP | libc::ENOSYS)
                ) =>
            {
                Ok(())
            }
            synced => synced,
        }
    }

    /// Another handle to the same directory.
    pub fn duplicate(&self) -> io::Result<Dir> {
        let fd = Descriptor::new(self.fd()?.try_clone_to_owned()?)?;
        Ok(Dir { fd, path: self.path.clone() })
    }

    /// Renames a file within the directory, over any that has the new name.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (c_string(from.as_bytes())?, c_string(to.as_bytes())?);
        let fd = self.fd()?.as_raw_fd();
        // SAFETY: the descriptor is open, both names NUL-terminated.
        check(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) })
    }

    /// Removes a file. One that is not there is no error.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let name = c_string(name.as_bytes())?;
        // SAFETY: the descriptor is open, the name NUL-terminated.
        match check(unsafe { libc::unlinkat(self.fd()?.as_raw_fd(), name.as_ptr(), 0) }) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// The names and sizes of the regular files in the directory, in no order.
    pub fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        // A fresh descriptor: a directory stream shares its offset with its descriptor.
        let fd = self.open_at(c".", libc::O_DIRECTORY, 0)?;
        // SAFETY: the stream takes the descriptor over.
        let stream = unsafe { libc::fdopendir(std::os::fd::IntoRawFd::into_raw_fd(fd)) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        // Half a list would be taken for the whole: what is not in it is taken for gone.
        let listed = loop {
            clear_errno();
            // SAFETY: the stream is open and used by this thread alone.
            let entry = unsafe { libc::readdir(stream) };
            if entry.is_null() {
                break match io::Error::last_os_error() {
                    error if error.raw_os_error() == Some(0) => Ok(()),
                    error => Err(error),
                };
            }
            // SAFETY: `d_name` of a valid entry is NUL-terminated.
            let name = unsafe { std::ffi::CStr::from_ptr((*entry).d_name.as_ptr()) };
            let Ok(text) = name.to_str() else { continue };
            match self.regular_size(name) {
                Ok(Some(size)) => files.push((text.to_owned(), size)),
                Ok(None) => {}
                // It is there, and that is all that can be known. Were the whole list an error, one
                // bad file would hide all others.
                Err(_) => files.push((text.to_owned(), 0)),
            }
        };
        // SAFETY: the stream is open and not used again.
        unsafe { libc::closedir(stream) };
        listed.map(|()| files)
    }

    /// `None` for what is no regular file, or is gone by now.
    fn regular_size(&self, name: &std::ffi::CStr) -> io::Result<Option<u64>> {
        let stat = match self.stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        let regular = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
        Ok(regular.then(|| u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// How long ago a file was written last; zero if that lies ahead, as after a step of the clock.
    fn age(&self, name: &str) -> io::Result<Duration> {
        let stat = self.stat(&c_string(name.as_bytes())?)?;
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Ok(SystemTime::now().duration_since(written).unwrap_or_default())
    }

    /// Whether nobody wrote to a file for an hour, so that whoever was to finish it is dead; false where
    /// that cannot be seen.
    pub fn is_stale(&self, name: &str) -> bool {
        self.age(name).is_ok_and(|age| age >= STALE)
    }

    /// Removes files that processes which died left half written: those that `is_one` is true of, and
    /// that are stale. What cannot be removed stays.
    pub fn remove_stale(&self, is_one: impl Fn(&str) -> bool) {
        for (name, _) in self.files().into_iter().flatten() {
            if is_one(&name) && self.is_stale(&name) {
                let _ = self.remove(&name);
            }
        }
    }

    /// Opens a file, made if it is not there, and locks it; `None` while somebody else has it
    /// locked, in this process or in another. The lock goes with the process, however it ends.
    pub fn try_lock(&self, name: &str) -> io::Result<Option<Lock>> {
        Lock::take(self, &c_string(name.as_bytes())?)
    }

    /// What a name stands for now; `None` for nothing.
    pub(super) fn identity_of(&self, name: &std::ffi::CStr) -> io::Result<Option<Identity>> {
        match self.stat(name) {
            Ok(stat) => Ok(Some(identity(&stat))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn stat(&self, name: &std::ffi::CStr) -> io::Result<libc::stat> {
        // SAFETY: an all-zero stat is a valid value to be filled in.
        let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
        let fd = self.fd()?.as_raw_fd();
        // SAFETY: the descriptor is open, the name NUL-terminated, `stat` writable.
        check(unsafe {
            libc::fstatat(fd, name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW)
        })?;
        Ok(stat)
    }

    pub(super) fn open_at(
        &self,
        name: &std::ffi::CStr,
        flags: i32,
        mode: u32,
    ) -> io::Result<OwnedFd> {
        let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        // SAFETY: the descriptor is open, the name NUL-terminated.
        owned(unsafe { libc::openat(self.fd()?.as_raw_fd(), name.as_ptr(), flags, mode) })
    }
}

pub(super) fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "NUL in a path"))
}

/// `readdir` says by it alone whether it ended or failed.
fn clear_errno() {
    #[cfg(target_os = "linux")]
    // SAFETY: this thread's own number, always there.
    unsafe {
        *libc::__errno_location() = 0;
    }
    #[cfg(target_os = "macos")]
    // SAFETY: the same.
    unsafe {
        *libc::__error() = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("scout-dir-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn files_are_written_whole_listed_and_removed() {
        let path = temporary("files");
        let dir = Dir::create(&path.join("a/b"), Trust::Private).unwrap();
        dir.write_durably("x", b"one").unwrap();
        dir.write_durably("x", b"three").unwrap();
        assert_eq!(dir.files().unwrap(), [("x".to_owned(), 5)]);
        assert_eq!(dir.read("x", 5).unwrap(), b"three");
        assert!(dir.read("x", 4).is_err());
        dir.remove("x").unwrap();
        dir.remove("x").unwrap();
        assert!(dir.files().unwrap().is_empty());
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_is_half_written_goes_after_an_hour() {
        let path = temporary("stale");
        let dir = Dir::create(&path, Trust::Private).unwrap();
        for name in [".old.1.tmp", ".new.1.tmp", ".ahead.1.tmp", "old"] {
            dir.write_durably(name, b"half").unwrap();
        }
        let set = |name: &str, time| {
            File::options().write(true).open(path.join(name)).unwrap().set_modified(time).unwrap();
        };
        let now = SystemTime::now();
        set(".old.1.tmp", now - STALE - Duration::from_secs(2));
        set("old", now - 2 * STALE);
        set(".ahead.1.tmp", now + 9 * STALE);
        assert!(dir.age("old").unwrap() >= 2 * STALE && dir.age(".ahead.1.tmp").unwrap().is_zero());
        dir.remove_stale(is_temporary);
        let mut left: Vec<_> = dir.files().unwrap().into_iter().map(|(name, _)| name).collect();
        left.sort();
        assert_eq!(left, [".ahead.1.tmp", ".new.1.tmp", "old"]);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn links_and_open_modes_are_refused() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let path = temporary("links");
        let dir = Dir::create(&path, Trust::Private).unwrap();
        symlink("/etc/passwd", path.join("planted")).unwrap();
        assert!(dir.read("planted", 1 << 20).is_err());
        assert!(dir.files().unwrap().is_empty());
        symlink(&path, path.join("sub")).unwrap();
        assert!(Dir::create(&path.join("sub"), Trust::Private).is_err());
        assert!(dir.subdir("sub").is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = Dir::create(&path, Trust::Private).unwrap_err();
        assert!(error.to_string().contains("0700"), "{error}");
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn closing_all_descriptors_costs_neither_directory_nor_lock() {
        let path = temporary("closed");
        let dir = Dir::create(&path, Trust::Private).unwrap();
        let lock = dir.try_lock("lock").unwrap().unwrap();
        dir.write_durably("x", b"one").unwrap();
        let fds = [dir.fd().unwrap().as_raw_fd(), lock.fd().unwrap().as_raw_fd()];
        // Their numbers now stand for another file, as they would in a daemon.
        let other = File::create(path.join("other")).unwrap();
        for fd in fds {
            // SAFETY: both are open.
            assert!(unsafe { libc::dup2(other.as_raw_fd(), fd) } >= 0);
        }
        assert!(lock.fd().is_none());
        assert_eq!(dir.read("x", 5).unwrap(), b"one");
        assert!(dir.try_lock("lock").unwrap().is_none(), "still ours in this process");
        lock.renew(&dir, "lock").unwrap();
        assert!(lock.fd().is_some());
        drop((lock, dir));
        // What stands there now is not ours to close.
        for fd in fds {
            // SAFETY: closes what `dup2` opened above.
            assert_eq!(unsafe { libc::close(fd) }, 0);
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_lock_has_one_holder() {
        let path = temporary("lock");
        let dir = Dir::create(&path, Trust::Given).unwrap();
        let held = dir.try_lock("lock").unwrap();
        assert!(held.is_some());
        assert!(dir.try_lock("lock").unwrap().is_none());
        drop(held);
        assert!(dir.try_lock("lock").unwrap().is_some());
        std::fs::remove_dir_all(path).unwrap();
    }
}
