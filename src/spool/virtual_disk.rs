//! A disk for tests: its writes fail, its space ends, its processes die in the middle, and its machine
//! loses power.

use super::Storage;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

/// The disk all processes share.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Files whose contents would outlive the machine.
    pub(crate) synced: BTreeSet<String>,
    locks: BTreeMap<String, u64>,
    dead: BTreeSet<u64>,
    /// Bytes there is room for.
    pub(crate) capacity: Option<usize>,
    /// Files that cannot be read, for nothing that is wrong with them.
    pub(crate) unreadable: BTreeSet<String>,
    /// One operation in this many fails.
    pub(crate) fails_one_in: Option<u64>,
    /// The process that is about to die, and after how many more operations.
    pub(crate) doomed: Option<(u64, u64)>,
    random: u64,
    /// What the machine would find after a loss of power; kept by who asks for one.
    platter: Option<Platter>,
}

/// A file's contents, whatever its name.
#[derive(Debug)]
struct Inode {
    bytes: Vec<u8>,
    synced: Cell<bool>,
}

/// What is on the disk for good, and what is on its way there. Changes of names arrive in order, as
/// journals of file systems have it; a file's contents arrive when they are synced.
#[derive(Debug, Default)]
struct Platter {
    now: BTreeMap<String, Rc<Inode>>,
    for_good: BTreeMap<String, Rc<Inode>>,
    journal: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Made(String, Rc<Inode>),
    Renamed(String, String),
    Removed(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Rc<Inode>>) {
        match self {
            Change::Made(name, inode) => {
                names.insert(name.clone(), inode.clone());
            }
            Change::Renamed(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Change::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

impl Platter {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.journal.push(change);
    }
}

impl Disk {
    pub(crate) fn shared(seed: u64) -> Rc<RefCell<Disk>> {
        Rc::new(RefCell::new(Disk { random: seed, ..Disk::default() }))
    }

    /// From now on, [`Disk::lose_power`] is possible.
    pub(crate) fn may_lose_power(&mut self) {
        self.platter = Some(Platter::default());
    }

    /// All processes die, and of what was not synced some is there, and some is not.
    pub(crate) fn lose_power(&mut self, processes: impl Iterator<Item = u64>) {
        processes.for_each(|process| self.kill(process));
        let Some(mut platter) = self.platter.take() else { return };
        let arrived = self.random() as usize % (platter.journal.len() + 1);
        for change in platter.journal.drain(..).take(arrived) {
            change.apply(&mut platter.for_good);
        }
        self.files.clear();
        self.synced.clear();
        for (name, inode) in &mut platter.for_good {
            if !inode.synced.get() {
                let len = self.random() as usize % (inode.bytes.len() + 1);
                let bytes = inode.bytes.get(..len).unwrap_or_default().to_vec();
                *inode = Rc::new(Inode { bytes, synced: Cell::new(true) });
            }
            self.files.insert(name.clone(), inode.bytes.clone());
            self.synced.insert(name.clone());
        }
        platter.now = platter.for_good.clone();
        self.platter = Some(platter);
    }

    /// Makes an empty file, whatever else fails.
    pub(crate) fn touch(&mut self, name: &str) {
        self.files.insert(name.to_owned(), Vec::new());
        let inode = Rc::new(Inode { bytes: Vec::new(), synced: Cell::new(true) });
        self.change(|| Change::Made(name.to_owned(), inode));
    }

    fn change(&mut self, change: impl FnOnce() -> Change) {
        if let Some(platter) = &mut self.platter {
            platter.change(change());
        }
    }

    pub(crate) fn is_dead(&self, process: u64) -> bool {
        self.dead.contains(&process)
    }

    pub(crate) fn kill(&mut self, process: u64) {
        self.dead.insert(process);
        self.locks.retain(|_, holder| *holder != process);
    }

    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 29)
    }

    /// Before an operation: it may fail, and its process may die.
    fn step(&mut self, process: u64) -> io::Result<()> {
        match &mut self.doomed {
            Some((doomed, 0)) if *doomed == process => {
                self.doomed = None;
                self.kill(process);
            }
            Some((doomed, left)) if *doomed == process => *left -= 1,
            _ => {}
        }
        if self.is_dead(process) {
            return Err(io::Error::other("this process is dead"));
        }
        let random = self.random();
        match self.fails_one_in {
            Some(n) if random.is_multiple_of(n) => Err(io::Error::other("injected")),
            _ => Ok(()),
        }
    }
}

/// The disk as one process sees it.
#[derive(Clone, Debug)]
pub(crate) struct VirtualDir {
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) process: u64,
}

impl VirtualDir {
    fn step(&self) -> io::Result<std::cell::RefMut<'_, Disk>> {
        let mut disk = self.disk.borrow_mut();
        disk.step(self.process)?;
        Ok(disk)
    }
}

impl Storage for VirtualDir {
    type Lock = VirtualLock;

    fn read(&self, name: &str, _: u64) -> io::Result<Vec<u8>> {
        let disk = self.step()?;
        if disk.unreadable.contains(name) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        disk.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&self, name: &str, bytes: &[u8], synced: bool) -> io::Result<()> {
        let temporary = format!(".{name}.{}.tmp", self.process);
        let written = (|| {
            self.step()?.files.insert(temporary.clone(), Vec::new());
            for part in bytes.chunks((bytes.len() / 2).max(1)) {
                let mut disk = self.step()?;
                let used: usize = disk.files.values().map(Vec::len).sum();
                let room = disk.capacity.map_or(usize::MAX, |c| c.saturating_sub(used));
                let file = disk.files.entry(temporary.clone()).or_default();
                file.extend(&part[..part.len().min(room)]);
                if part.len() > room {
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
            let mut disk = self.step()?;
            disk.change(|| {
                let inode = Inode { bytes: bytes.to_vec(), synced: Cell::new(false) };
                Change::Made(temporary.clone(), Rc::new(inode))
            });
            drop(disk);
            if synced {
                self.sync_file(&temporary)?;
            }
            self.rename(&temporary, name)
        })();
        written.inspect_err(|_| {
            let _ = self.remove(&temporary);
        })
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        if !disk.files.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.synced.insert(name.to_owned());
        if let Some(inode) = disk.platter.as_ref().and_then(|platter| platter.now.get(name)) {
            inode.synced.set(true);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.step()?;
        if let Some(platter) = &mut disk.platter {
            platter.for_good = platter.now.clone();
            platter.journal.clear();
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        let bytes = disk.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.files.insert(to.to_owned(), bytes);
        if disk.synced.remove(from) {
            disk.synced.insert(to.to_owned());
        } else {
            disk.synced.remove(to);
        }
        disk.change(|| Change::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.step()?;
        disk.files.remove(name);
        disk.change(|| Change::Removed(name.to_owned()));
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let disk = self.step()?;
        Ok(disk.files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect())
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<VirtualLock>> {
        let mut disk = self.step()?;
        if disk.locks.contains_key(name) {
            return Ok(None);
        }
        disk.locks.insert(name.to_owned(), self.process);
        Ok(Some(VirtualLock { dir: self.clone(), name: name.to_owned() }))
    }
}

/// A lock on a virtual file.
#[derive(Debug)]
pub(crate) struct VirtualLock {
    dir: VirtualDir,
    name: String,
}

impl Drop for VirtualLock {
    fn drop(&mut self) {
        let mut disk = self.dir.disk.borrow_mut();
        if disk.locks.get(&self.name) == Some(&self.dir.process) {
            disk.locks.remove(&self.name);
        }
    }
}
