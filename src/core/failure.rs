use crate::config::OptionsError;
use crate::record::FormatError;
use std::fmt;

/// How a call that did its work did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// As asked.
    Ok,
    /// Not delivered, but on disk.
    Spooled,
    /// Accepted, shortened.
    Clamped,
    /// Nothing to return.
    Empty,
}

/// Why a call did not do its work. Its text is for a person, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A pointer is NULL that must not be.
    Null,
    /// An argument is out of range.
    Invalid(&'static str),
    /// The buffer must be this long.
    TooSmall(usize),
    /// No such core.
    Handle,
    /// The options are not valid.
    Options(String),
    /// The bytes are not valid records.
    Format(FormatError),
    /// Over a documented limit.
    TooLarge(&'static str),
    /// A bounded table is full.
    Limit(&'static str),
    /// The core has ended.
    ShutDown,
    /// No room for the record.
    Dropped,
    /// The time ran out.
    Timeout,
    /// Reentrant, or a lock was held for long.
    Busy,
    /// Monitoring is off.
    Disabled,
    /// The receiver refused for good.
    Rejected,
    /// In memory alone: so many spans.
    Undelivered(u64),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Null => f.write_str("a required pointer is NULL"),
            Failure::Invalid(what) | Failure::TooLarge(what) | Failure::Limit(what) => {
                f.write_str(what)
            }
            Failure::TooSmall(needed) => write!(f, "the buffer must have {needed} bytes"),
            Failure::Handle => f.write_str("the handle is not a core of this process"),
            Failure::Options(what) => f.write_str(what),
            Failure::Format(error) => write!(f, "{error}"),
            Failure::ShutDown => f.write_str("the core has been shut down"),
            Failure::Dropped => f.write_str("no room: the record was dropped, and counted"),
            Failure::Timeout => f.write_str("the time ran out; what was accepted is kept"),
            Failure::Busy => f.write_str("called from inside itself, or a lock was held for long"),
            Failure::Disabled => f.write_str("monitoring is switched off (monitor is false)"),
            Failure::Rejected => f.write_str("the receiver refused the payload for good"),
            Failure::Undelivered(spans) => {
                write!(f, "neither delivered nor on disk: {spans} spans are in memory alone")
            }
        }
    }
}

impl std::error::Error for Failure {}

impl From<OptionsError> for Failure {
    fn from(error: OptionsError) -> Self {
        Failure::Options(error.0)
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        Failure::Format(error)
    }
}
