#!/usr/bin/env python3
"""Tests of scout-core-agent through real, unchanged clients and through its socket.

    ffi-tests/agent/run.py                     # all, with target/release/scout-core-agent
    ffi-tests/agent/run.py --only python,wire  # some suites
    ffi-tests/agent/run.py --match kill        # tests with this in their name
    SCOUT_CORE_AGENT=target/debug/scout-core-agent ffi-tests/agent/run.py
    SOAK=600 ffi-tests/agent/run.py --only load

The clients come from PyPI and npm into private environments below target/agent-clients, once.
Prints `PASS name` or `FAIL name: why` for each test, then `agent: N passed, N failed`; the exit
status is 0 if none failed. Needs Python 3.10 with venv, Node with npm, and PHP's command line.
"""

import argparse
import importlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import harness  # noqa: E402

SUITES = [
    "daemon",
    "wire",
    "robust",
    "frames",
    "patterns",
    "python",
    "node",
    "php",
    "isolation",
    "crash",
    "newcomer",
    "load",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SUITES), help="of " + ",".join(SUITES))
    parser.add_argument("--match", default="", help="only tests with this in their name")
    options = parser.parse_args()
    if not os.path.exists(harness.BINARY):
        sys.exit("no %s: build it first, or set SCOUT_CORE_AGENT" % harness.BINARY)
    began = time.monotonic()
    passed = failed = 0
    for suite in options.only.split(","):
        module = importlib.import_module("suite_" + suite)
        for name, test in list(vars(module).items()):
            if not name.startswith("test_") or options.match not in name:
                continue
            name = "%s: %s" % (suite, name[5:].replace("_", " "))
            harness.reset()
            try:
                said = test()
            except Exception as error:
                failed += 1
                print("FAIL %s: %s" % (name, harness.explain(error)), flush=True)
            else:
                passed += 1
                print("PASS %s%s" % (name, " (%s)" % said if said else ""), flush=True)
            finally:
                harness.stop_all()
    print("agent: %d passed, %d failed, %.0f s" % (passed, failed, time.monotonic() - began))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
