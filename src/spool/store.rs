use super::frame;
use super::memory::Held;
use super::{Body, Item, Parcel};
use crate::model::Minute;
use crate::sys::dir::{Dir, Lock};
use std::io;

/// A spool file is never larger.
const FILE_LIMIT: u64 = 256 << 20;
/// The ending of files that do not count yet.
const PENDING: &str = ".pending";
/// Refused or damaged files kept to be looked at.
const SET_ASIDE: usize = 16;

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
    /// Writes that failed; what they held is kept in memory.
    pub write_errors: u64,
    /// Bytes on disk, as of the last look.
    pub bytes_on_disk: u64,
    /// Files on disk, as of the last look.
    pub files_on_disk: u64,
    /// Parcels in memory.
    pub parcels_in_memory: u64,
}

/// The spool of one application, as one process sees it.
#[derive(Debug)]
pub struct Spool<T> {
    dir: Option<Dir>,
    /// Tells this process's files from those of any other, ever.
    signature: String,
    sequence: u32,
    limit_bytes: u64,
    held: Held<T>,
    counters: Counters,
}

impl<T: Item> Spool<T> {
    /// In `dir`, or in memory. `signature` is random, and has no hyphen.
    pub fn new(dir: Option<Dir>, signature: String, limit_bytes: u64) -> Spool<T> {
        Spool {
            dir,
            signature,
            sequence: 0,
            limit_bytes,
            held: Held::default(),
            counters: Counters::default(),
        }
    }

    /// Whether there is a disk.
    pub fn is_on_disk(&self) -> bool {
        self.dir.is_some()
    }

    /// Counts.
    pub fn counters(&self) -> Counters {
        Counters { parcels_in_memory: self.held.parcels() as u64, ..self.counters }
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
            let (minute, spans) = (item.minute().0, item.spans());
            let name = format!("{minute:010}-{signature}-{number}-{index}-{spans}.period");
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
        let mut safety = if prepared.kept.is_empty() { Safety::Disk } else { Safety::Memory };
        for item in prepared.kept {
            self.counters.spans_given_up += self.held.put(item);
        }
        if let Some(dir) = &self.dir {
            for name in &prepared.names {
                if dir.rename(&format!("{name}{PENDING}"), name).is_err() {
                    self.counters.write_errors += 1;
                }
            }
            if prepared.synced && !prepared.names.is_empty() && dir.sync().is_err() {
                safety = Safety::Memory;
            }
            if !prepared.names.is_empty() {
                self.retry_held();
                self.keep_to_the_limit();
            }
        }
        if self.held.is_empty() { safety } else { Safety::Memory }
    }

    /// Writes what an earlier write could not, now that one went well.
    fn retry_held(&mut self) {
        for item in self.held.take_periods() {
            self.sequence += 1;
            let (minute, sequence, spans) = (item.minute().0, self.sequence, item.spans());
            let name = format!("{minute:010}-{}h-{sequence}-0-{spans}.period", self.signature);
            let written = self.write_pending(&name, &item, true);
            let named = self.dir.as_ref().map(|dir| dir.rename(&format!("{name}{PENDING}"), &name));
            if !matches!((written, named), (Ok(true), Some(Ok(())))) {
                self.counters.write_errors += 1;
                self.counters.spans_given_up += self.held.put(item);
            }
        }
    }

    /// Finishes what a process that died left prepared: what it had committed counts, what it had
    /// not is removed.
    pub fn resolve(&self, signature: &str, committed: u32) {
        let Some(dir) = &self.dir else { return };
        for (file, _) in dir.files().into_iter().flatten() {
            let mut parts = file.split('-').skip(1);
            if parts.next() != Some(signature) {
                continue;
            }
            let number = parts.next().and_then(|number| number.parse::<u32>().ok());
            let _ = match (file.strip_suffix(PENDING), number) {
                (Some(name), Some(number)) if number <= committed => dir.rename(&file, name),
                (Some(_), _) => dir.remove(&file),
                // It died while writing.
                (None, _) if is_temporary(&file) => dir.remove(&file),
                (None, _) => Ok(()),
            };
        }
    }

    /// Gives up the oldest files while there is too much on disk.
    fn keep_to_the_limit(&mut self) {
        let Some(dir) = &self.dir else { return };
        let Ok(mut files) = dir.files() else { return };
        files.retain(|(name, _)| is_ours(name));
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, size)| size).sum();
        let mut count = files.len() as u64;
        for (name, size) in &files {
            if bytes <= self.limit_bytes {
                break;
            }
            let spans = match parcel_name(name) {
                true => self.load_parcel(name).map_or(0, |parcel| parcel.spans),
                false => spans_of(name),
            };
            if self.dir.as_ref().is_some_and(|dir| dir.remove(name).is_ok()) {
                self.counters.spans_given_up += spans;
                bytes -= size;
                count -= 1;
            }
        }
        self.counters.bytes_on_disk = bytes;
        self.counters.files_on_disk = count;
    }

    /// Takes the right to merge and deliver, from all processes on this spool; `None` while
    /// another has it.
    pub fn claim(&mut self) -> io::Result<Option<Claim>> {
        let lock = match &self.dir {
            None => None,
            Some(dir) => match dir.try_lock("lock")? {
                None => return Ok(None),
                lock => lock,
            },
        };
        self.finish_packing()?;
        Ok(Some(Claim { _lock: lock }))
    }

    /// A process that died between writing a parcel and removing its sources left both: the parcel
    /// counts. Only files of the same minute can be such a pair.
    fn finish_packing(&mut self) -> io::Result<()> {
        if let Some(dir) = &self.dir {
            // Parcels are written under a claim only: what is half written has no writer.
            let names = dir.files().into_iter().flatten().map(|(name, _)| name);
            for name in names.filter(|name| is_temporary(name) && name.contains(".parcel.")) {
                let _ = dir.remove(&name);
            }
        }
        let files = self.list()?;
        let (parcels, periods): (Vec<_>, Vec<_>) = files.iter().partition(|name| parcel_name(name));
        for parcel in parcels {
            if periods.iter().any(|period| minute_of(period) == minute_of(parcel))
                && let Some(parcel) = self.load_parcel(parcel)
            {
                self.remove_sources(&parcel);
            }
        }
        Ok(())
    }

    /// The minutes before `end` that have files, or are held, oldest first.
    pub fn minutes(&self, _: &Claim, end: Minute) -> Vec<Minute> {
        let files = self.files();
        let on_disk = files.iter().filter(|name| name.ends_with(".period")).filter_map(minute_of);
        let mut minutes: Vec<_> =
            on_disk.chain(self.held.minutes()).filter(|minute| *minute < end).collect();
        minutes.sort();
        minutes.dedup();
        minutes
    }

    /// Merges everything there is of a minute into one parcel, under `id`.
    pub fn pack(
        &mut self,
        claim: &Claim,
        minute: Minute,
        id: String,
        render: impl FnOnce(&T, &str) -> Vec<Body>,
    ) {
        let mut sources: Vec<String> = self.files();
        sources.retain(|name| name.ends_with(".period") && minute_of(name) == Some(minute));
        let mut merged: Option<T> = self.held.take(minute);
        sources.retain(|name| match self.load_period(name) {
            Some(period) => {
                match &mut merged {
                    Some(merged) => merged.merge(period),
                    None => merged = Some(period),
                }
                true
            }
            None => false,
        });
        let Some(period) = merged else { return };
        let bodies = render(&period, &id);
        let parcel = Parcel { id, minute, spans: period.spans(), sources, bodies };
        self.keep(claim, parcel);
    }

    /// Puts a parcel where it is as safe as can be. On disk, it replaces what it was made of; in
    /// memory, its sources stay until it is delivered.
    fn keep(&mut self, _: &Claim, parcel: Parcel) {
        if let Some(dir) = &self.dir {
            let written = serde_json::to_vec(&parcel)
                .map_err(io::Error::from)
                .and_then(|body| dir.write_durably(&parcel.file_name(), &frame::encode(&body)));
            if written.is_ok() {
                self.remove_sources(&parcel);
                return;
            }
            self.counters.write_errors += 1;
        }
        self.counters.spans_given_up += self.held.put_parcel(parcel);
    }

    fn remove_sources(&self, parcel: &Parcel) {
        if let Some(dir) = &self.dir {
            for source in &parcel.sources {
                let _ = dir.remove(source);
            }
        }
    }

    /// The oldest parcel that is to be sent.
    pub fn next_parcel(&mut self, _: &Claim) -> Option<Parcel> {
        if let Some(parcel) = self.held.take_parcel() {
            return Some(parcel);
        }
        let mut names = self.files();
        names.retain(|name| parcel_name(name));
        names.sort();
        names.iter().find_map(|name| self.load_parcel(name))
    }

    /// A parcel was delivered.
    pub fn delivered(&mut self, _: &Claim, parcel: &Parcel) {
        self.remove_sources(parcel);
        if let Some(dir) = &self.dir {
            let _ = dir.remove(&parcel.file_name());
        }
    }

    /// A parcel could not be delivered now: what is left of it stays, or goes back to memory.
    pub fn put_back(&mut self, claim: &Claim, parcel: Parcel) -> Safety {
        self.keep(claim, parcel);
        self.safety()
    }

    /// Where the least safe of all that is in here is.
    pub fn safety(&self) -> Safety {
        if self.held.is_empty() { Safety::Disk } else { Safety::Memory }
    }

    /// A receiver refused a parcel for good: a few are kept to be looked at. Gives the file's name.
    pub fn set_aside(&mut self, _: &Claim, parcel: &Parcel) -> Option<String> {
        self.remove_sources(parcel);
        let name = parcel.file_name();
        let aside = name.replace(".parcel", ".rejected");
        self.move_aside(&name, &aside).then_some(aside)
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

    fn list(&self) -> io::Result<Vec<String>> {
        let files = self.dir.as_ref().map_or(Ok(Vec::new()), Dir::files)?;
        let names = files.into_iter().map(|(name, _)| name);
        Ok(names.filter(|name| is_ours(name) && !self.held.is_source(name)).collect())
    }

    /// What there is, if it can be seen.
    fn files(&self) -> Vec<String> {
        self.list().unwrap_or_default()
    }

    fn load_period(&mut self, name: &str) -> Option<T> {
        self.load(name)
    }

    fn load_parcel(&mut self, name: &str) -> Option<Parcel> {
        self.load(name)
    }

    /// Reads a file, or sets it aside if it cannot be read as what it should be.
    fn load<V: serde::de::DeserializeOwned>(&mut self, name: &str) -> Option<V> {
        let bytes = self.dir.as_ref()?.read(name, FILE_LIMIT);
        let value = match &bytes {
            Ok(bytes) => frame::decode(bytes).ok().and_then(|b| serde_json::from_slice(b).ok()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            // Another process took it in the meantime; or we have no descriptor to read it with,
            // or no right to: nothing that is wrong with the file, which stays.
            Err(_) => return None,
        };
        if value.is_none() {
            self.counters.files_damaged += 1;
            self.move_aside(name, &format!("{name}.damaged"));
        }
        value
    }
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
pub struct Claim {
    _lock: Option<Lock>,
}

fn is_ours(name: &str) -> bool {
    !name.starts_with('.') && (name.ends_with(".period") || parcel_name(name))
}

/// As [`Dir::write`] names what is not whole yet.
fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

fn parcel_name(name: &str) -> bool {
    name.ends_with(".parcel")
}

fn minute_of(name: impl AsRef<str>) -> Option<Minute> {
    name.as_ref().split('-').next()?.parse().ok().map(Minute)
}

fn spans_of(name: &str) -> u64 {
    let stem = name.strip_suffix(".period").unwrap_or(name);
    stem.rsplit('-').next().and_then(|spans| spans.parse().ok()).unwrap_or(0)
}
