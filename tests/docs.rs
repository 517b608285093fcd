//! Documents that are made from tables in the source. `make docs` writes them (`SCOUT_BLESS=1`);
//! otherwise these tests compare.

use std::path::Path;

#[test]
fn the_configuration_document_is_the_table_of_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let generated = scoutcore::config::document();
    if std::env::var_os("SCOUT_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "docs/configuration.md is stale: run `make docs`");
}

#[test]
fn every_counter_is_documented() {
    let documented =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/stats.md"))
            .unwrap();
    let data = std::env::temp_dir().join(format!("scout-docs-{}", std::process::id()));
    let options = format!("{{\"data_dir\":\"{}\"}}", data.display());
    let core = scoutcore::core::start(&options).unwrap();
    let stats: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&scoutcore::core::stats(core).unwrap()).unwrap();
    scoutcore::core::shutdown(core, 5_000).unwrap();
    std::fs::remove_dir_all(data).unwrap();
    let missing: Vec<_> =
        stats.keys().filter(|name| !documented.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/stats.md lacks {missing:?}");
    let gone: Vec<_> = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| !stats.contains_key(*name))
        .collect();
    assert!(gone.is_empty(), "docs/stats.md has {gone:?}, which are no counters");
}
