//! From commands to records: requests are put together until they are finished, then handed to the
//! core of their application.
//!
//! Knows no sockets. One [`Session`] per connection, one [`Hub`] per agent.

mod application;
mod applications;
mod book;
mod counters;
mod draft;
mod edit;
mod emit;
mod event;
mod hub;
mod ids;
mod journal;
mod left;
mod memory;
mod roots;
mod session;
mod stack;

pub use applications::{MAX_APPLICATIONS, MAX_CORES};
pub use counters::Counters;
pub use hub::{Hub, Plan};
pub use session::{After, Session};
