"""The page verdict.html: the verdict's tables and figures in one file that needs nothing else."""

import html
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.contest.originality import TEMPLATE, UNIVERSE
from lib.contest.verdict import Verdict
from lib.report.contest import as_table
from lib.report.figure_style import GREY, axis, layout, line_style, rows

if TYPE_CHECKING:
    import plotly.graph_objects as go

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; }
:root { color-scheme: light dark; }
table { border-collapse: collapse; margin: 1em 0; font-size: 14px; }
td, th { padding: .3em .8em; border-bottom: 1px solid #8886; text-align: left; }
"""
PANELS = [
    "Equity in sample, 1 at the start (log scale)",
    "Underwater: distance from the highest equity so far",
    "Sharpe ratio by year",
    "Correlation of daily returns by year",
    "Seconds of a pass (training and prediction)",
]


def page(verdict: Verdict, seconds: list[float]) -> str:
    """The whole page; `seconds` is what the pass of each day took."""
    first, last = (str(day)[:10] for day in verdict.returns.time.values[[0, -1]])
    relatives = verdict.relatives.rename(columns=lambda name: name.replace("_", " "))
    parts = [
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Contest verdict</title>"
        f"<style>{STYLE}</style></head><body><h1>{html.escape(verdict.in_words)}</h1>",
        f"<p>{first} to {last}. Prices: {html.escape(verdict.source or 'not named')}</p>",
        _table(as_table(list(verdict.checks))),
        f"<p>{html.escape(verdict.sharpe_in_words)}</p>",
        "<h2>Originality</h2>",
        _table(relatives),
        *(f"<p>{html.escape(note)}</p>" for note in verdict.notes),
        figure(verdict, seconds).to_html(include_plotlyjs=True, full_html=False),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def figure(verdict: Verdict, seconds: list[float]) -> "go.Figure":
    """Equity, underwater, Sharpe ratio and correlations by year, and seconds of a pass, one below another."""
    import qnt.stats as qns

    drawn = rows(PANELS, [0.32, 0.17, 0.17, 0.17, 0.17])
    lines = {"this strategy": verdict.returns}
    lines |= {name: verdict.others[name] for name in (TEMPLATE, UNIVERSE) if name in verdict.others}
    for number, (name, returns) in enumerate(lines.items()):
        equity = qns.calc_equity(returns)
        for row, values in ((1, equity), (2, qns.calc_underwater(equity))):
            drawn.add_scatter(
                x=values.time.values,
                y=values.values,
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                line={**line_style(number), "width": 1.6},
                row=row,
                col=1,
            )
    years = [f"{year}-07-01" for year in verdict.by_year.index]
    drawn.add_bar(
        x=years,
        y=verdict.by_year["sharpe_ratio"],
        showlegend=False,
        marker_color=line_style(0)["color"],
        row=3,
        col=1,
    )
    for number, name in enumerate(verdict.others, start=1):
        drawn.add_scatter(
            x=years,
            y=verdict.by_year[name],
            name=name,
            legendgroup=name,
            showlegend=name not in lines,
            mode="lines+markers",
            line=line_style(number),
            row=4,
            col=1,
        )
    days = verdict.returns.time.values[-len(seconds) :]
    drawn.add_scatter(
        x=days,
        y=np.asarray(seconds)[-len(days) :],
        showlegend=False,
        line={"color": GREY, "width": 1},
        row=5,
        col=1,
    )
    drawn.update_layout(layout("The contest's days in sample", verdict.source, 1250), bargap=0.3)
    drawn.update_xaxes(**axis())
    drawn.update_yaxes(**axis())
    drawn.update_yaxes(type="log", row=1)
    drawn.update_yaxes(tickformat=".0%", row=2)
    return drawn


def _table(table: pd.DataFrame) -> str:
    return table.rename_axis(None).to_html(border=0, float_format="{:.3f}".format)
