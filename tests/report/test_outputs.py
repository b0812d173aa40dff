import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib import Strategy
from lib.report.outputs import all_judged, judged_in_training, outputs_of, spread_in_words
from lib.report.outputs_figure import FEWEST_IN_BIN, calibration
from tests.vectors import vector

STRATEGY = Strategy(top_assets=3, hidden_size=3)


@pytest.fixture(scope="module")
def market() -> xr.DataArray:
    return vector("loaded").isel(time=slice(-180, None))


@pytest.fixture(scope="module")
def models(market: xr.DataArray):
    return STRATEGY.train_model(market[:, 80:150])


def test_outputs_are_asked_as_predict_asks(market: xr.DataArray, models) -> None:
    days = market.time.values[150:153]
    outputs = outputs_of(models, market, days)
    assert outputs.dims == ("time", "asset")
    assert outputs.asset.values.tolist() == list(models)
    window = market.sel(time=slice(days[1] - np.timedelta64(155, "D"), days[1]))
    uncut = Strategy(top_assets=3, hidden_size=3, min_weight=0, max_weight=1)
    weights, _ = uncut.predict(models, window, None)
    raw = outputs.sel(time=days[1]).clip(min=0)  # below 0 nothing is held
    np.testing.assert_allclose(weights[0].sel(asset=raw.asset), raw / max(float(raw.sum()), 1))


def test_in_training_each_day_is_judged_once(market: xr.DataArray, models) -> None:
    judged = judged_in_training(models, market)
    assert len(judged) == sum(fit.days for fit in models.fits.values())
    right = ((judged["output"] > 0.5) == (judged["target"] > 0.5)).mean()
    assert right == pytest.approx(np.mean([fit.accuracy for fit in models.fits.values()]))


def test_a_day_of_two_trainings_is_traded_by_the_later_one(market: xr.DataArray, models) -> None:
    later = STRATEGY.train_model(market[:, 85:155])
    days = market.time.values
    stretches = [
        (models, outputs_of(models, market, days[149:155])),
        (later, outputs_of(later, market, days[154:158])),
    ]
    _, judged, traded = all_judged(stretches, market)
    assert traded.time.values.tolist() == days[149:158].tolist()
    expected = stretches[1][1].isel(time=0)
    assert traded.sel(time=days[154], asset=expected.asset).values.tolist() == expected.values.tolist()
    assert len(judged) == 3 * 5 + 3 * 3  # after each training


def test_calibration_by_hand() -> None:
    table = pd.DataFrame({"output": [0.6, 0.4] * FEWEST_IN_BIN, "target": [1.0, 0.0] * FEWEST_IN_BIN})
    points = calibration(table)
    assert points["output"].tolist() == pytest.approx([0.4, 0.6])
    assert points["target"].tolist() == [0, 1]
    assert points["count"].tolist() == [FEWEST_IN_BIN] * 2
    assert len(calibration(table.iloc[:20])) == 0
    assert len(calibration(table.iloc[:0])) == 0


def test_where_outputs_do_not_differ_the_model_chooses_nothing() -> None:
    values = np.array([[0.5, 0.5, np.nan], [0.25, 0.25, 0.25]])
    time = pd.bdate_range("2020-01-01", periods=2)
    outputs = xr.DataArray(values, {"time": time, "asset": ["A", "B", "C"]}, ("time", "asset"))
    none = pd.DataFrame({"output": [], "target": []})
    assert "the model chooses nothing" in spread_in_words(outputs, none)
    outputs[1, 0] = 0.55
    words = spread_in_words(outputs, pd.DataFrame({"output": [0.5], "target": [1.0]}))
    assert "differ by 0.071" in words
    assert "was 1.000 out of sample" in words
    assert "On 50% of the days they do not differ at all" in words
    assert spread_in_words(outputs[:, :1], none).startswith("No day has outputs of two")
