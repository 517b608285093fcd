"""SQL made safe to show. It takes the library alone: before `start` and after `shutdown` too."""

from . import _library

# The library uses no more of a statement than this.
_HEAD = 65536


def sanitize_sql(sql, dialect=None):
    """The statement with `?` for every literal, without comments: safe to store and to show.

    `sql` is a str, or bytes of any kind. `dialect` is a database's or an adapter's name
    ("postgres", "mysql2", ...); None or an unknown one means the strictest reading. Never raises
    and never returns the raw text: without a library, or for what is no statement, it is "?".
    """
    return _asked("scout_sql_sanitize", sql, dialect, "?")


def summarize_sql(sql, dialect=None):
    """The statement's verbs and tables, e.g. "SELECT users": of low cardinality, at most 255
    bytes. Otherwise as `sanitize_sql`; without a library "".
    """
    return _asked("scout_sql_summarize", sql, dialect, "")


def _asked(function, sql, dialect, otherwise):
    library, sql = _library.found(), _bytes(sql)
    if library is None or sql is None:
        return otherwise
    dialect = _bytes(dialect) or b""
    status, text = _library.copied(
        getattr(library, function), dialect, len(dialect), sql, len(sql),
        room=min(len(sql), _HEAD) + 64,
    )  # fmt: skip
    return text.decode("utf-8", "replace") if status == _library.OK else otherwise


def _bytes(text):
    """UTF-8, or bytes as they are; None for what is no text."""
    if isinstance(text, str):
        return text.encode("utf-8", "replace")
    return bytes(text) if isinstance(text, (bytes, bytearray, memoryview)) else None
