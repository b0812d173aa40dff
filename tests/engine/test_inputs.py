"""Windows are calendar days, and a feature's days are trading days: too short a window is reported."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lib import Strategy
from lib.engine import training
from lib.engine.training import FeatureWarning
from tests.vectors import vector

SMALL = Strategy(top_assets=3, hidden_size=3)


@pytest.fixture(autouse=True)
def _warn_anew(monkeypatch):
    monkeypatch.setattr(training, "_warned", set())


def window(period):
    data = vector("loaded")
    return data.sel(time=slice(data.time[-1] - np.timedelta64(period, "D"), None))


def one_pass(strategy):
    models = strategy.train_model(window(strategy.train_period))
    return models, strategy.predict(models, window(strategy.lookback_period), None)[0]


@pytest.mark.parametrize(
    ("feature", "periods", "refused"),
    [
        ("momentum(periods=130)", {}, "train_period"),
        ("momentum(periods=130)", {"train_period": 400}, "lookback_period"),
        (f"momentum(periods={window(155).sizes['time']})", {"train_period": 400}, "lookback_period"),
        ("momentum(periods=69)", {"lookback_period": 100}, ""),
        (lambda data, strategy: data.sel(field="close") * np.nan, {}, ""),
    ],
    ids=["no training", "no prediction", "a day too long", "just long enough", "no value in any window"],
)
@pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning", "ignore:Feature momentum")
def test_a_window_that_holds_no_value_of_a_feature_is_refused_with_the_period_needed(
    feature, periods, refused
):
    strategy = replace(SMALL, features=["trend", feature], **periods)
    if not refused:
        one_pass(strategy)
        return
    with pytest.raises(ValueError, match=rf"Feature {re.escape(feature)} .* set {refused} to \d+") as error:
        one_pass(strategy)
    period = int(re.search(r"to (\d+) or more", str(error.value))[1])
    strategy = replace(strategy, **{"train_period": 400, "lookback_period": 600, refused: period})
    assert float(one_pass(strategy)[1].sum()) > 0


def test_most_days_without_a_value_are_reported_once_with_the_period_that_helps():
    strategy = replace(SMALL, features=["trend", "momentum(periods=60)"])
    with pytest.warns(FeatureWarning, match=r"momentum\(periods=60\) has no value on the first 60") as found:
        models, _ = one_pass(strategy)
    assert len(found) == 1
    one_pass(strategy)  # a second warning would be an error
    assert {fit.days for fit in models.fits.values()} == {window(100).sizes["time"] - 60}
    period = int(re.search(r"Set train_period to (\d+)", str(found[0].message))[1])
    models, _ = one_pass(replace(strategy, train_period=period))  # a warning would be an error here
    assert min(fit.days for fit in models.fits.values()) >= 60


@pytest.mark.parametrize("days", [30, 71, 107])
def test_the_published_strategy_and_data_that_begin_later_are_not_reported(days):
    one_pass(SMALL)
    late = replace(SMALL, features=["momentum(periods=25)"], train_period=400, lookback_period=400)
    data = vector("loaded").isel(time=slice(-days, None))
    late.predict(late.train_model(data), data, None)
