use super::{OptionsError, Settings};
use std::net::IpAddr;
use std::path::PathBuf;

/// Where payloads go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Payload files in `payloads` of the data directory.
    DataDirectory,
    /// Payload files in this directory.
    Directory(PathBuf),
    /// The check-in and the error service at these base URLs, without a slash at their ends.
    Service {
        /// Takes check-ins.
        checkin: String,
        /// Takes errors.
        errors: String,
    },
}

impl Destination {
    /// The destination that the settings name.
    ///
    /// # Errors
    /// An unknown scheme; a key that would travel unencrypted to another machine; a service
    /// without a key.
    pub fn of(settings: &Settings) -> Result<Destination, OptionsError> {
        let has_key = !settings.secret("key").is_empty();
        match settings.text("destination") {
            "" if has_key => Ok(Destination::Service {
                checkin: service("host", settings.text("host"))?,
                errors: service("errors_host", settings.text("errors_host"))?,
            }),
            "" => Ok(Destination::DataDirectory),
            text => match text.split_once("://") {
                Some(("file", path)) if path.starts_with('/') => {
                    Ok(Destination::Directory(PathBuf::from(path)))
                }
                Some(("http" | "https", _)) if has_key => {
                    let base = service("destination", text)?;
                    Ok(Destination::Service { checkin: base.clone(), errors: base })
                }
                Some(("http" | "https", _)) => {
                    Err(OptionsError("destination is a service, which needs a key".into()))
                }
                _ => Err(OptionsError(
                    "destination must be https://host, http:// on loopback, or file:///directory"
                        .into(),
                )),
            },
        }
    }
}

fn service(name: &str, url: &str) -> Result<String, OptionsError> {
    let url = url.trim_end_matches('/');
    let fail = |why: &str| Err(OptionsError(format!("{name} {why}")));
    let (plain, rest) = match url.split_once("://") {
        Some(("https", rest)) => (false, rest),
        Some(("http", rest)) => (true, rest),
        _ => return fail("must begin with https:// (or http:// on loopback)"),
    };
    let authority = rest.split('/').next().unwrap_or("");
    if authority.is_empty() || authority.contains(['@', '?', '#', ' ']) {
        return fail("must be a host, with a port if need be, and no user or query");
    }
    if plain && !is_loopback(authority) {
        return fail("must be https://: the key would travel unencrypted");
    }
    if !plain && cfg!(not(feature = "tls")) {
        return fail("must be http:// on loopback: this build has no TLS");
    }
    Ok(url.to_owned())
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn of(options: &str) -> Result<Destination, String> {
        let settings = Settings::read(options, &Environment::default()).unwrap();
        Destination::of(&settings).map_err(|error| error.0)
    }

    #[test]
    fn files_without_a_key_the_service_with_one() {
        assert_eq!(of("{}"), Ok(Destination::DataDirectory));
        assert_eq!(
            of(r#"{"destination":"file:///var/x"}"#),
            Ok(Destination::Directory("/var/x".into()))
        );
        let Ok(Destination::Service { checkin, errors }) = of(r#"{"key":"k"}"#) else { panic!() };
        assert_eq!(checkin, "https://checkin.scoutapp.com");
        assert_eq!(errors, "https://errors.scoutapm.com");
    }

    #[test]
    fn a_key_never_travels_in_the_clear() {
        for host in ["http://example.com", "http://10.0.0.1:80", "http://127.0.0.1.evil.com"] {
            let error = of(&format!(r#"{{"key":"k","destination":"{host}"}}"#)).unwrap_err();
            assert!(error.contains("unencrypted"), "{error}");
        }
        for host in ["http://127.0.0.1:9", "http://localhost", "http://[::1]:80/"] {
            assert!(of(&format!(r#"{{"key":"k","destination":"{host}"}}"#)).is_ok(), "{host}");
        }
        assert!(of(r#"{"key":"k","destination":"http://user@127.0.0.1"}"#).is_err());
        assert!(of(r#"{"destination":"https://h"}"#).unwrap_err().contains("needs a key"));
        assert!(of(r#"{"destination":"ftp://h"}"#).unwrap_err().contains("https://"));
    }
}
