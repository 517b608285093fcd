use super::book::Book;
use super::ids::Ids;
use super::journal::Journal;
use super::left::Left;
use super::memory::{Memory, Metadata};
use crate::config::Secret;
use crate::core::{self, Failure, Handle};
use crate::model::{NameId, UnixNanos};
use crate::record::{AppEvent, Text};
use crate::sys::dir::Dir;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One application of one account: what `Register` names. Its core starts with its first data.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) name: String,
    pub(super) key: Secret,
    /// A word for it in logs and directories: readable, and of no other application.
    pub(super) label: String,
    book: Mutex<Book>,
    taken_over: AtomicBool,
    /// What an agent before this one was about to hand on when it was killed.
    left: Mutex<Vec<Left>>,
    /// 0 while no core runs.
    handle: AtomicU64,
    /// Held while a core starts or ends.
    changing: Mutex<()>,
    /// Unix nanoseconds.
    last_used: AtomicU64,
    /// Requests handed on in part.
    pub(super) torn: AtomicUsize,
    memory: Memory,
    /// Whether the core knows all of it.
    told: AtomicBool,
    host: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Application {
    pub(super) fn new(
        key: Secret,
        name: &str,
        label: String,
        ids: Ids,
        memory: Memory,
        journal: Journal,
    ) -> Application {
        let (book, left) = Book::new(ids, journal);
        Application {
            name: name.to_owned(),
            key,
            label,
            book: Mutex::new(book),
            taken_over: AtomicBool::new(false),
            left: Mutex::new(left),
            handle: AtomicU64::new(0),
            changing: Mutex::new(()),
            last_used: AtomicU64::new(0),
            torn: AtomicUsize::new(0),
            memory,
            told: AtomicBool::new(true),
            host: Mutex::new(None),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// Whether this is the first call.
    pub(super) fn take_over_once(&self) -> bool {
        !self.taken_over.swap(true, Ordering::AcqRel)
    }

    pub(super) fn left(&self) -> MutexGuard<'_, Vec<Left>> {
        lock(&self.left)
    }

    pub(super) fn touch(&self, now: UnixNanos) {
        self.last_used.store(now.0, Ordering::Relaxed);
    }

    pub(super) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// The running core, if there is one.
    pub(super) fn handle(&self) -> Option<Handle> {
        Some(self.handle.load(Ordering::Acquire)).filter(|handle| *handle != 0)
    }

    /// The running core, started by `start` if need be.
    pub(super) fn running(
        &self,
        start: impl FnOnce(&str) -> Result<Handle, Failure>,
    ) -> Result<Handle, Failure> {
        if let Some(handle) = self.handle() {
            if !self.told.load(Ordering::Relaxed) {
                self.tell(handle);
            }
            return Ok(handle);
        }
        let _changing = lock(&self.changing);
        if let Some(handle) = self.handle() {
            return Ok(handle);
        }
        let remembered = || self.memory.all().pop().map(|metadata| metadata.host);
        let host = lock(&self.host).clone().or_else(remembered).unwrap_or_default();
        let handle = start(&host)?;
        self.tell(handle);
        self.handle.store(handle, Ordering::Release);
        Ok(handle)
    }

    /// Tells a core all that is remembered. Where it has no room, the next record tries again.
    fn tell(&self, handle: Handle) {
        let all = self.memory.all();
        let told = all.iter().all(|said| record_metadata(handle, said.time, &said.json).is_ok());
        self.told.store(told, Ordering::Relaxed);
    }

    /// Forgets a core that has ended.
    pub(super) fn forget(&self, handle: Handle) {
        let _ = self.handle.compare_exchange(handle, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Ends the core, if it runs: delivers or stores what it has.
    pub(super) fn end(&self, timeout_ms: u32) -> Option<Result<core::Done, Failure>> {
        let _changing = lock(&self.changing);
        let handle = self.handle.swap(0, Ordering::AcqRel);
        (handle != 0).then(|| core::shutdown(handle, timeout_ms))
    }

    /// Where it runs, as far as it says so before its core starts.
    pub(super) fn note_host(&self, host: &str) {
        if !host.is_empty() {
            let mut held = lock(&self.host);
            if held.is_none() {
                *held = Some(host.chars().take(255).collect());
            }
        }
    }

    /// Remembers what it says about itself, by host, and tells the core if that runs.
    pub(super) fn describe(&self, dir: Option<&Dir>, metadata: Metadata) {
        self.note_host(&metadata.host);
        let told = self
            .handle()
            .is_none_or(|handle| record_metadata(handle, metadata.time, &metadata.json).is_ok());
        self.memory.keep(dir, &self.label, metadata);
        if !told {
            self.told.store(false, Ordering::Relaxed);
        }
    }
}

fn record_metadata(handle: Handle, time: UnixNanos, json: &str) -> Result<core::Done, Failure> {
    let event =
        AppEvent { time, kind: Text::Bytes(b"scout.metadata"), json: Text::Bytes(json.as_bytes()) };
    core::record(handle, NameId(0), |out| out.event(&event))
}
