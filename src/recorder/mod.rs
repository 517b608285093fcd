//! The hot path: where spans go when the application hands them over, and where the background
//! thread finds them.
//!
//! Each thread writes into a segment that it alone owns: reserve, copy, publish with one release
//! store. The drain reads each segment up to its published mark. Memory is bounded; when there is
//! no free segment, the record is refused and counted, never waited for.
//!
//! State of one thread and one segment:
//!
//! | phase   | who may write       | left by                                            |
//! |---------|---------------------|----------------------------------------------------|
//! | free    | nobody              | a thread takes it from the free queue              |
//! | active  | its thread          | it fills up, or its thread ends                    |
//! | full    | nobody              | the drain has read it, and made it safe elsewhere  |
//! | retired | nobody (thread gone)| another thread goes on in it; or, if it is half    |
//! |         |                     | full or memory is short, the drain calls it full   |
//!
//! Threads that get no segment, since there are more threads than segments, share one (`shared`).
//!
//! Segments lie in a file that is mapped, so that what was recorded outlives the process, and the
//! next core recovers it: each record exactly once, by numbered checkpoints (`drain`, `recovery`).
//!
//! Never waits, never allocates after a thread's first record, and knows nothing of requests.
#![allow(unsafe_code)]

mod arena;
pub mod clock;
mod drain;
mod names;
mod process;
mod recovery;
mod segment;
mod shared;
mod supply;
mod thread;
mod writer;

pub use arena::{Adopted, Gaps, SUFFIX, SegmentFile};
pub use drain::{Carry, DrainReport, Drainer};
pub use names::{InternError, NAME_BYTES, NAMES, NameTable};
pub use process::{
    Ending, MAX_RECORDERS, Recorder, RecorderCounters, awake, doze, install, is_quiet, retire,
};
pub use recovery::{Recovered, RecoveredNames};
pub use thread::{Entered, set_last_error, with_last_error};
pub use writer::{NewIds, Refusal, Room, enter, ids, is_live, record, try_ids};

#[cfg(test)]
mod fixture;
#[cfg(test)]
#[cfg(any(loom, shuttle))]
mod interleavings;
#[cfg(test)]
#[cfg(not(any(loom, shuttle)))]
mod tests;
