"""scoutcore for Python: application monitoring through libscoutcore and ctypes.

    import scoutcore as scout

    scout.start(name="Shop")                      # never raises; scout.off_reason() says why not

    with scout.span("Controller/orders/show"):    # a request: its root names the endpoint
        scout.tag_request({"path": "/orders/7"})
        with scout.span("SQL/Query", {"db.statement": "SELECT * FROM orders WHERE id = 7"}):
            ...

    @scout.span("Job/mailer")                     # functions, and `async def`
    async def mailer(): ...

    scout.sanitize_sql("SELECT * FROM users WHERE id = 7", "postgres")  # "... WHERE id = ?"
    scout.summarize_sql("SELECT * FROM users WHERE id = 7")             # "SELECT users"

Copy this folder into your package; it needs nothing but Python 3.8 or newer.

**The library** is looked for in `$SCOUTCORE_LIB` (a file; then only there), next to this folder's
files, in the repository's `target/release`, and where the system keeps `libscoutcore.so.1`. If
none loads with the right ABI version, there is one warning and everything is a no-op.

**What may wait.** The quick calls keep the GIL, the waiting ones release it:

| call                                                   | may wait       | GIL      |
|--------------------------------------------------------|----------------|----------|
| `span`, `tag_request`, `rename`, `ignore`, `error`     | never          | kept     |
| `metric`, `event`, `stats`                             | never          | kept     |
| `sanitize_sql`, `summarize_sql`                        | never          | kept     |
| `start`                                                | briefly        | released |
| `flush`, `shutdown` (also at exit)                     | to its timeout | released |
| `diagnose`                                             | milliseconds   | released |

In asyncio, `await loop.run_in_executor(None, scout.flush, 1000)`.

**Fork** (gunicorn, celery, multiprocessing): nothing to do. The core heals itself; a child's spans
begin requests of its own. Where children leave through `os._exit`, as multiprocessing's do, no
exit hook runs: call `scout.flush()` at the end of their work.
"""

from ._agent import diagnose, flush, off_reason, shutdown, start, stats
from ._spans import current, error, event, ignore, metric, rename, span, tag_request
from ._sql import sanitize_sql, summarize_sql

__all__ = [
    "current", "diagnose", "error", "event", "flush", "ignore", "metric", "off_reason", "rename",
    "sanitize_sql", "shutdown", "span", "start", "stats", "summarize_sql", "tag_request",
]
