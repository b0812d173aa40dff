"""The table of a comparison: its columns and forms.

`TABLE_COLUMNS` declares each column once: name, heading, explanation, computation, and the views that show
it. A new column is a new entry there; it appears in the table, and in the views that it names.
"""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from lib.common import figure_style
from lib.common.files import replace_file
from lib.compare.luck import TriedRuns, draws_of, p_value, ratio_of
from lib.compare.single_run import DRAW, finished_of, on_same_days, variants_of
from lib.compare.variants import base_name, short_labels, value_text, variant_label
from lib.runs.store import Record
from lib.stats.performance import win_rate
from lib.stats.sharpe import COSTS, LATE, deflated_sharpe_ratio
from lib.strategy import Strategy

if TYPE_CHECKING:
    import plotly.graph_objects as go

DEFLATED_SOURCE = "Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio"
LABEL_WIDTH = 22  # characters of a line beside a bar
ENOUGH = 0.95  # deflated Sharpe ratio above which luck does not explain a result
RESULTS, LUCK, PLOT = "results", "luck", "plot"  # views: the printed tables, and what the plot shows at a bar


class Row(NamedTuple):
    """The inputs of a row of the table.

    They are a variant's run, its labels, the runs tried on its days, and its draws. All columns of the row
    are computed from them.
    """

    record: Record
    label: str
    variant: str
    trials: TriedRuns  # all runs tried on its days
    draws: Mapping[str, Mapping[int, float]]  # the Sharpe ratios of its draws by kind and number

    def figure(self, name: str) -> float:
        """Return one of the platform's statistics.

        The statistic covers the whole range, and is NaN if the run has none.
        """
        return _as_float(self.record.get("figures", {}).get(name))

    def returns(self) -> np.ndarray:
        """Return the daily returns, NaN where one is missing."""
        return np.array(self.record.get("returns", []), dtype=np.float64)

    def drawn(self, kind: str) -> list[float]:
        """Return the Sharpe ratios of one kind of draws."""
        return list(self.draws.get(kind, {}).values())


class TableColumn(NamedTuple):
    """A column of the table."""

    name: str
    heading: str
    text: str  # the explanation
    compute: Callable[[Row], Any]
    views: tuple[str, ...] = ()
    format: str = ".3f"  # of numbers that are no integers
    over_seeds: str = ""  # format in the summary over seeds; empty: not shown there
    draw: str = ""  # the kind of draws that must have been asked for


def _statistic(name: str, heading: str, text: str, figure: str = "", **more: Any) -> TableColumn:
    """Return the column of a platform statistic.

    The statistic is `figure`, by default the one with the name of the column.
    """
    shown = {"views": (RESULTS, PLOT), "format": ".2%", **more}
    return TableColumn(name, heading, text, lambda row: row.figure(figure or name), **shown)


def _friction(name: str, text: str) -> TableColumn:
    def compute(row: Row) -> float:
        return _as_float(row.record.get("friction", {}).get(name))

    return TableColumn(name, name.replace("_", " "), text, compute, (LUCK,))


def _quartile(name: str, share: float) -> TableColumn:
    text = f"the {share:.0%} quantile of the Sharpe ratios of the universes"
    return TableColumn(
        name, name.replace("_", " "), text, lambda row: _quantile(row, share), (LUCK,), draw="universe"
    )


def _deflated(row: Row) -> float:
    return deflated_sharpe_ratio(row.returns(), max(len(row.trials.records), 1), row.trials.sharpe_variance)


def _overfitting(row: Row) -> tuple[float, int]:
    counted = row.record["status"] == "finished" and row.record.get("dates")
    return row.trials.overfitting if counted else (math.nan, 0)


def _p_value(row: Row) -> float:
    drawn = row.drawn("shuffle")
    return p_value(ratio_of(row.record), drawn) if drawn else math.nan


def _quantile(row: Row, share: float) -> float:
    drawn = row.drawn("universe")
    return float(np.quantile(drawn, share)) if drawn else math.nan


def _above_zero(row: Row) -> float:
    drawn = row.drawn("universe")
    return float(np.mean(np.array(drawn) > 0)) if drawn else math.nan


def _as_float(value: float | None) -> float:
    return math.nan if value is None else float(value)


# The columns of the parameters that differ stand behind "variant".
TABLE_COLUMNS = [
    TableColumn(
        "label", "label", "what the variant changes, in short", lambda row: row.label, (RESULTS, LUCK)
    ),
    TableColumn("variant", "variant", "what the variant changes", lambda row: row.variant, (PLOT,)),
    _statistic(
        "sharpe_ratio",
        "Sharpe ratio",
        "a year, as the platform computes it",
        views=(RESULTS, LUCK),
        format=".3f",
        over_seeds=".3f",
    ),
    _statistic("annual_return", "annual return", "as in the report", figure="mean_return", over_seeds=".1%"),
    _statistic("volatility", "volatility", "a year, as in the report"),
    _statistic("max_drawdown", "maximum drawdown", "as in the report"),
    _statistic(
        "avg_turnover",
        "turnover per day",
        "the share of the capital traded, as in the report",
        over_seeds=".2%",
    ),
    TableColumn(
        "win_rate",
        "win rate",
        "the share of days with a gain among those with a gain or a loss",
        lambda row: win_rate(row.returns()),
        (RESULTS, PLOT),
        ".1%",
    ),
    TableColumn(
        "deflated_sharpe_ratio",
        "deflated Sharpe ratio",
        "0 to 1, the probability that luck does not explain the best of so many trials",
        _deflated,
        (RESULTS, LUCK, PLOT),
    ),
    TableColumn(
        "pbo",
        "probability of overfitting",
        "of all runs tried on the same days of the same market",
        lambda row: _overfitting(row)[0],
        (LUCK,),
    ),
    TableColumn("pbo_runs", "runs", "the number of runs in pbo", lambda row: _overfitting(row)[1]),
    TableColumn(
        "trials",
        "trials",
        "the number of variants tried on the same days of the same market",
        lambda row: len(row.trials.records),
    ),
    _friction(LATE, "the Sharpe ratio of the same weights one day late"),
    *(_friction(f"sharpe_cost_{n}", f"the Sharpe ratio at {n} times the trading cost") for n in COSTS),
    TableColumn("p_value", "p-value", "against shuffled targets", _p_value, (LUCK,), draw="shuffle"),
    TableColumn(
        "shuffles",
        "shuffles",
        "the number of shuffles that finished",
        lambda row: len(row.drawn("shuffle")),
        (LUCK,),
        draw="shuffle",
    ),
    _quartile("universe_low", 0.25),
    _quartile("universe_median", 0.5),
    _quartile("universe_high", 0.75),
    TableColumn(
        "above_0",
        "above 0",
        "the share of universes with a Sharpe ratio above 0",
        _above_zero,
        (LUCK,),
        draw="universe",
    ),
    TableColumn(
        "universes",
        "universes",
        "the number of universes that finished",
        lambda row: len(row.drawn("universe")),
        (LUCK,),
        draw="universe",
    ),
    TableColumn(
        "seconds", "seconds", "of the run", lambda row: _as_float(row.record.get("seconds")), (RESULTS,)
    ),
    TableColumn(
        "status",
        "status",
        "finished, failed, interrupted or not run",
        lambda row: row.record["status"],
        (RESULTS,),
    ),
    TableColumn(
        "message", "message", "the reason why a run failed", lambda row: row.record.get("message", "")
    ),
    TableColumn(
        "run", "run", "the key, and the name of the run's file", lambda row: row.record["key"], (PLOT,)
    ),
]


def comparison_table(
    records: Sequence[Record],
    tried: Sequence[Record],
    base: Strategy | None = None,
    unchanged: str | None = None,
) -> pd.DataFrame:
    """Return a table with one row per variant.

    The rows are sorted by the parameters that differ.

    Parameters
    ----------
    records : list of dict
        The runs that were asked for, with their draws.
    tried : list of dict
        All runs that were tried (`lib.compare.single_run.tried`), among them those of `records`. The number
        and the spread of those on the same days of the same market deflate the Sharpe ratio.
    base : Strategy, optional
        The strategy that the variants change; default: the published one.
    unchanged : str, optional
        Label of a variant without a change; default: whose values the base has.

    Returns
    -------
    pandas.DataFrame
        The columns of `TABLE_COLUMNS`, and after `variant` one for each parameter that differs. Numbers are
        NaN where there is none.
    """
    kinds = {kind: draws_of(records, kind) for kind in ("shuffle", "universe")}
    asked = {"", *(kind for record in records for kind in record.get(DRAW, {}))}
    variants = variants_of(records)
    parameters = [record["parameters"] for record in variants]
    names = (base or Strategy()).as_dict()
    differing = [name for name in names if len({value_text(given[name]) for given in parameters}) > 1]
    unchanged = base_name(base) if unchanged is None else unchanged
    changed = [changed_parameters(record, base) for record in variants]
    labels = short_labels(changed, [record["key"] for record in variants], unchanged)
    trials: dict[str, TriedRuns] = {}
    rows = []
    for record, own, label in zip(variants, changed, labels, strict=True):
        same = on_same_days(record, tried)
        of_days = trials.setdefault(same[0]["key"] if same else "", TriedRuns(same))
        drawn = {kind: found.get(record["key"], {}) for kind, found in kinds.items()}
        row = Row(record, label, variant_label(own, unchanged), of_days, drawn)
        cells = {column.name: column.compute(row) for column in TABLE_COLUMNS if column.draw in asked}
        given = {name: _cell(record["parameters"][name]) for name in differing}
        head = {name: cells.pop(name) for name in ("label", "variant")}
        rows.append(head | given | cells)
    rows.sort(key=lambda row: [row[name] for name in differing])
    return pd.DataFrame(rows)


def changed_parameters(record: Record, base: Strategy | None = None, without: str = "") -> dict[str, Any]:
    """Return the parameters that differ from the base.

    The parameter named `without` is left out.
    """
    unchanged, given = (base or Strategy()).as_dict(), record["parameters"]
    return {
        name: given[name] for name, value in unchanged.items() if name != without and given[name] != value
    }


def _cell(value: Any) -> Any:
    """Return a parameter's value for a cell.

    A list is returned as text, any other value as it is.
    """
    return value_text(value) if isinstance(value, list) else value


def columns_of(view: str) -> list[TableColumn]:
    """Return the columns that a view shows."""
    return [column for column in TABLE_COLUMNS if view in column.views]


def printed_table(table: pd.DataFrame, view: str) -> str:
    """Return the columns of a view as text.

    Results have the headings of the report.
    """
    shown = [column for column in columns_of(view) if column.name in table]

    def formatter(column: TableColumn) -> Callable[[Any], str]:
        return lambda value: (
            f"{value:{column.format}}"
            if isinstance(value, float) and value == value
            else ("NaN" if isinstance(value, float) else str(value))
        )

    return table[[column.name for column in shown]].to_string(
        index=False,
        formatters={column.name: formatter(column) for column in shown},
        header=[column.heading if view == RESULTS else column.name for column in shown],
    )


def conclusion(table: pd.DataFrame) -> str:
    """Return a sentence on the best variant.

    It also states if luck alone may explain the result.
    """
    found = table[np.isfinite(table["sharpe_ratio"])]
    if found.empty:
        return "No variant has a Sharpe ratio."
    best = found.loc[found["sharpe_ratio"].idxmax()]
    sure, trials = best["deflated_sharpe_ratio"], best["trials"]
    of_all = f"Best of {len(found)}" if len(found) > 1 else "The variant"
    sentence = f"{of_all}: {best['label']}, with a Sharpe ratio of {best['sharpe_ratio']:.3f}"
    if not np.isfinite(sure):
        return f"{sentence}."
    sentence += f" (deflated for {trials} tried: {sure:.2f})" if trials > 1 else f" (deflated: {sure:.2f})"
    if sure > ENOUGH:
        return f"{sentence}, more than luck explains."
    return f"{sentence}. That is not above {ENOUGH:.2f}: luck alone may explain it."


def column_texts() -> str:
    """Return a line of text for each column.

    The line contains the name and the explanation of the column.
    """
    return "\n".join(f"  {column.name:<22} {column.text}" for column in TABLE_COLUMNS)


def save_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), content.getvalue())


def seed_summary(
    records: Sequence[Record], base: Strategy | None = None, unchanged: str | None = None
) -> pd.DataFrame:
    """Return mean and spread over seeds by variant.

    The variants are in the order of `records`. The columns are `label`, `variant` and `seeds`, the number of
    seeds that finished. Then follow the columns of `TABLE_COLUMNS` with `over_seeds`, and after the first of
    them `against_first`, the difference to the first variant with the same seed. Each of these columns has
    the mean over the seeds, and beside it `…_spread` has the standard deviation, NaN for a single seed.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        same = {**record["parameters"], "seed": None, "functions": record.get("functions")}
        groups.setdefault(json.dumps(same), []).append(record)
    unchanged = base_name(base) if unchanged is None else unchanged
    changed = [changed_parameters(group[0], base, without="seed") for group in groups.values()]
    labels = short_labels(changed, [group[0]["key"] for group in groups.values()], unchanged)
    shown = [column for column in TABLE_COLUMNS if column.over_seeds]
    first: dict[int, float] = {}
    rows: list[dict[str, Any]] = []
    for group, own, label in zip(groups.values(), changed, labels, strict=True):
        finished = finished_of(group)
        cells = [Row(record, label, "", TriedRuns([record]), {}) for record in finished]
        values = {column.name: [column.compute(cell) for cell in cells] for column in shown}
        seeds = [record["parameters"]["seed"] for record in finished]
        ratios = dict(zip(seeds, values["sharpe_ratio"], strict=True))
        values["against_first"] = [ratio - first[seed] for seed, ratio in ratios.items() if seed in first]
        first = first if rows else ratios
        row = {"label": label, "variant": variant_label(own, unchanged), "seeds": len(finished)}
        for name, _, _ in _summarised():
            row[name] = np.mean(values[name]) if values[name] else math.nan
            row[f"{name}_spread"] = np.std(values[name], ddof=1) if len(values[name]) > 1 else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _summarised() -> list[tuple[str, str, str]]:
    """Return the columns of the summary over seeds.

    Each column is a tuple of name, heading and format.
    """
    shown = [
        (column.name, column.heading, column.over_seeds) for column in TABLE_COLUMNS if column.over_seeds
    ]
    return [*shown[:1], ("against_first", "difference to the first", "+.3f"), *shown[1:]]


def seed_markdown(means: pd.DataFrame) -> str:
    """Return the summary over seeds as Markdown.

    The cells of the table are mean ± spread.
    """
    columns = _summarised()
    lines = [f"| {' | '.join(['variant', 'seeds', *(heading for _, heading, _ in columns)])} |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for row in means.to_dict("records"):
        cells = [row["label"].replace("|", "\\|"), str(row["seeds"])]
        cells += [_mean(row[name], row[f"{name}_spread"], kind) for name, _, kind in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(mean: float, spread: float, kind: str) -> str:
    if not math.isfinite(mean):
        return ""
    return f"{mean:{kind}}" + (f" ± {spread:{kind.lstrip('+')}}" if math.isfinite(spread) else "")


def comparison_figure(table: pd.DataFrame, title: str, source: str) -> "go.Figure":
    """Draw the Sharpe ratio by variant.

    The best variant is on top. The colour shows the deflated Sharpe ratio.

    Parameters
    ----------
    table : pandas.DataFrame
        From `comparison_table`. Rows without a Sharpe ratio are left out and counted.
    title, source : str
        The heading, and a description of the prices.
    """
    import plotly.graph_objects as go

    rows = table[np.isfinite(table["sharpe_ratio"])].sort_values(
        "sharpe_ratio", ascending=False, kind="stable"
    )
    missing = len(table) - len(rows)
    note = f" ({missing} without a Sharpe ratio not shown)" if missing else ""
    shown = columns_of(PLOT)
    lines = ["Sharpe ratio: %{x:.3f}"]
    for k, column in enumerate(shown):
        number = f":{column.format}" if pd.api.types.is_float_dtype(table[column.name]) else ""
        lines.append(f"{column.heading}: %{{customdata[{k}]{number}}}")
    names = [figure_style.wrapped(label, LABEL_WIDTH) for label in rows["label"]]
    bars = go.Bar(
        x=rows["sharpe_ratio"],
        y=names,
        orientation="h",
        marker={"color": rows["deflated_sharpe_ratio"], "colorscale": "Cividis", "cmin": 0, "cmax": 1}
        | {"colorbar": figure_style.COLOUR_BAR},
        customdata=rows[[column.name for column in shown]].to_numpy(object),
        hovertemplate="<br>".join([*lines, "<extra></extra>"]),
    )
    tall = 14 + 16 * max((name.count("<br>") + 1 for name in names), default=1)
    layout = figure_style.layout(f"{title}{note}", source, height=max(300, 140 + tall * len(rows)))
    layout["margin"]["b"] = 130
    layout |= {"hovermode": "closest"}
    drawn = go.Figure(bars, layout)
    drawn.update_xaxes(
        title="Sharpe ratio, a year<br>(colour: deflated Sharpe ratio, 0 to 1)", **figure_style.axis()
    )
    drawn.update_yaxes(autorange="reversed", **figure_style.axis())
    return drawn


def save_figure(drawn: "go.Figure", path: Path) -> None:
    """Write a figure as one HTML file.

    The page needs no other file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), figure_style.page("Comparison of variants", [drawn]).encode())
