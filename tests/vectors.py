"""The platform's own answers, kept as small files: see tests/data/conformance."""

from functools import cache
from pathlib import Path

import xarray as xr

DATA = Path(__file__).parent / "data"
CONFORMANCE = DATA / "conformance"
CRYPTO = DATA / "conformance-crypto"
CRYPTO_SHARED = Path(__file__).parents[2] / "shared" / "conformance-crypto"  # all of them, where it is there


@cache
def _load(path: Path) -> xr.DataArray:
    with xr.open_dataarray(path, engine="h5netcdf") as stored:
        return stored.load()


def vector(name: str) -> xr.DataArray:
    """Return one stored array by its file name without the suffix; every call returns a copy of its own."""
    return _load(CONFORMANCE / f"{name}.nc").copy(deep=True)


def crypto_vector(name: str, folder: Path = CRYPTO) -> xr.DataArray:
    """Return one stored array about crypto daily data; every call returns a copy of its own."""
    return _load(folder / f"{name}.nc").copy(deep=True)


def text(name: str) -> str:
    """Return one stored text by its file name."""
    return (CONFORMANCE / name).read_text(encoding="utf-8")


# not ours to redistribute: tests that need it skip where it is not beside the project
REAL_MARKET = Path(__file__).parents[2] / "shared" / "real"
