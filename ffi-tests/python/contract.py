"""Contract tests in Python: the ABI through ctypes, and the reference binding.

    contract.py --list
    contract.py NAME
"""

import sys

from testing import main

import test_abi  # noqa: F401
import test_encoding  # noqa: F401
import test_fork  # noqa: F401
import test_loading  # noqa: F401
import test_spans  # noqa: F401
import test_sql  # noqa: F401

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
