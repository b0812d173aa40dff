"""The weights collected during a backtest, row by row, for the assets of the first call."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .log import log_err

ADVICE = "Return all assets of the data every time: weights.reindex(asset=data.asset, fill_value=0)"


def row(output: Any, day: np.datetime64) -> xr.DataArray:
    """Return the weights of the last day; without them UnboundLocalError, as in the real library."""
    _check(output)
    if day not in output.time:
        raise UnboundLocalError(f"predict returned no weights for {str(day)[:10]}, the last day of its data.")
    return output.sel(time=[day])


class BlockRows:
    """The weights collected by `backtest_ml`."""

    def __init__(self, days: np.ndarray):
        self.days = pd.Index(days)
        self.array: xr.DataArray | None = None

    def put(self, output: Any, first: np.datetime64, last: np.datetime64, skip_absent: bool) -> None:
        """Keep the rows from `first` to `last`; with `skip_absent` an output without such rows is ignored."""
        _check(output)
        times = output.time.values
        inside = (times >= first) & (times <= last)
        if skip_absent and not inside.any():
            return
        if self.array is None:
            coords = {**output.coords, "time": self.days.values}
            self.array = xr.DataArray(np.nan, coords, output.dims).transpose("time", ...)
        if not np.array_equal(output.asset.values, self.array.asset.values):
            raise IndexError(
                "dimension coordinate 'asset' conflicts between indexed and indexing objects: the weights "
                f"for {str(last)[:10]} are not for the assets of the first call, in its order. {ADVICE}"
            )
        # By position: assignment by label would take most of a day's run time.
        rows, times = output.transpose("time", ...).values[inside], times[inside]
        places = self.days.get_indexer(times)
        unknown = times[(places < 0) & ~np.isnan(rows).all(axis=1)]
        if len(unknown):
            raise KeyError(f"predict returned weights for {str(unknown[0])[:10]}, no day of the test.")
        self.array.values[places[places >= 0]] = rows[places >= 0]

    def all(self) -> xr.DataArray:
        """Return weights for all days, NaN where there are none."""
        if self.array is None:
            raise AttributeError("predict returned no weights for any day of the test.")
        return self.array


class DayRows:
    """The weights collected by `backtest`."""

    def __init__(self, days: np.ndarray):
        self.days = days
        self.array: xr.DataArray | None = None
        self.moved = False

    def put(self, output: Any, day: np.datetime64) -> None:
        """Keep the weights of one day."""
        if not isinstance(output, xr.DataArray):
            log_err("Output is not an xarray DataArray!")
            raise TypeError(f"The strategy has to return an array of weights, not {type(output).__name__}.")
        if set(output.dims) not in ({"asset"}, {"asset", "time"}):
            log_err("Wrong output dimensions. ", output.dims, " Should contain only:", {"asset", "time"})
            raise TypeError(f"The weights need the dims (asset) or (time, asset), not {output.dims}.")
        if "time" in output.dims:
            if day not in output.time:
                raise KeyError(f"The strategy returned no weights for {str(day)[:10]}, its data's last day.")
            output = output.sel(time=day)
        if self.array is None:
            coords = {"time": self.days, "asset": output.asset.values}
            values = np.empty((len(self.days), output.size), output.dtype)
            self.array = xr.DataArray(values, coords, ("time", "asset"))
        elif not self.moved and not np.array_equal(self.array.asset.values, output.asset.values):
            # The platform goes by position too, which puts weights on other assets; hence a warning only.
            self.moved = True
            log_err(
                f"WARNING! From {str(day)[:10]} on weights are not for the assets of the first call, in its "
                f"order, but are kept as if they were, here as on Quantiacs. {ADVICE}"
            )
        self.array.values[self.days == day] = output.values


def _check(output: Any) -> None:
    if not isinstance(output, xr.DataArray) or set(output.dims) != {"time", "asset"}:
        found = output.dims if isinstance(output, xr.DataArray) else type(output).__name__
        raise AttributeError(f"predict has to return weights with the dims (time, asset), not {found}.")
