"""The benchmark of a competition: an index that entries are compared with."""

from typing import TYPE_CHECKING

import numpy as np

from lib.common.competitions import COMPETITIONS, Competition
from lib.common.errors import WrongValueError
from lib.stats.bootstrap import LEVEL, interval
from lib.stats.performance import annual_volatility, measured
from lib.stats.sharpe import days_per_year

if TYPE_CHECKING:
    import xarray as xr


def check_scaling(scaled: bool, competition_type: str, rules: Competition) -> None:
    """Refuse a comparison at the payout's volatility if the competition has none.

    Raises
    ------
    ValueError
    """
    if scaled and rules.payout_volatility is None:
        others = [name for name, row in COMPETITIONS.items() if row.payout_volatility is not None]
        raise WrongValueError(
            f"{competition_type} scales no entry to a volatility: leave out scaled (--scaled), or choose one "
            f"that does: {', '.join(others)}."
        )


def benchmark_sentences(
    returns: "xr.DataArray", benchmark: "xr.DataArray", rules: Competition, scaled: bool = False
) -> list[str]:
    """Compare daily returns (time,) with those of the competition's benchmark on the same days.

    With `scaled` both are also scaled down to the volatility of the payout. The result is empty for a
    competition without a benchmark, and for less than two days.
    """
    if not rules.benchmark or returns.sizes["time"] < 2:
        return []
    lines = {"the strategy": returns, "the benchmark": benchmark}
    found = measured(lines, rules)
    mine, its = found.values()
    low, high = interval(mine.ratios_sampled - its.ratios_sampled)
    between = f" ({LEVEL:.0%} interval {low:+z.2f} to {high:+z.2f})" if np.isfinite(low) else ""
    volatility = {name: annual_volatility(line.values, days_per_year(line)) for name, line in lines.items()}
    numbers = [
        f"{name} has a Sharpe ratio of {each.sharpe_ratio:z.2f}, an annual return of "
        f"{each.annual_return:z.1%} and a volatility of {volatility[name]:.1%}"
        for name, each in found.items()
    ]
    lead = mine.sharpe_ratio - its.sharpe_ratio
    sentences = [
        f"The benchmark is {rules.benchmark}. On these days {'; '.join(numbers)}. The lead in the Sharpe "
        f"ratio is {lead:+z.2f}{between}."
    ]
    if scaled and rules.payout_volatility is not None:
        limit = rules.payout_volatility
        factors = {name: min(1.0, limit / spread) if spread else 1.0 for name, spread in volatility.items()}
        at_limit = measured({name: line * factors[name] for name, line in lines.items()}, rules)
        parts = [
            f"{name} (times {factors[name]:.3f}) earns {each.annual_return:z.2%} a year"
            for name, each in at_limit.items()
        ]
        sentences.append(
            f"Scaled in hindsight to at most {limit:.0%} volatility, as for the payout, "
            f"{' and '.join(parts)}."
        )
    return sentences
