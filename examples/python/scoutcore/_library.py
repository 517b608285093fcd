"""Finding the shared object, loading it, and checking that it is the right one.

Nothing here raises for a missing or unfit library: `load` says why there is none.
"""

import ctypes
import os
import sys

ABI_VERSION = 1

OK, SPOOLED, CLAMPED, EMPTY = 0, 1, 2, 3
E_TOO_SMALL, E_SHUT_DOWN, E_DISABLED = -3, -100, -104

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_BUILD = os.path.join(_PACKAGE, "..", "..", "..", "target", "release")

if sys.platform == "darwin":
    _FILES = ("libscoutcore.dylib", "libscoutcore.1.dylib")
    _SYSTEM = ("libscoutcore.1.dylib", "libscoutcore.dylib")
else:
    _FILES = ("libscoutcore.so", "libscoutcore.so.1")
    _SYSTEM = ("libscoutcore.so.1",)

_status, _u32, _u64 = ctypes.c_int32, ctypes.c_uint32, ctypes.c_uint64
_text, _size, _out = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p
_size_out = ctypes.POINTER(ctypes.c_size_t)
_copy_out = (_out, _size, _size_out)

# Each of these returns at once, so the GIL is kept (PyDLL): giving it up and fighting for it
# again would cost more than the call itself, and invites convoys.
_QUICK = {
    "scout_abi_version": (_u32, ()),
    "scout_version": (_text, ()),
    "scout_status_name": (_text, (_status,)),
    "scout_intern": (_status, (_u64, _text, _size, ctypes.POINTER(_u32))),
    "scout_record_batch": (_status, (_u64, _text, _size, _size_out)),
    "scout_stats": (_status, (_u64,) + _copy_out),
    "scout_next_log": (_status, (_u64,) + _copy_out),
    "scout_last_error": (_status, _copy_out),
    "scout_sql_sanitize": (_status, (_text, _size, _text, _size) + _copy_out),
    "scout_sql_summarize": (_status, (_text, _size, _text, _size) + _copy_out),
}

# These may wait for a thread, a file or the network: the GIL is released (CDLL).
_WAITING = {
    "scout_start": (_status, (_text, _size, ctypes.POINTER(_u64))),
    "scout_flush": (_status, (_u64, _u32)),
    "scout_shutdown": (_status, (_u64, _u32)),
    "scout_diagnose": (_status, (_u64,) + _copy_out),
}


class Unfit(Exception):
    """Why a candidate cannot be used."""


class Library:
    """One loaded shared object: its functions, typed, under their C names."""

    def __init__(self, path):
        try:
            quick, waiting = ctypes.PyDLL(path), ctypes.CDLL(path)
        except OSError as error:
            raise Unfit(str(error)) from None
        try:
            # First this one alone: another ABI's functions may have other arguments.
            self._bind(quick, {"scout_abi_version": _QUICK["scout_abi_version"]})
            version = self.scout_abi_version()
            if version != ABI_VERSION:
                raise Unfit("%s: its ABI is %d, this binding's %d" % (path, version, ABI_VERSION))
            self._bind(quick, _QUICK)
            self._bind(waiting, _WAITING)
        except AttributeError as error:
            raise Unfit("%s: not a scoutcore library (%s)" % (path, error)) from None
        self.path = path

    def _bind(self, handle, functions):
        for name, (result, arguments) in functions.items():
            function = getattr(handle, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def status_name(self, status):
        """A status as the header names it."""
        return self.scout_status_name(status).decode("ascii")

    def last_error(self):
        """What was wrong with this thread's last failing call."""
        return copied(self.scout_last_error)[1].decode("utf-8", "replace")


def copied(function, *arguments, room=4096):
    """Calls a function that copies out, with a buffer that is large enough: (status, bytes)."""
    buffer, size = ctypes.create_string_buffer(room), ctypes.c_size_t()
    status = function(*arguments, buffer, len(buffer), size)
    while status == E_TOO_SMALL:  # again if it grew in between
        buffer = ctypes.create_string_buffer(size.value + 256)
        status = function(*arguments, buffer, len(buffer), size)
    return status, buffer.raw[: size.value] if status >= 0 else b""


def candidates():
    """Where the library may be, in order. `SCOUTCORE_LIB` stands alone: who names a file wants
    that one or an explanation, not another."""
    named = os.environ.get("SCOUTCORE_LIB")
    if named:
        return [named]
    beside = [os.path.join(folder, file) for folder in (_PACKAGE, _BUILD) for file in _FILES]
    return [path for path in beside if os.path.exists(path)] + list(_SYSTEM)


_last = None


def load():
    """The first candidate that loads and fits, and None; or None, and why each did not."""
    global _last
    _last = _searched()
    return _last


def found():
    """The library of the last `load`, for what needs no core; looked for once. Or None."""
    return (_last or load())[0]


def _searched():
    reasons = []
    for path in candidates():
        try:
            return Library(path), None
        except Unfit as reason:
            reasons.append(str(reason))
    return None, "; ".join(reasons)
