"""Earlier runs of the report, kept as files, to be shown beside the present one as "before"."""

import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.errors import WrongValueError
from lib.common.files import replace_file
from lib.runs.provenance import market_fingerprint
from lib.stats.portfolios import Portfolio, same_positions

if TYPE_CHECKING:
    import xarray as xr

FOLDER = Path("runs/report")
LAST = "last"  # stands for the last run that differs from the present one
MOST = 8  # files of runs without a name; older ones are removed
NAME = re.compile(r"\w[\w.-]{0,59}")


class EarlierRun(NamedTuple):
    """A run that was kept: what its strategy changes, when it ran, and its portfolio."""

    label: str
    when: str
    portfolio: Portfolio


def days_key(data: "xr.DataArray", days: np.ndarray, competition_type: str) -> str:
    """Return a key of the market on the days of a backtest: runs with another one are not comparable."""
    return f"{competition_type} {market_fingerprint(data.sel(time=days))}"


def keep_run(run: EarlierRun, key: str, name: str = "") -> None:
    """Keep a run as a file, under a name or as one of the last `MOST` ones.

    Raises
    ------
    OSError
        The folder cannot be written.
    ValueError
        A name that is no file's name.
    """
    import xarray as xr

    about = {"label": run.label, "when": run.when, "key": key}
    arrays = {name: each.reset_coords(drop=True) for name, each in run.portfolio._asdict().items()}
    content = xr.Dataset(arrays, attrs=about)
    digest = hashlib.sha256(key.encode() + run.portfolio.weights.values.tobytes()).hexdigest()[:16]
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = _path(name) if name else FOLDER / f"{digest}.last.nc"
    replace_file(path, bytes(content.to_netcdf(engine="scipy")))
    for old in _last_runs()[MOST:]:
        old.unlink(missing_ok=True)


def find_run(which: str, key: str, present: Portfolio) -> tuple[EarlierRun | None, str]:
    """Return an earlier run on the same market and days, or None and a sentence that says why.

    `which` is a name, or "last" for the last run whose weights differ from those of `present`. The sentence
    is empty where there is no such run yet.
    """
    if which != LAST:
        run = _read(_path(which), key)
        if run is None:
            return None, f"The run kept as {which} is of another market or of other days: it is not shown."
        return run, ""
    for path in _last_runs():
        run = _read(path, key)
        if run is not None and not same_positions(run.portfolio.weights, present.weights):
            return run, ""
    return None, ""


def check_names(before: str | None, keep: str = "") -> None:
    """Check the names of the run that is shown and of the one that is kept.

    Raises
    ------
    ValueError
        No run was kept under the first name, or the second one is no file's name.
    """
    if keep:
        _path(keep)
    if before not in (None, LAST) and not _path(before).exists():
        kept = sorted(path.name.removesuffix(".kept.nc") for path in FOLDER.glob("*.kept.nc"))
        known = f"kept are: {', '.join(kept)}" if kept else "keep one first, by keep or --keep"
        raise WrongValueError(f"No run was kept as {before!r}: {known}.")


def now() -> str:
    """Return the present minute, as a run is labelled with it."""
    return time.strftime("%Y-%m-%d %H:%M")


def _path(name: str) -> Path:
    if not NAME.fullmatch(name) or name == LAST:
        raise WrongValueError(
            f"A run cannot be kept as {name!r}: a name has letters, digits, - and _, such as baseline."
        )
    return FOLDER / f"{name}.kept.nc"


def _last_runs() -> list[Path]:
    """Return the files of runs without a name, the newest first."""
    return sorted(FOLDER.glob("*.last.nc"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _read(path: Path, key: str) -> EarlierRun | None:
    """Return the run of a file, None for a damaged one and for other days."""
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="scipy") as content:
            if content.attrs["key"] != key:
                return None
            content = content.load()
        arrays = {name: content[name] for name in Portfolio._fields}
        return EarlierRun(content.attrs["label"], content.attrs["when"], Portfolio(**arrays))
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return None
