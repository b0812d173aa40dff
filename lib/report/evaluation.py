"""The evaluation of a backtest beside its baselines.

They are the strategy without the model, equal weights, and an earlier run. The backtest without the model has
the same selection, sizing and state, and one half for every output. It needs no training: the assets of each
training are known, and a day's weights follow from outputs and data. Runs are kept as files, to be shown as
"before" beside a later one.
"""

import hashlib
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.errors import WrongValueError
from lib.common.files import replace_file
from lib.common.market_data import check_data
from lib.engine.learners import CONSTANT_OUTPUT
from lib.engine.prediction import KnownOutputs, predict_days, sizing_of
from lib.report.outputs import EvaluatedTraining, traded_outputs
from lib.runs.provenance import market_fingerprint
from lib.stats.performance import (
    AddedValue,
    Measures,
    added_value,
    added_value_sentence,
    change_sentence,
    measured,
)
from lib.stats.portfolios import Portfolio, equal_weights, portfolio, same_positions
from lib.stats.resampling import coverage_sentence
from lib.strategy import Strategy, uses_methods_of_strategy

if TYPE_CHECKING:
    import xarray as xr

    from lib.common.competitions import Competition
    from lib.report.backtest_log import BacktestLog


STRATEGY, BEFORE = "strategy", "before"
WITHOUT, EQUAL = "without the model", "equal weights"
NOT_THESE = (
    "The weights are not what the strategy makes of these trainings: there is no line without the model."
)
OWN_METHODS = "The strategy has a train_model or predict of its own: there is no line without the model."
HOLDS_NOTHING = "The strategy never holds anything: "


FOLDER = Path("runs/report")
LAST = "last"  # stands for the last run that differs from the present one
MOST = 8  # files of runs without a name; older ones are removed
NAME = re.compile(r"\w[\w.-]{0,59}")


class EarlierRun(NamedTuple):
    """A run that was kept.

    It has the changes of its strategy, the time of the run, and its portfolio.
    """

    label: str
    when: str
    portfolio: Portfolio


class Evaluation(NamedTuple):
    """The portfolios of a report and their measures.

    The evaluation also has the value that the model adds.
    """

    portfolios: dict[str, Portfolio]
    measures: dict[str, Measures]
    value: AddedValue | None
    sentence: str
    weights: "xr.DataArray"  # (time, asset) as the strategy returned them
    change: AddedValue | None = None  # since an earlier run
    change_sentence: str = ""


class Baseline(NamedTuple):
    """The weights (time, asset) without the model.

    `missing` is the reason if there are none.
    """

    weights: "xr.DataArray | None"
    sizing: str = ""  # in place of the strategy's, where that holds nothing without a model
    missing: str = ""


def evaluate(
    data: "xr.DataArray",
    weights: "xr.DataArray",
    rules: "Competition",
    log: "BacktestLog | None" = None,
    before: str | None = None,
    keep: str = "",
) -> Evaluation:
    """Compute the portfolios of a backtest with their measures.

    The result also has the value that the model adds, and the change since an earlier run. The parameters are
    the same as for `lib.report.show_backtest`. With `log` the weights are the ones that the strategy
    returned, otherwise the given ones. Without `log`, or for a single day, `value` is None.
    """
    returned = None if log is None else log.returned_weights(weights, data)
    own = weights if returned is None else returned
    prices = data.sel(time=slice(None, weights.time.values[-1]))
    portfolios = {STRATEGY: portfolio(prices, own, rules)}
    days = portfolios[STRATEGY].returns.time.values
    earlier, note = None, ""
    if len(days) > 1 and (before is not None or keep):
        earlier, note = _earlier(prices, portfolios[STRATEGY], log, before, keep)
    if earlier is not None:
        portfolios[BEFORE] = earlier.portfolio
    baseline = Baseline(None)
    if log is not None and len(days) > 1:
        baseline = (
            Baseline(None, missing=NOT_THESE) if returned is None else without_model(log, data, weights)
        )
    if baseline.weights is not None:
        portfolios[WITHOUT] = portfolio(prices, baseline.weights, rules)
    portfolios[EQUAL] = portfolio(prices, equal_weights(prices, days), rules)
    if len(days) < 2:
        return Evaluation(portfolios, {}, None, "", own)
    measures = measured({name: each.returns for name, each in portfolios.items()}, rules)
    found = Evaluation(portfolios, measures, None, baseline.missing, own, change_sentence=note)
    if earlier is not None:
        change = _difference(portfolios, measures, BEFORE)
        sentence = f"Before: {earlier.label}, run on {earlier.when}. {change_sentence(change)}"
        found = found._replace(change=change, change_sentence=sentence)
    if log is not None and not (portfolios[STRATEGY].weights != 0).any():
        return found._replace(sentence=HOLDS_NOTHING + _why_nothing(log, data, weights))
    if baseline.weights is None:
        return found
    value = _difference(portfolios, measures, WITHOUT)
    sentence = f"{added_value_sentence(value, baseline.sizing)} {coverage_sentence(len(days))}".strip()
    return found._replace(value=value, sentence=sentence)


def _difference(portfolios: dict[str, Portfolio], measures: dict[str, Measures], other: str) -> AddedValue:
    """Return the strategy's added value over another portfolio."""
    pair = [portfolios[name] for name in (STRATEGY, other)]
    returns, weights = [each.returns for each in pair], [each.weights for each in pair]
    return added_value(measures[STRATEGY], measures[other], returns, weights)


def _earlier(
    data: "xr.DataArray", mine: Portfolio, log: "BacktestLog | None", before: str | None, keep: str
) -> tuple[EarlierRun | None, str]:
    """Return the earlier run and keep the present one.

    The present run is kept for the next. The second value is a note.
    """
    check_names(before, keep)
    key = days_key(data, mine.returns.time.values, str(data.name))
    earlier, note = (None, "") if before is None else find_run(before, key, mine)
    changes = ", ".join(log.strategy.differences()) if log is not None else "weights of a cell"
    run = EarlierRun(changes or "as published", now(), mine)
    try:
        for name in {"", keep}:
            keep_run(run, key, name)
    except OSError as error:
        note = f"{note} The run cannot be kept for later: {error.strerror or error}.".strip()
    return earlier, note


def without_model(log: "BacktestLog", data: "xr.DataArray", weights: "xr.DataArray") -> Baseline:
    """Compute the weights of a backtest without the model.

    Every output of the model is replaced by one half.

    Parameters
    ----------
    log : BacktestLog
        The log of the backtest.
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and the lookback period before them.
    weights : xarray.DataArray
        (time, asset), as `backtest_ml` returned them.

    Returns
    -------
    Baseline
        Without weights where the strategy's own do not follow from the trainings. Where the strategy's sizing
        holds nothing without a model, as "above_half" does, the sizing is "as_output": the selected assets in
        nearly equal weights.
    """
    strategy = log.strategy
    if not uses_methods_of_strategy(strategy):
        return Baseline(None, missing=OWN_METHODS)
    returned, trainings = log.returned_weights(weights, data), log.evaluated(data, weights)
    if returned is None or not trainings:
        return Baseline(None, missing=NOT_THESE)
    seen, days = check_data(log.seen(data)), weights.time.values
    if not same_positions(_chain(trainings, seen, days, strategy, constant=False), returned):
        return Baseline(None, missing=NOT_THESE)
    for name in (strategy.sizing, "as_output"):
        sized = replace(strategy, sizing=name)
        found = _chain(trainings, seen, days, sized, constant=True)
        if (found != 0).any():
            break
    return Baseline(found, "" if sized == strategy else "as_output")


def _chain(
    trainings: list[EvaluatedTraining],
    data: "xr.DataArray",
    days: np.ndarray,
    strategy: Strategy,
    constant: bool,
) -> "xr.DataArray":
    """Return the weights (time, asset) of the days.

    The weights of each day are blended with the day before.
    """
    traded = {  # of a day with a new training the later one counts
        day: (training.models, row) for training in trainings for day, row in _by_day(training.outputs)
    }
    # what a sizing sees is cut as `backtest_ml` cuts it
    period = strategy.lookback_period if sizing_of(strategy)[1] else 0
    steps = []
    for day in days:
        models, row = traded.get(day, ((), {}))
        outputs = dict.fromkeys(row, CONSTANT_OUTPUT) if constant else row
        seen = data.sel(time=slice(day - np.timedelta64(period, "D"), day))
        steps.append((KnownOutputs(outputs, models), seen))
    held = [weights.values[0] for weights, _ in predict_days(strategy.predict, steps)]
    return data.isel(field=0, drop=True).sel(time=days).copy(data=np.stack(held))


def _by_day(outputs: "xr.DataArray") -> list[tuple[np.datetime64, dict[str, float]]]:
    assets = outputs.asset.values.tolist()
    rows = zip(outputs.time.values, outputs.values.tolist(), strict=True)
    return [(day, {a: x for a, x in zip(assets, row, strict=True) if np.isfinite(x)}) for day, row in rows]


def _why_nothing(log: "BacktestLog", data: "xr.DataArray", weights: "xr.DataArray") -> str:
    """Return why a strategy never has a position."""
    trainings = log.evaluated(data, weights)
    if not uses_methods_of_strategy(log.strategy) or not trainings:
        return "predict returned no position on any day."
    if not any(len(training.models) for training in trainings):
        return "no asset got a model in any training."
    if not np.isfinite(traded_outputs(trainings).values).any():
        return "no model has an output, since on each day a feature has no value."
    return f"no output becomes a weight of at least min_weight ({log.strategy.min_weight})."


def days_key(data: "xr.DataArray", days: np.ndarray, competition_type: str) -> str:
    """Return the key of a backtest's market.

    The key covers the days of the backtest. Runs with another key are not comparable.
    """
    return f"{competition_type} {market_fingerprint(data.sel(time=days))}"


def keep_run(run: EarlierRun, key: str, name: str = "") -> None:
    """Keep a run as a file.

    The file has a name, or is one of the last `MOST` ones.

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
    """Return an earlier run on the same days.

    The run is on the same market too. If there is none, the result is None and a sentence with the reason.
    `which` is a name, or "last" for the last run whose weights differ from the weights of `present`. The
    sentence is empty if there is no such run yet.
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
    """Check the names of shown and kept runs.

    `before` is the name of the shown run, and `keep` the name of the kept run.

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
    """Return the present minute as text.

    Runs are labelled with this text.
    """
    return time.strftime("%Y-%m-%d %H:%M")


def _path(name: str) -> Path:
    if not NAME.fullmatch(name) or name == LAST:
        raise WrongValueError(
            f"A run cannot be kept as {name!r}: a name has letters, digits, - and _, such as baseline."
        )
    return FOLDER / f"{name}.kept.nc"


def _last_runs() -> list[Path]:
    """Return the files of runs without a name.

    The newest file comes first.
    """
    return sorted(FOLDER.glob("*.last.nc"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _read(path: Path, key: str) -> EarlierRun | None:
    """Return the run of a file.

    The result is None for a damaged file and for other days.
    """
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
