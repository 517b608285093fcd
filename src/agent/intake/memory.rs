use crate::model::UnixNanos;
use crate::sys::dir::Dir;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// What an application said about itself, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Metadata {
    pub(super) host: String,
    pub(super) time: UnixNanos,
    pub(super) json: String,
}

/// The most hosts whose metadata is remembered for one application.
const MAX_HOSTS: usize = 64;
/// The longest file: so many hosts, and room for quoting.
const MAX_FILE: u64 = 16 << 20;

/// The metadata of one application, by host. Also in a file: Python's agent tells it once in its
/// process's life, and that may be longer than ours.
#[derive(Debug)]
pub(super) struct Memory {
    held: Mutex<Vec<Metadata>>,
}

impl Memory {
    /// What an earlier agent has kept under this label.
    pub(super) fn load(dir: Option<&Dir>, label: &str) -> Memory {
        let read = |dir: &Dir| dir.read(&file_name(label), MAX_FILE).ok();
        let held = dir.and_then(read).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Memory { held: Mutex::new(held.unwrap_or_default()) }
    }

    /// Keeps what one host said. Where nothing can be written, until this agent's end.
    pub(super) fn keep(&self, dir: Option<&Dir>, label: &str, metadata: Metadata) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who reconnect say it again each time.
        let same = held.iter().any(|old| old.host == metadata.host && old.json == metadata.json);
        held.retain(|old| old.host != metadata.host);
        if held.len() >= MAX_HOSTS {
            held.remove(0);
        }
        held.push(metadata);
        if let (Some(dir), false) = (dir, same)
            && let Ok(bytes) = serde_json::to_vec(&*held)
        {
            let _ = dir.write_durably(&file_name(label), &bytes);
        }
    }

    /// All of it, the latest last.
    pub(super) fn all(&self) -> Vec<Metadata> {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by_key(|metadata| metadata.time);
        all
    }
}

fn file_name(label: &str) -> String {
    format!("{label}.metadata.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::Trust;

    #[test]
    fn it_outlives_the_agent() {
        let path = std::env::temp_dir().join(format!("scout-memory-{}", std::process::id()));
        let dir = Dir::create(&path, Trust::Given).unwrap();
        let said = |host: &str, time, json: &str| Metadata {
            host: host.into(),
            time: UnixNanos(time),
            json: json.into(),
        };
        let first = Memory::load(Some(&dir), "shop");
        first.keep(Some(&dir), "shop", said("b", 2, "{}"));
        first.keep(Some(&dir), "shop", said("a", 1, r#"{"x":1}"#));
        first.keep(Some(&dir), "shop", said("b", 3, r#"{"x":2}"#));
        let second = Memory::load(Some(&dir), "shop");
        assert_eq!(second.all(), [said("a", 1, r#"{"x":1}"#), said("b", 3, r#"{"x":2}"#)]);
        assert_eq!(Memory::load(Some(&dir), "other").all(), []);
        dir.write_durably("shop.metadata.json", b"damaged").unwrap();
        assert_eq!(Memory::load(Some(&dir), "shop").all(), []);
        for n in 0..MAX_HOSTS + 1 {
            first.keep(None, "shop", said(&n.to_string(), 9, "{}"));
        }
        assert_eq!(first.all().len(), MAX_HOSTS);
        std::fs::remove_dir_all(path).unwrap();
    }
}
