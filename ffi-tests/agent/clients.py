"""Private environments with the real clients, made once."""

import os
import shutil
import subprocess
import sys

import harness

PLACE = os.path.join(harness.ROOT, "target", "agent-clients")
PYTHON_PACKAGES = ["scout-apm==4.0.0", "flask==3.1.3", "django==5.2.19", "sqlalchemy==2.1.9"]
NODE_PACKAGES = ["@scout_apm/scout-apm@0.2.3", "express@4.22.3"]


def _run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise AssertionError("%s: %s" % (" ".join(command), (done.stdout + done.stderr)[-500:]))


def _once(name, contents, make):
    """Makes a directory unless it is there with these contents."""
    place = os.path.join(PLACE, name)
    mark = os.path.join(place, ".made")
    wanted = "\n".join(contents)
    try:
        with open(mark) as made:
            if made.read() == wanted:
                return place
    except OSError:
        pass
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    make(place)
    with open(mark, "w") as made:
        made.write(wanted)
    return place


def python():
    """A Python with the client, Flask, Django and SQLAlchemy."""

    def make(place):
        _run([sys.executable, "-m", "venv", place])
        pip = [os.path.join(place, "bin", "pip"), "install", "-q", "--disable-pip-version-check"]
        _run(pip + PYTHON_PACKAGES)

    return os.path.join(_once("python", PYTHON_PACKAGES, make), "bin", "python")


def node_modules():
    """A directory with the client and Express, for NODE_PATH."""

    def make(place):
        _run(["npm", "init", "-y"], cwd=place)
        _run(["npm", "install", "--no-audit", "--no-fund", *NODE_PACKAGES], cwd=place)

    return os.path.join(_once("node", NODE_PACKAGES, make), "node_modules")
