"""The Sharpe ratio of a backtest's weights with a delay or higher costs, without new training."""

from typing import TYPE_CHECKING

from lib.stats.sharpe import days_per_year, sharpe_ratio

if TYPE_CHECKING:
    import xarray as xr

    from lib.common.competitions import Competition

COSTS = (2, 3)  # times the platform's trading cost
LATE = "sharpe_late"


def under_friction(data: "xr.DataArray", weights: "xr.DataArray", rules: "Competition") -> dict[str, float]:
    """Return the annual Sharpe ratios under more friction.

    The weights are held one day late, or at a multiple of the trading cost.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs.
    weights : xarray.DataArray
        (time, asset), 0 where nothing is held.
    rules : Competition
        Whose Sharpe ratio is computed.

    Returns
    -------
    dict of str to float
        Computed as by `qnt.stats`, by the names in `names()`. NaN where returns never change.
    """
    import qnt.stats as qns

    per_year = days_per_year(data)
    cost = qns.get_default_slippage(data)  # share of the average true range that a trade costs

    def ratio(held: "xr.DataArray", times: int) -> float:
        returns = qns.calc_relative_return(data, held, slippage_factor=times * cost, points_per_year=per_year)
        return float(sharpe_ratio(returns.values, per_year, rules.mean_estimator))

    late = weights.shift(time=1).fillna(0)
    return dict(zip(names(), [ratio(late, 1), *(ratio(weights, times) for times in COSTS)], strict=True))


def names() -> list[str]:
    """Return the names of the figures.

    They are "sharpe_late", "sharpe_cost_2" and so on.
    """
    return [LATE, *(f"sharpe_cost_{times}" for times in COSTS)]
