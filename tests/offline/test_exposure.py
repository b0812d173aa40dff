"""`qnt.exposure` limits positions as the platform does."""

import math

import numpy as np
import pytest
import qnt.exposure as qnexp
import xarray as xr

from tests.vectors import vector


def test_cut_big_positions():
    found = qnexp.cut_big_positions(weights=vector("weights_dirty"), max_weight=0.1)
    wanted = vector("exposure_cut_big_positions_0p1")
    assert found.dims == wanted.dims
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-10, atol=1e-10)


def test_normalize_by_max_exposure():
    dirty = vector("weights_dirty")
    found = qnexp.normalize_by_max_exposure(dirty.where(np.isfinite(dirty), 0), max_exposure=0.1)
    wanted = vector("exposure_normalize_by_max_exposure_0p1")
    assert found.dims == wanted.dims
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-10, atol=1e-10)


def row(*weights):
    return xr.DataArray(
        [[*weights]], {"time": [0], "asset": [f"A{i}" for i in range(len(weights))]}, ("time", "asset")
    )


def test_sign_and_nan_stay():
    found = qnexp.cut_big_positions(row(-0.5, 0.02, math.nan, math.inf))[0].values
    np.testing.assert_array_equal(found, [-0.049, 0.02, math.nan, 0.049])


def test_a_whole_day_is_scaled():
    assert qnexp.normalize_by_max_exposure(row(-0.4, 0.2))[0].values == pytest.approx([-0.1, 0.05])
    assert qnexp.normalize_by_max_exposure(row(-0.04, 0.02))[0].values.tolist() == [-0.04, 0.02]


def test_one_day_without_a_time_axis():
    assert qnexp.cut_big_positions(row(0.5, 0.02)[0], 0.1).values.tolist() == [0.1, 0.02]
    assert qnexp.normalize_by_max_exposure(row(0.5, 0.1)[0]).values == pytest.approx([0.1, 0.02])


def test_bad_days_are_dropped():
    weights = xr.concat([row(0.5, 0.5), row(0.04, 0.001)], "time").assign_coords(time=[0, 1])
    assert qnexp.drop_bad_days(weights, 0.99).values.tolist() == [[0.5, 0.5], [0.04, 0.001]]
    assert qnexp.drop_bad_days(weights, 0.6).values.tolist() == [[0.5, 0.5], [0, 0]]


@pytest.mark.offline_only
def test_what_is_not_covered_says_so():
    with pytest.raises(NotImplementedError, match=r"qnt\.exposure\.mix_weights.*real library has it"):
        qnexp.mix_weights  # noqa: B018
