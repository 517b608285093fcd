//! A file of segments that a dead process left.
#![no_main]

#[path = "../../tests/fuzz_common/mod.rs"]
#[allow(dead_code, reason = "each target uses its own part")]
mod fuzz_common;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_common::segments(data));
