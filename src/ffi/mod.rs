//! The C ABI: convert, guard, call, write outputs. Nothing is decided here, and nothing uses it.
//!
//! Conventions, each held by a test in `tests/abi.rs`:
//!
//! 1. Every export is a plain `extern "C"` function whose whole body is one call of
//!    `guard::guard`; cbindgen does not see through macros. The exceptions return constants.
//! 2. Every pointer may be NULL and is turned into a reference, a slice or a status by
//!    `pointers` before anything else happens.
//! 3. Outputs are written last, and only on success.
//! 4. `include/scoutcore.h` is generated from these files: their comments are its text.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc, reason = "the comments are the C header's text")]

mod guard;
mod inspect;
mod lifecycle;
mod plain;
mod pointers;
mod record;
mod sql;
mod status;
mod types;

pub use inspect::*;
pub use lifecycle::*;
pub use record::*;
pub use sql::*;
pub use status::*;
pub use types::*;
