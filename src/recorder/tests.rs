mod flips;

use super::*;
use crate::record::Record;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A recorder of its own slot, so that tests do not meet.
struct Fixture {
    slot: usize,
    stamp: u64,
    recorder: &'static Recorder,
    drainer: Drainer,
}

static STAMPS: AtomicU64 = AtomicU64::new(1_000);

fn fixture(slot: usize, memory: usize) -> Fixture {
    let stamp = STAMPS.fetch_add(1, Ordering::Relaxed);
    let recorder = Box::leak(Box::new(Recorder::new(stamp, memory, NameTable::default(), None)));
    install(slot, recorder);
    let drainer = recorder.drainer().unwrap();
    assert!(recorder.drainer().is_none());
    Fixture { slot, stamp, recorder, drainer }
}

fn put(slot: usize, stamp: u64, id: u64) -> Result<(), Refusal> {
    fixture::put(slot, stamp, id, &[])
}

impl Fixture {
    fn drain(&mut self) -> Vec<u64> {
        fixture::drain(&mut self.drainer, self.recorder)
    }
}

#[test]
fn what_is_recorded_is_drained_once_and_in_order() {
    let mut f = fixture(0, 1 << 20);
    for id in 1..=3000 {
        put(f.slot, f.stamp, id).unwrap();
    }
    assert_eq!(f.drain(), (1..=3000).collect::<Vec<_>>());
    assert!(f.drain().is_empty());
    put(f.slot, f.stamp, 7).unwrap();
    assert_eq!(f.drain(), [7]);
}

/// Enough for several segments, of which the first are full.
#[test]
fn who_panics_at_a_record_gets_each_of_the_others_once() {
    let mut f = fixture(12, 1 << 20);
    let all: Vec<u64> = (1..=3000).collect();
    all.iter().for_each(|id| put(f.slot, f.stamp, *id).unwrap());
    let (mut seen, mut panics) = (Vec::new(), 0);
    loop {
        let drained = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            f.drainer.drain(f.recorder, |record| {
                let Record::Span(span, _) = record else { return };
                assert!(span.span_id.0 % 500 != 0, "a record that always is a panic");
                seen.push(span.span_id.0);
            })
        }));
        match drained {
            Ok(_) => break,
            Err(_) => panics += 1,
        }
        assert!(panics < 100, "it does not get past a record");
    }
    seen.sort_unstable();
    assert_eq!(seen, all.iter().copied().filter(|id| id % 500 != 0).collect::<Vec<_>>());
    assert_eq!(panics, 6);
    // Its segments come back.
    for round in 0..20 {
        for id in 1..=3000 {
            assert_eq!(put(f.slot, f.stamp, round * 3000 + id), Ok(()));
        }
        assert_eq!(f.drain().len(), 3000);
    }
}

#[test]
fn threads_that_end_lose_nothing_and_leak_no_segment() {
    let mut f = fixture(1, 1 << 20);
    let mut seen = HashSet::new();
    for round in 0..200u64 {
        let (slot, stamp) = (f.slot, f.stamp);
        let threads: Vec<_> = (0..4)
            .map(|t| std::thread::spawn(move || put(slot, stamp, round * 4 + t + 1).unwrap()))
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        seen.extend(f.drain());
    }
    assert_eq!(seen.len(), 800);
    let segments = f.recorder.counters.segments.load(Ordering::Relaxed);
    assert_eq!(segments, 16, "one chunk serves 4 threads at a time");
}

#[test]
fn short_lived_threads_go_on_where_the_last_one_ended() {
    let mut f = fixture(6, 1 << 20);
    let (slot, stamp) = (f.slot, f.stamp);
    // Without a drain in between: many times more threads than segments.
    for id in 1..=500 {
        std::thread::spawn(move || put(slot, stamp, id).unwrap()).join().unwrap();
    }
    assert_eq!(f.recorder.counters.segments.load(Ordering::Relaxed), 16);
    assert_eq!(f.recorder.counters.shared.load(Ordering::Relaxed), 0);
    assert_eq!(f.drain().into_iter().collect::<HashSet<_>>().len(), 500);
    assert!(f.drain().is_empty());
}

#[test]
fn threads_that_come_and_go_under_a_drain_lose_and_double_nothing() {
    let mut f = fixture(7, 1 << 20);
    let (slot, stamp) = (f.slot, f.stamp);
    let running = AtomicU64::new(3);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        for t in 0..3u64 {
            let running = &running;
            scope.spawn(move || {
                for round in 0..300 {
                    // Enough that segments pass the point where the drain takes them away.
                    let some = move || {
                        for id in 0..200 {
                            while put(slot, stamp, (t * 300 + round) * 200 + id + 1).is_err() {
                                std::thread::yield_now();
                            }
                        }
                    };
                    std::thread::spawn(some).join().unwrap();
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while running.load(Ordering::Relaxed) > 0 {
            seen.extend(f.drain());
        }
    });
    seen.extend(f.drain());
    assert_eq!(seen.len(), 3 * 300 * 200);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 3 * 300 * 200);
}

#[test]
fn what_a_thread_records_while_its_segment_is_taken_away_is_not_lost() {
    let mut f = fixture(10, 1 << 20);
    let (slot, stamp) = (f.slot, f.stamp);
    let (recorded, drained) = (std::sync::Barrier::new(14), std::sync::Barrier::new(14));
    std::thread::scope(|scope| {
        // So many live that the drain wants the segments of those that have ended.
        for _ in 0..13 {
            scope.spawn(|| {
                put(slot, stamp, 1).unwrap();
                recorded.wait();
                drained.wait();
            });
        }
        recorded.wait();
        let brief = move |id| std::thread::spawn(move || put(slot, stamp, id).unwrap()).join();
        brief(2).unwrap();
        let mut ids = Vec::new();
        f.drainer.drain(f.recorder, |record| {
            if let Record::Span(span, _) = record {
                ids.push(span.span_id.0);
                if span.span_id.0 == 2 {
                    brief(3).unwrap();
                }
            }
        });
        ids.extend(f.drain());
        drained.wait();
        ids.sort_unstable();
        assert_eq!(ids, [[1; 13].as_slice(), &[2, 3]].concat());
    });
}

#[test]
fn more_threads_than_segments_share_one() {
    let mut f = fixture(8, 1 << 20);
    let (slot, stamp) = (f.slot, f.stamp);
    let all = std::sync::Barrier::new(100);
    std::thread::scope(|scope| {
        for t in 0..100u64 {
            let all = &all;
            scope.spawn(move || {
                for id in 1..=5 {
                    put(slot, stamp, t * 5 + id).unwrap();
                }
                all.wait();
            });
        }
    });
    assert!(f.recorder.counters.shared.load(Ordering::Relaxed) > 0);
    assert_eq!(f.recorder.counters.segments.load(Ordering::Relaxed), 16);
    assert_eq!(f.drain().into_iter().collect::<HashSet<_>>().len(), 500);
}

#[test]
fn a_full_recorder_refuses_counts_and_recovers() {
    let mut f = fixture(2, 0);
    let mut accepted = 0;
    while put(f.slot, f.stamp, accepted + 1).is_ok() {
        accepted += 1;
    }
    assert!(put(f.slot, f.stamp, 9).is_err());
    assert_eq!(f.recorder.counters.dropped_no_room.load(Ordering::Relaxed), 2);
    assert_eq!(f.drain().len() as u64, accepted);
    put(f.slot, f.stamp, 9).unwrap();
    assert_eq!(f.drain(), [9]);
}

#[test]
fn a_call_inside_a_call_is_refused() {
    let f = fixture(3, 1 << 20);
    let mut inner = None;
    let _ = record(f.slot, f.stamp, |_, _| {
        inner = Some(put(f.slot, f.stamp, 1));
        Err::<Result<crate::record::Fit, _>, _>(())
    });
    assert_eq!(inner, Some(Err(Refusal::Reentrant)));
    assert_eq!(f.recorder.counters.refused_reentrant.load(Ordering::Relaxed), 1);
    put(f.slot, f.stamp, 1).unwrap();
}

#[test]
fn retiring_under_fire_loses_no_accepted_record() {
    for _ in 0..50 {
        let mut f = fixture(4, 4 << 20);
        let (slot, stamp) = (f.slot, f.stamp);
        let go = AtomicBool::new(true);
        let accepted: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut count = 0;
                        while go.load(Ordering::Relaxed) && count < 20_000 {
                            match put(slot, stamp, 1) {
                                Ok(()) => count += 1,
                                Err(Refusal::NotLive) => break,
                                Err(_) => {}
                            }
                        }
                        count
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_micros(300));
            assert!(retire(slot, f.recorder, Instant::now() + Duration::from_secs(5)));
            let drained = f.drain().len() as u64;
            go.store(false, Ordering::Relaxed);
            let accepted = threads.into_iter().map(|t| t.join().unwrap()).sum();
            assert_eq!(drained, accepted, "accepted after, or drained before, the end");
            accepted
        });
        assert_eq!(put(slot, stamp, 1), Err(Refusal::NotLive));
        f.recorder.release_segments(Ending::Done);
        let _ = accepted;
    }
}

#[test]
fn names_keep_their_ids_and_children_inherit_them() {
    struct Table(NameTable);
    impl Table {
        fn intern(&self, name: &str) -> Result<crate::model::NameId, InternError> {
            self.0.intern(name, |_, _| Ok(()))
        }
    }
    let table = Table(NameTable::default());
    let id = table.intern("Controller/users").unwrap();
    assert_eq!(table.intern("Controller/users").unwrap(), id);
    assert_ne!(table.intern("SQL/Query").unwrap(), id);
    assert_eq!(table.intern("").unwrap().0, 0);
    assert_eq!(table.intern(&"x".repeat(NAME_BYTES + 1)), Err(InternError::TooLong));
    use crate::record::Names;
    let child = NameTable::inherit(&table.0);
    assert_eq!(child.name(id), Some("Controller/users"));
    assert_eq!(child.intern("SQL/Query", |_, _| Ok(())), table.intern("SQL/Query"));
    for n in table.0.highest().0..NAMES as u32 {
        table.intern(&format!("n{n}")).unwrap();
    }
    assert_eq!(table.intern("one more"), Err(InternError::Full));
    assert_eq!(table.intern("Controller/users").unwrap(), id);
}

#[test]
fn ids_are_distinct_across_threads() {
    let ids: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| (0..1000).map(|_| ids()).collect::<Vec<_>>()))
        .flat_map(|t| t.join().unwrap())
        .collect();
    let spans: HashSet<_> = ids.iter().map(NewIds::span).collect();
    let traces: HashSet<_> = ids.iter().map(NewIds::trace).collect();
    assert_eq!((spans.len(), traces.len()), (4000, 4000));
}

#[test]
fn the_last_error_is_the_threads_own_and_is_cut_at_a_character() {
    set_last_error(&"\u{e9}".repeat(400));
    with_last_error(|text| assert_eq!(text.chars().count(), 256));
    std::thread::spawn(|| with_last_error(|text| assert!(text.is_empty()))).join().unwrap();
}

#[test]
fn on_file_segments_are_given_back_by_checkpoints_and_carry_what_is_open() {
    let path = std::env::temp_dir().join(format!("scout-recorder-{}", std::process::id()));
    let dir = crate::sys::dir::Dir::create(&path, crate::sys::dir::Trust::Private).unwrap();
    let file = SegmentFile::create(dir, format!("x{SUFFIX}")).unwrap();
    let stamp = STAMPS.fetch_add(1, Ordering::Relaxed);
    let recorder =
        Box::leak(Box::new(Recorder::new(stamp, 16 << 20, NameTable::default(), Some(file))));
    install(5, recorder);
    let mut f = Fixture { slot: 5, stamp, recorder, drainer: recorder.drainer().unwrap() };
    put(f.slot, f.stamp, 1).expect("the first record finds room");
    for round in 1..=20u64 {
        // Four segments a round, more than the file holds in all were they not given back.
        for id in 0..3000 {
            put(f.slot, f.stamp, id + 1).unwrap();
        }
        f.drain();
        let open = round % 2 == 1;
        let carry = f.drainer.carry_over(f.recorder, |_| open).unwrap();
        f.drainer.checkpoint(f.recorder, carry, |number| assert_eq!(number, round as u32));
        assert_eq!(f.recorder.file().unwrap().committed(), round as u32);
    }
    let segments = f.recorder.counters.segments.load(Ordering::Relaxed);
    assert!(segments <= 32, "{segments} segments");
    assert!(retire(f.slot, f.recorder, Instant::now() + Duration::from_secs(5)));
    f.recorder.release_segments(Ending::Done);
    assert!(!path.join(format!("x{SUFFIX}")).exists());
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_record_wakes_a_drainer_that_dozes() {
    let mut f = fixture(10, 1 << 20);
    let (slot, stamp, recorder) = (f.slot, f.stamp, f.recorder);
    recorder.set_drainer(std::thread::current());
    let patience = Duration::from_secs(60);
    put(slot, stamp, 1).unwrap();
    assert!(doze(slot, recorder, patience));
    assert!(!doze(slot, recorder, patience), "it dozes already");
    assert_eq!(f.drain(), [1]);
    assert!(is_live(slot, stamp), "spans begin as ever");
    assert!(!awake(slot, recorder), "nothing woke it");

    assert!(doze(slot, recorder, patience));
    std::thread::spawn(move || put(slot, stamp, 2).unwrap()).join().unwrap();
    assert!(awake(slot, recorder), "the record did");
    let began = Instant::now();
    std::thread::park_timeout(patience);
    assert!(began.elapsed() < patience, "the wake-up was waiting");
    assert_eq!(f.drain(), [2]);

    assert!(doze(slot, recorder, patience));
    assert!(retire(slot, recorder, Instant::now() + patience));
    assert_eq!(put(slot, stamp, 3), Err(Refusal::NotLive));
    assert!(!doze(slot, recorder, patience) && !is_live(slot, stamp));
}

#[test]
fn no_record_is_slept_over() {
    let mut f = fixture(11, 1 << 20);
    let (slot, stamp, recorder) = (f.slot, f.stamp, f.recorder);
    recorder.set_drainer(std::thread::current());
    let patience = Duration::from_secs(60);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        for t in 0..2u64 {
            scope.spawn(move || {
                for id in 1..=400 {
                    put(slot, stamp, t * 400 + id).unwrap();
                    std::thread::sleep(Duration::from_micros(id * 7 % 90));
                }
            });
        }
        while seen.len() < 800 {
            let dozes = doze(slot, recorder, patience);
            let found = f.drain();
            if dozes && found.is_empty() {
                let began = Instant::now();
                std::thread::park_timeout(patience);
                assert!(began.elapsed() < patience, "{} of 800", seen.len());
            }
            awake(slot, recorder);
            seen.extend(found);
        }
    });
    seen.sort_unstable();
    assert_eq!(seen, (1..=800).collect::<Vec<_>>());
}
