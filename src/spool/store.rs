use super::frame::{self, FrameError};
use super::memory::Held;
use super::name::{self, ALONE, File, Kind, MERGED, MERGING, PARCEL, PENDING};
use super::{Body, Item, Merged, Parcel, Storage};
use crate::model::Minute;
use crate::sys::dir::{Dir, Lock};
use std::collections::{HashSet, VecDeque};
use std::io;

/// A spool file is never larger.
const FILE_LIMIT: u64 = 256 << 20;
/// Refused or damaged files kept to be looked at.
const SET_ASIDE: usize = 16;

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
}

/// The spool of one application, as one process sees it.
#[derive(Debug)]
pub struct Spool<T, S = Dir> {
    pub(super) dir: Option<S>,
    /// Tells this process's files from those of any other, ever.
    pub(super) signature: String,
    pub(super) sequence: u32,
    pub(super) limit_bytes: u64,
    held: Held<T>,
    /// Files that count but for their names: giving them failed.
    unnamed: Vec<String>,
    /// Files that would not outlive the machine yet.
    unsynced: Vec<String>,
    /// Files that do not count any more: removing them failed so far.
    spent: VecDeque<String>,
    /// Files of other versions: for whoever knows them.
    foreign: HashSet<String>,
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
            spent: VecDeque::new(),
            foreign: HashSet::new(),
            counters: Counters::default(),
        }
    }

    /// Whether there is a disk.
    pub fn is_on_disk(&self) -> bool {
        self.dir.is_some()
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

    /// Keeps a period, fsynced.
    pub fn put(&mut self, item: T) -> Safety {
        self.sequence += 1;
        let signature = self.signature.clone();
        let prepared = self.prepare(vec![item], &signature, self.sequence, true);
        self.publish(prepared)
    }

    /// Writes periods so that they do not count yet: they do once [`Spool::publish`] is through,
    /// or, should this process die before, once [`Spool::resolve`] finds that `number` was
    /// committed.
    pub fn prepare(
        &mut self,
        items: Vec<T>,
        signature: &str,
        number: u32,
        synced: bool,
    ) -> Prepared<T> {
        let mut prepared = Prepared { names: Vec::new(), kept: Vec::new(), synced };
        for (index, item) in items.into_iter().enumerate() {
            let name = name::period(item.minute(), signature, number, index, item.spans());
            match self.write_pending(&name, &item, synced) {
                Ok(true) => prepared.names.push(name),
                Ok(false) => prepared.kept.push(item),
                Err(_) => {
                    self.counters.write_errors += 1;
                    prepared.kept.push(item);
                }
            }
        }
        prepared
    }

    /// False when there is no disk.
    fn write_pending(&self, name: &str, item: &T, synced: bool) -> io::Result<bool> {
        let Some(dir) = &self.dir else { return Ok(false) };
        let body = serde_json::to_vec(item)?;
        dir.write(&format!("{name}{PENDING}"), &frame::encode(&body), synced)?;
        Ok(true)
    }

    /// Makes prepared periods count.
    pub fn publish(&mut self, prepared: Prepared<T>) -> Safety {
        for item in prepared.kept {
            self.counters.spans_given_up += self.held.put(item);
        }
        let written = !prepared.names.is_empty();
        if !prepared.synced {
            self.unsynced.extend(prepared.names.iter().cloned());
        }
        self.unnamed.extend(prepared.names);
        let sync = prepared.synced && (written || !self.unsynced.is_empty());
        let named = self.give_names(sync).min(self.sync_contents(prepared.synced));
        if written && named == Safety::Disk {
            self.retry_held();
            self.keep_to_the_limit();
        }
        self.safety().min(named)
    }

    /// Names what is written; what cannot be named now is named later.
    fn give_names(&mut self, synced: bool) -> Safety {
        let Some(dir) = &self.dir else { return Safety::Memory };
        let errors = &mut self.counters.write_errors;
        self.unnamed.retain(|name| {
            let failed = match dir.rename(&format!("{name}{PENDING}"), name) {
                // Another took us for dead, and named it.
                Err(error) => error.kind() != io::ErrorKind::NotFound,
                Ok(()) => false,
            };
            *errors += u64::from(failed);
            failed
        });
        if synced && dir.sync().is_err() {
            *errors += 1;
            return Safety::Memory;
        }
        if self.unnamed.is_empty() { Safety::Disk } else { Safety::Memory }
    }

    /// Makes what was only to make room outlive the machine, when that is asked for: all that was
    /// recorded before a flush is as safe as the flush says.
    fn sync_contents(&mut self, wanted: bool) -> Safety {
        let (Some(dir), true) = (&self.dir, wanted) else { return Safety::Disk };
        let errors = &mut self.counters.write_errors;
        self.unsynced.retain(|name| match dir.sync_file(name) {
            Ok(()) => false,
            // Merged, packed or delivered since: that is synced.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(_) => {
                *errors += 1;
                true
            }
        });
        if self.unsynced.is_empty() { Safety::Disk } else { Safety::Memory }
    }

    /// Writes what an earlier write could not, now that one went well.
    fn retry_held(&mut self) {
        for item in self.held.take_periods() {
            self.sequence += 1;
            let signature = format!("{}h", self.signature);
            let name = name::period(item.minute(), &signature, self.sequence, 0, item.spans());
            let body = serde_json::to_vec(&item).map_err(io::Error::from);
            let dir = self.dir.as_ref();
            let written =
                dir.map(|dir| body.and_then(|b| dir.write(&name, &frame::encode(&b), true)));
            if !matches!(written, Some(Ok(()))) {
                self.counters.write_errors += 1;
                self.counters.spans_given_up += self.held.put(item);
            }
        }
        if let Some(dir) = &self.dir {
            let _ = dir.sync();
        }
    }

    /// Finishes what a process that died left prepared: what it had committed counts, what it had
    /// not is removed. After an error it is yet to be finished.
    pub fn resolve(&self, signature: &str, committed: u32) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let held = format!("{signature}h");
        for (file, _) in dir.files()? {
            let mut parts = file.split('-').skip(1);
            if !parts.next().is_some_and(|of| of == signature || of == held) {
                continue;
            }
            let number = parts.next().and_then(|number| number.parse::<u32>().ok());
            match (file.strip_suffix(PENDING), number) {
                (Some(name), Some(number)) if number <= committed => dir.rename(&file, name),
                (Some(_), _) => dir.remove(&file),
                // It died while writing.
                (None, _) if name::is_temporary(&file) => dir.remove(&file),
                (None, _) => Ok(()),
            }?;
        }
        Ok(())
    }

    /// Takes the right to merge and deliver, from all processes on this spool; `None` while
    /// another has it.
    pub fn claim(&mut self) -> io::Result<Option<Claim<S::Lock>>> {
        let lock = match &self.dir {
            None => None,
            Some(dir) => match dir.try_lock("lock")? {
                None => return Ok(None),
                lock => lock,
            },
        };
        self.remove_spent();
        if !self.unnamed.is_empty() {
            self.give_names(true);
        }
        self.finish_merging()?;
        self.finish_packing()?;
        Ok(Some(Claim { _lock: lock }))
    }

    /// A process that died while it merged left the merged file, its sources, or both: once the
    /// merged file is there it counts.
    fn finish_merging(&mut self) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut merging = Vec::new();
        for (name, _) in dir.files()? {
            // Such files are written under a claim only: what is half written has no writer.
            let of_a_claim = name.contains(".parcel.") || name.contains(MERGING);
            if name::is_temporary(&name) && of_a_claim {
                let _ = dir.remove(&name);
            } else if name.ends_with(MERGING) {
                merging.push(name);
            }
        }
        for name in merging {
            if let Some(Merged { sources, .. }) = self.load::<Merged<T>>(&name)? {
                self.replace_by(&name, &sources)?;
            }
        }
        Ok(())
    }

    /// Removes what a merged file was made of; after that it is like any other. In this order, and
    /// synced in between, so that never both count.
    pub(super) fn replace_by(&self, merging: &str, sources: &[String]) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        for source in sources {
            dir.remove(source)?;
        }
        dir.sync()?;
        dir.rename(merging, &merging.replace(MERGING, MERGED))
    }

    /// A process that died between writing a parcel and removing its sources left both: the parcel
    /// counts. Only files of the same minute can be such a pair.
    fn finish_packing(&mut self) -> io::Result<()> {
        let files = self.list()?;
        let (parcels, periods): (Vec<_>, Vec<_>) = files.into_iter().partition(File::is_parcel);
        for parcel in parcels {
            if periods.iter().any(|period| period.first == parcel.first)
                && let Some(parcel) = self.load::<Parcel>(&parcel.name)?
            {
                self.remove_sources(&parcel)?;
            }
        }
        Ok(())
    }

    /// The periods that `is_over` (told their last minute), on disk or held, by their first
    /// minute, oldest first.
    pub fn minutes(&self, _: &Claim<S::Lock>, is_over: impl Fn(Minute) -> bool) -> Vec<Minute> {
        let mut extents: Vec<_> = self
            .files()
            .into_iter()
            .filter(|file| !file.is_parcel())
            .map(|file| (file.first, file.last))
            .chain(self.held.extents())
            .collect();
        extents.sort();
        extents.retain(|(_, last)| is_over(*last));
        let mut minutes: Vec<_> = extents.into_iter().map(|(first, _)| first).collect();
        minutes.dedup();
        minutes
    }

    /// Whether anything is still to be delivered: a parcel, or a period that `is_over` (told its last
    /// minute). What cannot be read, packed or named now is among it. An error: that cannot be seen.
    pub fn has_waiting(
        &self,
        _: &Claim<S::Lock>,
        is_over: impl Fn(Minute) -> bool,
    ) -> io::Result<bool> {
        let unnamed = self.unnamed.iter().filter_map(|name| File::of(name.clone(), 0));
        let mut files = self.list()?.into_iter().chain(unnamed);
        Ok(files.any(|file| file.is_parcel() || is_over(file.last))
            || self.held.parcels() > 0
            || self.held.extents().any(|(_, last)| is_over(last)))
    }

    /// Merges everything there is of a minute into one parcel, under `id`; what is in memory makes
    /// one by itself. Tells whether there was anything. After an error nothing more may be packed
    /// under this claim.
    pub fn pack(
        &mut self,
        _: &Claim<S::Lock>,
        minute: Minute,
        id: String,
        render: impl Fn(&T, &str) -> Vec<Body>,
    ) -> io::Result<bool> {
        if let Some(period) = self.held.take(minute) {
            self.keep(Parcel::of(&period, id, Vec::new(), &render));
            return Ok(true);
        }
        let mut files = self.list()?;
        files.retain(|file| !file.is_parcel() && file.first == minute);
        if let Some(file) = files.iter().find(|file| file.alone) {
            return Ok(self.pack_alone(file.clone(), render));
        }
        let (mut merged, mut sources) = (None, Vec::new());
        for file in files {
            let Some(period) = self.load_period(&file) else { continue };
            merged = merge(merged, period);
            sources.push(file);
        }
        let (Some(period), Some(dir)) = (merged, &self.dir) else { return Ok(false) };
        let names = sources.iter().map(|file| file.name.clone()).collect();
        let parcel = Parcel::of(&period, id, names, &render);
        if self.write_parcel(&parcel).is_ok() {
            self.discard(parcel.sources.into_iter());
            return Ok(true);
        }
        // No room for it. Its files go out one by one, each under an id that is the same whoever
        // sends it: should this process die before it can remove one, the next sender's
        // repetition is known as one. A new name takes no room.
        dir.remove(&parcel.file_name())?;
        self.counters.write_errors += 1;
        let Some(mut file) = sources.into_iter().next() else { return Ok(false) };
        let name = format!("{}{ALONE}", file.name);
        if dir.rename(&file.name, &name).and_then(|()| dir.sync()).is_err() {
            return Ok(false);
        }
        (file.name, file.alone) = (name, true);
        Ok(self.pack_alone(file, render))
    }

    fn pack_alone(&mut self, file: File, render: impl Fn(&T, &str) -> Vec<Body>) -> bool {
        let Some(period) = self.load_period(&file) else { return false };
        let id = Parcel::id_of_file(&file.name);
        let parcel = Parcel::of(&period, id, vec![file.name], render);
        self.counters.spans_given_up += self.held.put_parcel(parcel);
        true
    }

    fn write_parcel(&self, parcel: &Parcel) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Err(io::ErrorKind::NotFound.into()) };
        let body = serde_json::to_vec(parcel)?;
        dir.write_durably(&parcel.file_name(), &frame::encode(&body))
    }

    /// Puts a parcel where it is as safe as can be.
    fn keep(&mut self, parcel: Parcel) {
        if self.write_parcel(&parcel).is_ok() {
            self.held.remove_parcel(&parcel.id);
            return;
        }
        self.counters.write_errors += u64::from(self.dir.is_some());
        self.counters.spans_given_up += self.held.put_parcel(parcel);
    }

    fn remove_sources(&self, parcel: &Parcel) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        parcel.sources.iter().try_for_each(|source| dir.remove(source))
    }

    /// The oldest parcel that is to be sent.
    pub fn next_parcel(&mut self, _: &Claim<S::Lock>) -> Option<Parcel> {
        if let Some(parcel) = self.held.next_parcel() {
            return Some(parcel);
        }
        let mut files = self.files();
        files.retain(File::is_parcel);
        files.iter().find_map(|file| self.load(&file.name).unwrap_or_default())
    }

    /// A parcel was delivered.
    pub fn delivered(&mut self, _: &Claim<S::Lock>, parcel: Parcel) {
        let name = parcel.file_name();
        self.held.remove_parcel(&parcel.id);
        self.discard(parcel.sources.into_iter().chain([name]));
    }

    /// Removes files, now or later; they do not count any more.
    fn discard(&mut self, names: impl Iterator<Item = String>) {
        if self.dir.is_some() {
            self.spent.extend(names);
            self.remove_spent();
        }
    }

    /// In order: a parcel goes after its sources, so that whoever finds these finds it too.
    fn remove_spent(&mut self) {
        let Some(dir) = &self.dir else { return };
        while let Some(name) = self.spent.front() {
            if dir.remove(name).is_err() {
                self.counters.write_errors += 1;
                return;
            }
            self.spent.pop_front();
        }
    }

    /// A parcel could not be delivered now: what is left of it stays, or goes back to memory.
    pub fn put_back(&mut self, _: &Claim<S::Lock>, parcel: Parcel) -> Safety {
        self.keep(parcel);
        self.safety()
    }

    /// What would be lost with this process: periods, and parcels that are made of no files.
    #[cfg(test)]
    pub(crate) fn in_memory(&self) -> (impl Iterator<Item = &T>, impl Iterator<Item = &Parcel>) {
        self.held.contents()
    }

    /// Whether there are files that still have to be given their names.
    pub fn has_unnamed(&self) -> bool {
        !self.unnamed.is_empty()
    }

    /// Where the least safe of all that is in here is.
    pub fn safety(&self) -> Safety {
        let safe = self.held.is_empty() && self.unnamed.is_empty();
        if safe { Safety::Disk } else { Safety::Memory }
    }

    /// A receiver refused a parcel for good: a few are kept to be looked at. Gives the file's name.
    pub fn set_aside(&mut self, _: &Claim<S::Lock>, parcel: Parcel) -> Option<String> {
        let name = parcel.file_name();
        let aside = name.replace(PARCEL, ".rejected");
        self.held.remove_parcel(&parcel.id);
        let moved = self.remove_sources(&parcel).is_ok() && self.move_aside(&name, &aside);
        if moved {
            return Some(aside);
        }
        self.discard(parcel.sources.into_iter().chain([name]));
        None
    }

    fn move_aside(&self, name: &str, aside: &str) -> bool {
        let Some(dir) = &self.dir else { return false };
        let moved = dir.rename(name, aside).is_ok();
        let mut kept: Vec<String> =
            dir.files().into_iter().flatten().map(|(name, _)| name).collect();
        kept.retain(|name| name.ends_with(".rejected") || name.ends_with(".damaged"));
        kept.sort();
        for surplus in kept.iter().take(kept.len().saturating_sub(SET_ASIDE)) {
            let _ = dir.remove(surplus);
        }
        moved
    }

    /// What counts, oldest first; not what a parcel in memory was made of.
    pub(super) fn list(&self) -> io::Result<Vec<File>> {
        let files = self.dir.as_ref().map_or(Ok(Vec::new()), Storage::files)?;
        let mut files: Vec<File> =
            files.into_iter().filter_map(|(name, bytes)| File::of(name, bytes)).collect();
        files.retain(|file| {
            !self.held.is_source(&file.name)
                && !self.spent.contains(&file.name)
                && !self.foreign.contains(&file.name)
        });
        files.sort_by(|a, b| (a.first, a.last, &a.name).cmp(&(b.first, b.last, &b.name)));
        Ok(files)
    }

    /// What there is, if it can be seen.
    fn files(&self) -> Vec<File> {
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
    fn load<V: serde::de::DeserializeOwned>(&mut self, name: &str) -> io::Result<Option<V>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let value = match dir.read(name, FILE_LIMIT) {
            Ok(bytes) => match frame::decode(&bytes) {
                Ok(body) => serde_json::from_slice(body).ok(),
                Err(FrameError::OtherVersion(_)) => {
                    self.leave_alone(name);
                    return Ok(None);
                }
                Err(_) => None,
            },
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if value.is_none() {
            self.counters.files_damaged += 1;
            let counted = name.replace(MERGING, MERGED);
            self.counters.spans_damaged += File::of(counted, 0).map_or(0, |file| file.spans);
            self.move_aside(name, &format!("{name}.damaged"));
        }
        Ok(value)
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

/// Adds a period to what there is so far.
pub(super) fn merge<T: Item>(merged: Option<T>, period: T) -> Option<T> {
    Some(match merged {
        Some(mut merged) => {
            merged.merge(period);
            merged
        }
        None => period,
    })
}

/// Periods that are written, or could not be, and do not count yet.
#[derive(Debug)]
pub struct Prepared<T> {
    names: Vec<String>,
    kept: Vec<T>,
    synced: bool,
}

impl<T> Prepared<T> {
    /// Where they will be safe.
    pub fn safety(&self) -> Safety {
        if self.kept.is_empty() { Safety::Disk } else { Safety::Memory }
    }
}

/// The right to merge and deliver; other processes wait until it is dropped.
#[derive(Debug)]
pub struct Claim<L = Lock> {
    _lock: Option<L>,
}
