use std::fs;
use std::path::Path;

/// `ingest_url` of the section `[debug]`: all that agents write into their TOML file.
pub(super) fn ingest_url(path: &Path) -> Option<String> {
    // What no agent writes is no configuration of ours.
    if fs::metadata(path).ok()?.len() > 1 << 20 {
        return None;
    }
    find(&fs::read_to_string(path).ok()?)
}

fn find(toml: &str) -> Option<String> {
    let mut section = "";
    let mut found = None;
    for line in toml.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim();
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().trim_matches(['"', '\'']);
            let whole = if section.is_empty() { key.to_owned() } else { [section, key].join(".") };
            if whole == "debug.ingest_url" {
                found = string(value.trim());
            }
        }
    }
    found.filter(|url| !url.is_empty())
}

/// A TOML string on one line. In a URL there is nothing to escape.
fn string(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let inner = value.strip_prefix(quote)?;
    inner.split_once(quote).map(|(text, _)| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_key_that_agents_write() {
        let node = "[debug]\ningest_url = \"https://example.com\"\n";
        assert_eq!(find(node).as_deref(), Some("https://example.com"));
        let more =
            "# [debug]\nx = 1\n[other]\ningest_url = \"no\"\n[ debug ]\n'ingest_url'='yes' # z";
        assert_eq!(find(more).as_deref(), Some("yes"));
        assert_eq!(find("debug.ingest_url = \"dotted\"").as_deref(), Some("dotted"));
        for none in
            ["", "[debug]\ningest_url = 7", "[debug]\ningest_url = \"", "ingest_url = \"x\""]
        {
            assert_eq!(find(none), None, "{none}");
        }
    }
}
