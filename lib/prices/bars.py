"""TidyTable price tables joined into matrices of days and tickers, without what cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.prices.columns import NUMBERS, PRICES
from lib.prices.findings import SHOWN_EXAMPLES, ConversionReport, Origin, PricesError
from lib.prices.tables import TidyTable

LEAST = np.log(1.15)  # smaller splits are hidden by an ordinary day's change
MAJORITY = 2 / 3


@dataclass
class Bars:
    """Prices as matrices (day, ticker), both sorted; every day has a price, every ticker too.

    `values` has the fields of NUMBERS: prices, vol and divs NaN where there is no bar (vol also where it is
    unknown), split 1 but on days of splits. A day without bars may carry splits: it is there until the
    splits are applied.
    """

    days: pd.DatetimeIndex
    tickers: np.ndarray
    values: dict[str, np.ndarray]


def join_bars(tables: Sequence[TidyTable], report: ConversionReport) -> Bars:
    """Join tidy tables: the union of their days and tickers.

    Raises
    ------
    PricesError
        Two rows of one ticker and day differ, a price, volume or dividend is negative, or no row has prices.
    """
    origins = [origin for _, origin in tables]
    table = pd.concat([frame.assign(origin=k) for k, (frame, _) in enumerate(tables)], ignore_index=True)
    _refuse_negative(table, origins)
    _drop_prices(table, origins, report)
    used = table["close"].notna() | (table["divs"] > 0) | (table["split"] != 1)
    if not table["close"].notna().any():
        raise PricesError(f"{origins[0].name}: no row has a price: there is nothing to convert.")
    without = np.unique(table["ticker"][~used])
    table = table[used]
    ticker_codes, tickers = pd.factorize(table["ticker"], sort=True)
    day_codes, stamps = pd.factorize(table["day"], sort=True)
    lost = np.setdiff1d(without, tickers).tolist()
    keep = _once(table, ticker_codes, day_codes, origins, report)
    shape, at = (len(stamps), len(tickers)), (day_codes[keep], ticker_codes[keep])
    values: dict[str, np.ndarray] = {}
    for field in NUMBERS:
        values[field] = np.full(shape, 1.0 if field == "split" else np.nan)
        values[field][at] = table[field].to_numpy()[keep]
    priced = np.isfinite(values["close"]).any(axis=0)
    lost += tickers[~priced].tolist()
    if lost:
        report.add("Dropped", f"{len(lost):,} tickers without a price", sorted(lost))
    listed = {field: matrix[:, priced] for field, matrix in values.items()}
    return Bars(pd.DatetimeIndex(stamps), tickers.to_numpy(dtype=object)[priced], listed)


def _refuse_negative(table: pd.DataFrame, origins: Sequence[Origin]) -> None:
    for field in (*PRICES, "vol", "divs"):
        bad = (table[field] < 0).to_numpy()
        if bad.any():
            row = table.iloc[int(np.argmax(bad))]
            place = origins[row["origin"]].place(row["row"], row["ticker"])
            name = {"vol": "volume", "divs": "dividend"}.get(field, field)
            raise PricesError(f"{place}: the {name} is {row[field]:g}, but it cannot be negative.")


def _drop_prices(table: pd.DataFrame, origins: Sequence[Origin], report: ConversionReport) -> None:
    """Empty the bars that lack a price or have a price of 0: a bar is complete or absent."""
    prices = table[list(PRICES)].to_numpy()
    zero = (prices == 0).any(axis=1)
    missing = np.isnan(prices)
    partly = missing.any(axis=1) & ~missing.all(axis=1) & ~zero
    for bad, what in ((zero, "with a price of 0"), (partly, "that lack one of open, low, high, close")):
        if bad.any():
            report.add("Dropped", f"{bad.sum():,} rows {what}", name_places(table, bad, origins))
    if missing.all(axis=1).any():
        report.add("Dropped", f"{missing.all(axis=1).sum():,} rows without a price")
    table.loc[zero | missing.any(axis=1), [*PRICES, "vol"]] = np.nan


def _once(
    table: pd.DataFrame,
    ticker_codes: np.ndarray,
    day_codes: np.ndarray,
    origins: Sequence[Origin],
    report: ConversionReport,
) -> np.ndarray:
    """Positions of the rows that stay: the first of equal rows of one ticker and day."""
    key = ticker_codes.astype(np.int64) * (day_codes.max() + 1) + day_codes
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    again = first[inverse] != np.arange(len(key))
    if again.any():
        numbers = table[list(NUMBERS)].to_numpy()
        repeated, kept = numbers[again], numbers[first[inverse[again]]]
        differ = ~((repeated == kept) | (np.isnan(repeated) & np.isnan(kept))).all(axis=1)
        if differ.any():
            at = np.flatnonzero(again)[int(np.argmax(differ))]
            row, before = table.iloc[at], table.iloc[first[inverse[at]]]
            here = origins[row["origin"]].place(row["row"], row["ticker"])
            there = origins[before["origin"]].place(before["row"])
            raise PricesError(
                f"{here}: {row['day']:%Y-%m-%d} is also in {there}, with other numbers: keep one row per "
                "ticker and day."
            )
        report.add("Dropped", f"{again.sum():,} rows that repeat another", name_places(table, again, origins))
    return first


def name_places(table: pd.DataFrame, chosen: np.ndarray, origins: Sequence[Origin]) -> list[str]:
    """Places of the chosen rows; those beyond what a report shows are left unnamed."""
    rows = np.flatnonzero(chosen)
    named = table.iloc[rows[:SHOWN_EXAMPLES]][["origin", "row", "ticker"]]
    return [origins[origin].place(row, ticker) for origin, row, ticker in named.itertuples(index=False)] + [
        ""
    ] * max(0, len(rows) - SHOWN_EXAMPLES)


@dataclass
class Evidence:
    """Splits whose day shows the price jump by the ratio (raw), or not (adjusted), as "AAPL 2014-06-09"."""

    raw: list[str]
    adjusted: list[str]


def apply_splits(bars: Bars, kind: str | None, report: ConversionReport) -> np.ndarray:
    """Express prices, volumes and dividends in shares of the last day, in place.

    Parameters
    ----------
    bars : Bars
        Its prices, vol and divs are changed where they are raw.
    kind : "raw", "adjusted" or None
        What the prices are; None: what the days of the splits show.
    report : ConversionReport
        Takes what was found.

    Returns
    -------
    ndarray (day, ticker)
        Product of a ticker's splits so far, the field `split_cumprod`.

    Raises
    ------
    PricesError
        The splits contradict one another, or none is large enough to tell.
    """
    split = bars.values["split"]
    so_far = np.cumprod(split, axis=0)
    later = so_far[-1] / so_far  # product of the splits after each day
    count = int((split != 1).sum())
    if not count:
        what = f"taken as {kind}, as --prices says" if kind else "taken as they are"
        report.add("Prices", f"there are no splits in the source: prices are {what}")
        return so_far
    evidence = _evidence(bars)
    if kind is None:
        kind = _decide(evidence, later, report)
    else:
        report.add("Prices", f"{kind}, as --prices says; {count:,} splits")
    if kind == "raw":
        for field in (*PRICES, "divs"):
            bars.values[field] /= later
        bars.values["vol"] *= later
        report.add("Prices", "the splits were applied to prices, volumes and dividends")
    else:
        report.add("Prices", "the splits are in prices, volumes and dividends already; nothing was applied")
    return so_far


def _decide(evidence: Evidence, later: np.ndarray, report: ConversionReport) -> str:
    """Which of the two the days of the splits show."""
    seen = {"raw": evidence.raw, "adjusted": evidence.adjusted}
    total = len(evidence.raw) + len(evidence.adjusted)
    if total == 0:
        if (later == 1).all():  # splits before all prices change nothing
            return "adjusted"
        raise PricesError(
            "No split is large enough, or has prices on both sides, to tell whether the prices are adjusted "
            "for splits: add --prices raw or --prices adjusted."
        )
    kind = max(seen, key=lambda name: len(seen[name]))
    against = seen["adjusted" if kind == "raw" else "raw"]
    if len(seen[kind]) / total < MAJORITY:
        raise PricesError(
            f"On {evidence.raw[0]} the price jumps by the ratio of the split, on {evidence.adjusted[0]} it "
            "does not: the source is neither raw nor adjusted as a whole. Make it one of them, or "
            "add --prices raw or --prices adjusted."
        )
    what = "raw: the price jumps by the ratio" if kind == "raw" else "adjusted: the price does not jump"
    report.add("Prices", f"{what} on {len(seen[kind]):,} of {total:,} days of splits")
    if against:
        report.add("Plausibility", f"{len(against):,} splits show the opposite", against)
    return kind


def _evidence(bars: Bars) -> Evidence:
    found = Evidence([], [])
    opened, closed = bars.values["open"], bars.values["close"]
    for ticker in np.flatnonzero((bars.values["split"] != 1).any(axis=0)):
        priced = np.flatnonzero(np.isfinite(closed[:, ticker]))
        for day in np.flatnonzero(bars.values["split"][:, ticker] != 1):
            before, after = priced[priced < day], priced[priced >= day]
            ratio = np.log(bars.values["split"][day, ticker])
            if abs(ratio) < LEAST or not len(before) or not len(after):
                continue
            jump = np.log(opened[after[0], ticker] / closed[before[-1], ticker])
            name = f"{bars.tickers[ticker]} {bars.days[day]:%Y-%m-%d}"
            # Raw prices move by minus the ratio, adjusted ones by 0; halfway between shows nothing.
            if abs(jump + ratio) < abs(ratio) / 3:
                found.raw.append(name)
            elif abs(jump) < abs(ratio) / 3:
                found.adjusted.append(name)
    return found
