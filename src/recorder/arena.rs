//! Where segments lie: in a file that outlives the process, or in memory when there is none.
//!
//! The file: one page of [`FileHeader`], then chunks of sixteen segments, each allocated on disk
//! before it is mapped, so that a full disk is an error and not a signal. Its owner holds its lock;
//! a file whose lock is free is a dead process's, and whoever locks it may recover it. A host that
//! closes all descriptors loses the lock until the worker renews it: so a file is left alone, too,
//! while the process that made it has it mapped.

use super::process::{Ending, current};
use super::segment::{SEGMENT_BYTES, Segment};
use crate::sys::dir::{Dir, Lock, is_of_the_disk};
use crate::sys::host;
use crate::sys::memory::{self, Region};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Segments that come into being together.
pub(super) const CHUNK: usize = if cfg!(any(loom, shuttle)) { 4 } else { 16 };
const CHUNK_BYTES: usize = CHUNK * SEGMENT_BYTES;
const PAGE: usize = 4096;
const MAGIC: u64 = u64::from_le_bytes(*b"SCOUTSEG");
const VERSION: u32 = 1;

/// The ending of segment files.
pub const SUFFIX: &str = ".segments";

/// The first page of a segment file.
#[repr(C)]
struct FileHeader {
    magic: AtomicU64,
    version: AtomicU32,
    segment_bytes: AtomicU32,
    /// The number of the last checkpoint that counts, and its complement in the upper half. Storing
    /// it is what commits one; a flipped bit in it is noticed.
    committed: AtomicU64,
    /// Who owned it.
    process: AtomicU32,
    /// The number of the checkpoint with which another process recovered all that is in it, in the
    /// form of `committed`; 0 before that.
    recovered: AtomicU64,
    /// Not 0: that recovery found damage, and the file is to be kept.
    damaged: AtomicU32,
}

fn with_complement(number: u32) -> u64 {
    u64::from(!number) << 32 | u64::from(number)
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        self.let_go();
        // Nobody refers to it any more, so the page can serve another.
        let _ = current().spare_pages.push(self.header);
    }
}

/// What became of an attempt to open a dead process's file.
#[derive(Debug)]
pub enum Adopted {
    /// It is ours.
    File(SegmentFile),
    /// Its owner lives, or another process recovers it, or there was nothing in it.
    Nothing,
    /// It was written by another version of this library: it is left alone.
    OtherVersion(u32),
    /// It is no segment file, whatever its name says, or what counts in it cannot be told: it is kept
    /// under another name.
    Unreadable,
}

/// What becomes of a file of which the disk does not give back all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// It is not opened.
    Refused,
    /// Segments that cannot be read are empty, and counted as damaged.
    Emptied,
}

/// A segment file, open, locked and ours.
#[derive(Debug)]
pub struct SegmentFile {
    dir: Dir,
    name: String,
    lock: Lock,
    header: Region,
    /// Behind an owner's are the file's bytes themselves; behind a dead process's a copy of them.
    chunks: Mutex<Vec<Region>>,
    /// Segments of a dead process that the disk does not give back.
    pub(super) unread: u64,
}

impl SegmentFile {
    /// Makes a new file of an unused name.
    pub fn create(dir: Dir, name: String) -> io::Result<SegmentFile> {
        let lock = lock_new(&dir, &name)?;
        let header = open(&lock)
            .and_then(|fd| memory::allocate(fd, 0, PAGE as u64))
            .and_then(|()| map_header(&lock))
            .inspect_err(|_| {
                let _ = dir.remove(&name);
            })?;
        let file = SegmentFile { dir, name, lock, header, chunks: Mutex::default(), unread: 0 };
        let header = file.header();
        header.version.store(VERSION, Ordering::Relaxed);
        header.segment_bytes.store(SEGMENT_BYTES as u32, Ordering::Relaxed);
        header.committed.store(with_complement(0), Ordering::Relaxed);
        header.process.store(host::process_id(), Ordering::Relaxed);
        // Last: a file that is half made is none.
        header.magic.store(MAGIC, Ordering::Release);
        Ok(file)
    }

    /// Opens a dead process's file.
    pub fn adopt(dir: Dir, name: String, gaps: Gaps) -> io::Result<Adopted> {
        let Some(lock) = dir.try_lock(&name)? else { return Ok(Adopted::Nothing) };
        let size = lock.size()?;
        if size < PAGE as u64 {
            // Its process died before it was made; or it vanished, and locking made it anew.
            dir.remove(&name)?;
            return Ok(Adopted::Nothing);
        }
        // Before it is mapped here: a process's id may have come to be that of a thread of ours. What
        // this process itself had mapped, it had locked; or it has become another program since.
        let owner = match lock.read_u32(std::mem::offset_of!(FileHeader, process)) {
            Err(error) if gaps == Gaps::Emptied && is_of_the_disk(&error) => {
                dir.rename(&name, &damaged_name(&name))?;
                return Ok(Adopted::Unreadable);
            }
            owner => owner?,
        };
        if owner != host::process_id() && host::has_mapped(owner, &name) {
            return Ok(Adopted::Nothing);
        }
        let chunks = (size - PAGE as u64) / CHUNK_BYTES as u64;
        let header = map_header(&lock)?;
        let mut file = SegmentFile { dir, name, lock, header, chunks: Mutex::default(), unread: 0 };
        let head = file.header();
        let magic = head.magic.load(Ordering::Acquire);
        let version = head.version.load(Ordering::Relaxed);
        let segment_bytes = head.segment_bytes.load(Ordering::Relaxed);
        if magic == 0 && version == 0 {
            // Its process died while making it: nothing was recorded.
            file.discard();
            return Ok(Adopted::Nothing);
        }
        let is_readable = |file: &SegmentFile| {
            let is_whole = |number: u64| number == with_complement(number as u32);
            let recovered = file.header().recovered.load(Ordering::Relaxed);
            is_whole(file.header().committed.load(Ordering::Relaxed))
                && (recovered == 0 || is_whole(recovered))
        };
        if magic != MAGIC || (version == VERSION && !is_readable(&file)) {
            file.set_aside();
            return Ok(Adopted::Unreadable);
        }
        if version != VERSION || segment_bytes != SEGMENT_BYTES as u32 {
            file.let_go();
            return Ok(Adopted::OtherVersion(version));
        }
        for _ in 0..chunks {
            file.read_chunk(gaps)?;
        }
        Ok(Adopted::File(file))
    }

    /// Holds on to the lock, whatever the process does to its descriptors. Every now and then, by
    /// the file's owner.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it; `NotFound` when the file is gone.
    pub fn renew(&self) -> io::Result<()> {
        self.lock.renew(&self.dir, &self.name)
    }

    fn header(&self) -> &FileHeader {
        // SAFETY: a mapped page of ours, zeroed or written by this code; any bytes are valid.
        unsafe { self.header.start.cast::<FileHeader>().as_ref() }
    }

    /// What the spool's files of this owner are signed with.
    pub fn signature(&self) -> &str {
        self.name.strip_suffix(SUFFIX).unwrap_or(&self.name)
    }

    /// The number of the last checkpoint that counts.
    pub fn committed(&self) -> u32 {
        self.header().committed.load(Ordering::Acquire) as u32
    }

    /// From here on, checkpoint `number` counts, whatever happens to the process.
    pub fn commit(&self, number: u32) {
        self.header().committed.store(with_complement(number), Ordering::Release);
    }

    /// From here on nothing counts that is in its segments: all of it is in checkpoint `number`. With
    /// `damaged`, it is remembered that not all of it could be read.
    pub fn commit_recovery(&self, number: u32, damaged: bool) {
        self.header().damaged.store(damaged.into(), Ordering::Relaxed);
        self.header().recovered.store(with_complement(number), Ordering::Release);
        self.commit(number);
    }

    /// Whether a recovery that is committed found damage.
    pub(super) fn was_damaged(&self) -> bool {
        self.header().damaged.load(Ordering::Relaxed) != 0
    }

    /// Whether it was recovered before, and that is committed: nothing in its segments counts.
    pub fn is_recovered(&self) -> bool {
        self.header().recovered.load(Ordering::Acquire) == with_complement(self.committed())
    }

    /// Makes what is in it outlive the machine: the last checkpoint before what it made safe elsewhere
    /// is given its name, or both might count after a loss of power.
    pub fn sync(&self) -> io::Result<()> {
        self.lock.sync()
    }

    /// Adds a chunk to the file and maps it.
    fn grow(&self) -> io::Result<Region> {
        let chunks = self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len();
        if self.lock.fd().is_none() {
            self.renew()?;
        }
        memory::allocate(open(&self.lock)?, offset_of(chunks), CHUNK_BYTES as u64)?;
        self.map_chunk()
    }

    fn map_chunk(&self) -> io::Result<Region> {
        let mut chunks = self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let region = take_region()?;
        let shared = open(&self.lock).and_then(|fd| {
            // SAFETY: a spare region, which nobody uses.
            unsafe { memory::share(region, fd, offset_of(chunks.len())) }
        });
        shared.inspect_err(|_| give_region(region))?;
        chunks.push(region);
        Ok(region)
    }

    /// Reads a dead process's next chunk, segment by segment. Behind a mapping, what the disk does not
    /// give back would be a SIGBUS.
    fn read_chunk(&mut self, gaps: Gaps) -> io::Result<()> {
        let region = take_region()?;
        let chunks = self.chunks.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let offset = offset_of(chunks.len());
        chunks.push(region);
        // SAFETY: a spare region, which nobody else uses, but that a late thread may look at the state in
        // a head, and find no stamp of its own; any bytes are valid.
        let bytes = unsafe { std::slice::from_raw_parts_mut(region.start.as_ptr(), region.len) };
        for (at, segment) in bytes.chunks_mut(SEGMENT_BYTES).enumerate() {
            match self.lock.read_at(segment, offset + (at * SEGMENT_BYTES) as u64) {
                Ok(()) => {}
                Err(error) if gaps == Gaps::Emptied && is_of_the_disk(&error) => {
                    segment.fill(0);
                    self.unread += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// All its segments, in order.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let chunks = self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        chunks.iter().flat_map(|chunk| segments_of(*chunk)).collect()
    }

    /// Removes the file and lets go of it. What was in it is gone.
    pub fn discard(&self) {
        let _ = self.dir.remove(&self.name);
        self.let_go();
    }

    /// Keeps the file to be looked at, under another name.
    pub fn set_aside(&self) {
        let _ = self.dir.rename(&self.name, &damaged_name(&self.name));
        self.let_go();
    }

    /// Unmaps, unlocks and closes the file.
    pub fn let_go(&self) {
        let mut chunks = self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for region in chunks.drain(..) {
            // A late thread may still look at a segment here: it must find memory, and no stamp of
            // its own in it.
            // SAFETY: nobody writes any more: the recorder is retired, or was a dead process's.
            if unsafe { memory::unshare(region) }.is_ok() {
                give_region(region);
            }
        }
        // Mapped, a removed file would keep its place on the disk. The page itself stays ours, and
        // reads as zeros.
        // SAFETY: as above.
        let _ = unsafe { memory::unshare(self.header) };
        self.lock.release();
        self.dir.close();
    }
}

/// What a file is called that is only to be looked at.
fn damaged_name(name: &str) -> String {
    format!("{}.damaged", name.strip_suffix(SUFFIX).unwrap_or(name))
}

fn offset_of(chunk: usize) -> u64 {
    (PAGE + chunk * CHUNK_BYTES) as u64
}

/// Another process that looks for dead ones' files may find ours before we have it locked. It takes
/// it for a dead one's, and removes it: then we make another.
fn lock_new(dir: &Dir, name: &str) -> io::Result<Lock> {
    for _ in 0..100 {
        if let Some(lock) = dir.try_lock(name)? {
            return Ok(lock);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn open(lock: &Lock) -> io::Result<BorrowedFd<'_>> {
    lock.fd().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host closed the file"))
}

fn map_header(lock: &Lock) -> io::Result<Region> {
    let fd = open(lock)?;
    let spare = current().spare_pages.pop();
    let region = spare.or_else(|| memory::reserve(PAGE)).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: just reserved, or given back by a file that is gone.
    unsafe { memory::share(region, fd, 0) }?;
    Ok(region)
}

fn take_region() -> io::Result<Region> {
    let spare = spare().pop();
    spare.or_else(|| memory::reserve(CHUNK_BYTES)).ok_or(io::ErrorKind::OutOfMemory.into())
}

fn give_region(region: Region) {
    // A full spare list only wastes addresses.
    let _ = spare().push(region);
}

#[cfg(not(any(loom, shuttle)))]
fn spare() -> &'static crossbeam_queue::ArrayQueue<Region> {
    &current().spare
}

// Addresses are no part of what is checked: they serve the next execution.
#[cfg(any(loom, shuttle))]
fn spare() -> &'static crossbeam_queue::ArrayQueue<Region> {
    static SPARE: std::sync::LazyLock<crossbeam_queue::ArrayQueue<Region>> =
        std::sync::LazyLock::new(|| crossbeam_queue::ArrayQueue::new(64));
    &SPARE
}

pub(super) fn segments_of(region: Region) -> impl Iterator<Item = Segment> {
    (0..CHUNK).map(move |index| {
        // SAFETY: within the region, which is mapped for ever, and aligned to its pages.
        unsafe { Segment::at(region.start.add(index * SEGMENT_BYTES)) }
    })
}

/// Where a recorder gets its segments from.
#[derive(Debug)]
pub(super) struct Arena {
    pub(super) file: Option<SegmentFile>,
    /// Chunks in memory, because there is no file or it cannot grow.
    memory: Mutex<Vec<Region>>,
    pub(super) chunks_in_memory: AtomicU64,
}

impl Arena {
    pub(super) fn new(file: Option<SegmentFile>) -> Arena {
        Arena { file, memory: Mutex::default(), chunks_in_memory: AtomicU64::new(0) }
    }

    /// A new chunk: in the file if that is possible.
    pub(super) fn grow(&self) -> io::Result<Region> {
        if let Some(Ok(region)) = self.file.as_ref().map(SegmentFile::grow) {
            return Ok(region);
        }
        let region = take_region()?;
        self.chunks_in_memory.fetch_add(1, Ordering::Relaxed);
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(region);
        Ok(region)
    }

    /// Gives everything back. After the recorder is retired and drained.
    pub(super) fn release(&self, ending: Ending) {
        match (&self.file, ending) {
            (Some(file), Ending::Done) => file.discard(),
            (Some(file), Ending::Left) => file.let_go(),
            (None, _) => {}
        }
        let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        memory.drain(..).for_each(give_region);
    }
}
