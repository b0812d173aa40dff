"""The cleaning of weights for a contest: wrong positions become 0, missed days are added."""

import numpy as np
import xarray as xr

from lib.offline import NotCoveredError, not_covered

from . import exposure, stats
from ._weights import normalize
from .data.common import ds, f
from .data.stocks import NDX, SPX
from .log import Settings, log_err, log_info


def clean(
    output: xr.DataArray, data: xr.DataArray, kind: str | None = None, debug: bool = True
) -> xr.DataArray:
    """Return weights that a contest accepts: wrong positions are set to 0 and missed days are added.

    Parameters
    ----------
    output : dims (time, asset), or (asset) for the last day of `data`
    data : market data for all days of `output`; the result has no other days
    kind : the competition, by default the name of `data`
    debug : print the steps to stdout

    Returns
    -------
    DataArray (time, asset), sorted, normalized, no weight above the competition's limit. NotCoveredError for
    competitions other than the two stock indexes.
    """
    kind = known_kind(kind, data, "clean")
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
            output = (output if kind else output.ffill(ds.TIME)).fillna(0)
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
        if kind:
            log_info("Normalize and cut big positions for index strategies (nasdaq100, s&p500)...")
            output = exposure.cut_big_positions(normalize(output), stats.get_default_max_exposure(kind))
        log_info("Final normalization...")
        output = normalize(output)
        log_info("Output cleaning complete.")
    return output


def known_kind(kind: str | None, data: xr.DataArray, function: str) -> str | None:
    """Return the competition, None for unnamed data; warn where `kind` and the name of the data differ."""
    kind = kind_of(kind, data)
    if kind not in (NDX, SPX, None):
        asked = not_covered(f"qnt.output.{function} for {kind!r}")
        raise NotCoveredError(f"{asked} Here are {NDX} and {SPX}.")
    if kind != data.name:
        log_err("WARNING! The kind of the data and the output are different.")
        log_err(f"The kind of the data is {data.name} and the kind of the output is {kind}")
        log_err("The output will be cleaned with the data kind.")
    return kind


def kind_of(kind: str | None, data: xr.DataArray) -> str | None:
    """Return `kind`, or else the name of the data, which may be None."""
    return None if data.name is None and kind is None else str(kind or data.name)


def on_last_day(output: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    """Return weights without a time axis as those of the last day of `data`."""
    return output.drop_vars(ds.TIME, errors="ignore").expand_dims(time=[data.time.values.max()])


def unique(output: xr.DataArray, dim: str) -> xr.DataArray:
    """Return `output` sorted along `dim`, the first of equal labels only."""
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
