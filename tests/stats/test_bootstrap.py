import numpy as np
import pytest

from lib.stats.bootstrap import block_length, interval, optimal_length, resampled_means, stationary_rows


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
