import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from lib.common.competitions import COMPETITIONS
from lib.stats.bootstrap import block_length, interval, optimal_length, resampled_means, stationary_rows
from lib.stats.performance import measured


def test_blocks_run_on_around_the_end_and_have_the_mean_length() -> None:
    rows = stationary_rows(50, 5.0, 400, np.random.default_rng(1))
    assert rows.shape == (400, 50)
    assert rows.min() == 0
    assert rows.max() == 49
    goes_on = (np.diff(rows, axis=1) % 50) == 1  # 49 is followed by 0
    assert goes_on.mean() == pytest.approx(
        1 - 1 / 5 + 1 / 5 / 50, abs=0.01
    )  # a new block may happen to go on
    assert np.bincount(rows.ravel(), minlength=50).std() / 400 < 0.15  # no day is preferred


def test_the_spread_of_the_mean_is_that_of_theory() -> None:
    """The standard deviation of a mean of independent days falls with the root of their number."""
    values = np.random.default_rng(2).normal(0, 1, (400, 1))
    means = resampled_means(values, block_length(values))
    assert means.std() == pytest.approx(values.std() / 20, rel=0.15)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)


def test_days_that_follow_each_other_widen_it() -> None:
    """Blocks keep what a day shares with the next; single days would lose it."""
    noise = np.random.default_rng(3).normal(0, 1, 1000)
    values = np.convolve(noise, np.ones(5), "valid")[
        :, None
    ]  # the variance of the mean is five times as large
    by_day = values.std() / np.sqrt(len(values))
    assert resampled_means(values, block_length(values)).std() > 1.5 * by_day


def test_columns_of_a_day_stay_together_and_repetitions_are_the_same() -> None:
    values = np.random.default_rng(4).normal(0, 1, (80, 1)) * [1, 2]
    means = resampled_means(values, 5, 100)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0])
    np.testing.assert_array_equal(means, resampled_means(values, 5, 100))


def test_many_days_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.stats.bootstrap.AT_ONCE", 200)
    assert np.isfinite(resampled_means(np.ones((90, 1)), 4, 7)).all()


def test_interval_by_hand() -> None:
    assert interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert interval(np.array([1.0, np.nan, 1.0])) == (1, 1)
    assert np.isnan(interval(np.empty(0))).all()


def autoregression(coefficient: float, days: int, seed: int) -> np.ndarray:
    return lfilter([1], [1, -coefficient], np.random.default_rng(seed).normal(size=days))


@pytest.mark.parametrize(
    ("coefficient", "days", "seed", "length"),
    [
        (0, 250, 1, 2.7785335529858837),
        (0, 1000, 2, 1.0122052638093841),
        (0.95, 250, 1, 21.257347593598997),
        (0.95, 1000, 2, 42.94581347527944),
        (0.95, 60, 1, 20.0),
    ],
    ids=["noise", "much noise", "weeks", "years", "at most a third of the days"],
)
def test_the_length_of_blocks_is_that_of_politis_and_white(coefficient, days, seed, length) -> None:
    """The values, but the last, are those of the package arch 8."""
    if days == 60:
        assert optimal_length(np.cumsum(autoregression(coefficient, days, seed))) <= length
    else:
        assert optimal_length(autoregression(coefficient, days, seed)) == pytest.approx(length, rel=1e-9)


def test_the_series_that_lasts_longest_decides() -> None:
    noise, lasting = autoregression(0, 250, 1), autoregression(0.95, 250, 1)
    assert block_length(np.stack([noise, lasting], axis=1)) == optimal_length(lasting)
    assert block_length(noise[:, None]) == 250 ** (1 / 3)
    assert optimal_length(np.ones(100)) == 1


def test_differences_that_last_lengthen_the_blocks_of_both_lines() -> None:
    """Noise of the market hides what the difference of two portfolios shows."""
    market, lasting = np.random.default_rng(3).normal(0, 1, 250), autoregression(0.95, 250, 1)
    pair = np.stack([market, market + 0.1 * lasting], axis=1)
    assert block_length(pair) < 8
    lengths: list[float] = []

    def drawn(days: int, length: float, samples: int, rng: np.random.Generator) -> np.ndarray:
        lengths.append(length)
        return stationary_rows(days, length, samples, rng)

    days = np.arange(250).astype("M8[D]").astype("M8[ns]")
    lines = {str(k): xr.DataArray(column / 100, {"time": days}, ("time",)) for k, column in enumerate(pair.T)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.stats.bootstrap.stationary_rows", drawn)
        measured(lines, COMPETITIONS["stocks_nasdaq100"])
    assert lengths == [pytest.approx(optimal_length(lasting))] * len(lengths)
