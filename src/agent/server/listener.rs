use super::stream::connect_unix;
use super::{Address, Stream, UnixOptions};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why there is no listening socket.
#[derive(Debug)]
pub enum BindError {
    /// Somebody listens there.
    InUse,
    /// Anything else.
    Other(String),
}

/// A listening socket. A socket file goes with it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A socket file of ours: removed at the end, unless somebody else's is in its place by then.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Listener {
    /// Listens. The socket file of an agent that is gone is replaced, but only if nothing answers
    /// on it, and no other file is ever touched.
    pub fn bind(address: &Address, options: &UnixOptions) -> Result<Listener, BindError> {
        let socket = match address {
            Address::Tcp(address) => Socket::Tcp(TcpListener::bind(address).map_err(tcp_error)?),
            Address::Unix(path) => bind_unix(path, options)?,
        };
        let listener = Listener { socket };
        let nonblocking = match &listener.socket {
            Socket::Tcp(tcp) => tcp.set_nonblocking(true),
            Socket::Unix(unix, _) => unix.set_nonblocking(true),
        };
        nonblocking.map_err(|error| BindError::Other(error.to_string()))?;
        Ok(listener)
    }

    /// The address it has, with the port that the system chose if it was left to it.
    pub fn address(&self) -> Option<Address> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.local_addr().ok().map(Address::Tcp),
            Socket::Unix(_, file) => Some(Address::Unix(file.path.clone())),
        }
    }

    /// Removes the socket file, if there is one and it is still ours: from here on, nobody finds
    /// this listener.
    pub(super) fn withdraw(&self) {
        if let Socket::Unix(_, file) = &self.socket {
            file.remove();
        }
    }

    /// The next connection, if one waits.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Socket::Unix(unix, _) => unix.accept().map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.as_fd(),
            Socket::Unix(unix, _) => unix.as_fd(),
        }
    }
}

fn tcp_error(error: io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse,
        _ => BindError::Other(error.to_string()),
    }
}

fn bind_unix(path: &Path, options: &UnixOptions) -> Result<Socket, BindError> {
    let other = |error: io::Error| BindError::Other(format!("{}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(other)?;
    }
    let group = options.group.as_deref().map(group_id).transpose().map_err(BindError::Other)?;
    // Two that start at once must not both find the file stale: the loser would listen on a
    // socket that nobody can reach. The lock is the system's, gone with the process.
    let lock = Lock::take(path).map_err(other)?;
    if lock.is_none() {
        return Err(BindError::InUse);
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let what = format!("{} is there, and is no socket", path.display());
            return Err(BindError::Other(what));
        }
        Ok(_) => match connect_unix(path, Duration::from_secs(1)) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(other)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(other(error));
            }
            // It answers, or its queue is full: somebody listens.
            _ => return Err(BindError::InUse),
        },
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse,
        _ => other(error),
    })?;
    fs::set_permissions(path, fs::Permissions::from_mode(options.mode)).map_err(other)?;
    if let Some(group) = group {
        chown(path, None, Some(group)).map_err(other)?;
    }
    let made = fs::symlink_metadata(path).map_err(other)?;
    let file = SocketFile { path: path.to_owned(), inode: (made.dev(), made.ino()) };
    Ok(Socket::Unix(listener, file))
}

/// Held while a socket file is looked at and made.
struct Lock(#[allow(dead_code)] Option<crate::sys::dir::Lock>);

impl Lock {
    /// `None` when another process is at it. A directory where we may not make files has its
    /// socket made by somebody else, or not at all: no lock is needed there.
    fn take(path: &Path) -> io::Result<Option<Lock>> {
        use crate::sys::dir::{Dir, Trust};
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("socket");
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = Dir::create(directory.unwrap_or(Path::new(".")), Trust::Given)?;
        match directory.try_lock(&format!(".{name}.lock")) {
            Ok(Some(lock)) => Ok(Some(Lock(Some(lock)))),
            Ok(None) => Ok(None),
            Err(_) => Ok(Some(Lock(None))),
        }
    }
}

/// A group's number.
fn group_id(group: &str) -> Result<u32, String> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| format!("there is no group {group}"))
}

impl SocketFile {
    fn remove(&self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_file_is_replaced_only_if_nothing_answers() {
        let path = std::env::temp_dir().join(format!("scout-listen-{}/s", std::process::id()));
        let address = Address::Unix(path.clone());
        let bind = || Listener::bind(&address, &UnixOptions::default());
        let first = bind().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o666);
        assert!(matches!(bind(), Err(BindError::InUse)));
        drop(first);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind, as by a killed process");
        drop(bind().unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(), Err(BindError::Other(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn somebody_elses_file_stays() {
        let path = std::env::temp_dir().join(format!("scout-listen2-{}", std::process::id()));
        let address = Address::Unix(path.clone());
        let first = Listener::bind(&address, &UnixOptions::default()).unwrap();
        fs::remove_file(&path).unwrap();
        let second = UnixListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        fs::remove_file(&path).unwrap();
        let _ = fs::remove_file(
            path.with_file_name(format!(".{}.lock", path.file_name().unwrap().to_str().unwrap())),
        );
    }

    #[test]
    fn groups_by_name_or_number() {
        assert_eq!(group_id("root"), Ok(0));
        assert_eq!(group_id("12"), Ok(12));
        assert!(group_id("no such group").is_err());
    }
}
