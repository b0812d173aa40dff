"""Tidy price tables joined into matrices of days and tickers, without what cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.prices.columns import NUMBERS, PRICES
from lib.prices.errors import Origin, PricesError
from lib.prices.report import EXAMPLES, Report
from lib.prices.shapes import Tidy


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


def join(tables: Sequence[Tidy], report: Report) -> Bars:
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


def _drop_prices(table: pd.DataFrame, origins: Sequence[Origin], report: Report) -> None:
    """Empty the bars that lack a price or have a price of 0: a bar is complete or absent."""
    prices = table[list(PRICES)].to_numpy()
    zero = (prices == 0).any(axis=1)
    missing = np.isnan(prices)
    partly = missing.any(axis=1) & ~missing.all(axis=1) & ~zero
    for bad, what in ((zero, "with a price of 0"), (partly, "that lack one of open, low, high, close")):
        if bad.any():
            report.add("Dropped", f"{bad.sum():,} rows {what}", places(table, bad, origins))
    if missing.all(axis=1).any():
        report.add("Dropped", f"{missing.all(axis=1).sum():,} rows without a price")
    table.loc[zero | missing.any(axis=1), [*PRICES, "vol"]] = np.nan


def _once(
    table: pd.DataFrame,
    ticker_codes: np.ndarray,
    day_codes: np.ndarray,
    origins: Sequence[Origin],
    report: Report,
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
        report.add("Dropped", f"{again.sum():,} rows that repeat another", places(table, again, origins))
    return first


def places(table: pd.DataFrame, chosen: np.ndarray, origins: Sequence[Origin]) -> list[str]:
    """Places of the chosen rows; those beyond what a report shows are left unnamed."""
    rows = np.flatnonzero(chosen)
    named = table.iloc[rows[:EXAMPLES]][["origin", "row", "ticker"]]
    return [origins[origin].place(row, ticker) for origin, row, ticker in named.itertuples(index=False)] + [
        ""
    ] * max(0, len(rows) - EXAMPLES)
