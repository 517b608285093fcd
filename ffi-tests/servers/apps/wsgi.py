"""A WSGI application, loaded in gunicorn's master with --preload, else in each worker."""

import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "examples", "python"))

import scoutcore as scout  # noqa: E402

assert scout.start(name="servers", data_dir=os.environ["DATA_DIR"]), scout.off_reason()


def busy_in_master():
    """Records while workers are forked."""
    for _ in range(int(os.environ["MASTER_JOBS"])):
        with scout.span("Job/master"):
            time.sleep(0.001)
    open("%s/jobs-done" % os.environ["DATA_DIR"], "w").close()


threading.Thread(target=busy_in_master, daemon=True).start()


def application(environ, start_response):
    with scout.span("Controller/page"):
        for _ in range(2):
            with scout.span("SQL/Query", {"db.statement": "SELECT * FROM users WHERE id = 7"}):
                time.sleep(0.0005)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
