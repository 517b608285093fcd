//! The core agents' socket protocol: frames, commands, timestamps, replies.
//!
//! Pure: bytes in, bytes out, nothing kept. `docs/agent.md` has the protocol in prose.

mod command;
mod frame;
mod json;
mod reply;
mod timestamp;

pub use command::{Command, Fields, Unreadable, batch, parse};
pub use frame::{Frame, MAX_FRAME, next_frame, write_frame};
pub use json::{Scalar, clean, scalar, text};
pub use reply::{Reply, VERSION};
pub use timestamp::parse_timestamp;
