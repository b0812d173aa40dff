"""The first and last day of a backtest, checked against the market before anything is trained."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lib.cli import parse_day
from lib.errors import WrongValueError

if TYPE_CHECKING:
    from lib.strategy import Strategy

HOLIDAYS = 10  # most calendar days in a row on which a market is closed


def check_range(strategy: "Strategy", start: Any, end: Any = None) -> tuple[str, str | None]:
    """Return both days as YYYY-MM-DD, provided that the strategy can be backtested on them.

    Parameters
    ----------
    strategy : Strategy
        Its competition and periods say which data the first day needs.
    start, end : str or date
        First and last day; None as `end` for the last day there is.

    Raises
    ------
    ValueError
        A malformed date, an end before the start, or days on which there are no data. The first or last day
        that is possible is named.
    """
    first, last = parse_day("start_date", start), parse_day("end_date", end)
    if first is None:
        raise WrongValueError("start_date is None: it must be a date such as 2024-01-31.")
    if last is not None and last < first:
        raise WrongValueError(f"end_date ({last}) is before start_date ({first}).")
    newest = _days(strategy, tail=HOLIDAYS)
    if len(newest) and first > newest[-1]:
        raise WrongValueError(f"start_date is {first}, but the data end on {newest[-1]}: start earlier.")
    period = max(strategy.lookback_period, strategy.train_period)
    begin = first - period
    if not len(_days(strategy, min_date=str(begin), max_date=str(begin + HOLIDAYS))):
        oldest = _days(strategy, min_date="1990-01-01")
        if not len(oldest):
            raise WrongValueError(f"There are no data for {strategy.competition_type}.")
        raise WrongValueError(
            f"start_date is {first}, but the data begin on {oldest[0]}. The first day of a backtest needs "
            f"{period} calendar days of data: start_date can be {oldest[0] + period} or later."
        )
    return str(first), None if last is None else str(last)


def _days(strategy: "Strategy", **window: Any) -> np.ndarray:
    """Trading days of a window of the market, without the loader's log."""
    import qnt.data as qndata
    import qnt.log as qnlog

    with qnlog.Settings(info=False):
        data = qndata.load_data_by_type(strategy.competition_type, **window)
    return data.time.values.astype("M8[D]")
