//! The few system calls behind safe functions. No policy, no state beyond what the system keeps
//! for us; nothing here knows what it is used for.
#![allow(unsafe_code)]

pub mod clock;
pub mod daemon;
mod descriptor;
pub mod dir;
pub mod fork;
pub mod host;
pub mod leaked;
pub mod local;
mod lock;
pub mod mapped;
pub mod memory;
pub mod poll;
pub mod random;
pub mod sync;
pub mod thread;
pub mod wait;

/// Panics, because the option `test_panic` asks for it: how the tests see that a fault stays
/// inside the shipped object.
#[cold]
#[allow(clippy::panic, reason = "what it is for")]
pub fn panic_for_test() -> ! {
    panic!("asked for by the option test_panic")
}
