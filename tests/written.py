"""Weights files as the tests read them."""

import gzip
from pathlib import Path

import xarray as xr

from tests.conftest import REAL


def read_written(path: Path | str) -> xr.DataArray:
    """Return the weights in a file, which may hold the server's ids, under this process's names."""
    weights = xr.load_dataarray(gzip.decompress(Path(path).read_bytes()))
    if not REAL:
        return weights
    from qnt.data.id_translation import translate_server_id_to_user_id as name_of

    return weights.assign_coords(asset=[name_of(asset) for asset in weights.asset.values.tolist()]).sortby(
        "asset"
    )
