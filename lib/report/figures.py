"""The figures of a backtest: equity, performance beside a benchmark, and holdings."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lib.common.figure_style import BLUE, COLOURS, ORANGE, axis, layout, rows, shades

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

YEAR = 252  # trading days of a rolling Sharpe ratio
SHORTEST = YEAR * 3 // 2  # trading days of a backtest of which a third or more has a rolling Sharpe ratio
SHARE = ".2~%"  # digits as needed: a turnover below 1 % has ticks that differ
LINES = {
    "strategy": {"color": BLUE, "width": 1.8},
    "without the model": {"color": COLOURS[2], "width": 1.8, "dash": "dash"},
    "equal weights": {"color": ORANGE, "width": 1.8},
}
WIDEST = 750  # days that a heat map shows: more would be narrower than a pixel each


def equity_figure(equity: "xr.DataArray", source: str = "") -> "go.Figure":
    """Draw equity (time,), of two days or more, on a log scale; `source` says what the prices are."""
    import plotly.graph_objects as go

    figure = go.Figure()
    first, last = (str(day)[:10] for day in equity.time.values[[0, -1]])
    figure.add_scatter(
        x=equity.time.values, y=equity.values, mode="lines", line={"color": BLUE}, hovertemplate="%{y:.3f}"
    )
    figure.update_layout(layout(f"Equity, {first} to {last}", source, 340))
    figure.update_xaxes(**axis())
    figure.update_yaxes(title_text="equity, 1 at the start (log scale)", type="log", **axis())
    return figure


def performance_figure(lines: Mapping[str, "xr.DataArray"], source: str = "") -> "go.Figure":
    """Draw equity, drawdown and, of long backtests, the rolling Sharpe ratio of portfolios.

    Parameters
    ----------
    lines : mapping of str to xarray.DataArray
        By name of up to three portfolios, the strategy first: (time,), the return of each day after costs, as
        from `qnt.stats.calc_relative_return`; two days or more.
    source : str
        What the prices are; the title repeats it.
    """
    panels = [
        ("Equity, 1 at the start", "equity (log scale)", ".3f"),
        ("Drawdown: distance from the highest equity so far", "drawdown", ".1%"),
        (f"Sharpe ratio of the last {YEAR} days, annualised", "Sharpe ratio", ".2f"),
    ][: 3 if next(iter(lines.values())).sizes["time"] >= SHORTEST else 2]
    figure = rows([title for title, _, _ in panels], [0.46, 0.24, 0.3][: len(panels)])
    for name, line in lines.items():
        for row, (values, (_, _, form)) in enumerate(zip(_series(line), panels, strict=False), start=1):
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


def holdings_figure(weights: "xr.DataArray", source: str = "") -> "go.Figure":
    """Draw the weights (time, asset) of all assets ever held as a heat map, with exposure and turnover.

    Exposure is the sum of the absolute weights of a day, turnover the sum of their absolute changes since the
    day before, both as shares of the capital.
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
        colorbar={
            "title": {"text": "weight", "font": {"size": 13}},
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
    figure.update_layout(layout(f"Holdings{every}", source, height + 440, panels=True), hovermode="closest")
    figure.update_xaxes(**axis())
    figure.update_yaxes(**axis())
    figure.update_yaxes(title_text="of the capital", tickformat=SHARE, rangemode="tozero")
    figure.update_yaxes(title_text="", tickformat=None, autorange="reversed", dtick=1, showgrid=False, row=1)
    return figure


def _series(returns: "xr.DataArray") -> tuple["xr.DataArray", ...]:
    """Equity, drawdown and rolling Sharpe ratio of returns."""
    import qnt.stats as qns

    equity = qns.calc_equity(returns)
    year = {"max_periods": YEAR, "min_periods": YEAR, "points_per_year": YEAR}
    return equity, qns.calc_underwater(equity), qns.calc_sharpe_ratio_annualized(returns, **year)
