"""A user's error is shown by IPython as its sentence, everything else with its traceback."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from lib.common.errors import UserError, WrongTypeError, WrongValueError, quantity
from lib.offline.market import MarketError
from lib.state import StateError

SOURCES = {
    "a value": ("from lib import Strategy; Strategy(top_assets=0)", "top_assets is 0: it must be"),
    "a parameter": ("from lib import Strategy; Strategy(top_asset=3)", "did you mean 'top_assets'?"),
    "a name": ("from lib import Strategy; Strategy(features='tren')", "did you mean 'trend'?"),
    "a date": ("from lib import *; check_range(Strategy(), 'yesterday')", "start_date is 'yesterday'"),
    "a missing variable": (
        "from lib import Strategy; Strategy.from_names({})",
        "does not set lookback_period",
    ),
}


@pytest.fixture(scope="module")
def shell() -> InteractiveShell:
    return InteractiveShell()


def shown(shell: InteractiveShell, code: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines that a cell with this code leaves as its traceback."""
    lines: list[str] = []
    monkeypatch.setattr(shell, "_showtraceback", lambda kind, error, stb: lines.extend(stb))
    assert not shell.run_cell(code).success
    return lines


@pytest.mark.parametrize("source", SOURCES)
def test_a_sentence_stands_alone(
    shell: InteractiveShell, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, sentence = SOURCES[source]
    (line,) = shown(shell, code, monkeypatch)
    assert sentence in line
    assert "\n" not in line


def test_another_error_keeps_its_traceback(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shown(shell, "def f():\n    return 1 / 0\nf()", monkeypatch)) > 2


@pytest.mark.parametrize("kind", [WrongValueError, WrongTypeError, StateError, MarketError])
def test_kinds(kind: type) -> None:
    assert issubclass(kind, UserError)
    assert issubclass(kind, TypeError if kind is WrongTypeError else ValueError)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 days"), (1, "1 day"), (2, "2 days"), (1000, "1,000 days")]
)
def test_a_number_has_its_noun_in_the_right_form(number: int, words: str) -> None:
    assert quantity(number, "day") == words
