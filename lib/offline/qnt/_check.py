"""The checks that a contest makes of weights; the findings are printed."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.competitions import COMPETITIONS

from . import stats
from ._clean import kind_of, known_kind, on_last_day
from ._weights import align, normalize
from .data.common import ds, f
from .data.stocks import NDX
from .log import log_err, log_info

MIN_SHARPE_RATIO = COMPETITIONS[NDX].min_sharpe_ratio


def check(
    output: xr.DataArray, data: xr.DataArray, kind: str | None = None, check_correlation: bool = True
) -> None:
    """Print what a contest would find wrong with the weights; errors are printed, not raised.

    Arguments as for `clean`. Only Quantiacs has other strategies to compare with, as a line says with
    `check_correlation`.
    """
    kind = known_kind(kind, data, "check")
    single_day = ds.TIME not in output.dims
    if single_day:
        output = on_last_day(output, data)
    try:
        if f.IS_LIQUID in data.field.values:
            _say("Check liquidity...", _not_liquid(output, data))
        if not single_day:
            _say("Check missed dates...", _missed_days(output, data))
        if kind:
            title = "Check max exposure for index stocks (nasdaq100, s&p500)…"
            _say(title, _too_big(output, stats.get_default_max_exposure(kind)))
        if single_day:
            return
        if abs(output).sum() == 0:
            log_err("ERROR! Output is empty. All positions are zero.")
            return
        _say("Check the sharpe ratio...", _low_sharpe_ratio(output, data, kind))
        if check_correlation:
            log_info("Check correlation.")
            stats.check_correlation(output, data)
    except Exception as error:
        log_err(error)


def calc_sharpe_ratio_for_check(
    data: xr.DataArray, output: xr.DataArray, kind: str | None = None, check_dates: bool = True
) -> np.ndarray:
    """Return the annualized Sharpe ratio since the contest's in-sample start, or the data's if that is later.

    Arguments as for `clean`; with `check_dates` it warns on stderr where data or weights start too late. The
    result is 0-dimensional, NaN for less than two days.
    """
    kind = kind_of(kind, data)
    if kind is None:
        raise ValueError("The data have no name: pass the competition as `kind` for its Sharpe ratio.")
    start = pd.Timestamp(stats.get_default_is_start_date_for_type(kind))
    first, last = pd.Timestamp(data.time.values.min()), pd.Timestamp(data.time.values.max())
    invested = output.where(abs(output).sum(ds.ASSET) > 0).dropna(ds.TIME, how="all").time.values
    if len(invested) == 0:
        raise ValueError("The output holds no position on any day: it has no Sharpe ratio.")
    if check_dates:
        for warning in _late(start, first, data.time, pd.Timestamp(invested.min())):
            log_err(warning)
    start = max(start, first)
    log_info(f"Period: {start.date()} - {last.date()}")
    returns = stats.calc_relative_return(data, align(output, data.time, start, last))
    return stats.calc_sharpe_ratio_annualized(returns).isel(time=-1).values


def _say(title: str, findings: Iterable[str]) -> None:
    """Print the title first, since the check itself may fail or print."""
    log_info(title)
    found = list(findings)
    for finding in found:
        log_err(finding)
    if not found:
        log_info("Ok.")


def _not_liquid(output, data) -> Iterator[str]:
    if len(stats.calc_non_liquid(data, output).time) > 0:
        yield "ERROR! Strategy trades non-liquid assets."
        yield "Multiply the output by data.sel(field='is_liquid') or use qnt.output.clean"


def _missed_days(output, data) -> Iterator[str]:
    if len(output.time) == 0:
        yield "WARNING! Output is empty."
    elif len(stats.find_missed_dates(output, data)) > 0:
        yield "ERROR! Some dates were missed)"
        yield "Your strategy dropped some days, your strategy should produce a continuous series."


def _too_big(output, limit) -> Iterator[str]:
    largest = abs(normalize(output)).max().item()
    if largest > limit:
        yield "ERROR! The max exposure is too high."
        yield f"Max exposure: {largest} Hard limit: {limit}"
        yield "Use qnt.output.cut_big_positions() or normalize_by_max_exposure() to fix."


def _low_sharpe_ratio(output, data, kind) -> Iterator[str]:
    ratio = calc_sharpe_ratio_for_check(data, output, kind, True)
    log_info("Sharpe Ratio =", ratio)
    if ratio < (limit := MIN_SHARPE_RATIO):
        yield f"ERROR! The Sharpe Ratio is too low. {ratio} < {limit}"
        yield f"Improve the strategy and make sure that the in-sample Sharpe Ratio more than {limit}."


def _late(start, first, days, invested) -> Iterator[str]:
    if (first - start).days > 10:
        yield "WARNING! There are not enough points in the data"
        yield f"The first point({first.date()}) should be earlier than {start.date()}"
        yield "Load data more historical data."
    elif len(days.sel(time=slice(None, start))) < 15:
        yield "WARNING! There are not enough points in the data for the slippage calculation."
        yield "Add 15 extra data points to the data head (load data more historical data)."
    if (invested - start).days > 7:
        yield "WARNING! There are not enough points in the output."
        yield f"The output series should start from {start.date()} or earlier instead of {invested.date()}"
