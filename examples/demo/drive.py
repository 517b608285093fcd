"""Starts the shop, sends it real HTTP requests for a while, and stops it.

    python drive.py WORK_DIR PAYLOAD_DIR SECONDS    # writes WORK_DIR/driven.json
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import store

HERE = os.path.dirname(os.path.abspath(__file__))
USERS = 4
THINK_SECONDS = 0.02


def plan():
    """What users do: how often, endpoint, path, form, expected status."""
    names = [customer[0] for customer in store.CUSTOMERS]
    emails = [customer[1] for customer in store.CUSTOMERS]
    cards = [customer[2] for customer in store.CUSTOMERS]
    yield 20, "home", "/", None, 200
    yield 12, "products", "/products", None, 200
    for number in range(1, 9):
        yield 2, "product", "/products/%d" % number, None, 200
    yield 5, "orders", "/orders", None, 200
    yield 2, "sales", "/sales", None, 200
    for wanted in names + emails:
        yield 1, "search", "/search", {"customer": wanted}, 200
    for card in cards:
        yield 1, "checkout", "/checkout", {"card": card}, 303
    yield 1, "checkout", "/checkout", {"card": store.REFUSED_CARD}, 500


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Driver:
    def __init__(self, url):
        self.url = url
        self.opener = urllib.request.build_opener(NoRedirect)
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.failed = []

    def send(self, _weight, endpoint, path, form, expected):
        body = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self.opener.open(self.url + path, body, timeout=30) as answer:
                answer.read()
                status = answer.status
        except urllib.error.HTTPError as error:
            error.read()
            status = error.code
        except OSError as error:
            status = str(error)
        with self.lock:
            self.counts[endpoint] += 1
            self.counts["%s %s" % (endpoint, status)] += 1
            if status != expected:
                self.failed.append("%s: %s, not %s" % (path, status, expected))

    def user(self, number, deadline):
        pick = random.Random(number)
        steps = list(plan())
        weights = [step[0] for step in steps]
        # Everything once, whatever the time: a short drive has all there is to see, too.
        once = [step for at, step in enumerate(steps) if at % USERS == number]
        while once or time.monotonic() < deadline:
            self.send(*(once.pop() if once else pick.choices(steps, weights)[0]))
            time.sleep(THINK_SECONDS)

    def drive(self, seconds):
        deadline = time.monotonic() + seconds
        users = [
            threading.Thread(target=self.user, args=(number, deadline)) for number in range(USERS)
        ]
        for user in users:
            user.start()
        for user in users:
            user.join()


def main(work_dir, payload_dir, seconds):
    # Flask logs each exception with its backtrace: into a file, they are part of the show.
    log = os.path.join(work_dir, "shop.log")
    with open(log, "w", encoding="utf-8") as errors:
        shop = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "app.py"), work_dir, payload_dir],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        line = shop.stdout.readline()
        if not line:
            sys.exit("the shop did not start, see " + log)
        started = json.loads(line)
        if not started["recording"]:
            sys.exit("scoutcore is off: %s" % started["off"])
        visit = "The shop serves at %s; %d users visit it for %g s ..."
        print(visit % (started["url"], USERS, seconds), flush=True)
        driver = Driver(started["url"])
        driver.drive(seconds)
        shop.send_signal(signal.SIGTERM)
        stopped = shop.stdout.readline()
        if shop.wait(30) != 0 or not stopped:
            sys.exit("the shop ended with exit code %s, see %s" % (shop.returncode, log))
    finally:
        shop.kill()
        shop.wait()
    if driver.failed:
        sys.exit("unexpected answers: %s" % "; ".join(driver.failed[:5]))
    stopped = json.loads(stopped)
    if stopped["flushed"] != 0:
        sys.exit("the payloads are not written: flush came to status %s" % stopped["flushed"])
    with open(os.path.join(work_dir, "driven.json"), "w", encoding="utf-8") as file:
        json.dump({"counts": driver.counts, "stats": stopped["stats"]}, file, indent=1)
    requests = sum(n for name, n in driver.counts.items() if " " not in name)
    print("%d requests answered as expected." % requests)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
