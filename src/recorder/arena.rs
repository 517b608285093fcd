//! Where segments lie: in a file that outlives the process, or in memory when there is none.
//!
//! The file: one page of [`FileHeader`], then chunks of sixteen segments, each allocated on disk
//! before it is mapped, so that a full disk is an error and not a signal. Its owner holds its lock;
//! a file whose lock is free is a dead process's, and whoever locks it may recover it.

use super::process::current;
use super::segment::{SEGMENT_BYTES, Segment};
use crate::sys::dir::{Dir, Lock};
use crate::sys::host;
use crate::sys::memory::{self, Region};
use std::io;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Segments that come into being together.
pub(super) const CHUNK: usize = 16;
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
    /// The number of the last checkpoint that counts. Storing it is what commits one.
    committed: AtomicU32,
    /// Who owned it, for people.
    process: AtomicU32,
}

/// A segment file, open, locked and ours.
#[derive(Debug)]
pub struct SegmentFile {
    dir: Dir,
    name: String,
    lock: Lock,
    header: Region,
    chunks: Mutex<Vec<Region>>,
}

impl SegmentFile {
    /// Makes a new file of an unused name.
    pub fn create(dir: Dir, name: String) -> io::Result<SegmentFile> {
        let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
        let lock = dir.try_lock(&name)?.ok_or_else(taken)?;
        let made = memory::allocate(lock.as_fd(), 0, PAGE as u64).and_then(|()| map_header(&lock));
        let header = made.inspect_err(|_| {
            let _ = dir.remove(&name);
        })?;
        let file = SegmentFile { dir, name, lock, header, chunks: Mutex::default() };
        let header = file.header();
        header.version.store(VERSION, Ordering::Relaxed);
        header.segment_bytes.store(SEGMENT_BYTES as u32, Ordering::Relaxed);
        header.process.store(host::process_id(), Ordering::Relaxed);
        // Last: a file that is half made is none.
        header.magic.store(MAGIC, Ordering::Release);
        Ok(file)
    }

    /// Opens a dead process's file; `None` while its owner lives, or another process recovers it.
    pub fn adopt(dir: Dir, name: String) -> io::Result<Option<SegmentFile>> {
        let Some(lock) = dir.try_lock(&name)? else { return Ok(None) };
        let size = lock.size()?;
        if size < PAGE as u64 {
            // Its process died before it was made; or it vanished, and locking made it anew.
            dir.remove(&name)?;
            return Ok(None);
        }
        let chunks = (size - PAGE as u64) / CHUNK_BYTES as u64;
        let header = map_header(&lock)?;
        let file = SegmentFile { dir, name, lock, header, chunks: Mutex::default() };
        let head = file.header();
        if head.magic.load(Ordering::Acquire) != MAGIC {
            // Its process died while making it: nothing was recorded.
            file.discard();
            return Ok(None);
        }
        if head.version.load(Ordering::Relaxed) != VERSION
            || head.segment_bytes.load(Ordering::Relaxed) != SEGMENT_BYTES as u32
        {
            let why = "a segment file of another version";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        for _ in 0..chunks {
            file.map_chunk()?;
        }
        Ok(Some(file))
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
        self.header().committed.load(Ordering::Acquire)
    }

    /// From here on, checkpoint `number` counts, whatever happens to the process.
    pub fn commit(&self, number: u32) {
        self.header().committed.store(number, Ordering::Release);
    }

    /// Adds a chunk to the file and maps it.
    fn grow(&self) -> io::Result<Region> {
        let chunks = self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len();
        memory::allocate(self.lock.as_fd(), offset_of(chunks), CHUNK_BYTES as u64)?;
        self.map_chunk()
    }

    fn map_chunk(&self) -> io::Result<Region> {
        let mut chunks = self.chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let region = take_region()?;
        // SAFETY: a spare region, which nobody uses.
        unsafe { memory::share(region, self.lock.as_fd(), offset_of(chunks.len())) }
            .inspect_err(|_| give_region(region))?;
        chunks.push(region);
        Ok(region)
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
        let _ = self.dir.rename(&self.name, &format!("{}.damaged", self.signature()));
        self.let_go();
    }

    /// Unmaps the file. Its lock ends with this value.
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
    }
}

fn offset_of(chunk: usize) -> u64 {
    (PAGE + chunk * CHUNK_BYTES) as u64
}

fn map_header(lock: &Lock) -> io::Result<Region> {
    let region = memory::reserve(PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: just reserved.
    unsafe { memory::share(region, lock.as_fd(), 0) }?;
    Ok(region)
}

fn take_region() -> io::Result<Region> {
    let spare = current().spare.pop();
    spare.or_else(|| memory::reserve(CHUNK_BYTES)).ok_or(io::ErrorKind::OutOfMemory.into())
}

fn give_region(region: Region) {
    // A full spare list only wastes addresses.
    let _ = current().spare.push(region);
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

    /// Gives everything back, and removes the file. After the recorder is retired and drained.
    pub(super) fn discard(&self) {
        if let Some(file) = &self.file {
            file.discard();
        }
        let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        memory.drain(..).for_each(give_region);
    }
}
