"""Does a strategy know the future? Days are cut off or changed, and it is asked again about those before."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lib.features import FEATURES, feature_values
from lib.lookahead.leak_report import Finding, LeakReport, merged
from lib.prediction import model_outputs
from lib.state import State
from lib.strategy import Strategy, find
from lib.training import sequences
from lib.universe import check_data, field, select_assets

if TYPE_CHECKING:
    import xarray as xr

CHAIN = 2  # days predicted one after the other, the state handed on
ELSEWHEN = 3  # of the days tried, how many under other dates too: what looks up dates shows on any day
LATER = 20  # days that a feature is shown beyond the one it is asked about
TOLERANCE = 1e-9  # of a value; absolute where that is below 1
CYCLE = np.timedelta64(
    28 * 365 + 7, "D"
)  # after 28 years the calendar repeats, days of the week and leap years included

Questions = dict[
    str, Callable[[], np.ndarray]
]  # by level; an answer has dims (..., time, asset) and ends on the day


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
    rows = np.sort(rng.permutation(_rows(data, parameters))[:days])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gaps, noise, and assets that cannot be trained, are wanted here
        findings = [
            (row, found)
            for k, row in enumerate(rows.tolist())
            for found in _compare(make, data, row, rng, k < ELSEWHEN)
        ]

    own = given and any(map(callable, (*given.features, given.target, given.selection, given.model)))
    note = "Not tried: numbers computed from all data beforehand. Pass a function data -> Strategy for those."
    levels = tuple(_questions(parameters, data, rows[0], _gaps(data, rows[0], rng)))
    return LeakReport(
        findings=merged(sorted(findings, key=lambda one: levels.index(one[1].level))),
        days=data.time.values[rows].astype("M8[D]"),
        levels=levels,
        note=note if own else "",
    )


def _rows(data: "xr.DataArray", strategy: Strategy) -> np.ndarray:
    """Days with whole windows before them, those of a chain included, and a day after them."""
    periods = sorted((strategy.lookback_period, strategy.train_period))
    rows = np.arange(CHAIN - 1, data.sizes["time"] - 1)
    time = data.time.values
    whole = [row for row in rows if time[row - CHAIN + 1] - np.timedelta64(periods[1], "D") >= time[0]]
    long = [row for row in whole if int(row) - _first(data, int(row), periods[0]) > strategy.lwma_period]
    if not long:
        raise ValueError(
            f"no day of the {len(time)} has {periods[1]} calendar days of data before it, a day after it, "
            f"and more than lwma_period + 1 = {strategy.lwma_period + 1} days in a window: load more."
        )
    return np.array(long)


def _first(data: "xr.DataArray", row: int, period: int) -> int:
    """First row of the window of so many calendar days that ends on a row, as `backtest_ml` cuts it."""
    return int(np.searchsorted(data.time.values, data.time.values[row] - np.timedelta64(period, "D")))


def _gaps(data: "xr.DataArray", row: int, rng: np.random.Generator) -> np.ndarray:
    """Where to plant gaps, (time, asset): one to three days up to the row, in about half of the assets."""
    gaps = np.zeros(data.shape[1:], bool)
    chosen = rng.permutation(data.sizes["asset"])[: (data.sizes["asset"] + 1) // 2]
    gaps[row + 1 - rng.integers(1, 4) : row + 1, chosen] = True
    return gaps


def _compare(
    make: Callable, data: "xr.DataArray", row: int, rng: np.random.Generator, other_dates: bool
) -> Iterator[Finding]:
    """Ask about a day, from data that end there; then again while what it must not know is changed."""
    gaps = _gaps(data, row, rng)
    past = data[:, : row + 1]
    before = _questions(make(past), past, row, gaps)
    base = {level: ask() for level, ask in before.items()}
    features = [level for level in base if level.startswith("feature")]

    def differences(how: str, questions: Questions, levels: list[str]) -> Iterator[Finding]:
        for level in levels:
            yield from _difference(level, how, past, base[level], questions[level])

    yield from differences("future", _questions(make(data), data, row, gaps), features)
    with _other_future(data, row, rng):
        yield from differences("future", _questions(make(data), data, row, gaps), [*base])
    yield from differences("memory", before, features)
    if other_dates:
        elsewhen = past.assign_coords(time=past.time.values + CYCLE)
        yield from differences("dates", _questions(make(elsewhen), elsewhen, row, gaps), [*base])


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


def _questions(strategy: Strategy, data: "xr.DataArray", row: int, gaps: np.ndarray) -> Questions:
    """What can be asked about a row of data, by level. Only features see the rows after it, if any."""
    index = data.get_index("asset")
    names = [find("features", feature, FEATURES).__name__ for feature in strategy.features]
    labels = [f"feature {name}" + f" ({k + 1})" * (names.count(name) > 1) for k, name in enumerate(names)]
    first = _first(data, row, strategy.lookback_period)
    training = data[:, _first(data, row, strategy.train_period) : row + 1]
    trained: list = []

    def feature(k: int) -> np.ndarray:  # once with the gaps there are, once with those planted
        alone = replace(strategy, features=(strategy.features[k],))
        answers = []
        for planted in (False, True):
            window = data[:, first : row + 1 + LATER].copy(deep=True)
            window.values[:, : row + 1 - first][:, gaps[first : row + 1] & planted] = np.nan
            priced = (field(window, "close")[: row + 1 - first] > 0).any(axis=0)
            answers.append(np.where(priced, feature_values(window, alone)[0, : row + 1 - first], 0))
        return np.stack(answers)

    def models():
        if not trained:
            trained.append(strategy.train_model(training.copy(deep=True)))
        return trained[0]

    def outputs() -> np.ndarray:  # of each model, for the window it was trained on
        x, finite = sequences(training.copy(deep=True), strategy)
        places = {asset: index.get_loc(asset) for asset in models()}
        inputs = {asset: x[k][finite[k]] for asset, k in places.items() if finite[k].any()}
        answers = np.full(x.shape[1::-1], np.nan)
        for asset, output in model_outputs(models(), inputs).items():
            answers[finite[places[asset]], places[asset]] = output
        return answers

    def chain() -> np.ndarray:
        state: State | None = None
        answers = []
        for day in range(row + 1 - CHAIN, row + 1):
            window = data[:, _first(data, day, strategy.lookback_period) : day + 1].copy(deep=True)
            weights, state = strategy.predict(models(), window, state)
            answers.append(weights.isel(time=-1).reindex(asset=index, fill_value=0).values)
        return np.stack(answers)

    return {
        **{label: partial(feature, k) for k, label in enumerate(labels)},
        "selection": lambda: index.isin(select_assets(training.copy(deep=True), strategy)).astype(float)[
            None
        ],
        "training": outputs,
        "prediction": chain,
    }


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
