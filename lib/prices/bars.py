"""Tidy price tables joined into matrices of days and tickers.

Splits and dividends count once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lib.common.errors import quantity
from lib.prices.columns import NUMBERS, PRICES
from lib.prices.findings import SHOWN_EXAMPLES, ConversionReport, Origin, PricesError
from lib.prices.tables import TidyTable

LEAST = np.log(1.15)  # smaller splits are hidden by an ordinary day's change
LEAST_MISDATED = np.log(1.4)  # a neighbouring day's change is not taken for a smaller split
NEAR = 3  # days of trading within which a split without a jump is looked for
MAJORITY = 2 / 3
SAME_NUMBER = 1e-6  # relative: a float32 and the rounded number are one price
TICKS = (1 / 64, 0.01, 0.001, 0.0001)  # what prices as traded are multiples of
LEAST_ROUNDED = 0.5  # smaller adjusted closes, rounded to cents, show no ratios
FEWEST_CLOSES, WINDOW = 3, 20  # closes before an ex-day that show adjustment: at least, at most


@dataclass
class Bars:
    """Prices as matrices (day, ticker).

    Days and tickers are sorted, and every ticker has a price. `values` has the fields of NUMBERS: prices, vol
    and divs are NaN where there is no bar (vol also where it is unknown), and split is 1 but on days of
    splits. A day without bars may carry splits or dividends, and is there until they are applied.
    """

    days: pd.DatetimeIndex
    tickers: np.ndarray
    values: dict[str, np.ndarray]

    def place(self, day: int, ticker: int) -> str:
        """Name a cell, such as "AAPL 2014-06-09"."""
        return f"{self.tickers[ticker]} {self.days[day]:%Y-%m-%d}"


def join_bars(tables: Sequence[TidyTable], report: ConversionReport) -> Bars:
    """Join tidy tables into matrices.

    The result has the union of their days and tickers.

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
    for name in NUMBERS:
        values[name] = np.full(shape, 1.0 if name == "split" else np.nan)
        values[name][at] = table[name].to_numpy()[keep]
    priced = np.isfinite(values["close"]).any(axis=0)
    lost += tickers[~priced].tolist()
    if lost:
        report.add("Dropped", f"{quantity(len(lost), 'ticker')} without a price", sorted(lost))
    listed = {name: matrix[:, priced] for name, matrix in values.items()}
    return Bars(pd.DatetimeIndex(stamps), tickers.to_numpy(dtype=object)[priced], listed)


def _refuse_negative(table: pd.DataFrame, origins: Sequence[Origin]) -> None:
    for name in (*PRICES, "vol", "divs"):
        bad = (table[name] < 0).to_numpy()
        if bad.any():
            row = table.iloc[int(np.argmax(bad))]
            place = origins[row["origin"]].place(row["row"], row["ticker"])
            word = {"vol": "volume", "divs": "dividend"}.get(name, name)
            raise PricesError(f"{place}: the {word} is {row[name]:g}, but it cannot be negative.")


def _drop_prices(table: pd.DataFrame, origins: Sequence[Origin], report: ConversionReport) -> None:
    """Empty the bars that lack a price.

    A price of 0 counts as missing. A bar is thus complete or absent.
    """
    prices = table[list(PRICES)].to_numpy()
    zero = (prices == 0).any(axis=1)
    missing = np.isnan(prices)
    partly = missing.any(axis=1) & ~missing.all(axis=1) & ~zero
    for bad, what in ((zero, "with a price of 0"), (partly, "without one of open, low, high, close")):
        if bad.any():
            report.add("Dropped", f"{quantity(bad.sum(), 'row')} {what}", _name_places(table, bad, origins))
    if missing.all(axis=1).any():
        report.add("Dropped", f"{quantity(missing.all(axis=1).sum(), 'row')} without a price")
    table.loc[zero | missing.any(axis=1), [*PRICES, "vol", "adj"]] = np.nan


def _once(
    table: pd.DataFrame,
    ticker_codes: np.ndarray,
    day_codes: np.ndarray,
    origins: Sequence[Origin],
    report: ConversionReport,
) -> np.ndarray:
    """Return positions of rows without repetitions.

    The first of equal rows of one ticker and day stays. PricesError is raised where such rows differ.
    """
    key = ticker_codes.astype(np.int64) * (day_codes.max() + 1) + day_codes
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    again = first[inverse] != np.arange(len(key))
    if again.any():
        numbers = table[[name for name in NUMBERS if name != "adj"]].to_numpy()
        repeated, kept = numbers[again], numbers[first[inverse[again]]]
        differ = ~np.isclose(repeated, kept, rtol=SAME_NUMBER, atol=0, equal_nan=True).all(axis=1)
        if differ.any():
            at = np.flatnonzero(again)[int(np.argmax(differ))]
            row, before = table.iloc[at], table.iloc[first[inverse[at]]]
            here = origins[row["origin"]].place(row["row"], row["ticker"])
            there = origins[before["origin"]].place(before["row"])
            raise PricesError(
                f"{here}: {row['day']:%Y-%m-%d} is also in {there}, with other numbers: keep one row per "
                "ticker and day."
            )
        report.add(
            "Dropped",
            f"{quantity(again.sum(), 'row')} repeating another",
            _name_places(table, again, origins),
        )
    return first


def _name_places(table: pd.DataFrame, chosen: np.ndarray, origins: Sequence[Origin]) -> list[str]:
    """Return the places of the chosen rows.

    Rows beyond the ones that a report shows are left unnamed.
    """
    rows = np.flatnonzero(chosen)
    named = table.iloc[rows[:SHOWN_EXAMPLES]][["origin", "row", "ticker"]]
    places = [origins[origin].place(row, ticker) for origin, row, ticker in named.itertuples(index=False)]
    return places + [""] * max(0, len(rows) - SHOWN_EXAMPLES)


@dataclass
class _Evidence:
    """Splits that show the kind of the prices.

    On the days of `raw` splits the price jumps by the ratio, and on the days of `adjusted` ones it does not.
    Both are named like "AAPL 2014-06-09". `moved` are raw ones whose jump is on another day, as (day of the
    split, day of the jump, ticker).
    """

    raw: list[str] = field(default_factory=list)
    adjusted: list[str] = field(default_factory=list)
    moved: list[tuple[int, int, int]] = field(default_factory=list)
    inside: bool = False  # a split has prices before it


def apply_splits(bars: Bars, kind: str | None, report: ConversionReport) -> np.ndarray:
    """Express all values in shares of the last day.

    Prices, volumes and dividends are changed in place.

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
    count = int((split != 1).sum())
    if not count:
        what = f"taken as {kind}, as --prices says" if kind else "taken as they are"
        report.add("Prices", f"there are no splits in the source: prices are {what}")
        return np.ones_like(split)
    evidence = _find_evidence(bars)
    if kind is None:
        kind = _decide(evidence, report)
    else:
        report.add("Prices", f"{kind}, as --prices says; {quantity(count, 'split')}")
    moved = [
        f"{bars.place(day, ticker)} (jump: {bars.days[jump]:%Y-%m-%d})"
        for day, jump, ticker in evidence.moved
    ]
    if moved and kind == "raw":
        report.add(
            "Prices",
            f"{quantity(len(moved), 'split')} on another day than the jump by their ratio: applied on the "
            "day of the jump, to correct in the source",
            moved,
        )
        for day, jump, ticker in evidence.moved:
            split[jump, ticker] *= split[day, ticker]
            split[day, ticker] = 1.0
    elif moved:
        report.add(
            "Prices",
            f"{quantity(len(moved), 'split')} not in prices, which jump by the ratio on another day: correct "
            "the day of the split in the source",
            moved,
        )
    so_far = np.cumprod(split, axis=0)
    later = so_far[-1] / so_far  # product of the splits after each day
    if kind == "raw":
        for name in (*PRICES, "divs"):
            bars.values[name] /= later
        bars.values["vol"] *= later
        report.add("Prices", "the splits were applied to prices, volumes and dividends")
    else:
        which = "other splits" if moved else "splits"
        report.add("Prices", f"the {which} are in prices, volumes and dividends already; nothing was applied")
    return so_far


def _decide(evidence: _Evidence, report: ConversionReport) -> str:
    """Return the kind of prices, raw or adjusted.

    The days of the splits show the kind. PricesError is raised where they do not.
    """
    seen = {"raw": evidence.raw, "adjusted": evidence.adjusted}
    total = len(evidence.raw) + len(evidence.adjusted)
    if total == 0:
        if not evidence.inside:
            return "adjusted"
        raise PricesError(
            "No split is large enough, or has prices on both sides, to tell whether the prices are "
            "adjusted for splits: add --prices raw or --prices adjusted."
        )
    kind = max(seen, key=lambda name: len(seen[name]))
    against = seen["adjusted" if kind == "raw" else "raw"]
    if len(seen[kind]) / total < MAJORITY:
        raise PricesError(
            f"On {evidence.raw[0]} the price jumps by the ratio of the split, on {evidence.adjusted[0]} it "
            "does not: the source is neither raw nor adjusted as a whole. Make it one of them, or add "
            "--prices raw or --prices adjusted."
        )
    what = "raw: the price jumps by the ratio" if kind == "raw" else "adjusted: the price does not jump"
    report.add("Prices", f"{what} on {len(seen[kind]):,} of {total:,} days of splits")
    if against:
        report.add("Plausibility", f"{quantity(len(against), 'split')} showing the opposite", against)
    return kind


def _find_evidence(bars: Bars) -> _Evidence:
    found = _Evidence()
    split, opened, closed = (bars.values[name] for name in ("split", "open", "close"))
    for ticker in np.flatnonzero((split != 1).any(axis=0)):
        priced = np.flatnonzero(np.isfinite(closed[:, ticker]))
        jumps = np.log(opened[priced[1:], ticker] / closed[priced[:-1], ticker])
        for day in np.flatnonzero(split[:, ticker] != 1):
            at = int(np.searchsorted(priced, day))  # the first day with a price, at or after the split
            found.inside |= at > 0
            ratio = np.log(split[day, ticker])
            if abs(ratio) < LEAST or at == 0 or at == len(priced):
                continue
            jump = jumps[at - 1]
            name = bars.place(day, ticker)
            # Raw prices move by minus the ratio, adjusted ones by 0; halfway between shows nothing.
            if abs(jump + ratio) < abs(ratio) / 3:
                found.raw.append(name)
                continue
            if abs(jump) >= abs(ratio) / 3:
                continue
            near = range(max(1, at - NEAR), min(len(priced), at + NEAR + 1))
            other = min(near, key=lambda k: abs(jumps[k - 1] + ratio))
            unsplit = (split[priced[near.start - 1] : priced[near.stop - 1] + 1, ticker] != 1).sum() == 1
            if (
                abs(ratio) >= LEAST_MISDATED
                and abs(jumps[other - 1] + ratio) < min(abs(ratio) / 3, 0.15)
                and unsplit
            ):
                found.raw.append(name)
                found.moved.append((int(day), int(priced[other]), int(ticker)))
            else:
                found.adjusted.append(name)
    return found


def count_dividends_once(
    bars: Bars, so_far: np.ndarray, of_history: np.ndarray, report: ConversionReport
) -> None:
    """Undo an adjustment of prices for dividends.

    The dividends stand beside the prices, which are changed in place. Where the adjustment cannot be undone,
    the dividends are left out instead.

    Prices as traded are multiples of a cent. If they are so after the last ex-day and not before it, the
    prices are adjusted for dividends, as yfinance's ``history()`` adjusts them by default.

    Parameters
    ----------
    bars : Bars
        Prices and dividends in shares of the last day.
    so_far : ndarray (day, ticker)
        Product of the splits so far.
    of_history : ndarray (ticker)
        True where the source's columns are those of ``history()`` with its default arguments.
    report : ConversionReport
        Takes what was found.
    """
    divs = bars.values["divs"]
    undone, left_out, unclear = [], [], []
    for ticker in np.flatnonzero((divs > 0).any(axis=0)):
        priced = np.flatnonzero(np.isfinite(bars.values["close"][:, ticker]))
        later = so_far[-1, ticker] / so_far[priced, ticker]
        close = bars.values["close"][priced, ticker]
        paid = np.zeros(len(priced))
        days = np.flatnonzero(divs[:, ticker] > 0)
        at = np.searchsorted(priced, days)
        np.add.at(paid, at[at < len(priced)], divs[days[at < len(priced)], ticker])
        ex_days = np.flatnonzero(paid[1:] > 0) + 1  # those with a price before
        if not len(ex_days):
            continue
        # An ex-day lowers earlier prices by 1 - dividend / close as traded on the day before.
        factor = np.ones(len(priced))
        for day in ex_days[::-1]:
            factor[:day] = factor[day] * close[day - 1] / (close[day - 1] + paid[day] * factor[day])
        kind = _adjusted_for_dividends(close * later, factor, ex_days, bool(of_history[ticker]))
        if kind == "undo":
            for name in PRICES:
                bars.values[name][priced, ticker] /= factor
            undone.append(str(bars.tickers[ticker]))
        elif kind == "leave out":
            left_out.append(ticker)
        elif not kind and of_history[ticker]:
            unclear.append(ticker)
    if undone or left_out:
        left_out += unclear  # they came from the same call
    divs[:, left_out] = np.where(np.isnan(divs[:, left_out]), np.nan, 0.0)
    why = "adjusted for dividends already (no whole cents before the ex-days)"
    cure = "better download with auto_adjust=False"
    if undone:
        report.add(
            "Prices",
            f"the prices of {quantity(len(undone), 'ticker')} are {why}, and divs would count the dividends "
            f"again: the prices were taken back to those traded; {cure}",
            undone,
        )
    if left_out:
        report.add(
            "Prices",
            f"the prices of {quantity(len(left_out), 'ticker')} are {why}, and divs would count the "
            f"dividends again: the dividends were left out; {cure}",
            [str(bars.tickers[ticker]) for ticker in left_out],
        )


def _adjusted_for_dividends(
    traded: np.ndarray, factor: np.ndarray, ex_days: np.ndarray, history: bool
) -> str:
    """Return the treatment of a ticker's dividends.

    "undo" removes the adjustment of the prices, "leave out" drops the dividends, "traded" keeps both as they
    are, and "" stands for an unclear case.
    """
    last = int(ex_days[-1])
    start = max(0, last - WINDOW)
    if len(ex_days) > 1 and last - ex_days[-2] >= FEWEST_CLOSES:
        start = max(start, int(ex_days[-2]))
    if last - start < FEWEST_CLOSES:
        return ""
    if any(_share_of_multiples(traded[start:last], tick) > 0.3 for tick in TICKS):
        return "traded"
    for tick in TICKS:
        if _share_of_multiples(traded[last:], tick) >= 0.9:
            if _share_of_multiples(traded[start:last] / factor[start:last], tick) >= 0.9:
                return "undo"
            if tick == 0.01:
                return "leave out"
    nowhere = not any(_share_of_multiples(traded, tick) > 0.1 for tick in TICKS)
    return "leave out" if history and nowhere and len(traded) >= 10 else ""


def _share_of_multiples(prices: np.ndarray, tick: float) -> float:
    """Return the share of multiples of a tick.

    Prices are compared with the multiples to the precision of float32.
    """
    units = prices / tick
    off = np.abs(units - np.round(units))
    finest = 2.5e5 if tick >= 0.01 else 5e4  # above, a float32 does not tell
    noise = np.where(units < finest, 2e-7 * units, 0)
    return float((off < np.maximum(noise, np.maximum(1e-9 * units, 1e-6))).mean())


def find_unlisted_splits(bars: Bars) -> list[str]:
    """Return the days that look like unlisted splits.

    On such days the close falls or rises by a simple ratio while the adjusted close does not. Prices are in
    shares of the last day, so that listed splits show no fall.
    """
    close, adjusted = (pd.DataFrame(bars.values[name]).ffill().to_numpy() for name in ("close", "adj"))
    paid = np.nan_to_num(bars.values["divs"])
    found = []
    with np.errstate(invalid="ignore", divide="ignore"):
        change = (close[1:] + paid[1:]) / close[:-1]
        held = adjusted[1:] / adjusted[:-1]
        apart = np.abs(np.log(change / held)) > LEAST
    for ticker, row in zip(*np.nonzero(apart.T), strict=True):
        ratio = held[row, ticker] / change[row, ticker]
        new, old = _simple_ratio(ratio)
        unclear = bars.values["split"][row + 1, ticker] != 1
        unclear |= bool(adjusted[row, ticker] < LEAST_ROUNDED)
        if (
            unclear
            or not new
            or not 0.8 < held[row, ticker] < 1.25
            or np.isnan(bars.values["close"][row + 1, ticker])
        ):
            continue
        verb = "falls" if ratio > 1 else "rises"
        found.append(
            f"{bars.place(row + 1, ticker)}, the close {verb} (times {change[row, ticker]:.3g}) while the "
            f"adjusted close does not, like a split of {new}:{old}"
        )
    return found


def _simple_ratio(ratio: float) -> tuple[int, int]:
    """Return a ratio as small whole numbers.

    Their ratio is within 1 % of the given one. Both are 0 where there are none.
    """
    pairs = [(new, old) for old in range(1, 6) for new in range(1, 51)] + [(1, old) for old in range(6, 51)]
    return next((pair for pair in pairs if abs(ratio / (pair[0] / pair[1]) - 1) < 0.01), (0, 0))
