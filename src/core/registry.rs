use super::Failure;
use super::instance::Core;
use super::setup::Setup;
use super::worker;
use crate::config::Environment;
use crate::recorder::{self, MAX_RECORDERS, NameTable};
use crate::sys::fork::{self, PerProcess};
use crate::sys::leaked::Leaked;
use crate::sys::random;
use crate::sys::wait::lock_until;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A handle: a recorder's stamp, and its slot in the lowest five bits. Below 2^53, so that it
/// survives in a language's double or small integer; random, so that a number somebody made up
/// is none.
pub type Handle = u64;

const SLOT_BITS: u32 = MAX_RECORDERS.trailing_zeros();
const STAMP_BITS: u32 = 48;

/// The slot in a handle.
#[inline(always)]
pub(super) fn slot_of(handle: Handle) -> usize {
    (handle & (MAX_RECORDERS as u64 - 1)) as usize
}

/// The stamp in a handle.
#[inline(always)]
pub(super) fn stamp_of(handle: Handle) -> u64 {
    handle >> SLOT_BITS
}

/// The cores of one process in one fork generation.
struct Registry {
    slots: [Slot; MAX_RECORDERS],
    /// Held while a core is made. Fresh in a child.
    making: Mutex<()>,
}

#[derive(Default)]
struct Slot {
    /// 0: never used.
    handle: AtomicU64,
    ended: AtomicBool,
    core: Leaked<Core>,
    /// In a child: the parent's core, to be built anew at the first call. Only its immutable parts
    /// and its append-only names are read.
    origin: Leaked<Core>,
    /// Cores that ended here before. Kept, so that no pointer to one ever dangles.
    graveyard: Mutex<Vec<&'static Core>>,
}

static CURRENT: PerProcess<Registry> = PerProcess::new();

fn current() -> &'static Registry {
    CURRENT.get(|_, parent| {
        let slots: [Slot; MAX_RECORDERS] = Default::default();
        for (slot, old) in slots.iter().zip(parent.into_iter().flat_map(|parent| &parent.slots)) {
            if let Some(origin) = old.core.get().or(old.origin.get()) {
                slot.handle.store(old.handle.load(Ordering::Acquire), Ordering::Relaxed);
                slot.ended.store(old.ended.load(Ordering::Acquire), Ordering::Relaxed);
                slot.origin.set(Some(origin));
            }
        }
        Registry { slots, making: Mutex::new(()) }
    })
}

/// Starts a core.
pub(super) fn start(options: &str, environment: Environment) -> Result<Handle, Failure> {
    let setup = Setup::read(options, environment)?;
    fork::watch();
    fork::check();
    let registry = current();
    let _making = registry.making.lock().unwrap_or_else(PoisonError::into_inner);
    let is_free = |slot: &&Slot| {
        slot.handle.load(Ordering::Acquire) == 0 || slot.ended.load(Ordering::Acquire)
    };
    let (index, slot) = registry
        .slots
        .iter()
        .enumerate()
        .find(|(_, slot)| is_free(slot))
        .ok_or(Failure::Limit("32 cores run already; shut one down"))?;
    let stamp = new_stamp();
    let handle = stamp << SLOT_BITS | index as u64;
    let core = Core::new(setup, index, stamp, NameTable::default());
    // Order: whoever sees the new handle sees neither the old core nor the old end.
    bury(slot);
    slot.origin.set(None);
    slot.handle.store(handle, Ordering::Release);
    launch(slot, core);
    slot.ended.store(false, Ordering::Release);
    Ok(handle)
}

fn new_stamp() -> u64 {
    loop {
        let stamp = random::seed()[0] >> (64 - STAMP_BITS);
        if stamp != 0 {
            return stamp;
        }
    }
}

fn bury(slot: &Slot) {
    if let Some(dead) = slot.core.take() {
        slot.graveyard.lock().unwrap_or_else(PoisonError::into_inner).push(dead);
    }
}

fn launch(slot: &Slot, core: Core) -> &'static Core {
    let core: &'static Core = Box::leak(Box::new(core));
    recorder::install(core.slot, &core.recorder);
    slot.core.set(Some(core));
    worker::start(core);
    core
}

/// Whether the handle is the slot's, and not ended.
fn check(slot: &Slot, handle: Handle) -> Result<(), Failure> {
    if handle == 0 || slot.handle.load(Ordering::Acquire) != handle {
        return Err(Failure::Handle);
    }
    if slot.ended.load(Ordering::Acquire) {
        return Err(Failure::ShutDown);
    }
    Ok(())
}

/// The core behind a handle; in a child, made now if this is its first call.
pub(super) fn find(handle: Handle) -> Result<&'static Core, Failure> {
    let registry = current();
    let slot = registry.slots.get(slot_of(handle)).ok_or(Failure::Handle)?;
    check(slot, handle)?;
    match slot.core.get() {
        Some(core) => Ok(core),
        None => revive(registry, slot, handle),
    }
}

/// How long a child's first call waits for another thread that makes a core.
const REVIVAL: Duration = Duration::from_millis(500);

/// A child's first call: builds its own core after its parent's, under the same handle.
#[cold]
fn revive(
    registry: &'static Registry,
    slot: &'static Slot,
    handle: Handle,
) -> Result<&'static Core, Failure> {
    let _making = lock_until(&registry.making, Instant::now() + REVIVAL).ok_or(Failure::Busy)?;
    // It may have ended, or its slot become another's, while the lock was waited for.
    check(slot, handle)?;
    if let Some(core) = slot.core.get() {
        return Ok(core);
    }
    let origin = slot.origin.get().ok_or(Failure::Handle)?;
    let names = NameTable::inherit(&origin.recorder.names);
    let core = Core::new(origin.setup.clone(), slot_of(handle), stamp_of(handle), names);
    Ok(launch(slot, core))
}

/// Marks a core as ended. `Ok(None)`: a child that never used it, so there is nothing to end. `Busy`:
/// another core was being made until `deadline`.
pub(super) fn end(handle: Handle, deadline: Instant) -> Result<Option<&'static Core>, Failure> {
    let registry = current();
    let slot = registry.slots.get(slot_of(handle)).ok_or(Failure::Handle)?;
    check(slot, handle)?;
    // A start that reuses the slot is through once this is had: so it is looked at once more.
    let _making = lock_until(&registry.making, deadline).ok_or(Failure::Busy)?;
    check(slot, handle)?;
    slot.ended.store(true, Ordering::Release);
    Ok(slot.core.get())
}

/// Whether a handle's core has ended: for the answer to a record that found nothing live.
pub(super) fn live_or_why(handle: Handle) -> Result<(), Failure> {
    find(handle).map(|_| ())
}
