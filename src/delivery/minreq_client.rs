//! The only file that names minreq: plain HTTP to loopback, in the build without TLS.
//!
//! Fenced by what was measured of it: no redirects (it would replay the key), the body read lazily
//! under a cap, everything set explicitly (it reads the environment otherwise), whole seconds. It
//! panics where no thread can be had, and where a header line meets its limit in a way that would
//! otherwise lift it (`overflow-checks` in Cargo.toml): a panic is an attempt that failed.

use super::{ClientOptions, HttpClient, HttpRequest, Response};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What is read of a response's body.
const BODY_LIMIT: u64 = 4 * 1024;
/// The longest header or status line.
const LINE_LIMIT: usize = 16 * 1024;

pub(super) struct MinreqClient;

impl MinreqClient {
    pub(super) fn new(options: &ClientOptions) -> Result<MinreqClient, String> {
        if options.proxy.is_some() || options.ca_pem.is_some() {
            return Err("this build has no TLS: proxy and ca_cert have no effect".into());
        }
        Ok(MinreqClient)
    }
}

impl HttpClient for MinreqClient {
    fn post(&mut self, request: &HttpRequest, timeout: Duration) -> Result<Response, String> {
        let mut post = minreq::post(request.url.as_str())
            .with_body(request.body.as_slice())
            .with_timeout(timeout.as_secs().max(1))
            .with_follow_redirects(false)
            .with_max_headers_size(LINE_LIMIT)
            .with_max_status_line_length(LINE_LIMIT);
        for (name, value) in &request.headers {
            post = post.with_header(*name, value.as_str());
        }
        catch_unwind(AssertUnwindSafe(|| receive(post)))
            .unwrap_or_else(|_| Err("the answer broke the HTTP client".into()))
    }
}

fn receive(post: minreq::Request) -> Result<Response, String> {
    let mut response = post.send_lazy().map_err(|error| error.to_string())?;
    let status = response.status_code;
    let retry_after = response
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .map(|(_, value)| value.clone());
    let mut excerpt = Vec::new();
    // A body cut short does not undo a status that came whole.
    let _ = response.by_ref().take(BODY_LIMIT).read_to_end(&mut excerpt);
    let excerpt = String::from_utf8_lossy(&excerpt).into_owned();
    Ok(Response { status, retry_after, excerpt })
}
