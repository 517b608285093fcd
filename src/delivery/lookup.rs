//! Finding a host's addresses: one lookup of a host at a time, however long a resolver is silent.
//!
//! The system's lookup cannot be ended, so it has a thread that may outlive the attempt. ureq's own
//! resolver starts one more with each attempt; here the next attempt waits for the one that is there.

use crate::sys::thread;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// As many addresses as ureq takes.
const ADDRESSES: usize = 16;

type Addresses = io::Result<Vec<SocketAddr>>;

/// The lookups that are under way.
#[derive(Debug)]
pub(super) struct Lookups {
    find: fn(&str) -> Addresses,
    running: Mutex<Vec<Lookup>>,
}

#[derive(Debug)]
struct Lookup {
    host: String,
    answer: Receiver<Addresses>,
}

impl Default for Lookups {
    fn default() -> Lookups {
        Lookups {
            find: |host| host.to_socket_addrs().map(Iterator::collect),
            running: Mutex::default(),
        }
    }
}

impl Lookups {
    /// `None` when there is no answer in time.
    fn addresses(&self, host: &str, patience: Duration) -> Option<Addresses> {
        // An address has no need of a thread.
        if let Ok(address) = host.parse() {
            return Some(Ok(vec![address]));
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match running.iter().position(|lookup| lookup.host == host) {
            Some(at) => at,
            None => {
                match self.start(host) {
                    Ok(lookup) => running.push(lookup),
                    Err(error) => return Some(Err(error)),
                }
                running.len() - 1
            }
        };
        let answer = match running.get(at)?.answer.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::Interrupted.into()),
            Ok(answer) => answer,
        };
        running.swap_remove(at);
        Some(answer)
    }

    fn start(&self, host: &str) -> io::Result<Lookup> {
        let (sender, answer) = sync_channel(1);
        let (find, asked) = (self.find, host.to_owned());
        thread::spawn("scout-lookup", move || {
            // Nobody may want it any more.
            let _ = sender.send(find(&asked));
        })?;
        Ok(Lookup { host: host.to_owned(), answer })
    }
}

impl Resolver for Lookups {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri
            .scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
            .ok_or(Error::HostNotFound)?;
        let found =
            self.addresses(&host, *timeout.after).ok_or(Error::Timeout(timeout.reason))??;
        let mut addresses = self.empty();
        for address in config.ip_family().keep_wanted(found.into_iter()).take(ADDRESSES) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[test]
    fn a_silent_resolver_has_one_thread_and_its_answer_is_taken_when_it_comes() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static SILENT: AtomicBool = AtomicBool::new(true);
        let find = |_: &str| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            while SILENT.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 9], 443))])
        };
        let lookups = Lookups { find, running: Mutex::default() };
        for _ in 0..5 {
            assert!(lookups.addresses("a.invalid:443", Duration::from_millis(5)).is_none());
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        assert!(lookups.addresses("b.invalid:443", Duration::from_millis(5)).is_none());
        SILENT.store(false, Ordering::SeqCst);
        let found = lookups.addresses("a.invalid:443", Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 9], 443))]);
        assert_eq!(ASKED.load(Ordering::SeqCst), 2, "once for each of the two hosts");
        lookups.addresses("a.invalid:443", Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(ASKED.load(Ordering::SeqCst), 3, "an answer is used once");
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let find = |host: &str| panic!("{host}");
        let lookups = Lookups { find, running: Mutex::default() };
        for host in ["127.0.0.1:80", "[::1]:443"] {
            let found = lookups.addresses(host, Duration::ZERO).unwrap().unwrap();
            assert_eq!(found, [host.parse().unwrap()]);
        }
    }
}
