use super::{HttpClient, Outcome, Payload, Transport, http_date};
use crate::config::Secret;
use crate::model::UnixNanos;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::time::Duration;

/// Whose payloads these are, and where they go.
#[derive(Clone, Debug)]
pub struct Account {
    /// Base URL of the check-in service, without a slash at its end.
    pub checkin_url: String,
    /// Base URL of the error service.
    pub errors_url: String,
    /// The account's key.
    pub key: Secret,
    /// The application's name.
    pub name: String,
    /// The machine's name.
    pub hostname: String,
    /// This library's version.
    pub agent_version: String,
}

/// A POST request, ready to send. Its URL holds the key.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Scheme, host, path and query.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// Compressed with gzip, if the headers say so.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.url.split('?').next().unwrap_or("");
        write!(f, "POST {shown} ({} bytes)", self.body.len())
    }
}

/// What came back, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The body's first bytes, for the log.
    pub excerpt: String,
}

/// The check-in and the error service over HTTP.
/// Source: `facts/scout.md` 3.1 and 3.5: URLs, query and headers are the published agents'.
pub(super) struct Service {
    account: Account,
    client: Box<dyn HttpClient>,
    /// For errors, where the way to their service is another.
    errors_client: Option<Box<dyn HttpClient>>,
}

impl Service {
    pub(super) fn new(
        account: Account,
        client: Box<dyn HttpClient>,
        errors_client: Option<Box<dyn HttpClient>>,
    ) -> Service {
        Service { account, client, errors_client }
    }
}

impl Transport for Service {
    fn send(&mut self, payload: &Payload<'_>, now: UnixNanos, timeout: Duration) -> Outcome {
        let request = match build(&self.account, payload) {
            Ok(request) => request,
            Err(error) => return Outcome::Rejected { why: format!("gzip: {error}") },
        };
        let client = match &mut self.errors_client {
            Some(client) if payload.kind == "errors" => client,
            _ => &mut self.client,
        };
        match client.post(&request, timeout) {
            Ok(response) => classify(&response, now, &self.account.key),
            Err(why) => Outcome::Retry { after: None, why: mask(&why, &self.account.key) },
        }
    }
}

fn build(account: &Account, payload: &Payload<'_>) -> std::io::Result<HttpRequest> {
    let (base, path) = match payload.kind {
        "errors" => (&account.errors_url, "error"),
        "app_server_load" => (&account.checkin_url, "app_server_load"),
        _ => (&account.checkin_url, "checkin"),
    };
    let (key, name) = (form_encode(account.key.reveal()), form_encode(&account.name));
    let url = format!("{base}/apps/{path}.scout?key={key}&name={name}");
    let mut headers = vec![
        ("Agent-Hostname", header_text(&account.hostname)),
        ("Agent-Version", header_text(&account.agent_version)),
        ("X-Scout-Payload-Id", header_text(payload.id)),
    ];
    if payload.kind == "app_server_load" {
        // As the Elixir agent sends it; Ruby's is no JSON.
        headers.push(("Content-Type", "application/octet-stream".to_owned()));
        return Ok(HttpRequest { url, headers, body: payload.json.as_bytes().to_vec() });
    }
    headers.push(("Content-Type", "application/json".to_owned()));
    headers.push(("Content-Encoding", "gzip".to_owned()));
    if payload.kind == "errors" {
        headers.push(("X-Error-Count", payload.entries.to_string()));
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(5));
    gzip.write_all(payload.json.as_bytes())?;
    Ok(HttpRequest { url, headers, body: gzip.finish()? })
}

/// As HTML forms do: a space is a plus.
fn form_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn header_text(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~')).collect()
}

fn classify(response: &Response, now: UnixNanos, key: &Secret) -> Outcome {
    let why = || {
        // It may well say what it was asked; and what a cut leaves of a key is one still.
        let excerpt: String = mask(&response.excerpt, key).chars().take(200).collect();
        format!("status {}{}{excerpt}", response.status, if excerpt.is_empty() { "" } else { ": " })
    };
    match response.status {
        200..=299 => Outcome::Delivered,
        408 | 429 | 500..=599 => {
            let after = response.retry_after.as_deref().and_then(|text| wait_of(text, now));
            Outcome::Retry { after, why: why() }
        }
        _ => Outcome::Rejected { why: why() },
    }
}

/// `Retry-After`, in seconds or as a date; one that is over means at once.
fn wait_of(text: &str, now: UnixNanos) -> Option<Duration> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            Some(Duration::from_secs_f64(seconds.min(1e9)))
        }
        Ok(_) => None,
        Err(_) => Some(Duration::from_nanos(http_date::parse(text, now)?.since(now).0)),
    }
}

/// Errors of an HTTP client may quote the URL.
fn mask(text: &str, key: &Secret) -> String {
    if key.is_empty() {
        return text.to_owned();
    }
    text.replace(key.reveal(), "***").replace(&form_encode(key.reveal()), "***")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn account() -> Account {
        Account {
            checkin_url: "https://c".into(),
            errors_url: "https://e".into(),
            key: Secret::new("k&y"),
            name: "My App + Co".into(),
            hostname: "host\r\nX: y".into(),
            agent_version: "0.1.0".into(),
        }
    }

    fn payload(kind: &'static str) -> Payload<'static> {
        let minute = crate::model::Minute(1);
        Payload { kind, id: "abc", minute, entries: 3, json: "{\"a\":1}" }
    }

    #[test]
    fn a_check_in_has_the_published_url_headers_and_body() {
        let request = build(&account(), &payload("checkin")).unwrap();
        assert_eq!(request.url, "https://c/apps/checkin.scout?key=k%26y&name=My+App+%2B+Co");
        assert!(request.headers.contains(&("Content-Encoding", "gzip".into())));
        assert!(request.headers.contains(&("Agent-Hostname", "hostX: y".into())));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"a\":1}");
        assert!(!format!("{request:?}").contains("k%26y"));
    }

    #[test]
    fn an_application_describes_itself_as_the_elixir_agents_do() {
        let request = build(&account(), &payload("app_server_load")).unwrap();
        assert!(request.url.starts_with("https://c/apps/app_server_load.scout?key="));
        assert!(request.headers.contains(&("Content-Type", "application/octet-stream".into())));
        assert_eq!(request.body, b"{\"a\":1}");
    }

    #[test]
    fn errors_go_to_their_own_service_with_a_count() {
        let request = build(&account(), &payload("errors")).unwrap();
        assert!(request.url.starts_with("https://e/apps/error.scout?"));
        assert!(request.headers.contains(&("X-Error-Count", "3".into())));
    }

    #[test]
    fn a_receiver_that_repeats_the_key_does_not_bring_it_into_a_message() {
        let key = Secret::new("k&y0123456789");
        // Right where the excerpt is cut, too.
        for before in [0, 190, 195] {
            let excerpt = format!("{}no ?key=k%26y0123456789 or k&y0123456789", "x".repeat(before));
            let response = Response { status: 403, retry_after: None, excerpt };
            let Outcome::Rejected { why } = classify(&response, UnixNanos(0), &key) else {
                panic!("a refusal")
            };
            assert!(
                !why.contains("0123") && !why.contains("k&y") && !why.contains("k%26"),
                "{why}"
            );
        }
    }

    #[test]
    fn statuses_mean_what_the_design_says() {
        let outcome = |status, retry_after: Option<&str>| {
            let response = Response {
                status,
                retry_after: retry_after.map(str::to_owned),
                excerpt: String::new(),
            };
            classify(&response, UnixNanos(784_111_770_000_000_000), &Secret::default())
        };
        for status in [200, 201, 202, 204] {
            assert_eq!(outcome(status, None), Outcome::Delivered);
        }
        for status in [301, 302, 304, 400, 401, 403, 404, 413, 422] {
            assert!(matches!(outcome(status, None), Outcome::Rejected { .. }), "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(outcome(status, None), Outcome::Retry { after: None, .. }));
        }
        let after = |text| match outcome(429, Some(text)) {
            Outcome::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("5"), Some(Duration::from_secs(5)));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
        assert!(after("1e300").is_some());
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(after(date), Some(Duration::from_secs(7)), "{date}");
        }
        assert_eq!(after("Sun, 06 Nov 1994 08:49:29 GMT"), Some(Duration::ZERO), "it is over");
    }

    #[test]
    fn no_error_shows_the_key() {
        let shown = mask("error for https://c?key=k%26y k&y", &Secret::new("k&y"));
        assert_eq!(shown, "error for https://c?key=*** ***");
    }
}
