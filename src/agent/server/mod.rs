//! Sockets: listening, reading frames, writing replies. What the frames mean is `intake`'s.
//!
//! A few threads share one poller; each readiness goes to whichever thread is free, and a
//! connection is read once in its turn, so that none holds up the others. `docs/agent.md` has the
//! measurements behind this.

mod address;
mod connection;
mod listener;
mod pool;
mod stream;

pub use address::{Address, UnixOptions};
pub use listener::{BindError, Listener};
pub use pool::{Limits, Server};
pub use stream::Stream;
