"""The judge: from the weights of all days to the verdict."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib.common.competitions import Competition
from lib.common.rules import RuleCheck, check_rules, sharpe_ratio_of
from lib.contest import originality
from lib.contest.verdict import Verdict
from lib.stats.added_value import measured
from lib.stats.bootstrap import interval
from lib.stats.portfolios import equal_weights, portfolio

if TYPE_CHECKING:
    import xarray as xr

SYNTHETIC = (
    "These prices are random. The rules are checked as on real ones, but the Sharpe ratio, and whatever is "
    "compared by it, mean nothing here."
)
ELSEWHERE = "The systems of other contestants are known to the platform alone."


def judge(
    data: "xr.DataArray",
    weights: "xr.DataArray",
    rules: Competition,
    *,
    template: "xr.DataArray",
    selected: "xr.DataArray | None" = None,
    earlier: Mapping[str, "xr.DataArray"] | None = None,
    seconds: float = 0.0,
    source: str = "",
    synthetic: bool = False,
    parameters: Mapping[str, Any] | None = None,
) -> Verdict:
    """Check weights against the rules of a competition.

    Parameters
    ----------
    data : xarray.DataArray
        (field, time, asset): the days of the weights, and some 60 days before them for the costs.
    weights : xarray.DataArray
        (time, asset) of all days, as they would be submitted.
    rules : Competition
    template : xarray.DataArray
        Weights of the published template on the same days.
    selected : xarray.DataArray, optional
        Equal weights in what the strategy selects.
    earlier : mapping of str to xarray.DataArray, optional
        Daily returns of systems judged before.
    seconds : float
        Of the slowest day's training and prediction.
    source : str
        What the prices are.
    synthetic : bool
        Whether the prices are random.
    parameters : mapping, optional
        Of the strategy, to be kept with the verdict.
    """
    data = data.sel(time=slice(None, weights.time.values[-1]))
    returns = portfolio(data, weights, rules).returns
    template_returns = portfolio(data, template, rules).returns
    others = {originality.TEMPLATE: template_returns}
    if selected is not None:
        others[originality.SELECTED] = portfolio(data, selected, rules).returns
    universe = equal_weights(data, weights.time.values)
    others |= {originality.UNIVERSE: portfolio(data, universe, rules).returns, **(earlier or {})}
    ratio = sharpe_ratio_of(returns)
    checks = [
        *check_rules(data, weights, ratio, rules),
        _time_of_a_pass(seconds, rules),
        originality.check_originality(returns, weights, (template_returns, template), rules),
    ]
    return Verdict(
        checks=tuple(checks),
        sharpe_ratio=ratio,
        interval=_interval(returns),
        relatives=originality.relatives(returns, others, rules),
        by_year=originality.by_year(returns, others),
        returns=returns,
        others=others,
        notes=(*([SYNTHETIC] if synthetic else []), ELSEWHERE),
        source=source,
        parameters=dict(parameters or {}),
    )


def _interval(returns: "xr.DataArray") -> tuple[float, float]:
    if returns.sizes["time"] < 2:
        return float("nan"), float("nan")
    return interval(measured({"strategy": returns})["strategy"].ratios_sampled)


def _time_of_a_pass(seconds: float, rules: Competition) -> RuleCheck:
    found = f"{seconds:.1f} s, training and prediction"
    limit = rules.minutes_per_pass
    return RuleCheck("time of a pass", found, f"at most {limit} minutes", seconds <= 60 * limit)
