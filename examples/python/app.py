"""A small program that shows the binding: requests, an N+1, an error, a job, asyncio.

    python3 app.py        # payload files go to ./scout-data
"""

import asyncio
import logging
import sqlite3
import time

import scoutcore as scout

database = sqlite3.connect(":memory:")
database.executescript(
    "CREATE TABLE orders (id INTEGER, customer TEXT); CREATE TABLE items (order_id INTEGER);"
)
database.executemany("INSERT INTO orders VALUES (?, ?)", [(n, "ada") for n in range(12)])


def query(sql):
    with scout.span("SQL/Query", {"db.statement": sql}) as span:
        rows = database.execute(sql).fetchall()
        span.tag("db.rows_returned", len(rows))
        return rows


@scout.span("Controller/orders/index")
def index():
    scout.tag_request({"path": "/orders", "user_ip": "127.0.0.1"})
    for (order,) in query("SELECT id FROM orders WHERE customer = 'ada'"):
        query("SELECT * FROM items WHERE order_id = %d" % order)  # one query a row: an N+1
    with scout.span("Template/Render", {"name": "orders/index.html"}):
        time.sleep(0.002)


@scout.span("Controller/orders/broken")
def broken():
    return query("SELECT nothing FROM orders")  # the exception marks the request


@scout.span("Job/reports/nightly")
async def nightly():
    async def fetch(url):
        with scout.span("HTTP/GET", {"url": url}):  # under the job: tasks inherit its span
            await asyncio.sleep(0.005)

    await asyncio.gather(fetch("https://a.example/"), fetch("https://b.example/"))


def main():
    logging.basicConfig(level=logging.INFO)
    if not scout.start(name="Example", data_dir="scout-data"):
        print("scoutcore is off:", scout.off_reason())
    for _ in range(20):
        index()
    try:
        broken()
    except sqlite3.OperationalError:
        pass
    asyncio.run(nightly())
    scout.flush(2000)
    print("recorded:", scout.stats())


if __name__ == "__main__":
    main()
