//! What waiting minutes cost: written, read, merged, compacted; on the disk that `target` is on.

use crate::rows::Row;
use crate::workload::minute;
use scoutcore::engine::Period;
use scoutcore::model::Minute;
use scoutcore::payload::{Metadata, checkin};
use scoutcore::spool::{Body, Spool, Storage, unframe};
use scoutcore::sys::dir::{Dir, Lock, Trust};
use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

const MIB: f64 = (1 << 20) as f64;
const NO_LIMIT: u64 = 1 << 40;
const ROUNDS: usize = 25;
/// Processes that share a spool.
const PROCESSES: usize = 10;
/// Minutes that wait for a receiver.
const WAITING: u64 = 120;

/// A directory that says how long its fsyncs took. They come after what they make safe is named,
/// not before; that is all the difference to [`Dir`].
struct Timed {
    dir: Dir,
    fsync_us: Rc<Cell<f64>>,
}

impl Timed {
    fn apart<T>(&self, sync: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = sync();
        self.fsync_us.set(self.fsync_us.get() + micros(start));
        done
    }
}

impl Storage for Timed {
    type Lock = Lock;

    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.dir.read(name, limit)
    }
    fn write(&self, name: &str, bytes: &[u8], synced: bool) -> io::Result<()> {
        self.dir.write(name, bytes, false)?;
        if synced { self.apart(|| self.dir.sync_file(name)) } else { Ok(()) }
    }
    fn sync_file(&self, name: &str) -> io::Result<()> {
        self.apart(|| self.dir.sync_file(name))
    }
    fn sync(&self) -> io::Result<()> {
        self.apart(|| self.dir.sync())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.dir.remove(name)
    }
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        self.dir.files()
    }
    fn try_lock(&self, name: &str) -> io::Result<Option<Lock>> {
        self.dir.try_lock(name)
    }
}

pub fn run() {
    for endpoints in [1, 10, 100, 1_000] {
        one_minute(endpoints);
    }
    several_processes();
    compaction();
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// A place of its own below `target`, empty.
fn place(name: &str) -> Dir {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("spool-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    Dir::create(&path, Trust::Given).unwrap()
}

fn row(name: &str, unit: &str, note: &str, samples: Vec<f64>) {
    Row { note, ..Row::of("spool", name, unit) }.write(samples);
}

/// What a file of so many bytes is a second, at a median of so many microseconds.
fn speed(bytes: usize, samples: &[f64]) -> String {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    format!("{:.0} MB/s", bytes as f64 / sorted[sorted.len() / 2])
}

/// Samples of an action that gets a period of its own each time.
fn with_copies(period: &Period, action: impl FnMut(Period) -> f64) -> Vec<f64> {
    vec![period.clone(); ROUNDS].into_iter().map(action).collect()
}

fn one_minute(endpoints: usize) {
    let period = minute(endpoints);
    let fsync_us = Rc::new(Cell::new(0.0));
    let timed = Timed { dir: place("one"), fsync_us: fsync_us.clone() };
    let mut spool = Spool::new(Some(timed), "bench".into(), NO_LIMIT);
    let mut syncs = Vec::new();
    let whole = with_copies(&period, |copy| {
        fsync_us.set(0.0);
        let start = Instant::now();
        spool.put(copy);
        syncs.push(fsync_us.get());
        micros(start)
    });
    let rest: Vec<f64> = whole.iter().zip(&syncs).map(|(all, sync)| all - sync).collect();
    let dir = place("one-file");
    let mut plain = Spool::new(Some(dir.duplicate().unwrap()), "bench".into(), NO_LIMIT);
    plain.put(period.clone());
    let (name, bytes) = dir.files().unwrap().remove(0);
    let bytes = bytes as usize;
    let reads = with_copies(&period, |_| {
        let start = Instant::now();
        let file = dir.read(&name, NO_LIMIT).unwrap();
        let read: Period = serde_json::from_slice(unframe(&file).unwrap()).unwrap();
        let took = micros(start);
        assert!(read == period, "what was read is not what was written");
        took
    });
    let merges = with_copies(&period, |copy| {
        let mut merged = period.clone();
        let start = Instant::now();
        merged.merge(copy);
        micros(start)
    });
    let plural = if endpoints == 1 { "" } else { "s" };
    let of = |what: &str| format!("{what}, {endpoints} endpoint{plural}");
    row(&of("a minute's file"), "KiB", "", vec![bytes as f64 / 1024.0]);
    row(&of("write a minute, fsynced"), "us", &speed(bytes, &whole), whole);
    row(&of("of which fsync of file and directory"), "us", "", syncs);
    row(&of("of which the rest"), "us", &speed(bytes, &rest), rest);
    row(&of("read a minute"), "us", &speed(bytes, &reads), reads);
    row(&of("merge two minutes in memory"), "us", "", merges);
}

fn render(period: &Period, _: &str) -> Vec<Body> {
    let json = String::from_utf8(checkin(period, &Metadata::default())).unwrap();
    vec![Body { kind: "checkin".into(), entries: 1, json }]
}

/// What whoever delivers does with everyone's files of a minute.
fn several_processes() {
    let period = minute(100);
    let dir = place("several");
    let mut samples = Vec::new();
    let mut size = 0;
    for round in 0..9 {
        let mut spools: Vec<Spool<Period>> = (0..PROCESSES)
            .map(|at| {
                let dir = dir.duplicate().unwrap();
                Spool::new(Some(dir), format!("process{at}"), NO_LIMIT)
            })
            .collect();
        for spool in &mut spools {
            spool.put(period.clone());
        }
        size = dir.files().unwrap().iter().map(|(_, bytes)| *bytes as usize).sum();
        let start = Instant::now();
        let claim = spools[0].claim().unwrap().unwrap();
        assert!(spools[0].pack(&claim, period.minute, format!("id{round}"), render).unwrap());
        samples.push(micros(start) / 1e3);
        let parcel = spools[0].next_parcel(&claim, |_| false).unwrap();
        assert_eq!(parcel.spans, period.spans() * PROCESSES as u64);
        spools[0].delivered(&claim, parcel);
    }
    let note = format!(
        "claimed, read, merged, rendered, fsynced, {PROCESSES} files removed; {:.1} MiB read",
        size as f64 / MIB
    );
    let name = format!("a parcel of {PROCESSES} processes' files of one minute, 100 endpoints");
    row(&name, "ms", &note, samples);
}

/// What making room does with minutes that wait for a receiver.
fn compaction() {
    let period = minute(100);
    let (mut samples, mut note) = (Vec::new(), String::new());
    for _ in 0..5 {
        let dir = place("waiting");
        let open = |limit| Spool::new(Some(dir.duplicate().unwrap()), "bench".into(), limit);
        let mut spool: Spool<Period> = open(NO_LIMIT);
        for later in 0..WAITING {
            let mut copy = period.clone();
            copy.minute = Minute(period.minute.0 + later);
            copy.until = copy.minute;
            spool.put(copy);
        }
        let before = sizes(&dir);
        // At this limit there is room again once a quarter is gone.
        let mut spool: Spool<Period> = open(before.1);
        let claim = spool.claim().unwrap().unwrap();
        let start = Instant::now();
        while spool.make_room(&claim).unwrap() {}
        samples.push(micros(start) / 1e3);
        let after = sizes(&dir);
        let counters = spool.counters();
        assert!(after.1 <= before.1 / 4 * 3 && counters.spans_given_up == 0);
        let read = counters.files_merged * before.1 / before.0 as u64;
        note = format!(
            "{} files, {:.1} MiB, became {} files, {:.1} MiB; {:.0} MB/s read",
            before.0,
            before.1 as f64 / MIB,
            after.0,
            after.1 as f64 / MIB,
            read as f64 / 1e3 / samples[samples.len() - 1]
        );
    }
    row("compact two hours of waiting minutes by a quarter, 100 endpoints", "ms", &note, samples);
}

/// How many files that count, and their bytes.
fn sizes(dir: &Dir) -> (usize, u64) {
    let mut files = dir.files().unwrap();
    files.retain(|(name, _)| name.ends_with(".period") || name.ends_with(".merged"));
    (files.len(), files.iter().map(|(_, bytes)| bytes).sum())
}
