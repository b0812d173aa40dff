"""The importance of features follows from what the models use."""

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib import Strategy
from lib.engine.models import TrainedModels
from lib.report.figures import loss_figure
from lib.report.importances import importance_table
from lib.report.outputs import in_sample_outputs, training_set_of_models
from lib.report.tables import training_table
from tests.engine.test_torch_options import MLP
from tests.switches import long
from tests.trained import window

FEATURES = ["momentum(periods=2)", "volatility(periods=5)"]


def first_feature(data, strategy):
    close = data.sel(field="close")
    return close / close.shift(time=2) - 1


def table_of(**changes):
    base = {"features": FEATURES, "target": first_feature, "top_assets": 3, "leave_out_unknown": True}
    chosen = Strategy(**base | changes)
    models = chosen.train_model(window(60))
    return importance_table(models, training_set_of_models(models, window(60))), models


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"model": Ridge(alpha=1e-9)}, ["coefficient", "permutation"]),
        ({"model": Ridge(alpha=1e-9), "scope": "pooled", "window": 2}, ["coefficient", "permutation"]),
        (
            {"model": make_pipeline(StandardScaler(), Ridge()), "scope": "pooled"},
            ["coefficient", "permutation"],
        ),
        ({"model": LGBMRegressor(verbose=-1, n_estimators=9)}, ["importance", "permutation"]),
        ({"model": lambda x: x[..., 0]}, ["permutation"]),
    ],
    ids=["each asset", "window", "pipeline", "LightGBM", "rule"],
)
def test_the_feature_that_decides_is_the_important_one(changes, columns):
    table, _ = table_of(**changes)
    assert table.columns.tolist() == columns
    assert table.index.tolist() == FEATURES
    assert (np.abs(table.iloc[0]) > np.abs(table.iloc[1])).all()


def test_a_coefficient_is_that_of_the_estimator():
    table, models = table_of(model=Ridge, scope="pooled")
    assert table["coefficient"].tolist() == models.shared.coef_.tolist()
    assert (abs(table["permutation"]) < 1).all()


@long
@pytest.mark.parametrize("scope", ["asset", "pooled"])
def test_losses_in_validation_are_drawn_beside_those_in_training(scope):
    changes = {"model": MLP, "loss": "bce", "target": "next_open_up", "optimiser": "Adam", "epochs": 3}
    table, models = table_of(**changes, scope=scope, validation=0.25)
    assert isinstance(models, TrainedModels)
    lines = loss_figure(models, classes=True).data
    fit = next(iter(models.fits.values()))
    assert len(lines) == 2 * (1 if scope == "pooled" else len(models))
    assert tuple(lines[1].y) == fit.validation_losses
    assert tuple(lines[0].y) == fit.losses
    assert lines[1].x[-1] == len(fit.losses) - 1
    rows = training_table(models, in_sample_outputs(models, window(60)))
    assert rows["loss_before"].isna().all()  # of another kind than the loss after
    assert table.columns.tolist() == ["permutation"]
