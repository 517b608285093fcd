#!/usr/bin/env python3
"""Preforking servers with real requests: what was answered is delivered, once.

    contract.py --list
    contract.py NAME

gunicorn comes from the package index, into a folder of its own under target/; puma and unicorn are
the system's. Each server serves 400 requests from 6 clients. In the middle, workers are replaced
as the server does it when told to, or one is killed.
"""

import os
import shutil
import signal
import subprocess
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "..", "examples", "python"))

import driver  # noqa: E402
import payloads  # noqa: E402

APPS = os.path.join(HERE, "apps")
VENV = os.path.join(HERE, "..", "..", "target", "servers-venv")
GUNICORN = "gunicorn==23.0.0"
MASTER_JOBS = 300


def gunicorn(*options):
    done = os.path.join(VENV, GUNICORN)
    if not os.path.exists(done):
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [os.path.join(VENV, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-input"]
        subprocess.run([*pip, "--disable-pip-version-check", GUNICORN], check=True)
        open(done, "w").close()
    program = os.path.join(VENV, "bin", "gunicorn")
    return [program, "--chdir", APPS, "--bind", "unix:SOCKET", "--workers", "3", "--threads", "2",
            "--graceful-timeout", "20", *options, "wsgi:application"]  # fmt: skip


def puma(*options):
    rackup = os.path.join(APPS, "config.ru")
    return ["puma", "--environment", "production", "--bind", "unix://SOCKET", "--workers", "2",
            "--threads", "2:2", *options, rackup]  # fmt: skip


def unicorn():
    return ["unicorn", "-E", "none", "-c", os.path.join(APPS, "unicorn.rb"), os.path.join(APPS, "config.ru")]


def kill_a_worker(server, worker):
    os.kill(worker, signal.SIGKILL)


def tell(number):
    """The server's own way to replace its workers."""

    def hurt(server, worker):
        server.process.send_signal(number)

    return hurt


TESTS = {
    "gunicorn": (gunicorn, tell(signal.SIGHUP), None),
    "gunicorn-recycling": (lambda: gunicorn("--max-requests", "25"), kill_a_worker, None),
    "gunicorn-preload": (lambda: gunicorn("--preload"), kill_a_worker, MASTER_JOBS),
    "puma": (puma, tell(signal.SIGUSR1), None),
    "puma-preload": (lambda: puma("--preload"), kill_a_worker, MASTER_JOBS),
    "unicorn-preload": (unicorn, kill_a_worker, MASTER_JOBS),
}


def recover(data):
    """A last process of the application: what a killed one left is delivered now."""
    import scoutcore as scout

    assert scout.start(name="servers", data_dir=data), scout.off_reason()
    assert scout.shutdown(60000) in (0, 1)


def run(name):
    command, hurt, jobs = TESTS[name]
    folder = os.environ["TEST_DIR"]
    data = os.path.join(folder, "data")
    os.makedirs(data, exist_ok=True)
    server = driver.Server(command(), folder, data, jobs or 0)
    try:
        server.wait_until_ready()
        server.drive(hurt)
        server.wait_for(os.path.join(data, "jobs-done"))
        server.end()
        recover(data)
        pages = payloads.requests(data, "Controller/page")
        queries = payloads.layer(data, "SQL")
        said = "%d answered, %d failed, %d pages and %d queries delivered, by %d workers" % (
            server.answered, server.failed, pages, queries, len(server.workers))  # fmt: skip
        assert server.answered >= driver.REQUESTS * 9 // 10, said + "\n" + server.log()
        assert server.answered <= pages <= server.answered + server.failed, said
        assert 2 * server.answered <= queries <= 2 * (server.answered + server.failed), said
        if jobs:
            found = payloads.requests(data, "Job/master")
            assert found == jobs, "%d jobs of the master's delivered, not %d" % (found, jobs)
        print(said)
    finally:
        server.kill()


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(TESTS))
        return 0
    try:
        run(arguments[0])
        return 0
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
