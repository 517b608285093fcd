use super::frame::{self, FrameError};
use super::memory::Held;
use super::name::{File, Kind, MERGED, MERGING};
use super::{Item, Merged, Storage, Suspects};
use crate::model::Minute;
use crate::sys::dir::{Dir, is_of_the_disk};
use std::collections::{HashSet, VecDeque};
use std::io;

/// A spool file is never larger.
const FILE_LIMIT: u64 = 256 << 20;
/// Refused or damaged files kept to be looked at.
const SET_ASIDE: usize = 16;

/// Claims at which a file cannot be read, while others can, after which it is taken for damaged.
const UNREADABLE: u32 = 10;
/// Files of other versions that are remembered.
const MOST_FOREIGN: usize = 10_000;

/// Where something put in is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// In this process's memory alone.
    Memory,
    /// On disk, fsynced.
    Disk,
}

/// What the spool did and could not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Spans given up: over the limit of disk or memory.
    pub spans_given_up: u64,
    /// Files that could not be read, set aside.
    pub files_damaged: u64,
    /// Spans in these files, by their names.
    pub spans_damaged: u64,
    /// Files of other versions of this library, left alone.
    pub files_of_other_versions: u64,
    /// Files merged into coarser ones, to make room.
    pub files_merged: u64,
    /// Writes that failed; what they held is kept in memory.
    pub write_errors: u64,
    /// Bytes on disk, as of the last look.
    pub bytes_on_disk: u64,
    /// Files on disk, as of the last look.
    pub files_on_disk: u64,
    /// Parcels in memory.
    pub parcels_in_memory: u64,
    /// Spans in memory alone.
    pub spans_in_memory: u64,
    /// Faults in merging and rendering that were contained.
    pub faults: u64,
}

/// The spool of one application, as one process sees it.
#[derive(Debug)]
pub struct Spool<T, S = Dir> {
    pub(super) dir: Option<S>,
    /// Tells this process's files from those of any other, ever.
    pub(super) signature: String,
    pub(super) sequence: u32,
    pub(super) limit_bytes: u64,
    pub(super) held: Held<T>,
    /// Files that count but for their names: giving them failed.
    pub(super) unnamed: Vec<String>,
    /// Files that would not outlive the machine yet.
    pub(super) unsynced: Vec<String>,
    /// Names were given that would not outlive the machine: syncing them failed so far.
    pub(super) owes_sync: bool,
    /// Claims in a row that could not make sure of what they found.
    pub(super) unsure: u32,
    /// Files that do not count any more: removing them failed so far. Of each group in this order.
    pub(super) spent: Vec<VecDeque<String>>,
    /// Files of other versions: for whoever knows them.
    pub(super) foreign: HashSet<String>,
    /// Files that cannot be read; it may be that nothing can.
    pub(super) unreadable: Suspects,
    /// Of these, those noted since the last claim: each counts once.
    pub(super) unread: HashSet<String>,
    /// Files, or minutes in memory, that are a fault to merge or render.
    pub(super) faulty: Suspects,
    /// First and last minutes in which what counts is not known: a file that replaces others cannot
    /// be read.
    pub(super) unclear: Vec<(Minute, Minute)>,
    pub(super) counters: Counters,
}

impl<T: Item, S: Storage> Spool<T, S> {
    /// In `dir`, or in memory. `signature` is random, and has no hyphen.
    pub fn new(dir: Option<S>, signature: String, limit_bytes: u64) -> Spool<T, S> {
        Spool {
            dir,
            signature,
            sequence: 0,
            limit_bytes,
            held: Held::default(),
            unnamed: Vec::new(),
            unsynced: Vec::new(),
            owes_sync: false,
            unsure: 0,
            spent: Vec::new(),
            foreign: HashSet::new(),
            unreadable: Suspects::default(),
            unread: HashSet::new(),
            faulty: Suspects::default(),
            unclear: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Whether there is a disk.
    pub fn is_on_disk(&self) -> bool {
        self.dir.is_some()
    }

    /// Lets go of the disk: nothing comes in or goes out any more.
    pub fn leave(&mut self) {
        self.dir = None;
    }

    /// Counts.
    pub fn counters(&self) -> Counters {
        Counters {
            parcels_in_memory: self.held.parcels() as u64,
            spans_in_memory: self.held.spans(),
            ..self.counters
        }
    }

    /// What this process's files are signed with.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// What would be lost with this process: periods, and parcels that are made of no files.
    #[cfg(test)]
    pub(crate) fn in_memory(
        &self,
    ) -> (impl Iterator<Item = &T>, impl Iterator<Item = &super::Parcel>) {
        self.held.contents()
    }

    /// Whether there are files that still have to be given their names.
    pub fn has_unnamed(&self) -> bool {
        !self.unnamed.is_empty()
    }

    /// Where the least safe of all that is in here is.
    pub fn safety(&self) -> Safety {
        let safe = self.held.is_empty() && self.unnamed.is_empty() && !self.owes_sync;
        if safe { Safety::Disk } else { Safety::Memory }
    }

    /// Makes the names given so far outlive the machine.
    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        let synced = self.dir.as_ref().map_or(Ok(()), Storage::sync);
        self.owes_sync = synced.is_err();
        self.counters.write_errors += u64::from(self.owes_sync);
        synced
    }

    pub(super) fn move_aside(&self, name: &str, aside: &str) -> bool {
        let Some(dir) = &self.dir else { return false };
        let moved = dir.rename(name, aside).is_ok();
        self.keep_few_aside();
        moved
    }

    /// Removes the oldest of what was set aside, where there is much of it.
    pub fn keep_few_aside(&self) {
        let Some(dir) = &self.dir else { return };
        let mut kept: Vec<String> =
            dir.files().into_iter().flatten().map(|(name, _)| name).collect();
        kept.retain(|name| name.ends_with(".rejected") || name.ends_with(".damaged"));
        kept.sort();
        for surplus in kept.iter().take(kept.len().saturating_sub(SET_ASIDE)) {
            let _ = dir.remove(surplus);
        }
    }

    /// What counts, oldest first; not what a parcel in memory was made of.
    pub(super) fn list(&self) -> io::Result<Vec<File>> {
        let files = self.dir.as_ref().map_or(Ok(Vec::new()), Storage::files)?;
        let mut files: Vec<File> =
            files.into_iter().filter_map(|(name, bytes)| File::of(name, bytes)).collect();
        files.retain(|file| {
            !self.held.is_source(&file.name)
                && !self.spent.iter().any(|group| group.contains(&file.name))
                && !self.foreign.contains(&file.name)
        });
        files.sort_by(|a, b| (a.first, a.last, &a.name).cmp(&(b.first, b.last, &b.name)));
        Ok(files)
    }

    /// What there is, if it can be seen.
    pub(super) fn files(&self) -> Vec<File> {
        self.list().unwrap_or_default()
    }

    /// `None` for one that is damaged, or cannot be read now.
    pub(super) fn load_period(&mut self, file: &File) -> Option<T> {
        if file.kind == Kind::Merged {
            return self.load::<Merged<T>>(&file.name).ok()?.map(|merged| merged.period);
        }
        self.load(&file.name).ok()?
    }

    /// Reads a file. `None`: it was damaged and is set aside, or is another version's, or is gone.
    /// An error: it cannot be read now, for nothing that is wrong with it.
    pub(super) fn load<V: serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> io::Result<Option<V>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let value = match dir.read(name, FILE_LIMIT) {
            Ok(bytes) => {
                self.unreadable.do_well(name);
                match frame::decode(&bytes) {
                    Ok(body) => serde_json::from_slice(body).ok(),
                    Err(FrameError::OtherVersion(_)) => {
                        self.leave_alone(name);
                        return Ok(None);
                    }
                    Err(_) => None,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_of_the_file(&error) && self.is_beyond_hope(name) => None,
            Err(error) => return Err(error),
        };
        if value.is_none() {
            self.give_up_on(name);
        }
        Ok(value)
    }

    /// A file cannot be read. Whether it is to blame: others can, and it could not at several claims,
    /// which are a second apart or more.
    fn is_beyond_hope(&mut self, name: &str) -> bool {
        self.unread.insert(name.to_owned()) && self.unreadable.fail(name, UNREADABLE)
    }

    /// Sets a file aside that can be of no use to anybody but a person.
    pub(super) fn give_up_on(&mut self, name: &str) {
        self.counters.files_damaged += 1;
        let counted = name.replace(MERGING, MERGED);
        self.counters.spans_damaged += File::of(counted, 0).map_or(0, |file| file.spans);
        self.move_aside(name, &format!("{name}.damaged"));
    }

    /// Whether it is known that a file counts, or, of a parcel, what it was made of.
    pub(super) fn is_clear(&self, file: &File) -> bool {
        let within = |(first, last): &(Minute, Minute)| *first <= file.first && file.last <= *last;
        !self.unclear.iter().any(within)
    }

    fn leave_alone(&mut self, name: &str) {
        if self.foreign.len() >= MOST_FOREIGN {
            // Those that are still there are met again.
            self.foreign.clear();
        }
        if self.foreign.insert(name.to_owned()) {
            self.counters.files_of_other_versions += 1;
        }
    }
}

/// Whether a file cannot be read for something that is wrong with it, and may be so for ever.
fn is_of_the_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied || is_of_the_disk(error)
}
