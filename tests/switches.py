"""The suite's one switch, `LONG_TESTS`: `1` repeats properties often, and runs corpora and all that is slow.

`all` adds what takes minutes by itself: the suite in an edited copy, twenty markets of chance, a rehearsal in
a fresh environment, the slow strategies of the gallery, and the whole corpora of leaks, of notebooks and of
kinds of strategies, of which `1` runs a part.
"""

import os

import pytest

SWITCH = os.environ.get("LONG_TESTS", "")
LONG, ALL = SWITCH not in ("", "0"), SWITCH == "all"
long = pytest.mark.skipif(not LONG, reason="long: set LONG_TESTS=1")
longest = pytest.mark.skipif(not ALL, reason="takes minutes: set LONG_TESTS=all")
