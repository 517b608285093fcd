//! The status registry. Append-only: a number never changes its meaning and is never reused.

/// What a call came to. Zero and positive: it did its work. Negative: it did not, and
/// nothing that was accepted earlier is affected.
///
/// |              | range          |                                                   |
/// |--------------|----------------|---------------------------------------------------|
/// | done         | 0 .. 99        | done; the number says how                         |
/// | caller       | -1 .. -99      | the call is wrong, and wrong again if repeated    |
/// | state        | -100 .. -199   | right call, wrong moment; counted in the stats    |
/// | environment  | -200 .. -299   | the machine said no: disk, network                |
/// | internal     | -900 .. -999   | a defect of this library, contained               |
pub type scout_status_t = i32;

/// Done.
pub const SCOUT_OK: i32 = 0;
/// Done: not delivered yet, but safely on disk; it will be delivered later.
pub const SCOUT_SPOOLED: i32 = 1;
/// Accepted, but shortened: a string over 16 KiB, more than 128 tags, or an end before its start.
pub const SCOUT_CLAMPED: i32 = 2;
/// There is nothing to return, e.g. no further log line.
pub const SCOUT_EMPTY: i32 = 3;

/// A required pointer is NULL.
pub const SCOUT_E_NULL: i32 = -1;
/// An argument is out of range, e.g. a trace id of zeroes, or an id that was never interned.
pub const SCOUT_E_INVALID: i32 = -2;
/// The buffer is too small. The needed length was written, nothing else.
pub const SCOUT_E_TOO_SMALL: i32 = -3;
/// The handle is not, or no longer, a core of this process.
pub const SCOUT_E_HANDLE: i32 = -4;
/// The options are not valid; `scout_last_error` says which and what is allowed.
pub const SCOUT_E_OPTIONS: i32 = -5;
/// The bytes are not valid records; `scout_last_error` says where.
pub const SCOUT_E_FORMAT: i32 = -6;
/// Something is larger than its documented limit.
pub const SCOUT_E_TOO_LARGE: i32 = -7;
/// A bounded table is full: interned names, or cores.
pub const SCOUT_E_LIMIT: i32 = -8;

/// The core has been shut down.
pub const SCOUT_E_SHUT_DOWN: i32 = -100;
/// Not accepted: no room. Counted in the stats as dropped.
pub const SCOUT_E_DROPPED: i32 = -101;
/// The time ran out first. What was accepted is kept, and goes on being delivered.
pub const SCOUT_E_TIMEOUT: i32 = -102;
/// Called from inside itself (a signal handler that interrupted a recording call), or another
/// thread held a lock too long. Not accepted, counted; try again.
pub const SCOUT_E_BUSY: i32 = -103;
/// Monitoring is switched off by configuration; the call did nothing.
pub const SCOUT_E_DISABLED: i32 = -104;

/// A file operation failed and there was nowhere else to keep the data.
pub const SCOUT_E_IO: i32 = -200;
/// The receiver refused the data for good; it was set aside, `scout_diagnose` says where.
pub const SCOUT_E_REJECTED: i32 = -201;
/// Neither delivered nor on disk: it is kept in memory, and lost if the process ends now.
pub const SCOUT_E_UNDELIVERED: i32 = -202;

/// A fault inside the library was contained; the core goes on. Please report it.
pub const SCOUT_E_PANIC: i32 = -900;

/// Every status with its name, for `scout_status_name`.
pub(super) const NAMES: &[(scout_status_t, &core::ffi::CStr)] = &[
    (SCOUT_OK, c"SCOUT_OK"),
    (SCOUT_SPOOLED, c"SCOUT_SPOOLED"),
    (SCOUT_CLAMPED, c"SCOUT_CLAMPED"),
    (SCOUT_EMPTY, c"SCOUT_EMPTY"),
    (SCOUT_E_NULL, c"SCOUT_E_NULL"),
    (SCOUT_E_INVALID, c"SCOUT_E_INVALID"),
    (SCOUT_E_TOO_SMALL, c"SCOUT_E_TOO_SMALL"),
    (SCOUT_E_HANDLE, c"SCOUT_E_HANDLE"),
    (SCOUT_E_OPTIONS, c"SCOUT_E_OPTIONS"),
    (SCOUT_E_FORMAT, c"SCOUT_E_FORMAT"),
    (SCOUT_E_TOO_LARGE, c"SCOUT_E_TOO_LARGE"),
    (SCOUT_E_LIMIT, c"SCOUT_E_LIMIT"),
    (SCOUT_E_SHUT_DOWN, c"SCOUT_E_SHUT_DOWN"),
    (SCOUT_E_DROPPED, c"SCOUT_E_DROPPED"),
    (SCOUT_E_TIMEOUT, c"SCOUT_E_TIMEOUT"),
    (SCOUT_E_BUSY, c"SCOUT_E_BUSY"),
    (SCOUT_E_DISABLED, c"SCOUT_E_DISABLED"),
    (SCOUT_E_IO, c"SCOUT_E_IO"),
    (SCOUT_E_REJECTED, c"SCOUT_E_REJECTED"),
    (SCOUT_E_UNDELIVERED, c"SCOUT_E_UNDELIVERED"),
    (SCOUT_E_PANIC, c"SCOUT_E_PANIC"),
];
