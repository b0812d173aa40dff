"""Loaders of market data, under the names that strategies use."""

from typing import Any

import xarray as xr

from lib.offline import NotCoveredError, not_covered, uncovered

from . import common as common
from . import stocks as stocks
from .common import Dimensions as Dimensions
from .common import Fields as Fields
from .common import ds as ds
from .common import f as f
from .common import get_env as get_env

stocks_load_ndx_data, stocks_load_ndx_list = stocks.load_ndx_data, stocks.load_ndx_list
stocks_load_spx_data, stocks_load_spx_list = stocks.load_spx_data, stocks.load_spx_list


def load_data_by_type(data_type: str, **kwargs: Any) -> xr.DataArray:
    """Load the data of a competition, `stocks_nasdaq100` or `stocks_s&p500`, as `load_ndx_data` does.

    NotCoveredError for every other competition.
    """
    loaders = {stocks.NDX: stocks_load_ndx_data, stocks.SPX: stocks_load_spx_data}
    if data_type not in loaders:
        call = not_covered(f'qnt.data.load_data_by_type("{data_type}")')
        raise NotCoveredError(f"{call} Here are {' and '.join(loaders)}.")
    return loaders[data_type](**kwargs)


__getattr__ = uncovered(__name__)
