import contextlib
import functools

import pytest

from lib.compare import compare
from tests.compare.shared import HERE, RANGE, SMALL, VARIANTS, Ratio, broken, one_warning, two_days


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """Two variants with names, two with functions of the user's own, and one that fails."""
    folder = tmp_path_factory.mktemp("first")
    own = [functools.partial(two_days, power=2), Ratio(3)]
    variants = [*VARIANTS[:2], *({**SMALL, "features": [function]} for function in own)]
    variants += [{**SMALL, "features": ["trend", broken]}]
    empty = tmp_path_factory.mktemp("empty")
    with (
        contextlib.chdir(empty),
        one_warning("1 of 5 runs did not finish", "no such column: earnings"),
    ):
        table = compare(reversed(variants), folder=folder, **HERE, **RANGE)
    assert list(empty.iterdir()) == []
    return variants, folder, table
