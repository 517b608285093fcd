"""Starting, flushing and stopping: one core a process, and no trouble when there is none."""

import atexit
import json
import logging
import os
import platform
import threading
from time import monotonic

from . import _library, _spans
from ._core import Core, StartFailed

# How long an exiting process waits for its last delivery.
EXIT_TIMEOUT_MS = 2000

_logger = logging.getLogger("scoutcore")
_lock = threading.Lock()
_core = None
_off = "start() was not called"


def start(**options):
    """Starts recording, and returns whether it does. Never raises.

    Options are the core's (docs/configuration.md), e.g. `start(name="Shop")`. Without a library,
    with the wrong one, or with options it refuses: one warning, every other function does
    nothing, and `off_reason` says why. A second call changes nothing.
    """
    global _core, _off
    with _lock:
        if _core is not None:
            return True
        library, reason = _library.load()
        if library is not None:
            try:
                _core = Core(library, options)
            except StartFailed as failure:
                reason = str(failure)
                if failure.status == _library.E_DISABLED:
                    _off = reason  # as configured: nothing to warn of
                    return False
            except (TypeError, ValueError) as failure:
                reason = "the options are not JSON: %s" % failure
        if _core is None:
            if _off != reason:
                _logger.warning("scoutcore is off, nothing is recorded: %s", reason)
            _off = reason
            return False
        _off = None
        _spans.use(_core)
        atexit.register(shutdown, EXIT_TIMEOUT_MS)
    metadata = {"language": "python", "language_version": platform.python_version()}
    _spans.event("scout.metadata", json.dumps(metadata))
    return True


def _forked():
    """In a new child: a lock that no thread of the parent's holds."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def off_reason():
    """Why nothing is recorded; None while it is."""
    return _off


def flush(timeout_ms=1000):
    """Delivers what was recorded, and moves the core's log to `logging`. Returns a status, or
    None if nothing is recorded. May wait that long, without the GIL."""
    core = _core
    if core is None:
        return None
    status = core.flush(timeout_ms)
    core.log_to(_logger)
    return status


def shutdown(timeout_ms=EXIT_TIMEOUT_MS):
    """Flushes and stops. Registered to run at exit; calling it twice does no harm."""
    global _core, _off
    with _lock:
        core, _core = _core, None
        if core is None:
            return None
        _off = "it was shut down"
        _spans.use(None)
    atexit.unregister(shutdown)
    began = monotonic()
    core.flush(timeout_ms)
    core.log_to(_logger)  # now: after shutdown there is no core to ask
    spent_ms = int((monotonic() - began) * 1000)
    return core.shutdown(max(timeout_ms - spent_ms, 0))


def stats():
    """The core's counters; {} if nothing is recorded."""
    return _core.stats() if _core is not None else {}


def diagnose():
    """The core's report for a support ticket. Looks at files: not in a request."""
    return _core.diagnose() if _core is not None else {"off": _off}
