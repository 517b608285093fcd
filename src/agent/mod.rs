//! The core agent executable's side of the crate: what `scout-core-agent` does, as a library.
//!
//! Same level as `ffi`: it calls down, and nothing calls it but the executable.

pub mod report;
