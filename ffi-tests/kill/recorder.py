"""As recorder.c, in Python: records requests through ctypes, with interned names, until it is killed.

    recorder.py DATA_DIR NAME THREADS PROGRESS_FILE
"""

import ctypes
import json
import mmap
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import abi  # noqa: E402

DROPPED = -101


def intern(library, core, name):
    number = ctypes.c_uint32()
    assert library.scout_intern(core, name, len(name), ctypes.byref(number)) == abi.OK
    return number.value


def record(library, core, span, progress, slot):
    while True:
        status = library.scout_record_span(core, ctypes.byref(span))
        if status == abi.OK:
            progress[slot] += 1
            return
        if status != DROPPED:
            os._exit(7)
        time.sleep(0.001)  # not accepted: try again, so that no request lacks its root


def work(library, core, name, t, progress):
    rng = random.Random(os.getpid() * 31 + t)
    root_name = intern(library, core, b"Controller/%st%d" % (name.encode(), t))
    query_name = intern(library, core, b"SQL/Query")
    while True:
        trace = (ctypes.c_uint8 * 16)(*rng.randbytes(16))
        root = rng.getrandbits(64) | 1

        def span(number, parent, operation):
            now = library.scout_now(core)
            return abi.Span(struct_size=ctypes.sizeof(abi.Span), trace_id=trace, span_id=number,
                            parent_id=parent, start_ns=now - 1000, end_ns=now,
                            operation_id=operation)  # fmt: skip

        for _ in range(3):
            query = span(rng.getrandbits(64) | 1, root, query_name)
            record(library, core, query, progress, 2 * t + 1)
            if t == 0:
                time.sleep(0.002)
        record(library, core, span(root, 0, root_name), progress, 2 * t)


def main():
    data, name, threads, path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(file, 4096)
    progress = (ctypes.c_uint64 * 512).from_buffer(mmap.mmap(file, 4096))
    library = abi.library()
    core = ctypes.c_uint64()
    options = json.dumps({"data_dir": data, "name": "kill", "recorder_memory_mib": 1}).encode()
    assert library.scout_start(options, len(options), ctypes.byref(core)) == abi.OK
    arguments = [(library, core, name, t, progress) for t in range(threads)]
    for each in arguments[1:]:
        threading.Thread(target=work, args=each, daemon=True).start()
    work(*arguments[0])


if __name__ == "__main__":
    main()
