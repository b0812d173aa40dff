"""The plot of a comparison, as an HTML file."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.common import figure_style
from lib.common.files import replace_file

if TYPE_CHECKING:
    import plotly.graph_objects as go

HOVER = [
    *("deflated_sharpe_ratio", "mean_return", "volatility", "max_drawdown", "avg_turnover", "win_rate"),
    *("variant", "run"),
]


def figure(table: pd.DataFrame, title: str, source: str) -> "go.Figure":
    """Sharpe ratio by variant, the best on top, coloured by the deflated one.

    Parameters
    ----------
    table : pandas.DataFrame
        What `lib.compare.run_table.as_table` returns. Rows without a Sharpe ratio are left out and counted.
    title, source : str
        The heading, and a description of the prices.
    """
    import plotly.graph_objects as go

    rows = table[np.isfinite(table["sharpe_ratio"])].sort_values(
        "sharpe_ratio", ascending=False, kind="stable"
    )
    missing = len(table) - len(rows)
    note = f" ({missing} without a Sharpe ratio not shown)" if missing else ""
    lines = ["Sharpe ratio: %{x:.3f}"]
    for k, name in enumerate(HOVER):
        number = "" if name in ("variant", "run") else ":.3f"
        lines.append(f"{name.replace('_', ' ')}: %{{customdata[{k}]{number}}}")
    bars = go.Bar(
        x=rows["sharpe_ratio"],
        y=rows["label"],
        orientation="h",
        marker={"color": rows["deflated_sharpe_ratio"], "colorscale": "Cividis", "cmin": 0, "cmax": 1}
        | {"colorbar": {"title": {"text": "deflated,<br>0 to 1"}}},
        customdata=rows[HOVER].to_numpy(object),
        hovertemplate="<br>".join([*lines, "<extra></extra>"]),
    )
    layout = figure_style.layout(f"{title}{note}", source, height=max(360, 160 + 24 * len(rows)))
    layout |= {"hovermode": "closest"}
    drawn = go.Figure(bars, layout)
    drawn.update_xaxes(title="Sharpe ratio, a year", **figure_style.axis())
    drawn.update_yaxes(autorange="reversed", **figure_style.axis())
    return drawn


def save(drawn: "go.Figure", path: Path) -> None:
    """Write a figure as one HTML file that needs nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), drawn.to_html(include_plotlyjs=True).encode())
