"""How are weights made acceptable to a contest? What is wrong becomes 0, missed days are added."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from lib.offline import NotCoveredError, not_covered

from ._weights import normalize
from .data.common import ds, f
from .data.stocks import NDX, SPX
from .log import Settings, log_err, log_info


def clean(
    output: xr.DataArray, data: xr.DataArray, kind: str | None = None, debug: bool = True
) -> xr.DataArray:
    """Return weights that a contest accepts: what is wrong with them is set to 0, missed days are added.

    Parameters
    ----------
    output : xarray.DataArray
        Dims (time, asset), or (asset) for the last day of `data`.
    data : xarray.DataArray
        Market data that reach over all days of `output`. Where they lack a day or an asset, so will the
        result.
    kind : str, optional
        The competition, by default the name of `data`.
    debug : bool
        Say on stdout what is done.

    Returns
    -------
    xarray.DataArray
        Dims (time, asset), sorted, normalized, no weight above the competition's limit.

    Raises
    ------
    NotCoveredError
        For competitions other than the two stock indexes.
    """
    from . import exposure, stats  # here, because `stats` needs `qnt.output`, which offers this function

    kind = known_kind(kind, data, "clean")
    say = log_info if debug else _nothing
    output = unique(output.drop_vars(ds.FIELD, errors="ignore"), ds.ASSET)
    single_day = ds.TIME not in output.dims
    with Settings(err2info=True):
        say("Output cleaning...")
        say("Fix unique timestamps")
        if single_day:
            output = on_last_day(output, data)
        else:
            output = unique(output, ds.TIME)
            say("Forward filling missing prices...")
            output = output.fillna(0).where(np.isfinite(data.sel(field=f.CLOSE)))
            output = (output if kind else output.ffill(ds.TIME)).fillna(0)
        if f.IS_LIQUID in data.field.values:
            say("Check liquidity...")
            if len(stats.calc_non_liquid(data, output).time) > 0:
                say("WARNING! Strategy trades non-liquid assets.")
                say("Applying liquidity filter...")
                is_liquid = xr.align(data.sel(field=f.IS_LIQUID), output, join="right")[0]
                output = xr.where(is_liquid == 0, 0, output)
            say("Ok.")
        else:
            say("WARNING! 'is_liquid' field not found in data. Skipping liquidity check.")
        if not single_day:
            say("Check for missed dates...")
            output = _with_missed_days(output, data, say)
        if kind:
            say("Normalize and cut big positions for index strategies (nasdaq100, s&p500)...")
            output = exposure.cut_big_positions(normalize(output), stats.get_default_max_exposure(kind))
        say("Final normalization...")
        output = normalize(output)
        say("Output cleaning complete.")
    return output


def known_kind(kind: str | None, data: xr.DataArray, function: str) -> str | None:
    """Return the competition, None for unnamed data; complain where `kind` and the data's name differ."""
    kind = None if data.name is None and kind is None else str(kind or data.name)
    if kind not in (NDX, SPX, None):
        raise NotCoveredError(
            f"{not_covered(f'qnt.output.{function} for {kind!r}')} Here are {NDX} and {SPX}."
        )
    if kind != data.name:
        log_err("WARNING! The kind of the data and the output are different.")
        log_err(f"The kind of the data is {data.name} and the kind of the output is {kind}")
        log_err("The output will be cleaned with the data kind.")
    return kind


def on_last_day(output: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    """Return weights without a time axis as those of the last day of `data`."""
    return output.drop_vars(ds.TIME, errors="ignore").expand_dims(time=[data.time.values.max()])


def unique(output: xr.DataArray, dim: str) -> xr.DataArray:
    """Return `output` sorted along `dim`, the first of equal labels only."""
    return output.isel({dim: np.unique(output[dim], return_index=True)[1]})


def _with_missed_days(output: xr.DataArray, data: xr.DataArray, say: Callable[..., None]) -> xr.DataArray:
    from . import stats

    if len(output.time) == 0:
        say("WARNING! Output is empty.")
        return output
    missed = stats.find_missed_dates(output, data)
    if len(missed) == 0:
        say("Ok.")
        return output
    say("WARNING! Output contains missed dates.")
    say("Adding missed dates and setting positions to zero...")
    output = output.reindex(time=np.union1d(output.time.values, missed)).fillna(0)
    if f.IS_LIQUID in data.field.values:
        output = output.where(data.sel(field=f.IS_LIQUID) > 0)
    return normalize(output.dropna(ds.ASSET, how="all").dropna(ds.TIME, how="all").fillna(0))


def _nothing(*args: object) -> None:
    """Say nothing."""
