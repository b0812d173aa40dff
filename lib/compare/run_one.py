"""What comes of one variant? A backtest over a range of days, and its figures."""

import contextlib
import hashlib
import io
import math
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lib.compare import provenance
from lib.compare.runs import Record
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

FROM_STATS = ("sharpe_ratio", "mean_return", "volatility", "max_drawdown", "avg_turnover")
FIGURES = (*FROM_STATS, "hit_rate")
BEFORE = 60  # calendar days of prices ahead of the weights, as backtest_ml's own statistics have them
LOG_LENGTH = 4_000  # characters
# qnt keeps files, data's end and messages for the whole process: one run at a time in each
_ALONE = threading.Lock()


def load_market(strategy: Strategy, start: str, end: str) -> "xr.DataArray":
    """All days that a backtest of the strategy from `start` to `end` sees, dims (field, time, asset)."""
    import qnt.data as qndata

    days = max(strategy.train_period + strategy.lookback_period, BEFORE)
    first = str(np.datetime64(start) - np.timedelta64(days, "D"))
    return qndata.load_data_by_type(strategy.competition_type, min_date=first, max_date=end)


def execute(strategy: Strategy, planned: Record) -> Record:
    """Run one backtest; the record with status "finished" or "failed", whatever happens in it.

    Nothing is printed and nothing left on the disk; the end of what the library said is kept as `log`.
    """
    log, started = io.StringIO(), time.perf_counter()
    with (
        _ALONE,
        tempfile.TemporaryDirectory() as folder,
        _environment(folder),
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            outcome = {"status": "finished", "message": "", **_backtest(strategy, planned)}
        except (Exception, SystemExit) as error:  # qnt may end the process, for want of an API_KEY
            traceback.print_exc()
            outcome = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
    outcome |= {"seconds": round(time.perf_counter() - started, 3), "log": log.getvalue()[-LOG_LENGTH:]}
    return planned | outcome


def _backtest(strategy: Strategy, planned: Record) -> Record:
    import qnt.backtester as qnbt

    from lib.engine.fast_lstm import needs_torch

    data = load_market(strategy, planned["start"], planned["end"])
    if provenance.market_fingerprint(data) != planned["market"]:
        raise ValueError("this worker loads other data than the comparison: give both the same market.")
    if provenance.code_fingerprint() != planned["code"]:
        raise ValueError("this worker has another version of lib/ than the comparison: give both the same.")
    if needs_torch(strategy):
        import torch

        torch.set_num_threads(1)  # the cores are busy with other runs
    weights, _ = qnbt.backtest_ml(
        load_data=strategy.load_data,
        train=strategy.train_model,
        predict=strategy.predict,
        train_period=strategy.train_period,
        retrain_interval=strategy.retrain_interval,
        predict_each_day=True,
        competition_type=strategy.competition_type,
        lookback_period=strategy.lookback_period,
        start_date=planned["start"],
        end_date=planned["end"],
        analyze=False,
        build_plots=False,
    )
    return _figures(data, weights) | {"versions": provenance.versions(strategy)}


def _figures(data: "xr.DataArray", weights: "xr.DataArray") -> Record:
    """What the platform's statistics say of the weights on their last day, and the returns of all days."""
    import qnt.stats as qnstats

    first = weights.time.values[0]
    stats = qnstats.calc_stat(data.sel(time=slice(first - np.timedelta64(BEFORE, "D"), None)), weights)
    stats = stats.sel(time=slice(first, None))
    returns = stats.sel(field="relative_return").values
    held = returns[(returns != 0) & np.isfinite(returns)]
    figures = {name: _number(stats.sel(field=name).values[-1]) for name in FROM_STATS}
    figures["hit_rate"] = _number((held > 0).mean()) if len(held) else None
    sha = hashlib.sha256(np.ascontiguousarray(weights.transpose("time", "asset").values, "<f8").tobytes())
    days = [str(first)[:10], str(weights.time.values[-1])[:10]]
    return {
        "figures": figures,
        "returns": [_number(one) for one in returns],
        "days": days,
        "weights_sha256": sha.hexdigest(),
    }


def _number(value: float) -> float | None:
    """A float that JSON can hold; None stands for what is not finite."""
    return float(value) if math.isfinite(value) else None


@contextlib.contextmanager
def _environment(folder: str) -> Iterator[None]:
    """The library's files go to `folder`, and this is no submission."""
    unset = ("SUBMISSION_ID", "MULTI_PASS_MODE_ENABLED", "IN_STATE_PATH", "LAST_DATA_PATH")
    ours = {"OUTPUT_PATH": f"{folder}/weights", "OUT_STATE_PATH": f"{folder}/state", "NONINTERACT": "1"}
    before = {name: os.environ.get(name) for name in (*unset, *ours)}
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
