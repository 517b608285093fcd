//! The structs that cross the boundary. Fields are only ever added at the end.

use core::ffi::c_char;

/// A running core. A plain number, never a pointer: a stale or invented handle is answered with
/// `SCOUT_E_HANDLE` or `SCOUT_E_SHUT_DOWN`. Valid in every thread and, after a fork, in the child.
/// Zero is never a core.
pub type scout_core_t = u64;

/// The tag's value is `str` (or `value_id`).
pub const SCOUT_TAG_STRING: u32 = 1;
/// The tag's value is `i64`.
pub const SCOUT_TAG_I64: u32 = 2;
/// The tag's value is `f64`.
pub const SCOUT_TAG_F64: u32 = 3;
/// The tag's value is `i64`, zero or not.
pub const SCOUT_TAG_BOOL: u32 = 4;

/// A key and a value on a span, a request, an error or a metric.
///
/// In an array, all entries have the `struct_size` of the first. Text need not be UTF-8:
/// what is not is replaced on delivery. Text over 16,384 bytes is cut.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct scout_tag_t {
    /// `sizeof(scout_tag_t)`.
    pub struct_size: u32,
    /// One of `SCOUT_TAG_*`.
    pub kind: u32,
    /// The key, interned; or 0, and `key` holds it.
    pub key_id: u32,
    /// A string value, interned; or 0, and `str` holds it.
    pub value_id: u32,
    /// The key's text, when `key_id` is 0.
    pub key: *const c_char,
    /// Its length in bytes.
    pub key_len: usize,
    /// The value of a `SCOUT_TAG_STRING`, when `value_id` is 0.
    pub str: *const c_char,
    /// Its length in bytes.
    pub str_len: usize,
    /// The value of a `SCOUT_TAG_I64` or `SCOUT_TAG_BOOL`.
    pub i64: i64,
    /// The value of a `SCOUT_TAG_F64`.
    pub f64: f64,
}

/// One span: a timed piece of work inside a request.
///
/// A request is the set of spans with one `trace_id`; its root is the span whose `parent_id` is 0.
/// `operation` is `Type/name`: `Controller/users/show` or `Job/mailer` name the endpoint,
/// `SQL/Query`, `HTTP/GET`, `Template/Render`, `Custom/anything` are layers under it.
/// Children may be recorded before or after their parent, from any thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct scout_span_t {
    /// `sizeof(scout_span_t)`.
    pub struct_size: u32,
    /// The operation, interned; or 0, and `operation` holds it.
    pub operation_id: u32,
    /// The request's id: 16 bytes, not all zero (a W3C trace id).
    pub trace_id: [u8; 16],
    /// This span's id, not zero, unique in its request.
    pub span_id: u64,
    /// The enclosing span's id; 0 for the root.
    pub parent_id: u64,
    /// When it began: Unix time in nanoseconds.
    pub start_ns: u64,
    /// When it ended: Unix time in nanoseconds. Before `start_ns`, it counts as `start_ns`.
    pub end_ns: u64,
    /// The operation's text, when `operation_id` is 0.
    pub operation: *const c_char,
    /// Its length in bytes.
    pub operation_len: usize,
    /// `n_tags` tags, or NULL.
    pub tags: *const scout_tag_t,
    /// How many. The first 128 are kept.
    pub n_tags: usize,
}

/// An exception that the application raised.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct scout_error_t {
    /// `sizeof(scout_error_t)`.
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// The request it happened in, or all zero.
    pub trace_id: [u8; 16],
    /// The span it happened in, or 0.
    pub span_id: u64,
    /// When: Unix time in nanoseconds; 0 means now.
    pub time_ns: u64,
    /// Its class, e.g. `ValueError`. Required.
    pub class_name: *const c_char,
    /// Length in bytes.
    pub class_name_len: usize,
    /// Its message.
    pub message: *const c_char,
    /// Length in bytes.
    pub message_len: usize,
    /// Lines of `file:line:in function`, innermost first, separated by `\n`.
    pub backtrace: *const c_char,
    /// Length in bytes.
    pub backtrace_len: usize,
    /// `n_tags` tags (request parameters and context), or NULL.
    pub tags: *const scout_tag_t,
    /// How many. The first 128 are kept.
    pub n_tags: usize,
}
