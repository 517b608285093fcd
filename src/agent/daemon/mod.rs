//! The commands of the executable that run an agent or talk to one: `start`, `probe`, `shutdown`,
//! `config`, `diagnose`.

mod args;
mod client;
mod config_file;
mod diagnose;
mod help;
mod logger;
mod plan;
mod start;

pub use args::{Args, parse};
pub use client::{probe, shutdown};
pub use diagnose::{config, diagnose};
pub use help::help;
pub use start::{ALREADY_RUNNING, start};
