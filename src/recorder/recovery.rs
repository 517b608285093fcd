//! What a dead process left in its segment file.

use super::arena::SegmentFile;
use super::drain::each_record;
use super::segment::{Purpose, Segment};
use crate::model::NameId;
use crate::record::{Names, Record};

/// The names of a dead process, under its ids.
#[derive(Debug, Default)]
pub struct RecoveredNames(Vec<String>);

impl Names for RecoveredNames {
    fn name(&self, id: NameId) -> Option<&str> {
        match id.0.checked_sub(1) {
            None => Some(""),
            Some(at) => self.0.get(at as usize).map(String::as_str),
        }
    }
}

/// What a recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records handed on.
    pub records: u64,
    /// Segments that could be read in part only, or whose head cannot be believed.
    pub damaged: u64,
}

impl SegmentFile {
    /// Hands on every record that the last checkpoint does not cover.
    pub fn recover(&self, mut each: impl FnMut(&Record<'_>, &RecoveredNames)) -> Recovered {
        let committed = self.committed();
        let mut found = Recovered { damaged: self.unread, ..Recovered::default() };
        if self.is_recovered() {
            found.damaged += u64::from(self.was_damaged());
            return found;
        }
        let segments = self.segments();
        let mut names = RecoveredNames::default();
        for segment in &segments {
            // Whatever a segment says it is for: what it says may be what is damaged.
            each_record(bytes(*segment, 0), |record, _, _| {
                if let Record::Name(name) = record {
                    define(&mut names, name.id, name.text);
                }
            });
        }
        for segment in &segments {
            let holds_names = segment.purpose() == Purpose::Names;
            let (start, mut is_sound) = segment.found(committed);
            if let Some(start) = start {
                let mut is_in_place = true;
                is_sound &= each_record(bytes(*segment, start), |record, _, _| {
                    let is_name = matches!(record, Record::Name(_));
                    is_in_place &= is_name == holds_names;
                    if !is_name {
                        found.records += 1;
                        each(record, &names);
                    }
                });
                is_sound &= is_in_place;
            }
            found.damaged += u64::from(!is_sound);
        }
        found
    }
}

fn bytes(segment: Segment, start: u32) -> &'static [u8] {
    // SAFETY: a copy of ours of what a dead process wrote: nobody writes it, and it is not reset before
    // the file is let go of, after the recovery.
    unsafe { segment.published_from(start) }
}

fn define(names: &mut RecoveredNames, id: NameId, text: &[u8]) {
    let Some(at) = id.0.checked_sub(1).map(|at| at as usize) else { return };
    if at < super::NAMES {
        if names.0.len() <= at {
            names.0.resize(at + 1, String::new());
        }
        if let Some(place) = names.0.get_mut(at) {
            *place = String::from_utf8_lossy(text).into_owned();
        }
    }
}
