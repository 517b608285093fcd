//! Finding and reading payload files. Whatever is wrong with a file is a short reason, and the
//! next file's turn.

use super::payload::{CheckIn, ErrorBody};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A payload larger than this, unpacked, is no payload. The largest real ones are a few MB.
const MAX_BYTES: u64 = 256 << 20;
/// Directories below directories; payload directories have one or two levels.
const MAX_DEPTH: usize = 16;

/// One file's content.
pub enum Payload {
    CheckIn(Box<CheckIn>),
    Errors(ErrorBody),
}

/// A path and why it could not be used.
pub type Problem = (PathBuf, String);

/// All payload files at or below a path, by name. Symbolic links to directories are not followed.
pub fn find(root: &Path) -> (Vec<PathBuf>, Vec<Problem>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    if root.is_file() {
        return (vec![root.to_owned()], problems);
    }
    let mut open = vec![(root.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push((directory, plainly(&error)));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => open.push((path, depth + 1)),
                Ok(kind) if !kind.is_dir() && is_payload_name(&path) => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    (files, problems)
}

fn is_payload_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| {
        let json = name.ends_with(".json") || name.ends_with(".json.gz");
        // What an application says of itself has no figures to show.
        json && !name.contains(".app_server_load.")
    })
}

/// Reads one file: the payload, and the file's size.
pub fn read(path: &Path) -> Result<(Payload, u64), String> {
    let file = File::open(path).map_err(|error| plainly(&error))?;
    let about = file.metadata().map_err(|error| plainly(&error))?;
    if !about.is_file() {
        return Err("not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let zipped = path.extension().is_some_and(|extension| extension == "gz");
    let unpacked = if zipped {
        MultiGzDecoder::new(file).take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)
    };
    unpacked.map_err(|error| plainly(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("larger than {} MiB", MAX_BYTES >> 20));
    }
    Ok((parse(&bytes)?, about.len()))
}

/// A payload from its JSON text.
pub fn parse(bytes: &[u8]) -> Result<Payload, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("empty".to_owned());
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
    let Value::Object(object) = &value else {
        return Err("JSON, but not a payload".to_owned());
    };
    let errors = ErrorBody::is_one(object);
    if !errors && !CheckIn::is_one(object) {
        return Err("JSON, but not a payload".to_owned());
    }
    let wrong = |error: serde_json::Error| format!("not a payload: {error}");
    Ok(if errors {
        Payload::Errors(serde_json::from_value(value).map_err(wrong)?)
    } else {
        Payload::CheckIn(Box::new(serde_json::from_value(value).map_err(wrong)?))
    })
}

/// The system's message without its number.
fn plainly(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(json: &[u8]) -> String {
        parse(json).err().unwrap()
    }

    #[test]
    fn payloads_are_told_by_their_parts() {
        assert!(matches!(parse(br#"{"metrics":null}"#), Ok(Payload::CheckIn(_))));
        assert!(matches!(parse(br#"{"problems":[]}"#), Ok(Payload::Errors(_))));
        assert_eq!(reason(br#"{"name":"left-pad"}"#), "JSON, but not a payload");
        assert_eq!(reason(b"[1]"), "JSON, but not a payload");
        assert_eq!(reason(b" \n"), "empty");
        assert!(reason(b"{").starts_with("not JSON: EOF"));
        assert!(reason("[".repeat(100_000).as_bytes()).contains("recursion limit"));
        assert!(reason(b"\xff\xfe{}").starts_with("not JSON"));
    }
}
