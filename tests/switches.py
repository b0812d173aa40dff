"""The suite's one switch: `LONG_TESTS=1` repeats properties often, and runs corpora and all that is slow."""

import os

import pytest

LONG = os.environ.get("LONG_TESTS", "") not in ("", "0")
long = pytest.mark.skipif(not LONG, reason="long: set LONG_TESTS=1")
