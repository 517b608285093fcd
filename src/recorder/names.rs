use crate::model::NameId;
use crate::record::Names;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The most names a core interns.
pub const NAMES: usize = 16_384;
/// The longest name, in bytes.
pub const NAME_BYTES: usize = 1_024;

const CHUNK: usize = 256;
const CHUNKS: usize = NAMES / CHUNK;

/// Why a name got no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternError {
    /// The table is full.
    Full,
    /// The name is over [`NAME_BYTES`].
    TooLong,
    /// Another thread held the table for long.
    Busy,
    /// The recorder has ended.
    Ended,
}

type Entry = &'static str;
type Chunk = [AtomicPtr<Entry>; CHUNK];

/// Interned names: append-only, so that reading takes no lock, and a child after a fork can take
/// its parent's names over whatever the parent's threads were doing.
pub struct NameTable {
    chunks: [AtomicPtr<Chunk>; CHUNKS],
    len: AtomicU32,
    /// Only `try_lock` is fork-safe; nothing here ever waits.
    index: Mutex<HashMap<&'static str, NameId>>,
}

impl Default for NameTable {
    fn default() -> Self {
        NameTable {
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
            len: AtomicU32::new(0),
            index: Mutex::new(HashMap::new()),
        }
    }
}

impl NameTable {
    /// A table with the same names under the same ids. Reads only what is published in `parent`,
    /// not its lock.
    pub fn inherit(parent: &NameTable) -> NameTable {
        let table = NameTable::default();
        if let Some(mut index) = table.index.try_lock() {
            for id in 1..=parent.highest().0 {
                let Some(name) = parent.get(NameId(id)) else { break };
                table.append(&mut index, name);
            }
        }
        table
    }

    /// The id of `name`, new or as before. A new one is given out once `keep` has kept its
    /// definition; `keep` is called under the table's lock.
    pub fn intern(
        &self,
        name: &str,
        keep: impl FnOnce(NameId, &str) -> Result<(), InternError>,
    ) -> Result<NameId, InternError> {
        if name.is_empty() {
            return Ok(NameId(0));
        }
        if name.len() > NAME_BYTES {
            return Err(InternError::TooLong);
        }
        let mut index = self.lock().ok_or(InternError::Busy)?;
        if let Some(&id) = index.get(name) {
            return Ok(id);
        }
        let next = NameId(self.len.load(Ordering::Relaxed) + 1);
        if next.0 as usize > NAMES {
            return Err(InternError::Full);
        }
        keep(next, name)?;
        // Names live as long as the process: ids may be in segments, and in children.
        let name: Entry = Box::leak(name.to_owned().into_boxed_str());
        Ok(self.append(&mut index, name))
    }

    /// Tries for about a millisecond.
    fn lock(&self) -> Option<MutexGuard<'_, HashMap<&'static str, NameId>>> {
        for attempt in 0..200 {
            if let Some(guard) = self.index.try_lock() {
                return Some(guard);
            }
            if attempt < 100 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        None
    }

    fn append(&self, index: &mut HashMap<&'static str, NameId>, name: Entry) -> NameId {
        let at = self.len.load(Ordering::Relaxed) as usize;
        if let Some(place) = self.chunks.get(at / CHUNK) {
            let mut chunk = place.load(Ordering::Acquire);
            if chunk.is_null() {
                chunk = Box::into_raw(Box::new(
                    [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNK],
                ));
                place.store(chunk, Ordering::Release);
            }
            // SAFETY: a leaked chunk.
            if let Some(entry) = unsafe { &*chunk }.get(at % CHUNK) {
                entry.store(Box::into_raw(Box::new(name)), Ordering::Release);
            }
        }
        let id = NameId(at as u32 + 1);
        self.len.store(id.0, Ordering::Release);
        index.insert(name, id);
        id
    }

    /// The highest id given out.
    #[inline(always)]
    pub fn highest(&self) -> NameId {
        NameId(self.len.load(Ordering::Acquire))
    }

    fn get(&self, id: NameId) -> Option<&'static str> {
        if id.0 == 0 {
            return Some("");
        }
        if id > self.highest() {
            return None;
        }
        let at = id.0 as usize - 1;
        // SAFETY: chunks and entries are leaked, and set before `len` that covers them.
        unsafe {
            let chunk = self.chunks.get(at / CHUNK)?.load(Ordering::Acquire).as_ref()?;
            chunk.get(at % CHUNK)?.load(Ordering::Acquire).as_ref().copied()
        }
    }
}

impl Names for NameTable {
    fn name(&self, id: NameId) -> Option<&str> {
        self.get(id)
    }
}
