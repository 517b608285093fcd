//! The running core: from options to threads, from records to delivered minutes.
//!
//! Owns the lifecycle, the fork generations and the background threads. Both faces, `ffi` and
//! `agent`, call the functions of this file and nothing deeper.
//!
//! After a fork, the child abandons what it inherited (leaked, never dropped: its locks and queues
//! may be caught mid-operation) and builds its own core at its first call, under the same handle.

mod api;
mod board;
mod courier;
mod dispatch;
mod failure;
mod instance;
mod log;
mod pipeline;
mod platform;
mod recovery;
mod registry;
mod setup;
mod stats;
mod worker;

pub use api::*;
pub use failure::{Done, Failure};
pub use registry::Handle;
