//! `include/scoutcore.h` is what cbindgen makes of `src/ffi`. `make header` writes it
//! (`SCOUT_BLESS=1`); otherwise this test compares.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

/// In reading order: this is the order of the header's sections.
const SOURCES: &[&str] = &["status", "types", "lifecycle", "record", "inspect", "sql"];

fn generate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join(format!("src/ffi/{source}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/scoutcore.h");
    let generated = generate();
    if std::env::var_os("SCOUT_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "include/scoutcore.h is stale: run `make header`");
}
