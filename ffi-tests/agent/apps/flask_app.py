"""A Flask application with SQLAlchemy, as its users write them; nothing in it knows our agent.

Serves on the port given, writes what each request did to the file given, a line of JSON each.
"""

import json
import os
import sys
import threading
import time

import scout_apm.api
import sqlalchemy
import urllib3
from flask import Flask, abort, render_template_string, request
from scout_apm.flask import ScoutApm
from scout_apm.sqlalchemy import instrument_sqlalchemy
from werkzeug.serving import make_server

port, diary, other = int(sys.argv[1]), open(sys.argv[2], "a"), sys.argv[3]
app = Flask(__name__)
ScoutApm(app)
app.config["SCOUT_NAME"] = os.environ["SCOUT_NAME"]
engine = sqlalchemy.create_engine(
    "sqlite://", poolclass=sqlalchemy.pool.StaticPool, connect_args={"check_same_thread": False}
)
instrument_sqlalchemy(engine)
one_at_a_time = threading.Lock()
http = urllib3.PoolManager()


def sql(statement, rows=None):
    with one_at_a_time, engine.connect() as connection:
        result = connection.execute(sqlalchemy.text(statement), rows or {})
        found = result.fetchall() if result.returns_rows else []
        connection.commit()
        return found


def note(**did):
    did.setdefault("n", request.args.get("n"))
    with one_at_a_time:
        diary.write(json.dumps(did) + "\n")
        diary.flush()


@app.route("/users/<int:user>")
def users_show(user):
    scout_apm.api.Context.add("n", request.args.get("n"))
    scout_apm.api.Context.add("plan", {"name": "gold"})
    rows = sql("SELECT id, name FROM users WHERE id = %d AND name = 's3cret'" % user)
    note(endpoint="users_show", selects=1)
    return render_template_string("<p>{{ rows }}</p>", rows=rows)


@app.route("/users", methods=["POST"])
def users_create():
    sql("INSERT INTO users (id, name) VALUES (:id, :name)", [{"id": 100 + n, "name": "x"} for n in range(3)])
    sql("UPDATE users SET name = 'y' WHERE id = 100")
    sql("DELETE FROM users WHERE id >= 100")
    note(endpoint="users_create", inserts=1, updates=1, deletes=1)
    return "done"


@app.route("/repeated")
def repeated():
    for n in range(8):
        with scout_apm.api.instrument("step", tags={"number": n}):
            time.sleep(0.03)
            sql("SELECT name FROM users WHERE id = %d" % n)
    note(endpoint="repeated", selects=8)
    return "done"


@app.route("/slow")
def slow():
    with scout_apm.api.instrument("slow thing"):
        time.sleep(0.6)
    note(endpoint="slow")
    return "done"


@app.route("/calls")
def calls():
    http.request("GET", other)
    note(endpoint="calls", calls=1)
    return "done"


@app.route("/boom")
def boom():
    note(endpoint="boom", error=1)
    raise ValueError("boom")


@app.route("/missing")
def missing():
    note(endpoint="missing")
    abort(404)


@app.route("/renamed")
def before_renaming():
    scout_apm.api.rename_transaction("Controller/renamed")
    note(endpoint="renamed")
    return "done"


@app.route("/health")
def health():
    scout_apm.api.ignore_transaction()
    return "fine"


@app.route("/job")
def job():
    def run():
        with scout_apm.api.BackgroundTransaction("mailer"):
            scout_apm.api.Context.add("queue", "letters")
            sql("SELECT name FROM users")
            time.sleep(0.05)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    note(endpoint="job", job=1)
    return "done"


with engine.connect() as connection:
    connection.execute(sqlalchemy.text("CREATE TABLE users (id INTEGER, name TEXT)"))
    connection.commit()
server = make_server("127.0.0.1", port, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
# Its end is its standard input's.
sys.stdin.read()
server.shutdown()
