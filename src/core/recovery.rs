//! Recovering what dead processes of this application left in their segment files.

use super::instance::Core;
use super::log::Level;
use super::setup::Setup;
use crate::engine::{Engine, EngineConfig};
use crate::record::Record;
use crate::recorder::{Adopted, Gaps, SUFFIX, SegmentFile, clock};
use crate::spool::Safety;
use crate::sys::dir::{Dir, is_of_the_disk};
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often, and for how long, a file cannot be read before it is read in part.
const PATIENCE: (u32, Duration) = (4, Duration::from_secs(15));
/// Files that cannot be read that are remembered.
const MOST_FAILING: usize = 1000;

/// Looks for files whose owner is dead, and brings what is in them into the spool: each record
/// once, whenever this process dies in between, and whoever else tries at the same time. Begins with
/// no file after `deadline`. Whether there were any.
pub(super) fn recover(core: &Core, deadline: Option<Instant>) -> bool {
    let Some(dir) = &core.files else { return false };
    let mut found = false;
    let mut others = Vec::new();
    let Ok(files) = dir.files() else { return false };
    let names: Vec<String> = files.into_iter().map(|(name, _)| name).collect();
    let has_file = |signature: &str| {
        names.iter().any(|name| name.strip_suffix(SUFFIX).is_some_and(|of| of == signature))
    };
    core.spool.lock().unwrap_or_else(PoisonError::into_inner).name_orphans(&names, has_file);
    for name in names.iter().filter(|name| name.ends_with(SUFFIX)).cloned() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break;
        }
        let gaps = gaps_for(core, &name);
        match dir.duplicate().and_then(|dir| SegmentFile::adopt(dir, name.clone(), gaps)) {
            Ok(Adopted::File(file)) => {
                found = true;
                // What is a fault here is to be one of this file alone.
                if catch_unwind(AssertUnwindSafe(|| recover_file(core, &file))).is_err() {
                    core.panics.fetch_add(1, Ordering::Relaxed);
                    core.log.add(Level::Error, || {
                        format!("{}: a fault in its recovery was contained", file.signature())
                    });
                }
            }
            // Its owner may be this core itself.
            Ok(Adopted::Nothing) => {}
            Ok(Adopted::OtherVersion(version)) => others.push((name, version)),
            Ok(Adopted::Unreadable) => {
                core.recovered.unreadable.fetch_add(1, Ordering::Relaxed);
                core.log.add(Level::Error, || format!("{name}: no segment file; set aside"));
            }
            Err(error) => {
                core.log.add(Level::Warn, || format!("{name}: {error}"));
                let mut failing = failing(core);
                let has_room = failing.len() < MOST_FAILING || failing.contains_key(&name);
                if is_of_the_disk(&error) && has_room {
                    failing.entry(name).or_insert((0, Instant::now())).0 += 1;
                }
            }
        }
    }
    // Told when it changes, not at every look.
    let count = others.len() as u64;
    if core.recovered.other_versions.swap(count, Ordering::Relaxed) != count {
        for (name, version) in others {
            core.log.add(Level::Warn, || {
                format!("{name}: of version {version} of the format, left to who knows it")
            });
        }
    }
    found
}

/// A disk that fails may be back in a while: only then is what it gives back taken for all there is.
fn gaps_for(core: &Core, name: &str) -> Gaps {
    match failing(core).get(name) {
        Some((looks, first)) if *looks >= PATIENCE.0 && first.elapsed() >= PATIENCE.1 => {
            Gaps::Emptied
        }
        _ => Gaps::Refused,
    }
}

fn failing(core: &Core) -> MutexGuard<'_, HashMap<String, (u32, Instant)>> {
    core.recovered.failing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands on the records of this application's dead processes that are yet to be recovered, and
/// leaves them where they are.
pub(super) fn look(setup: &Setup, mut each: impl FnMut(&Record<'_>)) -> io::Result<()> {
    let Some(dir) = setup.spool_dir(&setup.place())? else { return Ok(()) };
    for (name, _) in dir.files()?.into_iter().filter(|(name, _)| name.ends_with(SUFFIX)) {
        // One that cannot be read is not recovered either.
        if let Ok(Adopted::File(file)) = SegmentFile::adopt(dir.duplicate()?, name, Gaps::Refused) {
            file.recover(|record, _| each(record));
            file.let_go();
        }
    }
    Ok(())
}

fn recover_file(core: &Core, file: &SegmentFile) {
    let committed = file.committed();
    let again = file.is_recovered();
    // Its process may have died before it did: what is named here must not be in the segments again after
    // a loss of power.
    // And before that, what its last checkpoint is about.
    let synced = core.files.as_ref().map_or(Ok(()), Dir::sync).and_then(|()| file.sync());
    if let Err(error) = synced {
        core.log.add(Level::Warn, || format!("{}: {error}", file.signature()));
    }
    let spool = || core.spool.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = spool().resolve(file.signature(), committed) {
        core.log.add(Level::Warn, || format!("{}: {error}", file.signature()));
        file.let_go();
        return;
    }

    // An engine of its own: the ids of names and requests are the dead process's, and its requests
    // get no more spans. They count in their own minutes, however long ago.
    let config = EngineConfig { max_skew: u64::MAX, ..core.setup.engine_config() };
    let now = clock::now();
    let mut engine = Engine::new(config, [core.random(), core.random()], now);
    let (mut panics, mut is_first) = (0, true);
    let found = file.recover(|record, names| {
        // A record that cannot be analysed is not to keep those behind it: what is left of the file
        // would be recovered by nobody, ever.
        let ingested = catch_unwind(AssertUnwindSafe(|| {
            if std::mem::take(&mut is_first) {
                core.test_panic("recover");
            }
            engine.ingest(record, names, now);
        }));
        panics += u64::from(ingested.is_err());
    });
    let periods = engine.close_all(now);

    let number = committed.saturating_add(1);
    let prepared = spool().prepare(periods, file.signature(), number, true);
    if prepared.safety() == Safety::Memory {
        // No disk to put it on: it is safer where it is. The next look tries again.
        let _ = spool().resolve(file.signature(), committed);
        file.let_go();
        return;
    }
    file.commit_recovery(number, found.damaged > 0 || panics > 0);
    if let Err(error) = file.sync() {
        core.log.add(Level::Warn, || format!("{}: {error}", file.signature()));
    }
    let published = spool().publish(prepared);
    if !again {
        core.recovered.files.fetch_add(1, Ordering::Relaxed);
        core.recovered.records.fetch_add(found.records, Ordering::Relaxed);
        core.recovered.damaged.fetch_add(found.damaged, Ordering::Relaxed);
    }
    core.panics.fetch_add(panics, Ordering::Relaxed);
    if published == Safety::Memory {
        // Written, and yet to be named: the next look finds only that left to do.
        file.let_go();
    } else if found.damaged > 0 || panics > 0 {
        core.log.add(Level::Error, || {
            let name = file.signature();
            format!("{name}: {} segments are damaged, {panics} records a fault", found.damaged)
        });
        file.set_aside();
        spool().keep_few_aside();
    } else {
        file.discard();
    }
    if found.records > 0 {
        core.log.add(Level::Info, || {
            format!("recovered {} records of a process that ended without flush", found.records)
        });
    }
}
