//! Getting a payload to where it goes: what an attempt came to, when to try again, and one file
//! for each way of sending.
//!
//! [`Transport`]s block for as long as they are told, on a thread of the core's own. The retry
//! policy is pure. Nothing here merges, renders or stores.

mod directory;
mod http_date;
#[cfg(feature = "tls")]
mod lookup;
#[cfg(not(feature = "tls"))]
mod minreq_client;
mod request;
mod retry;
#[cfg(feature = "tls")]
mod ureq_client;

pub use directory::DirectorySink;
pub use request::{Account, HttpRequest, Response};
pub use retry::Retry;

use crate::model::{Minute, UnixNanos};
use std::time::Duration;

/// One payload to send.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// `checkin` or `errors`.
    pub kind: &'a str,
    /// The same over all attempts.
    pub id: &'a str,
    /// The minute it is of.
    pub minute: Minute,
    /// How many entries it has.
    pub entries: u64,
    /// JSON text.
    pub json: &'a str,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// Not now; perhaps later, and not before this much time has passed if the receiver said so.
    Retry {
        /// What was asked for.
        after: Option<Duration>,
        /// For the log and the diagnosis. Never holds a secret.
        why: String,
    },
    /// Never: the receiver will refuse it again.
    Rejected {
        /// For the log and the diagnosis. Never holds a secret.
        why: String,
    },
}

/// A way of sending.
pub trait Transport: Send {
    /// Sends a payload, in no more than `timeout`. It is `now`: a receiver may answer with a date.
    fn send(&mut self, payload: &Payload<'_>, now: UnixNanos, timeout: Duration) -> Outcome;
}

/// An HTTP client, as far as [`request::Service`] needs one.
pub(crate) trait HttpClient: Send {
    /// Sends a POST request; an error is a text without secrets, and means: try again.
    fn post(&mut self, request: &HttpRequest, timeout: Duration) -> Result<Response, String>;
}

/// Limits and places for an HTTP client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// `http://user:password@host:port`.
    pub proxy: Option<String>,
    /// PEM text of the authorities to trust instead of the built-in ones.
    pub ca_pem: Option<Vec<u8>>,
}

/// The transport to the services, with the HTTP client of this build: one for check-ins, and one for
/// errors where the way to them is another.
///
/// # Errors
/// A proxy or a CA file that cannot be used, as text for a person.
pub fn service(
    account: Account,
    checkins: &ClientOptions,
    errors: &ClientOptions,
) -> Result<Box<dyn Transport>, String> {
    let client = client(checkins)?;
    let errors = if errors == checkins { None } else { Some(self::client(errors)?) };
    Ok(Box::new(request::Service::new(account, client, errors)))
}

fn client(options: &ClientOptions) -> Result<Box<dyn HttpClient>, String> {
    #[cfg(feature = "tls")]
    let client = ureq_client::UreqClient::new(options)?;
    #[cfg(not(feature = "tls"))]
    let client = minreq_client::MinreqClient::new(options)?;
    Ok(Box::new(client))
}
