//! Periods as the bytes that leave: Scout's check-in and error bodies.
//!
//! Pure. Keys, their order and their odd types are those of the Ruby agent's payload (version 2);
//! `docs/engine.md` lists where and why they differ.

mod checkin;
mod errors;
mod metadata;
mod metric;
mod numeric_histogram;
mod render;
mod server_load;
mod span_trace;
mod transaction;

pub use checkin::checkin;
pub use errors::errors;
pub use metadata::Metadata;
pub use numeric_histogram::NumericHistogram;
pub use server_load::server_load;
