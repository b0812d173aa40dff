"""Estimators, rules and pooled models equal the same fit written by hand."""

import functools
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import lib.model
from lib import Strategy
from lib.engine import learners
from lib.engine.inputs import feature_values, get_target_classes, model_inputs, select_assets, training_set_of
from lib.engine.prediction import _shared, last_outputs, panel_outputs
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
    assert _shared(models, replace(chosen, scope="pooled")) is None
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


class Halves(nn.Module):
    """A module of torch without parameters."""

    def __init__(self, n_features, strategy):
        super().__init__()

    def forward(self, x):
        return x[..., 0] * 0 + 0.5


@pytest.mark.parametrize(
    ("model", "kind", "packages"),
    [
        ("LSTM", "torch", []),
        (Halves, "torch", []),
        (lambda n_features, strategy: Halves(n_features, strategy), "torch", []),
        ("constant", "rule", []),
        (lambda x: x[..., 0], "rule", []),
        (lambda x, power=2: x[..., 0] ** power, "rule", []),
        (Ridge, "estimator", ["sklearn"]),
        (Ridge(), "estimator", ["sklearn"]),
        (
            lambda: make_pipeline(StandardScaler(), LGBMRegressor(n_jobs=1)),
            "estimator",
            ["lightgbm", "sklearn"],
        ),
        (lambda n_features, strategy: Coin(), "estimator", [Coin.__module__.partition(".")[0]]),
    ],
)
def test_the_kind_of_a_model_decides_its_precision_and_what_it_needs(model, kind, packages):
    chosen = strategy(model=model)
    assert learners.kind_of(chosen) == kind
    assert learners.dtype_of(chosen) is (np.float32 if kind == "torch" or model == "constant" else np.float64)
    assert learners.estimator_packages(chosen) == packages
    assert not learners.is_classifier(chosen)
    published = model == "LSTM" and learners.lstm.is_published_network(chosen)
    assert learners.is_published(chosen) == published
    assert learners.needs_torch(chosen) == (kind == "torch" and not published)


def test_a_model_of_ones_own_in_torch_is_reported_once(capsys):
    learners.lstm.report_torch.cache_clear()
    for _ in range(2):
        assert learners.needs_torch(strategy(model=Halves))
    line = "Model Halves trains in torch, not on the fast path of the published LSTM.\n"
    assert capsys.readouterr().err == line
    assert not learners.needs_torch(strategy(model="constant"))
    assert not capsys.readouterr().err


def test_only_an_estimator_with_probabilities_is_a_classifier():
    assert learners.is_classifier(strategy(model=LogisticRegression))
    assert learners.is_classifier(strategy(model=lambda: make_pipeline(LogisticRegression())))
    assert not learners.is_classifier(strategy(model=Ridge))


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (("fit",), False),
        (("predict",), False),
        (("predict", "predict_proba"), False),
        (("fit", "predict"), True),
        (("fit", "predict_proba"), True),
    ],
)
def test_an_estimator_fits_and_predicts(methods, expected):
    made = type("Own", (), {name: lambda self: None for name in methods})
    assert learners.is_estimator(made) == learners.is_estimator(made()) == expected


def test_a_registered_function_is_known_by_its_own_arguments(monkeypatch):
    for name in ("rising", "falling", "ridge", "halves"):
        monkeypatch.setitem(lib.model.model, name, None)  # removed after the test

    @lib.model.model
    def rising(x):
        return x[..., 0] + 1

    @lib.model.model
    def ridge():
        return Ridge()

    @lib.model.model
    def halves(n_features, strategy, width=1):
        return Halves(n_features, strategy)

    def plus_one(function):
        @functools.wraps(function)
        def decorated(x):
            return function(x) + 1

        return decorated

    @lib.model.model
    @plus_one
    def falling(x):
        return x[..., 0]

    for model in (falling, "falling", plus_one(lambda x: x[..., 0])):  # with its own decorator
        rule = learners.new_rule(strategy(model=model))
        assert rule(np.zeros((2, 3, 1))).tolist() == [[1] * 3] * 2
    kinds = [learners.kind_of(strategy(model=name)) for name in ("rising", "ridge", "halves(width=3)")]
    assert kinds == ["rule", "estimator", "torch"]
    assert learners.new_rule(strategy(model="rising"))(np.zeros((2, 3, 1))).tolist() == [[1] * 3] * 2


@pytest.mark.parametrize(
    ("function", "number"),
    [
        (lambda: 0, 0),
        (lambda x: 0, 1),
        (lambda x, y: 0, 2),
        (lambda x, y=3: 0, 1),
        (lambda x, /, y: 0, 2),
        (lambda x, *more, key, **others: 0, 1),
        (np.maximum, 2),  # without a signature
    ],
)
def test_arguments_without_a_default_are_counted(function, number):
    assert learners._arguments(function) == number


@pytest.mark.parametrize(
    "option",
    [
        {"scope": "pooled"},
        {"window": 1},
        {"optimiser": "Adam"},
        {"optimiser": "Adam", "window": 1, "batch_size": 8},
        {"loss": "bce"},
        {"validation": 0.2},
        {"validation": 0.2, "patience": 1},
        {},
        {"scale": True, "epochs": 2, "leave_out_unknown": True},
    ],
    ids=str,
)
def test_an_option_of_the_training_needs_torch(option):
    chosen = Strategy(**option)
    expected = bool({"scope", "window", "optimiser", "loss", "validation"} & option.keys())
    assert learners.has_options(chosen) == expected
    published = learners.is_published(Strategy())  # not where the class was edited
    assert learners.is_published(chosen) == (published and not expected)
    assert learners.needs_torch(chosen) == (expected or not published)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            {"loss": "bce"},
            "loss: for torch modules only, and model Ridge is an estimator: set its .* Leave it",
        ),
        (
            {"loss": "bce", "optimiser": "Adam"},
            "optimiser, loss: for .* Ridge is an estimator: .* Leave them out",
        ),
    ],
)
def test_options_of_torch_are_named_for_other_models(option, sentence):
    with pytest.raises(ValueError, match=sentence):
        Strategy(model=Ridge, **option)
    with pytest.raises(ValueError, match=r"constant is a rule\. Leave"):
        Strategy(model="constant", **option)


def test_windows_are_the_last_days_of_each_day():
    values = np.arange(24).reshape(2, 4, 3)  # (asset, time, feature)
    found = learners.windows_of(values, 3)
    assert found.shape == (2, 2, 3, 3)
    assert all(np.array_equal(found[day], values[:, day : day + 3]) for day in range(2))
    flat = learners.windows_of(values[..., 0], 3)
    assert all(np.array_equal(flat[day], values[:, day : day + 3, 0]) for day in range(2))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (
            1,
            {
                (0, 0): [0, 1],
                (1, 0): [8, 9],
                (0, 1): [2, 3],
                (0, 2): [4, 5],
                (1, 2): [12, 13],
                (1, 3): [14, 15],
            },
        ),
        (2, {(0, 1): [0, 1, 2, 3], (0, 2): [2, 3, 4, 5], (1, 3): [12, 13, 14, 15]}),
        (3, {(0, 2): [0, 1, 2, 3, 4, 5]}),
        (4, {}),
        (5, {}),
    ],
)
def test_rows_are_ordered_by_day_then_asset(days, expected):
    x = np.arange(16.0).reshape(2, 4, 2)
    known = np.array([[1, 1, 1, 0], [1, 0, 1, 1]], bool)
    rows, there = learners.rows_of(x, known, days)
    assert rows.tolist() == list(expected.values())
    assert rows.shape == (len(expected), 2 * days)
    assert sorted(map(tuple, np.argwhere(there))) == sorted(expected)
    everywhere = np.ones((2, 4), bool)
    assert learners.rows_of(x, everywhere, days)[1].sum() == 2 * max(4 - days + 1, 0)


@pytest.mark.parametrize("window", [0, 1, 2, 4, 5])
def test_a_rule_sees_its_window_with_nothing_in_place_of_what_is_not_known(window):
    seen = []

    def latest(x):
        seen.append(x.copy())
        return np.nan_to_num(x[..., 0]) + x.shape[1]

    x = np.arange(8.0).reshape(2, 4, 1)
    known = np.array([[1, 1, 0, 1], [1, 1, 1, 1]], bool)
    values, there = learners.rule_outputs(latest, x, known, strategy(model=latest, window=window))
    shown = np.where(known[..., None], x, np.nan)
    if not window:
        assert np.array_equal(seen[0], shown, equal_nan=True)
        assert there is known
        assert np.array_equal(values, np.nan_to_num(shown[..., 0]) + 4)
        return
    assert len(seen) == max(5 - window, 0)
    for day, part in enumerate(seen):
        assert np.array_equal(part, shown[:, day : day + window], equal_nan=True)
    assert np.isnan(values[:, : window - 1]).all()
    assert np.array_equal(values[:, window - 1 :], np.nan_to_num(shown[:, window - 1 :, 0]) + window)
    expected = [
        [known[k, max(d - window + 1, 0) : d + 1].all() and d + 1 >= window for d in range(4)] for k in (0, 1)
    ]
    assert there.tolist() == expected


@pytest.mark.parametrize("shape", [(2,), (2, 4, 1), (4, 2)])
def test_a_rule_of_another_shape_is_refused(shape):
    rule = learners.Rule(lambda x: np.zeros(shape))
    with pytest.raises(ValueError, match=r"an array of shape \(2, 4\), not \(.*\)"):
        rule(np.zeros((2, 4, 1)))
    assert learners.Rule(lambda x: x[..., 0].astype(int).tolist())(np.ones((2, 4, 1))).dtype == float


def test_settings_of_every_part_are_seeded_and_limited(monkeypatch):
    monkeypatch.setattr(learners, "_cores", lambda: 4)
    given = BaggingRegressor(LGBMRegressor(n_jobs=None), n_jobs=None)
    made = learners.new_estimator(strategy(model=given, seed=2**31 + 5))
    assert (made.random_state, made.estimator.random_state) == (5, 5)
    assert (made.n_jobs, made.estimator.n_jobs) == (None, 1)  # None is one core for scikit-learn alone
    given = BaggingRegressor(LGBMRegressor(n_jobs=9, random_state=0), n_jobs=-1, random_state=3)
    made = learners.new_estimator(strategy(model=given))
    assert (made.random_state, made.estimator.random_state) == (3, 0)
    assert (made.n_jobs, made.estimator.n_jobs) == (4, 4)


@pytest.mark.parametrize(("value", "jobs"), [(-1, 4), (0, 4), (1, 1), (3, 3), (4, 4), (5, 4), (64, 4)])
def test_no_more_cores_are_used_than_there_are(value, jobs, monkeypatch):
    monkeypatch.setattr(learners, "_cores", lambda: 4)
    assert learners._jobs(value, of_sklearn=True) == learners._jobs(value, of_sklearn=False) == jobs


@pytest.mark.parametrize(
    ("limit", "cores"), [("", 3), ("1", 1), ("2", 2), ("3", 3), ("8", 3), ("0", 3), ("2,1", 3), (None, 3)]
)
@pytest.mark.parametrize("known", [True, False], ids=["of this process", "of the machine"])
def test_the_cores_are_those_of_the_process_within_its_limit(limit, cores, known, monkeypatch):
    if known:
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda process: {0, 4, 5} if process == 0 else {0}, raising=False
        )
    else:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7 if known else 3)
    monkeypatch.delenv("OMP_NUM_THREADS")
    if limit is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert learners._cores() == cores


def test_a_machine_that_does_not_tell_its_cores_has_one(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert learners._cores() == 1


def test_an_instance_that_was_trained_is_trained_anew():
    given = Ridge().fit([[0.0], [1.0]], [0, 1])
    assert not hasattr(learners.new_estimator(strategy(model=given)), "coef_")
    own = Coin()
    made = learners.new_estimator(strategy(model=own))
    assert type(made) is Coin
    assert made is not own


class Noted:
    """An estimator that keeps what it was given."""

    def fit(self, x, y):
        self.x, self.y = x, y


class Plain(Noted):
    def predict(self, x):
        return x[:, :1] * 10  # a column


class Classes(Noted):
    classes = None

    def predict_proba(self, x):
        if self.classes:
            self.classes_ = self.classes
        return np.stack([x[:, 0] + k for k in range(len(self.classes or (0, 1)))], axis=1)


@pytest.mark.parametrize(("model", "kind"), [(Plain, "f"), (Classes, "i")])
def test_a_classifier_is_given_whole_numbers(model, kind):
    made = learners.fit_estimator(strategy(model=model), np.ones((2, 1)), np.array([0.0, 1.0]))
    assert made.y.dtype.kind == kind
    assert made.y.tolist() == [0, 1]
    wrong = np.array([0.0, 0.5])
    if kind == "f":
        assert learners.fit_estimator(strategy(model=model), np.ones((2, 1)), wrong).y.tolist() == [0, 0.5]
        return
    with pytest.raises(
        ValueError, match="model Classes is a classifier, and target next_open_up has other values"
    ):
        learners.fit_estimator(strategy(model=model), np.ones((2, 1)), wrong)


@pytest.mark.parametrize(
    ("model", "classes", "expected"),
    [
        (Plain, None, [[0, 10, np.nan], [np.nan, 40, 50]]),
        (Classes, None, [[1, 2, np.nan], [np.nan, 5, 6]]),
        (Classes, [0, 1], [[1, 2, np.nan], [np.nan, 5, 6]]),
        (Classes, [1], [[0, 1, np.nan], [np.nan, 4, 5]]),
        (Classes, [0], [[0, 0, np.nan], [np.nan, 0, 0]]),
    ],
)
@pytest.mark.parametrize("window", [0, 2])
def test_the_output_of_an_estimator_is_its_prediction_or_the_probability_of_a_rise(
    model, classes, expected, window
):
    made = model()
    made.classes = classes
    x, known = np.arange(6.0).reshape(2, 3, 1), np.array([[1, 1, 0], [0, 1, 1]], bool)
    values, there = learners.estimator_outputs(made, x, known, strategy(model=model, window=window))
    if window:  # the first column of a row is the day before
        expected = [[np.nan, expected[0][0], np.nan], [np.nan, np.nan, expected[1][1]]]
    assert np.array_equal(values, expected, equal_nan=True)
    assert np.array_equal(there, np.isfinite(expected))
    nothing = learners.estimator_outputs(made, x, known & False, strategy(model=model, window=window))
    assert not nothing[1].any()
    assert np.isnan(nothing[0]).all()


def test_only_the_warning_of_missing_feature_names_is_hidden():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with learners._quiet():
            warnings.warn("X does not have valid feature names, but LGBMRegressor was fitted", stacklevel=1)
            warnings.warn("another", stacklevel=1)
        warnings.warn("X does not have valid feature names", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["another", "X does not have valid feature names"]


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
