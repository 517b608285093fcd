//! `include/scoutcore.h` is what cbindgen makes of `src/ffi`. `make header` writes it
//! (`SCOUT_BLESS=1`); otherwise this test compares.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

/// In reading order: this is the order of the header's sections.
const SOURCES: &[&str] = &["status", "types", "lifecycle", "record", "inspect", "sql"];

/// A section's title, before the comment of its first item.
const SECTIONS: &[(&str, &str)] = &[
    ("#define SCOUT_OK ", "What a call came to"),
    ("#define SCOUT_TAG_STRING ", "Constants"),
    ("typedef int32_t scout_status_t;", "Types"),
    ("uint32_t scout_abi_version(", "Checking, starting, flushing, ending"),
    ("scout_status_t scout_intern(", "Recording: never blocks"),
    ("scout_status_t scout_stats(", "Looking inside"),
    ("scout_status_t scout_sql_sanitize(", "The SQL engine on its own"),
];

fn with_sections(mut header: String) -> String {
    for (item, title) in SECTIONS {
        let at = header.find(&format!("\n{item}")).unwrap();
        let comment = header[..at].rfind("/**").unwrap();
        let rule = "-".repeat(74);
        header.insert_str(comment, &format!("/* {rule}\n * {title}\n * {rule} */\n\n"));
    }
    header
}

fn generate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join(format!("src/ffi/{source}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    with_sections(String::from_utf8(bytes).unwrap())
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
