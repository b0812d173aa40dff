"""Does a strategy know the future? Days are cut off or changed, and it is asked again about those before."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from lib.lookahead.leak_report import Finding, LeakReport, merged
from lib.lookahead.questions import Questions, askable, questions_about, random_gaps
from lib.market_data import check_data
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

ELSEWHEN = 3  # of the days tried, how many under other dates too: what looks up dates shows on any day
TOLERANCE = 1e-9  # of a value; absolute where that is below 1
# After 28 years the calendar repeats, days of the week and leap years included.
CYCLE = np.timedelta64(28 * 365 + 7, "D")


def check(
    strategy: "Strategy | Callable[[xr.DataArray], Strategy]",
    data: "xr.DataArray",
    days: int = 20,
    seed: int = 0,
) -> LeakReport:
    """Look for look-ahead: in each feature, the selection, the training, and a chain of predictions.

    What the strategy says up to a random day, from data that end there, is compared with what it says when
    later days are there; when they are replaced by noise; when it is asked again; and when the same prices
    stand under other dates. Each feature is also tried with gaps planted before the day, which show what
    fills gaps backwards.

    So it sees a function that reads later rows of its argument; one that reads `data` from outside its
    argument (they are changed **in place**, and restored; a read-only array is copied, and then this goes
    unseen); one that looks up dates elsewhere; and one that remembers. It cannot see a number computed from
    all data beforehand, such as a mean or a fitted scaler, which looks like any constant: for that, pass a
    function that makes the strategy from data.

    Parameters
    ----------
    strategy : Strategy, or function of data
        A function data -> Strategy is called anew with data that end on the day, and with changed later days.
    data : xarray.DataArray
        (field, time, asset), longer than `lookback_period` and `train_period`: `strategy.load_data(3 * 365)`.
    days : int
        How many random days to try.
    seed : int
        Of the choice of days, and of the noise.

    Returns
    -------
    LeakReport
        `print` it; `leaks` is True or False; `findings` say where, how and by how much. An asset without a
        price up to a day is not compared in features: it cannot be traded.

    Raises
    ------
    ValueError
        No day has whole windows before it and a day after it. `trend` fills the first `lwma_period` + 1 days
        of a window backwards, so a window must be longer: then nothing that is asked about its last day reads
        those.
    """
    data = check_data(data)
    if not data.values.flags.writeable:
        data = data.copy(deep=True)
    given = strategy if isinstance(strategy, Strategy) else None
    make: Callable[[xr.DataArray], Strategy] = strategy if given is None else lambda _: given  # type: ignore
    parameters = make(data)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(askable(data, parameters))[:days])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gaps, noise, and assets that cannot be trained, are wanted here
        findings = [
            (row, found)
            for k, row in enumerate(rows.tolist())
            for found in _compare(make, data, row, rng, k < ELSEWHEN)
        ]

    own = given and any(
        map(callable, (*given.features, given.target, given.selection, given.model, given.sizing))
    )
    note = "Not tried: numbers computed from all data beforehand. Pass a function data -> Strategy for those."
    levels = tuple(questions_about(parameters, data, rows[0], random_gaps(data, rows[0], rng)))
    return LeakReport(
        findings=merged(sorted(findings, key=lambda one: levels.index(one[1].level))),
        days=data.time.values[rows].astype("M8[D]"),
        levels=levels,
        note=note if own else "",
    )


def _compare(
    make: Callable, data: "xr.DataArray", row: int, rng: np.random.Generator, other_dates: bool
) -> Iterator[Finding]:
    """Ask about a day, from data that end there; then again while what it must not know is changed."""
    gaps = random_gaps(data, row, rng)
    past = data[:, : row + 1]
    before = questions_about(make(past), past, row, gaps)
    base = {level: ask() for level, ask in before.items()}
    features = [level for level in base if level.startswith("feature")]

    def differences(how: str, questions: Questions, levels: list[str]) -> Iterator[Finding]:
        for level in levels:
            yield from _difference(level, how, past, base[level], questions[level])

    yield from differences("future", questions_about(make(data), data, row, gaps), features)
    with _other_future(data, row, rng):
        yield from differences("future", questions_about(make(data), data, row, gaps), [*base])
    yield from differences("memory", before, features)
    if other_dates:
        elsewhen = past.assign_coords(time=past.time.values + CYCLE)
        yield from differences("dates", questions_about(make(elsewhen), elsewhen, row, gaps), [*base])


@contextmanager
def _other_future(data: "xr.DataArray", row: int, rng: np.random.Generator) -> Iterator[None]:
    """For a while all values after a row are noise around the mean of those before, in place."""
    later = data.values[:, row + 1 :]
    kept = later.copy()
    mean = np.nanmean(
        np.where(np.isinf(data.values), np.nan, data.values)[:, : row + 1], axis=1, keepdims=True
    )
    try:
        later[:] = np.where(np.isnan(mean), 1, mean) * rng.lognormal(0, 0.5, later.shape)
        later[data.get_index("field").get_loc("is_liquid")] = rng.random(later.shape[1:]) < 0.5
        later[:, rng.random(later.shape[1:]) < 0.1] = np.nan
        yield
    finally:
        later[:] = kept


def _difference(
    level: str, how: str, past: "xr.DataArray", base: np.ndarray, ask: Callable[[], np.ndarray]
) -> Iterator[Finding]:
    """A finding where the answer to a question about the last day of `past` is not `base`."""
    days, assets = past.time.values.astype("M8[D]"), past.asset.values.tolist()
    try:
        answer = ask()
    except Exception as error:  # whatever a user's function raises when the future or the dates change
        yield Finding(level, how, days[-1], assets[0], np.inf, error=f"{type(error).__name__}: {error}")
        return
    with np.errstate(all="ignore"):
        size = np.abs(answer - base)
        same = (
            (answer == base)
            | (np.isnan(answer) & np.isnan(base))
            | (size <= TOLERANCE * np.maximum(1, np.abs(base)))
        )
    if not same.all():
        day, asset = np.argwhere(~same.reshape(-1, *same.shape[-2:]).all(axis=0))[0]
        largest = size[~same & np.isfinite(size)].max(initial=0) or np.inf
        yield Finding(level, how, days[day - base.shape[-2]], assets[asset], float(largest))
