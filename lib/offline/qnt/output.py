"""The output of a strategy: weights are aligned, cleaned, checked and written."""

import gzip
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.competitions import KINDS, Competition
from lib.offline import NotCoveredError, not_covered, uncovered

from . import exposure, stats
from .data.common import ds, f, get_env
from .exposure import normalize as normalize
from .log import Settings, log_err, log_info

MIN_SHARPE_RATIO = 0.7  # for every competition, whatever its own rules say


def write(output: xr.DataArray) -> None:
    """Write the normalized weights to a file.

    The file is gzipped NetCDF at OUTPUT_PATH, by default fractions.nc.gz.
    """
    weights = normalize(output)
    weights.attrs.pop("source", None)  # the loaders' description of the prices, which arithmetic carries on
    file = gzip.compress(weights.to_netcdf())
    path = get_env("OUTPUT_PATH", "fractions.nc.gz", silent=True)
    log_info("Write output: " + path)
    with open(path, "wb") as out:
        out.write(file)


def align(output: xr.DataArray, time_coord: xr.DataArray, start: Any = None, end: Any = None) -> xr.DataArray:
    """Return normalized weights for the days of `time_coord`.

    The days run from `start` to `end`, both included. Other axes of `time_coord` are aligned too. Days that
    `output` lacks are 0.
    """
    days = time_coord.sel(time=slice(start, None)).sel(time=slice(None, end))
    return normalize(xr.align(output, days, join="right")[0].fillna(0))


def clean(
    output: xr.DataArray, data: xr.DataArray, kind: str | None = None, debug: bool = True
) -> xr.DataArray:
    """Return weights that a contest accepts.

    Wrong positions are set to 0, and missed days are added.

    Parameters
    ----------
    output : dims (time, asset), or (asset) for the last day of `data`
    data : market data for all days of `output`; the result has no other days
    kind : the competition, by default the name of `data`
    debug : print the steps to stdout

    Returns
    -------
    DataArray (time, asset), sorted, normalized, no weight above the competition's limit, and none below 0
    where it is long only. NotCoveredError for competitions that the stand-in lacks.
    """
    rules = rules_for(kind, data, "clean")
    output = unique(output.drop_vars(ds.FIELD, errors="ignore"), ds.ASSET)
    single_day = ds.TIME not in output.dims
    with Settings(info=None if debug else False, err2info=True):
        log_info("Output cleaning...")
        log_info("Fix unique timestamps")
        if single_day:
            output = on_last_day(output, data)
        else:
            output = unique(output, ds.TIME)
            log_info("Forward filling missing prices...")
            output = output.fillna(0).where(np.isfinite(data.sel(field=f.CLOSE)))
            if rules is None or rules.carries_weights:
                output = output.ffill(ds.TIME)
            output = output.fillna(0)
        if f.IS_LIQUID in data.field.values:
            log_info("Check liquidity...")
            if len(stats.calc_non_liquid(data, output).time) > 0:
                log_info("WARNING! Strategy trades non-liquid assets.")
                log_info("Applying liquidity filter...")
                is_liquid = xr.align(data.sel(field=f.IS_LIQUID), output, join="right")[0]
                output = xr.where(is_liquid == 0, 0, output)
            log_info("Ok.")
        else:
            log_info("WARNING! 'is_liquid' field not found in data. Skipping liquidity check.")
        if not single_day:
            log_info("Check for missed dates...")
            output = _with_missed_days(output, data)
        if rules is not None and rules.long_only:
            log_info("Check positive positions...")
            if (output < 0).any():
                log_info("WARNING! Output contains negative positions. Clean...")
                output = output.where(output >= 0).fillna(0)
            else:
                log_info("Ok.")
        if has_limit(rules):
            log_info("Normalize and cut big positions for index strategies (nasdaq100, s&p500)...")
            limit = stats.get_default_max_exposure(name_of(kind, data))
            output = exposure.cut_big_positions(normalize(output), limit)
        log_info("Final normalization...")
        output = normalize(output)
        log_info("Output cleaning complete.")
    return output


def rules_for(kind: str | None, data: xr.DataArray, function: str) -> Competition | None:
    """Return the rules of a competition.

    The result is None for unnamed data. A warning is printed where `kind` does not fit the data.
    NotCoveredError is raised for competitions that the stand-in lacks.
    """
    kind = name_of(kind, data)
    if kind is not None and kind not in KINDS:
        asked = not_covered(f"qnt.output.{function} for {kind!r}")
        raise NotCoveredError(f"{asked} Here are {', '.join(KINDS)}.")
    rules = None if kind is None else KINDS[kind]
    if kind != data.name and (rules is None or rules.data_name != data.name):
        log_err("WARNING! The kind of the data and the output are different.")
        log_err(f"The kind of the data is {data.name} and the kind of the output is {kind}")
        log_err("The output will be cleaned with the data kind.")
    return rules


def has_limit(rules: Competition | None) -> bool:
    """Return True if positions have a size limit.

    The competition sets the limit.
    """
    return rules is not None and rules.max_position < 1


def name_of(kind: str | None, data: xr.DataArray) -> str | None:
    """Return the name of the competition.

    It is `kind`, or else the name of the data, which may be None.
    """
    return None if data.name is None and kind is None else str(kind or data.name)


def on_last_day(output: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    """Return weights for the last day of `data`.

    The given weights have no time axis.
    """
    return output.drop_vars(ds.TIME, errors="ignore").expand_dims(time=[data.time.values.max()])


def unique(output: xr.DataArray, dim: str) -> xr.DataArray:
    """Return `output` with sorted, unique labels along `dim`.

    The first of equal labels stays.
    """
    return output.isel({dim: np.unique(output[dim], return_index=True)[1]})


def _with_missed_days(output: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    if len(output.time) == 0:
        log_info("WARNING! Output is empty.")
        return output
    missed = stats.find_missed_dates(output, data)
    if len(missed) == 0:
        log_info("Ok.")
        return output
    log_info("WARNING! Output contains missed dates.")
    log_info("Adding missed dates and setting positions to zero...")
    output = output.reindex(time=np.union1d(output.time.values, missed)).fillna(0)
    if f.IS_LIQUID in data.field.values:
        output = output.where(data.sel(field=f.IS_LIQUID) > 0)
    return normalize(output.dropna(ds.ASSET, how="all").dropna(ds.TIME, how="all").fillna(0))


def check(
    output: xr.DataArray, data: xr.DataArray, kind: str | None = None, check_correlation: bool = True
) -> None:
    """Print the faults of weights in a contest.

    Errors of the checks are printed, not raised. Arguments are as for `clean`. Only Quantiacs has other
    strategies to compare with, as a line states with `check_correlation`.
    """
    rules = rules_for(kind, data, "check")
    kind = name_of(kind, data)
    single_day = ds.TIME not in output.dims
    if single_day:
        output = on_last_day(output, data)
    try:
        if f.IS_LIQUID in data.field.values:
            _say("Check liquidity...", _not_liquid(output, data))
        if not single_day:
            _say("Check missed dates...", _missed_days(output, data))
        if has_limit(rules):
            title = "Check max exposure for index stocks (nasdaq100, s&p500)…"
            _say(title, _too_big(output, stats.get_default_max_exposure(kind)))
        if single_day:
            return
        if abs(output).sum() == 0:
            log_err("ERROR! Output is empty. All positions are zero.")
            return
        if rules is not None and rules.long_only:
            _say("Check positive positions...", _negative(output))
        _say("Check the sharpe ratio...", _low_sharpe_ratio(output, data, kind))
        if check_correlation:
            log_info("Check correlation.")
            stats.check_correlation(output, data)
    except Exception as error:
        log_err(error)


def calc_sharpe_ratio_for_check(
    data: xr.DataArray, output: xr.DataArray, kind: str | None = None, check_dates: bool = True
) -> np.ndarray:
    """Return the annualized Sharpe ratio for a contest.

    The period begins at the contest's in-sample start, or at the first day of the data if later, and ends
    with the data. Arguments are as for `clean`. With `check_dates` a warning on stderr reports data or
    weights that start too late. The result is 0-dimensional, and NaN for less than two days.
    """
    kind = name_of(kind, data)
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
    rules = stats.rules_of_data(kind)
    estimator = "geometric" if rules is None else rules.mean_estimator
    return stats.calc_sharpe_ratio_annualized(returns, mean_estimator=estimator).isel(time=-1).values


def _say(title: str, findings: Iterable[str]) -> None:
    """Print the title and the findings of a check.

    The title comes first, since the check itself may fail or print.
    """
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


def _negative(output) -> Iterator[str]:
    if (output < 0).any():
        yield "ERROR! Output contains negative positions."
        yield "Drop all negative positions."


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


__getattr__ = uncovered(__name__)
