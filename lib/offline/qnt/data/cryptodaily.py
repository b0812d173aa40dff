"""The loader of daily crypto data.

It reads the offline market, with windows, assets and layout as on the platform.
"""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lib.common.competitions import row_served_by
from lib.offline import market, uncovered

from .common import DEFAULT_TAIL, ds, parse_date_and_hour, parse_tail, record_last_day

NAME = row_served_by("cryptodaily.load_data").data_name


def load_data(
    assets: Sequence[str] | None = None,
    min_date: Any = None,
    max_date: Any = None,
    dims: tuple[str, str, str] = (ds.FIELD, ds.TIME, ds.ASSET),
    forward_order: bool = True,
    tail: datetime.timedelta | float = DEFAULT_TAIL,
) -> xr.DataArray:
    """Load daily crypto data.

    Parameters
    ----------
    assets : names; by default all assets of the market, in its order, whatever the window
    min_date, max_date : both included, compared with their hour, while a bar is stamped at the start of its
        day; defaults as for stocks
    dims : order of the dimensions
    forward_order : False for the newest day first

    Returns
    -------
    DataArray, float64, named cryptodaily, without days on which nothing has data. With `assets` these are
    sorted, an unknown one is a column of NaN. ValueError for a window without a day.
    """
    record_last_day(max_date)
    last = parse_date_and_hour(max_date, kind=NAME)
    first = last - parse_tail(tail) if min_date is None else parse_date_and_hour(min_date, kind=NAME)
    # The service is asked for whole hours.
    window = (np.datetime64(pd.Timestamp(moment).floor("h")) for moment in (first, last))
    data = market.read(NAME, *window)
    if data.sizes[ds.TIME] == 0:
        raise ValueError(f"There are no data from {first} to {last}: load another window.")
    if assets is not None:
        data = data.reindex(asset=np.array(sorted(set(assets)), dtype=object))
    data = data[:, ~np.isnan(data.values).all((0, 2))]
    if not forward_order:
        data = data[:, ::-1]
    return data.transpose(*dims).assign_attrs(source=market.describe())


__getattr__ = uncovered(__name__)
