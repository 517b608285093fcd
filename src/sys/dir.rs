//! A directory held open, and files in it by name: nothing is ever reached through a link that
//! somebody else could have planted.

use super::fork::PerProcess;
use std::collections::HashSet;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An open directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

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
        let dir = Dir(fd);
        if trust == Trust::Private {
            dir.check_private()?;
        }
        Ok(dir)
    }

    fn check_private(&self) -> io::Result<()> {
        // SAFETY: an all-zero stat is a valid value to be filled in.
        let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
        // SAFETY: the descriptor is open and `stat` writable.
        check(unsafe { libc::fstat(self.0.as_raw_fd(), &raw mut stat) })?;
        let refuse = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        if stat.st_uid != super::host::user_id() {
            return refuse("the directory belongs to another user");
        }
        if stat.st_mode & 0o077 != 0 {
            return refuse("the directory is open to its group or to others (mode must be 0700)");
        }
        Ok(())
    }

    /// Opens a directory in this one, creating it with mode 0700.
    pub fn subdir(&self, name: &str) -> io::Result<Dir> {
        let name = c_string(name.as_bytes())?;
        // SAFETY: the descriptor is open, `name` NUL-terminated.
        let made = unsafe { libc::mkdirat(self.0.as_raw_fd(), name.as_ptr(), 0o700) };
        if made != 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
        }
        self.open_at(&name, libc::O_DIRECTORY, 0).map(Dir)
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

    /// Makes names that were given and taken outlive the machine.
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open.
        check(unsafe { libc::fsync(self.0.as_raw_fd()) })
    }

    /// Another handle to the same directory.
    pub fn duplicate(&self) -> io::Result<Dir> {
        self.0.try_clone().map(Dir)
    }

    /// Renames a file within the directory, over any that has the new name.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (c_string(from.as_bytes())?, c_string(to.as_bytes())?);
        let fd = self.0.as_raw_fd();
        // SAFETY: the descriptor is open, both names NUL-terminated.
        check(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) })
    }

    /// Removes a file. One that is not there is no error.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let name = c_string(name.as_bytes())?;
        // SAFETY: the descriptor is open, the name NUL-terminated.
        match check(unsafe { libc::unlinkat(self.0.as_raw_fd(), name.as_ptr(), 0) }) {
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
        loop {
            // SAFETY: the stream is open and used by this thread alone.
            let entry = unsafe { libc::readdir(stream) };
            if entry.is_null() {
                break;
            }
            // SAFETY: `d_name` of a valid entry is NUL-terminated.
            let name = unsafe { std::ffi::CStr::from_ptr((*entry).d_name.as_ptr()) };
            if let (Ok(name), Some(size)) = (name.to_str(), self.regular_size(name)) {
                files.push((name.to_owned(), size));
            }
        }
        // SAFETY: the stream is open and not used again.
        unsafe { libc::closedir(stream) };
        Ok(files)
    }

    fn regular_size(&self, name: &std::ffi::CStr) -> Option<u64> {
        let stat = self.stat(name)?;
        (stat.st_mode & libc::S_IFMT == libc::S_IFREG)
            .then(|| u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Opens a file, made if it is not there, and locks it; `None` while somebody else has it
    /// locked, in this process or in another. The lock goes with the process, however it ends.
    ///
    /// A record lock, not `flock`: a forked child does not share it, so it is free as soon as its
    /// owner is dead, whatever children live on. Such a lock is lost when its process closes any
    /// descriptor of the file, so files that are locked here must be opened nowhere else.
    pub fn try_lock(&self, name: &str) -> io::Result<Option<Lock>> {
        let c_name = c_string(name.as_bytes())?;
        let locked = LOCKED.get(|_, _| Mutex::default());
        let mut locked = locked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stat(&c_name).is_some_and(|stat| locked.contains(&identity(&stat))) {
            return Ok(None);
        }
        let file = self.open_at(&c_name, libc::O_RDWR | libc::O_CREAT, 0o600)?;
        // SAFETY: an all-zero lock is a valid value: from the start, without end.
        let mut whole = unsafe { std::mem::zeroed::<libc::flock>() };
        whole.l_type = libc::F_WRLCK as libc::c_short;
        whole.l_whence = libc::SEEK_SET as libc::c_short;
        // SAFETY: the descriptor is open, the lock readable.
        let taken = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const whole) };
        if taken != 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => Ok(None),
                _ => Err(error),
            };
        }
        // SAFETY: an all-zero stat is a valid value to be filled in.
        let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
        // SAFETY: the descriptor is open and `stat` writable.
        check(unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) })?;
        // Removed, or replaced, between opening and locking: what we hold is not what the name says.
        if self.stat(&c_name).map(|now| identity(&now)) != Some(identity(&stat)) {
            return Ok(None);
        }
        locked.insert(identity(&stat));
        Ok(Some(Lock { file: std::mem::ManuallyDrop::new(file), identity: identity(&stat) }))
    }

    fn stat(&self, name: &std::ffi::CStr) -> Option<libc::stat> {
        // SAFETY: an all-zero stat is a valid value to be filled in.
        let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
        let fd = self.0.as_raw_fd();
        // SAFETY: the descriptor is open, the name NUL-terminated, `stat` writable.
        let failed =
            unsafe { libc::fstatat(fd, name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW) };
        (failed == 0).then_some(stat)
    }

    fn open_at(&self, name: &std::ffi::CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
        let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        // SAFETY: the descriptor is open, the name NUL-terminated.
        owned(unsafe { libc::openat(self.0.as_raw_fd(), name.as_ptr(), flags, mode) })
    }
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(stat: &libc::stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// What this process has locked: record locks do not keep a process from itself.
static LOCKED: PerProcess<Mutex<HashSet<Identity>>> = PerProcess::new();

/// An open, locked file. The lock ends when this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: std::mem::ManuallyDrop<OwnedFd>,
    identity: Identity,
}

impl Lock {
    /// The file's size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        // SAFETY: an all-zero stat is a valid value to be filled in.
        let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
        // SAFETY: the descriptor is open and `stat` writable.
        check(unsafe { libc::fstat(self.file.as_raw_fd(), &raw mut stat) })?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let locked = LOCKED.get(|_, _| Mutex::default());
        let mut locked = locked.lock().unwrap_or_else(PoisonError::into_inner);
        locked.remove(&self.identity);
        // Closed under the table's lock: closing ends a lock that another thread of this process
        // could have taken in between.
        // SAFETY: dropped here only, and not used again.
        unsafe { std::mem::ManuallyDrop::drop(&mut self.file) };
    }
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "NUL in a path"))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
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
