"""The competitions that the template trades, with the rules of each as data.

Sources: the platform's user guide and contest pages, read in April 2026, and the defaults of its library qnt
0.0.507 (`qnt.stats.get_default_*`, `qnt.output.check`, `qnt.precheck`).
"""

from typing import NamedTuple

from lib.common.errors import WrongValueError, suggest


class Competition(NamedTuple):
    """The rules of one competition."""

    loader: str  # function of qnt.data.stocks
    first_day: str  # first day in sample (user guide, "in-sample period"; qnt.stats)
    min_sharpe_ratio: float  # in sample, annualised (user guide, "filters"; qnt.output.check)
    max_position: float  # largest |weight| after normalisation (user guide; qnt.stats)
    slippage: float  # cost of a trade as a share of the 14-day average true range (qnt.stats)
    long_only: bool  # whether short positions are refused (contest pages)
    minutes_per_pass: int  # after which the platform stops a pass (user guide)
    max_correlation: float  # with a better system, above which an entry is refused (user guide)
    comparison_years: int = 3  # whose Sharpe ratio says which of two systems is better (user guide)
    grace_days: int = 7  # calendar days from first_day to the first position (qnt.output.check)


_STOCKS = {
    "first_day": "2006-01-01",
    "min_sharpe_ratio": 0.7,
    "max_position": 0.1,
    "slippage": 0.05,
    "long_only": False,
    "minutes_per_pass": 30,
    "max_correlation": 0.9,
}
COMPETITIONS = {
    "stocks_nasdaq100": Competition("load_ndx_data", **_STOCKS),  # type: ignore[arg-type]
    "stocks_s&p500": Competition("load_spx_data", **_STOCKS),  # type: ignore[arg-type]
}


def rules_of(competition_type: str) -> Competition:
    """Return the rules of a competition; ValueError, with the nearest name, where it is not known."""
    if not isinstance(competition_type, str) or competition_type not in COMPETITIONS:
        known = suggest(competition_type, COMPETITIONS)
        raise WrongValueError(f"competition_type is {competition_type!r}: {known}")
    return COMPETITIONS[competition_type]
