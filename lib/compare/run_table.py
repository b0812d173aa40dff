"""The table of a comparison: the results of all runs side by side."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.common.files import replace_file
from lib.compare import luck
from lib.compare.labels import label, short_labels, shown
from lib.compare.run_one import FIGURES
from lib.runs.store import Record
from lib.stats.sharpe import deflated_sharpe_ratio, sharpe_ratio
from lib.strategy import Strategy

DEFAULTS = Strategy().as_dict()
SOURCE = "Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio"


def as_table(records: Sequence[Record], tried: Sequence[Record]) -> pd.DataFrame:
    """One row per variant, sorted by the parameters that differ.

    Parameters
    ----------
    records : list of dict
        The runs that were asked for, with their draws (`lib.compare.draws`).
    tried : list of dict
        All finished runs, among them those of `records`: their number and spread deflate the Sharpe ratio.

    Returns
    -------
    pandas.DataFrame
        `label` (see `lib.compare.labels.short_labels`) and `variant`: the parameters that are not the
        default, in short and in full; a column for each parameter that differs; the figures of the whole
        range, NaN where there is none: `sharpe_ratio`, `mean_return` and `volatility` a year, `max_drawdown`
        and `avg_turnover`, as the platform calculates them, `win_rate` (share of days with a gain among those
        with a gain or a loss), `deflated_sharpe_ratio` (0 to 1) and `trials`, the number of runs it counts;
        `pbo`, the probability of overfitting of the `pbo_runs` runs tried on the same days
        (`lib.stats.overfitting`); `sharpe_late`, `sharpe_cost_2` and `sharpe_cost_3`, the Sharpe ratio of
        the same weights one day late, and at two and three times the trading cost; with shuffles `p_value`
        and the number of `shuffles` that finished; with universes `universe_low`, `universe_median` and
        `universe_high`, the quartiles of their Sharpe ratios, `above_0`, the share of them above 0, and how
        many `universes` finished; `seconds`, `status`, `message`, `run`: the name of the file.
    """
    about_luck, overfitting = luck.columns(records), luck.overfitting(records, tried)
    records = luck.variants_of(records)
    parameters = [record["parameters"] for record in records]
    differing = [name for name in DEFAULTS if len({shown(given[name]) for given in parameters}) > 1]
    variance = _sharpe_variance(tried)
    changed = [changed_parameters(record) for record in records]
    labels = short_labels(changed, [record["key"] for record in records])
    rows = []
    for record, own, short in zip(records, changed, labels, strict=True):
        given, figures = record["parameters"], record.get("figures", {})
        row: dict[str, Any] = {"label": short, "variant": label(own)}
        row |= {
            name: given[name] if _is_plain(name, parameters) else shown(given[name]) for name in differing
        }
        row |= {name: as_float(figures.get(name)) for name in FIGURES}
        returns = np.array(record.get("returns", []), dtype=np.float64)
        row["deflated_sharpe_ratio"] = deflated_sharpe_ratio(returns, max(len(tried), 1), variance)
        row["pbo"], row["pbo_runs"] = overfitting.get(record["key"], (math.nan, 0))
        row["trials"] = len(tried)
        row |= about_luck[record["key"]]
        row |= {"seconds": as_float(record.get("seconds")), "status": record["status"]}
        rows.append(row | {"message": record.get("message", ""), "run": record["key"]})
    rows.sort(key=lambda row: [_order(row[name]) for name in differing])
    return pd.DataFrame(rows)


def save_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), content.getvalue())


def _sharpe_variance(tried: Sequence[Record]) -> float:
    """Variance over all runs of the Sharpe ratio of one day; runs that have none do not count."""
    ratios = [float(sharpe_ratio(record["returns"], sample=True)) for record in tried]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    return float(np.var(known, ddof=1)) if len(known) > 1 else 0.0


def changed_parameters(record: Record, *leaving_out: str) -> dict[str, Any]:
    """Parameters of a run that are not the default."""
    given = record["parameters"]
    return {
        name: given[name] for name in DEFAULTS if name not in leaving_out and given[name] != DEFAULTS[name]
    }


def _is_plain(name: str, parameters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column can hold the values as they are; lists become text."""
    return not any(isinstance(given[name], list) for given in parameters)


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def as_float(value: float | None) -> float:
    """A number as it stands in the table: NaN for None."""
    return math.nan if value is None else float(value)
