"""Threads of an agent, stopped as a slow disk would stop them, but for as long as a test likes."""

import contextlib
import ctypes
import glob
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
DETACH, SEIZE, INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "ptrace: " + os.strerror(error))


def threads(process, name):
    """The ids of a process's threads of this name."""
    found = []
    for path in glob.glob("/proc/%d/task/*/comm" % process):
        with open(path) as file:
            if file.read().strip() == name:
                found.append(int(path.split("/")[4]))
    return found


@contextlib.contextmanager
def frozen(ids):
    """These threads do nothing meanwhile. To be left by the thread that entered."""
    held = []
    try:
        for thread in ids:
            _ptrace(SEIZE, thread)
            held.append(thread)
            _ptrace(INTERRUPT, thread)
            os.waitpid(thread, WALL)
        yield
    finally:
        for thread in held:
            _ptrace(DETACH, thread)
