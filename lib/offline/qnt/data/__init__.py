"""Loaders of market data, under the names that strategies use."""

import operator
import sys
from typing import Any

import xarray as xr

from lib.common.competitions import KINDS
from lib.offline import NotCoveredError, not_covered, uncovered

from . import common as common
from . import cryptodaily as cryptodaily
from . import stocks as stocks
from .common import Dimensions as Dimensions
from .common import Fields as Fields
from .common import ds as ds
from .common import f as f
from .common import get_env as get_env

stocks_load_ndx_data, stocks_load_ndx_list = stocks.load_ndx_data, stocks.load_ndx_list
cryptodaily_load_data = cryptodaily.load_data
stocks_load_spx_data, stocks_load_spx_list = stocks.load_spx_data, stocks.load_spx_list


def load_data_by_type(data_type: str, **kwargs: Any) -> xr.DataArray:
    """Load the data of a competition.

    The competition's own loader reads them. NotCoveredError is raised where the stand-in has none.
    """
    if data_type not in KINDS:
        call = not_covered(f'qnt.data.load_data_by_type("{data_type}")')
        raise NotCoveredError(f"{call} Here are {', '.join(KINDS)}.")
    return operator.attrgetter(KINDS[data_type].loader)(sys.modules[__name__])(**kwargs)


__getattr__ = uncovered(__name__)
