"""The shop's database: SQLite in a temporary file, filled at the start.

Customers here are canaries: names, addresses and numbers that occur nowhere else. The application
writes them into its SQL as literals, and `check.py` looks for them in the payloads.
"""

import random
import sqlite3
import time

# SQLite answers in microseconds. A database server on a network does not: every statement waits.
ROUND_TRIP_SECONDS = 0.0065

FIRST_CUSTOMER = 9_007_001_300
CUSTOMERS = [
    ("Zephyrine Quillfeather", "zephyrine@quillfeather.example", "4929713388210045"),
    ("Ambrose O'Tanglewood", "ambrose.otanglewood@canary.example", "5425233430109903"),
    ("Søren Ånglundsson", "soren+shop@xn--nglundsson-t5a.example", "4263982640269299"),
    ('Ottoline "Otto" Vexham', "ottoline_vexham@canary.example", "2223000048410010"),
    ("Thaddeus Brimblecombe", "t.brimblecombe@canary.example", "6011000990139424"),
]
# A bank refuses this one.
REFUSED_CARD = "4000000000009979"
# Written into a statement as a bare number.
LARGE_AMOUNT = "8675309.31"

PRODUCTS = ["Kettle", "Lantern", "Compass", "Rucksack", "Hammock", "Whistle", "Stove", "Tarp"]


def canaries():
    """All literals that must not be found in any payload, and the telling parts of names."""
    words = {REFUSED_CARD, LARGE_AMOUNT}
    for name, email, card in CUSTOMERS:
        words.update((name, email, card, email.split("@")[0], name.split()[-1]))
    words.update(str(FIRST_CUSTOMER + n) for n in range(len(CUSTOMERS)))
    return sorted(words)


def literal(value):
    """A value as an SQL literal. An application should use parameters; many do not."""
    if isinstance(value, (int, float)):
        return str(value)
    return "'%s'" % str(value).replace("'", "''")


def connect(path, factory=sqlite3.Connection):
    """A connection whose every statement takes a round trip."""
    connection = sqlite3.connect(path, timeout=10, factory=factory)
    connection.row_factory = sqlite3.Row
    # SQLite calls this when a statement begins, so the wait lies inside its execution.
    connection.set_trace_callback(lambda _statement: time.sleep(ROUND_TRIP_SECONDS))
    return connection


def seed(path):
    """Creates the tables and fills them, the same way each time."""
    pick = random.Random(7)
    connection = sqlite3.connect(path)
    with connection:
        connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, card TEXT);
            CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price REAL);
            CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, state TEXT);
            CREATE TABLE lines (order_id INTEGER, product_id INTEGER, amount REAL);
            """
        )
        connection.executemany(
            "INSERT INTO customers VALUES (?, ?, ?, ?)",
            [(FIRST_CUSTOMER + n, *customer) for n, customer in enumerate(CUSTOMERS)],
        )
        connection.executemany(
            "INSERT INTO products VALUES (?, ?, ?)",
            [(n + 1, name, pick.randint(500, 20000) / 100) for n, name in enumerate(PRODUCTS)],
        )
        for order in range(400):
            customer = FIRST_CUSTOMER + pick.randrange(len(CUSTOMERS))
            connection.execute("INSERT INTO orders VALUES (?, ?, 'paid')", (order + 1, customer))
            for _ in range(4):
                line = (order + 1, pick.randint(1, len(PRODUCTS)), pick.randint(100, 90000) / 100)
                connection.execute("INSERT INTO lines VALUES (?, ?, ?)", line)
    connection.close()
