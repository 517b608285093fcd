//! The SQL engine on its own.

use super::guard::guard;
use super::pointers::{CopyOut, bytes};
use super::status::scout_status_t;
use crate::core;
use ::core::ffi::c_char;

/// Copies out a statement with every literal replaced by `?`, comments dropped and white space
/// squeezed: UTF-8, safe to store and to show.
///
/// `dialect` is a database's or an adapter's name ("postgres", "mysql2", "sqlite", ...); NULL or
/// unknown means the strictest reading. Any bytes are accepted; what cannot be read safely
/// becomes `?`. Over 64 KiB only the head is used. Copies as `scout_stats` does. No core is needed.
///
/// Never blocks; takes a few microseconds a kilobyte at most. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_sql_sanitize(
    dialect: *const c_char,
    dialect_len: usize,
    sql: *const c_char,
    sql_len: usize,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives readable bytes of these lengths and a writable buffer.
        let (dialect, sql, out) = unsafe {
            (
                bytes(dialect.cast(), dialect_len)?,
                bytes(sql.cast(), sql_len)?,
                CopyOut::new(buffer, capacity, len)?,
            )
        };
        core::sql_sanitize(dialect, sql, |text| out.write(text.as_bytes()))
    })
}

/// Copies out a statement's summary: its verbs and tables in order, e.g. "SELECT users" or
/// "INSERT orders SELECT carts", at most 255 bytes, without literals and of low cardinality
/// (OpenTelemetry's `db.query.summary`). Otherwise as `scout_sql_sanitize`.
///
/// Never blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scout_sql_summarize(
    dialect: *const c_char,
    dialect_len: usize,
    sql: *const c_char,
    sql_len: usize,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> scout_status_t {
    guard(|| {
        // SAFETY: the caller gives readable bytes of these lengths and a writable buffer.
        let (dialect, sql, out) = unsafe {
            (
                bytes(dialect.cast(), dialect_len)?,
                bytes(sql.cast(), sql_len)?,
                CopyOut::new(buffer, capacity, len)?,
            )
        };
        core::sql_summarize(dialect, sql, |text| out.write(text.as_bytes()))
    })
}
