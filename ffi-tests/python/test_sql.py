"""Statements sanitised and summarised, with a core and without."""

import logging
import os
import subprocess
import sys
import zlib

from testing import BINDING, directory, expect, started, test

import scoutcore as scout
from scoutcore import _library

STATEMENT = "SELECT  *  FROM users WHERE name = 'secret' AND id = 42 -- secret"
SANITIZED = "SELECT * FROM users WHERE name = ? AND id = ?"


def works():
    for statement in (STATEMENT, STATEMENT.encode(), bytearray(STATEMENT.encode())):
        for dialect in (None, "postgres", "mysql2", "sqlite", b"mssql", "no such", "", "\0", b"\xff", 7):
            assert scout.sanitize_sql(statement, dialect) == SANITIZED, dialect
            assert scout.summarize_sql(statement, dialect) == "SELECT users", dialect


@test
def sql_at_any_time():
    works()
    started()
    works()
    scout.shutdown(5000)
    works()
    program = "import scoutcore as s; assert s.summarize_sql('SELECT a FROM users') == 'SELECT users'"
    subprocess.check_call([sys.executable, "-c", program], cwd=BINDING)


@test
def sql_dialects():
    statement = "SELECT a FROM t WHERE b = 'x\\' AND c = 'y'"  # a backslash escapes in MySQL only
    for dialect in ("postgres", "psycopg2", b"sqlite", "mssql"):
        assert scout.sanitize_sql(statement, dialect) == "SELECT a FROM t WHERE b = ? AND c = ?"
    for dialect in ("mysql2", "no such", None):
        assert scout.sanitize_sql(statement, dialect=dialect) == "SELECT a FROM t WHERE b = ?"


@test
def sql_of_any_bytes():
    assert scout.sanitize_sql("") == scout.summarize_sql(b"") == ""
    for inside in (b"\xff\xfe", b"\0", b"a\0b", b"\xc3", "\ud800", "\u00e9"):
        if isinstance(inside, str):
            statement = "SELECT * FROM users WHERE a = 'secret%s'" % inside
        else:
            statement = b"SELECT * FROM users WHERE a = 'secret" + inside + b"'"
        assert scout.sanitize_sql(statement) == "SELECT * FROM users WHERE a = ?"
        assert scout.summarize_sql(statement) == "SELECT users"
    for garbage in (b"\xff", b"\0", b"'secret\0", bytes(range(256)) * 40, b"SELECT `\xff`, " * 400):
        assert "secret" not in scout.sanitize_sql(garbage)
        assert isinstance(scout.summarize_sql(garbage), str)
    for other in (None, 7, object(), ["SELECT 1"]):
        assert (scout.sanitize_sql(other), scout.summarize_sql(other)) == ("?", "")


@test
def sql_of_100_kilobytes():
    for middle in ("name = 'secret' AND " * 5000, "a = b AND " * 10000, "a = '" + "secret" * 17000):
        statement = "SELECT * FROM users WHERE " + middle + "name = 'secret'"
        assert len(statement) > 100000
        sanitized = scout.sanitize_sql(statement)
        assert sanitized.startswith("SELECT * FROM users WHERE") and "secret" not in sanitized
        assert len(sanitized) <= 65536 + 64
        assert scout.summarize_sql(statement) == "SELECT users"


@test
def copies_into_larger_buffers():
    library, text = _library.found(), STATEMENT.encode()
    for room in (1, 8, len(SANITIZED) - 1, len(SANITIZED), 4096):
        copied = _library.copied(library.scout_sql_sanitize, b"", 0, text, len(text), room=room)
        assert copied == (_library.OK, SANITIZED.encode()), room


LITERALS = (
    "SELECT a FROM users WHERE b = '%s'", "SELECT a FROM users WHERE b = \"%s\"",
    "SELECT a FROM users WHERE b = $x$%s$x$", "SELECT a FROM users WHERE b = 'it''s %s",
    "SELECT a FROM users WHERE b = 'x\\' OR b = '%s'", "INSERT INTO users (a) VALUES (1, N'%s')",
    "SELECT a FROM users -- %s", "SELECT a /* %s */ FROM users", "SELCT '%s' FORM users",
    "EXEC sp_executesql N'SELECT a FROM users WHERE b = ''%s'''", "'%s'", "SET PASSWORD = '%s'",
    "SELECT a FROM users WHERE b IN (%s)" % ", ".join(["'%s'"] * 100),
)  # fmt: skip


def left_behind(folder):
    """All that the files under a folder hold, also what is compressed in them."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                content = file.read()
            yield content
            if content.startswith(b"\x1f\x8b"):
                yield zlib.decompress(content, wbits=31)


@test
def no_literal_is_said_or_left_behind():
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    logging.getLogger("scoutcore").setLevel(logging.DEBUG)
    started(log_level="debug")
    with scout.span("Controller/literal"):
        for literal in LITERALS:
            for dialect in ("", "mysql", "mssql", "oracle"):
                tags = {"db.statement": literal.replace("%s", "s3cr3t"), "db.system": dialect}
                with scout.span("SQL/Query", tags):
                    pass
        scout.flush(10000)
        said += [repr(scout.stats()), repr(scout.diagnose())]
    scout.flush(10000)
    said += [repr(scout.stats()), repr(scout.diagnose())]
    scout.shutdown(10000)
    files = list(left_behind(directory()))
    assert any(b"SELECT a FROM users WHERE b = ?" in content for content in files), len(files)
    assert not any(b"s3cr3t" in content for content in files)
    assert said and "s3cr3t" not in "".join(said)
    expect(len(LITERALS) * 4, "layer", "SQL")
