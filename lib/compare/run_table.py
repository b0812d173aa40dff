"""What came of all runs, side by side? A table, and a summary over seeds."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.compare.run_one import FIGURES
from lib.compare.runs import Record
from lib.compare.variants import label, shown
from lib.files import replace_file
from lib.report.sharpe import deflated_sharpe_ratio
from lib.strategy import Strategy

DEFAULTS = Strategy().as_dict()
SOURCE = "Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio"


def as_table(records: Sequence[Record], tried: Sequence[Record]) -> pd.DataFrame:
    """One row per run, sorted by the parameters that differ.

    Parameters
    ----------
    records : list of dict
        What is asked about.
    tried : list of dict
        All runs that were ever finished, among them those of `records`: what the Sharpe ratio is deflated by.

    Returns
    -------
    pandas.DataFrame
        `variant` (parameters that are not the default, in words); a column for each parameter that differs;
        the figures of the whole range, NaN where there is none: `sharpe_ratio`, `mean_return` and
        `volatility` a year, `max_drawdown` and `avg_turnover`, as the platform calculates them, `hit_rate`
        (share of days with a gain among those with a gain or a loss), `deflated_sharpe_ratio` (0 to 1) and
        `trials`, the number of runs it counts; `seconds`, `status`, `message`, `run`: the name of the file.
    """
    parameters = [record["parameters"] for record in records]
    differing = [name for name in DEFAULTS if len({shown(one[name]) for one in parameters}) > 1]
    variance = _sharpe_variance(tried)
    rows = []
    for record in records:
        own = record["parameters"]
        row: dict[str, Any] = {
            "variant": label({name: own[name] for name in DEFAULTS if own[name] != DEFAULTS[name]})
        }
        row |= {name: own[name] if _is_plain(name, parameters) else shown(own[name]) for name in differing}
        figures = record.get("figures", {})
        row |= {name: _float(figures.get(name)) for name in FIGURES}
        finished = record["status"] == "finished"
        returns = np.array(record.get("returns", []), dtype=np.float64)
        row["deflated_sharpe_ratio"] = (
            deflated_sharpe_ratio(returns, max(len(tried), 1), variance) if finished else math.nan
        )
        row |= {"trials": len(tried), "seconds": _float(record.get("seconds")), "status": record["status"]}
        row |= {"message": record.get("message", ""), "run": record["key"]}
        rows.append(row)
    rows.sort(key=lambda row: [_order(row[name]) for name in differing])
    return pd.DataFrame(rows)


def summary(records: Sequence[Record]) -> pd.DataFrame:
    """Mean and spread over the seeds of each variant, in the order of `records`.

    Columns: `variant`; `seeds`, how many finished; then `sharpe_ratio`, `against_first` (its difference to
    the first variant with the same seed), `mean_return` and `avg_turnover`: the mean, and in `…_spread` the
    standard deviation over the seeds, NaN of a single one.
    """
    by_variant: dict[str, dict[int, Record]] = {}
    for record in records:
        given = record["parameters"]
        own = {name: given[name] for name in DEFAULTS if name != "seed" and given[name] != DEFAULTS[name]}
        finished = by_variant.setdefault(label(own), {})
        if record["status"] == "finished":
            finished[record["parameters"]["seed"]] = record
    first = next(iter(by_variant.values()), {})
    rows = []
    for variant, runs in by_variant.items():
        row: dict[str, Any] = {"variant": variant, "seeds": len(runs)}
        sharpe = {seed: _float(run["figures"]["sharpe_ratio"]) for seed, run in runs.items()}
        paired = [
            s - _float(first[seed]["figures"]["sharpe_ratio"]) for seed, s in sharpe.items() if seed in first
        ]
        figures = {
            "sharpe_ratio": list(sharpe.values()),
            "against_first": paired if runs is not first else [],
        }
        for name in ("mean_return", "avg_turnover"):
            figures[name] = [_float(run["figures"][name]) for run in runs.values()]
        for name, values in figures.items():
            row[name] = np.mean(values) if values else math.nan
            row[f"{name}_spread"] = np.std(values, ddof=1) if len(values) > 1 else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def as_markdown(means: pd.DataFrame) -> str:
    """The summary as a Markdown table, mean ± spread."""
    lines = ["| variant | seeds | Sharpe ratio | difference to the first | return a year | turnover |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in means.to_dict("records"):
        cells = [row["variant"].replace("|", "\\|"), str(row["seeds"])]
        cells += [
            _mean(row, "sharpe_ratio", digits=3),
            _mean(row, "against_first", "+", digits=3),
            _mean(row, "mean_return", percent=True),
        ]
        cells += [_mean(row, "avg_turnover", digits=3)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def save_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet or CSV, by the ending of `path`."""
    if path.suffix == ".parquet":
        content = io.BytesIO()
        table.to_parquet(content, index=False)
        data = content.getvalue()
    else:
        data = table.to_csv(index=False).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), data)


def _sharpe_variance(tried: Sequence[Record]) -> float:
    """Variance over all runs of the Sharpe ratio of one day, as `lib.report.sharpe` wants it."""
    ratios = []
    for record in tried:
        returns = np.array(record["returns"], dtype=np.float64)
        returns = returns[np.isfinite(returns)]
        if len(returns) > 2 and returns.std() > 0:
            ratios.append(returns.mean() / returns.std(ddof=1))
    return float(np.var(ratios, ddof=1)) if len(ratios) > 1 else 0.0


def _is_plain(name: str, parameters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column can hold the values as they are; lists become text."""
    return not any(isinstance(one[name], list) for one in parameters)


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
