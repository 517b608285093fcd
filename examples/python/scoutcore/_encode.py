"""The record format of docs/record-format.md: Python values in, the bytes of one record out.

Pure: no clock, no library. `names` maps a name to its interned id, or to 0 for a name that has
none and must travel as text (see `_core.Names`).

Built for speed: two neighbouring little-endian fields of 32 bits are one of 64, so a whole record,
tags included, is packed by one `struct` call with few arguments.
"""

from struct import Struct

MAX_RECORD = 65400
MAX_STRING = 16384
MAX_TAGS = 128
MAX_EVENT = 65000

_U64 = (1 << 64) - 1
_I64_MIN, _I64_MAX = -(1 << 63), (1 << 63) - 1
_VERSION = 1 << 40
_INLINE = 1 << 31
_STRING, _I64, _F64, _BOOL = (kind << 32 for kind in (1, 2, 3, 4))
_CUT = 1 << 40
_PADDING = [bytes(count) for count in range(8)]
_f64 = Struct("<d").pack


class _Layout:
    """A kind of record: its bits in the header, its fixed part, and a packer by tag count."""

    def __init__(self, kind, fixed):
        self.bits = kind << 32 | _VERSION
        self.format = "<Q" + fixed
        self.size = Struct(self.format).size
        self.packers = [Struct(self.format + "QQ" * count).pack for count in range(MAX_TAGS + 1)]


_SPAN = _Layout(1, "16sQQQQQ")
_REQUEST_TAGS = _Layout(2, "16sQ")
_ERROR = _Layout(3, "16sQQIIII")
_METRIC = _Layout(4, "QdQ")
_EVENT = _Layout(5, "QII")

# A span with one text, by the text's length in words: packer (it pads with zeros) and header.
_text_spans = [None] * (MAX_STRING // 8 + 1)

_PLAIN_SPAN = _SPAN.size | _SPAN.bits
_pack_plain_span = _SPAN.packers[0]


def _text_span(words):
    size = _SPAN.size + 16 + 8 * words
    pack = Struct(_SPAN.format + "QQ%ds" % (8 * words)).pack
    made = _text_spans[words] = (pack, size | _SPAN.bits | 1 << 48)
    return made


def span(names, trace_id, span_id, parent_id, start_ns, end_ns, operation, tags=None):
    """A completed span; `tags` is a mapping, or pairs."""
    name = names[operation]
    if name:
        # The two shapes that nearly all spans have, at a third of the general way's cost:
        # no tags, and one text (a statement, a URL).
        if not tags:
            return _pack_plain_span(
                _PLAIN_SPAN, trace_id, span_id, parent_id, start_ns, end_ns, name
            )
        if type(tags) is dict and len(tags) == 1:
            [(key, value)] = tags.items()
            key = names[key]
            if key and type(value) is str:
                text = value.encode("utf-8", "replace")
                size = len(text)
                if size <= MAX_STRING:
                    words = (size + 7) >> 3
                    pack, header = _text_spans[words] or _text_span(words)
                    return pack(
                        header, trace_id, span_id, parent_id, start_ns, end_ns, name,
                        key | _STRING, size | _INLINE, text,
                    )  # fmt: skip
    text = b""
    if not name:
        text = _bytes(operation)[:MAX_STRING]
        name = _INLINE | len(text)
    fixed = (trace_id, span_id, parent_id, start_ns, end_ns, name)
    return _record(_SPAN, fixed, text, names, tags)


def request_tags(names, trace_id, time_ns, tags):
    """Tags of a whole request."""
    return _record(_REQUEST_TAGS, (trace_id, time_ns), b"", names, tags)


def error(names, trace_id, span_id, time_ns, class_name, message, backtrace, tags=None):
    """An exception; `backtrace` is text, one line a frame. No request: 16 zero bytes and 0."""
    texts = [_bytes(text)[:MAX_STRING] for text in (class_name, message, backtrace)]
    references = [_INLINE | len(text) for text in texts]
    fixed = (trace_id, span_id, time_ns, *references, 0)
    return _record(_ERROR, fixed, b"".join(texts), names, tags)


def metric(time_ns, name, value):
    """One sample of a gauge."""
    name = _bytes(name)[:MAX_STRING]
    return _record(_METRIC, (time_ns, value, _INLINE | len(name)), name)


def event(time_ns, kind, json):
    """Something about the application as a whole. Its JSON is not cut: that would be none."""
    kind, json = _bytes(kind)[:256], _bytes(json)
    if len(json) > MAX_EVENT:
        raise ValueError("an event's JSON has at most %d bytes, not %d" % (MAX_EVENT, len(json)))
    return _record(_EVENT, (time_ns, _INLINE | len(kind), _INLINE | len(json)), kind + json)


def _record(layout, fixed, text, names=None, tags=None):
    """Puts a record together. `text` is the string area so far; tags that do not fit are left
    out from the end, as the core itself does."""
    entries, texts = [], [text]
    size = layout.size + len(text)
    for key, value in _pairs(tags) if tags else ():
        if value is None:
            continue
        bits = names[key]
        key_text = value_text = b""
        if not bits:
            key_text = _bytes(key)[:MAX_STRING]
            bits = _INLINE | len(key_text)
        kind = type(value)
        if kind is bool:
            bits |= _BOOL
        elif kind is int and _I64_MIN <= value <= _I64_MAX:
            bits |= _I64
            value &= _U64
        elif kind is float:
            bits |= _F64
            value = int.from_bytes(_f64(value), "little")
        else:  # what is none of the types travels as its text
            value_text = _bytes(value)
            if len(value_text) > MAX_STRING:
                value_text = value_text[:MAX_STRING]
                bits |= _CUT
            bits |= _STRING
            value = _INLINE | len(value_text)
        more = 16 + len(key_text) + len(value_text)
        if size + more > MAX_RECORD or len(entries) == 2 * MAX_TAGS:
            break
        size += more
        entries += (bits, value)
        texts += (key_text, value_text)
    padding = -size & 7
    count = len(entries) >> 1
    header = size + padding | layout.bits | count << 48
    texts.append(_PADDING[padding])
    return layout.packers[count](header, *fixed, *entries) + b"".join(texts)


def _pairs(tags):
    return tags.items() if hasattr(tags, "items") else tags


def _bytes(text):
    """Bytes as they are; anything else as UTF-8. Half a surrogate pair becomes a `?`."""
    if isinstance(text, bytes):
        return text
    return (text if isinstance(text, str) else str(text)).encode("utf-8", "replace")
