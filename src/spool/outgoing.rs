//! Minutes go out: merged into parcels under the claim, sent, removed; and what a process that died left
//! of that.

use super::frame;
use super::name::{ALONE, File, MERGED, MERGING, PARCEL};
use super::store::{Safety, Spool};
use super::{Body, Item, Merged, Parcel, Storage, contained, merge};
use crate::model::Minute;
use crate::sys::dir::{self, Lock};
use std::io;

/// Claims in a row that fail because what they find cannot be synced; further ones do not.
const UNSURE: u32 = 3;
/// Faults, while others do well, after which something is given up.
const FAULTS: u32 = 3;

impl<T: Item, S: Storage> Spool<T, S> {
    /// Takes the right to merge and deliver, from all processes on this spool; `None` while
    /// another has it. Where the lock cannot be had for no process's sake (the directory was removed,
    /// the disk takes nothing more), what is in memory is delivered all the same.
    pub fn claim(&mut self) -> io::Result<Option<Claim<S::Lock>>> {
        let lock = match &self.dir {
            None => None,
            Some(dir) => match dir.try_lock("lock") {
                Ok(None) => return Ok(None),
                Ok(lock) => lock,
                Err(error) if self.held.is_empty() || !is_lasting(&error) => return Err(error),
                Err(_) => {
                    self.counters.write_errors += 1;
                    return Ok(Some(Claim { lock: None }));
                }
            },
        };
        self.remove_spent();
        if !self.unnamed.is_empty() {
            self.give_names(true);
        }
        self.unclear.clear();
        self.unread.clear();
        self.make_sure()?;
        self.finish_merging()?;
        self.finish_packing()?;
        Ok(Some(Claim { lock }))
    }

    /// A process that died while it merged left the merged file, its sources, or both: once the
    /// merged file is there it counts.
    fn finish_merging(&mut self) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut merging = Vec::new();
        for (name, _) in dir.files()? {
            // Such files are written under a claim only: what is half written has no writer.
            let of_a_claim = name.contains(".parcel.") || name.contains(MERGING);
            if dir::is_temporary(&name) && of_a_claim {
                let _ = dir.remove(&name);
            } else if name.ends_with(MERGING) {
                merging.push(name);
            }
        }
        for name in merging {
            let sources = self.load::<Merged<T>>(&name).map(|held| held.map(|held| held.sources));
            let replaced = sources.and_then(|sources| {
                sources.map_or(Ok(()), |sources| self.replace_by(&name, &sources))
            });
            if replaced.is_err() {
                // Whatever it replaces lies within it, and waits with it; the rest goes on.
                self.counters.write_errors += 1;
                let file = File::of(name.replace(MERGING, MERGED), 0);
                self.unclear.extend(file.map(|file| (file.first, file.last)));
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
            if !periods.iter().any(|period| period.first == parcel.first) {
                continue;
            }
            match self.load::<Parcel>(&parcel.name) {
                Ok(Some(parcel)) => self.discard(parcel.sources.into_iter()),
                Ok(None) => {}
                // Which of them it was made of is not known: they wait with it.
                Err(_) => {
                    let of_its_minute = periods.iter().filter(|file| file.first == parcel.first);
                    self.unclear.extend(of_its_minute.map(|file| (file.first, file.last)));
                }
            }
        }
        Ok(())
    }

    /// What replaces others, or is sent under an id, must be there after a loss of power too, or they
    /// would be gone, or sent under another: who made it may have died before it was synced. A disk that
    /// can never be synced stops nothing.
    fn make_sure(&mut self) -> io::Result<()> {
        let files = self.dir.as_ref().map_or(Ok(Vec::new()), Storage::files)?;
        let replaces = |name: &str| [PARCEL, MERGING, ALONE].iter().any(|end| name.ends_with(end));
        if !files.iter().any(|(name, _)| replaces(name)) {
            return Ok(());
        }
        match self.sync_names() {
            Err(error) if self.unsure < UNSURE => {
                self.unsure += 1;
                Err(error)
            }
            // It failed for so long that it is taken for one of those.
            Err(_) => Ok(()),
            Ok(()) => {
                self.unsure = 0;
                Ok(())
            }
        }
    }

    /// The periods that `is_over` (told their last minute), on disk or held, by their first
    /// minute, oldest first.
    pub fn minutes(&self, claim: &Claim<S::Lock>, is_over: impl Fn(Minute) -> bool) -> Vec<Minute> {
        let files = if claim.of_memory_alone() { Vec::new() } else { self.files() };
        let mut extents: Vec<_> = files
            .into_iter()
            .filter(|file| !file.is_parcel() && self.is_clear(file))
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
            || !self.unclear.is_empty()
            || self.held.parcels() > 0
            || self.held.extents().any(|(_, last)| is_over(last)))
    }

    /// Merges everything there is of a minute into one parcel, under `id`; what is in memory makes
    /// one by itself. Tells whether there was anything. After an error nothing more may be packed
    /// under this claim.
    pub fn pack(
        &mut self,
        claim: &Claim<S::Lock>,
        minute: Minute,
        id: String,
        render: impl Fn(&T, &str) -> Vec<Body>,
    ) -> io::Result<bool> {
        // Where that is a fault, what is on disk of this minute may be none.
        if let Some(period) = self.held.take(minute)
            && self.pack_held(period, id.clone(), &render)
        {
            return Ok(true);
        }
        if claim.of_memory_alone() {
            return Ok(false);
        }
        let mut files = self.list()?;
        files.retain(|file| !file.is_parcel() && file.first == minute && self.is_clear(file));
        if let Some(file) = files.iter().find(|file| file.alone) {
            return Ok(self.pack_alone(file.clone(), render));
        }
        let mut sources = Vec::new();
        let made = contained(|| {
            let mut merged = None;
            for file in &files {
                let Some(period) = self.load_period(file) else { continue };
                merged = merge(merged, period);
                sources.push(file.clone());
            }
            let names = sources.iter().map(|file| file.name.clone()).collect();
            merged.map(|period| Parcel::of(&period, id, names, &render))
        });
        let Some(parcel) = made else { return self.note_fault(files) };
        let (Some(parcel), Some(dir)) = (parcel, &self.dir) else { return Ok(false) };
        if self.write_parcel(&parcel).is_ok() {
            parcel.sources.iter().for_each(|name| self.faulty.do_well(name));
            self.discard(parcel.sources.into_iter());
            return Ok(true);
        }
        // No room for it. Its files go out one by one, each under an id that is the same whoever
        // sends it: should this process die before it can remove one, the next sender's
        // repetition is known as one. A new name takes no room.
        dir.remove(&parcel.file_name())?;
        self.counters.write_errors += 1;
        let Some(file) = sources.into_iter().next() else { return Ok(false) };
        match set_apart(dir, file) {
            Ok(file) => Ok(self.pack_alone(file, render)),
            Err(_) => Ok(false),
        }
    }

    fn pack_held(&mut self, period: T, id: String, render: impl Fn(&T, &str) -> Vec<Body>) -> bool {
        let minute = period.minute().0.to_string();
        match contained(|| Parcel::of(&period, id, Vec::new(), render)) {
            Some(parcel) => {
                self.faulty.do_well(&minute);
                self.keep(parcel);
                true
            }
            None => {
                self.counters.faults += 1;
                let guilty = self.faulty.fail(&minute, FAULTS);
                self.counters.spans_given_up +=
                    if guilty { period.spans() } else { self.held.put(period) };
                guilty
            }
        }
    }

    fn pack_alone(&mut self, file: File, render: impl Fn(&T, &str) -> Vec<Body>) -> bool {
        let id = Parcel::id_of_file(&file.name);
        let made = contained(|| {
            let period = self.load_period(&file)?;
            Some(Parcel::of(&period, id, vec![file.name.clone()], render))
        });
        let Some(parcel) = made else { return self.note_fault(vec![file]).unwrap_or(false) };
        let Some(parcel) = parcel else { return false };
        self.faulty.do_well(&file.name);
        self.counters.spans_given_up += self.held.put_parcel(parcel);
        true
    }

    /// To merge or render these files is a fault. Other minutes go first; if they do well, one of
    /// these is to blame, and found by trying each alone. Tells whether the minute may be tried again
    /// at once.
    fn note_fault(&mut self, files: Vec<File>) -> io::Result<bool> {
        self.counters.faults += 1;
        let several = files.len() > 1;
        let (Some(dir), Some(file)) = (&self.dir, files.into_iter().next()) else {
            return Ok(false);
        };
        if !self.faulty.fail(&file.name, FAULTS) {
            return Ok(false);
        }
        if several {
            return Ok(set_apart(dir, file).is_ok());
        }
        self.give_up_on(&file.name);
        Ok(true)
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

    /// The oldest parcel that is to be sent, but for those whose names are to be skipped.
    pub fn next_parcel(
        &mut self,
        claim: &Claim<S::Lock>,
        skip: impl Fn(&str) -> bool,
    ) -> Option<Parcel> {
        if let Some(parcel) = self.held.next_parcel(claim.of_memory_alone(), &skip) {
            return Some(parcel);
        }
        if claim.of_memory_alone() {
            return None;
        }
        let mut files = self.files();
        files.retain(|file| file.is_parcel() && !skip(&file.name));
        files.iter().find_map(|file| self.load(&file.name).unwrap_or_default())
    }

    /// A parcel was delivered.
    pub fn delivered(&mut self, _: &Claim<S::Lock>, parcel: Parcel) {
        let name = parcel.file_name();
        self.held.remove_parcel(&parcel.id);
        self.discard(parcel.sources.into_iter().chain([name]));
    }

    /// Removes files, now or later; they do not count any more.
    pub(super) fn discard(&mut self, names: impl Iterator<Item = String>) {
        if self.dir.is_some() {
            self.spent.push(names.collect());
            self.remove_spent();
        }
    }

    /// Each group in order: a parcel goes after its sources, so that whoever finds these finds it too.
    fn remove_spent(&mut self) {
        let Some(dir) = &self.dir else { return };
        let errors = &mut self.counters.write_errors;
        self.spent.retain_mut(|group| {
            while let Some(name) = group.front() {
                if dir.remove(name).is_err() {
                    *errors += 1;
                    return true;
                }
                group.pop_front();
            }
            false
        });
    }

    /// A parcel could not be delivered now: what is left of it stays, or goes back to memory.
    pub fn put_back(&mut self, _: &Claim<S::Lock>, parcel: Parcel) -> Safety {
        self.keep(parcel);
        self.safety()
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
}

/// Gives a file a name under which it is sent by itself.
fn set_apart(dir: &impl Storage, mut file: File) -> io::Result<File> {
    let name = format!("{}{ALONE}", file.name);
    dir.rename(&file.name, &name)?;
    dir.sync()?;
    (file.name, file.alone) = (name, true);
    Ok(file)
}

/// Whether the lock cannot be had until somebody does something about the directory. What passes by
/// itself, such as a want of descriptors, is waited for.
fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotFound | Kind::ReadOnlyFilesystem | Kind::PermissionDenied | Kind::StorageFull
    ) || dir::knows_no_locks(error)
}

/// The right to merge and deliver; other processes wait until it is dropped.
#[derive(Debug)]
pub struct Claim<L = Lock> {
    lock: Option<L>,
}

impl<L> Claim<L> {
    /// Without a lock no file is touched.
    pub(super) fn of_memory_alone(&self) -> bool {
        self.lock.is_none()
    }
}
