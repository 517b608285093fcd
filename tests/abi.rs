//! The conventions of `src/ffi/mod.rs`, held against the source and the committed header.
//! That the shared object exports the same functions is checked by `ffi-tests/packaging.py`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::Path;

const MODULES: &[&str] = &["lifecycle", "record", "inspect", "sql"];
/// Exports that return a constant: there is nothing to guard.
const CONSTANT: &[&str] = &["scout_abi_version", "scout_version", "scout_status_name"];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Every export's name and body, from the source.
fn exports() -> Vec<(String, String)> {
    let mut exports = Vec::new();
    for module in MODULES {
        let source = read(&format!("src/ffi/{module}.rs"));
        let items: Vec<&str> = source.split("#[unsafe(no_mangle)]\n").skip(1).collect();
        assert_eq!(
            items.len(),
            source.matches("extern \"C\" fn").count(),
            "{module}.rs has an extern function that is not exported the usual way"
        );
        for item in items {
            let name = item.split("fn ").nth(1).unwrap().split('(').next().unwrap();
            let body = item.split_once(" {\n").unwrap().1.split("\n}\n").next().unwrap();
            exports.push((name.to_owned(), body.to_owned()));
        }
    }
    exports
}

fn declared() -> BTreeSet<String> {
    let header = read("include/scoutcore.h");
    let code: String = strip_comments(&header);
    let calls = code.match_indices("scout_").filter_map(|(at, _)| {
        let name: String =
            code[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        code[at + name.len()..].starts_with('(').then_some(name)
    });
    calls.collect()
}

fn strip_comments(header: &str) -> String {
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").unwrap().1;
    }
    code + rest
}

#[test]
fn the_header_declares_exactly_what_the_source_exports() {
    let exported: BTreeSet<String> = exports().into_iter().map(|(name, _)| name).collect();
    assert_eq!(exported, declared());
    assert_eq!(exported.len(), 22);
}

#[test]
fn every_export_is_one_guarded_call() {
    for (name, body) in exports() {
        if CONSTANT.contains(&name.as_str()) {
            continue;
        }
        let body = body.trim();
        let guard = ["guard(", "super::guard::guard_value(", "super::guard::guard_quiet("]
            .into_iter()
            .find(|guard| body.starts_with(guard));
        assert!(guard.is_some(), "{name} begins with something else than the guard:\n{body}");
        // The guard's closing parenthesis is the body's last character: nothing runs outside it.
        let mut depth = 0;
        let end = body.char_indices().find_map(|(at, c)| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            (c == ')' && depth == 0).then_some(at)
        });
        assert_eq!(end, Some(body.len() - 1), "{name} does something outside its guard:\n{body}");
    }
}

#[test]
fn every_function_says_whether_it_may_block_and_from_which_thread() {
    let header = read("include/scoutcore.h");
    for name in declared() {
        let at =
            ["", "*"].iter().find_map(|star| header.rfind(&format!(" {star}{name}("))).unwrap();
        let comment = &header[header[..at].rfind("/**").unwrap()..at];
        assert!(comment.contains("thread"), "{name} says nothing of threads:\n{comment}");
        let of_time = ["Never blocks", "Blocks for", "May block", "Does not wait", "May take"];
        assert!(
            of_time.iter().any(|words| comment.contains(words)),
            "{name} does not say whether it blocks:\n{comment}"
        );
    }
}

#[test]
fn no_status_number_is_used_twice() {
    let source = read("src/ffi/status.rs");
    let numbers: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(" = ").nth(1))
        .collect();
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert!(numbers.len() > 15);
    assert_eq!(numbers.len(), distinct.len());
}
