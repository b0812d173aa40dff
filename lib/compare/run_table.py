"""The results of all runs side by side: a table, and a summary over seeds."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.compare.labels import label, short_labels, shown
from lib.compare.run_one import FIGURES
from lib.compare.runs import Record
from lib.files import replace_file
from lib.report.sharpe import deflated_sharpe_ratio, sharpe_ratio
from lib.strategy import Strategy

DEFAULTS = Strategy().as_dict()
SOURCE = "Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio"


def as_table(records: Sequence[Record], tried: Sequence[Record]) -> pd.DataFrame:
    """One row per run, sorted by the parameters that differ.

    Parameters
    ----------
    records : list of dict
        The runs that were asked for.
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
        `seconds`, `status`, `message`, `run`: the name of the file.
    """
    parameters = [record["parameters"] for record in records]
    differing = [name for name in DEFAULTS if len({shown(given[name]) for given in parameters}) > 1]
    variance = _sharpe_variance(tried)
    changed = [_changed(record) for record in records]
    labels = short_labels(changed, [record["key"] for record in records])
    rows = []
    for record, own, short in zip(records, changed, labels, strict=True):
        given, figures = record["parameters"], record.get("figures", {})
        row: dict[str, Any] = {"label": short, "variant": label(own)}
        row |= {
            name: given[name] if _is_plain(name, parameters) else shown(given[name]) for name in differing
        }
        row |= {name: _float(figures.get(name)) for name in FIGURES}
        returns = np.array(record.get("returns", []), dtype=np.float64)
        row["deflated_sharpe_ratio"] = deflated_sharpe_ratio(returns, max(len(tried), 1), variance)
        row |= {"trials": len(tried), "seconds": _float(record.get("seconds")), "status": record["status"]}
        rows.append(row | {"message": record.get("message", ""), "run": record["key"]})
    rows.sort(key=lambda row: [_order(row[name]) for name in differing])
    return pd.DataFrame(rows)


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
    changed = [_changed(group[0], "seed") for group in groups.values()]
    labels = short_labels(changed, [group[0]["key"] for group in groups.values()])
    first: dict[int, float] = {}
    rows: list[dict[str, Any]] = []
    for group, own, short in zip(groups.values(), changed, labels, strict=True):
        finished = [record for record in group if record["status"] == "finished"]
        columns = {
            name: [_float(record["figures"][name]) for record in finished]
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


def save_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), content.getvalue())


def _sharpe_variance(tried: Sequence[Record]) -> float:
    """Variance over all runs of the Sharpe ratio of one day; runs that have none do not count."""
    ratios = [sharpe_ratio(np.array(record["returns"], dtype=np.float64)) for record in tried]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    return float(np.var(known, ddof=1)) if len(known) > 1 else 0.0


def _changed(record: Record, *leaving_out: str) -> dict[str, Any]:
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


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _mean(row: Mapping[str, Any], name: str, sign: str = "", digits: int = 2, percent: bool = False) -> str:
    mean, spread = row[name], row[f"{name}_spread"]
    if not math.isfinite(mean):
        return ""
    kind = f".{1 if percent else digits}{'%' if percent else 'f'}"
    after = f" ± {spread:{kind}}" if math.isfinite(spread) else ""
    return f"{mean:{sign}{kind}}{after}"
