use std::fmt;

/// A URL without the user and the password in it: with or without a scheme, as proxies are given.
pub fn without_user(url: &str) -> String {
    let Some((_, host)) = url.rsplit_once('@') else { return url.to_owned() };
    match url.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://***@{host}"),
        None => format!("***@{host}"),
    }
}

/// A text that is never shown: printing gives stars and, of a long one, its last four characters.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text in.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself. For the request that needs it, and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str("***")?;
        match self.0.char_indices().rev().nth(3) {
            Some((at, _)) if self.0.len() >= 12 => f.write_str(self.0.get(at..).unwrap_or("")),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_no_user() {
        for (url, shown) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://user:pass@proxy:3128", "http://***@proxy:3128"),
            ("user:pass@proxy:3128", "***@proxy:3128"),
            ("user:p@ss@proxy:3128", "***@proxy:3128"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }

    #[test]
    fn a_secret_shows_its_tail_at_most() {
        assert_eq!(Secret::new("abcdefghij0123456789").to_string(), "***6789");
        assert_eq!(format!("{:?}", Secret::new("short")), "Secret(***)");
        assert_eq!(Secret::default().to_string(), "");
    }
}
