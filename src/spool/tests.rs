use super::*;
use crate::sys::dir::{Dir, Trust};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Count {
    minute: Minute,
    until: Minute,
    spans: u64,
}

impl Item for Count {
    fn minute(&self) -> Minute {
        self.minute
    }
    fn last_minute(&self) -> Minute {
        self.until
    }
    fn spans(&self) -> u64 {
        self.spans
    }
    fn merge(&mut self, other: Self) {
        self.minute = self.minute.min(other.minute);
        self.until = self.until.max(other.until);
        self.spans += other.spans;
    }
}

fn count(minute: u64, spans: u64) -> Count {
    Count { minute: Minute(minute), until: Minute(minute), spans }
}

const ALL: fn(Minute) -> bool = |_| true;

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("scout-spool-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn open(path: &std::path::Path, signature: u64, limit: u64) -> Spool<Count> {
    Spool::new(Some(Dir::create(path, Trust::Private).unwrap()), signature.to_string(), limit)
}

fn render(period: &Count, id: &str) -> Vec<Body> {
    vec![Body { kind: "checkin".into(), entries: 1, json: format!("{} {id}", period.spans) }]
}

fn names(path: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "lock");
    names.sort();
    names
}

#[test]
fn processes_share_one_parcel_a_minute() {
    let path = directory("share");
    let (mut one, mut two) = (open(&path, 1, 1 << 20), open(&path, 2, 1 << 20));
    assert_eq!(one.put(count(7, 3)), Safety::Disk);
    two.put(count(7, 4));
    two.put(count(8, 1));
    let claim = one.claim().unwrap().unwrap();
    assert!(two.claim().unwrap().is_none(), "one at a time");
    assert_eq!(one.minutes(&claim, |m| m < Minute(8)), [Minute(7)]);
    assert!(one.pack(&claim, Minute(7), "id".into(), render).unwrap());
    let parcel = one.next_parcel(&claim, |_| false).unwrap();
    assert_eq!((parcel.spans, parcel.bodies[0].json.as_str()), (7, "7 id"));
    one.delivered(&claim, parcel);
    assert!(one.next_parcel(&claim, |_| false).is_none());
    assert_eq!(one.minutes(&claim, |m| m < Minute(9)), [Minute(8)]);
    drop(claim);
    assert!(two.claim().unwrap().is_some());
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_crash_between_packing_and_removing_counts_nothing_twice() {
    let path = directory("crash");
    let mut spool = open(&path, 1, 1 << 20);
    spool.put(count(7, 3));
    let period = names(&path).pop().unwrap();
    let bytes = std::fs::read(path.join(&period)).unwrap();
    let claim = spool.claim().unwrap().unwrap();
    assert!(spool.pack(&claim, Minute(7), "id".into(), render).unwrap());
    // As if the process had died before it removed the source.
    std::fs::write(path.join(&period), bytes).unwrap();
    drop(claim);
    let mut next = open(&path, 2, 1 << 20);
    let claim = next.claim().unwrap().unwrap();
    let parcel = next.next_parcel(&claim, |_| false).unwrap();
    assert_eq!(parcel.spans, 3);
    assert!(next.minutes(&claim, ALL).is_empty(), "the source is gone");
    assert_eq!(next.put_back(&claim, parcel), Safety::Disk);
    assert_eq!(next.next_parcel(&claim, |_| false).unwrap().id, "id", "the id stays");
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn damaged_files_are_set_aside_and_the_rest_goes_on() {
    let path = directory("damage");
    let mut spool = open(&path, 1, 1 << 20);
    spool.put(count(7, 3));
    let victim = path.join(names(&path).pop().unwrap());
    spool.put(count(7, 4));
    let mut bytes = std::fs::read(&victim).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&victim, bytes).unwrap();
    let claim = spool.claim().unwrap().unwrap();
    assert!(spool.pack(&claim, Minute(7), "id".into(), render).unwrap());
    assert_eq!(spool.next_parcel(&claim, |_| false).unwrap().spans, 4);
    assert_eq!(spool.counters().files_damaged, 1);
    assert!(names(&path).iter().any(|name| name.ends_with(".damaged")));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn files_of_another_version_are_left_to_whoever_knows_them() {
    let path = directory("versions");
    let mut spool = open(&path, 1, 1 << 20);
    spool.put(count(7, 3));
    let theirs = path.join(names(&path).pop().unwrap());
    let mut bytes = std::fs::read(&theirs).unwrap();
    bytes[4] = 2;
    bytes.extend(b"what only version 2 can read");
    std::fs::write(&theirs, &bytes).unwrap();
    spool.put(count(7, 4));
    let claim = spool.claim().unwrap().unwrap();
    assert!(spool.pack(&claim, Minute(7), "id".into(), render).unwrap());
    let parcel = spool.next_parcel(&claim, |_| false).unwrap();
    assert_eq!(parcel.spans, 4);
    spool.delivered(&claim, parcel);
    assert!(spool.minutes(&claim, ALL).is_empty(), "nothing is left for this version to do");
    let counters = spool.counters();
    assert_eq!((counters.files_damaged, counters.files_of_other_versions), (0, 1));
    assert_eq!(std::fs::read(&theirs).unwrap(), bytes, "untouched");
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn over_its_limit_the_oldest_go_and_are_counted() {
    let path = directory("limit");
    let mut spool = open(&path, 1, 150);
    // A day each: there is nothing to merge.
    for day in 1..=9 {
        spool.put(count(1440 * day, 10));
    }
    let counters = spool.counters();
    assert!(counters.bytes_on_disk <= 150, "{counters:?}");
    assert_eq!(counters.spans_given_up + 10 * counters.files_on_disk, 90);
    let claim = spool.claim().unwrap().unwrap();
    assert_eq!(spool.minutes(&claim, ALL).last(), Some(&Minute(1440 * 9)));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn without_a_disk_memory_serves_within_bounds() {
    let mut spool = Spool::<Count>::new(None, "1".into(), 1 << 20);
    for minute in (0..200_000).step_by(20) {
        assert_eq!(spool.put(count(minute, 1)), Safety::Memory);
        spool.put(count(minute, 1));
    }
    let claim = spool.claim().unwrap().unwrap();
    let minutes = spool.minutes(&claim, ALL);
    assert!(minutes.len() <= 90);
    let mut kept = 0;
    let last = *minutes.last().unwrap();
    for minute in minutes {
        assert!(spool.pack(&claim, minute, "id".into(), render).unwrap());
        let parcel = spool.next_parcel(&claim, |_| false).unwrap();
        kept += parcel.spans;
        spool.delivered(&claim, parcel);
    }
    let given_up = spool.counters().spans_given_up;
    assert_eq!(given_up + kept, 20_000);
    assert!(given_up > 0 && kept > 2 * 60 * 72, "more than two months are kept");
    spool.put(count(last.0, 2));
    assert!(spool.pack(&claim, last, "id".into(), render).unwrap());
    let parcel = spool.next_parcel(&claim, |_| false).unwrap();
    assert_eq!(spool.put_back(&claim, parcel), Safety::Memory);
    assert!(spool.next_parcel(&claim, |_| false).is_some());
}

#[test]
fn what_a_full_disk_refused_is_written_when_there_is_room() {
    let path = directory("refused");
    let mut spool = open(&path, 1, 1 << 20);
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(spool.put(count(7, 3)), Safety::Memory);
    assert_eq!(spool.counters().write_errors, 1);
    let claim = Spool::<Count>::new(None, "1".into(), 1).claim().unwrap().unwrap();
    assert_eq!(spool.minutes(&claim, |m| m < Minute(9)), [Minute(7)], "nothing is lost");
}

#[test]
fn what_was_prepared_counts_only_if_it_was_committed() {
    let path = directory("prepared");
    let mut dead = open(&path, 7, 1 << 20);
    let committed = dead.prepare(vec![count(7, 3)], "7", 4, false);
    let other = dead.prepare(vec![count(7, 5)], "7", 5, false);
    assert_eq!((committed.safety(), other.safety()), (Safety::Disk, Safety::Disk));
    let mut next = open(&path, 8, 1 << 20);
    let claim = next.claim().unwrap().unwrap();
    assert!(next.minutes(&claim, ALL).is_empty(), "nothing counts yet");
    next.resolve("8", 9).unwrap();
    next.resolve("7", 4).unwrap();
    assert!(next.pack(&claim, Minute(7), "id".into(), render).unwrap());
    assert_eq!(next.next_parcel(&claim, |_| false).unwrap().spans, 3);
    assert!(!names(&path).iter().any(|name| name.ends_with(".pending")));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn what_cannot_be_read_now_is_not_damaged() {
    let path = directory("unreadable");
    let mut spool = open(&path, 1, 1 << 20);
    spool.put(count(7, 3));
    // Reading it fails for another reason than its contents, as without a free descriptor.
    let stuck = "0000000007-00000000000000ff-1-5.period";
    std::fs::create_dir(path.join(stuck)).unwrap();
    let claim = spool.claim().unwrap().unwrap();
    assert!(spool.pack(&claim, Minute(7), "id".into(), render).unwrap());
    assert_eq!(spool.next_parcel(&claim, |_| false).unwrap().spans, 3);
    assert_eq!(spool.counters().files_damaged, 0);
    assert!(names(&path).iter().any(|name| name == stuck), "it waits for better times");
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn much_that_cannot_be_read_does_not_keep_whoever_makes_room() {
    const MIB: u64 = 1 << 20;
    let disk = virtual_disk::Disk::shared(1);
    let dir = virtual_disk::VirtualDir { disk: disk.clone(), process: 1 };
    let mut spool: Spool<Count, _> = Spool::new(Some(dir), "a".into(), 36 * MIB);
    for minute in 0..6 {
        let name = name::period(Minute(minute), "b", 1, minute as usize, 10);
        disk.borrow_mut().files.insert(name.clone(), vec![0; 5 * MIB as usize]);
        disk.borrow_mut().unreadable.insert(name);
    }
    for minute in 0..20 {
        spool.put(count(minute, 1));
    }
    let claim = spool.claim().unwrap().unwrap();
    let mut rounds = 0;
    while spool.make_room(&claim).unwrap() {
        rounds += 1;
        assert!(rounds < 100, "it does not end");
    }
    drop(claim);
    assert_eq!(spool.counters().spans_given_up, 0, "it is within its limit");
    assert_eq!(disk.borrow().files.values().filter(|bytes| bytes.len() > 1000).count(), 6);
    assert!(spool.counters().files_merged > 0, "what can be read is merged");
}

#[test]
fn without_the_claim_it_is_known_where_things_are() {
    let path = directory("safety");
    let (mut one, mut two) = (open(&path, 1, 1 << 20), open(&path, 2, 1 << 20));
    let _claim = one.claim().unwrap().unwrap();
    two.put(count(7, 3));
    assert_eq!(two.safety(), Safety::Disk);
    std::fs::remove_dir_all(&path).unwrap();
    assert!(two.claim().is_err(), "a spool that cannot be locked is not an empty one");
    two.put(count(8, 1));
    assert_eq!(two.safety(), Safety::Memory);
    // Without a lock nobody touches files; what is in memory is nobody else's.
    let claim = two.claim().unwrap().unwrap();
    assert_eq!(two.minutes(&claim, ALL), [Minute(8)]);
    assert!(two.pack(&claim, Minute(8), "id".into(), render).unwrap());
    assert!(!two.make_room(&claim).unwrap());
    let parcel = two.next_parcel(&claim, |_| false).unwrap();
    assert_eq!(parcel.spans, 1);
    two.delivered(&claim, parcel);
    assert!(two.next_parcel(&claim, |_| false).is_none());
    assert_eq!(two.safety(), Safety::Disk);
}

#[test]
fn near_its_limit_minutes_become_coarser_and_every_count_stays() {
    let disk = virtual_disk::Disk::shared(1);
    let open = |process: u64| -> Spool<Count, virtual_disk::VirtualDir> {
        let dir = virtual_disk::VirtualDir { disk: disk.clone(), process };
        Spool::new(Some(dir), process.to_string(), 3000)
    };
    let mut spool = open(1);
    let mut expected = 0;
    for minute in 0..7 * 1440 {
        spool.put(count(minute, minute));
        expected += minute;
    }
    let counters = spool.counters();
    assert!(counters.bytes_on_disk <= 3000 && counters.files_merged > 0, "{counters:?}");
    assert_eq!(counters.spans_given_up, 0);
    let mut next = open(2);
    let claim = next.claim().unwrap().unwrap();
    let mut delivered = 0;
    for minute in next.minutes(&claim, ALL) {
        assert!(next.pack(&claim, minute, format!("id{}", minute.0), render).unwrap());
        let parcel = next.next_parcel(&claim, |_| false).unwrap();
        delivered += parcel.spans;
        next.delivered(&claim, parcel);
    }
    assert_eq!(delivered, expected);
    assert!(disk.borrow().files.is_empty());
}

/// Every bit of a spool file and every cut of it: noticed, set aside, counted, the rest delivered.
fn damage(make: impl Fn(&mut Spool<Count, virtual_disk::VirtualDir>), ending: &str) {
    let (disk, open) = virtual_spools();
    make(&mut open(1));
    let clean = disk.borrow().files.clone();
    let (name, bytes) = clean.iter().find(|(name, _)| name.ends_with(ending)).unwrap();
    let flips = (0..bytes.len() * 8).map(|bit| {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    });
    let cuts = (0..bytes.len()).map(|len| bytes[..len].to_vec());
    for (case, bad) in flips.chain(cuts).enumerate() {
        disk.borrow_mut().files = clean.clone();
        disk.borrow_mut().files.insert(name.clone(), bad);
        let mut spool = open(2);
        let delivered = deliver(&mut spool, render);
        let counters = spool.counters();
        assert_eq!((counters.files_damaged, counters.spans_damaged), (1, 3), "{name} {case}");
        assert_eq!(delivered, 4, "{name} {case}");
        let left: Vec<String> = disk.borrow().files.keys().cloned().collect();
        assert_eq!(left, [format!("{name}.damaged")], "case {case}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_every_kind_of_file_is_noticed() {
    damage(
        |spool| {
            spool.put(count(7, 3));
            spool.put(count(8, 4));
        },
        "-3.period",
    );
    damage(
        |spool| {
            spool.put(count(7, 3));
            let claim = spool.claim().unwrap().unwrap();
            spool.pack(&claim, Minute(7), "id".into(), render).unwrap();
            spool.put(count(8, 4));
        },
        ".parcel",
    );
    damage(
        |spool| {
            spool.put(count(7, 1));
            spool.put(count(7, 2));
            let files = spool.list().unwrap();
            spool.merge_files(files).unwrap();
            spool.put(count(8, 4));
        },
        ".merged",
    );
}

#[test]
fn a_flush_makes_what_only_made_room_outlive_the_machine() {
    let (disk, open) = virtual_spools();
    let mut spool = open(1);
    let prepared = spool.prepare(vec![count(7, 3)], "1", 1, false);
    spool.publish(prepared);
    assert!(disk.borrow().synced.is_empty(), "that was only to make room");
    // Nothing new: the flush is about what was there before.
    let prepared = spool.prepare(Vec::new(), "1", 2, true);
    assert_eq!(spool.publish(prepared), Safety::Disk);
    let disk = disk.borrow();
    assert!(disk.files.keys().all(|name| disk.synced.contains(name)), "{:?}", disk.files.keys());
}

/// A virtual disk, and spools of several processes on it.
fn virtual_spools() -> (
    std::rc::Rc<std::cell::RefCell<virtual_disk::Disk>>,
    impl Fn(u64) -> Spool<Count, virtual_disk::VirtualDir>,
) {
    let disk = virtual_disk::Disk::shared(1);
    let shared = disk.clone();
    let open = move |process: u64| {
        let dir = virtual_disk::VirtualDir { disk: shared.clone(), process };
        Spool::new(Some(dir), process.to_string(), 1 << 20)
    };
    (disk, open)
}

/// Claims, packs and delivers what there is; gives the spans delivered.
fn deliver(
    spool: &mut Spool<Count, virtual_disk::VirtualDir>,
    render: impl Fn(&Count, &str) -> Vec<Body>,
) -> u64 {
    let claim = spool.claim().unwrap().unwrap();
    let mut delivered = 0;
    let mut passed_over = None;
    loop {
        while let Some(parcel) = spool.next_parcel(&claim, |_| false) {
            delivered += parcel.spans;
            spool.delivered(&claim, parcel);
        }
        let minutes = spool.minutes(&claim, ALL);
        let Some(minute) = minutes.into_iter().find(|minute| Some(*minute) > passed_over) else {
            return delivered;
        };
        if !spool.pack(&claim, minute, format!("id{delivered}"), &render).unwrap() {
            passed_over = Some(minute);
        }
    }
}

/// Cannot render what has 1000 spans or more.
fn faulty(period: &Count, id: &str) -> Vec<Body> {
    if period.spans >= 1000 {
        std::panic::resume_unwind(Box::new("a fault"));
    }
    render(period, id)
}

#[test]
fn a_period_that_is_a_fault_to_render_keeps_nothing_from_others() {
    let (disk, open) = virtual_spools();
    let mut spool = open(1);
    for spans in [1, 1001, 2, 1] {
        spool.put(count(7, spans));
    }
    let mut delivered = 0;
    for minute in 8..28 {
        spool.put(count(minute, 1));
        delivered += deliver(&mut spool, faulty);
        assert!(delivered >= minute - 7, "what can be rendered is delivered at once");
    }
    let counters = spool.counters();
    assert_eq!((delivered, counters.spans_damaged), (20 + 4, 1001));
    assert_eq!(counters.files_damaged, 1, "{:?}", disk.borrow().files.keys());
    assert!(disk.borrow().files.keys().all(|name| name.ends_with("-1001.period.alone.damaged")));
}

#[test]
fn when_all_is_a_fault_nothing_is_given_up() {
    let (disk, open) = virtual_spools();
    let mut spool = open(1);
    for minute in 1..9 {
        spool.put(count(minute, 1001));
    }
    for _ in 0..20 {
        assert_eq!(deliver(&mut spool, faulty), 0);
    }
    // Without a disk likewise.
    disk.borrow_mut().capacity = Some(0);
    for minute in 11..19 {
        spool.put(count(minute, 1001));
    }
    for _ in 0..20 {
        assert_eq!(deliver(&mut spool, faulty), 0);
    }
    assert_eq!(spool.counters().spans_given_up + spool.counters().spans_damaged, 0);
    assert_eq!(deliver(&mut spool, render), 16 * 1001);
}

#[test]
fn a_fault_in_memory_is_given_up_and_counted_when_others_do_well() {
    let mut spool: Spool<Count> = Spool::new(None, "1".into(), 1 << 20);
    spool.put(count(7, 1001));
    let claim = spool.claim().unwrap().unwrap();
    for minute in 8..12 {
        spool.put(count(minute, 1));
        for minute in spool.minutes(&claim, ALL) {
            spool.pack(&claim, minute, format!("id{}", minute.0), faulty).unwrap();
        }
    }
    assert_eq!(spool.counters().spans_given_up, 1001);
    assert_eq!((spool.counters().faults, spool.counters().parcels_in_memory), (3, 4));
}

#[test]
fn what_replaces_others_and_cannot_be_read_keeps_only_these() {
    for ending in [".merging", ".parcel"] {
        let (disk, open) = virtual_spools();
        let mut spool = open(1);
        for spans in [1, 2] {
            spool.put(count(7, spans));
        }
        let sources = disk.borrow().files.clone();
        if ending == ".parcel" {
            let claim = spool.claim().unwrap().unwrap();
            spool.pack(&claim, Minute(7), "id".into(), render).unwrap();
        } else {
            let files = spool.list().unwrap();
            spool.merge_files(files).unwrap();
        }
        // As it is when a process dies in between.
        let made = disk.borrow().files.clone();
        let (made, bytes) = made.into_iter().next().unwrap();
        let name = made.replace(".merged", ".merging");
        disk.borrow_mut().files = sources;
        disk.borrow_mut().files.insert(name.clone(), bytes);
        disk.borrow_mut().unreadable.insert(name.clone());
        let mut spool = open(2);
        spool.put(count(8, 4));
        assert_eq!(deliver(&mut spool, render), 4, "{ending}: the others");
        let claim = spool.claim().unwrap().unwrap();
        assert!(spool.has_waiting(&claim, ALL).unwrap());
        drop(claim);
        disk.borrow_mut().unreadable.clear();
        let delivered = deliver(&mut spool, render);
        assert_eq!(delivered, 3, "{ending}: once");
        assert!(disk.borrow().files.is_empty(), "{:?}", disk.borrow().files.keys());
    }
}

#[test]
fn what_can_never_be_read_is_set_aside_and_counted() {
    let (disk, open) = virtual_spools();
    let mut spool = open(1);
    spool.put(count(7, 3));
    let name = disk.borrow().files.keys().next().unwrap().clone();
    disk.borrow_mut().unreadable.insert(name.clone());
    assert_eq!((0..50).map(|_| deliver(&mut spool, render)).sum::<u64>(), 0);
    assert_eq!(spool.counters().files_damaged, 0, "it may be that nothing can be read now");
    spool.put(count(8, 1));
    assert_eq!((0..50).map(|_| deliver(&mut spool, render)).sum::<u64>(), 1);
    let counters = spool.counters();
    assert_eq!((counters.files_damaged, counters.spans_damaged), (1, 3));
    assert_eq!(disk.borrow().files.keys().collect::<Vec<_>>(), [&format!("{name}.damaged")]);
}

#[test]
fn what_a_process_without_a_file_for_records_left_unnamed_is_named_after_an_hour() {
    let path = directory("orphans");
    for signature in 1..=3 {
        let mut spool = open(&path, signature, 1 << 20);
        let prepared =
            spool.prepare(vec![count(signature, signature)], &signature.to_string(), 1, true);
        // It dies here.
        drop(prepared);
    }
    let pending = names(&path);
    for name in pending.iter().filter(|name| !name.contains("-3-")) {
        let file = std::fs::File::options().write(true).open(path.join(name)).unwrap();
        let hours = std::time::Duration::from_secs(7300);
        file.set_modified(std::time::SystemTime::now() - hours).unwrap();
    }
    let mut spool = open(&path, 4, 1 << 20);
    let files: Vec<String> = names(&path);
    spool.name_orphans(&files, |signature| signature == "2");
    let claim = spool.claim().unwrap().unwrap();
    assert_eq!(spool.minutes(&claim, ALL), [Minute(1)], "2 has its file, 3 may still live");
    assert_eq!(names(&path).iter().filter(|name| name.ends_with(".pending")).count(), 2);
    std::fs::remove_dir_all(path).unwrap();
}
