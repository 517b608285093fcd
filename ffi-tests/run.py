#!/usr/bin/env python3
"""Tests of the C ABI's contract in C, Python, Ruby, Elixir and Node, through the built shared object.

    ffi-tests/run.py                      # all, with target/release/libscoutcore.so
    ffi-tests/run.py --only c,python      # some suites
    ffi-tests/run.py --only c --match fork
    SCOUTCORE_LIB=/usr/lib/libscoutcore.so ffi-tests/run.py

Prints `PASS name`, `FAIL name: why` or `SKIP name: why` for each test, and a summary. The exit
status is 0 if all passed; a language that is not installed is a failure, unless --allow-skip is
given. Needs no network and no package but the languages.
"""

import argparse
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import suites  # noqa: E402
from runner import OUTPUT, Report  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ",".join(suites.ALL)
    parser.add_argument("--only", default=names, help="suites, of %s; or %s" % (names, ",".join(suites.ON_REQUEST)))
    parser.add_argument("--match", default="", help="only tests with this in their name")
    parser.add_argument("--allow-skip", action="store_true", help="a skip is no failure")
    return parser.parse_args()


def main():
    options = arguments()
    library = os.environ.get("SCOUTCORE_LIB") or os.path.join(
        os.path.dirname(HERE), "target", "release", "libscoutcore.so"
    )
    library = os.path.abspath(library)
    if not os.path.exists(library):
        sys.exit("no %s: build it first, or set SCOUTCORE_LIB" % library)
    known = {**suites.ALL, **suites.ON_REQUEST}
    unknown = [name for name in options.only.split(",") if name not in known]
    if unknown:
        sys.exit("no suite %s; there are %s" % (", ".join(unknown), ", ".join(known)))

    shutil.rmtree(os.path.join(OUTPUT, "run"), ignore_errors=True)
    report = Report(library, options.match, options.allow_skip)
    began = time.monotonic()
    for name in options.only.split(","):
        known[name](report)
    return report.finish(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
