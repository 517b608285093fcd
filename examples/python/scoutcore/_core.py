"""One running core: its handle, what it knows by name, and what it tells about itself."""

import ctypes
import json
import logging

from . import _library

_LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


class StartFailed(Exception):
    """The core could not be started; the message says why, for a person."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Names(dict):
    """Interned ids by name, asked for at first use. 0: not interned, send the text.

    Bounded, because applications put ids and URLs into names in spite of all advice.
    """

    LIMIT = 4096

    def __init__(self, core):
        super().__init__()
        self._core = core

    def __missing__(self, name):
        if len(self) >= self.LIMIT:
            return 0
        self[name] = interned = self._core.intern(name)
        return interned


class Core:
    """A started core. Its methods return statuses, and never raise for what the core says."""

    def __init__(self, library, options):
        text = json.dumps(options).encode("utf-8") if options else b""
        handle = ctypes.c_uint64()
        status = library.scout_start(text, len(text), handle)
        if status < 0:
            name, message = library.status_name(status), library.last_error()
            raise StartFailed(status, "%s: %s" % (name, message) if message else name)
        self.library = library
        self.handle = handle.value
        self.names = Names(self)
        # Bound once: two attribute lookups less in every call.
        self._batch = library.scout_record_batch

    def intern(self, name):
        """The id of a name, or 0 if it has none: too long, not UTF-8, or the table is full."""
        try:
            text = name.encode("utf-8") if isinstance(name, str) else bytes(name)
        except (UnicodeEncodeError, TypeError):
            return 0
        interned = ctypes.c_uint32()
        status = self.library.scout_intern(self.handle, text, len(text), interned)
        return interned.value if status == _library.OK else 0

    def record_batch(self, records):
        """Hands over encoded records; the core copies them. Any thread; never waits."""
        return self._batch(self.handle, records, len(records), None)

    def flush(self, timeout_ms):
        """Waits until all is delivered or on disk. Releases the GIL."""
        return self.library.scout_flush(self.handle, timeout_ms)

    def shutdown(self, timeout_ms):
        """Flushes and stops. Releases the GIL."""
        return self.library.scout_shutdown(self.handle, timeout_ms)

    def stats(self):
        """The core's counters, by name; {} when it has been shut down."""
        return self._json(self.library.scout_stats)

    def diagnose(self):
        """A report about configuration, directories and delivery. Looks at files."""
        return self._json(self.library.scout_diagnose)

    def log_to(self, logger, limit=1000):
        """Moves the core's waiting log lines to a `logging.Logger`."""
        for _ in range(limit):
            status, line = _library.copied(self.library.scout_next_log, self.handle)
            if status != _library.OK:
                return
            line = json.loads(line.decode("utf-8", "replace"))
            logger.log(_LEVELS.get(line.get("level"), logging.INFO), "%s", line.get("message"))

    def _json(self, function):
        status, text = _library.copied(function, self.handle)
        return json.loads(text.decode("utf-8", "replace")) if status == _library.OK else {}
