"""Parameters keep their ranges and kinds however a subclass declares them; optional ones may be left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import nbformat
import pytest

from lib import Strategy
from lib.common.command_line import PROJECT
from lib.compare.variants import make_strategies
from lib.notebook_strategy import check_parameters, strategy_of
from lib.parameters import OPTIONAL
from lib.strategy import _warn_of_variable


@dataclass(frozen=True)
class Postponed(Strategy):
    """A subclass in a module with postponed annotations, with a default and a parameter of its own."""

    top_assets: int = 6
    stop: float = 0.2


@pytest.mark.parametrize("kind", [Strategy, Postponed])
def test_whole_numbers_stay_whole_in_a_subclass(kind):
    assert type(kind(top_assets=3, max_weight=1).top_assets) is int
    assert type(kind(max_weight=1).max_weight) is float
    with pytest.raises(TypeError, match=r"top_assets must be a whole number from 1 to 1000, not 2\.5"):
        kind(top_assets=2.5)
    with pytest.raises(ValueError, match="top_assets is 0"):
        kind(top_assets=0)
    with pytest.raises(TypeError, match="log_price must be True or False, not 1"):
        kind(log_price=1)
    assert Postponed().as_dict()["stop"] == 0.2


@dataclass(frozen=True)
class Patient(Strategy):
    """A strategy with an optional parameter."""

    holding_days: int = field(default=1, metadata=OPTIONAL)


REQUIRED = {
    item.name: item.default
    for item in Strategy.__dataclass_fields__.values()
    if not item.metadata.get("optional")
}
CELL = "start_date = None\n" + "".join(f"{name} = {value!r}\n" for name, value in REQUIRED.items())


@pytest.mark.parametrize(
    ("cells", "names", "expected"),
    [
        ([CELL], {}, 1),
        ([CELL + "holding_days = 5"], {"holding_days": 5}, 5),
        ([CELL, "# Parameters\nstart_date = 3\nholding_days = 5"], {"holding_days": 5}, 5),
        (["holding_days = 5", CELL + "mine = 2"], {"holding_days": 5, "mine": 2}, 5),
        (None, {"holding_days": 5, "holding_day": 7}, 5),
    ],
    ids=["missing", "parameters cell", "injected", "a cell of its own", "no kernel"],
)
def test_an_optional_parameter_counts_where_a_cell_of_parameters_sets_it(cells, names, expected):
    history = {} if cells is None else {"In": ["", *cells]}
    assert Patient.from_names({**REQUIRED, **names, **history}).holding_days == expected


def test_a_variable_of_the_same_name_in_another_cell_does_not_count():
    _warn_of_variable.cache_clear()
    history = ["", CELL, "import math\nholding_days = 5"]
    with pytest.warns(UserWarning, match="holding_days is not used as the parameter"):
        assert Patient.from_names({**REQUIRED, "holding_days": 5, "In": history}).holding_days == 1


@pytest.mark.parametrize("name", ["holding_day", "Holding_days", "holdingdays"])
def test_a_misspelt_optional_parameter_is_refused_with_the_nearest_name(name):
    cell = f"{CELL}{name} = 5"
    with pytest.raises(TypeError, match=f"sets {name}, which is not a parameter: did you mean holding_days"):
        Patient.from_names({**REQUIRED, name: 5, "In": [cell]})


@pytest.fixture
def optional(monkeypatch):
    """Declare a parameter of `Strategy` as optional."""
    monkeypatch.setattr(Strategy.__dataclass_fields__["seed"], "metadata", {**OPTIONAL, "range": (0, 9)})


@pytest.mark.parametrize("make", ["Strategy.from_names(globals())", "Strategy(seed=3)"])
def test_a_command_sets_optional_parameters_that_the_notebook_does_not_name(optional, tmp_path, make):
    names = CELL.replace("seed = 42\n", "")
    cells = [
        nbformat.v4.new_code_cell(source)
        for source in (names, f"from lib import Strategy\nstrategy = {make}\nseen = strategy.seed")
    ]
    cells[0].metadata["tags"] = ["parameters"]
    path = tmp_path / "mine.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert strategy_of(path, {"seed": 7}).strategy.seed == 7
    code = names + cells[1].source
    known = {name: value for name, value in REQUIRED.items() if name != "seed"}
    if "from_names" in make:
        assert check_parameters(path, known, {"seed": 7}, code).seed == 7
        with pytest.raises(TypeError, match="no parameter 'sed': did you mean 'seed'"):
            check_parameters(path, known, {"sed": 7}, code)
    else:
        with pytest.raises(TypeError, match="no parameter 'seed'"):
            check_parameters(path, known, {"seed": 7}, code)


def test_the_shipped_notebook_takes_optional_parameters(optional):
    assert strategy_of(PROJECT / "strategy.ipynb", {"seed": 7}).strategy == Strategy(seed=7)


CRYPTO = "crypto_daily_long"


@pytest.mark.parametrize(
    ("competition_type", "defaults"),
    [
        ("stocks_nasdaq100", (12, 0.1, "as_output")),
        ("stocks_s&p500", (12, 0.1, "as_output")),
        (CRYPTO, (5, 1.0, "ranked")),
        ("crypto_daily_long_short", (5, 1.0, "ranked")),
    ],
)
def test_the_competition_decides_the_defaults(competition_type, defaults):
    strategy = Strategy(competition_type=competition_type)
    assert (strategy.top_assets, strategy.max_weight, strategy.sizing) == defaults
    assert Strategy.defaults(competition_type) | {"competition_type": competition_type} == strategy.as_dict()
    changes = [f"competition_type={competition_type}"] * (competition_type != Strategy.competition_type)
    assert strategy.differences() == changes
    assert Strategy(top_assets=7, competition_type=competition_type).differences() == [
        "top_assets=7",
        *changes,
    ]
    assert Postponed(competition_type=competition_type).top_assets == 6


def test_another_competition_brings_its_own_defaults():
    assert Strategy().changed(competition_type=CRYPTO) == Strategy(competition_type=CRYPTO)
    assert Strategy(competition_type=CRYPTO).changed(competition_type="stocks_nasdaq100") == Strategy()
    changed = Strategy(top_assets=4, seed=2).changed(competition_type=CRYPTO, max_weight=0.5)
    assert changed == Strategy(top_assets=4, seed=2, competition_type=CRYPTO, max_weight=0.5)
    assert Strategy().changed(seed=2) == Strategy(seed=2)
    assert make_strategies([{"competition_type": CRYPTO}]) == [Strategy(competition_type=CRYPTO)]


def test_more_assets_than_are_liquid_are_told_once():
    with pytest.warns(UserWarning, match=r"top_assets is 23, but about 10 assets of crypto_daily_long are"):
        strategy = Strategy(top_assets=23, competition_type=CRYPTO)
    replace(strategy, seed=1)
