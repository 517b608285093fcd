//! The HTTP client of this build; besides `lookup`, the only file that names ureq.

use super::lookup::Lookups;
use super::{ClientOptions, HttpClient, HttpRequest, Response};
use std::io::Read;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;

/// A response's headers, all together.
const HEADER_LIMIT: usize = 16 * 1024;
/// What is read of a response's body; the rest is not waited for.
const BODY_LIMIT: u64 = 4 * 1024;

pub(super) struct UreqClient(Agent);

impl UreqClient {
    pub(super) fn new(options: &ClientOptions) -> Result<UreqClient, String> {
        let proxy = match &options.proxy {
            // The error could quote a password.
            Some(proxy) => Some(ureq::Proxy::new(proxy).map_err(|_| "proxy: not a usable URL")?),
            None => None,
        };
        let roots = match &options.ca_pem {
            Some(pem) => RootCerts::new_with_certs(&certificates(pem)?),
            None => RootCerts::WebPki,
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect's target must not get the key: a 3xx is a refusal.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(HEADER_LIMIT)
            .max_idle_connections(1)
            .user_agent(concat!("scoutcore/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        Ok(UreqClient(Agent::with_parts(config, DefaultConnector::default(), Lookups::default())))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<ureq::tls::Certificate<'static>>, String> {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(format!("ca_cert: {error}"))),
    });
    let certificates = items.collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err("ca_cert: the file holds no certificate".into());
    }
    Ok(certificates)
}

impl HttpClient for UreqClient {
    fn post(&mut self, request: &HttpRequest, timeout: Duration) -> Result<Response, String> {
        let mut post = self.0.post(&request.url).config().timeout_global(Some(timeout)).build();
        for (name, value) in &request.headers {
            post = post.header(*name, value);
        }
        let mut response = post.send(&request.body[..]).map_err(|error| error.to_string())?;
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let status = response.status().as_u16();
        let mut excerpt = Vec::new();
        // A body cut short does not undo a status that came whole.
        let _ = response.body_mut().as_reader().take(BODY_LIMIT).read_to_end(&mut excerpt);
        let excerpt = String::from_utf8_lossy(&excerpt).into_owned();
        Ok(Response { status, retry_after, excerpt })
    }
}
