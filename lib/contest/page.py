"""The page verdict.html: tables and figures of the verdict in one file."""

import html
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.common.figure_style import DASHES, GREY, MARKERS, axis, layout, line_style, page, rows
from lib.common.rules import rules_table
from lib.contest.originality import TEMPLATE, UNIVERSE
from lib.contest.verdict import Verdict, with_headings

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANELS = {  # by title: whether it has a point for each year
    "Equity in sample, 1 at the start (log scale)": False,
    "Drawdown from the highest equity so far": False,
    "Sharpe ratio by year": True,
    "Correlation of daily returns by year": True,
    "Seconds of a pass (training and prediction)": False,
}


def verdict_page(verdict: Verdict, seconds: list[float]) -> str:
    """Return the whole page as HTML.

    `seconds` holds the duration of each day's pass.
    """
    return page(
        f"Contest verdict: {verdict.title or 'a strategy'}",
        [
            f"<h1>{html.escape(verdict.in_words)}</h1>",
            f"<p>{html.escape(verdict.title)}</p>" if verdict.title else "",
            f"<p>{verdict.days_in_words}. Prices: {html.escape(verdict.source or 'not named')}</p>",
            _table(rules_table(list(verdict.checks))),
            f"<p>{html.escape(verdict.sharpe_in_words)}</p>",
            f"<p>{verdict.exposure_in_words}</p>",
            "<h2>Originality</h2>",
            _table(with_headings(verdict.relatives)),
            *(f"<p>{html.escape(note)}</p>" for note in verdict.notes),
            verdict_figure(verdict, seconds),
        ],
    )


def verdict_figure(verdict: Verdict, seconds: list[float]) -> "go.Figure":
    """Draw the figure of the verdict.

    Its panels are equity, drawdown, Sharpe ratio and correlations by year, and seconds of a pass. Days of a
    single year have no panels by year: these would show one point each.
    """
    import qnt.stats as qns

    yearly = len(verdict.by_year) > 1
    titles = [title for title, by_year in PANELS.items() if yearly or not by_year]
    drawn = rows(titles, [0.32, *[0.17] * (len(titles) - 1)])
    lines = {"this strategy": verdict.returns}
    lines |= {name: verdict.others[name] for name in (TEMPLATE, UNIVERSE) if name in verdict.others}
    styles = {  # dashes beside the colours: a copy covers its line, and not everyone tells all colours apart
        name: line_style(number) | {"dash": DASHES[number % len(DASHES)]}
        for number, name in enumerate(["this strategy", *verdict.others])
    }
    for name, returns in lines.items():
        equity = qns.calc_equity(returns)
        for row, values in ((1, equity), (2, qns.calc_underwater(equity))):
            drawn.add_scatter(
                x=values.time.values,
                y=values.values,
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                line={**styles[name], "width": 1.6},
                row=row,
                col=1,
            )
    if yearly:
        _add_years(drawn, verdict, styles, known=set(lines))
    days = verdict.returns.time.values[-len(seconds) :]
    drawn.add_scatter(
        x=days,
        y=np.asarray(seconds)[-len(days) :],
        showlegend=False,
        line={"color": GREY, "width": 1},
        row=len(titles),
        col=1,
    )
    drawn.update_layout(
        layout("The contest's days in sample", verdict.source, 250 + 200 * len(titles), panels=True)
    )
    drawn.update_xaxes(**axis())
    drawn.update_yaxes(**axis())
    drawn.update_yaxes(type="log", row=1)
    drawn.update_yaxes(tickformat=".2~%", row=2)
    drawn.update_yaxes(rangemode="tozero", row=len(titles))
    return drawn


def _add_years(drawn: "go.Figure", verdict: Verdict, styles: dict[str, Any], known: set[str]) -> None:
    """Add the Sharpe ratio and correlations of each year.

    They stand above the middle of the year's days.
    """
    table, days = verdict.by_year, verdict.returns.get_index("time")
    of_year = [days[days.year == year] for year in table.index]
    middles = [part[len(part) // 2] for part in of_year]
    widths = [0.7 * ((part[-1] - part[0]) / pd.Timedelta(1, "ms") + 86_400_000) for part in of_year]
    colour = styles["this strategy"]["color"]
    drawn.add_bar(
        x=middles, y=table["sharpe_ratio"], width=widths, showlegend=False, marker_color=colour, row=3, col=1
    )
    for number, name in enumerate(verdict.others):
        drawn.add_scatter(
            x=middles,
            y=table[name],
            name=name,
            legendgroup=name,
            showlegend=name not in known,
            mode="lines+markers",
            line=styles[name],
            marker={"symbol": MARKERS[number % len(MARKERS)], "size": 8},
            row=4,
            col=1,
        )


def _table(table: pd.DataFrame) -> str:
    text = table.rename_axis(None).to_html(border=0, float_format="{:.3f}".format)
    return f'<div class="wide">{text}</div>'
