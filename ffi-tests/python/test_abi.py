"""The C functions called wrongly, through plain ctypes."""

import ctypes
import json
import random

import abi
from testing import directory, test


def started(library):
    options = json.dumps({"data_dir": directory()}).encode()
    core = ctypes.c_uint64()
    assert library.scout_start(options, len(options), core) == abi.OK
    return core.value


@test
def declared_as_in_the_header():
    """22 functions, and structs of the size the library takes."""
    library = abi.library()
    assert len(abi.FUNCTIONS) == 22
    core = started(library)
    span = abi.Span(struct_size=ctypes.sizeof(abi.Span))
    assert library.scout_span_begin(core, None, 0, span) == abi.OK
    span.operation, span.operation_len = b"Controller/x", 12
    tag = abi.Tag(struct_size=ctypes.sizeof(abi.Tag), kind=1, key=b"k", key_len=1, str=b"v", str_len=1)
    assert library.scout_span_end(core, span, tag, 1) == abi.OK
    assert span.end_ns >= span.start_ns > 0
    library.scout_shutdown(core, 2000)


SIZE = 64
TEXT = b"{}".ljust(SIZE)  # JSON, a name, a statement, a trace id: whatever is asked for


def arguments(function, handle, pointers):
    """A handle; for pointers NULL, or something in order; its size; zero for other numbers."""
    values, kinds = [], abi.FUNCTIONS[function][1]
    for position, kind in enumerate(kinds):
        if kind is abi.c_uint64 and position == 0:
            values.append(handle)
        elif kind in (abi.c_char_p, abi.c_void_p) or hasattr(kind, "contents"):
            if not pointers:
                values.append(None)
            elif kind is abi.c_char_p:
                values.append(TEXT)
            elif kind is abi.c_void_p:
                values.append(ctypes.create_string_buffer(SIZE))
            else:
                values.append(kind(abi.sized(kind._type_())))
        elif kind is abi.c_size_t and kinds[position - 1] in (abi.c_char_p, abi.c_void_p):
            values.append(SIZE)
        else:
            values.append(0)
    return values


@test
def nulls_everywhere():
    library = abi.library()
    core = started(library)
    for function, (result, _) in abi.FUNCTIONS.items():
        if function in ("scout_flush", "scout_shutdown"):
            continue  # no pointers
        value = getattr(library, function)(*arguments(function, core, pointers=False))
        if result is abi.c_int32:
            assert value < 0, (function, value)
    assert library.scout_shutdown(core, 2000) >= 0


@test
def garbage_handles_everywhere():
    library = abi.library()
    core = started(library)
    handles = [0, 1, 2**63, 2**64 - 1, core + 1, core << 1] + [random.getrandbits(64) for _ in range(50)]
    taking = [f for f, (_, a) in abi.FUNCTIONS.items() if a and a[0] is abi.c_uint64]
    assert len(taking) == 15
    for handle in handles:
        for function in taking:
            value = getattr(library, function)(*arguments(function, handle, pointers=True))
            if function == "scout_now":
                assert value == 0
            else:
                assert value in (abi.E_HANDLE, abi.E_SHUT_DOWN), (function, handle, value)
    assert library.scout_shutdown(core, 2000) >= 0
    for function in taking:
        value = getattr(library, function)(*arguments(function, core, pointers=True))
        assert value == (0 if function == "scout_now" else abi.E_SHUT_DOWN), (function, value)


@test
def strings_with_anything_inside():
    library = abi.library()
    core = started(library)
    size = ctypes.c_size_t()
    buffer = ctypes.create_string_buffer(4096)
    for text in (b"", b"\0", b"a\0b", b"\xff\xfe", bytes(range(256)) * 4):
        assert library.scout_record_metric(core, text, len(text), 1.0) >= 0 or not text
        assert library.scout_sql_sanitize(None, 0, text, len(text), buffer, 4096, size) == abi.OK
        buffer.raw[: size.value].decode("utf-8")
    assert library.scout_shutdown(core, 2000) >= 0
