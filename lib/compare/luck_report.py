"""What a comparison prints about luck: a table, and a sentence for each question with its error rate."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.compare import luck
from lib.compare.draws import BLOCK
from lib.runs.store import Record
from lib.stats import friction
from lib.stats.overfitting import FEWEST, SPLITS

SHOWN = ["label", "sharpe_ratio", "deflated_sharpe_ratio", "pbo", *friction.names(), "p_value", "shuffles"]
SHOWN += ["universe_low", "universe_median", "universe_high", "above_0", "universes"]
# of 100 panels of independent noise how many have a probability of overfitting below 0.1, by number of runs
BELOW_A_TENTH = {2: 12, 5: 4, 10: 2}


def sentences(records: Sequence[Record], table: pd.DataFrame) -> list[str]:
    """Return what the numbers of the table say, and what they do not.

    `records` are those that `lib.compare.comparison.run` returned, `table` what
    `lib.compare.run_table.as_table` makes of them.
    """
    finished = table[table["status"] == "finished"]
    if finished.empty:
        return []
    found = [_overfitting(finished), _friction(), _walk_forward(records, table)]
    if "p_value" in finished:
        found.append(_shuffles(records, finished))
    if "universes" in finished:
        found.append(_universes())
    return found


def _overfitting(table: pd.DataFrame) -> str:
    row = table.iloc[0]
    if not np.isfinite(row["pbo"]):
        return (
            f"Probability of overfitting: none, it needs two runs of the same {FEWEST} days or more, here "
            f"{row['pbo_runs']}."
        )
    rates = ", ".join(f"{rate} of 100 with {runs}" for runs, rate in BELOW_A_TENTH.items())
    return (
        f"Probability of overfitting (pbo): {row['pbo']:.2f}, the share of {len(SPLITS):,} halvings of the "
        f"days in which the best of {row['pbo_runs']} runs in one half is below the median in the other "
        f"(Bailey et al. 2017). Noise has 0.5 on average, and below 0.1 by luck in {rates} runs."
    )


def _friction() -> str:
    costs = ", ".join(
        f"{name} at {times} times" for name, times in zip(friction.names()[1:], friction.COSTS, strict=True)
    )
    return (
        f"Friction: {friction.LATE} is the Sharpe ratio of the same weights one day late, {costs} the "
        "trading cost of the platform; nothing was trained anew."
    )


def _walk_forward(records: Sequence[Record], table: pd.DataFrame) -> str:
    same, found = luck.walked(records)
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
        f"value below {luck.LEVEL} at most 5 times in 100. N is "
        f"{fewest if fewest == most else f'{fewest} to {most}'}: "
    )
    if 1 / (fewest + 1) >= luck.LEVEL:
        found += f"too few for any value below {luck.LEVEL}, which takes {round(1 / luck.LEVEL)}."
    else:
        error = math.sqrt(luck.LEVEL * (1 - luck.LEVEL) / fewest)
        found += f"no value can be below {1 / (fewest + 1):.3f}, and one near {luck.LEVEL} has a standard "
        found += f"error of {error:.3f}."
    best = luck.p_value_of_best(records)
    if number > 1 and np.isfinite(best):
        found += (
            f" That holds for a variant chosen beforehand: of {number} without any edge "
            f"{number * luck.LEVEL:.2g} would be below {luck.LEVEL}. The best of all has p = {best:.3f} "
            "(Westfall and Young 1993)."
        )
    return found


def _universes() -> str:
    return (
        "Universes: quartiles of the Sharpe ratio on random halves of the assets and of the days, and the "
        "share above 0 (Palomar 2025). They overlap and share one history: their spread is no interval, the "
        "share no probability."
    )
