"""The figure of the models' outputs: the outcome by output, and their spread across assets."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.common.figure_style import BLUE, COLOURS, GREY, ORANGE, axis, layout

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

BINS = 10  # groups of equally many outputs
FEWEST_IN_BIN = 30
GREEN = COLOURS[2]


def outputs_figure(
    in_sample: pd.DataFrame, out_of_sample: pd.DataFrame, outputs: "xr.DataArray", source: str = ""
) -> "go.Figure":
    """Draw the outcome by output, and the spread of the outputs across assets on each day.

    Parameters
    ----------
    in_sample, out_of_sample : pandas.DataFrame
        Columns `output` and `target`, from `lib.report.outputs`.
    outputs : xarray.DataArray
        (time, asset), the outputs as they were traded; NaN is none.
    source : str
        What the prices are; the title repeats it.
    """
    from plotly.subplots import make_subplots

    titles = [
        "Calibration: mean of the target, by output (bars: two standard errors)",
        "Outputs of a day: highest, median (dashed) and lowest of the assets",
    ]
    figure = make_subplots(
        rows=2, cols=1, vertical_spacing=0.17, row_heights=[0.55, 0.45], subplot_titles=titles
    )
    figure.update_annotations(x=0, xanchor="left", font={"size": 13, "color": GREY})
    seen = []
    for name, colour, table in (("in sample", GREY, in_sample), ("out of sample", BLUE, out_of_sample)):
        points = calibration(table)
        if not len(points):
            continue
        seen.append(points["output"])
        figure.add_scatter(
            x=points["output"],
            y=points["target"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 1.6},
            error_y={"array": 2 * points["error"], "color": colour, "thickness": 1, "width": 3},
            customdata=points["count"],
            hovertemplate="output %{x:.3f}: %{y:.3f}, mean of %{customdata}",
            row=1,
            col=1,
        )
    if seen:
        ends = [min(map(min, seen)), max(map(max, seen))]
        figure.add_scatter(
            x=ends,
            y=ends,
            name="target = output",
            mode="lines",
            line={"color": ORANGE, "dash": "dot", "width": 1.4},
            hovertemplate="%{y:.3f}",
            row=1,
            col=1,
        )
    daily = outputs.where(outputs.count("asset") > 0, drop=True)
    for name, values, dash in (
        ("highest", daily.max("asset"), "solid"),
        ("median", daily.median("asset"), "dash"),
        ("lowest", daily.min("asset"), "solid"),
    ):
        figure.add_scatter(
            x=daily.time.values,
            y=values.values,
            name=name,
            mode="lines",
            showlegend=False,
            line={"color": GREEN, "dash": dash, "width": 1.4},
            hovertemplate=f"{name} %{{y:.3f}}<extra></extra>",
            row=2,
            col=1,
        )
    figure.update_layout(layout("Outputs of the models", source, 640, panels=True), hovermode="closest")
    figure.update_xaxes(**axis())
    figure.update_yaxes(**axis())
    figure.update_xaxes(title_text="output", row=1)
    figure.update_yaxes(title_text="mean of the target", row=1)
    figure.update_yaxes(title_text="output", row=2)
    return figure


def calibration(table: pd.DataFrame) -> pd.DataFrame:
    """Return groups of equally many outputs in order: mean `output` and `target`, its `error`, and `count`.

    The standard error takes the days as independent; assets that move together make it larger. Empty for less
    than `FEWEST_IN_BIN` outputs.
    """
    groups = min(BINS, len(table) // FEWEST_IN_BIN)
    table = table.sort_values("output", kind="stable")
    number = np.arange(len(table)) * groups // max(len(table), 1)
    points = table.groupby(number).agg(
        output=("output", "mean"),
        target=("target", "mean"),
        spread=("target", "std"),
        count=("target", "size"),
    )
    points["error"] = points["spread"] / points["count"] ** 0.5
    return points if groups else points.iloc[:0]
