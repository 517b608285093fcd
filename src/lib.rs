//! The native core that application-performance-monitoring agents embed.
//!
//! One engine, two faces: the C ABI (`ffi`) and the core agent executable (`agent`).
//! Dependencies between these modules point down only; `docs/ARCHITECTURE.md` has the rules.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod agent;
pub mod config;
pub mod core;
pub mod delivery;
pub mod engine;
pub mod ffi;
pub mod model;
pub mod payload;
pub mod record;
pub mod recorder;
pub mod spool;
pub mod sql;
pub mod sys;
