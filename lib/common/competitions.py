"""The competitions, one row each, with the platform's rules as data.

Sources, unless a comment names another: the platform's user guide and contest pages, read in April 2026, and
its library qnt 0.0.507 (`qnt.data`, `qnt.stats.get_default_*`, `qnt.output.clean` and `check`,
`qnt.precheck`), measured in June 2026 for crypto.
"""

from typing import Any, NamedTuple

from lib.common.errors import WrongValueError, suggest

_PRICES = ("open", "low", "high", "close", "vol")


class Competition(NamedTuple):
    """The facts about one competition."""

    loader: str  # below qnt.data
    data_name: str  # the name of the array that the loader returns (qnt.data)
    fields: tuple[str, ...]  # in the loader's order (qnt.data)
    assets_follow_window: bool  # loads assets liquid in the window, sorted, else all (qnt.data)
    every_day: bool  # whether the market is open at weekends and on holidays
    has_hours: bool  # whether the loader compares hours: `tail` then loses its first day (qnt.data)
    days_a_year: int  # trading days, for the template's own statistics
    points_a_year: int  # of less than 251 days of data, for the platform's statistics (qnt.stats)
    mean_estimator: str  # of its Sharpe ratio, "geometric" or "arithmetic" (qnt.output, qnt.stats)
    carries_weights: bool  # `clean` repeats the last weight where a price is missing (qnt.output.clean)
    first_day: str  # first day in sample (user guide, "in-sample period"; qnt.stats)
    min_sharpe_ratio: float  # in sample, annualised (user guide, "filters"; contest pages)
    max_position: float  # largest |weight| after normalisation; 1: no limit (user guide; qnt.stats)
    slippage: float  # cost of a trade as a share of the 14-day average true range (qnt.stats)
    long_only: bool  # whether short positions are refused (contest pages; qnt.output.clean)
    minutes_per_pass: int  # after which the platform stops a pass (user guide)
    max_correlation: float  # with a better system, above which an entry is refused (user guide)
    benchmark: str  # with which an entry is compared, as far as the data allow; "": none (contest pages)
    synthetic: dict[str, Any]  # the size of its synthetic market
    liquid_assets: int  # on a day, about (the index that it trades)
    defaults: dict[str, Any]  # of the parameters whose default is None
    comparison_years: int = 3  # years of the Sharpe ratio that compares two systems (user guide)
    payout_volatility: float | None = None  # a year, to which an entry is scaled down (contest pages)
    grace_days: int = 7  # calendar days from first_day to the first position (qnt.output.check)


_STOCKS = Competition(
    loader="stocks.load_ndx_data",
    data_name="stocks_nasdaq100",
    fields=(*_PRICES, "divs", "split_cumprod", "is_liquid"),
    assets_follow_window=True,
    every_day=False,
    has_hours=False,
    days_a_year=252,
    points_a_year=251,
    mean_estimator="geometric",
    carries_weights=False,
    first_day="2006-01-01",
    min_sharpe_ratio=0.7,
    max_position=0.1,
    slippage=0.05,
    long_only=False,
    minutes_per_pass=30,
    max_correlation=0.9,
    benchmark="",
    synthetic={"assets": 100, "seed": 100, "exchange": "NAS"},
    liquid_assets=100,
    defaults={"top_assets": 12, "max_weight": 0.1, "sizing": "as_output"},  # those published
)
# the contests Q24 (entry until 2026-03-31) and Q25 (live from 2026-10-01 to 2027-01-31), "Crypto Top-10 Long"
_CRYPTO_DAILY_LONG = Competition(
    loader="cryptodaily.load_data",
    data_name="cryptodaily",
    fields=(*_PRICES, "is_liquid"),
    assets_follow_window=False,
    every_day=True,
    has_hours=True,
    days_a_year=365,
    points_a_year=365,
    mean_estimator="arithmetic",
    carries_weights=True,
    first_day="2016-01-01",
    min_sharpe_ratio=1.0,  # contest pages of Q24 and Q25; `qnt.output.check` compares with 0.7
    max_position=1.0,
    slippage=0.04,
    long_only=True,
    minutes_per_pass=5,
    max_correlation=0.9,
    benchmark="equal weights of the ten liquid assets (the contest's index, CRYPTO10, weighs them by "
    "capitalisation, which is not in the data)",
    synthetic={"assets": 76, "seed": 76},
    liquid_assets=10,
    payout_volatility=0.1,
    defaults={"top_assets": 5, "max_weight": 1.0, "sizing": "ranked"},
)
COMPETITIONS = {
    "stocks_nasdaq100": _STOCKS,
    "stocks_s&p500": _STOCKS._replace(
        loader="stocks.load_spx_data",
        data_name="stocks_s&p500",
        synthetic={"assets": 500, "seed": 500, "exchange": "NYS"},
        liquid_assets=500,
    ),
    "crypto_daily_long": _CRYPTO_DAILY_LONG,
    "crypto_daily_long_short": _CRYPTO_DAILY_LONG._replace(long_only=False),
}
# names under which `qnt` has the same data, though no contest has them
KINDS = COMPETITIONS | dict.fromkeys(
    ("crypto_daily", "cryptodaily"), COMPETITIONS["crypto_daily_long_short"]._replace(min_sharpe_ratio=0.7)
)


def rules_of(competition_type: str) -> Competition:
    """Return the rules of a competition.

    Raises
    ------
    ValueError
        The name is unknown; the nearest one is named.
    """
    if not isinstance(competition_type, str) or competition_type not in COMPETITIONS:
        known = suggest(competition_type, COMPETITIONS)
        raise WrongValueError(f"competition_type is {competition_type!r}: {known}")
    return COMPETITIONS[competition_type]


def row_served_by(loader: str) -> Competition:
    """Return the first row with this loader.

    A loader is such as "stocks.load_ndx_data".
    """
    return next(row for row in COMPETITIONS.values() if row.loader == loader)
