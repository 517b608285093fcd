"""What the tests of deliveries share: their list, a core on a receiver, and what it costs."""

import ctypes
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "python"))

import abi  # noqa: E402

SPOOLED, E_OPTIONS, E_REJECTED = 1, -5, -201
KEY = "abcdefghij0123456789"
# The build without TLS: plain HTTP to loopback, one connection a payload.
SMALL = "SMALL_BUILD" in os.environ
TESTS = {}


def test(function):
    TESTS[function.__name__.replace("_", "-")] = function
    return function


def test_in_full(function):
    """Not for the small build: it has no TLS, no proxies and no names to look up; and what is the same
    with any HTTP client is tested once."""
    return function if SMALL else test(function)


class Core:
    """A core that delivers to a receiver, with its spool in a folder of its own."""

    def __init__(self, url, **options):
        self.library = abi.library()
        self.folder = options.pop("data_dir", None) or tempfile.mkdtemp(prefix="scout-delivery-")
        settings = {"name": "My App & Co", "key": KEY, "data_dir": self.folder, "destination": url,
                    "hostname": "test-host", "http_timeout_ms": 1000, **options}  # fmt: skip
        text = json.dumps(settings).encode()
        self.core = ctypes.c_uint64()
        status = self.library.scout_start(text, len(text), ctypes.byref(self.core))
        assert status == 0, (status, self.last_error())

    def request(self, name=b"Controller/home"):
        span = abi.Span(struct_size=ctypes.sizeof(abi.Span))
        assert self.library.scout_span_begin(self.core, None, 0, ctypes.byref(span)) == 0
        span.operation, span.operation_len = name, len(name)
        assert self.library.scout_span_end(self.core, ctypes.byref(span), None, 0) == 0

    def error(self):
        """Records an error of no request."""
        error = abi.sized(abi.Error())
        error.trace_id[0] = error.span_id = 0
        error.class_name, error.class_name_len = b"ValueError", 10
        assert self.library.scout_record_error(self.core, ctypes.byref(error)) == 0

    def flush(self, timeout=5000):
        return self.library.scout_flush(self.core, timeout)

    def shutdown(self, timeout=5000):
        return self.library.scout_shutdown(self.core, timeout)

    def copied(self, function, *arguments):
        buffer, size = ctypes.create_string_buffer(1 << 17), ctypes.c_size_t()
        status = function(*arguments, buffer, len(buffer), ctypes.byref(size))
        return status, buffer.raw[: size.value].decode()

    def stats(self):
        return json.loads(self.copied(self.library.scout_stats, self.core)[1])

    def last_error(self):
        return self.copied(self.library.scout_last_error)[1]

    def logs(self):
        lines = []
        while True:
            status, line = self.copied(self.library.scout_next_log, self.core)
            if status != 0:
                return lines
            lines.append(json.loads(line)["message"])


def url(receiver, scheme="http"):
    return "%s://127.0.0.1:%d" % (scheme, receiver.port)


def calls(payload):
    return sum(m["call_count"] for m in payload["metrics"] if m["key"]["bucket"] == "Controller")


def memory_kib():
    with open("/proc/self/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1])


class Peak:
    """How much more memory than now was needed at any time since."""

    def __init__(self):
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        self.before = self._kib()

    @staticmethod
    def _kib():
        with open("/proc/self/status", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith("VmHWM")).split()[1])

    def kib(self):
        return self._kib() - self.before


def threads():
    """Threads that are not this program's own, whose receiver starts and ends some."""
    count = 0
    for task in os.listdir("/proc/self/task"):
        try:
            with open("/proc/self/task/%s/comm" % task, encoding="ascii") as file:
                count += not file.read().startswith("python")
        except OSError:
            pass  # it has just ended
    return count
