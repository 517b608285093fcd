use super::config::UriReporting;
use super::filter::{FILTERED, Filter};

/// A request's address as it is shown.
pub(crate) fn report(uri: &str, mode: UriReporting, filter: &Filter) -> String {
    let (rest, fragment) = match uri.find('#') {
        Some(at) => uri.split_at(at),
        None => (uri, ""),
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    match mode {
        UriReporting::FullPath => uri.to_owned(),
        UriReporting::Path => format!("{path}{fragment}"),
        UriReporting::FilteredParams if query.is_empty() => format!("{path}{fragment}"),
        UriReporting::FilteredParams => {
            let mut pairs: Vec<(String, String)> = query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let name = decode(name);
                    let value =
                        if filter.hides(&name) { FILTERED.to_owned() } else { decode(value) };
                    (name, value)
                })
                .collect();
            pairs.sort();
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            format!("{path}?{}{fragment}", pairs.join("&"))
        }
    }
}

/// Undoes percent encoding; what is not UTF-8 then is replaced.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        match (byte, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(byte),
            },
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Percent encoding of a query's parts.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(HEX.get(usize::from(digit)).map_or('0', |digit| char::from(*digit)));
                }
            }
        }
    }
    out
}

/// The host an address names, without user and port; `None` if it names none.
pub(crate) fn host(url: &[u8]) -> Option<&[u8]> {
    let authority = authority(url);
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let host = match host {
        // An IPv6 address keeps its brackets.
        [b'[', ..] => host.split_inclusive(|byte| *byte == b']').next(),
        _ => host.split(|byte| *byte == b':').next(),
    };
    host.filter(|host| {
        !host.is_empty()
            && host.len() <= 255
            && host.iter().all(|byte| byte.is_ascii_graphic() || !byte.is_ascii())
    })
}

/// An address without scheme, user, query and fragment, as a span's description shows it.
pub(crate) fn describe(url: &[u8]) -> String {
    const LONGEST: usize = 300;
    let url = url.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let authority = authority(url);
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let path = after_scheme(url).get(authority.len()..).unwrap_or_default();
    let mut text = String::from_utf8_lossy(host).into_owned();
    text.push_str(&String::from_utf8_lossy(path));
    text.truncate(super::symbols::cut(text.as_bytes(), LONGEST).len());
    text
}

fn after_scheme(url: &[u8]) -> &[u8] {
    let at = url.windows(3).take(32).position(|three| three == b"://");
    at.and_then(|at| url.get(at + 3..)).unwrap_or(url)
}

fn authority(url: &[u8]) -> &[u8] {
    after_scheme(url).split(|byte| matches!(byte, b'/' | b'?' | b'#')).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filtered_as_the_python_agent_does() {
        let filter = Filter::default();
        let shown = |uri| report(uri, UriReporting::FilteredParams, &filter);
        assert_eq!(shown("/?bar=unicØde"), "/?bar=unic%C3%98de");
        assert_eq!(shown("/?baz=2&bar=1"), "/?bar=1&baz=2");
        assert_eq!(shown("/?PASSWORD=hunter2"), "/?PASSWORD=%5BFILTERED%5D");
        assert_eq!(shown("/?user%5Bpassword%5D=a"), "/?user%5Bpassword%5D=%5BFILTERED%5D");
        assert_eq!(shown("/?bar=None"), "/?bar=None");
        assert_eq!(shown("/foo/"), "/foo/");
        assert_eq!(shown("/p?a=%zz&b=%41+c"), "/p?a=%25zz&b=A+c");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn path_and_full_path() {
        let filter = Filter::default();
        let uri = "/p?a=b#fragment";
        assert_eq!(report(uri, UriReporting::Path, &filter), "/p#fragment");
        assert_eq!(report(uri, UriReporting::FullPath, &filter), uri);
    }

    #[test]
    fn hosts() {
        let of =
            |url: &str| host(url.as_bytes()).map(|host| String::from_utf8_lossy(host).into_owned());
        assert_eq!(of("https://api.example.com/v1?x=1").as_deref(), Some("api.example.com"));
        assert_eq!(of("api.example.com:8080/v1").as_deref(), Some("api.example.com"));
        assert_eq!(of("http://me:pw@h?x@y").as_deref(), Some("h"));
        assert_eq!(of("http://[::1]:80/").as_deref(), Some("[::1]"));
        assert_eq!(of("/relative"), None);
        assert_eq!(of(""), None);
        assert_eq!(of("http://a b/"), None);
    }

    #[test]
    fn descriptions_hold_no_secrets() {
        let shown = describe(b"https://me:pw@api.example.com:8080/v1/things?key=1#x");
        assert_eq!(shown, "api.example.com:8080/v1/things");
        assert_eq!(describe(&[b'a'; 500]).len(), 300);
    }
}
