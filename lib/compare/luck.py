"""Whether the results of a comparison are luck: the figures of its table, and the sentences below it.

Shuffled targets: Phipson, B. and Smyth, G. K. (2010): Permutation P-values Should Never Be Zero. Statistical
Applications in Genetics and Molecular Biology 9 (1), article 39. https://doi.org/10.2202/1544-6115.1585
The best of several variants: Westfall, P. H. and Young, S. S. (1993): Resampling-Based Multiple Testing.
Universes: Palomar, D. P. (2025): Portfolio Optimization, Cambridge University Press, section 8.4.4.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lib.runs.store import DRAW, Record, drawn_from
from lib.stats import friction
from lib.stats.overfitting import overfitting_probability
from lib.stats.walk_forward import WalkForward, walk_forward

LEVEL = 0.05  # below which a p-value would usually be reported


def variants_of(records: Sequence[Record]) -> list[Record]:
    """Return the records that are no draws."""
    return [record for record in records if DRAW not in record]


def draws_of(records: Sequence[Record], kind: str) -> dict[str, dict[int, float]]:
    """Return the Sharpe ratio of each finished draw of a kind, by the variant's key and the draw's number."""
    found: dict[str, dict[int, float]] = {}
    for record in records:
        if kind in record.get(DRAW, {}) and record["status"] == "finished":
            found.setdefault(drawn_from(record), {})[record[DRAW][kind]] = ratio_of(record)
    return found


def ratio_of(record: Record) -> float:
    """Return a finished run's Sharpe ratio; 0 where it has none, as it never holds anything."""
    return record["figures"]["sharpe_ratio"] or 0.0


def p_value(ratio: float, by_chance: Sequence[float]) -> float:
    """Return (b + 1) / (N + 1), b the number of the N ratios by chance that are `ratio` or more.

    Where nothing but chance is at work it is below 0.05 at most 5 times in 100 (Phipson and Smyth 2010).
    """
    return (1 + sum(other >= ratio for other in by_chance)) / (1 + len(by_chance))


def p_value_of_best(records: Sequence[Record]) -> float:
    """Return the p-value of the best of all variants, against the best of each shuffle.

    Only the shuffles that all variants finished count; NaN without any. It is the answer for a variant that
    was chosen because it came first; the others stand for themselves (Westfall and Young 1993).
    """
    finished = [record for record in variants_of(records) if record["status"] == "finished"]
    shuffled = draws_of(records, "shuffle")
    each = [shuffled.get(record["key"], {}) for record in finished]
    common = set.intersection(*map(set, each)) if each else set()
    if not common:
        return math.nan
    return p_value(max(map(ratio_of, finished)), [max(own[k] for own in each) for k in common])


def columns(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Return by a variant's key what the table says of its luck; see `lib.compare.run_table.as_table`."""
    shuffled, universes = draws_of(records, "shuffle"), draws_of(records, "universe")
    asked = {kind for record in records for kind in record.get(DRAW, {})}
    found: dict[str, dict[str, Any]] = {}
    for record in variants_of(records):
        known = record.get("friction", {})
        row = {name: math.nan if known.get(name) is None else known[name] for name in friction.names()}
        if "shuffle" in asked:
            ratios = list(shuffled.get(record["key"], {}).values())
            row |= {"p_value": p_value(ratio_of(record), ratios) if ratios else math.nan}
            row |= {"shuffles": len(ratios)}
        if "universe" in asked:
            ratios = list(universes.get(record["key"], {}).values())
            quartiles = np.quantile(ratios, [0.25, 0.5, 0.75]) if ratios else [math.nan] * 3
            row |= dict(zip(("universe_low", "universe_median", "universe_high"), quartiles, strict=True))
            row |= {"above_0": float(np.mean(np.array(ratios) > 0)) if ratios else math.nan}
            row |= {"universes": len(ratios)}
        found[record["key"]] = row
    return found


def panel(records: Sequence[Record], days: Record) -> tuple[list[Record], np.ndarray]:
    """Return the finished runs of the same days as `days`, and their daily returns (days, runs)."""
    dates = days.get("dates")
    same = [record for record in variants_of(records) if dates and record.get("dates") == dates]
    same = [record for record in same if record["status"] == "finished"]
    returns = [np.array(record["returns"], dtype=np.float64) for record in same]
    return same, np.stack(returns, axis=1) if returns else np.empty((0, 0))


def overfitting(records: Sequence[Record], tried: Sequence[Record]) -> dict[str, tuple[float, int]]:
    """Return by key the probability of overfitting of all runs tried on the same days, and their number."""
    found: dict[str, tuple[float, int]] = {}
    for record in variants_of(records):
        if record["status"] == "finished" and record["key"] not in found:
            same, returns = panel(tried, record)
            value = overfitting_probability(returns), len(same)
            found |= dict.fromkeys([other["key"] for other in same], value)
    return found


def walked(records: Sequence[Record]) -> tuple[list[Record], WalkForward | None]:
    """Return the variants on the days of the first that finished, and their walk forward."""
    first = next((record for record in variants_of(records) if record["status"] == "finished"), None)
    same, returns = panel(records, first or {})
    if not same or first is None:
        return same, None
    return same, walk_forward(returns, first["dates"], first["parameters"]["competition_type"])
