//! Keeping the spool within its limits.

use super::grain::next_group;
use super::name::{self, File, MERGING};
use super::outgoing::Claim;
use super::{Item, Merged, Spool, Storage, contained, frame, merge};
use crate::model::Minute;
use std::io;

/// Files from which on they are merged, however small.
const MANY_FILES: usize = 4096;
/// What is read and merged at a time: the spool is locked meanwhile.
const BYTES_AT_ONCE: u64 = 4 << 20;

impl<T: Item, S: Storage> Spool<T, S> {
    /// Looks how much there is; makes room at once if it is over the limit and nobody else is at
    /// it. Whoever delivers makes room in time, so that this is for processes that nobody
    /// delivers for.
    pub(super) fn keep_to_the_limit(&mut self) {
        self.look();
        if self.counters.bytes_on_disk > self.limit_bytes
            && let Ok(Some(claim)) = self.claim()
        {
            // Some of it: the spool is locked, and nothing is drained meanwhile. The next goes on.
            let _ = self.make_room(&claim);
        }
    }

    fn look(&mut self) -> Vec<File> {
        let files = self.list().unwrap_or_default();
        self.counters.bytes_on_disk = files.iter().map(|file| file.bytes).sum();
        self.counters.files_on_disk = files.len() as u64;
        files
    }

    /// Near the limit, merges some old minutes into a coarser one; gives up the oldest if there is
    /// nothing to merge and the limit is passed. Tells whether there is more to do. After an error
    /// nothing may be packed under this claim.
    pub fn make_room(&mut self, claim: &Claim<S::Lock>) -> io::Result<bool> {
        if claim.of_memory_alone() {
            return Ok(false);
        }
        let mut files = self.look();
        let high = self.limit_bytes / 4 * 3;
        if self.counters.bytes_on_disk <= high && files.len() <= MANY_FILES {
            return Ok(false);
        }
        let mut budget = BYTES_AT_ONCE;
        let mut periods: Vec<File> =
            files.iter().filter(|file| !file.is_parcel() && !file.alone).cloned().collect();
        periods.retain(|file| self.is_clear(file));
        // Down to a half, so that the next time is not soon.
        while self.counters.bytes_on_disk > self.limit_bytes / 2
            || self.counters.files_on_disk as usize > MANY_FILES / 2
        {
            let extents: Vec<_> = periods.iter().map(|file| (file.first, file.last)).collect();
            let Some(group) = next_group(&extents) else { break };
            // From the back, so that what is left keeps its places.
            let group: Vec<File> = group.into_iter().rev().map(|at| periods.remove(at)).collect();
            let bytes: u64 = group.iter().map(|file| file.bytes).sum();
            match self.merge_files(group)? {
                Merge::Done(merged) => {
                    let at = periods.partition_point(|file| file.first < merged.first);
                    periods.insert(at, merged);
                }
                // Not counted: it would be the same next time, and never end.
                Merge::TooFew => continue,
                Merge::NoRoom => break,
            }
            if budget < bytes {
                self.look();
                return Ok(true);
            }
            budget -= bytes;
        }
        files = self.look();
        // A parcel without its sources, or these without it, would count anew: both or none.
        let all_removed = self.spent.is_empty();
        files.retain(|file| self.is_clear(file) && (all_removed || !file.is_parcel()));
        for file in files {
            if self.counters.bytes_on_disk <= self.limit_bytes {
                break;
            }
            self.counters.spans_given_up += file.spans;
            self.counters.bytes_on_disk -= file.bytes;
            self.counters.files_on_disk -= 1;
            self.discard([file.name].into_iter());
        }
        Ok(false)
    }

    /// Makes one file of several, which it replaces. An error: it may count already, and its
    /// sources be there still; the next claim finishes it.
    pub(super) fn merge_files(&mut self, files: Vec<File>) -> io::Result<Merge> {
        let (mut merged, mut sources, mut last) = (None, Vec::new(), Minute(0));
        let mut bytes_before = 0;
        let whole = contained(|| {
            for file in files {
                let Some(period) = self.load_period(&file) else { continue };
                merged = merge(merged.take(), period);
                last = last.max(file.last);
                bytes_before += file.bytes;
                sources.push(file.name);
            }
        });
        if whole.is_none() {
            // They stay as they are.
            self.counters.faults += 1;
            return Ok(Merge::TooFew);
        }
        let (Some(period), Some(dir), true) = (merged, &self.dir, sources.len() > 1) else {
            return Ok(Merge::TooFew);
        };
        self.sequence += 1;
        let (first, spans) = (period.minute(), period.spans());
        let last = last.max(period.last_minute());
        let stem = name::merged(first, last, &self.signature, self.sequence, spans);
        let merging = format!("{stem}{MERGING}");
        let count = sources.len() as u64;
        let whole = Merged { sources, period };
        let body = frame::encode(&serde_json::to_vec(&whole)?);
        if dir.write_durably(&merging, &body).is_err() {
            self.counters.write_errors += 1;
            return dir.remove(&merging).map(|()| Merge::NoRoom);
        }
        self.replace_by(&merging, &whole.sources)?;
        let bytes = body.len() as u64;
        self.counters.files_merged += count;
        self.counters.files_on_disk = (self.counters.files_on_disk + 1).saturating_sub(count);
        self.counters.bytes_on_disk =
            (self.counters.bytes_on_disk + bytes).saturating_sub(bytes_before);
        let name = merging.replace(MERGING, name::MERGED);
        Ok(File::of(name, bytes).map_or(Merge::TooFew, Merge::Done))
    }
}

/// What came of a merge.
pub(super) enum Merge {
    Done(File),
    /// The others were damaged, or cannot be read now.
    TooFew,
    /// It could not be written: nothing has changed.
    NoRoom,
}
