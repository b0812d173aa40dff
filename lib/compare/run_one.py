"""One run: the backtest of a strategy over a range of days, and its figures."""

import contextlib
import hashlib
import io
import math
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from lib.backtest import backtest, leaving_no_files
from lib.compare import draws
from lib.runs import project_code, provenance
from lib.runs.store import DRAW, Record
from lib.runs.user_functions import register
from lib.stats.friction import under_friction
from lib.stats.performance import win_rate
from lib.strategy import STATISTICS_DAYS, Strategy

if TYPE_CHECKING:
    import xarray as xr

FROM_STATS = ("sharpe_ratio", "mean_return", "volatility", "max_drawdown", "avg_turnover")
FIGURES = (*FROM_STATS, "win_rate")
LOG_LENGTH = 4_000  # characters
# qnt keeps files, the end of the data and messages for the whole process: one run at a time in each
_ALONE = threading.Lock()


def execute(
    strategy: Strategy, planned: Record, registered: Mapping[str, Mapping[str, Callable]] | None = None
) -> Record:
    """Run one backtest; the record with status "finished" or "failed", whatever happens in it.

    `planned` is of `lib.runs.store.plan`; the functions in `registered` (see `lib.runs.user_functions`)
    are registered first. Nothing is printed and nothing left on the disk; the end of what the library printed
    is kept as `log`.
    """
    log, started = io.StringIO(), time.perf_counter()
    with (
        _ALONE,
        leaving_no_files(),
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            register(registered or {})
            outcome = {"status": "finished", "message": "", **_backtest(strategy, planned)}
        except (Exception, SystemExit) as error:  # qnt may end the process, for want of an API_KEY
            traceback.print_exc()
            outcome = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
    outcome |= {"seconds": round(time.perf_counter() - started, 3), "log": log.getvalue()[-LOG_LENGTH:]}
    return planned | outcome


def _backtest(strategy: Strategy, planned: Record) -> Record:
    from lib.engine.models import needs_torch

    data = strategy.load_range(planned["start"], planned["end"])
    if provenance.market_fingerprint(data) != planned["market"]:
        raise ValueError("this worker loads other data than the comparison: give both the same market.")
    if project_code.fingerprint(planned["files"]) != planned["code"]:
        raise ValueError("this worker has another version of the code than the comparison: update it.")
    if needs_torch(strategy):
        import torch

        torch.set_num_threads(1)  # the cores are busy with other runs
    draw = planned.get(DRAW, {})
    trained, (start, end) = draws.trained_on(strategy, draw), draws.backtest_days(planned)
    weights, _ = backtest(trained, start, end, load_data=draws.loader(strategy, draw))
    first, last = weights.time.values[[0, -1]]
    priced = data.sel(time=slice(first - np.timedelta64(STATISTICS_DAYS, "D"), last))
    outcome = _figures(priced, weights) | {"versions": provenance.versions(strategy)}
    if not draw:
        friction = under_friction(priced, weights)
        outcome["friction"] = {name: _number(value) for name, value in friction.items()}
    return outcome


def _figures(priced: "xr.DataArray", weights: "xr.DataArray") -> Record:
    """The platform's statistics of the weights on their last day, and the returns of all days."""
    import qnt.stats as qnstats

    first = weights.time.values[0]
    stats = qnstats.calc_stat(priced, weights).sel(time=slice(first, None))
    returns = stats.sel(field="relative_return").values
    figures = {name: _number(stats.sel(field=name).values[-1]) for name in FROM_STATS}
    figures["win_rate"] = _number(win_rate(returns))
    sha = hashlib.sha256(np.ascontiguousarray(weights.transpose("time", "asset").values, "<f8").tobytes())
    return {
        "figures": figures,
        "returns": [_number(value) for value in returns],
        "days": [str(day)[:10] for day in weights.time.values[[0, -1]]],
        "dates": [str(day)[:10] for day in stats.time.values],
        "weights_sha256": sha.hexdigest(),
    }


def _number(value: float) -> float | None:
    """A float that JSON can hold; None stands for what is not finite."""
    return float(value) if math.isfinite(value) else None
