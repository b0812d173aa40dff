import math

import numpy as np
import pytest

from lib.contest.uncertainty import YEAR, sharpe_interval


@pytest.mark.parametrize("truth", [0.0, 0.7, 3.0])
def test_it_covers_the_true_ratio_as_often_as_it_says(truth):
    days, tries = 500, 2_000
    rng = np.random.default_rng(1)
    returns = rng.normal(truth / math.sqrt(YEAR), 1, (tries, days))
    ratios = returns.mean(axis=1) / returns.std(axis=1) * math.sqrt(YEAR)
    for level in (0.5, 0.95):
        ends = [sharpe_interval(ratio, days, level) for ratio in ratios]
        covered = np.mean([low <= truth <= high for low, high in ends])
        assert covered == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / tries))


def test_it_narrows_with_the_root_of_the_days():
    widths = [np.ptp(sharpe_interval(0.7, days)) for days in (1_000, 4_000)]
    assert widths[0] == pytest.approx(2 * widths[1])


@pytest.mark.parametrize(("ratio", "days"), [(0.7, 1), (math.nan, 100), (math.inf, 100)])
def test_without_a_ratio_there_is_no_interval(ratio, days):
    assert np.isnan(sharpe_interval(ratio, days)).all()
