use super::Address;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// A connection of either kind.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a socket file.
    Unix(UnixStream),
}

impl Stream {
    /// Connects, as a client does.
    pub fn connect(address: &Address, timeout: Duration) -> io::Result<Stream> {
        let stream = match address {
            Address::Tcp(address) => Stream::Tcp(TcpStream::connect_timeout(address, timeout)?),
            Address::Unix(path) => Stream::Unix(connect_unix(path, timeout)?),
        };
        match &stream {
            Stream::Tcp(tcp) => {
                tcp.set_read_timeout(Some(timeout))?;
                tcp.set_write_timeout(Some(timeout))?;
            }
            Stream::Unix(unix) => {
                unix.set_read_timeout(Some(timeout))?;
                unix.set_write_timeout(Some(timeout))?;
            }
        }
        Ok(stream)
    }

    /// Makes an accepted connection fit for a poller.
    pub(super) fn prepare(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(tcp) => {
                tcp.set_nonblocking(true)?;
                // A reply is one small segment that somebody waits for.
                tcp.set_nodelay(true)
            }
            Stream::Unix(unix) => unix.set_nonblocking(true),
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn end_writing(&self) {
        let _ = match self {
            Stream::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Stream::Unix(unix) => unix.shutdown(Shutdown::Write),
        };
    }
}

/// As [`UnixStream::connect`], which waits for ever where somebody listens whose queue is full.
pub(super) fn connect_unix(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    let thread = std::thread::Builder::new().spawn(move || {
        let _ = sender.send(UnixStream::connect(path));
    })?;
    let result = receiver.recv_timeout(timeout).map_err(|_| io::ErrorKind::TimedOut)?;
    // Gone for good: a process that is about to fork has no second thread.
    let _ = thread.join();
    result
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => (&mut &*tcp).read(buffer),
            Stream::Unix(unix) => (&mut &*unix).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => (&mut &*tcp).write(bytes),
            Stream::Unix(unix) => (&mut &*unix).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(tcp) => tcp.as_fd(),
            Stream::Unix(unix) => unix.as_fd(),
        }
    }
}
