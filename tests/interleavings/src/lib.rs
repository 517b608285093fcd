//! The recorder and what it needs, built for a model checker: the library's own sources, with the
//! checker's atomics (`sys::sync`). The tests are `src/recorder/interleavings.rs`.
//!
//!     cargo test --features loom
//!     SCHEDULES=100000 cargo test --features shuttle
#![allow(dead_code, reason = "only what the recorder uses is of use here")]

#[path = "../../../src/model/mod.rs"]
pub mod model;
#[path = "../../../src/record/mod.rs"]
pub mod record;
#[path = "../../../src/recorder/mod.rs"]
pub mod recorder;
#[path = "../../../src/sys/mod.rs"]
pub mod sys;
