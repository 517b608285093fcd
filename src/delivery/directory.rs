use super::{Outcome, Payload, Transport};
use crate::model::{Minute, UnixNanos};
use crate::sys::dir::{Dir, Trust, is_temporary};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How payloads' files end.
const KINDS: [&str; 3] = [".checkin.json", ".errors.json", ".app_server_load.json"];

/// Writes payloads as files: `20261122T0657Z-<id>.checkin.json`, the minute in UTC.
///
/// A payload that is sent again has the same name, so it is there once. The oldest files go when
/// there are too many bytes.
#[derive(Debug)]
pub struct DirectorySink {
    path: PathBuf,
    dir: Option<Dir>,
    limit_bytes: u64,
}

impl DirectorySink {
    /// Into `path`, which is made at the first payload.
    pub fn new(path: PathBuf, limit_bytes: u64) -> DirectorySink {
        DirectorySink { path, dir: None, limit_bytes }
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, payload: &Payload<'_>) -> std::io::Result<()> {
        let dir = match &mut self.dir {
            Some(dir) => dir,
            none => {
                let dir = Dir::create(&self.path, Trust::Given)?;
                dir.remove_stale(|name| {
                    is_temporary(name) && KINDS.iter().any(|kind| name.contains(kind))
                });
                none.insert(dir)
            }
        };
        let name = format!("{}-{}.{}.json", stamp(payload.minute), payload.id, payload.kind);
        dir.write_durably(&name, payload.json.as_bytes())?;
        // The payload is there: whether older ones can go now is the next one's affair.
        let _ = keep_newest(dir, self.limit_bytes);
        Ok(())
    }
}

impl Transport for DirectorySink {
    fn send(&mut self, payload: &Payload<'_>, _: UnixNanos, _: Duration) -> Outcome {
        match self.write(payload) {
            Ok(()) => Outcome::Delivered,
            Err(error) => {
                // The directory may have been removed or replaced: open it anew next time.
                self.dir = None;
                Outcome::Retry { after: None, why: format!("{}: {error}", self.path.display()) }
            }
        }
    }
}

fn stamp(minute: Minute) -> String {
    let text = minute.start().iso8601(false).to_string();
    let digits: String = text.chars().take(16).filter(|c| !matches!(c, '-' | ':')).collect();
    digits + "Z"
}

fn keep_newest(dir: &Dir, limit_bytes: u64) -> std::io::Result<()> {
    let mut files = dir.files()?;
    files.retain(|(name, _)| KINDS.iter().any(|kind| name.ends_with(kind)));
    let mut bytes: u64 = files.iter().map(|(_, size)| size).sum();
    if bytes <= limit_bytes {
        return Ok(());
    }
    files.sort();
    for (name, size) in files {
        if bytes <= limit_bytes {
            break;
        }
        dir.remove(&name)?;
        bytes -= size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_become_files_once_and_the_oldest_go() {
        let path = std::env::temp_dir().join(format!("scout-sink-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let mut sink = DirectorySink::new(path.clone(), 25);
        for minute in [29_000_000, 29_000_000, 29_000_001, 29_000_002] {
            let payload = Payload {
                kind: "checkin",
                id: "id",
                minute: Minute(minute),
                entries: 1,
                json: "{\"a\": 111}",
            };
            assert_eq!(sink.send(&payload, UnixNanos(0), Duration::ZERO), Outcome::Delivered);
        }
        let mut names: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["20250219T2121Z-id.checkin.json", "20250219T2122Z-id.checkin.json"]);
        std::fs::remove_dir_all(path).unwrap();
    }
}
