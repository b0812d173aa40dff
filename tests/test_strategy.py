import dataclasses
import inspect
import math

import numpy as np
import pytest

from lib import Strategy
from lib.parameters import RANGES


def test_the_defaults_as_plain_values():
    assert Strategy.defaults() == Strategy().as_dict()


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Strategy().seed = 1


@pytest.mark.parametrize(
    ("parameters", "error", "sentence"),
    [
        ({"top_asset": 3}, TypeError, r"no parameter 'top_asset': did you mean 'top_assets'\?"),
        ({"zzz": 3}, TypeError, r"no parameter 'zzz': It can be: lookback_period, "),
        ({"top_assets": 0}, ValueError, r"top_assets is 0: it must be a whole number from 1 to 1000"),
        ({"top_assets": 2.5}, TypeError, r"top_assets must be a whole number from 1 to 1000, not 2\.5"),
        ({"top_assets": True}, TypeError, r"top_assets must be a whole number .* not True"),
        ({"top_assets": "12"}, TypeError, r"top_assets must be .* not '12'"),
        ({"hidden_size": 10**6}, ValueError, r"hidden_size is 1000000: it must be .* from 1 to 1024"),
        ({"learning_rate": math.nan}, ValueError, r"learning_rate is nan: it must be a number from"),
        ({"learning_rate": -0.1}, ValueError, r"learning_rate is -0\.1"),
        ({"learning_rate": None}, TypeError, r"learning_rate must be a number"),
        ({"seed": 2**32}, ValueError, r"seed is 4294967296"),
        ({"min_weight": 0.2}, ValueError, r"min_weight \(0\.2\) must be below max_weight \(0\.1\)"),
        ({"competition_type": "stocks_nasdaq"}, ValueError, r"did you mean 'stocks_nasdaq100'\?"),
        ({"competition_type": "crypto"}, ValueError, r"It can be: stocks_nasdaq100, stocks_s&p500"),
        (
            {"competition_type": "futures"},
            ValueError,
            r"It can be: .*, crypto_daily_long, crypto_daily_long_",
        ),
        ({"features": ["trent"]}, ValueError, r"features is 'trent': did you mean 'trend'\?"),
        ({"features": []}, ValueError, r"features must name at least one"),
        ({"features": [3]}, TypeError, r"features takes a name or a function, not 3"),
        ({"features": 3}, TypeError, r"features takes names or functions, not 3"),
        ({"target": "next_open"}, ValueError, r"target is 'next_open': did you mean 'next_open_up'\?"),
        (
            {"selection": "volatility"},
            ValueError,
            r"selection is 'volatility': did you mean 'low_volatility'\?",
        ),
        ({"model": "LTSM"}, ValueError, r"model is 'LTSM': did you mean 'LSTM'\?"),
        ({"log_price": 1}, TypeError, r"log_price must be True or False, not 1"),
    ],
)
def test_an_absurd_parameter_is_refused_with_what_is_allowed(parameters, error, sentence):
    with pytest.raises(error, match=sentence):
        Strategy(**parameters)


@pytest.mark.filterwarnings("ignore:top_assets")  # more than are liquid
@pytest.mark.parametrize("name", RANGES)
def test_both_ends_of_every_range_are_allowed(name):
    low, high = RANGES[name]
    others = {
        "max_weight": {"min_weight": 0.0},
        "min_weight": {"max_weight": 1.0},
        "min_change": {"max_weight": 1.0},
        "window": {"lookback_period": 1_000, "train_period": 1_000},
        "batch_size": {"optimiser": "Adam", "window": 1},
        "patience": {"validation": 0.2},
    }.get(name, {})
    ends = [low if name != "max_weight" else 1e-9, high if name != "min_weight" else 0.999]
    assert [getattr(Strategy(**{name: end, **others}), name) for end in ends] == ends


def test_numbers_of_numpy_are_numbers():
    strategy = Strategy(top_assets=np.int64(3), learning_rate=np.float32(0.5), max_weight=1)
    assert (type(strategy.top_assets), type(strategy.learning_rate), type(strategy.max_weight)) == (
        int,
        float,
        float,
    )


def test_one_feature_may_stand_alone():
    assert Strategy(features="trend") == Strategy(features=["trend"])


def of_ones(data, strategy):
    return data.sel(field="close") * 0 + 1


def test_the_fingerprint_is_plain_and_tells_functions_apart():
    fingerprint = Strategy(features=["trend", of_ones]).as_dict()
    assert fingerprint["features"] == ["trend", f"{__name__}.of_ones"]
    assert {type(value) for value in fingerprint.values()} <= {int, float, str, bool, list}
    assert set(fingerprint) == {field.name for field in dataclasses.fields(Strategy)}


def test_the_platform_sees_that_predict_takes_a_state():
    assert len(inspect.getfullargspec(Strategy().predict).args) >= 3


@pytest.mark.parametrize(("competition", "loader"), [("stocks_nasdaq100", "ndx"), ("stocks_s&p500", "spx")])
def test_each_competition_has_its_loader(competition, loader, monkeypatch):
    import qnt.data as qndata

    called = []
    load = qndata.stocks.load_ndx_data
    for name in ("ndx", "spx"):

        def loads(tail, max_date=None, name=name):
            called.append((name, tail))
            return load(tail=tail, max_date=max_date)

        monkeypatch.setattr(qndata.stocks, f"load_{name}_data", loads)
    assert Strategy(competition_type=competition).load_data(100).sizes["time"] > 50
    assert called == [(loader, 100)]


def test_sp500_works_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = []
    for competition in ("stocks_nasdaq100", "stocks_s&p500"):
        strategy = Strategy(competition_type=competition, top_assets=12)
        models = strategy.train_model(strategy.load_data(100))
        weights, state = strategy.predict(models, strategy.load_data(155), None)
        answers.append(weights)
        assert state.parameters["competition_type"] == weights.name == competition
    assert np.array_equal(*answers)  # one market file answers for both
    assert (answers[0] > 0).sum() == 12


NAMES = Strategy.defaults()
CELL = "".join(f"{name} = {value!r}\n" for name, value in NAMES.items())


def test_a_misspelt_parameter_is_refused_in_a_running_kernel_with_the_nearest_name():
    misspelt = CELL.replace("top_assets = ", "top_asset = ")
    kernel = {**NAMES, "top_asset": 6, "In": ["", CELL, misspelt]}
    with pytest.raises(
        TypeError, match=r"does not set top_assets.*Did you mean top_assets where it says top_asset"
    ):
        Strategy.from_names(kernel)
    assert Strategy.from_names({**NAMES, "In": ["", misspelt, CELL]}) == Strategy()
    later = ["", CELL, misspelt, "top_assets = 6"]  # set by a cell of its own
    assert Strategy.from_names({**NAMES, "top_assets": 6, "In": later}).top_assets == 6


def test_a_misspelt_parameter_is_refused_after_a_restart_with_the_nearest_name():
    names = {name: value for name, value in NAMES.items() if name != "top_assets"}
    with pytest.raises(TypeError, match="Did you mean top_assets where it says top_asset"):
        Strategy.from_names({**names, "top_asset": 6})


def test_another_method_or_function_is_refused():
    with pytest.raises(TypeError, match="no method 'train': did you mean 'train_model'"):
        Strategy().with_functions(train=print)
    with pytest.raises(TypeError, match=r"train_model must take \(data\)"):
        Strategy().with_functions(train_model=lambda: None)
