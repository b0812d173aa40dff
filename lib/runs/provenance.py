"""The data, the engine and the versions that a run depends on, besides its parameters and its code."""

import hashlib
import platform
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from lib.common.market_data import LAYOUT
from lib.offline import is_stand_in as is_stand_in
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr


def market_fingerprint(data: "xr.DataArray") -> str:
    """16 hex digits that change with any value, day, asset or field of `data`, not with the order of dims."""
    data = data.transpose(*LAYOUT)
    values = data.values.astype("<f8")  # a copy
    values[np.isnan(values)] = np.nan  # the same bits for every NaN
    digest = hashlib.sha256(repr([data[dim].values.astype(str).tolist() for dim in LAYOUT]).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def engine() -> str:
    """The `qnt` that runs the backtest, with its version."""
    if is_stand_in():
        return "lib/offline"
    try:
        return f"qnt {metadata.version('qnt')}"
    except metadata.PackageNotFoundError:
        return "qnt of unknown version"


def market_name() -> str:
    """A description of the prices."""
    if not is_stand_in():
        return "Quantiacs' data"
    from lib.offline import market

    return market.describe()


def is_synthetic() -> bool:
    """Whether the prices are random ones."""
    if not is_stand_in():
        return False
    from lib.offline import market

    return market.is_synthetic()


def versions(strategy: Strategy) -> dict[str, str]:
    """Versions of what computes a run; torch only where the strategy uses it."""
    from lib.engine.models import needs_torch

    packages = ["numpy", "pandas", "xarray"] + (["torch"] if needs_torch(strategy) else [])
    found = {"python": platform.python_version(), "qnt": engine()}
    return found | {name: metadata.version(name) for name in packages}
