"""A competition is a row: nothing else knows its name, and a new row is a new competition."""

import ast
import dataclasses
from pathlib import Path

import pytest

from lib import Strategy
from lib.common import competitions
from lib.common.competitions import COMPETITIONS
from lib.common.market_data import load_last
from lib.prices import convert_frames
from tests.conftest import REAL

LIB = Path(competitions.__file__).parents[1]


def literals(path):
    """Return the strings of a module, without docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in texts)
    return [node.value for node in strings if isinstance(node.value, str)]


def test_no_other_module_knows_a_competition_but_the_default_one():
    _, *others = COMPETITIONS
    modules = [path for path in LIB.rglob("*.py") if path != Path(competitions.__file__)]
    found = {
        (path.name, name) for path in modules for text in literals(path) for name in others if name in text
    }
    assert len(modules) > 90
    assert found == set()


def test_a_row_has_a_default_for_each_parameter_without_one():
    without = {field.name for field in dataclasses.fields(Strategy) if field.default is None}
    assert {kind: set(row.defaults) for kind, row in COMPETITIONS.items()} == dict.fromkeys(
        COMPETITIONS, without
    )


@pytest.mark.skipif(REAL, reason="the real library has its own list")
@pytest.mark.parametrize("like", COMPETITIONS)
def test_another_row_is_another_competition(like, monkeypatch):
    row = COMPETITIONS[like]
    if not row.every_day:
        row = row._replace(loader="stocks.load_ndx_data", data_name="stocks_nasdaq100")
    row = row._replace(defaults={**row.defaults, "top_assets": 3})
    for known in (COMPETITIONS, competitions.KINDS):
        monkeypatch.setitem(known, "another", row)
    strategy = Strategy(competition_type="another")
    assert strategy.top_assets == 3
    assert strategy.differences() == ["competition_type=another"]
    if not row.every_day:  # the market of the tests has the fields of stocks
        data = strategy.load_data(10)
        assert data.equals(load_last("stocks_nasdaq100", 10))
        market, _ = convert_frames({"A": data[:, :, 0].T.to_pandas()}, competition="another")
        assert tuple(market.field.values) == row.fields
