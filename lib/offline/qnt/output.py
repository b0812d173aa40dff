"""The output of a strategy: weights are normalized, aligned, cleaned, checked and written."""

import gzip

import xarray as xr

from lib.offline import uncovered

from ._check import calc_sharpe_ratio_for_check, check
from ._clean import clean
from ._weights import align, normalize
from .data.common import get_env
from .log import log_info

__all__ = ["align", "calc_sharpe_ratio_for_check", "check", "clean", "normalize", "write"]


def write(output: xr.DataArray) -> None:
    """Write the normalized weights, gzipped NetCDF, to OUTPUT_PATH, by default fractions.nc.gz."""
    weights = normalize(output)
    weights.attrs.pop("source", None)  # the loaders' description of the prices, which arithmetic carries on
    file = gzip.compress(weights.to_netcdf())
    path = get_env("OUTPUT_PATH", "fractions.nc.gz", silent=True)
    log_info("Write output: " + path)
    with open(path, "wb") as out:
        out.write(file)


__getattr__ = uncovered(__name__)
