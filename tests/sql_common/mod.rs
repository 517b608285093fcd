//! Shared by the SQL tests: the vectors, and the lists of expected differences.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;

use scoutcore::sql::Dialect;
use serde_json::Value;

/// A vector file's cases; `None`, said loudly, when the vectors are not beside this checkout.
pub fn vectors(file: &str) -> Option<Vec<Value>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/sql").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("SKIPPED: {file} is not in ../shared/vectors/sql");
        return None;
    };
    Some(serde_json::from_str(&text).expect("a vector file is a JSON list"))
}

pub fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key].as_str().unwrap_or_default()
}

/// One canary statement: its bytes, the dialects it is written for, and what may not and what must be in the output.
pub struct Canary {
    pub id: String,
    pub sql: Vec<u8>,
    pub dialects: Vec<Dialect>,
    pub secrets: Vec<String>,
    pub required: Vec<String>,
}

pub fn canaries() -> Option<Vec<Canary>> {
    let strings = |case: &Value, key: &str| -> Vec<String> {
        case[key]
            .as_array()
            .into_iter()
            .flatten()
            .map(|v| v.as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let cases = vectors("adversarial_canary.json")?;
    Some(
        cases
            .iter()
            .map(|case| Canary {
                id: text(case, "id").to_owned(),
                sql: base64(text(case, "sql_b64")),
                dialects: strings(case, "dialects")
                    .iter()
                    .map(|name| Dialect::from_name(name))
                    .collect(),
                secrets: strings(case, "must_not_contain"),
                required: strings(case, "must_contain"),
            })
            .collect(),
    )
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|&b| b == byte) else {
            continue;
        };
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}

/// A statement's short name in the lists of differences: FNV-1a. The vectors themselves are not copied here.
pub fn key(sql: &str) -> String {
    let hash = sql
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// Compares a set's failures with the list of expected differences: a failure that is not listed is a defect, and an
/// entry that no longer fails must be taken off the list, so that it only shrinks.
pub fn check(set: &str, total: usize, failures: &[(String, String)], expected: &[(&str, &str)]) {
    println!(
        "{set}: {}/{total} exact, {} listed differences",
        total - failures.len(),
        expected.len()
    );
    let mut wrong = Vec::new();
    for (case, detail) in failures {
        if !expected.iter().any(|(listed, _)| listed == case) {
            wrong.push(format!("unlisted difference: {case}\n    {detail}"));
        }
    }
    for (listed, reason) in expected {
        assert!(!reason.is_empty());
        if !failures.iter().any(|(case, _)| case == listed) {
            wrong.push(format!(
                "listed, but equal now, so take it off the list: {listed} ({reason})"
            ));
        }
    }
    assert!(wrong.is_empty(), "{set}:\n{}", wrong.join("\n"));
}
