import numpy as np
import pytest
import torch
import xarray as xr

from lib import Strategy
from lib.engine import training
from lib.engine.models import TrainedModels
from lib.engine.training import TrainingWarning, train_model
from tests import reference
from tests.trained import SMALL, daily, outputs, use_torch, window


@pytest.mark.parametrize(
    "options",
    [{}, {"epochs": 3}, {"seed": 7}, {"features": ["trend", daily]}],
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
    data = window(40)
    models = train_model(data, SMALL)
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
    ],
)
def test_a_loss_far_above_that_of_a_constant_is_a_divergence(target, first, after, left_out):
    target = np.array(target, np.float32)
    losses = () if first is None else (first,)
    reason = training._divergence(losses, target + np.float32(np.sqrt(after)), target, SMALL)
    assert bool(reason) == left_out
    assert ("a constant is" in reason) == left_out


def test_an_output_of_one_half_says_no_rise():
    models = TrainedModels(SMALL, ("a", "b"))
    output, target = np.array([0.5, 0.5, 0.5, 0.6]), np.array([0.0, 0.0, 1.0, 1.0])
    training._add(models, "A", training.Fitted(None, (0.3,), output, target), SMALL)
    assert models.fits["A"].accuracy == 0.75
