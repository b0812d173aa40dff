"""The figures of a report: trainings, outputs, performance, contributions and holdings."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.common.figure_style import (
    BLUE,
    COLOUR_BAR,
    COLOURS,
    GREY,
    ORANGE,
    axis,
    layout,
    line_style,
    rows,
    shades,
    wrapped,
)
from lib.report.outputs import has_classes
from lib.stats.portfolios import exposure
from lib.stats.sharpe import sharpe_ratio

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

    from lib.common.competitions import Competition
    from lib.engine.models import TrainedModels

SHORTEST = 1.5  # years of a backtest of which a third or more has a rolling Sharpe ratio of a year
SHARE = ".2~%"  # digits as needed: a turnover below 1 % has ticks that differ
LINES = {
    "strategy": {"color": BLUE, "width": 1.8},
    "before": {"color": COLOURS[4], "width": 1.8, "dash": "dot"},
    "without the model": {"color": COLOURS[2], "width": 1.8, "dash": "dash"},
    "equal weights": {"color": ORANGE, "width": 1.8},
}
WIDEST = 750  # days that a heat map shows: more would be narrower than a pixel each
MOST_ASSETS = 30  # bars
BINS = 10  # groups of equally many outputs
FEWEST_IN_BIN = 30
LOSSES = {"mse": "mean squared error", "bce": "binary cross-entropy"}
GREEN = COLOURS[2]


def loss_figure(models: "TrainedModels", classes: bool, source: str = "") -> "go.Figure":
    """Draw the loss by evaluation.

    Each asset has a line, up to the loss after training. A pooled model has one line. Losses in validation
    are dashed, each at the end of its epoch.

    Parameters
    ----------
    models : TrainedModels
        At least one asset has a model.
    classes : bool
        True if every target is 0 or 1: the loss of always predicting 0.5 is drawn.
    source : str
        What the prices are; the title repeats it.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    pooled = models.strategy.scope == "pooled"
    squared = models.strategy.loss == "mse"
    for number, (asset, fit) in enumerate(list(models.fits.items())[: 1 if pooled else None]):
        style = {**line_style(number), "width": 1.6}
        figure.add_scatter(
            y=[*fit.losses, fit.loss_after] if squared and not pooled else fit.losses,
            name="training" if pooled else asset,
            mode="lines",
            line=style,
            hovertemplate="%{y:.4f}",
        )
        if fit.validation_losses:
            ends = np.arange(1, len(fit.validation_losses) + 1) / len(fit.validation_losses)
            figure.add_scatter(
                x=ends * len(fit.losses) - 1,
                y=fit.validation_losses,
                name="validation" if pooled else f"{asset}, validation",
                mode="lines+markers",
                line={**style, "dash": "dash"},
                hovertemplate="%{y:.4f}",
            )
    first, last = models.window
    figure.update_layout(layout(f"Loss by evaluation, {first} to {last}", source, 420), showlegend=True)
    figure.update_xaxes(title_text="evaluation of the loss", **axis())
    figure.update_yaxes(title_text=LOSSES.get(str(models.strategy.loss), "loss"), **axis())
    if classes and squared:
        note = {"annotation_text": "always predicting 0.5", "annotation_font_color": GREY}
        figure.add_hline(0.25, line={"color": GREY, "dash": "dot"}, annotation_position="bottom left", **note)
    return figure


def outputs_figure(
    in_sample: pd.DataFrame, out_of_sample: pd.DataFrame, outputs: "xr.DataArray", source: str = ""
) -> "go.Figure":
    """Draw the outcome by output, and the outputs' spread.

    The spread is across assets on each day.

    Parameters
    ----------
    in_sample, out_of_sample : pandas.DataFrame
        Columns `output` and `target`, from `lib.report.outputs`. For targets other than 0 and 1 there is no
        calibration: the line "target = output" is left out.
    outputs : xarray.DataArray
        (time, asset), the outputs as they were traded; NaN is none.
    source : str
        What the prices are; the title repeats it.
    """
    from plotly.subplots import make_subplots

    classes = has_classes(in_sample) and has_classes(out_of_sample)
    titles = [
        f"{'Calibration: mean' if classes else 'Mean'} of the target, by output (bars: two standard errors)",
        "Outputs of a day: highest, median (dashed) and lowest of the assets",
    ]
    figure = make_subplots(
        rows=2,
        cols=1,
        vertical_spacing=0.2,
        row_heights=[0.55, 0.45],
        subplot_titles=[wrapped(title) for title in titles],
    )
    figure.update_annotations(x=0, xanchor="left", align="left", font={"size": 13, "color": GREY})
    seen = []
    for name, colour, table in (("in sample", GREY, in_sample), ("out of sample", BLUE, out_of_sample)):
        points = outcome_by_output(table)
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
    if seen and classes:
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


def outcome_by_output(table: pd.DataFrame) -> pd.DataFrame:
    """Return groups of outputs with their mean outcome.

    The groups have equally many outputs and are in order. The columns are the mean `output` and `target`, the
    standard `error` of the target, and `count`. The error takes the days as independent; assets that move
    together make it larger. The table is empty for less than `FEWEST_IN_BIN` outputs.
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


def performance_figure(
    lines: Mapping[str, "xr.DataArray"], rules: "Competition", source: str = ""
) -> "go.Figure":
    """Draw equity and drawdown of portfolios.

    Long backtests have the rolling Sharpe ratio too.

    Parameters
    ----------
    lines : mapping of str to xarray.DataArray
        By name of up to four portfolios, the strategy first: (time,), the return of each day after costs, as
        from `qnt.stats.calc_relative_return`; two days or more.
    rules : Competition
        Whose Sharpe ratio and trading days a year are drawn.
    source : str
        What the prices are; the title repeats it.
    """
    year = rules.days_a_year
    panels = [
        ("Equity, 1 at the start", "equity (log scale)", ".3f"),
        ("Drawdown from the highest equity so far", "drawdown", ".1%"),
        (f"Sharpe ratio of the last {year} days, annualised", "Sharpe ratio", ".2f"),
    ][: 3 if next(iter(lines.values())).sizes["time"] >= SHORTEST * year else 2]
    figure = rows([title for title, _, _ in panels], [0.46, 0.24, 0.3][: len(panels)])
    for name, line in lines.items():
        for row, (values, (_, _, form)) in enumerate(
            zip(_series(line, rules), panels, strict=False), start=1
        ):
            figure.add_scatter(
                x=values.time.values,
                y=values.values,
                name=name,
                mode="lines",
                legendgroup=name,
                showlegend=row == 1,
                line=LINES.get(name, LINES["strategy"]),
                hovertemplate=f"%{{y:{form}}}",
                row=row,
                col=1,
            )
    height = 780 if len(panels) == 3 else 580
    figure.update_layout(layout(f"Backtest: {_listed(lines)}", source, height, panels=True))
    figure.update_xaxes(**axis())
    figure.update_yaxes(**axis())
    for row, (_, unit, _) in enumerate(panels, start=1):
        figure.update_yaxes(title_text=unit, row=row)
    figure.update_yaxes(type="log", row=1)
    figure.update_yaxes(tickformat=SHARE, row=2)
    return figure


def _listed(lines: Mapping[str, "xr.DataArray"]) -> str:
    *names, last = lines
    return f"{', '.join(names)} and {last}" if names else last


def _series(returns: "xr.DataArray", rules: "Competition") -> tuple["xr.DataArray", ...]:
    """Return equity, drawdown and rolling Sharpe ratio of returns."""
    import qnt.stats as qns

    equity = qns.calc_equity(returns)
    year, rolling = rules.days_a_year, np.full(returns.shape, np.nan)
    if len(rolling) >= year:
        windows = np.lib.stride_tricks.sliding_window_view(returns.values, year)
        rolling[year - 1 :] = sharpe_ratio(windows.T, year, rules.mean_estimator)
    return equity, qns.calc_underwater(equity), returns.copy(data=rolling)


def contributions_figure(earned: pd.Series, source: str = "") -> "go.Figure":
    """Draw the earnings of each asset.

    The assets are in order from the largest gain to the largest loss.

    Parameters
    ----------
    earned : pandas.Series
        By asset, in falling order, from `lib.stats.portfolios.contributions`. Of many, the middle
        ones share a bar.
    source : str
        What the prices are; the title repeats it.
    """
    import plotly.graph_objects as go

    if len(earned) > MOST_ASSETS:
        half = MOST_ASSETS // 2
        middle = earned.iloc[half:-half]
        rest = pd.Series({f"{len(middle)} others": middle.sum()})
        earned = pd.concat([earned.iloc[:half], rest, earned.iloc[-half:]])
    figure = go.Figure()
    figure.add_bar(
        x=earned.to_numpy(),
        y=earned.index,
        orientation="h",
        marker={"color": [BLUE if value >= 0 else ORANGE for value in earned]},
        hovertemplate="%{y}: %{x:.2%}<extra></extra>",
    )
    height = 90 + 17 * max(len(earned), 4)
    figure.update_layout(
        layout("Contribution of each asset", source, height), hovermode="closest", bargap=0.25
    )
    figure.update_xaxes(
        title_text="of the capital, costs taken off,<br>without compounding", tickformat=".1~%", **axis()
    )
    figure.update_yaxes(autorange="reversed", **{**axis(), "showgrid": False})
    figure.update_yaxes(title_text="asset", dtick=1)
    return figure


def holdings_figure(weights: "xr.DataArray", turnover: "xr.DataArray", source: str = "") -> "go.Figure":
    """Draw weights, exposure and turnover.

    The weights are shown for all assets ever held.

    Parameters
    ----------
    weights : xarray.DataArray
        (time, asset). Exposure is the sum of the absolute weights of a day; where there are short positions,
        long, short (below 0) and net exposure are drawn too.
    turnover : xarray.DataArray
        (time,), the share of the capital traded on each day, from `lib.stats.portfolios.portfolio`.
    source : str
        What the prices are; the title repeats it.
    """
    weights = weights.transpose("time", "asset").fillna(0)
    held = weights.values != 0
    order = np.argsort(held.argmax(axis=0), kind="stable")  # the asset that was held first stands on top
    weights = weights.isel(asset=order[held.any(axis=0)[order]])
    step = -(-weights.sizes["time"] // WIDEST)
    shown = weights.isel(time=slice(None, None, step))
    height = 60 + 17 * max(weights.sizes["asset"], 4)
    figure = rows(["Weight of each asset ever held", "Exposure", "Turnover per day"], [height, 140, 140])
    figure.add_heatmap(
        x=shown.time.values,
        y=weights.asset.values,
        z=np.where(shown.values == 0, np.nan, shown.values).T.round(4),
        hovertemplate="%{y}, %{x|%Y-%m-%d}: %{z:.2%}<extra></extra>",
        colorbar=COLOUR_BAR | {"tickformat": SHARE},
        row=1,
        col=1,
        **shades(shown.values),
    )
    found = exposure(weights)
    lines = [(2, "gross", found.gross, {"color": BLUE}), (3, "turnover", turnover, {"color": BLUE})]
    has_shorts = bool((found.short > 0).any())
    if has_shorts:
        lines += [
            (2, "long", found.long, {"color": GREEN, "dash": "dash"}),
            (2, "short", -found.short, {"color": ORANGE, "dash": "dash"}),
            (2, "net", found.net, {"color": GREY, "dash": "dot"}),
        ]
    for row, name, values, line in lines:
        figure.add_scatter(
            x=values.time.values,
            y=values.values,
            name=name,
            showlegend=has_shorts and row == 2,
            line={"width": 1.6, **line},
            hovertemplate="%{x|%Y-%m-%d}: %{y:.1%}<extra></extra>",
            row=row,
            col=1,
        )
    every = "" if step == 1 else f" (heat map: one day of {step})"
    figure.update_layout(layout(f"Holdings{every}", source, height + 440, panels=True), hovermode="closest")
    figure.update_xaxes(**axis())
    figure.update_yaxes(**axis())
    figure.update_yaxes(title_text="of the capital", tickformat=SHARE, rangemode="tozero")
    figure.update_yaxes(title_text="", tickformat=None, autorange="reversed", dtick=1, showgrid=False, row=1)
    return figure
