//! A process's round of deliveries, among all else that goes on.

use super::super::dispatch::Around;
use super::records::render;
use super::world::Mood;
use super::{Process, Simulation};
use crate::delivery::Outcome;
use crate::engine::Period;
use crate::spool::virtual_disk::VirtualDir;
use crate::spool::{Body, Parcel, Spool};
use std::cell::RefCell;
use std::time::Duration;

/// One process's round in the simulation.
pub(super) struct Trip<'a> {
    pub(super) simulation: &'a Simulation,
    pub(super) cell: &'a RefCell<Process>,
}

impl Around for Trip<'_> {
    type Item = Period;
    type Storage = VirtualDir;

    fn spool<R>(&self, f: impl FnOnce(&mut Spool<Period, VirtualDir>) -> R) -> R {
        f(&mut self.cell.borrow_mut().spool)
    }

    fn monotonic_ns(&self) -> u64 {
        self.simulation.world.monotonic.get()
    }

    fn random(&self) -> u64 {
        self.simulation.world.random()
    }

    fn new_id(&self) -> String {
        format!("{:016x}", self.random())
    }

    fn render(&self, period: &Period, id: &str) -> Vec<Body> {
        self.simulation.world.may_fault();
        render(period, id)
    }

    fn contained(&self) {
        assert!(self.simulation.world.faults.get(), "a fault that nobody asked for");
    }

    fn is_late(&self) -> bool {
        self.simulation.is_dead(&self.cell.borrow())
    }

    fn send(&self, parcel: &Parcel) -> Outcome {
        let simulation = self.simulation;
        let world = &simulation.world;
        // Others go on meanwhile; and so does this process's worker.
        if world.below(3) == 0 && !simulation.is_over.get() {
            let at = world.below(simulation.processes.len() as u64) as usize;
            let mut process = simulation.processes[at].borrow_mut();
            if !simulation.is_dead(&process) {
                simulation.record(&mut process);
                simulation.settle(&mut process, world.below(2) == 0);
            }
        }
        let retry = |after| Outcome::Retry { after, why: "not now".into() };
        if self.is_late() {
            return retry(None);
        }
        match world.mood.get() {
            Mood::Well => {
                world.take(parcel);
                Outcome::Delivered
            }
            Mood::Faulty => {
                world.take(parcel);
                world.may_fault();
                Outcome::Delivered
            }
            Mood::Away => retry(None),
            Mood::Forgetful => {
                world.take(parcel);
                if world.below(2) == 0 { Outcome::Delivered } else { retry(None) }
            }
            Mood::Busy => retry(Some(Duration::from_secs(world.below(400)))),
            Mood::Refusing => {
                // Accounted for: it is known, and by its id.
                world.take(parcel);
                Outcome::Rejected { why: "never".into() }
            }
        }
    }
}
