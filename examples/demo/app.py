"""A small web shop, watched by scoutcore: Flask, SQLite, and a queue of background jobs.

    python app.py WORK_DIR PAYLOAD_DIR      # prints JSON lines, serves until SIGTERM

It does what real applications do wrong, so that there is something to see: one query a row, a
report that is too slow, an exception, and personal data written into SQL.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
import urllib.request

import scoutcore as scout
from flask import Flask, g, redirect, render_template, request
from werkzeug.serving import WSGIRequestHandler, make_server

import store
from scout_flask import TracedConnection, instrument
from store import literal

app = Flask(__name__)
instrument(app)
jobs = queue.Queue()


class PaymentRefused(Exception):
    """The bank said no."""


def database():
    """This request's connection."""
    if "database" not in g:
        g.database = store.connect(app.config["DATABASE"], TracedConnection)
    return g.database


@app.teardown_appcontext
def close_database(_exception):
    if "database" in g:
        g.pop("database").close()


@app.get("/")
def home():
    return "Everything for the great outdoors.\n"


@app.get("/products")
def products():
    found = database().execute("SELECT * FROM products ORDER BY name").fetchall()
    return render_template("products.html", products=found)


@app.get("/products/<int:number>")
def product(number):
    shop = database()
    found = shop.execute(f"SELECT * FROM products WHERE id = {number}").fetchone()
    sold = shop.execute(f"SELECT count(*) FROM lines WHERE product_id = {number}").fetchone()
    return render_template("product.html", product=found, sold=sold[0])


@app.get("/orders")
def orders():
    """The classic N+1: one query for the orders, and one more for the customer of each."""
    shop, rows = database(), []
    newest = shop.execute("SELECT id, customer_id FROM orders ORDER BY id DESC LIMIT 25").fetchall()
    for number, customer in newest:
        found = shop.execute(f"SELECT name FROM customers WHERE id = {customer}").fetchone()
        rows.append((number, found["name"]))
    return render_template("orders.html", rows=rows)


@app.get("/sales")
def sales():
    """Slow: ranks each line by counting the larger ones, and asks another service for rates."""
    sql = (
        "SELECT p.name, l.amount, (SELECT count(*) FROM lines o WHERE o.amount > l.amount) AS place"
        " FROM lines l JOIN products p ON p.id = l.product_id"
        f" WHERE l.amount < {store.LARGE_AMOUNT} ORDER BY place LIMIT 10"
    )
    ranked = database().execute(sql).fetchall()
    url = request.host_url.replace("127.0.0.1", "localhost") + "rates"
    with scout.span("HTTP/GET", {"url": url}), urllib.request.urlopen(url, timeout=5) as answer:
        rates = json.load(answer)
    return render_template("sales.html", ranked=ranked, rates=rates)


@app.get("/rates")
def rates():
    time.sleep(0.03)
    return {"EUR": 1, "USD": 1.08, "GBP": 0.86}


@app.post("/search")
def search():
    wanted = request.form["customer"]
    sql = (
        f"SELECT id, name FROM customers WHERE name = {literal(wanted)}"
        f" OR lower(email) IN ({literal(wanted.lower())}, {literal(wanted.strip())})"
    )
    found = database().execute(sql).fetchall()
    return render_template("search.html", found=found)


@app.post("/checkout")
def checkout():
    card = request.form["card"]
    shop = database()
    customer = shop.execute(f"SELECT id FROM customers WHERE card = {literal(card)}").fetchone()
    if customer is None:
        raise PaymentRefused("the bank refused the card")
    with shop:
        order = shop.execute(
            f"INSERT INTO orders (customer_id, state) VALUES ({customer['id']}, 'paid')"
        )
    jobs.put((order.lastrowid, time.time_ns()))
    return redirect("/orders", 303)


def work():
    """The background worker: one job after the other, until it takes a None."""
    shop = store.connect(app.config["DATABASE"], TracedConnection)
    while (job := jobs.get()) is not None:
        order, enqueued_ns = job
        with scout.span("Job/receipts/send"):
            waited_ns = time.time_ns() - enqueued_ns
            scout.tag_request({"queue": "mail", "scout.job_queue_time_ns": waited_ns})
            send_receipt(shop, order)
    shop.close()


def send_receipt(shop, order):
    customer = shop.execute(
        "SELECT name, email FROM customers JOIN orders ON customers.id = customer_id"
        f" WHERE orders.id = {order}"
    ).fetchone()
    with app.app_context():
        render_template("receipt.txt", name=customer["name"], order=order)
    with scout.span("SMTP/Send"):
        time.sleep(0.02)
    with shop:
        shop.execute(
            f"UPDATE orders SET state = {literal('told ' + customer['email'])} WHERE id = {order}"
        )


def say(**facts):
    print(json.dumps(facts), flush=True)


def main(work_dir, payload_dir):
    recording = scout.start(
        name="Demo Shop",
        destination="file://" + os.path.abspath(payload_dir),
        data_dir=os.path.abspath(os.path.join(work_dir, "data")),
        application_root=os.path.dirname(os.path.abspath(__file__)),
        sql_dialect="sqlite",
    )
    app.config["DATABASE"] = os.path.join(work_dir, "shop.db")
    store.seed(app.config["DATABASE"])
    WSGIRequestHandler.log_request = lambda *_: None
    server = make_server("127.0.0.1", 0, app, threaded=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = threading.Thread(target=work, name="jobs")
    worker.start()
    threading.Thread(target=server.serve_forever, name="server").start()
    say(url=f"http://127.0.0.1:{server.server_port}", recording=recording, off=scout.off_reason())
    stop.wait()
    server.shutdown()
    server.server_close()
    jobs.put(None)
    worker.join()
    say(flushed=scout.flush(5000), stats=scout.stats())
    scout.shutdown(5000)


if __name__ == "__main__":
    main(*sys.argv[1:])
