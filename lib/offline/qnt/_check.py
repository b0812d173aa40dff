"""What would a contest find wrong with these weights? The findings are printed."""

import numpy as np
import pandas as pd
import xarray as xr

from ._clean import known_kind, on_last_day
from ._weights import align, normalize
from .data.common import ds, f
from .log import log_err, log_info

MIN_SHARPE_RATIO = 0.7


def check(
    output: xr.DataArray, data: xr.DataArray, kind: str | None = None, check_correlation: bool = True
) -> None:
    """Print what a contest would find wrong with the weights; never raise for it.

    Parameters
    ----------
    output, data, kind
        As for `clean`.
    check_correlation : bool
        Only Quantiacs knows the other strategies: where this is set, a line says so.
    """
    from . import stats

    kind = known_kind(kind, data, "check")
    single_day = ds.TIME not in output.dims
    if single_day:
        output = on_last_day(output, data)
    try:
        _check_liquidity(output, data)
        if not single_day:
            _check_missed_days(output, data)
        if kind:
            _check_max_exposure(output, kind)
        if single_day:
            return
        if abs(output).sum() == 0:
            log_err("ERROR! Output is empty. All positions are zero.")
            return
        _check_sharpe_ratio(output, data, kind)
        if check_correlation:
            log_info("Check correlation.")
            stats.check_correlation(output, data)
    except Exception as error:
        log_err(error)


def calc_sharpe_ratio_for_check(
    data: xr.DataArray, output: xr.DataArray, kind: str | None = None, check_dates: bool = True
) -> np.ndarray:
    """Return the annualized Sharpe ratio since the contest's in-sample start, or the data's if that is later.

    Parameters
    ----------
    data, output, kind
        As for `clean`.
    check_dates : bool
        Warn on stderr where data or weights start too late.

    Returns
    -------
    numpy.ndarray
        0-dimensional, NaN for less than two days.
    """
    from . import stats

    kind = None if data.name is None and kind is None else str(kind or data.name)
    if kind is None:
        raise ValueError(
            "The data have no name: say by `kind` for which competition to calculate the Sharpe ratio."
        )
    start = pd.Timestamp(stats.get_default_is_start_date_for_type(kind))
    data_start, end = pd.Timestamp(data.time.values.min()), pd.Timestamp(data.time.values.max())
    invested = output.where(abs(output).sum(ds.ASSET) > 0).dropna(ds.TIME, how="all").time.values
    if len(invested) == 0:
        raise ValueError("The output holds no position on any day: it has no Sharpe ratio.")
    if check_dates:
        _check_data_start(start, data)
        _check_output_start(start, pd.Timestamp(invested.min()))
    start = max(start, data_start)
    log_info(f"Period: {start.date()} - {end.date()}")
    returns = stats.calc_relative_return(data, align(output, data.time, start, end))
    return stats.calc_sharpe_ratio_annualized(returns).isel(time=-1).values


def _check_liquidity(output, data):
    from . import stats

    if f.IS_LIQUID not in data.field.values:
        return
    log_info("Check liquidity...")
    if len(stats.calc_non_liquid(data, output).time) > 0:
        log_err("ERROR! Strategy trades non-liquid assets.")
        log_err("Multiply the output by data.sel(field='is_liquid') or use qnt.output.clean")
    else:
        log_info("Ok.")


def _check_missed_days(output, data):
    from . import stats

    log_info("Check missed dates...")
    if len(output.time) == 0:
        log_err("WARNING! Output is empty.")
    elif len(stats.find_missed_dates(output, data)) > 0:
        log_err("ERROR! Some dates were missed)")
        log_err("Your strategy dropped some days, your strategy should produce a continuous series.")
    else:
        log_info("Ok.")


def _check_max_exposure(output, kind):
    from . import stats

    log_info("Check max exposure for index stocks (nasdaq100, s&p500)…")
    limit = stats.get_default_max_exposure(kind)
    largest = abs(normalize(output)).max().item()
    if largest > limit:
        log_err("ERROR! The max exposure is too high.")
        log_err(f"Max exposure: {largest} Hard limit: {limit}")
        log_err("Use qnt.output.cut_big_positions() or normalize_by_max_exposure() to fix.")
    else:
        log_info("Ok.")


def _check_sharpe_ratio(output, data, kind):
    log_info("Check the sharpe ratio...")
    ratio = calc_sharpe_ratio_for_check(data, output, kind, True)
    log_info("Sharpe Ratio =", ratio)
    if ratio < MIN_SHARPE_RATIO:
        log_err("ERROR! The Sharpe Ratio is too low.", ratio, "<", MIN_SHARPE_RATIO)
        log_err("Improve the strategy and make sure that the in-sample Sharpe Ratio more than 0.7.")
    else:
        log_info("Ok.")


def _check_data_start(start, data):
    first = pd.Timestamp(data.time.values.min())
    if (first - start).days > 10:
        log_err("WARNING! There are not enough points in the data")
        log_err(f"The first point({first.date()}) should be earlier than {start.date()}")
        log_err("Load data more historical data.")
    elif len(data.sel(time=slice(None, start)).time) < 15:
        log_err("WARNING! There are not enough points in the data for the slippage calculation.")
        log_err("Add 15 extra data points to the data head (load data more historical data).")


def _check_output_start(start, first):
    if (first - start).days > 7:
        log_err("WARNING! There are not enough points in the output.")
        log_err(f"The output series should start from {start.date()} or earlier instead of {first.date()}")
