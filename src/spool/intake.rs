//! Periods come in: written, committed with their process's checkpoint, named; and what a process that
//! died left of that.

use super::frame;
use super::name::{self, PENDING};
use super::store::{Safety, Spool};
use super::{Item, Storage};
use crate::sys::dir::is_temporary;
use std::io;

impl<T: Item, S: Storage> Spool<T, S> {
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
        // Before they are committed: a checkpoint that outlives the machine without what it is about
        // would lose that.
        if synced && !prepared.names.is_empty() {
            let _ = self.sync_names();
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
        let owes = written || !self.unsynced.is_empty() || self.owes_sync;
        let sync = prepared.synced && owes;
        let named = self.give_names(sync).min(self.sync_contents(prepared.synced));
        if written && named == Safety::Disk {
            self.retry_held();
            self.keep_to_the_limit();
        }
        self.safety().min(named)
    }

    /// Names what is written; what cannot be named now is named later.
    pub(super) fn give_names(&mut self, synced: bool) -> Safety {
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
        if synced && self.sync_names().is_err() {
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
        let mut written_any = false;
        for item in self.held.take_periods() {
            self.sequence += 1;
            let signature = format!("{}h", self.signature);
            let name = name::period(item.minute(), &signature, self.sequence, 0, item.spans());
            let body = serde_json::to_vec(&item).map_err(io::Error::from);
            let dir = self.dir.as_ref();
            let written =
                dir.map(|dir| body.and_then(|b| dir.write(&name, &frame::encode(&b), true)));
            let is_written = matches!(written, Some(Ok(())));
            written_any |= is_written;
            if !is_written {
                self.counters.write_errors += 1;
                self.counters.spans_given_up += self.held.put(item);
            }
        }
        if written_any {
            let _ = self.sync_names();
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
                (None, _) if is_temporary(&file) => dir.remove(&file),
                (None, _) => Ok(()),
            }?;
        }
        Ok(())
    }
}

impl<T: Item> Spool<T> {
    /// Gives names to what processes wrote that had no file for records, and died before they named it:
    /// there is no other copy of it. `has_file` tells whether a signature's process has such a file,
    /// and so will be recovered with it. What is only half written goes. Both only if nobody wrote to
    /// it for an hour; a process that lives after all finds it named, or writes it anew.
    pub fn name_orphans(&mut self, files: &[String], has_file: impl Fn(&str) -> bool) {
        let Some(dir) = &self.dir else { return };
        for file in files {
            let is_orphan = name::signature_of_pending(file).is_some_and(|of| !has_file(of));
            let done = match file.strip_suffix(PENDING) {
                Some(name) if is_orphan && dir.is_stale(file) => dir.rename(file, name),
                None if is_temporary(file) && dir.is_stale(file) => dir.remove(file),
                _ => Ok(()),
            };
            self.counters.write_errors += u64::from(done.is_err());
        }
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
