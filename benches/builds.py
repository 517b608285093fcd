"""What has to be built or installed before anything can be measured, two at a time.

Measuring comes after all of it: a build beside a measurement would be measured too.
"""

import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TARGET = os.path.join(ROOT, "target")
OUTPUT = os.path.join(TARGET, "bench")
PYPI = ["opentelemetry-sdk", "ddtrace", "sentry-sdk", "elastic-apm", "scout-apm"]
NPM = ["koffi", "@opentelemetry/api", "@opentelemetry/sdk-trace-base", "@opentelemetry/context-async-hooks"]
VENV = os.path.join(TARGET, "bench-venv")
NODE_MODULES = os.path.join(TARGET, "bench-node", "node_modules")
ELIXIR = os.path.join(TARGET, "bench-elixir")
PEERS = os.path.join(TARGET, "bench-peers")
TRACING = os.path.join(TARGET, "tracing-peers")
SIZES = os.path.join(TARGET, "bench-sizes")

# Shared objects whose size is shown: how each is called, its profile, its features.
OBJECTS = [
    ("made for speed, no features", "release", ["--no-default-features"]),
    ("made for size, all features", "small", ["--all-features"]),
    ("made for size, no features", "small", ["--no-default-features"]),
]


def object_path(name):
    """Where such a shared object lies once it is built."""
    return os.path.join(OUTPUT, "objects", name.replace(", ", "-").replace(" ", "-") + ".so")


def library(run):
    run("make", "-s", "shared")
    run("cargo", "bench", "--no-run", "--bench", "library")


def tracing(run):
    run("cargo", "build", "--release", "--manifest-path", os.path.join(HERE, "tracing", "Cargo.toml"),
        "--target-dir", TRACING)  # fmt: skip


def peers(run):
    run("cargo", "build", "--release", "--manifest-path", os.path.join(HERE, "peers", "Cargo.toml"),
        "--target-dir", PEERS)  # fmt: skip


def objects(run):
    os.makedirs(os.path.join(OUTPUT, "objects"), exist_ok=True)
    for name, profile, features in OBJECTS:
        run("make", "-s", "shared", "PROFILE=" + profile, "FEATURES=" + " ".join(features), "TARGET=" + SIZES)
        run("cp", os.path.join(SIZES, profile, "libscoutcore.so"), object_path(name))


def python(run):
    complete = os.path.join(VENV, "complete")
    if not os.path.exists(complete):
        run(sys.executable, "-m", "venv", VENV)
        pip = os.path.join(VENV, "bin", "python")
        run(pip, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYPI)
        open(complete, "w", encoding="ascii").close()


def elixir(run):
    run("make", "-s", "-C", os.path.join(ROOT, "examples", "elixir"), "OUT=" + ELIXIR)


def node(run):
    if not os.path.exists(os.path.join(NODE_MODULES, "koffi")):
        run("npm", "install", "--silent", "--no-save", "--prefix", os.path.dirname(NODE_MODULES), *NPM)


# The longest first.
BUILDS = {"peers": peers, "library": library, "objects": objects, "tracing": tracing, "python": python,
          "node": node, "elixir": elixir}  # fmt: skip


def prepare(wanted):
    """Runs these builds; gives what went wrong, by build. What they print goes to OUTPUT/build-NAME.log."""
    waiting = [name for name in BUILDS if name in wanted]
    failures, lock = {}, threading.Lock()

    def lane():
        while True:
            with lock:
                if not waiting:
                    return
                name = waiting.pop(0)
            began = time.monotonic()
            log = os.path.join(OUTPUT, "build-%s.log" % name)
            with open(log, "w", encoding="utf-8") as file:

                def run(*command):
                    subprocess.run(command, cwd=ROOT, check=True, stdout=file, stderr=file, timeout=900)

                try:
                    BUILDS[name](run)
                except (OSError, subprocess.SubprocessError) as error:
                    failures[name] = "%s; see %s" % (error, os.path.relpath(log, ROOT))
            print("== built %s in %.0f s" % (name, time.monotonic() - began), flush=True)

    lanes = [threading.Thread(target=lane) for _ in range(2)]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    return failures
