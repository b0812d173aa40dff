"""Days and prices of the market of a rehearsal.

They are as a submission sees them.
"""

import contextlib
import csv
import importlib
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.common.command_line import environment
from lib.common.competitions import COMPETITIONS
from lib.common.errors import WrongValueError
from lib.common.market_data import trading_days

if TYPE_CHECKING:
    import xarray as xr

    from lib.rehearsal.passes import PassResult

KNOWN_FOR = np.timedelta64(6 * 365, "D")  # an asset without data for longer is unknown; the loaders' default
EARLIEST = np.datetime64("1990-01-01")  # no competition has data before
PRECHECK_PASSES = 3  # the default of the platform's `qnt.precheck.evaluate_passes`
TABLE = "id-translation.csv"  # the platform's library keeps it in the folder where it runs


def days_of(kind: str, days: int | str, end: np.datetime64 | None) -> np.ndarray:
    """Return the days of a rehearsal.

    They are the last trading days, or the days of the platform's precheck. See `lib.rehearsal.rehearse`.
    """
    if isinstance(days, int):
        return last_days(kind, days, end)
    if days != "precheck":
        raise WrongValueError(f"days is {days!r}: it must be a number of days or 'precheck'.")
    return precheck_days(kind, end)


def last_days(competition_type: str, days: int, end: np.datetime64 | None) -> np.ndarray:
    """Return the last trading days.

    They are datetime64[D], ascending, up to and including `end`.

    Raises
    ------
    ValueError
        There are fewer than `days`.
    """
    if days < 1:
        raise WrongValueError(f"--days must be at least 1, not {days}.")
    dates = trading_days(_load(competition_type, max_date=_text(end), tail=2 * days + 15))
    if len(dates) < days:
        raise WrongValueError(
            f"There are only {len(dates)} trading days up to {end or 'the end'}: ask for fewer."
        )
    return dates[-days:]


def precheck_days(
    competition_type: str, end: np.datetime64 | None, passes: int = PRECHECK_PASSES
) -> np.ndarray:
    """Return the days of the platform's precheck.

    They are datetime64[D], ascending: the last trading day, the second in sample, and ``passes - 2``
    quantiles between.

    Raises
    ------
    ValueError
        There are fewer than two trading days in sample.
    """
    first = COMPETITIONS[competition_type].first_day
    if end is not None and end < np.datetime64(first):
        raise WrongValueError(f"--end is {end}, before the first day in sample, {first}.")
    dates = trading_days(_load(competition_type, min_date=first, max_date=_text(end)))
    if len(dates) < 2:
        raise WrongValueError(f"There are only {len(dates)} trading days from {first} to {end or 'the end'}.")
    quantiles = [min(round(len(dates) * (k + 1) / (passes - 1)), len(dates) - 1) for k in range(passes - 2)]
    return np.unique(dates[[-1, 1, *quantiles]])


def prices_of(passes: "Sequence[PassResult]", kind: str, work: Path) -> "xr.DataArray":
    """Load the prices for the assessment of passes.

    They cover all assets and days that the passes wrote about.
    """
    days = [done.day for done in passes]
    assets: set[str] = set()
    for done in passes:
        if done.weights is not None:
            assets |= set(done.weights.asset.values.tolist())
            days += [day for day in done.weights.time.values.astype("M8[D]").ravel() if day >= EARLIEST]
        if done.state is not None:
            assets |= set(done.state.weights)
    first = min(days) - KNOWN_FOR
    return prices(kind, first, max(done.day for done in passes), assets, work)


def prices(
    competition_type: str, first: np.datetime64, last: np.datetime64, assets: Iterable[str], work: Path
) -> "xr.DataArray":
    """Load data under the names of a pass.

    The data are (field, time, asset). The names are as a pass in the folder `work` shows them.

    Parameters
    ----------
    assets : iterable of str
        Their names as shown; a column of NaN where there is no such asset. If there are none, all that are
        liquid at least once.
    """
    shown = shown_names(work)
    server_ids = {name: server_id for server_id, name in shown.items()}
    translation = _translation()
    here = sorted({server_ids.get(asset, asset) for asset in assets})
    if translation:
        here = [translation.translate_server_id_to_user_id(server_id) for server_id in here]
    data = _load(competition_type, min_date=str(first), max_date=str(last), assets=here or None)
    if translation:
        there = [translation.translate_user_id_to_server_id(name) for name in data.asset.values.tolist()]
        data = data.assign_coords(asset=[shown.get(name, name) for name in there])
    return data


def shown_names(work: Path) -> dict[str, str]:
    """Return the shown name for each server's id.

    A pass in the folder `work` shows these names. The ids are from the folder's table. As a submission the
    library reads the table but adds nothing to it, so an id without an entry is shown as it is. The result is
    empty without a table, or without a library that translates.
    """
    translation, table = _translation(), work / TABLE
    if not (translation and translation.USE_ID_TRANSLATION and table.exists()):
        return {}
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))[1:]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


def host() -> str:
    """Return the data service's address without a day."""
    from qnt.data.common import ORIGIN_BASE_URL

    return ORIGIN_BASE_URL.split("/last/")[0].rstrip("/")


def _translation() -> Any:
    """Return the library's module that translates ids.

    The result is None if the library has none.
    """
    try:
        return importlib.import_module("qnt.data.id_translation")
    except ImportError:
        return None


def _load(competition_type: str, **window: Any) -> "xr.DataArray":
    import qnt.data as qndata

    # The library makes a folder for its cache where it is imported, and some versions need it elsewhere too.
    if cache := getattr(qndata.common, "CACHE_DIR", None):
        os.makedirs(cache, exist_ok=True)
    # as a submission, so that the library writes no table of names into the folder
    with contextlib.redirect_stdout(io.StringIO()), environment({"SUBMISSION_ID": "-1"}):
        return qndata.load_data_by_type(competition_type, **window)


def _text(day: np.datetime64 | None) -> str | None:
    return None if day is None else str(day)
