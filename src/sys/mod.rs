//! The few system calls behind safe functions. No policy, no state beyond what the system keeps
//! for us; nothing here knows what it is used for.
#![allow(unsafe_code)]

pub mod clock;
pub mod dir;
pub mod fork;
pub mod host;
pub mod memory;
pub mod random;
pub mod thread;
