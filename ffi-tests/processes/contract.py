#!/usr/bin/env python3
"""Processes that share a spool, that die, and whose machine has no room for them.

    contract.py --list
    contract.py NAME

Each test works under $TEST_DIR. Those of a full or read-only disk mount small file systems of their
own there, in a mount namespace that ends with the test (as root, or as a user where users may have
namespaces).
"""

import os
import subprocess
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

sys.path.insert(0, os.path.dirname(HERE))

import damage  # noqa: E402
import deaths  # noqa: E402
import disks  # noqa: E402
import together  # noqa: E402

TESTS = {**together.TESTS, **deaths.TESTS, **damage.TESTS, **disks.TESTS}


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(TESTS))
        return 0
    name = arguments[0]
    if name in disks.MOUNTING and "--inside" not in arguments:
        inside = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
        return subprocess.run([*inside, sys.executable, __file__, name, "--inside"]).returncode
    data = os.path.join(os.environ["TEST_DIR"], "data")
    os.makedirs(data, exist_ok=True)
    try:
        TESTS[name](data)
        return 0
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
