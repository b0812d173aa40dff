"""Estimators, rules and pooled models equal the same fit written by hand."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib import Strategy
from lib.engine import learners
from lib.engine.inputs import feature_values, get_target_classes, model_inputs, select_assets, training_set_of
from lib.engine.prediction import last_outputs, panel_outputs
from lib.engine.training import TrainingWarning
from tests.switches import long
from tests.trained import window

FEATURES = ["trend", "momentum(periods=5)", "volatility(periods=10)"]


def strategy(**changes):
    return Strategy(
        **{"features": FEATURES, "top_assets": 4, "train_period": 150, "lookback_period": 100} | changes
    )


def next_return(data, strategy):
    price = data.sel(field="close")
    return price.shift(time=-1) / price - 1


def rows_by_hand(data, chosen, days=1):
    """Collect rows and targets in a plain loop over days and assets."""
    assets = select_assets(data, chosen)
    values = feature_values(data, chosen, assets)  # (feature, time, asset)
    target = get_target_classes(data, chosen, assets).values
    rows, targets = [], []
    for day in range(days - 1, values.shape[1]):
        for k in range(len(assets)):
            part = values[:, day - days + 1 : day + 1, k]
            if np.isfinite(part).all() and np.isfinite(target[day, k]):
                rows.append(part.T.ravel())
                targets.append(target[day, k])
    return np.array(rows), np.array(targets), assets


def by_hand(estimator, data, chosen, days=1):
    """Fit on all assets of a training window, and predict its last day."""
    rows, targets, assets = rows_by_hand(data, chosen, days)
    estimator.fit(rows, targets)
    last = feature_values(data, chosen, assets)[:, -days:].transpose(2, 1, 0).reshape(len(assets), -1)
    if hasattr(estimator, "predict_proba"):
        return dict(zip(assets, estimator.predict_proba(last)[:, 1], strict=True))
    return dict(zip(assets, estimator.predict(last), strict=True))


@pytest.mark.parametrize("days", [0, 5], ids=["one day", "window of 5"])
@pytest.mark.parametrize(
    ("make", "target"),
    [
        (lambda: Ridge(), next_return),
        (lambda: make_pipeline(StandardScaler(), Ridge(alpha=2.0)), next_return),
        (lambda: LogisticRegression(C=0.5), "tradable_open_up"),
        (lambda: LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1, random_state=42), next_return),
        (lambda: LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1, random_state=42), "tradable_open_up"),
    ],
    ids=["Ridge", "pipeline", "logistic", "LightGBM", "LightGBM classes"],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_pooled_estimator_equals_the_same_fit_by_hand(make, target, days):
    data = window(90)
    chosen = strategy(model=make(), target=target, scope="pooled", leave_out_unknown=True, window=days)
    models = chosen.train_model(data)
    got, wanted = last_outputs(models, data, chosen), by_hand(make(), data, chosen, max(days, 1))
    assert list(got) == list(wanted)
    np.testing.assert_allclose(list(got.values()), list(wanted.values()), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [False, True], ids=["plain", "scaled"])
def test_each_asset_has_an_estimator_of_its_own(scale):
    """It is scaled by the days that it trains on, not by the last ones, whose target is unknown."""
    data = window(90)
    chosen = strategy(model=Ridge, target=next_return, leave_out_unknown=True, scale=scale)
    models = chosen.train_model(data)
    assert len({id(models[asset]) for asset in models}) == len(models) == 4
    whole = training_set_of(data, chosen)
    for k, asset in enumerate(models):
        alone = make_pipeline(*[StandardScaler()] * scale, Ridge())
        alone.fit(whole.x[k][whole.known[k]], whole.y[k][whole.known[k]])
        np.testing.assert_allclose(models[asset].coef_, alone[-1].coef_, rtol=1e-9)


def test_a_scaled_model_sees_standardised_features():
    """The numbers are those of the training window, in prediction too."""
    data = window(90)
    plain = strategy(model=Ridge, target=next_return, scope="pooled", leave_out_unknown=True)
    scaled = strategy(model=Ridge, target=next_return, scope="pooled", leave_out_unknown=True, scale=True)
    got = last_outputs(scaled.train_model(data), data, scaled)
    wanted = by_hand(make_pipeline(StandardScaler(), Ridge()), data, plain)
    np.testing.assert_allclose(list(got.values()), list(wanted.values()), rtol=1e-9)
    later = data.copy(deep=True)
    later.loc[{"field": ["open", "high", "low", "close"]}] *= 3.0
    models = scaled.train_model(data)
    x, known = model_inputs(later, scaled, list(models))
    mean, deviation = models.shared_scale
    rows = ((x - mean) / deviation)[known]
    outputs, there = panel_outputs(models, list(models), x, known, scaled)
    np.testing.assert_allclose(outputs[there], models.shared.predict(rows), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("scale", [False, True])
def test_the_published_network_can_be_scaled_and_stored(scale):
    data = window(71)
    chosen = Strategy(top_assets=2, hidden_size=4, scale=scale)
    models = chosen.train_model(data)
    again = pickle.loads(pickle.dumps(models))
    assert last_outputs(again, data, chosen) == last_outputs(models, data, chosen)
    assert bool(again.scales) == scale


def test_a_rule_needs_no_training():
    def rising(x):
        return (x[..., 0] > 0).astype(float)

    data = window(90)
    chosen = strategy(model=rising)
    models = chosen.train_model(data)
    x, _ = model_inputs(data, chosen, list(models))
    assert list(last_outputs(models, data, chosen).values()) == rising(x)[:, -1].tolist()
    assert all(not fit.losses for fit in models.fits.values())


def test_a_pooled_rule_compares_assets():
    def place(x):
        return x[..., 0].argsort(axis=0).argsort(axis=0) / len(x)

    data = window(90)
    chosen = strategy(model=place, scope="pooled", window=3)
    outputs = last_outputs(chosen.train_model(data), data, chosen)
    assert sorted(outputs.values()) == [0, 0.25, 0.5, 0.75]


def test_selection_each_day_trades_only_what_is_selected_that_day():
    def first_two(data, strategy):
        return np.arange(data.sizes["asset"]) < 2

    def last_two(data, strategy):
        return np.arange(data.sizes["asset"]) >= data.sizes["asset"] - 2

    data = window(90)
    trained = strategy(model=Ridge, scope="pooled", selection=first_two)
    models = trained.train_model(data)
    later = replace(trained, selection=last_two, select_each_day=True)
    assert set(last_outputs(models, data, later)) == set(select_assets(data, later))
    assert set(last_outputs(models, data, replace(later, select_each_day=False))) == set(models)
    per_asset = replace(later, scope="asset")
    assert last_outputs(per_asset.train_model(data), data, replace(per_asset, selection=first_two)) == {}


class Coin:
    """An estimator of one's own without scikit-learn's interface."""

    def fit(self, x, y):
        self.mean = y.mean()

    def predict(self, x):
        return np.full(len(x), self.mean)


@pytest.mark.parametrize("model", [Coin, Coin(), lambda: Coin(), lambda n_features, strategy: Coin()])
def test_an_estimator_may_be_a_class_an_instance_or_a_function(model):
    chosen = strategy(model=model, scope="pooled")
    assert learners.kind_of(chosen) == "estimator"
    assert len(set(last_outputs(chosen.train_model(window(90)), window(90), chosen).values())) == 1


def test_estimators_are_cloned_seeded_and_limited():
    given = make_pipeline(StandardScaler(), LGBMRegressor(n_jobs=64))
    chosen = strategy(model=given, seed=7)
    made = learners.new_estimator(chosen)
    assert made is not given
    assert made[-1].random_state == 7
    assert 1 <= made[-1].n_jobs <= 63 or learners._cores() >= 64
    assert given[-1].random_state is None
    assert learners.new_estimator(strategy(model=LGBMRegressor)).n_jobs == 1
    assert learners.new_estimator(strategy(model=LGBMRegressor(random_state=3))).random_state == 3


def test_an_estimator_is_named_by_its_settings():
    chosen = strategy(model=make_pipeline(StandardScaler(), Ridge(alpha=2.0)))
    assert "Ridge(alpha=2.0)" in chosen.as_dict()["model"]
    assert "0x" not in chosen.as_dict()["model"]
    assert strategy(model=Ridge(alpha=2)).as_dict() != strategy(model=Ridge(alpha=3)).as_dict()


def test_a_window_of_one_class_cannot_train_a_classifier():
    def always(data, strategy):
        return data.sel(field="close") * 0 + 1

    with pytest.warns(TrainingWarning, match="a classifier needs two classes"):
        models = strategy(model=LogisticRegression, target=always).train_model(window(90))
    assert not len(models)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": LogisticRegression, "target": next_return}, "is a classifier, and target next_return"),
        ({"model": Ridge, "optimiser": "Adam"}, "optimiser: for torch modules only"),
        ({"model": Ridge, "validation": 0.2, "patience": 2}, "validation, patience: for torch modules only"),
        ({"model": Ridge, "window": 120}, "window .120 trading days. is longer than lookback_period"),
        ({"model": Ridge, "window": 90}, "window=90 trading days is longer than lookback_period=100"),
        ({"window": 5, "whole_sequence": True}, "exclude each other"),
        ({"batch_size": 8, "window": 1}, "batch_size is for the optimiser Adam"),
        ({"batch_size": 8, "optimiser": "Adam"}, "batch_size counts days with a window"),
        ({"patience": 3}, "patience needs validation"),
        ({"loss": "bce", "target": next_return}, 'loss="bce" takes a target from 0 to 1'),
        ({"loss": "mae"}, "loss is 'mae'"),
        ({"optimiser": "adam"}, "did you mean 'Adam'"),
        ({"scope": "assets"}, "did you mean 'asset'"),
        ({"validation": 0.9, "train_period": 20, "features": ["trend"]}, "leaves no day"),
        ({"model": lambda x: x, "scope": "pooled"}, "must return one number for each asset and day"),
        ({"model": lambda: 3}, "must return an estimator"),
        ({"model": 3}, "model takes a name or a function, not 3"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:25],
)
def test_what_cannot_work_together_ends_in_a_sentence(changes, sentence):
    def run():
        chosen = strategy(**changes)
        models = chosen.train_model(window(14 if changes.get("train_period") else 110))
        chosen.predict(models, window(71), None)

    with pytest.raises((ValueError, TypeError), match=sentence):
        run()


@long
def test_a_pass_with_neither_imports_neither():
    """A contest pass of the published strategy, and of a rule, loads no scikit-learn and no torch."""
    code = (
        "import sys; from lib import Strategy; from tests.trained import window;"
        "s = Strategy(model=lambda x: x[..., 0], top_assets=2); m = s.train_model(window(71));"
        "s.predict(m, window(71), None);"
        "print([n for n in ('torch', 'sklearn', 'lightgbm') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
