use super::super::merge::Merge;
use super::super::model::{Files, Report, Unread};
use super::super::payload::{CheckIn, ErrorBody};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const SHOP: [&str; 2] = [
    include_str!("../testdata/shop/2026-11-22T06-57.json"),
    include_str!("../testdata/shop/2026-11-22T06-58.json"),
];
const SHOP_ERRORS: &str = include_str!("../testdata/shop/2026-11-22T06-57.errors.json");
const RUBY: &str = include_str!("../testdata/ruby_checkin.json");

fn files(check_ins: usize, error_files: usize) -> Files {
    Files {
        directory: "/var/lib/scout/payloads".to_owned(),
        check_ins,
        error_files,
        bytes: 21_950,
        unread: Vec::new(),
    }
}

fn shop() -> Report {
    let mut merge = Merge::default();
    for text in SHOP {
        merge.add(serde_json::from_str(text).unwrap());
    }
    merge.add_errors(serde_json::from_str(SHOP_ERRORS).unwrap());
    merge.finish(files(2, 1))
}

fn ruby() -> Report {
    let mut merge = Merge::default();
    merge.add(serde_json::from_str(RUBY).unwrap());
    merge.finish(files(1, 0))
}

fn plain(report: &Report, columns: usize) -> String {
    render(report, View { columns, colour: false, top: 10 })
}

/// The page as it is kept in `testdata`. To accept a change: `SCOUT_BLESS=1 cargo test`, then look
/// at the difference.
fn assert_page(name: &str, expected: &str, page: &str) {
    if std::env::var_os("SCOUT_BLESS").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/agent/report/testdata/");
        std::fs::write(format!("{folder}{name}"), page).unwrap();
    } else {
        assert_eq!(page, expected, "\n{page}");
    }
}

#[test]
fn the_shop_at_100_columns() {
    let expected = include_str!("../testdata/shop.txt");
    assert_page("shop.txt", expected, &plain(&shop(), 100));
}

#[test]
fn the_shop_at_60_columns() {
    let expected = include_str!("../testdata/shop_60.txt");
    assert_page("shop_60.txt", expected, &plain(&shop(), 60));
}

#[test]
fn a_payload_of_the_ruby_agent() {
    let expected = include_str!("../testdata/ruby.txt");
    assert_page("ruby.txt", expected, &plain(&ruby(), 100));
}

#[test]
fn colours_change_no_character() {
    let coloured = render(&ruby(), View { columns: 100, colour: true, top: 10 });
    assert!(coloured.contains("\x1b[1;31m1 error (33%)\x1b[0m"));
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    // Shades stand in for colours; nothing else differs.
    let unshaded = |page: &str| page.replace(['▓', '▒', '░', '·'], "█");
    for (coloured, plain) in stripped.lines().zip(plain(&ruby(), 100).lines()) {
        assert_eq!(unshaded(coloured), unshaded(plain));
    }
}

#[test]
fn top_cuts_tables_and_says_how_to_see_the_rest() {
    let page = render(&shop(), View { columns: 100, colour: false, top: 1 });
    assert!(page.contains("── Endpoints  the first 1 of 4 by total time ──"));
    assert!(page.contains("  … 3 more: --top 4 shows them\n"), "{page}");
    assert!(!page.contains("\n  home "), "{page}");
}

#[test]
fn nothing_at_all_is_still_a_page() {
    let page = plain(&Report::default(), 100);
    assert!(page.contains("0 requests · no errors"), "{page}");
}

#[test]
fn unreadable_files_have_a_line_each() {
    let mut about = files(1, 0);
    about.unread = (0..12)
        .map(|n| Unread { path: format!("/d/{n}\x1b.json"), reason: "not JSON".to_owned() })
        .collect();
    let page = plain(&Merge::default().finish(about), 100);
    assert!(page.contains("  skipped /d/0\\u{1b}.json: not JSON\n"), "{page}");
    assert!(page.ends_with("  skipped 2 more files\n"), "{page}");
}

/// A payload whose every name and text is `text`.
fn hostile(text: &str) -> Report {
    let name = format!("Controller/{text}");
    let scope = json!({"bucket": "Controller", "name": text});
    let metric = |bucket: &str, name: &str, scope: &Value| {
        json!({"call_count": 9, "total_call_time": 9, "total_exclusive_time": 3, "max_call_time": 2,
            "key": {"bucket": bucket, "name": name, "scope": scope}})
    };
    let span = |id: &str, parent: &str, operation: &str| {
        json!({"identity": {"id": id, "parent_id": parent, "operation": operation,
            "start_instant": "2026-11-22T06:57:52+00:00",
            "stop_instant": "2026-11-22T06:57:53+00:00"},
            "tags": {"desc": text, "n_plus_one": {"count": 7},
                "backtrace": [{"file": text, "line": text, "function": text}]}})
    };
    let check_in = json!({
        "metadata": {"app_name": text, "agent_time": "2026-11-22T06:57:00+00:00"},
        "metrics": [metric("Controller", text, &Value::Null), metric(text, "all", &scope)],
        "jobs": [{"queue": text, "name": text, "count": 2, "total_time": [[0.1, 2]],
            "metrics": [{"bucket": text, "total_exclusive_time": 1}]}],
        "sql": [{"scope": name, "statement": text, "operation": text, "call_count": 2}],
        "n_plus_one": [{"scope": name, "statement": text, "count": 9, "requests": 1, "caller": text}],
        "es_metrics": {"http": [{"domain_name": text, "scope": name, "call_count": 3}]},
        "span_traces": [{"identity": {"host": text, "naming": {"path": text}}, "tags": {text: text},
            "spans": [span("a", "", &name), span("b", "a", text), span("c", "a", text)]}],
    });
    let errors = json!({"problems": [{"exception_class": text, "message": text, "trace": [text],
        "request_components": {"controller": text}}]});
    let mut merge = Merge::default();
    merge.add(serde_json::from_value::<CheckIn>(check_in).unwrap());
    merge.add_errors(serde_json::from_value::<ErrorBody>(errors).unwrap());
    let mut about = files(1, 1);
    about.directory = text.to_owned();
    about.unread = vec![Unread { path: text.to_owned(), reason: text.to_owned() }];
    merge.finish(about)
}

fn assert_harmless(page: &str, columns: usize) {
    for line in page.split('\n') {
        assert!(!line.chars().any(text::is_unsafe), "{line:?}");
        assert!(text::width(line) <= columns, "{line}");
    }
}

#[test]
fn escape_sequences_in_names_are_spelled_out() {
    for text in
        ["\x1b]0;owned\x07", "\x1b[2J\x1b[H", "\u{9b}31m", "a\nb", "\r", "\u{202e}txt", "\0"]
    {
        let page = plain(&hostile(text), 100);
        assert_harmless(&page, 100);
        assert!(page.contains("N+1"), "{page}");
    }
    assert!(plain(&hostile("\x1b[2J"), 100).contains("\\u{1b}[2J"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_names_are_the_page_is_harmless(text in "\\PC{0,12}|.{0,90}|[\\x00-\\x20\\x7f-\\x9f\u{200b}-\u{202e}]{0,20}", columns in 0usize..200) {
        let columns = columns.clamp(View::MIN_COLUMNS, View::MAX_COLUMNS);
        assert_harmless(&plain(&hostile(&text), columns), columns);
    }
}
