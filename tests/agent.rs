//! The executable's face: arguments, exit codes, and what goes to which stream.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const RUBY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/agent/report/testdata/ruby_checkin.json");

fn agent(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scout-core-agent")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Exit code, output, errors.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = agent(args);
    let code = output.status.code().unwrap();
    (code, text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
}

#[test]
fn a_report_is_shown_without_colours_where_there_is_no_terminal() {
    let (code, page, errors) = run(&["report", RUBY]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(page.contains("── Slowest traced request ──") && page.contains("users/boom"), "{page}");
    assert!(!page.contains('\x1b'));
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
}

#[test]
fn the_page_is_as_wide_as_columns_says() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scout-core-agent"));
    let output = command.args(["report", RUBY]).env("COLUMNS", "64").output().unwrap();
    assert!(text(&output.stdout).lines().all(|line| line.chars().count() <= 64));
}

#[test]
fn no_payloads_is_1_and_a_sentence() {
    let empty = std::env::temp_dir().join(format!("scout-agent-{}", std::process::id()));
    std::fs::create_dir_all(&empty).unwrap();
    let (code, page, errors) = run(&["report", empty.to_str().unwrap()]);
    std::fs::remove_dir(&empty).unwrap();
    assert_eq!((code, page.as_str()), (1, ""));
    assert!(errors.starts_with("No payloads in "), "{errors}");
}

#[test]
fn wrong_usage_is_2_and_says_what_is_wrong() {
    for (args, part) in [
        (&["report"][..], "which directory"),
        (&["report", RUBY, "--top", "none"], "--top takes"),
        (&["dance"], "no command dance"),
        (&[], "which command"),
    ] {
        let (code, page, errors) = run(args);
        assert_eq!((code, page.as_str()), (2, ""), "{args:?}");
        assert!(errors.contains(part) && errors.contains("Usage: "), "{errors}");
    }
}

#[test]
fn version_and_help() {
    let (code, version, _) = run(&["version"]);
    assert_eq!((code, version), (0, format!("scout-core-agent {}\n", env!("CARGO_PKG_VERSION"))));
    for args in [&["help"][..], &["--help"], &["report", "--help"]] {
        let (code, help, _) = run(args);
        assert!(code == 0 && help.contains("report DIR [--top N]"), "{help}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let directory = PathBuf::from(RUBY);
    let mut child = Command::new(env!("CARGO_BIN_EXE_scout-core-agent"))
        .arg("report")
        .arg(directory.parent().unwrap())
        .args(["--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
