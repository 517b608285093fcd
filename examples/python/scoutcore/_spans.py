"""Spans and requests: what an application is instrumented with.

The current span is a context variable: each thread and each asyncio task has its own, and tasks
inherit their creator's. A request's records wait in its buffer until its root ends, then cross to
the core in one call.

Times are a request's wall-clock start plus `perf_counter_ns` differences: as cheap as
`time.time_ns`, but a clock that is set while a request runs bends no duration.
"""

import functools
import inspect
import logging
import os
import random
import traceback
from collections import deque
from contextvars import ContextVar
from time import perf_counter_ns, time_ns

from . import _encode

# Bytes a request may hold back. Long requests (a job, a stream) hand over in several calls.
BUFFER = 48 * 1024

_NO_TRACE = bytes(16)
_encode_span = _encode.span
_logger = logging.getLogger("scoutcore")

_core = None
_current = ContextVar("scoutcore_span", default=None)
_generation = 0
# Own generator: an application that seeds `random` must not get the same ids in each process.
_random = random.Random()
_random_bits = _random.getrandbits


def use(core):
    """Sets the core that requests from now on are recorded with; None: nothing is recorded."""
    global _core
    _core = core


class Request:
    """What the spans of one request share: its id, its clock, and the records not yet sent."""

    __slots__ = (
        "core", "names", "trace_id", "offset", "records", "size", "ended", "generation", "failure",
    )

    def __init__(self, core):
        self.core = core
        self.names = core.names
        self.trace_id = _random_bits(128).to_bytes(16, "little")
        self.offset = time_ns() - perf_counter_ns()
        # A deque, because append and popleft are atomic: spans of one request end in any thread,
        # and a signal handler or finaliser may end one in the middle of `send`. No lock to hold.
        self.records = deque()
        self.size = 0
        self.ended = False
        self.generation = _generation
        self.failure = None

    def add(self, record):
        """Buffers a record; what comes after the root's end, or is too much, goes at once."""
        self.records.append(record)
        self.size += len(record)
        if self.ended or self.size > BUFFER:
            self.send()

    def send(self):
        """Hands over all that is buffered."""
        self.size = 0
        batch, take = [], self.records.popleft
        try:
            while True:
                batch.append(take())
        except IndexError:
            pass
        # What a forked child inherits is its parent's to report.
        if batch and self.generation == _generation:
            status = self.core.record_batch(b"".join(batch))
            if status < 0:
                _logger.debug("scoutcore: a batch came to status %d", status)


class span:
    """A timed piece of work: a context manager, and a decorator of functions and coroutines.

        with span("SQL/Query", {"db.statement": sql}):
            rows = connection.execute(sql)

        @span("Job/mailer")
        async def mailer(): ...

    The operation is `Type/name`. Without a span around it, it begins a request: name those
    `Controller/...` or `Job/...`. An exception passes through, and when it leaves the whole
    request it is recorded as the request's error.

    A thread begins with no current span: give it one with `contextvars.copy_context().run`, or
    with `parent=current()`.
    """

    __slots__ = ("operation", "tags", "id", "_parent", "_request", "_start")

    def __init__(self, operation, tags=None, *, parent=None):
        self.operation = operation
        self.tags = tags
        self._parent = parent
        self._request = None

    def __enter__(self):
        parent = self._parent
        if parent is None:
            self._parent = parent = _current.get()
        if parent is not None:
            self._request = parent._request
        elif _core is not None:
            self._request = Request(_core)
        else:
            return self
        self.id = _random_bits(64) or 1
        _current.set(self)
        self._start = perf_counter_ns()
        return self

    def __exit__(self, kind, exception, trace):
        end = perf_counter_ns()
        request = self._request
        if request is None:
            return
        parent = self._parent
        # Not `reset`: that fails where a generator is closed in another context than it began in.
        _current.set(parent)
        try:
            if exception is not None:
                self._passed_by(request, exception)
            offset = request.offset
            record = _encode_span(
                request.names,
                request.trace_id,
                self.id,
                parent.id if parent is not None else 0,
                self._start + offset,
                end + offset,
                self.operation,
                self.tags,
            )
            # `Request.add`, unrolled: this is the hot path.
            request.records.append(record)
            request.size += len(record)
            if parent is None:
                request.ended = True
                request.send()
            elif request.ended or request.size > BUFFER:
                request.send()
        except Exception:  # whatever a tag's __str__ does, the application goes on
            _logger.debug("scoutcore: a span was not recorded", exc_info=True)

    def __call__(self, function):
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced(*args, **kwargs):
                with span(self.operation, self.tags):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def traced(*args, **kwargs):
                with span(self.operation, self.tags):
                    return function(*args, **kwargs)

        return traced

    def tag(self, key, value):
        """Adds a tag that is known only later, e.g. a row count."""
        # A copy, because the mapping may be shared: a decorator's, or a constant.
        self.tags = {**(self.tags or {}), key: value}

    def _passed_by(self, request, exception):
        """Notes the innermost span of an exception; records it when it leaves the request.

        One that is handled on the way out was not the request's failure. Nor are exits and
        cancellations, which are no `Exception`.
        """
        if not isinstance(exception, Exception):
            return
        if request.failure is None or request.failure[0] != id(exception):
            request.failure = (id(exception), self.id)
        if self._parent is None:
            request.add(_error_record(request, request.failure[1], exception, None))


def current():
    """The current span, or None."""
    return _current.get()


def tag_request(tags):
    """Tags the current request: `path`, `user_ip`, or any context of yours."""
    active = _current.get()
    if active is not None:
        request = active._request
        time = perf_counter_ns() + request.offset
        _guarded(request.add, _encode.request_tags, request.names, request.trace_id, time, tags)


def rename(operation):
    """Renames the current request, e.g. once its route is known."""
    tag_request({"transaction.name": operation})


def ignore():
    """Leaves the current request out of everything: a health check."""
    tag_request({"ignore_transaction": True})


def error(exception, tags=None):
    """Records an exception that the application handles itself, and marks the current request
    as failed. One that escapes the request is recorded without this."""
    active = _current.get()
    if active is not None:
        request = active._request
        _guarded(request.add, _error_record, request, active.id, exception, tags)
    elif _core is not None:
        _guarded(_core.record_batch, _error_record, None, 0, exception, tags)


def metric(name, value):
    """Records a sample of a gauge, taken now: `Memory/Physical` in MB, `CPU/Utilization` in %."""
    if _core is not None:
        _guarded(_core.record_batch, _encode.metric, time_ns(), name, value)


def event(kind, json):
    """Records something about the application: `scout.metadata` and a JSON object as text."""
    if _core is not None:
        _guarded(_core.record_batch, _encode.event, time_ns(), kind, json)


def _guarded(hand_over, encode, *values):
    try:
        hand_over(encode(*values))
    except Exception:
        _logger.debug("scoutcore: a record was not made", exc_info=True)


def _error_record(request, span_id, exception, tags):
    frames = reversed(traceback.extract_tb(exception.__traceback__))
    lines = ("%s:%s:in %s" % (frame.filename, frame.lineno, frame.name) for frame in frames)
    return _encode.error(
        (request or _core).names,
        request.trace_id if request else _NO_TRACE,
        span_id,
        time_ns(),
        type(exception).__name__,
        str(exception),
        "\n".join(lines),
        tags,
    )


def _forked():
    """In a new child: fresh ids, and no request of the parent's is current in any context."""
    global _current, _generation
    _generation += 1
    _current = ContextVar("scoutcore_span", default=None)
    _random.seed()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
