"""The suite's one switch: `LONG_TESTS=1` repeats properties as often as the corpora of faults are long."""

import os

LONG = os.environ.get("LONG_TESTS", "") not in ("", "0")
