"""Luck in a comparison: its figures and sentences.

They show how much of a result is luck. Shuffled targets: Phipson, B. and Smyth, G. K. (2010): Permutation
P-values Should Never Be Zero. Statistical Applications in Genetics and Molecular Biology 9 (1), article 39.
https://doi.org/10.2202/1544-6115.1585 The best of several variants: Westfall, P. H. and Young, S. S. (1993):
Resampling-Based Multiple Testing. Universes: Palomar, D. P. (2025): Portfolio Optimization, Cambridge
University Press, section 8.4.4.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from lib.compare.single_run import BLOCK, DRAW, drawn_from, finished_of, on_same_days, variants_of
from lib.runs.store import Record
from lib.stats.resampling import (
    FEWEST_TO_SPLIT,
    HALVINGS,
    WalkForward,
    overfitting_probability,
    walk_forward,
)
from lib.stats.sharpe import COSTS, LATE, friction_names, sharpe_ratio

P_VALUE_LEVEL = 0.05  # below which a p-value would usually be reported
# of 100 panels of independent noise how many have a probability of overfitting below 0.1, by number of runs
BELOW_A_TENTH = {2: 12, 5: 4, 10: 2}


class TriedRuns:
    """Runs tried on the same days, one per variant.

    All runs are on the same market.
    """

    def __init__(self, records: Sequence[Record]):
        """Keep the records of the tried runs."""
        self.records = list(records)

    @cached_property
    def sharpe_variance(self) -> float:
        """Return the variance of the daily Sharpe ratios.

        Runs without a Sharpe ratio do not count. The variance is 0 for fewer than two ratios.
        """
        ratios = [
            float(sharpe_ratio(np.array(record["returns"], float), sample=True)) for record in self.records
        ]
        known = [ratio for ratio in ratios if math.isfinite(ratio)]
        return float(np.var(known, ddof=1)) if len(known) > 1 else 0.0

    @cached_property
    def panel(self) -> tuple[list[Record], np.ndarray]:
        """Return the runs with dated returns.

        Only runs with the dates of the first one count. The second value holds their returns (days, runs).
        """
        dated = [record for record in self.records if record.get("dates")]
        same = [record for record in dated if record["dates"] == dated[0]["dates"]]
        returns = [np.array(record["returns"], dtype=np.float64) for record in same]
        return same, np.stack(returns, axis=1) if returns else np.empty((0, 0))

    @cached_property
    def overfitting(self) -> tuple[float, int]:
        """Return the probability of overfitting.

        The second value is the number of runs that count.
        """
        same, returns = self.panel
        return overfitting_probability(returns), len(same)


def draws_of(records: Sequence[Record], kind: str) -> dict[str, dict[int, float]]:
    """Return the Sharpe ratios of one kind of draws.

    Only finished draws count. The ratios are indexed by the key of the variant, then by the number of the
    draw.
    """
    found: dict[str, dict[int, float]] = {}
    for record in finished_of(records):
        if kind in record.get(DRAW, {}):
            found.setdefault(drawn_from(record), {})[record[DRAW][kind]] = ratio_of(record)
    return found


def ratio_of(record: Record) -> float:
    """Return the Sharpe ratio of a finished run.

    The ratio is 0 for a run without one, which never holds anything.
    """
    return record["figures"]["sharpe_ratio"] or 0.0


def p_value(ratio: float, by_chance: Sequence[float]) -> float:
    """Return the p-value of a Sharpe ratio.

    The p-value is (b + 1) / (N + 1), where b of the N ratios by chance are `ratio` or more. Under pure chance
    it is below 0.05 at most 5 times in 100 (Phipson and Smyth 2010).
    """
    return (1 + sum(other >= ratio for other in by_chance)) / (1 + len(by_chance))


def p_value_of_best(records: Sequence[Record]) -> float:
    """Return the p-value of the best variant.

    The best ratio of all variants is compared with the best of each shuffle. Only shuffles that all variants
    finished count; the p-value is NaN without any. It holds for a variant that was chosen because of its
    first place; the p-values of the others stand alone (Westfall and Young 1993).
    """
    finished = finished_of(variants_of(records))
    shuffled = draws_of(records, "shuffle")
    each = [shuffled.get(record["key"], {}) for record in finished]
    common = set.intersection(*map(set, each)) if each else set()
    if not common:
        return math.nan
    return p_value(max(map(ratio_of, finished)), [max(own[k] for own in each) for k in common])


def walked(records: Sequence[Record]) -> tuple[list[Record], WalkForward | None]:
    """Return the walk forward of the finished variants.

    The first value holds the variants on the days of the first finished one. The second value is their walk
    forward, or None if there is none.
    """
    finished = finished_of(variants_of(records))
    first = next(iter(finished), None)
    same, returns = TriedRuns(on_same_days(first, finished) if first else []).panel
    if not same or first is None:
        return same, None
    return same, walk_forward(returns, same[0]["dates"], first["parameters"]["competition_type"])


def luck_sentences(records: Sequence[Record], table: pd.DataFrame) -> list[str]:
    """Return sentences on the role of luck.

    The sentences explain the meaning and the limits of the numbers in the table. `records` come from
    `lib.compare.run_variants`, `table` from `lib.compare.table.comparison_table`.
    """
    finished = table[table["status"] == "finished"]
    if finished.empty:
        return []
    found = [_overfitting(finished), _friction(), _walk_forward(records, table)]
    if "p_value" in finished:
        found.append(_shuffles(records, finished))
        found += _without_effect(records, finished)
    if "universes" in finished:
        found.append(_universes())
    return found


def _overfitting(table: pd.DataFrame) -> str:
    row = table.iloc[0]
    if not np.isfinite(row["pbo"]):
        return (
            f"Probability of overfitting: none, it needs two runs of the same {FEWEST_TO_SPLIT} days or "
            f"more, here {row['pbo_runs']}."
        )
    rates = ", ".join(f"{rate} of 100 with {runs}" for runs, rate in BELOW_A_TENTH.items())
    return (
        f"Probability of overfitting (pbo): {row['pbo']:.2f}, the share of {HALVINGS:,} halvings of the "
        f"days in which the best of {row['pbo_runs']} runs in one half is below the median in the other "
        f"(Bailey et al. 2017). Noise has 0.5 on average, and below 0.1 by luck in {rates} runs."
    )


def _friction() -> str:
    costs = ", ".join(
        f"{name} at {times} times" for name, times in zip(friction_names()[1:], COSTS, strict=True)
    )
    return (
        f"Friction: {LATE} is the Sharpe ratio of the same weights one day late, {costs} the "
        "trading cost of the platform; nothing was trained anew."
    )


def _walk_forward(records: Sequence[Record], table: pd.DataFrame) -> str:
    same, found = walked(records)
    if found is None:
        return "Walk forward: none, it needs two years and two variants that finished."
    labels = dict(zip(table["run"], table["label"], strict=True))
    names = [labels[same[k]["key"]] for k in [*found.chosen, found.best]]
    return (
        f"Walk forward, {found.days[0]} to {found.days[1]}: the variant that was best so far, chosen anew "
        f"each year ({', '.join(names[:-1])}), has a Sharpe ratio of {found.chained:.3f}; the best in "
        f"hindsight ({names[-1]}) {found.hindsight:.3f}, all variants on average {found.mean:.3f}."
    )


def _shuffles(records: Sequence[Record], table: pd.DataFrame) -> str:
    fewest, most, number = table["shuffles"].min(), table["shuffles"].max(), len(table)
    found = (
        f"Shuffled targets: p_value is (b + 1) / (N + 1), b of N trainings on targets shuffled in blocks of "
        f"{BLOCK} days doing at least as well (Phipson and Smyth 2010); a variant that learns nothing has a "
        f"value below {P_VALUE_LEVEL} at most 5 times in 100. N is "
        f"{fewest if fewest == most else f'{fewest} to {most}'}: "
    )
    if 1 / (fewest + 1) >= P_VALUE_LEVEL:
        found += f"too few for any value below {P_VALUE_LEVEL}, which takes {round(1 / P_VALUE_LEVEL)}."
    else:
        error = math.sqrt(P_VALUE_LEVEL * (1 - P_VALUE_LEVEL) / fewest)
        found += f"no value can be below {1 / (fewest + 1):.3f}, and one near {P_VALUE_LEVEL} has a standard "
        found += f"error of {error:.3f}."
    best = p_value_of_best(records)
    if number > 1 and np.isfinite(best):
        found += (
            f" That holds for a variant chosen beforehand: of {number} without any edge "
            f"{number * P_VALUE_LEVEL:.2g} would be below {P_VALUE_LEVEL}. The best of all has "
            f"p = {best:.3f} (Westfall and Young 1993)."
        )
    return found


def _without_effect(records: Sequence[Record], table: pd.DataFrame) -> list[str]:
    """Return a sentence on shuffles without effect.

    The sentence names the variants whose weights no shuffle changes. The list is empty if there are none.
    """
    weights = {record["key"]: record.get("weights_sha256") for record in finished_of(variants_of(records))}
    changed: dict[str, bool] = {}
    for record in finished_of(records):
        if "shuffle" in record.get(DRAW, {}):
            key = drawn_from(record)
            changed[key] = changed.get(key, False) or record.get("weights_sha256") != weights.get(key)
    names = [
        label for key, label in zip(table["run"], table["label"], strict=True) if not changed.get(key, True)
    ]
    if not names:
        return []
    return [
        f"Shuffling changes no weight of {', '.join(names)}: the training does not use its target, "
        "so that a p_value of 1 says nothing."
    ]


def _universes() -> str:
    return (
        "Universes: quartiles of the Sharpe ratio on random halves of the assets and of the days, and the "
        "share above 0 (Palomar 2025). They overlap and share one history: their spread is no interval, the "
        "share no probability."
    )
