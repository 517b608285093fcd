//! What all processes share: the clocks, chance, and the receiver.

use crate::spool::Parcel;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// What the receiver does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    Well,
    Away,
    /// Takes payloads; half of its answers are lost.
    Forgetful,
    Busy,
    Refusing,
    /// Takes payloads; rendering and sending them are a fault now and then.
    Faulty,
}

/// What all processes share.
pub(super) struct World {
    pub(super) random: Cell<u64>,
    pub(super) monotonic: Cell<u64>,
    pub(super) wall: Cell<u64>,
    pub(super) mood: Cell<Mood>,
    /// What the receiver has, by idempotency id.
    pub(super) received: RefCell<BTreeMap<String, String>>,
    /// Whether anything was a fault so far.
    pub(super) faults: Cell<bool>,
    pub(super) log: bool,
}

impl World {
    pub(super) fn random(&self) -> u64 {
        let n = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(n);
        let z = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&self, limit: u64) -> u64 {
        self.random() % limit
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.log {
            println!("{:>9.1} s  {}", self.monotonic.get() as f64 / 1e9, what());
        }
    }

    /// A fault, if it is that time.
    pub(super) fn may_fault(&self) {
        if self.mood.get() == Mood::Faulty && self.below(2) == 0 {
            self.faults.set(true);
            // Not by a panic, which would be printed.
            std::panic::resume_unwind(Box::new("a fault"));
        }
    }

    pub(super) fn take(&self, parcel: &Parcel) {
        let json = &parcel.bodies[0].json;
        let mut received = self.received.borrow_mut();
        let known = received.entry(parcel.id.clone()).or_insert_with(|| json.clone());
        assert_eq!(known, json, "one id, one payload");
    }
}
