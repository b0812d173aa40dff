"""What does a training, or a backtest, look like?"""

from typing import TYPE_CHECKING

import numpy as np

from lib.report.figure_style import BLUE, COLOURS, GREY, ORANGE, axis, layout, rows, shades

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

    from lib.engine.models import TrainedModels

YEAR, QUARTER = 252, 63  # trading days
SHARE = ".2~%"  # digits as needed: a turnover below 1 % has ticks that differ
WIDEST = 750  # days that a heat map shows: more would be narrower than a pixel each


def loss_figure(models: "TrainedModels", source: str = "") -> "go.Figure":
    """Loss by evaluation, a line for each asset; the last point is the loss after training.

    `source` says what the prices are, where that must be said; so in every figure here.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for k, (asset, fit) in enumerate(models.fits.items()):
        figure.add_scatter(
            y=[*fit.losses, fit.loss_after],
            name=asset,
            line={"color": COLOURS[k % len(COLOURS)], "width": 1.6},
            hovertemplate="%{y:.4f}",
        )
    first, last = models.window
    figure.update_layout(layout(f"Loss by evaluation, {first} to {last}", source, 420))
    figure.update_xaxes(title_text="evaluation of the loss", **axis())
    figure.update_yaxes(title_text="mean squared error", **axis())
    if models.strategy.target in ("next_open_up", "tradable_open_up"):
        note = {"annotation_text": "knowing nothing: always 0.5", "annotation_font_color": GREY}
        figure.add_hline(0.25, line={"color": GREY, "dash": "dot"}, annotation_position="bottom left", **note)
    return figure


def equity_figure(equity: "xr.DataArray", source: str = "") -> "go.Figure":
    """Equity (time,), on a log scale."""
    import plotly.graph_objects as go

    figure = go.Figure()
    days = [str(day)[:10] for day in equity.time.values]
    one_day = len(days) == 1
    figure.add_scatter(
        x=equity.time.values,
        y=equity.values,
        mode="markers" if one_day else "lines",
        line={"color": BLUE},
        hovertemplate="%{y:.3f}",
    )
    figure.update_layout(layout(f"Equity, {days[0]} to {days[-1]}", source, 340))
    figure.update_xaxes(**axis())
    figure.update_yaxes(title_text="equity, 1 at the start (log scale)", type="log", **axis())
    if one_day:
        figure.update_xaxes(tickvals=days)
        figure.update_yaxes(tickvals=[1.0], range=[-0.1, 0.1])
        note = "what the weights of a day earn is known from the next day on"
        figure.add_annotation(text=note, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.1)
    return figure


def performance_figure(returns: "xr.DataArray", benchmark: "xr.DataArray", source: str = "") -> "go.Figure":
    """Equity, distance from its peak and rolling Sharpe ratio, beside an equal-weight portfolio.

    Parameters
    ----------
    returns, benchmark : xarray.DataArray
        (time,), the return of each day after costs, as from `qnt.stats.calc_relative_return`.
    source : str
        As for `loss_figure`.
    """
    titles = [
        "Equity, 1 at the start",
        "Underwater: below the highest equity so far",
        f"Sharpe ratio of the last {YEAR} days (of {QUARTER} at least), annualised",
    ]
    figure = rows(titles, [0.46, 0.24, 0.3])
    for name, colour, line in (("strategy", BLUE, returns), ("equal weights", ORANGE, benchmark)):
        for row, (values, form) in enumerate(zip(_series(line), (".3f", ".1%", ".2f"), strict=True), start=1):
            figure.add_scatter(
                x=values.time.values,
                y=values.values,
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                line={"color": colour, "width": 1.8},
                hovertemplate=f"%{{y:{form}}}",
                row=row,
                col=1,
            )
    figure.update_layout(layout("Backtest against equal weights in all liquid assets", source, 780))
    figure.update_xaxes(**axis())
    figure.update_yaxes(**axis())
    figure.update_yaxes(title_text="equity (log scale)", type="log", row=1)
    figure.update_yaxes(title_text="share lost", tickformat=SHARE, row=2)
    figure.update_yaxes(title_text="Sharpe ratio", row=3)
    if returns.sizes["time"] < QUARTER:
        note = f"{QUARTER} days are needed; there are {returns.sizes['time']}"
        figure.add_annotation(text=note, showarrow=False, xref="x3 domain", yref="y3 domain", x=0.5, y=0.5)
    return figure


def holdings_figure(weights: "xr.DataArray", source: str = "") -> "go.Figure":
    """Weights (time, asset) of assets ever held, as a heat map; exposure; and turnover.

    Exposure is the sum of \\|w\\|, turnover that of \\|w - w of the day before\\|, as shares of the capital.
    """
    weights = weights.transpose("time", "asset").fillna(0)
    held = weights.values != 0
    order = np.argsort(held.argmax(axis=0), kind="stable")  # who came first stands on top
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
        colorbar={
            "title": "weight",
            "tickformat": SHARE,
            "len": 0.5,
            "y": 1,
            "yanchor": "top",
            "outlinewidth": 0,
        },
        row=1,
        col=1,
        **shades(shown.values),
    )
    exposure = np.abs(weights.values).sum(axis=1)
    turnover = np.abs(np.diff(weights.values, axis=0, prepend=np.nan)).sum(axis=1)
    for row, values in ((2, exposure), (3, turnover)):
        figure.add_scatter(
            x=weights.time.values,
            y=values,
            showlegend=False,
            line={"color": BLUE, "width": 1.6},
            hovertemplate="%{x|%Y-%m-%d}: %{y:.1%}<extra></extra>",
            row=row,
            col=1,
        )
    every = "" if step == 1 else f" (heat map: one day of {step})"
    figure.update_layout(layout(f"Holdings{every}", source, height + 440), hovermode="closest")
    figure.update_xaxes(**axis())
    figure.update_yaxes(**axis())
    figure.update_yaxes(title_text="of the capital", tickformat=SHARE, rangemode="tozero")
    figure.update_yaxes(title_text="", tickformat=None, autorange="reversed", dtick=1, showgrid=False, row=1)
    return figure


def _series(returns: "xr.DataArray") -> tuple["xr.DataArray", ...]:
    import qnt.stats as qns

    equity = qns.calc_equity(returns)
    year = {"max_periods": YEAR, "min_periods": QUARTER, "points_per_year": YEAR}
    return equity, qns.calc_underwater(equity), qns.calc_sharpe_ratio_annualized(returns, **year)
