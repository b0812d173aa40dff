import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.linear_model import LinearRegression, LogisticRegression

from lib import Strategy
from lib.engine import training
from lib.engine.inputs import TrainingSet
from lib.engine.models import TrainedModels
from lib.engine.training import TrainingWarning, train_model
from tests import reference
from tests.switches import long
from tests.trained import SMALL, daily, outputs, use_torch, window


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"epochs": 3}, marks=long),
        pytest.param({"seed": 7}, marks=long),
        {"features": ["trend", daily]},
    ],
    ids=["default", "epochs", "seed", "feature"],
)
def test_kernel_and_torch_train_the_same_models(options, monkeypatch):
    strategy = Strategy(top_assets=3, hidden_size=5, **options)
    with_kernel = train_model(window(40), strategy)
    use_torch(monkeypatch)
    with_torch = train_model(window(40), strategy)
    found, expected = (outputs(models, window(40), strategy) for models in (with_kernel, with_torch))
    assert np.abs(found - expected).max() < 1e-4
    for asset, fit in with_kernel.fits.items():
        other = with_torch.fits[asset]
        assert np.allclose(fit.losses, other.losses, atol=1e-4)
        assert fit.loss_after == pytest.approx(other.loss_after, abs=1e-4)
        assert fit.days == other.days == 40 - ("features" in options)
        assert fit.majority_accuracy == other.majority_accuracy


def test_assets_with_gaps_train_on_the_days_they_have(monkeypatch):
    def gappy(data, strategy):
        close = data.sel(field="close").copy()
        close[5:9, 0] = np.nan
        return close / close.mean()

    strategy = Strategy(top_assets=3, hidden_size=5, features=[gappy])
    models = train_model(window(40), strategy)
    assert [fit.days for fit in models.fits.values()] == [36, 40, 40]
    use_torch(monkeypatch)
    others = train_model(window(40), strategy)
    for asset in models:
        assert models.fits[asset].loss_after == pytest.approx(others.fits[asset].loss_after, abs=1e-5)


def test_training_twice_gives_the_same_bits():
    first, second = train_model(window(), Strategy()), train_model(window(), Strategy())
    assert all(np.array_equal(first.row(asset), second.row(asset)) for asset in first)


def test_the_report_tells_how_it_went():
    data, started = window(40), time.perf_counter()
    models = train_model(data, SMALL)
    assert models.seconds <= time.perf_counter() - started
    assert models.window == (
        np.datetime64(data.time.values[0], "D"),
        np.datetime64(data.time.values[-1], "D"),
    )
    assert models.seconds > 0
    found = outputs(models, data, SMALL)
    risen = reference.get_target_classes(data.sel(asset=list(models))).values.T
    for k, (asset, fit) in enumerate(models.fits.items()):
        assert fit.loss_after == pytest.approx(((found[k] - risen[k]) ** 2).mean(), abs=1e-6)
        assert fit.accuracy == ((found[k] > 0.5) == risen[k]).mean()
        assert fit.majority_accuracy == max(risen[k].mean(), 1 - risen[k].mean())
        assert fit.losses[0] > fit.loss_after, asset
    assert repr(models) == f"TrainedModels of 3 assets, trained on {models.window[0]} to {models.window[1]}"


class Slope(torch.nn.Module):
    """A model whose loss after one step of L-BFGS can be chosen by `slope` and the inputs."""

    def __init__(self, n_features, strategy, slope=1.0):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.full((1,), slope))

    def forward(self, x):
        return (self.slope * x**2).sum(dim=2)


def test_a_training_that_diverges_in_torch_is_left_out():
    def huge(data, strategy):
        values = data.sel(field="close") * 0 + 1
        values[:, 1] = 3e38
        return values

    data = window(40).sel(asset=list(train_model(window(40), SMALL)))
    strategy = Strategy(top_assets=3, features=[huge], model=Slope)
    with pytest.warns(TrainingWarning, match="is left out until the next training: its training diverged"):
        models = train_model(data, strategy)
    assert list(models.dropped) == [data.asset.values[1]]
    assert list(models) == [asset for asset in data.asset.values if asset not in models.dropped]


def test_huge_inputs_do_not_drive_the_published_network_out_of_its_range():
    """Its gates saturate, so that no asset is left out."""
    strategy = Strategy(top_assets=3, hidden_size=5, features=[lambda data, _: data[3] * 1e30])
    assert len(train_model(window(40), strategy)) == 3


@pytest.mark.parametrize(("after", "left_out"), [(0.99, False), (1.0, False), (1.01, True), (2.0, True)])
def test_a_loss_above_one_is_a_divergence_of_classes(after, left_out):
    """One is the loss where every class is predicted wrong."""
    output = np.full(4, np.sqrt(after), np.float32)
    assert bool(training._divergence((0.5,), output, np.zeros(4, np.float32), SMALL)) == left_out
    single = np.array([0, 0, 0, 2 * np.sqrt(after)], np.float32)  # the same mean
    assert bool(training._divergence((0.5,), single, np.zeros(4, np.float32), SMALL)) == left_out


def test_an_asset_without_features_is_left_out():
    def nothing_for_the_first(data, strategy):
        values = data.sel(field="close").copy()
        values[:, 0] = np.inf
        return values

    with pytest.warns(TrainingWarning, match="no day of the training window has all features and the target"):
        models = train_model(
            window(40), Strategy(top_assets=3, hidden_size=5, features=[nothing_for_the_first])
        )
    assert len(models) == 2
    assert len(models.dropped) == 1


def test_nothing_liquid_no_models():
    data = window(40).copy(deep=True)
    data.loc[dict(field="is_liquid")] = 0
    assert len(train_model(data, Strategy())) == 0


def test_a_model_that_answers_something_else_is_refused():
    class Flat(torch.nn.Module):
        def __init__(self, n_features, strategy):
            super().__init__()
            self.linear = torch.nn.Linear(n_features, 1)

        def forward(self, x):
            return self.linear(x)

    with pytest.raises(
        ValueError, match=r"must return one number per day, shape \(1, 40\), not \(1, 40, 1\)"
    ):
        train_model(window(40), Strategy(top_assets=1, model=Flat))


def test_data_stay_as_they_are():
    data = window(40)
    before = data.copy(deep=True)
    train_model(data, SMALL)
    xr.testing.assert_identical(data, before)


def test_many_assets_go_in_several_rounds(monkeypatch):
    models = train_model(window(40), Strategy(top_assets=9, hidden_size=5))
    monkeypatch.setattr("lib.engine.training.TOGETHER", 2)
    others = train_model(window(40), Strategy(top_assets=9, hidden_size=5))
    assert list(models) == list(others)
    assert len(models) >= 8
    for asset in models:
        assert np.array_equal(models.row(asset), others.row(asset))


@pytest.mark.parametrize(
    ("target", "first", "after", "left_out"),
    [
        ([0, 1, 0, 1], 194.0, 8.3, True),  # better than at first, and far worse than a constant
        ([0, 1, 0, 1], 3.0, 0.9, False),
        ([-3, 3, -3, 3], 20.0, 12.0, False),
        ([-3, 3, -3, 3], 100.0, 40.0, True),
        ([-3, 3, -3, 3], 1.0, 5.0, True),
        ([-0.1, 0.1, -0.1, 0.1], 0.02, 0.5, True),  # no classes, though below 1
        ([2, 2, 2, 2], 4.0, 3.0, False),
        ([-3, 3, -3, 3], None, 100.0, False),  # a rule
        ([0, 1, 0, 1], 0.1, 0.9, False),  # classes, at most 1 in any case
        ([0, 0.5, 0, 0.5], 0.01, 0.9, False),
        ([0.5, 1, 0.5, 1], 0.01, 0.9, False),
        ([0, 1.5, 0, 1.5], 0.01, 0.9, True),
        ([-0.5, 1, -0.5, 1], 0.01, 0.9, True),
        ([-2, 2, -2, 2], 100.0, 16.0, False),  # four times the error of a constant
        ([-2, 2, -2, 2], 100.0, 16.1, True),
        ([-2, 2, -2, 2], 1.0, 4.0, False),  # four times the first loss
        ([-2, 2, -2, 2], 1.0, 4.1, True),
        ([2, 2, 2, 2], 1.0, 4.1, True),
    ],
)
def test_a_loss_far_above_that_of_a_constant_is_a_divergence(target, first, after, left_out):
    target = np.array(target, np.float32)
    losses = () if first is None else (first,)
    reason = training._divergence(losses, target + np.float32(np.sqrt(after)), target, SMALL)
    assert bool(reason) == left_out
    assert (
        reason.startswith(f"its training did not converge: the loss went from {first:.3g} to")
        if reason
        else True
    )
    assert ("a constant is" in reason) == left_out


def test_losses_of_another_kind_are_not_compared_with_the_error():
    """Binary cross-entropy and a loss of one's own have another scale."""
    target, output = np.array([-2, 2, -2, 2.0]), np.array([-2, 2, -2, 2.0]) + 3.9
    assert training._divergence((0.001,), output, target, SMALL)
    other = replace(SMALL, loss=lambda output, target: (output - target).abs().mean())
    assert not training._divergence((0.001,), output, target, other)
    assert training._divergence((0.001,), output + 0.2, target, other)


@pytest.mark.parametrize(
    ("losses", "output", "diverged"),
    [
        ((1.0, np.inf), 0.0, True),
        ((np.nan, 1.0), 0.0, True),
        ((1.0,), np.nan, True),
        ((), 1e200, True),
        ((), 0.0, False),
        ((1.0, 0.5), 0.5, False),
    ],
)
def test_a_loss_that_is_not_finite_is_a_divergence(losses, output, diverged):
    reason = training._divergence(losses, np.full(3, output), np.array([0.0, 1.0, 1.0]), SMALL)
    assert reason.startswith("its training diverged: the loss is not finite") == diverged
    assert bool(reason) == diverged


def test_an_output_of_one_half_says_no_rise():
    models = TrainedModels(SMALL, ("a", "b"))
    output, target = np.array([0.5, 0.5, 0.5, 0.6]), np.array([0.0, 0.0, 1.0, 1.0])
    training._add(models, "A", training.Fitted(None, (0.3,), output, target, (0.2, 0.1)), SMALL)
    fit = models.fits["A"]
    assert (fit.accuracy, fit.majority_accuracy, fit.days) == (0.75, 0.5, 4)
    assert (fit.losses, fit.validation_losses) == ((0.3,), (0.2, 0.1))
    assert fit.loss_after == pytest.approx((0.25 * 3 + 0.16) / 4)


def test_a_target_above_one_half_is_a_rise():
    models = TrainedModels(SMALL, ("a", "b"))
    target = np.array([0.5, 0.6, 0.6])
    training._add(models, "A", training.Fitted(None, (), np.ones(3), target), SMALL)
    assert models.fits["A"].accuracy == models.fits["A"].majority_accuracy == pytest.approx(2 / 3)


def test_only_models_of_single_assets_are_left_out_by_themselves():
    """A pooled model is checked once, on all assets."""
    result = training.Fitted(None, (0.1, np.inf), np.zeros(2), np.zeros(2))
    for scope, left_out in (("asset", True), ("pooled", False)):
        models = TrainedModels(SMALL, ("a", "b"))
        reason = training._add(models, "A", result, replace(SMALL, scope=scope))
        assert bool(reason) == left_out
        assert ("A" in models) != left_out


@pytest.mark.parametrize(
    ("rows", "deviation"),
    [
        ([0, 0], 1),
        ([-2, -2], 1),
        ([1, 3], 1),
        ([1, 5], 2),
        ([-5, -1], 2),
        ([1e6, 1e6 + 1.2e-10], 1),  # rounding
        ([1e-6 - 1e-12, 1e-6 + 1e-12], 1e-12),
    ],
)
def test_a_feature_that_never_changes_is_divided_by_one(rows, deviation):
    mean, found = training._moments(np.array(rows, float)[:, None])
    assert mean == pytest.approx([np.mean(rows)])
    assert found == pytest.approx([deviation])
    single = np.float32([[0.1, 0.1], [0.1, 0.3], [0.1, 0.7]])  # computed in float64
    assert np.array_equal(training._moments(single), training._moments(single.astype(float)))
    assert training._moments(single)[1][0] == 1


X = np.arange(1.0, 33.0).reshape(4, 4, 2) ** 1.5
Y = np.array([[0, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0]], float)
KNOWN = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0]], bool)
DAYS = (np.datetime64("2024-01-01"), np.datetime64("2024-01-04"))
SET = TrainingSet(DAYS, list("ABCD"), X, Y, KNOWN, 0, [])


@pytest.mark.parametrize("scope", ["asset", "pooled"])
def test_features_are_scaled_by_the_days_trained_on(scope):
    strategy = Strategy(model=LinearRegression, scope=scope, scale=True)
    models = TrainedModels(strategy, DAYS)
    found = training._scaled(SET, models, strategy)
    if scope == "pooled":
        mean, deviation = X[KNOWN].mean(axis=0), X[KNOWN].std(axis=0)
        assert np.allclose(models.shared_scale, (mean, deviation))
        assert models.scales == {}
        assert np.allclose(found.x, (X - mean) / deviation)
    else:
        assert models.shared_scale is None
        assert list(models.scales) == ["A", "B", "D"]
        for k, asset in ((0, "A"), (1, "B"), (3, "D")):
            rows = X[k][KNOWN[k]]
            assert np.allclose(models.scales[asset], (rows.mean(axis=0), rows.std(axis=0)))
            assert np.allclose(found.x[k], (X[k] - rows.mean(axis=0)) / rows.std(axis=0))
        assert np.array_equal(found.x[2], X[2])
    assert found._replace(x=X) == SET
    assert training._scaled(SET, models, replace(strategy, scale=False)) is SET
    nothing = SET._replace(known=KNOWN & False)
    models = TrainedModels(strategy, DAYS)
    training._scaled(nothing, models, strategy)
    assert (models.shared_scale, models.scales) == (None, {})


@pytest.mark.parametrize("window", [0, 2])
@pytest.mark.parametrize("scope", ["asset", "pooled"])
def test_estimators_are_trained_on_the_rows_of_their_assets(scope, window):
    strategy = Strategy(model=LinearRegression, features=["trend", "trend"], scope=scope, window=window)
    (models,) = training.train_sets([SET], strategy)
    rows = {"ABD": None} if scope == "pooled" else {"A": None, "B": None, "D": None}
    assert set(models) == (set("AB") if window else set("ABD"))
    assert models.dropped["C"] == training.NO_DAYS
    assert models.dropped.get("D") == (training.NO_WINDOW if window else None)
    for group in rows:
        x, y = [], []
        for day in range(max(window - 1, 0), 4):
            for asset in group:
                k = "ABCD".index(asset)
                part = slice(day - max(window - 1, 0), day + 1)
                if KNOWN[k, part].all():
                    x.append(X[k, part].ravel())
                    y.append(Y[k, day])
        if not x:
            continue
        expected = LinearRegression().fit(x, y)
        model = models[group[0]]
        assert np.allclose(model.predict(x), expected.predict(x))
        if scope == "asset":
            fit = models.fits[group]
            assert fit.days == len(y)
            assert fit.loss_after == pytest.approx(np.mean((expected.predict(x) - y) ** 2), abs=1e-9)
            assert (fit.losses, fit.validation_losses) == ((), ())
    assert (len({id(models[asset]) for asset in models}) == 1) == (scope == "pooled")


def test_a_classifier_needs_two_classes_and_a_regressor_does_not():
    (models,) = training.train_sets([SET], Strategy(model=LogisticRegression, features=["trend"] * 2))
    assert list(models) == ["A"]
    one = "its target is {} on every day, and a classifier needs two classes"
    assert models.dropped == {"B": one.format(1), "C": training.NO_DAYS, "D": one.format(0)}
    (models,) = training.train_sets([SET], Strategy(model=LinearRegression, features=["trend"] * 2))
    assert list(models) == ["A", "B", "D"]


class Linear(torch.nn.Module):
    def __init__(self, n_features, strategy):
        super().__init__()
        self.linear = torch.nn.Linear(n_features, 1)
        for parameter in self.parameters():
            torch.nn.init.zeros_(parameter)

    def forward(self, x):
        return self.linear(x).squeeze(-1)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "LSTM"},
        {"model": "constant"},
        {"model": lambda x: x[..., 0]},
        {"model": LinearRegression},
        {"model": LinearRegression, "scope": "pooled"},
        {"model": LinearRegression, "window": 2},
        {"model": Linear},
        {"model": Linear, "scope": "pooled"},
        {"model": Linear, "window": 2},
        {"model": Linear, "scope": "pooled", "window": 2},
    ],
    ids=lambda options: "-".join(getattr(value, "__name__", str(value)) for value in options.values()),
)
def test_assets_without_a_day_to_train_on_are_named_for_models_of_every_kind(options):
    """Each of two windows has its own result; of one of them no day is known."""
    strategy = Strategy(features=["trend"] * 2, hidden_size=2, **options)
    single = SET._replace(x=(X / 100).astype("f4"), y=Y.astype("f4"))
    nothing = single._replace(known=KNOWN & False, assets=list("EFGH"))
    started = time.perf_counter()
    first, second = training.train_sets([single, nothing], strategy)
    elapsed = time.perf_counter() - started
    assert 0 < first.seconds <= second.seconds <= elapsed / 2
    windowed = strategy.window and (strategy.scope == "asset" or options["model"] is LinearRegression)
    assert set(first) | {"D"} == set("ABD")
    assert first.dropped["C"] == training.NO_DAYS
    assert first.dropped.get("D") == (training.NO_WINDOW if windowed else None)
    assert not second
    assert second.dropped == dict.fromkeys("EFGH", training.NO_DAYS)
    for asset, fit in first.fits.items():
        k, window = "ABCD".index(asset), max(strategy.window, 1)
        days = (
            KNOWN[k] if not windowed else [KNOWN[k, max(d - window + 1, 0) : d + 1].all() for d in range(4)]
        )
        assert fit.days == sum(days[window - 1 :])


def test_a_pooled_training_that_diverges_leaves_out_all_assets():
    strategy = Strategy(
        features=["trend"] * 2, model=Linear, scope="pooled", learning_rate=10, epochs=9, optimiser="Adam"
    )
    single = SET._replace(x=X.astype("f4"), y=Y.astype("f4"))
    (models,) = training.train_sets([single], strategy)
    assert not models
    assert set(models.dropped) == set("ABCD")
    (reason,) = set(models.dropped.values())
    assert reason.startswith("its training did not converge")


class Steep(Linear):
    """A module whose training diverges where inputs are large."""

    def forward(self, x):
        return super().forward(x**3)


def test_one_training_that_diverges_leaves_the_models_of_other_assets():
    strategy = Strategy(
        features=["trend"] * 2, model=Steep, window=1, optimiser="Adam", learning_rate=1, epochs=3
    )
    x = np.array([30, 0.01, 1, 0.01])[:, None, None] * X / X.max()
    single = SET._replace(x=x.astype("f4"), y=(Y / 2).astype("f4"))
    (models,) = training.train_sets([single], replace(strategy, learning_rate=0.5))
    assert list(models) == ["B", "D"]
    assert models.dropped["A"].startswith("its training did not converge")


@pytest.mark.parametrize("model", [LinearRegression, lambda x: x[..., 0]])
def test_a_pooled_model_without_a_row_to_train_on_is_none(model):
    known = KNOWN.copy()
    known[0, 1] = False
    strategy = Strategy(features=["trend"] * 2, model=model, scope="pooled", window=4)
    (models,) = training.train_sets([SET._replace(known=known)], strategy)
    assert not models
    assert models.dropped == dict.fromkeys("ABD", training.NO_WINDOW) | {"C": training.NO_DAYS}


def test_a_training_of_the_published_network_that_overflows_warns_of_nothing_else():
    x, y = np.ones((2, 3, 1), np.float32), np.ones((2, 3), np.float32)
    for _, losses, output in training._fit_together(x, y, 3, 1, 1e40, 1):
        assert not np.isfinite([*losses, *output]).all()


def test_each_feature_that_begins_late_is_reported_once(monkeypatch):
    """For each training period, whatever the days of the window."""
    monkeypatch.setattr(training, "_warned", set())
    strategy = Strategy(
        top_assets=2, model=LinearRegression, features=["momentum(periods=22)", "momentum(periods=25)"]
    )
    strategy = replace(strategy, train_period=50)
    with pytest.warns(training.FeatureWarning) as found:
        train_model(window(40), strategy)
    started = time.perf_counter()
    models = train_model(window(39), strategy)  # a warning would be an error here
    assert 0 < models.seconds <= time.perf_counter() - started
    assert [str(warning.message).partition(" has ")[0] for warning in found] == [
        "Feature momentum(periods=22)",
        "Feature momentum(periods=25)",
    ]
    with pytest.warns(training.FeatureWarning) as found:
        train_model(window(40), replace(strategy, train_period=51))
    assert len(found) == 2
