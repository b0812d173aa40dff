"""The backtest without the model: the same selection, sizing and state, every output one half.

No training is needed: the assets of each training are known, and what a day's weights are made of besides
the outputs stands in the data.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lib.common.competitions import COMPETITIONS
from lib.common.market_data import check_data, field
from lib.engine.constant import ANSWER
from lib.engine.weights import blend, raw_weights
from lib.stats.portfolios import with_same_assets

if TYPE_CHECKING:
    import xarray as xr

    from lib.report.training_log import TrainingLog
    from lib.strategy import Strategy

SAME = 1e-9  # difference of weights that rounding may cause


class WithoutModel(NamedTuple):
    """The weights (time, asset) without the model, and the sizing in place of the strategy's, if any."""

    weights: "xr.DataArray"
    replaced: str


def without_model(log: "TrainingLog", data: "xr.DataArray", weights: "xr.DataArray") -> WithoutModel | None:
    """Return what the backtest would have held if every model answered one half.

    Parameters
    ----------
    log : TrainingLog
        The log of the backtest.
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and the lookback period before them.
    weights : xarray.DataArray
        (time, asset), as `backtest_ml` returned them.

    Returns
    -------
    WithoutModel or None
        None where the weights are not what `strategy.predict` makes of these trainings. Where the strategy's
        sizing holds nothing without a model, as "above_half" does, the sizing is "as_output": the selected
        assets in nearly equal weights.
    """
    from dataclasses import replace

    if not log.of_backtest(weights.time.values):
        return None
    strategy = log.of_backtest(weights.time.values)[-1].strategy
    if not _equal(_chain(log, data, weights, strategy, constant=False), weights):
        return None
    for sizing in (strategy.sizing, "as_output"):
        sized = replace(strategy, sizing=sizing)
        found = _chain(log, data, weights, sized, constant=True)
        if (found != 0).any():
            break
    return WithoutModel(found, "" if sized == strategy else "as_output")


def _chain(
    log: "TrainingLog", data: "xr.DataArray", weights: "xr.DataArray", strategy: "Strategy", constant: bool
) -> "xr.DataArray":
    """Weights (time, asset) of the days, each blended with the day before, as `backtest_ml` cleans them."""
    import qnt.log as qnlog
    import qnt.output as qnout

    data = check_data(data)
    assets, time = data.get_index("asset").tolist(), data.time.values
    price, liquid = field(data, "close"), field(data, "is_liquid")
    tradable = np.isfinite(price) & (price > 0) & (liquid > 0)
    held = np.zeros((weights.sizes["time"], len(assets)))
    traded = {  # of a day with a new training the later one counts
        day: (models, row) for models, rows in log.outputs(data, weights) for day, row in _by_day(rows)
    }
    old = np.zeros(len(assets))
    for k, day in enumerate(weights.time.values):
        models, row = traded.get(day, ({}, {}))
        row = dict.fromkeys(row, ANSWER) if constant else row
        at = int(np.searchsorted(time, day))
        new = raw_weights(row, assets, liquid[at], models, strategy)
        old = blend(new, old, strategy.min_weight, strategy.max_weight)
        held[k] = np.where(tradable[at], old, 0.0)
    chain = data.isel(field=0, drop=True).sel(time=weights.time).copy(data=held)
    if strategy.max_weight <= COMPETITIONS[strategy.competition_type].max_position:
        return chain  # cleaning would change nothing
    with qnlog.Settings(info=False, err=False):
        return qnout.clean(chain, data.sel(time=weights.time), strategy.competition_type)


def _by_day(outputs: "xr.DataArray") -> list[tuple[np.datetime64, dict[str, float]]]:
    assets = outputs.asset.values.tolist()
    rows = zip(outputs.time.values, outputs.values.tolist(), strict=True)
    return [(day, {a: x for a, x in zip(assets, row, strict=True) if np.isfinite(x)}) for day, row in rows]


def _equal(chain: "xr.DataArray", weights: "xr.DataArray") -> bool:
    first, second = with_same_assets(chain.reindex(time=weights.time, fill_value=0), weights)
    return bool(np.abs(first - second).max() <= SAME)
