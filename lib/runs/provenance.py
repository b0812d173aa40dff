"""The data, engine and versions behind a run."""

import hashlib
import pickle
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.market_data import LAYOUT
from lib.engine.learners import estimator_packages, needs_torch
from lib.offline import is_stand_in as is_stand_in
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr


def market_fingerprint(data: "xr.DataArray") -> str:
    """Return a fingerprint of market data.

    It has 16 hex digits and changes with any value, day, asset or field, but not with the order of the
    dimensions.
    """
    data = data.transpose(*LAYOUT)
    values = data.values.astype("<f8")  # a copy
    values[np.isnan(values)] = np.nan  # the same bits for every NaN
    digest = hashlib.sha256(repr([data[dim].values.astype(str).tolist() for dim in LAYOUT]).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def data_fingerprint(data: Any) -> str:
    """Return a fingerprint of data of any kind.

    It has 16 hex digits; a user's `load_data` may return such data.
    """
    if set(getattr(data, "dims", ())) == set(LAYOUT):
        return market_fingerprint(data)
    if isinstance(data, dict):
        values: Any = [(name, data_fingerprint(item)) for name, item in data.items()]
    else:
        values = data.to_dict() if hasattr(data, "to_dict") else data
    return hashlib.sha256(pickle.dumps(values, 4)).hexdigest()[:16]


def engine() -> str:
    """Return the name and version of the `qnt` in use."""
    if is_stand_in():
        return "lib/offline"
    try:
        return f"qnt {metadata.version('qnt')}"
    except metadata.PackageNotFoundError:
        return "qnt of unknown version"


def market_name() -> str:
    """Return a description of the prices."""
    if not is_stand_in():
        return "Quantiacs' data"
    from lib.offline import market

    return market.describe()


def is_synthetic() -> bool:
    """Return True if the prices are random."""
    if not is_stand_in():
        return False
    from lib.offline import market

    return market.is_synthetic()


def versions(strategy: Strategy) -> dict[str, str]:
    """Return the versions of Python and the computing packages.

    torch and the packages of an estimator are included only where they are used.
    """
    packages = ["numpy", "pandas", "xarray"] + (["torch"] if needs_torch(strategy) else [])
    found = {"python": platform.python_version(), "qnt": engine()}
    found |= {name: metadata.version(name) for name in packages}
    for name in estimator_packages(strategy):
        found[name] = str(getattr(sys.modules.get(name), "__version__", "unknown"))
    return found
