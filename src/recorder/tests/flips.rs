//! Flipped bits in a dead process's file.

use super::super::*;
use super::{Fixture, STAMPS, put};
use crate::record::Record;
use crate::sys::dir::{Dir, Trust};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The copy's name: this process's own, for a flipped bit may be in the owner's id, and name another
/// that runs the same test.
fn copy_name() -> String {
    format!("copy-{}", std::process::id())
}

/// What a recovery of the copy finds; `None` when the file is set aside as a whole.
fn recovered(dir: &Dir) -> Option<(Vec<u64>, u64)> {
    let name = format!("{}{SUFFIX}", copy_name());
    let adopted = SegmentFile::adopt(dir.duplicate().unwrap(), name, Gaps::Refused).unwrap();
    let mut ids = Vec::new();
    let found = match &adopted {
        Adopted::File(file) => file.recover(|record, _| {
            if let Record::Span(span, _) = record {
                ids.push(span.span_id.0);
            }
        }),
        Adopted::Nothing => panic!("a file is taken for an empty one"),
        Adopted::OtherVersion(_) | Adopted::Unreadable => return None,
    };
    Some((ids, found.damaged))
}

/// Every bit of what surrounds the records, and of a record: nothing counts twice, and what does not
/// count is told, but for two that cannot be: how far the segment is filled, and a record's own ids.
#[test]
fn flipped_bits_in_a_dead_processs_file_are_noticed_and_double_nothing() {
    let path = std::env::temp_dir().join(format!("scout-flipped-{}", std::process::id()));
    let dir = Dir::create(&path, Trust::Private).unwrap();
    let file = SegmentFile::create(dir.duplicate().unwrap(), format!("x{SUFFIX}")).unwrap();
    let stamp = STAMPS.fetch_add(1, Ordering::Relaxed);
    let recorder =
        Box::leak(Box::new(Recorder::new(stamp, 1 << 20, NameTable::default(), Some(file))));
    install(9, recorder);
    let mut f = Fixture { slot: 9, stamp, recorder, drainer: recorder.drainer().unwrap() };
    recorder.intern("Controller/users").unwrap();
    // Some before a checkpoint, of which one is carried over, and some after.
    (1..=20).for_each(|id| put(f.slot, f.stamp, id).unwrap());
    assert_eq!(f.drain().len(), 20);
    let mut left = 1;
    let carry = f.drainer.carry_over(recorder, |_| std::mem::take(&mut left) == 1).unwrap();
    f.drainer.checkpoint(recorder, carry, |_| ());
    (21..=40).for_each(|id| put(f.slot, f.stamp, id).unwrap());

    let whole = std::fs::read(path.join(format!("x{SUFFIX}"))).unwrap();
    let expected: Vec<u64> = [1].into_iter().chain(21..=40).collect();
    let sorted = |mut ids: Vec<u64>| {
        ids.sort_unstable();
        ids
    };
    let copy = path.join(format!("{}{SUFFIX}", copy_name()));
    std::fs::write(&copy, &whole).unwrap();
    let (ids, damaged) = recovered(&dir).unwrap();
    assert_eq!((sorted(ids), damaged), (expected.clone(), 0));

    let segment_at = |index: usize| 4096 + index * 65_536;
    let is_used = |index: &usize| whole[segment_at(*index) + 8..][..4] != [0; 4];
    let used: Vec<usize> = (0..16).filter(is_used).collect();
    assert_eq!(used.len(), 3, "one with names, one of records, one carried over");
    let heads = used.iter().chain([&15]).map(|index| segment_at(*index)..segment_at(*index) + 128);
    let record = segment_at(used[0]) + 128..segment_at(used[0]) + 128 + 64;
    let mut told = 0;
    for at in (0..32).chain(heads.flatten()).chain(record) {
        for bit in 0..8 {
            let write = |byte| {
                let file = std::fs::File::options().write(true).open(&copy).unwrap();
                file.write_all_at(&[byte], at as u64).unwrap();
            };
            write(whole[at] ^ 1 << bit);
            let found = recovered(&dir);
            if !copy.exists() {
                std::fs::rename(path.join(format!("{}.damaged", copy_name())), &copy).unwrap();
            }
            write(whole[at]);
            let Some((ids, damaged)) = found else {
                told += 1;
                continue;
            };
            let ids = sorted(ids);
            assert!(ids.is_sorted_by(|a, b| a < b), "byte {at} bit {bit}: doubled: {ids:?}");
            assert!(ids.len() <= expected.len(), "byte {at} bit {bit}: {ids:?}");
            let in_segment = at.checked_sub(4096).map(|at| at % 65_536);
            let is_mark = in_segment.is_some_and(|at| (8..12).contains(&at));
            let is_record = in_segment.is_some_and(|at| at >= 128);
            if ids.len() < expected.len() && !is_mark && !is_record {
                assert!(damaged > 0, "byte {at} bit {bit}: lost without a word");
            }
            told += u64::from(damaged > 0);
        }
    }
    assert!(told > 300, "{told} flips were noticed");
    assert!(retire(f.slot, recorder, Instant::now() + Duration::from_secs(5)));
    recorder.release_segments(Ending::Done);
    std::fs::remove_dir_all(path).unwrap();
}
