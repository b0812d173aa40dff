"""The check for look-ahead bias.

A strategy's results for a day must not change with the days after it.
"""

import io
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from lib.common.errors import WrongValueError
from lib.common.market_data import check_data
from lib.common.registry import full_name_of
from lib.lookahead.findings import Leak, LeakReport, merged, shortened
from lib.lookahead.questions import askable
from lib.lookahead.tables import functions_of_user
from lib.lookahead.trials import Trials
from lib.strategy import Strategy, own_methods

if TYPE_CHECKING:
    import xarray as xr

DATE_SHIFT_DAYS = 3  # of the days tried, how many under other dates too: a look-up of dates shows on any day
MEMORY_DAYS = 3  # of the days tried, how many in new processes too: a memory shows on any day
LOADING_DAYS = 3  # of the days tried, on how many an own load_data is called
NOT_ALL = "Not tried: numbers, names and models computed from all data beforehand"
INSTEAD = "Pass a function data -> Strategy for those."
NO_PROCESS = (
    "Not tried: whether a function keeps something between calls; no process could be started for that."
)


def check(
    strategy: "Strategy | Callable[[xr.DataArray], Strategy]",
    data: "xr.DataArray",
    days: int = 20,
    seed: int = 0,
) -> LeakReport:
    """Check a strategy for look-ahead.

    The check covers each feature, the selection, the training, and a chain of predictions. The strategy may
    be of any kind: a subclass, or functions in place of `load_data`, `train_model` and `predict`, with models
    and a state of their own. Each result for a random day is first computed from data that end on that day,
    while the platform's library loads nothing later either. It is compared with the result

    - when the later days are present as noise, and the library loads all it has, as it does in a backtest.
      Tables that the functions use from elsewhere (variables of another cell, closures, attributes) are
      changed after the day too: arrays, frames, lists and dicts with a time axis. Features see the later
      days too, and are computed once more with gaps planted before the day, which reveals a back-fill;
    - after a call for the last day, with which a backtest begins (on the first three days, in new
      processes; on Linux only);
    - when the same prices stand under other dates (on the first three days).

    The check thus finds a function that reads later rows of its argument or of a table from elsewhere; a
    function that loads data by itself, except through `strategy.load_data`, which ends on the day in a
    backtest as well; and a function that keeps something between calls. Data and tables are changed
    **in place**, and restored; read-only data are copied first. A feature that spreads the end of its window
    over the window, such as ``close / close[-1]``, spoils the training without using the future. This is a
    kind of its own. A result that differs when it is computed again is reported as not deterministic. A
    result that depends on dates is reported as such: the calendar, or a table of prices.

    It cannot see a number computed from all data beforehand, such as a mean or a fitted model, which looks
    like any constant: for that, pass a function that makes the strategy from data. Nor does it detect values
    that a function kept from before the check. Files that functions read, and objects that cannot be
    followed, are named in the report.

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
        of a window backwards, so a window must be longer: then no result for its last day reads those.
    """
    if days < 1:
        raise WrongValueError(f"days is {days}: it must be 1 or more.")
    data = check_data(data)
    if not data.values.flags.writeable:
        data = data.copy(deep=True)
    given = strategy if isinstance(strategy, Strategy) else None
    make: Callable[[xr.DataArray], Strategy] = strategy if given is None else lambda _: given  # type: ignore
    rng = np.random.default_rng(seed)
    # warnings about gaps, noise and untrained assets are expected here; a progress bar replaces the output
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        parameters = make(data)
        rows = np.sort(rng.permutation(askable(data, parameters))[:days]).tolist()
        trials = Trials(make, data, rows, rng)
        found: list[tuple[int, Leak]] = []
        with tqdm(total=1 + len(rows), unit="day", desc="Look-ahead", disable=not _watched()) as bar:
            remembered = trials.memory(rows[:MEMORY_DAYS])
            found += remembered or []
            bar.update()
            for k, row in enumerate(rows):
                found += ((row, leak) for leak in trials.future(row))
                if k < DATE_SHIFT_DAYS:
                    found += ((row, leak) for leak in trials.dates(row))
                if trials.loads and k < LOADING_DAYS:
                    found += ((row, leak) for leak in trials.loading(row))
                bar.update()

    notes = [NO_PROCESS] * (remembered is None)
    constants = trials.known.constants
    if given and (constants or _has_own_code(given)):
        notes.insert(0, f"{NOT_ALL}{f', such as {shortened(constants)}' if constants else ''}. {INSTEAD}")
    return LeakReport(
        merged(found, trials.stages),
        data.time.values[rows].astype("M8[D]"),
        trials.stages,
        tuple(notes),
        tables=tuple(map(str, trials.known.tables)),
        unseen=(*trials.known.closed, *(f"the file or connection {name}" for name in sorted(trials.read))),
    )


def _has_own_code(strategy: Strategy) -> bool:
    """Return True if a strategy has own code.

    Own code is a function or method that is not part of this project.
    """
    names = (full_name_of(function) for _, function in functions_of_user(strategy))
    return bool(own_methods(strategy)) or not all(name.startswith("lib.") for name in names)


def _watched() -> bool:
    """Return True if a person sees stderr.

    A person sees it in a notebook or a terminal.
    """
    from qnt.graph import is_notebook

    return sys.stderr.isatty() or is_notebook()
