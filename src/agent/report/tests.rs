//! The command on real directories.

use super::*;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::path::PathBuf;

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scout-report-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, content: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Outcome, output, errors.
    fn report(&self, options: &[&str]) -> (Outcome, String, String) {
        let mut args = vec![self.0.clone().into_os_string()];
        args.extend(options.iter().map(Into::into));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = parse(args).unwrap();
        let outcome = run(&args, Terminal::default(), &mut out, &mut err).unwrap();
        (outcome, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const RUBY: &[u8] = include_bytes!("testdata/ruby_checkin.json");
const ERRORS: &[u8] = include_bytes!("testdata/shop/2026-11-22T06-57.errors.json");

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_are_found_unpacked_and_merged() {
    let directory = Directory::new("merge");
    directory.put("a.json", RUBY);
    directory.put("host-2/2026/b.json.gz", &gzip(RUBY));
    directory.put("a.errors.json", ERRORS);
    directory.put("a.json.tmp", b"half");
    let (outcome, page, errors) = directory.report(&[]);
    assert_eq!((outcome, errors.as_str()), (Outcome::Shown, ""));
    assert!(page.contains("\n6 requests (6.0 a minute)"), "{page}");
    assert!(page.contains("\n2 check-in payloads and 1 error file from 1 process on stub-host\n"));
    assert!(page.contains("PaymentRefused × 4"));
    assert!(!page.contains("skipped"), "{page}");
}

#[test]
fn bad_files_are_named_and_the_rest_is_shown() {
    let directory = Directory::new("bad");
    directory.put("a.json", RUBY);
    directory.put("b.json", b"{\"metrics\": [");
    directory.put("c.json.gz", b"this is not what gzip writes");
    directory.put("d.json.gz", &gzip(RUBY)[..2000]);
    directory.put("package.json", b"{}");
    directory.put("e.json", b"");
    fs::create_dir(directory.0.join("f.json")).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.0.join("g.json")).unwrap();
    let (outcome, page, _) = directory.report(&[]);
    assert_eq!(outcome, Outcome::Shown);
    for (name, reason) in [
        ("b.json", "not JSON: EOF while parsing"),
        ("c.json.gz", "invalid gzip header"),
        ("d.json.gz", ""),
        ("package.json", "JSON, but not a payload"),
        ("e.json", "empty"),
        ("g.json", "no such file"),
    ] {
        let line =
            page.lines().find(|line| line.contains(&format!("skipped {name}: "))).unwrap_or("");
        assert!(!line.is_empty() && line.contains(reason), "{name}: {line:?} in {page}");
    }
    assert_eq!(page.matches("skipped").count(), 6, "{page}");
}

#[test]
fn a_single_file_will_do() {
    let directory = Directory::new("file");
    directory.put("a.json", RUBY);
    let inner = Directory(directory.0.join("a.json"));
    assert_eq!(inner.report(&[]).0, Outcome::Shown);
}

#[test]
fn without_payloads_there_is_a_helpful_sentence() {
    let directory = Directory::new("none");
    directory.put("broken\x1b.json", b"{");
    let (outcome, page, errors) = directory.report(&[]);
    assert_eq!((outcome, page.as_str()), (Outcome::NoPayloads, ""));
    assert!(errors.starts_with("No payloads in "), "{errors}");
    assert!(errors.contains("broken\\u{1b}.json: not JSON"), "{errors}");
    assert!(errors.contains("\"destination\""), "{errors}");
    let missing = Directory(directory.0.join("missing"));
    assert!(missing.report(&[]).2.contains("no such file"));
}

#[test]
fn json_says_the_same_and_escapes_what_a_terminal_obeys() {
    let directory = Directory::new("json");
    let text = r#"{"metrics":[{"call_count":1,"key":{"bucket":"Controller","name":"a\u001b\u009b\u202e🙂"}}]}"#;
    directory.put("a.json", text.as_bytes());
    let (outcome, json, _) = directory.report(&["--json"]);
    assert_eq!(outcome, Outcome::Shown);
    assert!(json.contains(r#""Controller/a\u001b\u009b\u202e🙂""#), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["endpoints"][0]["name"], "Controller/a\u{1b}\u{9b}\u{202e}🙂");
    assert_eq!(value["totals"]["requests"], 1);
}
