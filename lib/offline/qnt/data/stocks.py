"""The loaders of stock data.

They read the offline market, with windows, assets and layout as on the platform.
"""

import datetime
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from lib.common.competitions import row_served_by
from lib.offline import market, uncovered

from ..log import log_info
from .common import DEFAULT_TAIL, ds, f, parse_date, parse_tail, record_last_day

NDX, SPX = (row_served_by(f"stocks.load_{index}_data").data_name for index in ("ndx", "spx"))
Asset = str | dict


def load_ndx_data(
    assets: Sequence[Asset] | None = None,
    min_date: Any = None,
    max_date: Any = None,
    dims: tuple[str, str, str] = (ds.FIELD, ds.TIME, ds.ASSET),
    forward_order: bool = True,
    tail: datetime.timedelta | float = DEFAULT_TAIL,
) -> xr.DataArray:
    """Load NASDAQ-100 stocks.

    Parameters
    ----------
    assets : names, or entries of `load_ndx_list`; by default all that are liquid at least once inside the
        window, so that the asset axis depends on the window
    min_date, max_date : both included; by default the limit that DATA_BASE_URL or `set_max_datetime`
        sets, else the last day of the market, and `tail` calendar days before; never past the limit
    dims : order of the dimensions
    forward_order : False for the newest day first

    Returns
    -------
    DataArray, float64, named stocks_nasdaq100, assets sorted. Gaps are NaN, and so is the whole column of an
    unknown asset; days on which nothing has data are dropped. `attrs["source"]` describes the prices.
    ValueError where `min_date` is after `max_date`, and for a market file that cannot be used.
    """
    return _load(NDX, assets, min_date, max_date, dims, forward_order, tail)


def load_spx_data(
    assets: Sequence[Asset] | None = None,
    min_date: Any = None,
    max_date: Any = None,
    dims: tuple[str, str, str] = (ds.FIELD, ds.TIME, ds.ASSET),
    forward_order: bool = True,
    tail: datetime.timedelta | float = DEFAULT_TAIL,
) -> xr.DataArray:
    """Load S&P 500 stocks.

    The result is named stocks_s&p500. All else is as in `load_ndx_data`.
    """
    return _load(SPX, assets, min_date, max_date, dims, forward_order, tail)


def load_ndx_list(min_date: Any = None, max_date: Any = None, tail: Any = 4 * 365) -> list[dict]:
    """List the liquid assets of the NASDAQ-100.

    They are liquid at least once in the window. Entries are `{"id": name}`, sorted by name.
    """
    return _list(NDX, min_date, max_date, tail)


def load_spx_list(min_date: Any = None, max_date: Any = None, tail: Any = 4 * 365) -> list[dict]:
    """List the liquid assets of the S&P 500.

    They are liquid at least once in the window. Entries are `{"id": name}`, sorted by name.
    """
    return _list(SPX, min_date, max_date, tail)


def _load(kind, assets, min_date, max_date, dims, forward_order, tail):
    started = time.time()
    record_last_day(max_date)
    data = _window(kind, min_date, max_date, tail)
    data = data[:, :, _liquid_once(data)] if assets is None else data.reindex(asset=_names(assets))
    data = data[:, ~np.isnan(data.values).all((0, 2))]
    log_info(f"Data loaded {round(time.time() - started)}s")
    if not forward_order:
        data = data[:, ::-1]
    # Figures drawn from the data name their source.
    return data.transpose(*dims).rename(kind).assign_attrs(source=market.describe())


def _names(assets):
    names = np.array(sorted(asset["id"] if isinstance(asset, dict) else asset for asset in assets), dtype=str)
    twice = names[1:][names[1:] == names[:-1]]
    if len(twice):
        raise ValueError(f"assets names {twice[0]} more than once.")
    return names


def _list(kind, min_date, max_date, tail):
    data = _window(kind, min_date, max_date, tail)
    return [{"id": name} for name in data.asset.values[_liquid_once(data)].tolist()]


def _liquid_once(data):
    return (data.sel(field=f.IS_LIQUID).values > 0).any(0)


def _window(kind, min_date, max_date, tail):
    last = parse_date(max_date, kind=kind)
    first = last - parse_tail(tail) if min_date is None else parse_date(min_date)
    if first > last:
        raise ValueError(f"min_date must be less than or equal to max_date, but {first} is after {last}")
    return market.read(kind, np.datetime64(first), np.datetime64(last))


__getattr__ = uncovered(__name__)
