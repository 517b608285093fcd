"""scoutcore in a Flask application: requests, errors, templates and SQLite.

    app = Flask(__name__)
    instrument(app)
    connection = sqlite3.connect(path, factory=TracedConnection)

Written to be copied. Where the library is missing, all of it does nothing.
"""

import sqlite3
import sys
from time import perf_counter

import scoutcore as scout
from flask import got_request_exception, request


def instrument(app):
    """Makes every request a root span `Controller/<endpoint>`, and every template a span in it."""
    app.wsgi_app = _Middleware(app.wsgi_app)
    app.before_request(_name_request)
    got_request_exception.connect(_record_exception, app)
    app.jinja_env.template_class = _traced(app.jinja_env.template_class)


class _Middleware:
    """Outermost, so that the span covers everything that Flask does for a request."""

    def __init__(self, app):
        self._app = app

    def __call__(self, environ, start_response):
        with scout.span("Controller/unknown") as root:
            environ["scoutcore.root"] = root
            return self._app(environ, start_response)


def _name_request():
    # Only now has Flask found the route. Its name, never the path: paths are without number.
    if request.endpoint is not None:
        request.environ["scoutcore.root"].operation = "Controller/" + request.endpoint
    scout.tag_request({"path": request.path})


def _record_exception(_app, exception, **_):
    # Flask turns exceptions into a 500 itself, so the span around it never sees them.
    scout.error(exception)


def _traced(template_class):
    class TracedTemplate(template_class):
        def render(self, *args, **kwargs):
            with scout.span("Template/Render", {"name": self.name or "inline"}):
                return super().render(*args, **kwargs)

    return TracedTemplate


# A backtrace costs microseconds: worth it where the statement costs milliseconds.
SLOW_SECONDS = 0.005
FRAMES = 16


class TracedCursor(sqlite3.Cursor):
    """Records each statement as it was written. The core takes the literals out."""

    def execute(self, sql, parameters=()):
        with scout.span("SQL/Query", {"db.statement": sql}) as span:
            began = perf_counter()
            try:
                return super().execute(sql, parameters)
            finally:
                if perf_counter() - began > SLOW_SECONDS:
                    span.tag("stack", _backtrace(sys._getframe(1)))

    def executemany(self, sql, parameters):
        with scout.span("SQL/Many", {"db.statement": sql}):
            return super().executemany(sql, parameters)


def _backtrace(frame):
    """The innermost frames outside this file, one a line."""
    lines = []
    while frame is not None and len(lines) < FRAMES:
        code = frame.f_code
        if code.co_filename != __file__:
            lines.append("%s:%d:in %s" % (code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    return "\n".join(lines)


class TracedConnection(sqlite3.Connection):
    """A connection whose cursors are traced: `sqlite3.connect(path, factory=TracedConnection)`."""

    def cursor(self, factory=TracedCursor):
        return super().cursor(factory)

    # The shortcuts of sqlite3 go past `cursor`.
    def execute(self, sql, parameters=()):
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql, parameters):
        return self.cursor().executemany(sql, parameters)
