"""Backtests outside the notebook, and the check of their days."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.command_line import environment, parse_day
from lib.common.errors import UserError, WrongValueError

if TYPE_CHECKING:
    from lib.strategy import Strategy

UNSET = ("SUBMISSION_ID", "MULTI_PASS_MODE_ENABLED", "IN_STATE_PATH", "LAST_DATA_PATH")
WRITTEN = ("OUTPUT_PATH", "OUT_STATE_PATH")
ADVICE = (
    "Set API_KEY to the key of your profile at quantiacs.com, which a free account has, and connect this "
    "machine to the network. To work without both, uninstall qnt: lib/offline stands in for it."
)
HOLIDAYS = 10  # most calendar days in a row on which a market is closed


def backtest(strategy: "Strategy", start: str, end: str | None = None, **options: Any) -> Any:
    """Backtest a strategy with `qnt.backtester.backtest_ml`.

    It predicts day by day, without analysis and plots.

    Parameters
    ----------
    strategy : Strategy
    start, end : str, YYYY-MM-DD
        First and last day; None for the last day of the data.
    **options
        Further arguments of `backtest_ml`, or others than the strategy's, such as `train`.

    Returns
    -------
    weights : xarray.DataArray, (time, asset)
    state
        The last one, None without any; with ``collect_all_states=True`` a list of all.
    """
    import qnt.backtester as qnbt

    arguments = {
        "load_data": strategy.load_data,
        "train": strategy.train_model,
        "predict": strategy.predict,
        "train_period": strategy.train_period,
        "retrain_interval": strategy.retrain_interval,
        "lookback_period": strategy.lookback_period,
        "predict_each_day": True,
        "competition_type": strategy.competition_type,
        "start_date": start,
        "end_date": end,
        "analyze": False,
        "build_plots": False,
    }
    found = qnbt.backtest_ml(**arguments | options)
    if isinstance(found, tuple):
        return found
    return found, [] if options.get("collect_all_states") else None  # backtest_ml leaves a state of None out


class DataError(UserError, OSError):
    """An error for data that cannot be loaded.

    The data are from the platform's library.
    """


@contextmanager
def leaving_no_files() -> Iterator[None]:
    """Redirect the library's output files to a temporary folder.

    The paths in the environment do not count.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = {name: f"{folder}/{name}" for name in WRITTEN}
        with environment({**dict.fromkeys(UNSET), **written, "NONINTERACT": "1"}):
            yield


def check_range(strategy: "Strategy", start: Any, end: Any = None) -> tuple[str, str | None]:
    """Check the days of a backtest and return them.

    Both are written YYYY-MM-DD; the end is at most the last day of the data.

    Parameters
    ----------
    strategy : Strategy
        Its competition and periods determine the data that the first day needs.
    start, end : str or date
        First and last day; None as `end` for the last day of the data.

    Raises
    ------
    ValueError
        A malformed date, an end before the start, or days on which there are no data, as on a weekend. The
        first or last day that is possible is named.
    """
    first, last = parse_day("start_date", start), parse_day("end_date", end)
    if first is None:
        raise WrongValueError("start_date is None: it must be a date such as 2024-01-31.")
    if last is not None and last < first:
        raise WrongValueError(f"end_date ({last}) is before start_date ({first}).")
    newest = last_day(strategy)
    if first > newest:
        raise WrongValueError(f"start_date is {first}, but the data end on {newest}: start earlier.")
    if last is not None and last > newest + HOLIDAYS:
        raise WrongValueError(
            f"end_date is {last}, but the data end on {newest}: end then, or leave end_date out (None)."
        )
    last = None if last is None else min(last, newest)
    short = last is not None and last - first <= HOLIDAYS
    if short and not len(_days(strategy, min_date=str(first), max_date=str(last))):
        raise WrongValueError(f"There is no trading day from {first} to {last}: choose other dates.")
    period = max(strategy.lookback_period, strategy.train_period)
    begin = first - period
    if not len(_days(strategy, min_date=str(begin), max_date=str(begin + HOLIDAYS))):
        oldest = _days(strategy, min_date="1990-01-01")
        raise WrongValueError(
            f"start_date is {first}, but the data begin on {oldest[0]}. The first day of a backtest needs "
            f"{period} calendar days of data: start_date can be {oldest[0] + period} or later."
        )
    return str(first), None if last is None else str(last)


@contextmanager
def advice_on_loading() -> Iterator[None]:
    """Raise an error with advice on loading data.

    It replaces the error of the platform's library where this cannot load its data. Without a key, the
    library ends the process when it is imported.
    """
    try:
        yield
    except SystemExit as error:
        raise DataError(f"Quantiacs' library ended the process. {ADVICE}") from error
    except Exception as error:
        if "can't download" not in str(error):  # the library's words
            raise
        raise DataError(f"Quantiacs' data cannot be loaded ({error}). {ADVICE}") from error


def last_day(strategy: "Strategy") -> np.datetime64:
    """Return the last day of the competition's data.

    Raises
    ------
    ValueError
        The competition has no data.
    """
    for window in ({"tail": HOLIDAYS}, {"min_date": "1990-01-01"}):
        days = _days(strategy, **window)
        if len(days):
            return days[-1]
    raise WrongValueError(f"There are no data for {strategy.competition_type}.")


def _days(strategy: "Strategy", **window: Any) -> np.ndarray:
    """Return the trading days of the strategy's market.

    `window` has the arguments that limit the days. The loader's log is silenced.
    """
    with advice_on_loading():
        import qnt.data as qndata
        import qnt.log as qnlog

    with advice_on_loading(), qnlog.Settings(info=False):
        try:
            data = qndata.load_data_by_type(strategy.competition_type, **window)
        except (IndexError, ValueError):  # how the platform's library reports a window without data
            return np.empty(0, "M8[D]")
    return data.time.values.astype("M8[D]")
