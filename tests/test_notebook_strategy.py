"""The strategy that a notebook makes is what its cells say, and nothing else is run."""

import pickle

import cloudpickle
import nbformat
import numpy as np
import pytest

from lib import Strategy
from lib.common.command_line import PROJECT
from lib.notebook_strategy import NotebookError, assignments, check_parameters, strategy_of
from lib.strategy import own_methods

PARAMETERS = "".join(
    f"{name} = {list(value) if isinstance(value, tuple) else value!r}\n"
    for name, value in Strategy.defaults().items()
)
MAKE = "from lib import Strategy\nstrategy = Strategy.from_names(globals())"
RULE = """
import numpy as np
import qnt.backtester as qnbt
import qnt.data as qndata
import qnt.ta as qnta

def load_data(period):
    return qndata.stocks.load_ndx_data(tail=period)

def train_model(data):
    return None

def predict(models, data):
    close = data.sel(field="close")
    return (close > qnta.sma(close, 20)).isel(time=[-1]) * data.sel(field="is_liquid") / 50
"""


@pytest.fixture
def notebook(tmp_path):
    """Write a notebook of code cells; the first one is tagged as its parameters."""

    def write(*cells, tagged=True):
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        if tagged:
            made[0].metadata["tags"] = ["parameters"]
        path = tmp_path / "mine.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=made), path)
        return path

    return write


def test_the_shipped_notebook_makes_the_published_strategy():
    found = strategy_of(PROJECT / "strategy.ipynb")
    assert found.strategy == Strategy()
    assert found.headline == "strategy.ipynb: as published"
    assert (found.start_date, found.end_date) == ("2022-12-30", None)


def test_settings_stand_above_the_parameters_cell():
    found = strategy_of(
        PROJECT / "strategy.ipynb", {"top_assets": 6, "features": ["trend", "rsi(periods=21)"]}
    )
    assert found.strategy == Strategy(top_assets=6, features=["trend", "rsi(periods=21)"])
    assert found.headline == "strategy.ipynb: top_assets=6, features=[trend, rsi(periods=21)]"


def test_parameters_functions_and_classes_of_cells_are_honoured(notebook):
    feature = """
import numpy as np
import qnt.ta as qnta

def slow(data, strategy):
    return qnta.ema(data.sel(field="close"), 15)

"""
    subclass = """
from lib import Strategy

class Mine(Strategy):
    def train_model(self, data):
        return super().train_model(data)
"""
    cells = (
        feature + PARAMETERS.replace("features = ['trend']", "features = ['trend', slow]"),
        subclass,
        "strategy = Mine.from_names(globals())",
    )
    found = strategy_of(notebook(*cells), {"top_assets": 5})
    assert found.strategy.top_assets == 5
    assert found.strategy.features[1].__name__ == "slow"
    assert found.headline == "mine.ipynb: top_assets=5, features=[trend, slow], own train_model"
    again = pickle.loads(cloudpickle.dumps(found.strategy))  # as a worker gets it
    assert again.as_dict() == found.strategy.as_dict()
    assert own_methods(again) == ["train_model"]


def test_functions_in_place_of_the_methods_without_a_strategy(notebook):
    backtest = """
weights = qnbt.backtest_ml(load_data=load_data, train=train_model, predict=predict, train_period=60,
    lookback_period=90, retrain_interval=30, competition_type="stocks_nasdaq100", start_date="2024-06-28")
raise RuntimeError("the backtest was run")
"""
    found = strategy_of(notebook(RULE, backtest, tagged=False))
    assert own_methods(found.strategy) == ["load_data", "train_model", "predict"]
    assert (found.strategy.train_period, found.strategy.lookback_period) == (60, 90)
    assert found.start_date == "2024-06-28"
    data = found.strategy.load_data(90)
    weights, state = found.strategy.predict(found.strategy.train_model(data), data, None)
    assert state is None
    assert (weights.values > 0).any()


def test_functions_of_a_cell_take_the_place_of_methods_where_the_strategy_is_made_from_names(notebook):
    predict = (
        "def predict(models, data, state):\n    return data.sel(field='close').isel(time=[-1]) * 0, state"
    )
    found = strategy_of(notebook(PARAMETERS, predict, MAKE))
    assert own_methods(found.strategy) == ["predict"]


def test_a_function_that_the_backtest_is_given_counts_too(notebook):
    cells = (
        PARAMETERS,
        MAKE,
        "def mine(models, data, state):\n    return strategy.predict(models, data, state)\npredict = mine",
        "#DEBUG#\nqnbt.backtest_ml(train=strategy.train_model, predict=predict)",
    )
    assert own_methods(strategy_of(notebook(*cells)).strategy) == ["predict"]


@pytest.mark.parametrize(
    "cell",
    ["#DEBUG#\nraise SystemExit", "qnbt.backtest_ml(predict=3)", "%matplotlib inline\n!false"],
    ids=["debug", "backtest", "magics"],
)
def test_what_is_not_needed_is_not_run(cell, notebook):
    found = strategy_of(notebook(PARAMETERS, cell, MAKE, "raise RuntimeError('after the strategy')"))
    assert found.strategy == Strategy()


@pytest.mark.parametrize(
    ("cell", "runs"),
    [
        ("def later():\n    strategy = 1\n    return strategy", False),
        ("later = [strategy for strategy in ()]", False),
        ("class Later:\n    strategy = 1", False),
        ("if True:\n    from lib import Strategy\n    strategy = Strategy(top_assets=5)", True),
        ("def make():\n    global strategy\n    strategy = Strategy(top_assets=5)\nmake()", True),
        ("try:\n    def predict(models, data, state):\n        return data, state\nfinally:\n    pass", True),
    ],
    ids=[
        "a local variable",
        "a comprehension",
        "an attribute",
        "a condition",
        "a global",
        "a function in try",
    ],
)
def test_a_cell_runs_for_the_names_that_it_leaves(cell, runs, notebook):
    found = strategy_of(notebook(PARAMETERS, MAKE, f"{cell}\nran = True\nstart_date = '2024-12-02'"))
    assert (found.start_date == "2024-12-02") == runs


@pytest.mark.parametrize(
    ("cells", "settings", "error", "says"),
    [
        ((PARAMETERS,), {}, NotebookError, "mine.ipynb makes no strategy: .* must set strategy"),
        ((PARAMETERS, "1 / 0", MAKE), {}, NotebookError, r"cell 2 \(1 / 0\), fails: ZeroDivisionError"),
        ((PARAMETERS, "import sys\nsys.exit(3)", MAKE), {}, NotebookError, "fails: SystemExit: 3"),
        (
            (PARAMETERS, MAKE),
            {"top_asset": 3},
            TypeError,
            "no parameter 'top_asset': did you mean 'top_assets'",
        ),
        ((PARAMETERS, MAKE), {"top_assets": 0}, ValueError, "top_assets is 0: it must be"),
        ((PARAMETERS, "strategy = (", MAKE), {}, NotebookError, "fails: SyntaxError"),
        (
            (PARAMETERS, "def predict(x):\n    return x", MAKE),
            {},
            TypeError,
            r"predict must take \(models, data, state\)",
        ),
    ],
)
def test_what_cannot_be_used_ends_in_a_sentence(cells, settings, error, says, notebook):
    with pytest.raises(error, match=says):
        strategy_of(notebook(*cells), settings)


def test_a_file_that_is_no_notebook(tmp_path):
    (tmp_path / "mine.ipynb").write_text("{", "utf-8")
    with pytest.raises(ValueError, match="is not a notebook"):
        strategy_of(tmp_path / "mine.ipynb")
    with pytest.raises(FileNotFoundError, match="There is no notebook"):
        strategy_of(tmp_path / "other.ipynb")


def test_without_a_parameters_cell_settings_change_the_strategy(notebook):
    path = notebook("from lib import Strategy\nstrategy = Strategy(top_assets=7)", tagged=False)
    assert strategy_of(path, {"seed": 3}).strategy == Strategy(top_assets=7, seed=3)


def test_loads_inside_an_overriding_method_end_with_its_data():
    class Peeks(Strategy):
        def train_model(self, data):
            return self.load_data(30).time.values[-1]

    data = Strategy().load_data(60).isel(time=slice(None, -7))
    assert Peeks().train_model(data) == data.time.values[-1]
    assert Strategy().with_functions(train_model=lambda data: Strategy().load_data(30)).train_model(
        data
    ).time.values[-1] == np.datetime64(data.time.values[-1])


KNOWN = {"top_assets": 12, "features": ["trend"], "sizing": "as_output", "start_date": "2024-01-31"}
CODE = "strategy = Strategy.from_names(globals())"


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"top_asset": 3}, TypeError, r"mine\.ipynb has no parameter 'top_asset': did you mean 'top_assets'"),
        ({"top_assets": 0}, ValueError, "top_assets is 0: it must be a whole number"),
        ({"top_assets": "many"}, TypeError, "top_assets must be a whole number"),
        ({"features": ["trendy"]}, ValueError, "did you mean 'trend'"),
        ({"sizing": "rank"}, ValueError, "did you mean 'ranked'"),
        ({"start_date": "soon"}, ValueError, "start_date is 'soon': it must be a date"),
    ],
)
def test_what_the_strategy_would_refuse(settings, error, sentence, tmp_path):
    with pytest.raises(error, match=sentence):
        check_parameters(tmp_path / "mine.ipynb", KNOWN, settings, CODE)


def test_the_strategy_of_the_parameters(tmp_path):
    strategy = check_parameters(tmp_path / "mine.ipynb", KNOWN, {"top_assets": 3, "sizing": "ranked"}, CODE)
    assert (strategy.top_assets, strategy.sizing) == (3, "ranked")


@pytest.mark.parametrize("name", ["features", "sizing"])
def test_functions_that_the_notebook_defines_may_be_named(name, tmp_path):
    code = f"{CODE}\ndef mine(outputs, strategy, n=3):\n    return outputs"
    assert check_parameters(tmp_path / "mine.ipynb", KNOWN, {name: "mine(n=4)"}, code)
    with pytest.raises(ValueError, match="'mine"):
        check_parameters(tmp_path / "mine.ipynb", KNOWN, {name: "mine(n=4)"}, CODE)


def test_names_in_the_notebook_itself_may_come_from_a_module_that_it_imports(tmp_path):
    assert check_parameters(tmp_path / "mine.ipynb", KNOWN | {"features": ["imported"]}, {}, CODE)


def test_another_strategy_has_rules_of_its_own(tmp_path):
    known = {"top_assets": "many"}
    assert check_parameters(tmp_path / "mine.ipynb", known, {}, "predict = print") is None
    (tmp_path / "lib").mkdir()
    assert check_parameters(tmp_path / "mine.ipynb", known, {}, CODE) is None


def test_what_a_cell_assigns():
    assert assignments("a = 1  # one\nb = [2, 'x']\nc = a + 1\nd.e = 3\nf, g = 4, 5") == {
        "a": 1,
        "b": [2, "x"],
    }
    assert assignments("a = = 1") == {}
