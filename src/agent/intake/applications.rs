use super::application::Application;
use super::ids::Ids;
use super::journal::Journal;
use super::memory::Memory;
use crate::config::Secret;
use crate::sys::dir::Dir;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use xxhash_rust::xxh3::xxh3_64;

/// The most applications known at once.
pub const MAX_APPLICATIONS: usize = 256;
/// The most applications whose cores run at once; those idle for long make room for others.
pub const MAX_CORES: usize = crate::recorder::MAX_RECORDERS;

type Key = (String, String);

/// All applications, by account key and name.
#[derive(Debug, Default)]
pub(super) struct Applications(RwLock<HashMap<Key, Arc<Application>>>);

impl Applications {
    /// The application with this key and name, new or as before. `None` when there are too many.
    pub(super) fn get(
        &self,
        key: &str,
        name: &str,
        secret: [u64; 2],
        dir: Option<&Dir>,
    ) -> Option<Arc<Application>> {
        let id = (key.to_owned(), name.to_owned());
        let read = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = read.get(&id) {
            return Some(found.clone());
        }
        drop(read);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_APPLICATIONS {
            forget_one(&mut all);
        }
        if all.len() >= MAX_APPLICATIONS && !all.contains_key(&id) {
            return None;
        }
        let made = all.entry(id).or_insert_with(|| {
            let ids = Ids::of(secret, key, name);
            let label = label(key, name);
            let memory = Memory::load(dir, &label);
            let journal = Journal::open(dir, &label);
            Arc::new(Application::new(Secret::new(key), name, label, ids, memory, journal))
        });
        Some(made.clone())
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Application>> {
        let read = self.0.read().unwrap_or_else(PoisonError::into_inner);
        read.values().cloned().collect()
    }
}

/// Forgets the application that was used longest ago, of those that have no connection, no core
/// and nothing open.
fn forget_one(all: &mut HashMap<Key, Arc<Application>>) {
    let unused = all
        .iter()
        .filter(|(_, app)| {
            Arc::strong_count(app) == 1 && app.handle().is_none() && app.book().len() == 0
        })
        .min_by_key(|(_, app)| app.last_used())
        .map(|(id, _)| id.clone());
    if let Some(id) = unused {
        all.remove(&id);
    }
}

fn label(key: &str, name: &str) -> String {
    let readable: String = name
        .chars()
        .take(40)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let identity = xxh3_64([key, "\0", name].concat().as_bytes());
    format!("{readable}-{:08x}", identity as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_for_each_key_and_name() {
        let all = Applications::default();
        let a = all.get("k", "Shop", [1, 2], None).unwrap();
        assert!(Arc::ptr_eq(&a, &all.get("k", "Shop", [1, 2], None).unwrap()));
        let b = all.get("k2", "Shop", [1, 2], None).unwrap();
        assert_ne!(a.label, b.label);
        assert!(a.label.starts_with("shop-"));
        let held: Vec<_> = (0..MAX_APPLICATIONS - 2)
            .map(|n| all.get("k", &n.to_string(), [1, 2], None).unwrap())
            .collect();
        assert!(all.get("k", "one more", [1, 2], None).is_none(), "all are in use");
        assert!(all.get("k", "Shop", [1, 2], None).is_some());
        drop(held);
        assert!(all.get("k", "one more", [1, 2], None).is_some());
        assert_eq!(all.all().len(), MAX_APPLICATIONS);
    }
}
