use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// Where the agent listens, or is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// IP address and port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

/// How a socket file is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixOptions {
    /// Who may connect, as of a file.
    pub mode: u32,
    /// The group it is given to, by name or number.
    pub group: Option<String>,
}

impl Default for UnixOptions {
    /// Open to all users of the machine, as a port on loopback is: the agent and the
    /// applications mostly run as different ones.
    fn default() -> Self {
        UnixOptions { mode: 0o666, group: None }
    }
}

impl Address {
    /// Reads `IP:PORT`, also with the `tcp://` that agents put before it in their settings.
    pub fn tcp(text: &str) -> Result<Address, String> {
        let plain = text.strip_prefix("tcp://").unwrap_or(text);
        let found = plain.to_socket_addrs().map_err(|_| {
            format!("{text} is no address: IP:PORT is expected, for instance 127.0.0.1:6590")
        })?;
        let mut all: Vec<SocketAddr> = found.collect();
        // The agents speak IPv4.
        all.sort_by_key(SocketAddr::is_ipv6);
        let first = all.into_iter().next();
        first.map(Address::Tcp).ok_or_else(|| format!("{text} has no address"))
    }

    /// Reads a path, also with `unix://` before it.
    pub fn unix(text: &str) -> Result<Address, String> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        if path.is_empty() {
            return Err("--socket needs a path".to_owned());
        }
        // The kernel's limit, with its NUL.
        if path.len() > 107 {
            return Err(format!("{path} is too long for a socket: at most 107 bytes"));
        }
        Ok(Address::Unix(PathBuf::from(path)))
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().is_loopback(),
            Address::Unix(_) => true,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "tcp://{address}"),
            Address::Unix(path) => write!(f, "{:?}", path.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_agents_write_them() {
        let address = Address::tcp("tcp://127.0.0.1:6590").unwrap();
        assert_eq!(Address::tcp("127.0.0.1:6590"), Ok(address.clone()));
        assert_eq!(address.to_string(), "tcp://127.0.0.1:6590");
        assert!(address.is_local());
        assert!(!Address::tcp("0.0.0.0:6590").unwrap().is_local());
        assert!(Address::tcp("localhost:1").unwrap().is_local());
        assert!(Address::tcp("6590").unwrap_err().contains("127.0.0.1:6590"));
        let unix = Address::unix("/tmp/x.sock").unwrap();
        assert_eq!(unix.to_string(), r#""/tmp/x.sock""#);
        assert!(Address::unix(&format!("/{}", "x".repeat(107))).unwrap_err().contains("too long"));
    }
}
