"""Fixtures of the look-ahead tests."""

import pytest

from lib import lookahead


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the trial in new processes where a test is about another one."""
    monkeypatch.setattr(lookahead, "MEMORY_DAYS", 0)
