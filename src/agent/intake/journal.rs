use crate::sys::dir::Dir;
use crate::sys::mapped::Mapped;
use std::collections::HashMap;
use std::io;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const MAGIC: &[u8; 8] = b"SCOUTOPN";
/// Magic, and the number under which the entries that count are signed.
const HEADER: usize = 16;
/// An entry's length and checksum.
const PREFIX: usize = 8;
/// What an entry is, and of which request.
const FIXED: usize = 9;
const SMALLEST: usize = 1 << 20;
const LARGEST: usize = 256 << 20;
/// How many requests are to be done before growing is tried again.
const PAUSE: u32 = 1000;
/// The most bytes kept of one request: a client could say the same for ever.
const MOST_OF_ONE: usize = 16 << 20;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request is kept from here on. With the time, and its client's name for it.
    Open = 1,
    /// A change to it.
    Edit = 2,
    /// It is finished, and about to be handed on. With its trace id and its end.
    Finished = 3,
    /// It is safe elsewhere.
    Done = 4,
}

/// One entry: of the request with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) payload: &'a [u8],
}

/// What was said about one application's open requests, in a file that outlives the process.
///
/// Entries are appended to memory that is the file's. Requests that are done leave theirs behind:
/// when none is left, all entries are void at one stroke; when the file is full, those that count
/// move to a new one, which takes the old one's name. Most requests come in one batch, and never
/// get here.
#[derive(Debug, Default)]
pub(super) struct Journal {
    dir: Option<Dir>,
    name: String,
    file: Option<Mapped>,
    /// Entries are signed with it: those of earlier epochs are void.
    epoch: u64,
    end: usize,
    /// Bytes of each request that is not done.
    live: HashMap<u64, usize>,
    live_bytes: usize,
    last: u64,
    scratch: Vec<u8>,
    /// It could not grow: not tried again before so many requests are done.
    stuck: u32,
}

/// There is no room, or no disk: an entry was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotKept;

impl Journal {
    /// The journal of this name, with what a dead process left in it. Nothing is made yet.
    ///
    /// Where there is no directory, or a living process has the journal, nothing is kept.
    pub(super) fn open(dir: Option<&Dir>, label: &str) -> Journal {
        let name = format!("{label}.open-requests");
        let mut journal = Journal { name, ..Journal::default() };
        let Some(dir) = dir.and_then(|dir| dir.duplicate().ok()) else { return journal };
        let there =
            dir.files().is_ok_and(|files| files.iter().any(|(name, _)| *name == journal.name));
        if there {
            match dir.try_lock(&journal.name) {
                Ok(Some(lock)) => journal.file = Mapped::whole(lock).ok(),
                // Another agent's, which lives.
                Ok(None) | Err(_) => return journal,
            }
        }
        if journal.file.as_ref().is_some_and(|file| !is_ours(file)) {
            journal.file = None;
            // Kept to be looked at.
            let _ = dir.rename(&journal.name, &format!("{}.damaged", journal.name));
        }
        journal.dir = Some(dir);
        journal.find_end();
        journal
    }

    fn find_end(&mut self) {
        let Some(file) = &self.file else { return };
        self.epoch = epoch_of(file.bytes());
        let mut entries = Entries { bytes: file.bytes(), at: HEADER, epoch: self.epoch };
        let mut live: HashMap<u64, usize> = HashMap::new();
        let mut from = HEADER;
        while let Some(entry) = entries.next() {
            self.last = self.last.max(entry.number);
            match entry.kind {
                Kind::Done => {
                    live.remove(&entry.number);
                }
                _ => *live.entry(entry.number).or_default() += entries.at - from,
            }
            from = entries.at;
        }
        self.end = entries.at;
        self.live_bytes = live.values().sum();
        self.live = live;
    }

    /// Every entry that counts, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let bytes = self.file.as_ref().map_or(&[][..], Mapped::bytes);
        let live = &self.live;
        Entries { bytes, at: HEADER, epoch: self.epoch }
            .filter(move |entry| live.contains_key(&entry.number))
    }

    /// A number for another request.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Appends an entry about a request that is not done.
    pub(super) fn keep(
        &mut self,
        kind: Kind,
        number: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), NotKept> {
        if self.dir.is_none() || self.stuck > 0 {
            return Err(NotKept);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(&[0; PREFIX]);
        scratch.push(kind as u8);
        scratch.extend_from_slice(&number.to_le_bytes());
        write(&mut scratch);
        let so_far = self.live.get(&number).copied().unwrap_or(0);
        let kept = if kind == Kind::Edit && so_far + scratch.len() > MOST_OF_ONE {
            Err(NotKept)
        } else {
            self.append(&mut scratch)
        };
        if kept.is_ok() {
            *self.live.entry(number).or_default() += scratch.len();
            self.live_bytes += scratch.len();
        }
        scratch.shrink_to(SMALLEST);
        self.scratch = scratch;
        kept
    }

    /// A request is done: what was kept of it is void.
    pub(super) fn done(&mut self, number: u64) {
        let Some(bytes) = self.live.remove(&number) else { return };
        self.live_bytes = self.live_bytes.saturating_sub(bytes);
        self.stuck = self.stuck.saturating_sub(1);
        if self.live.is_empty() {
            return self.void();
        }
        let mut entry = vec![0; PREFIX];
        entry.push(Kind::Done as u8);
        entry.extend_from_slice(&number.to_le_bytes());
        if self.append(&mut entry).is_err() {
            // Not even that fits, and no other file can be had. Under the next epoch, it would
            // come back: better that none does.
            self.live.clear();
            self.live_bytes = 0;
            self.void();
        }
    }

    /// Voids all entries, with one store.
    fn void(&mut self) {
        let Some(file) = &mut self.file else { return };
        self.epoch += 1;
        (self.end, self.stuck) = (HEADER, 0);
        if let Some(place) = file.bytes_mut().get_mut(MAGIC.len()..HEADER) {
            place.copy_from_slice(&self.epoch.to_le_bytes());
        }
    }

    /// `entry` begins with room for its prefix.
    fn append(&mut self, entry: &mut [u8]) -> Result<(), NotKept> {
        let fits =
            self.file.as_ref().is_some_and(|file| self.end + entry.len() <= file.bytes().len());
        if !fits && self.make_room(entry.len()).is_err() {
            self.stuck = PAUSE;
            return Err(NotKept);
        }
        sign(entry, self.epoch);
        let end = self.end + entry.len();
        let place = self.file.as_mut().and_then(|file| file.bytes_mut().get_mut(self.end..end));
        place.ok_or(NotKept)?.copy_from_slice(entry);
        self.end = end;
        Ok(())
    }

    /// Moves what counts to a new file.
    fn make_room(&mut self, more: usize) -> io::Result<()> {
        let needed = HEADER + self.live_bytes + more;
        let size = (needed * 4).next_power_of_two().clamp(SMALLEST, LARGEST);
        if needed + needed / 4 > size {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let dir = self.dir.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
        // Held until the name is the new file's: nobody else's journal may be replaced, nor one
        // that another agent has left behind since we looked.
        let _name = match &self.file {
            None => {
                let name = dir.try_lock(&self.name)?.ok_or_else(taken)?;
                if name.size()? > 0 {
                    return Err(taken());
                }
                Some(name)
            }
            Some(_) => None,
        };
        let temporary = format!(".{}.{}", self.name, crate::sys::host::process_id());
        dir.remove(&temporary)?;
        let lock = dir.try_lock(&temporary)?.ok_or_else(taken)?;
        let made = Mapped::of_length(lock, size).and_then(|mut file| {
            let end = self.copy_to(file.bytes_mut()).ok_or(io::ErrorKind::WriteZero)?;
            // From here on, it is the one that counts.
            dir.rename(&temporary, &self.name)?;
            Ok((file, end))
        });
        let (file, end) = made.inspect_err(|_| {
            let _ = dir.remove(&temporary);
        })?;
        (self.file, self.end) = (Some(file), end);
        // Numbers of epochs are a file's own.
        self.epoch = 0;
        Ok(())
    }

    /// Where the copy ends.
    fn copy_to(&self, to: &mut [u8]) -> Option<usize> {
        to.get_mut(..MAGIC.len())?.copy_from_slice(MAGIC);
        let mut end = HEADER;
        for entry in self.entries() {
            let len = PREFIX + FIXED + entry.payload.len();
            let place = to.get_mut(end..end + len)?;
            let (head, payload) = place.split_at_mut_checked(PREFIX + FIXED)?;
            *head.get_mut(PREFIX)? = entry.kind as u8;
            head.get_mut(PREFIX + 1..)?.copy_from_slice(&entry.number.to_le_bytes());
            payload.copy_from_slice(entry.payload);
            sign(place, 0);
            end += len;
        }
        Some(end)
    }

    /// Removes the file if nothing in it counts.
    pub(super) fn close(&mut self) {
        if let (Some(dir), true, true) = (&self.dir, self.live.is_empty(), self.file.is_some()) {
            let _ = dir.remove(&self.name);
            self.file = None;
        }
    }
}

fn is_ours(file: &Mapped) -> bool {
    file.bytes().len() >= HEADER && file.bytes().starts_with(MAGIC)
}

fn epoch_of(bytes: &[u8]) -> u64 {
    let read = bytes.get(MAGIC.len()..).and_then(|rest| rest.first_chunk());
    read.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn sign(entry: &mut [u8], epoch: u64) {
    let Some((prefix, body)) = entry.split_first_chunk_mut::<PREFIX>() else { return };
    let (len, sum) = (body.len() as u32, checksum(body, epoch));
    *prefix = (u64::from(len) << 32 | u64::from(sum)).to_le_bytes();
}

fn checksum(body: &[u8], epoch: u64) -> u32 {
    xxh3_64_with_seed(body, epoch ^ body.len() as u64) as u32
}

/// Entries up to the first that is none: where a process died, or where nothing is yet.
struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    epoch: u64,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (prefix, rest) = self.bytes.get(self.at..)?.split_first_chunk::<PREFIX>()?;
        let prefix = u64::from_le_bytes(*prefix);
        let body = rest.get(..(prefix >> 32) as usize)?;
        if body.len() < FIXED || checksum(body, self.epoch) != prefix as u32 {
            return None;
        }
        let (kind, rest) = body.split_first()?;
        let (number, payload) = rest.split_first_chunk()?;
        let kind = match kind {
            1 => Kind::Open,
            2 => Kind::Edit,
            3 => Kind::Finished,
            4 => Kind::Done,
            _ => return None,
        };
        self.at += PREFIX + body.len();
        Some(Entry { kind, number: u64::from_le_bytes(*number), payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::Trust;

    struct Place(std::path::PathBuf, Dir);

    impl Place {
        fn new(name: &str) -> Place {
            let path =
                std::env::temp_dir().join(format!("scout-journal-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            let dir = Dir::create(&path, Trust::Given).unwrap();
            Place(path, dir)
        }

        /// As a process finds it whose predecessor was killed.
        fn open(&self) -> Journal {
            Journal::open(Some(&self.1), "shop")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn keep(journal: &mut Journal, kind: Kind, number: u64, payload: &[u8]) -> Result<(), NotKept> {
        journal.keep(kind, number, |out| out.extend_from_slice(payload))
    }

    fn shown(journal: &Journal) -> Vec<(Kind, u64, Vec<u8>)> {
        let own = |entry: Entry<'_>| (entry.kind, entry.number, entry.payload.to_vec());
        journal.entries().map(own).collect()
    }

    #[test]
    fn what_is_not_done_outlives_its_process() {
        let place = Place::new("outlives");
        let mut first = place.open();
        assert!(place.1.files().unwrap().is_empty(), "nothing is made before it is needed");
        let (a, b) = (first.number(), first.number());
        keep(&mut first, Kind::Open, a, b"a").unwrap();
        keep(&mut first, Kind::Open, b, b"b").unwrap();
        keep(&mut first, Kind::Edit, a, b"one").unwrap();
        keep(&mut first, Kind::Edit, b, b"two").unwrap();
        first.done(a);
        drop(first);
        let mut second = place.open();
        let expected = [(Kind::Open, b, b"b".to_vec()), (Kind::Edit, b, b"two".to_vec())];
        assert_eq!(shown(&second), expected);
        assert_eq!(second.number(), b + 1);
        second.done(b);
        drop(second);
        let mut third = place.open();
        assert_eq!(shown(&third), []);
        third.close();
        assert!(place.1.files().unwrap().is_empty());
    }

    #[test]
    fn void_entries_never_come_back() {
        let place = Place::new("void");
        let mut journal = place.open();
        for payload in [&b"old entry 1"[..], b"old entry 2", b"old entry 3"] {
            keep(&mut journal, Kind::Edit, 1, payload).unwrap();
        }
        journal.done(1);
        // Exactly over the first of them: what follows is a whole entry, of another epoch.
        keep(&mut journal, Kind::Edit, 2, b"new entry 1").unwrap();
        drop(journal);
        assert_eq!(shown(&place.open()), [(Kind::Edit, 2, b"new entry 1".to_vec())]);
    }

    #[test]
    fn a_damaged_end_costs_only_itself() {
        let place = Place::new("damaged");
        let mut journal = place.open();
        keep(&mut journal, Kind::Edit, 1, b"whole").unwrap();
        keep(&mut journal, Kind::Edit, 1, b"torn").unwrap();
        let end = journal.end;
        journal.file.as_mut().unwrap().bytes_mut()[end - 1] ^= 1;
        drop(journal);
        let mut journal = place.open();
        assert_eq!(shown(&journal).len(), 1);
        keep(&mut journal, Kind::Edit, 1, b"after").unwrap();
        drop(journal);
        assert_eq!(shown(&place.open()).len(), 2);
        std::fs::write(place.0.join("shop.open-requests"), b"SCOUT").unwrap();
        let mut journal = place.open();
        assert_eq!(shown(&journal), []);
        keep(&mut journal, Kind::Edit, 1, b"again").unwrap();
        drop(journal);
        assert_eq!(shown(&place.open()).len(), 1);
    }

    #[test]
    fn it_moves_when_it_is_full_and_stays_in_bounds() {
        let place = Place::new("full");
        let mut journal = place.open();
        keep(&mut journal, Kind::Open, 1, b"stays").unwrap();
        let long = vec![7; 60_000];
        for number in 2..2000 {
            keep(&mut journal, Kind::Edit, number, &long).unwrap();
            journal.done(number);
        }
        let size = |place: &Place| place.1.files().unwrap()[0].1;
        assert_eq!(place.1.files().unwrap().len(), 1);
        assert_eq!(size(&place), SMALLEST as u64, "120 MB went through it");
        drop(journal);
        let mut journal = place.open();
        assert_eq!(shown(&journal), [(Kind::Open, 1, b"stays".to_vec())]);
        // One request alone cannot fill it.
        let kept = (0..1000).filter(|_| keep(&mut journal, Kind::Edit, 1, &long).is_ok()).count();
        assert_eq!(kept, MOST_OF_ONE / (long.len() + PREFIX + FIXED));
        keep(&mut journal, Kind::Finished, 1, b"end").unwrap();
        assert_eq!(shown(&journal).len(), kept + 2);
    }

    #[test]
    fn without_a_place_or_with_anothers_nothing_is_kept() {
        assert_eq!(keep(&mut Journal::open(None, "shop"), Kind::Open, 1, b""), Err(NotKept));
        let place = Place::new("taken");
        let mut first = place.open();
        let mut second = place.open();
        keep(&mut first, Kind::Open, 1, b"x").unwrap();
        assert_eq!(keep(&mut second, Kind::Open, 1, b""), Err(NotKept));
        assert_eq!(keep(&mut place.open(), Kind::Open, 1, b""), Err(NotKept));
        assert_eq!(shown(&first).len(), 1);
        // Left behind in the meantime: still not ours to replace.
        let mut third = Journal { dir: place.1.duplicate().ok(), ..Journal::open(None, "shop") };
        drop(first);
        assert_eq!(keep(&mut third, Kind::Open, 1, b""), Err(NotKept));
        assert_eq!(shown(&place.open()).len(), 1);
    }
}
