//! The recorder's own code under a model checker: whatever the order in which threads come, what was
//! accepted is drained exactly once.
//!
//! loom plays through every order up to a bound of preemptions, and what the memory model lets each
//! thread see: a missing release or fence is found. shuttle plays random orders of larger cases,
//! `SCHEDULES` of each. `make interleavings` runs both.

use super::process::current;
use super::segment::SEGMENT_BYTES;
use super::*;
use crate::record::{MAX_STRING, Tag, TagValue, Text};
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::thread::{JoinHandle, spawn};
#[cfg(shuttle)]
use shuttle::thread::{JoinHandle, spawn};

/// Which slot of the process; one recorder in each execution.
const SLOT: usize = 0;
const STAMP: u64 = 7;
/// Records of the large kind: three of them fill a segment.
const LARGE: &[u8] = &[b'x'; MAX_STRING];

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// All orders with at most `preemptions` changes of thread that nothing but the scheduler asked for.
#[cfg(loom)]
fn check(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(number("PREEMPTIONS", preemptions));
    builder.max_branches = 100_000;
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = executions.clone();
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        body();
    });
    println!("{} orders", executions.load(std::sync::atomic::Ordering::Relaxed));
}

/// Random orders, half of them with few changes at places of weight (PCT; Burckhardt et al. 2010).
#[cfg(shuttle)]
fn check(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let schedules = number("SCHEDULES", 4_000);
    let body = std::sync::Arc::new(body);
    let again = body.clone();
    shuttle::check_random(move || body(), schedules / 2);
    shuttle::check_pct(move || again(), schedules / 2, preemptions);
    println!("{schedules} orders");
}

/// More threads and more rounds where orders are drawn, not all played through.
const fn scaled(loom: u64, shuttle: u64) -> u64 {
    if cfg!(loom) { loom } else { shuttle }
}

struct Model {
    recorder: &'static Recorder,
    drainer: Drainer,
    drained: Vec<u64>,
}

/// A recorder with room for so many segments.
fn model(segments: usize) -> Model {
    let recorder = Recorder::new(STAMP, segments * SEGMENT_BYTES, NameTable::default(), None);
    let recorder: &'static Recorder = Box::leak(Box::new(recorder));
    install(SLOT, recorder);
    Model { recorder, drainer: recorder.drainer().unwrap(), drained: Vec::new() }
}

/// Whether it was accepted.
fn put(id: u64) -> bool {
    fixture::put(SLOT, STAMP, id, &[]).is_ok()
}

/// As `put`, filling the most part of a segment.
fn put_large(id: u64) -> bool {
    let value = TagValue::Str { text: Text::Bytes(LARGE), truncated: false };
    let tag = Tag { key: Text::Bytes(b"large"), value };
    fixture::put(SLOT, STAMP, id, &[tag; 3]).is_ok()
}

/// What the system does when a thread has ended.
fn end() {
    let record = std::ptr::from_ref(thread::mine()).cast_mut().cast();
    // SAFETY: this thread's record, leaked; the thread records no more.
    unsafe { thread::on_exit(record) };
}

impl Model {
    fn drain(&mut self) {
        self.drained.extend(fixture::drain(&mut self.drainer, self.recorder));
    }

    /// The last drain, once all have ended; what was accepted, in any order, is what was drained.
    fn settle(&mut self, accepted: impl IntoIterator<Item = u64>) {
        self.drain();
        let mut accepted: Vec<u64> = accepted.into_iter().collect();
        accepted.sort_unstable();
        self.drained.sort_unstable();
        assert_eq!(self.drained, accepted, "drained and accepted");
        assert_eq!(self.recorder.counters.unreadable.load(std::sync::atomic::Ordering::Relaxed), 0);
        // Its addresses serve the next execution.
        self.recorder.release_segments(Ending::Done);
    }
}

/// Of those ids, the ones that were accepted.
fn accepted(ids: impl IntoIterator<Item = u64>, put: impl Fn(u64) -> bool) -> Vec<u64> {
    ids.into_iter().filter(|&id| put(id)).collect()
}

/// Threads that each record so many, the n-th the ids from ten times n on.
fn writers(threads: u64, each: u64, put: fn(u64) -> bool) -> Vec<JoinHandle<Vec<u64>>> {
    let first = |thread| thread * 10;
    let write = |thread| spawn(move || accepted(first(thread)..first(thread) + each, put));
    (0..threads).map(write).collect()
}

/// What all of them had accepted.
fn joined(writers: Vec<JoinHandle<Vec<u64>>>) -> Vec<u64> {
    writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
}

#[test]
fn what_is_drained_was_written_whole() {
    check(3, || {
        let mut model = model(2);
        let writer = spawn(|| accepted(1..=scaled(2, 6), put));
        model.drain();
        model.drain();
        model.settle(writer.join().unwrap());
    });
}

#[test]
fn two_threads_have_their_own_segments_and_orders() {
    check(3, || {
        let mut model = model(4);
        let threads = writers(scaled(2, 3), scaled(1, 4), put);
        model.drain();
        let all = joined(threads);
        assert_eq!(all.len() as u64, scaled(2, 12), "there was room for all");
        for thread in 0..3 {
            let own = |id: &&u64| **id / 10 == thread;
            assert!(model.drained.iter().filter(own).is_sorted(), "in the thread's order");
        }
        model.settle(all);
    });
}

#[test]
fn no_record_is_accepted_after_a_retirement_and_left() {
    check(3, || {
        let mut model = model(2);
        let writer = spawn(|| accepted(1..=scaled(2, 5), put));
        let far = Instant::now() + Duration::from_secs(600);
        assert!(retire(SLOT, model.recorder, far));
        // From here on there is nothing new: one drain has all of it.
        model.drain();
        let found = model.drained.len();
        model.settle(writer.join().unwrap());
        assert_eq!(model.drained.len(), found, "accepted after the recorder was retired");
    });
}

#[test]
fn whoever_records_into_a_doze_wakes_the_drainer() {
    check(2, || {
        let mut model = model(2);
        let threads = writers(scaled(2, 3), scaled(1, 3), put);
        let quiet = doze(SLOT, model.recorder, Duration::from_secs(600));
        assert!(quiet, "no call lasts for ever");
        model.drain();
        let found = model.drained.len();
        let all = joined(threads);
        assert_eq!(all.len() as u64, scaled(2, 9), "a doze refuses nothing");
        let woken = awake(SLOT, model.recorder);
        model.settle(all);
        assert!(woken || model.drained.len() == found, "recorded, and the drainer sleeps on");
    });
}

#[test]
fn what_an_ended_thread_left_is_gone_on_in_or_taken_away() {
    check(3, || {
        let mut model = model(2);
        // So few are left that the drain takes away what ended threads leave.
        while model.recorder.available() > 3 {
            model.recorder.free.pop().unwrap();
        }
        let first = spawn(|| {
            let own = accepted([1], put);
            end();
            own
        });
        let second = spawn(|| {
            let own = accepted(11..=10 + scaled(1, 4), put);
            end();
            own
        });
        model.drain();
        if cfg!(shuttle) {
            model.drain();
        }
        let mut all = first.join().unwrap();
        all.extend(second.join().unwrap());
        model.settle(all);
    });
}

#[test]
fn full_segments_are_handed_over_and_come_back() {
    check(3, || {
        let mut model = model(2);
        let writer = spawn(|| accepted(1..=scaled(3, 8), put_large));
        model.drain();
        model.drain();
        model.settle(writer.join().unwrap());
    });
}

#[test]
fn threads_without_segments_share_one_and_lose_nothing() {
    check(3, || {
        let mut model = model(2);
        let threads = writers(scaled(2, 4), scaled(2, 5), put_large);
        model.drain();
        let all = joined(threads);
        model.settle(all);
    });
}

#[test]
fn a_recorder_in_anothers_place_gets_its_own_records_only() {
    check(3, || {
        let mut old = model(2);
        let writer = spawn(|| accepted(1..=scaled(2, 4), put));
        let far = Instant::now() + Duration::from_secs(600);
        assert!(retire(SLOT, old.recorder, far));
        let next = Recorder::new(STAMP + 1, 2 * SEGMENT_BYTES, NameTable::default(), None);
        let next: &'static Recorder = Box::leak(Box::new(next));
        install(SLOT, next);
        assert_eq!(current().slots[SLOT].recorder.get().map(|held| held.stamp), Some(STAMP + 1));
        old.settle(writer.join().unwrap());
        let mut drainer = next.drainer().unwrap();
        assert_eq!(drainer.drain(next, |_| {}).records, 0, "a record under the old handle");
        next.release_segments(Ending::Done);
    });
}
