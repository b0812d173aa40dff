"""The contest's verdict on a strategy, before its submission."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.backtest import check_range, last_day
from lib.common.competitions import COMPETITIONS
from lib.common.errors import WrongValueError
from lib.common.market_data import days_between
from lib.contest import record
from lib.contest.all_days import ContestWarning, PassError, RunStopped, pass_identity, whole_run
from lib.contest.passes import Pass
from lib.contest.peers import check_scaling
from lib.contest.verdict import Verdict, contest_verdict
from lib.runs import provenance
from lib.runs.workers import check_backend
from lib.stats.portfolios import equal_weights
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RUNS", "ContestWarning", "PassError", "RunStopped", "Verdict", "contest"]

RUNS = "runs/contest"
DAYS = "days"  # in the folder of a strategy: its passes


def contest(
    strategy: Strategy,
    start: Any = None,
    end: Any = None,
    *,
    folder: str | Path = RUNS,
    progress: bool = True,
    title: str = "",
    scaled: bool = False,
    **where: Any,
) -> Verdict:
    """Run and check a strategy as the contest does.

    Every day has a training and a prediction. The published template is run on the same days for comparison.
    Days that were run before are not run again.

    Parameters
    ----------
    strategy : Strategy
    start, end : date-like
        First and last day. Default: the competition's first day in sample, and the last day of the data.
    folder : path
        Folder of the files verdict.json, weights.nc.gz and verdict.html, and of the kept passes, which have a
        folder for each strategy.
    progress : bool
        Show a progress bar on stderr.
    title : str
        Name of the strategy in the verdict; default: its differences from the published one.
    scaled : bool
        Compare with the benchmark at the volatility of the payout too, 10 % in the crypto contests.
    **where
        `workers`, `backend`, `scheduler`: the number of days at once, and the machines; see
        `lib.runs.workers.run_all`.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        A malformed range, or days without data: before anything runs.
    PassError
        A pass failed.
    RunStopped
        At Ctrl-C; the same call continues from there.

    Warns
    -----
    ContestWarning
        Damaged files, whose days are computed again.
    """
    rules = COMPETITIONS[strategy.competition_type]
    check_scaling(scaled, strategy.competition_type, rules)
    published = Strategy(competition_type=strategy.competition_type)
    first, last = check_range(strategy, rules.first_day if start is None else start, end)
    check_range(published, first, last)
    check_backend(**where)
    data = _load(
        max(strategy, published, key=lambda item: item.train_period + item.lookback_period), first, last
    )
    begin, finish = np.datetime64(first, "D"), data.time.values[-1].astype("M8[D]")
    if not len(days_between(data, begin, finish)):
        raise WrongValueError(
            f"There is no trading day from {first} to {last or finish}: choose other dates."
        )
    folder, days = Path(folder), (begin, finish)
    own, other = (pass_identity(item) for item in (strategy, published))
    place, more = folder / own.key / DAYS, {"progress": progress, **where}
    complete = last is None or finish == last_day(strategy)
    run, damaged = whole_run(strategy, data, *days, place, own, title="your strategy", **more)
    template = run
    if other.key != own.key:
        place = folder / other.key / DAYS
        template, sentences = whole_run(published, data, *days, place, other, title="the template", **more)
        damaged += sentences
    weights, passes = run
    market = provenance.market_fingerprint(data.sel(time=slice(begin, None)))
    earlier, unread = record.earlier_verdicts(folder, strategy.competition_type, market, {own.key, other.key})
    for sentence in [*damaged, *unread]:
        warnings.warn(sentence, ContestWarning, stacklevel=2)
    verdict = contest_verdict(
        data,
        weights,
        rules,
        template=template.weights,
        selected=equal_in_selected(data, passes),
        earlier=earlier,
        seconds=max(entry.seconds for entry in passes),
        complete=complete,
        synthetic=provenance.is_synthetic(),
        scaled=scaled,
        source=provenance.market_name(),
        parameters=strategy.as_dict(),
        title=title or ", ".join(strategy.differences()) or "as published",
    )
    record.write_verdict(folder, own.key, market, verdict, weights, passes)
    return verdict


def equal_in_selected(data: "xr.DataArray", passes: list[Pass]) -> "xr.DataArray | None":
    """Return equal weights (time, asset) of the selected assets.

    Only liquid assets with a price have a weight. The result is None if the models do not contain the
    selected assets.
    """
    if any(entry.models is None for entry in passes):
        return None
    days = np.array([entry.day for entry in passes], dtype="M8[ns]")
    weights = equal_weights(data, days)
    places = weights.get_index("asset")
    chosen = np.zeros(weights.shape, bool)
    for row, entry in zip(chosen, passes, strict=True):
        row[places.get_indexer([*(entry.models or ()), *entry.dropped])] = True
    held = ((weights > 0) & chosen).astype(float)
    return held / held.sum("asset").clip(min=1)


def _load(strategy: Strategy, first: str, last: str | None) -> "xr.DataArray":
    """Load the market without the loader's log."""
    import qnt.log as qnlog

    with qnlog.Settings(info=False):
        return strategy.load_range(first, last)
