//! Every exported function at once from many threads, in a Rust program, so that ThreadSanitizer
//! sees both sides of each access: `make tsan`. Without it, a test like others.

#[cfg(test)]
mod tests {
    use scoutcore::ffi::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};

    const WORKERS: u64 = 4;

    /// In a folder of its own; or, without one, in memory, since there can be no folder there.
    fn start(folder: Option<&str>) -> scout_core_t {
        let own =
            |name| std::env::temp_dir().join(format!("scout-races-{}-{name}", std::process::id()));
        let folder = folder.map_or("/dev/null/none".into(), own);
        let options =
            format!("{{\"name\":\"races\",\"data_dir\":{:?}}}", folder.display().to_string());
        let mut core = 0;
        // SAFETY: readable text of that length, a writable handle.
        let status = unsafe { scout_start(options.as_ptr().cast(), options.len(), &mut core) };
        assert!(status >= 0, "start: {status}");
        core
    }

    fn intern(core: scout_core_t, name: &str) -> u32 {
        let mut id = 0;
        // SAFETY: readable text of that length, a writable id.
        unsafe { scout_intern(core, name.as_ptr().cast(), name.len(), &mut id) };
        id
    }

    fn tag(key: &'static str, value: &'static str) -> scout_tag_t {
        scout_tag_t {
            struct_size: size_of::<scout_tag_t>() as u32,
            kind: SCOUT_TAG_STRING,
            key_id: 0,
            value_id: 0,
            key: key.as_ptr().cast(),
            key_len: key.len(),
            str: value.as_ptr().cast(),
            str_len: value.len(),
            i64: 0,
            f64: 0.0,
        }
    }

    /// A request of a root and a query; how many of its spans were accepted.
    fn request(core: scout_core_t, root_id: u32, query_id: u32) -> u64 {
        let statement = tag("db.statement", "SELECT * FROM orders WHERE id = 42");
        // SAFETY: all zero is a valid span, of no size yet.
        let (mut root, mut query) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let size = size_of::<scout_span_t>() as u32;
        for span in [&mut root, &mut query] {
            let span: &mut scout_span_t = span;
            span.struct_size = size;
        }
        // SAFETY: spans of their own size; a tag that outlives the call.
        unsafe {
            if scout_span_begin(core, std::ptr::null(), root_id, &mut root) < 0 {
                return 0;
            }
            scout_span_begin(core, &root, query_id, &mut query);
            let inner = scout_span_end(core, &mut query, &statement, 1) >= 0;
            let outer = scout_span_end(core, &mut root, std::ptr::null(), 0) >= 0;
            u64::from(inner) + u64::from(outer)
        }
    }

    fn stats(core: scout_core_t) -> String {
        let mut text = vec![0u8; 65_536];
        let mut len = 0;
        // SAFETY: as many writable bytes, a writable length.
        unsafe { scout_stats(core, text.as_mut_ptr().cast(), text.len(), &mut len) };
        text.truncate(len.min(65_535));
        String::from_utf8(text).unwrap()
    }

    fn number(stats: &str, key: &str) -> u64 {
        let at = stats.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key} in {stats}"));
        let rest = &stats[at + key.len() + 3..];
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    /// Runs all at once to their ends. Not `thread::scope`: to ThreadSanitizer the end of a scope puts
    /// nothing in order, a join does.
    fn together(threads: Vec<Box<dyn FnOnce() + Send>>) {
        let threads: Vec<_> = threads.into_iter().map(std::thread::spawn).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    /// A recording thread's work: every other round on a thread of its own, which ends.
    fn record_rounds(core: scout_core_t, worker: u64, requests: u64) -> u64 {
        let one = move |round: u64| {
            let root = intern(core, &format!("Controller/{worker}/{}", round % 7));
            let query = intern(core, "SQL/Query");
            (0..50).map(|_| request(core, root, query)).sum::<u64>()
        };
        let rounds = (0..requests / 50).map(|round| {
            if round % 2 == 0 {
                one(round)
            } else {
                std::thread::spawn(move || one(round)).join().unwrap()
            }
        });
        rounds.sum()
    }

    fn look(core: scout_core_t) {
        stats(core);
        let (mut text, mut len) = ([0u8; 4096], 0);
        // SAFETY: as many writable bytes, a writable length.
        unsafe {
            scout_diagnose(core, text.as_mut_ptr().cast(), text.len(), &mut len);
            scout_next_log(core, text.as_mut_ptr().cast(), text.len(), &mut len);
            scout_last_error(text.as_mut_ptr().cast(), text.len(), &mut len);
        }
    }

    /// Threads that record, some of which end and are replaced, while others flush and look.
    fn all_at_once(folder: Option<&str>) {
        let core = start(folder);
        let accepted: &AtomicU64 = Box::leak(Box::default());
        let recording: &AtomicU64 = Box::leak(Box::new(AtomicU64::new(WORKERS)));
        let mut threads: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        for worker in 0..WORKERS {
            threads.push(Box::new(move || {
                accepted.fetch_add(record_rounds(core, worker, 1_000), Ordering::Relaxed);
                recording.fetch_sub(1, Ordering::Relaxed);
            }));
        }
        for beside in [|core| drop(scout_flush(core, 5_000)), look] {
            threads.push(Box::new(move || {
                while recording.load(Ordering::Relaxed) > 0 {
                    beside(core);
                }
            }));
        }
        together(threads);
        // In memory, nothing is safe for ever: the status says so.
        assert!(scout_flush(core, 60_000) != SCOUT_E_TIMEOUT);
        let seen = stats(core);
        assert_eq!(number(&seen, "spans"), accepted.load(Ordering::Relaxed), "{seen}");
        assert!(scout_shutdown(core, 60_000) != SCOUT_E_TIMEOUT);
    }

    #[test]
    fn everything_at_once_on_files() {
        all_at_once(Some("files"));
    }

    #[test]
    fn everything_at_once_in_memory() {
        all_at_once(None);
    }

    #[test]
    fn shutdowns_race_recording_and_each_other() {
        for round in 0..10 {
            let core = start((round % 2 == 0).then_some("shutdown"));
            let begin: &Barrier = Box::leak(Box::new(Barrier::new(WORKERS as usize + 2)));
            let mut threads: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
            for _ in 0..WORKERS {
                threads.push(Box::new(move || {
                    let root = intern(core, "Controller/races/index");
                    begin.wait();
                    for _ in 0..200 {
                        request(core, root, root);
                    }
                }));
            }
            for _ in 0..2 {
                threads.push(Box::new(move || {
                    begin.wait();
                    scout_shutdown(core, 60_000);
                }));
            }
            together(threads);
            assert_eq!(request(core, 0, 0), 0, "recorded after a shutdown");
        }
    }

    #[test]
    fn cores_come_and_go_beside_each_other() {
        let own = |thread| {
            move || {
                for round in 0..5 {
                    let core = start(Some(&format!("cores-{thread}-{}", round % 2)));
                    let root = intern(core, "Controller/cores/index");
                    let accepted: u64 = (0..100).map(|_| request(core, root, root)).sum();
                    assert_eq!(accepted, 200);
                    assert_eq!(scout_shutdown(core, 60_000), SCOUT_OK);
                }
            }
        };
        together((0..3).map(|thread| Box::new(own(thread)) as Box<dyn FnOnce() + Send>).collect());
    }
}
