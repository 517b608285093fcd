"""All 22 functions as plain ctypes, declared from the header's own types: for calling them wrongly."""

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint8, c_uint32
from ctypes import c_uint64, c_void_p

OK, CLAMPED, EMPTY = 0, 2, 3
E_NULL, E_INVALID, E_TOO_SMALL, E_HANDLE, E_OPTIONS, E_FORMAT = -1, -2, -3, -4, -5, -6
E_SHUT_DOWN = -100


class Tag(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("kind", c_uint32), ("key_id", c_uint32),
        ("value_id", c_uint32), ("key", c_char_p), ("key_len", c_size_t), ("str", c_char_p),
        ("str_len", c_size_t), ("i64", c_int64), ("f64", c_double),
    ]  # fmt: skip


class Span(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("operation_id", c_uint32), ("trace_id", c_uint8 * 16),
        ("span_id", c_uint64), ("parent_id", c_uint64), ("start_ns", c_uint64),
        ("end_ns", c_uint64), ("operation", c_char_p), ("operation_len", c_size_t),
        ("tags", POINTER(Tag)), ("n_tags", c_size_t),
    ]  # fmt: skip


class Error(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("reserved", c_uint32), ("trace_id", c_uint8 * 16),
        ("span_id", c_uint64), ("time_ns", c_uint64), ("class_name", c_char_p),
        ("class_name_len", c_size_t), ("message", c_char_p), ("message_len", c_size_t),
        ("backtrace", c_char_p), ("backtrace_len", c_size_t), ("tags", POINTER(Tag)),
        ("n_tags", c_size_t),
    ]  # fmt: skip


_copy_out = [c_void_p, c_size_t, POINTER(c_size_t)]

# name: (result, arguments); the first argument of most is a handle.
FUNCTIONS = {
    "scout_abi_version": (c_uint32, []),
    "scout_version": (c_char_p, []),
    "scout_status_name": (c_char_p, [c_int32]),
    "scout_start": (c_int32, [c_char_p, c_size_t, POINTER(c_uint64)]),
    "scout_flush": (c_int32, [c_uint64, c_uint32]),
    "scout_shutdown": (c_int32, [c_uint64, c_uint32]),
    "scout_intern": (c_int32, [c_uint64, c_char_p, c_size_t, POINTER(c_uint32)]),
    "scout_now": (c_uint64, [c_uint64]),
    "scout_span_begin": (c_int32, [c_uint64, POINTER(Span), c_uint32, POINTER(Span)]),
    "scout_span_end": (c_int32, [c_uint64, POINTER(Span), POINTER(Tag), c_size_t]),
    "scout_record_span": (c_int32, [c_uint64, POINTER(Span)]),
    "scout_record_batch": (c_int32, [c_uint64, c_char_p, c_size_t, POINTER(c_size_t)]),
    "scout_tag_request": (c_int32, [c_uint64, c_char_p, POINTER(Tag), c_size_t]),
    "scout_record_error": (c_int32, [c_uint64, POINTER(Error)]),
    "scout_record_metric": (c_int32, [c_uint64, c_char_p, c_size_t, c_double]),
    "scout_record_event": (c_int32, [c_uint64, c_char_p, c_size_t, c_char_p, c_size_t]),
    "scout_stats": (c_int32, [c_uint64] + _copy_out),
    "scout_diagnose": (c_int32, [c_uint64] + _copy_out),
    "scout_next_log": (c_int32, [c_uint64] + _copy_out),
    "scout_last_error": (c_int32, _copy_out),
    "scout_sql_sanitize": (c_int32, [c_char_p, c_size_t, c_char_p, c_size_t] + _copy_out),
    "scout_sql_summarize": (c_int32, [c_char_p, c_size_t, c_char_p, c_size_t] + _copy_out),
}


def sized(value):
    """A struct that states its size, and has what must be there; anything else as it is."""
    if isinstance(value, ctypes.Structure):
        value.struct_size = ctypes.sizeof(value)
    if isinstance(value, (Span, Error)):
        value.trace_id[0] = value.span_id = 1
    if isinstance(value, Error):
        value.class_name, value.class_name_len = b"E", 1
    return value


def library():
    """The shared object under test, with every function declared."""
    loaded = ctypes.CDLL(os.environ["SCOUTCORE_LIB"])
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded
