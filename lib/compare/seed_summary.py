"""The summary of a comparison over seeds, as a table and in Markdown."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.compare.labels import label, short_labels
from lib.compare.run_table import as_float, changed_parameters
from lib.runs.store import Record


def summary(records: Sequence[Record]) -> pd.DataFrame:
    """Mean and spread over the seeds of each variant, in the order of `records`.

    Columns: `label` and `variant`; `seeds`, how many finished; then `sharpe_ratio`, `against_first` (its
    difference to the first variant with the same seed), `mean_return` and `avg_turnover`: the mean, and in
    `…_spread` the standard deviation over the seeds, NaN of a single one.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        same = {**record["parameters"], "seed": None, "functions": record.get("functions")}
        groups.setdefault(json.dumps(same), []).append(record)
    changed = [changed_parameters(group[0], "seed") for group in groups.values()]
    labels = short_labels(changed, [group[0]["key"] for group in groups.values()])
    first: dict[int, float] = {}
    rows: list[dict[str, Any]] = []
    for group, own, short in zip(groups.values(), changed, labels, strict=True):
        finished = [record for record in group if record["status"] == "finished"]
        columns = {
            name: [as_float(record["figures"][name]) for record in finished]
            for name in ("sharpe_ratio", "mean_return", "avg_turnover")
        }
        ratios = dict(
            zip([record["parameters"]["seed"] for record in finished], columns["sharpe_ratio"], strict=True)
        )
        columns["against_first"] = [ratio - first[seed] for seed, ratio in ratios.items() if seed in first]
        first = first if rows else ratios
        row = {"label": short, "variant": label(own), "seeds": len(finished)}
        for name, values in columns.items():
            row[name] = np.mean(values) if values else math.nan
            row[f"{name}_spread"] = np.std(values, ddof=1) if len(values) > 1 else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def as_markdown(means: pd.DataFrame) -> str:
    """The summary as a Markdown table, mean ± spread."""
    lines = ["| variant | seeds | Sharpe ratio | difference to the first | return a year | turnover |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in means.to_dict("records"):
        cells = [row["label"].replace("|", "\\|"), str(row["seeds"])]
        cells += [
            _mean(row, "sharpe_ratio", digits=3),
            _mean(row, "against_first", "+", digits=3),
            _mean(row, "mean_return", percent=True),
        ]
        cells += [_mean(row, "avg_turnover", digits=3)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(row: Mapping[str, Any], name: str, sign: str = "", digits: int = 2, percent: bool = False) -> str:
    mean, spread = row[name], row[f"{name}_spread"]
    if not math.isfinite(mean):
        return ""
    kind = f".{1 if percent else digits}{'%' if percent else 'f'}"
    after = f" ± {spread:{kind}}" if math.isfinite(spread) else ""
    return f"{mean:{sign}{kind}}{after}"
