"""The features that the model sees and the targets that it learns: yours to change.

A feature takes data (field, time, asset) and the strategy, and returns an array (time, asset). It may use the
values of each day and of the days before it; `lib.lookahead` checks that it does. A target takes the same and
returns what the model should have answered, NaN where that is not known yet.
"""

from typing import TYPE_CHECKING

import numpy as np

from lib.choices import Choices
from lib.indicators import lwma, roc, shift
from lib.market_data import field, filled

if TYPE_CHECKING:
    import xarray as xr

    from lib.strategy import Strategy

feature, target = Choices("feature"), Choices("target")


@feature
def trend(data: "xr.DataArray", strategy: "Strategy") -> np.ndarray:
    """Daily change in percent of the linearly weighted average of the close: the published feature.

    Gaps in the close are forward-filled, then back-filled, then set to 1; so are gaps in the result. The
    first `lwma_period` days of a window therefore repeat the value of the next day, which only a training
    reads.
    """
    close = filled(field(data, "close"))
    if strategy.log_price:
        with np.errstate(all="ignore"):
            close = np.log(close)
    return filled(roc(lwma(close, strategy.lwma_period), 1))


@target
def next_open_up(data: "xr.DataArray", strategy: "Strategy") -> np.ndarray:
    """1 where the next open is above this day's open, else 0: the published target."""
    opens = field(data, "open")
    return _rises(opens, shift(opens, -1))


@target
def tradable_open_up(data: "xr.DataArray", strategy: "Strategy") -> np.ndarray:
    """1 where the open after the next is above the next, else 0: what a position of this day can earn."""
    opens = field(data, "open")
    return _rises(shift(opens, -1), shift(opens, -2))


def _rises(now: np.ndarray, later: np.ndarray) -> np.ndarray:
    """1 where `later` is above `now`, else 0; NaN where either is unknown."""
    return np.where(np.isnan(now) | np.isnan(later), np.nan, later > now)
