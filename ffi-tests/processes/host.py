"""Processes of an application, each with a core of its own, for the tests of several together."""

import ctypes
import json
import mmap
import multiprocessing
import os
import signal
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))

import abi  # noqa: E402

DROPPED, UNDELIVERED = -101, -202
SPOOLED = 1
# Delivered, or safely on disk.
SAFE = (0, SPOOLED)
_fork = multiprocessing.get_context("fork")


class Core:
    """A core, by the plain C functions."""

    def __init__(self, **options):
        self.library = abi.library()
        self.handle = ctypes.c_uint64()
        text = json.dumps({"name": "processes", **options}).encode()
        status = self.library.scout_start(text, len(text), ctypes.byref(self.handle))
        assert status == abi.OK, "start: %d" % status

    def record(self, operation, end_ns=None):
        """A request of one span; whether it was accepted."""
        end = end_ns or self.library.scout_now(self.handle)
        span = abi.Span(trace_id=(ctypes.c_uint8 * 16)(*os.urandom(16)), start_ns=end - 1000, end_ns=end,
                        span_id=int.from_bytes(os.urandom(8), "little") | 1,
                        struct_size=ctypes.sizeof(abi.Span), operation=operation.encode(),
                        operation_len=len(operation))  # fmt: skip
        status = self.library.scout_record_span(self.handle, ctypes.byref(span))
        assert status in (abi.OK, DROPPED), status
        return status == abi.OK

    def fill(self, operation, most):
        """Records until that is refused, at most so many times; how many were accepted."""
        for count in range(most):
            if not self.record(operation):
                return count
        return most

    def stats(self):
        text = ctypes.create_string_buffer(65536)
        length = ctypes.c_size_t()
        assert self.library.scout_stats(self.handle, text, 65536, ctypes.byref(length)) == abi.OK
        return json.loads(text.raw[: length.value])

    def flush(self):
        return self.library.scout_flush(self.handle, 30000)

    def shutdown(self):
        return self.library.scout_shutdown(self.handle, 60000)


def _run(work, arguments):
    try:
        work(*arguments)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def started(work, *arguments):
    """A process that does something, and has no exit hooks."""
    process = _fork.Process(target=_run, args=(work, arguments))
    process.start()
    return process


def done(process, code=0):
    process.join(120)
    assert process.exitcode == code, "a process ended with %s, not %d" % (process.exitcode, code)


def dies_with(work, *arguments):
    """Runs something in a process, and kills that at its end, by its own hand: no time passes."""

    def and_die(*arguments):
        work(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    done(started(and_die, *arguments), -signal.SIGKILL)


def recovered(**options):
    """A next process of the application: what it says of its recovery, once all is delivered."""
    shared = mmap.mmap(-1, 65536)

    def recover():
        core = Core(**options)
        flushed, stats = core.flush(), core.stats()
        text = json.dumps([flushed, core.shutdown(), stats]).encode()
        shared[: len(text)] = text

    done(started(recover))
    flushed, ended, stats = json.loads(shared[:].rstrip(b"\0"))
    assert flushed in SAFE and ended in SAFE, (flushed, ended)
    return stats


def segment_files(data):
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(os.path.join(data, "spool"))
        for name in names
        if name.endswith(".segments")
    ]
