//! What waits to be delivered: closed minutes as files, shared by the processes of one application.
//!
//! Every process puts its own minutes in. Whoever holds the lock merges everyone's files of one
//! minute into one parcel, and only then removes them:
//!
//! 0. `....period.pending`   written, but not counting before its process's checkpoint does
//! 1. `<minute>-....period`  one process's part of a minute
//! 2. `....merged`           several minutes, merged because there was little room
//! 3. `<minute>-....parcel`  a merged minute, ready to send; names the files it was made of
//! 4. nothing: delivered
//!
//! A parcel's sources are removed before it is sent, again after a crash, so a file counts once;
//! a parcel keeps its id over all attempts, so a receiver can tell a repetition. A merged file is
//! `.merging` until its sources are removed, for the same reason. Near its limit of bytes, waiting
//! minutes become coarser (five minutes, an hour, a day); only when each day is one file is the
//! oldest given up, and counted. Parcels are made when they can be sent, so that what waits for a
//! receiver is mergeable. Without a directory, or while the disk is full, the same happens in
//! memory.
//!
//! Knows neither what a period holds nor where parcels go; reads no clock.

mod frame;
mod grain;
mod intake;
mod limit;
mod memory;
mod name;
mod outgoing;
mod parcel;
mod place;
mod storage;
mod store;
mod suspects;

pub use frame::checksum;
#[doc(hidden)]
pub use frame::{FrameError, decode as unframe, encode as frame};
pub use intake::Prepared;
pub use outgoing::Claim;
pub use parcel::{Body, Parcel};
pub use place::{Place, choose};
pub use storage::Storage;
pub use store::{Counters, Safety, Spool};
pub use suspects::Suspects;

use crate::model::Minute;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the spool keeps: a mergeable minute.
pub trait Item: serde::Serialize + serde::de::DeserializeOwned {
    /// The minute it is of; the first, if it was merged from several.
    fn minute(&self) -> Minute;
    /// The last minute it is of.
    fn last_minute(&self) -> Minute;
    /// How many spans are in it, for the accounts when it must be given up.
    fn spans(&self) -> u64;
    /// Adds another.
    fn merge(&mut self, other: Self);
}

/// What `f` gives; `None` if it is a fault. It must leave things as they are until it has what it
/// gives.
fn contained<R>(f: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}

/// Adds a period to what there is so far.
fn merge<T: Item>(merged: Option<T>, period: T) -> Option<T> {
    Some(match merged {
        Some(mut merged) => {
            merged.merge(period);
            merged
        }
        None => period,
    })
}

/// What a merged file holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Merged<T> {
    /// The files it was made of, removed before it counts beside others.
    sources: Vec<String>,
    period: T,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod virtual_disk;
