"""`qnt.filter` ranks assets by day as the platform does."""

import inspect

import numpy as np
import pandas as pd
import pytest
import qnt.filter as qnfilter
import xarray as xr

from tests.vectors import vector


def market(closes):
    close = np.array(closes, dtype=float)
    coords = {
        "field": ["open", "close"],
        "time": pd.bdate_range("2024-01-01", periods=len(close)),
        "asset": [f"NAS:{letter}" for letter in "ABCD"[: close.shape[1]]],
    }
    return xr.DataArray(np.stack([close, close]), coords, ("field", "time", "asset"), name="stocks_nasdaq100")


def test_vector():
    found = qnfilter.filter_volatility(
        data=vector("loaded").isel(time=slice(-107, None)),
        rolling_window=70,
        top_assets=12,
        metric="std",
        ascending=True,
    )
    wanted = vector("filter_volatility_70_12")
    assert found.dims == wanted.dims
    assert found.asset.equals(wanted.asset)
    assert found.time.equals(wanted.time)
    np.testing.assert_array_equal(found.values, wanted.values)


def test_defaults():
    parameters = inspect.signature(qnfilter.filter_volatility).parameters
    assert [*parameters] == ["data", "rolling_window", "top_assets", "metric", "ascending"]
    assert (parameters["metric"].default, parameters["ascending"].default) == ("std", True)


def test_least_and_most_volatile():
    data = market([[10, 10, 10], [11, 10.1, 12], [10, 10, 10], [11, 10.1, 12]])
    assert qnfilter.filter_volatility(data, 2, 1).values.tolist() == [[0, 0, 0]] * 2 + [[0, 1, 0]] * 2
    most = qnfilter.filter_volatility(data, 2, 1, ascending=False)
    assert most[-1].values.tolist() == [0, 0, 1]


def test_by_mean_return():
    data = market([[10, 10], [11, 9], [12, 8]])
    assert qnfilter.filter_volatility(data, 2, 1, "mean")[-1].values.tolist() == [0, 1]


def test_ties_share_a_rank():
    # Three equal ones have the ranks 2, 2, 2: none is among the first 1, all are among the first 2.
    data = market([[10, 10, 10], [11, 11, 11], [10, 10, 10]])
    assert qnfilter.filter_volatility(data, 2, 1)[-1].sum() == 0
    assert qnfilter.filter_volatility(data, 2, 2)[-1].sum() == 3


def test_one_missing_return_excludes():
    data = market([[10, 10], [11, 11.5], [np.nan, 10], [10, 11.5], [11, 10], [10, 11.5]])
    found = qnfilter.filter_volatility(data, 2, 1)
    assert found[:, 0].values.tolist() == [0, 0, 0, 0, 0, 1]


def test_the_future_does_not_count():
    data = vector("loaded").isel(time=slice(-60, None))
    changed = data.copy(deep=True)
    changed[:, -1] *= 3
    first, second = (qnfilter.filter_volatility(x, 20, 12) for x in (data, changed))
    np.testing.assert_array_equal(first[:-1].values, second[:-1].values)


@pytest.mark.parametrize("window", [0, 3, -1])
def test_windows_beyond_the_data_are_refused(window):
    with pytest.raises(ValueError, match="window"):
        qnfilter.filter_volatility(market([[10, 10], [11, 9], [12, 8]]), window, 1)


def test_other_metrics_are_refused():
    with pytest.raises(ValueError, match="Unsupported metric: median"):
        qnfilter.filter_volatility(market([[10, 10], [11, 9], [12, 8]]), 2, 1, "median")


def test_rank_by_anything():
    data = market([[10, 10, 10], [11, 10.1, 12]])
    criterion = data.sel(field="close", drop=True)
    criterion[0, 1] = np.nan
    assert qnfilter.rank_assets_by(data, criterion, 1.5, True).values.tolist() == [[1, 0, 1], [0, 1, 0]]


@pytest.mark.offline_only
def test_sentences():
    with pytest.raises(
        ValueError, match="3 days of data allow a window of 1 to 2 daily returns: load more days"
    ):
        qnfilter.filter_volatility(market([[10, 10], [11, 9], [12, 8]]), 5, 1)
    with pytest.raises(NotImplementedError, match=r"qnt\.filter\.filter_sharpe_ratio.*real library has it"):
        qnfilter.filter_sharpe_ratio  # noqa: B018
