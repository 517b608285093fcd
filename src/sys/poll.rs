//! Which of many descriptors are ready: `epoll` on Linux, `poll` elsewhere.

#[cfg(target_os = "linux")]
pub use epoll::Poller;
#[cfg(not(target_os = "linux"))]
pub use portable::Poller;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Bytes, a connection or an end can be read.
    pub read: bool,
    /// There is room to write.
    pub write: bool,
}

#[cfg(target_os = "linux")]
mod epoll {
    use super::Interest;
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use std::time::Duration;

    /// Watches descriptors for any number of threads: each readiness is told once, to one of them,
    /// and not again until the descriptor is armed anew.
    #[derive(Debug)]
    pub struct Poller(OwnedFd);

    impl Poller {
        /// Watches nothing yet.
        pub fn new() -> io::Result<Poller> {
            // SAFETY: takes no pointers.
            let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: a fresh descriptor that nobody else has.
            Ok(Poller(unsafe { OwnedFd::from_raw_fd(fd) }))
        }

        /// Watches a descriptor from now on, under a token of the caller's choice, until it is
        /// closed.
        pub fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
            self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
        }

        /// Arms a watched descriptor anew.
        pub fn arm(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
            self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
        }

        fn control(
            &self,
            operation: libc::c_int,
            fd: BorrowedFd<'_>,
            token: u64,
            interest: Interest,
        ) -> io::Result<()> {
            let mut events = libc::EPOLLONESHOT.cast_unsigned();
            if interest.read {
                events |= (libc::EPOLLIN | libc::EPOLLRDHUP).cast_unsigned();
            }
            if interest.write {
                events |= libc::EPOLLOUT.cast_unsigned();
            }
            let mut event = libc::epoll_event { events, u64: token };
            // SAFETY: both descriptors are open, and `event` is valid through the call.
            let failed = unsafe {
                libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event)
            };
            if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        }

        /// Waits for one descriptor to be ready; gives its token.
        pub fn wait(&self, timeout: Duration) -> io::Result<Option<u64>> {
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            let millis = timeout.as_millis().try_into().unwrap_or(i32::MAX);
            // SAFETY: there is room for the one event asked for.
            let ready = unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, millis) };
            match ready {
                0 => Ok(None),
                1.. => Ok(Some(event.u64)),
                _ => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
                    error => Err(error),
                },
            }
        }
    }
}

#[cfg(any(test, not(target_os = "linux")))]
mod portable {
    use super::Interest;
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    /// How long an armed descriptor may go unnoticed by a thread that waits already.
    const ROUND: Duration = Duration::from_millis(10);

    /// As the one over `epoll`, slower with many descriptors. A closed descriptor is found out by
    /// the next wait.
    #[derive(Debug, Default)]
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "only tested here"))]
    pub struct Poller(Mutex<Vec<(RawFd, u64, Interest)>>);

    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "only tested here"))]
    impl Poller {
        /// Watches nothing yet.
        pub fn new() -> io::Result<Poller> {
            Ok(Poller::default())
        }

        /// Watches a descriptor.
        pub fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
            self.arm(fd, token, interest)
        }

        /// Arms a watched descriptor anew.
        pub fn arm(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
            let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            armed.retain(|(held, ..)| *held != fd.as_raw_fd());
            armed.push((fd.as_raw_fd(), token, interest));
            Ok(())
        }

        /// Waits for one descriptor to be ready; gives its token.
        pub fn wait(&self, timeout: Duration) -> io::Result<Option<u64>> {
            let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut polled: Vec<libc::pollfd> = armed
                .iter()
                .map(|(fd, _, interest)| {
                    let read = if interest.read { libc::POLLIN } else { 0 };
                    let write = if interest.write { libc::POLLOUT } else { 0 };
                    libc::pollfd { fd: *fd, events: read | write, revents: 0 }
                })
                .collect();
            let millis = timeout.min(ROUND).as_millis() as libc::c_int;
            // SAFETY: the list is valid for its length.
            let ready =
                unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, millis) };
            if ready <= 0 {
                return Ok(None);
            }
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for ((fd, token, _), polled) in armed.iter().zip(&polled) {
                if polled.revents == 0 {
                    continue;
                }
                // Another thread may have taken it in between.
                let Some(at) = held.iter().position(|(f, t, _)| f == fd && t == token) else {
                    continue;
                };
                // To the end of the line, for the next round's fairness: it is armed anew there.
                held.remove(at);
                if polled.revents & libc::POLLNVAL == 0 {
                    return Ok(Some(*token));
                }
            }
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    const READ: Interest = Interest { read: true, write: false };

    macro_rules! each_readiness_is_told_once {
        ($name:ident, $poller:ty) => {
            #[test]
            fn $name() {
                let poller = <$poller>::new().unwrap();
                let (mut near, mut far) = UnixStream::pair().unwrap();
                poller.add(near.as_fd(), 7, READ).unwrap();
                assert_eq!(poller.wait(Duration::ZERO).unwrap(), None);
                far.write_all(b"x").unwrap();
                assert_eq!(poller.wait(Duration::from_secs(1)).unwrap(), Some(7));
                assert_eq!(poller.wait(Duration::ZERO).unwrap(), None);
                poller.arm(near.as_fd(), 8, READ).unwrap();
                assert_eq!(poller.wait(Duration::from_secs(1)).unwrap(), Some(8));
                near.read_exact(&mut [0]).unwrap();
                poller.arm(near.as_fd(), 9, READ).unwrap();
                assert_eq!(poller.wait(Duration::ZERO).unwrap(), None);
                drop(far);
                assert_eq!(poller.wait(Duration::from_secs(1)).unwrap(), Some(9));
                poller.arm(near.as_fd(), 9, READ).unwrap();
                drop(near);
                assert_eq!(poller.wait(Duration::ZERO).unwrap(), None);
            }
        };
    }

    each_readiness_is_told_once!(told_once_by_this_systems, Poller);
    each_readiness_is_told_once!(told_once_by_the_portable_one, portable::Poller);
}
