"""The style of all figures, and the pages made of them.

It suits light and dark pages.
"""

import html
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Of middle lightness, so that each contrasts with white and with JupyterLab's dark grey (#111): the grey of
# all text and the orange by 4.5 to 1 with white, which leaves 4.1 with the dark grey.
GREY = "#757575"
COLOURS = (
    "#2a85cf",
    "#b85c0a",
    "#2c9150",
    "#d9483b",
    "#a361c7",
    "#8c8315",
    "#158f96",
    "#cf4f8f",
    "#6d78d6",
    "#9a7350",
)
BLUE, ORANGE = COLOURS[:2]
DASHES = ("solid", "dash", "dot", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "star")
NOTHING = "rgba(0,0,0,0)"
TOOLBAR = 40  # pixels on top, for plotly's buttons
# Characters of a line that fits a page of 400 pixels, by font size.
TITLE_WIDTH, NOTE_WIDTH, PANEL_WIDTH = 43, 60, 48
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M1 13 5 8l3 3 7-9' fill='none' stroke='%232a85cf' stroke-width='2'/%3E%3C/svg%3E"
)
COLOUR_BAR = {  # below the plot
    "orientation": "h",
    "thickness": 12,
    "len": 1,
    "tickangle": 0,
    "x": 0,
    "xanchor": "left",
    "xref": "paper",
    "y": 0,
    "yref": "container",
    "yanchor": "bottom",
    "outlinewidth": 0,
}
HEAD = f"""\
<link rel="icon" href="{ICON}">
<style>
@page {{ size: A4; margin: 12mm; }}
@media print {{
  table {{ font-size: 8pt !important; page-break-inside: avoid; }}
  td, th {{ padding: .2em .4em !important; }}
  div {{ overflow: visible !important; }}
  .plotly-graph-div, .js-plotly-plot {{ page-break-inside: avoid; }}
  .modebar {{ display: none; }}
}}
@media print, (max-width: 600px) {{
  pre {{ white-space: pre-wrap !important; }}
}}
@media (max-width: 600px) {{
  table {{ font-size: 10px !important; }}
  td, th {{ padding: .3em .2em !important; }}
  body.jp-Notebook {{ padding: 4px; }}
  .jp-OutputArea-child .jp-OutputArea-output {{
    display: block; box-sizing: border-box; margin: 0; overflow-x: auto;
  }}
  p code, li code {{ white-space: pre-wrap !important; overflow-wrap: anywhere; }}
}}
</style>
<script>
// a printed page is 660 pixels wide: figures are drawn anew for it, and those taller than it are made smaller
const ofAll = change => document.querySelectorAll(".js-plotly-plot").forEach(change);
addEventListener("beforeprint", () => ofAll(plot => {{
  plot.style.zoom = Math.min(1, 960 / plot.layout.height);
  Plotly.relayout(plot, {{autosize: false, width: 660 / plot.style.zoom}});
}}));
addEventListener("afterprint", () => ofAll(plot => {{
  plot.style.zoom = 1;
  Plotly.relayout(plot, {{autosize: true, width: null}});
}}));
</script>
"""
STYLE = """\
:root { color-scheme: light dark; }
body { font: 15px/1.5 sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; font-size: 14px; }
td, th { padding: .3em .8em; border-bottom: 1px solid #8886; text-align: left; }
.wide { overflow-x: auto; }
@media (max-width: 600px) { body { margin: 1em auto; } }
"""


def line_style(number: int) -> dict[str, str]:
    """Return the colour and dash of a numbered line.

    The first forty differ from one another.
    """
    colour, dash = number % len(COLOURS), number // len(COLOURS) % len(DASHES)
    return {"color": COLOURS[colour], "dash": DASHES[dash]}


def page(title: str, parts: "Iterable[str | go.Figure]") -> str:
    """Return a self-contained page as HTML.

    It needs no other file. `parts` are pieces of HTML and figures. Plotly's script is there once.
    """
    import plotly.graph_objects as go

    pieces, script = [], True
    for part in parts:
        if isinstance(part, go.Figure):
            part = part.to_html(include_plotlyjs=script, full_html=False, config={"responsive": True})
            script = False
        pieces.append(part)
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>{HEAD}"
    )
    body = "\n".join(pieces)
    return f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def wrapped(text: str, width: int = PANEL_WIDTH) -> str:
    """Return text wrapped for a narrow page."""
    return "<br>".join(textwrap.wrap(text, width))


def layout(title: str, source: str, height: int, panels: bool = False) -> dict[str, Any]:
    """Return the layout of all figures.

    It has a title, a line on the source of the prices, a legend below the plot, and a transparent background.
    Figures of several `panels` have more room on top, for the title of the first one.
    """
    heading, note = wrapped(title, TITLE_WIDTH), wrapped(f"Prices: {source}", NOTE_WIDTH) if source else ""
    lines = heading.count("<br>") + 1, note.count("<br>") + bool(note)
    small = f"<br><span style='font-size:13px'>{note}</span>" if note else ""
    top = TOOLBAR + 22 * lines[0] + 18 * lines[1] + 40 * panels
    return {
        "template": "none",
        "title": {
            "text": f"<b>{heading}</b>{small}",
            "x": 0,
            "xref": "container",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
        }
        | {"pad": {"t": TOOLBAR, "l": 4}, "font": {"size": 16, "color": GREY}},
        "height": height + top,
        "autosize": True,
        "margin": {"l": 70, "r": 16, "t": top, "b": 55},
        "paper_bgcolor": NOTHING,
        "plot_bgcolor": NOTHING,
        "font": {"size": 13, "color": GREY},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "#f4f4f4", "bordercolor": GREY, "font": {"color": "#222222", "size": 13}},
        "legend": {"bgcolor": NOTHING, "orientation": "h"}
        | {"x": 0, "xref": "container", "y": 0, "yref": "container", "yanchor": "bottom"},
        "modebar": {"bgcolor": NOTHING, "color": GREY, "activecolor": BLUE},
    }


def axis() -> dict[str, Any]:
    """Return the style of an axis.

    It is fainter than the data.
    """
    faint = "rgba(128,128,128,0.28)"
    return {
        "gridcolor": faint,
        "zerolinecolor": faint,
        "linecolor": GREY,
        "tickcolor": GREY,
        "automargin": True,
        "title_font_size": 13,
        "title_standoff": 12,
    }


def rows(titles: list[str], heights: list[float]) -> Any:
    """Return an empty figure with panels in one column.

    The panels share their time axis.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=len(titles),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.07,
        row_heights=heights,
        subplot_titles=[wrapped(title) for title in titles],
    )
    figure.update_annotations(x=0, xanchor="left", align="left", font={"size": 13, "color": GREY})
    return figure


def shades(values: np.ndarray) -> dict[str, Any]:
    """Return the colours of a weight heat map.

    Blue is long, orange is short, and a larger weight is stronger.
    """
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-9)
    long = [[0.0, "rgba(42,133,207,0.12)"], [1.0, "rgba(42,133,207,1)"]]
    if (values >= 0).all():
        return {"colorscale": long, "zmin": 0.0, "zmax": largest}
    short = [[0.0, "rgba(201,106,18,1)"], [0.5, "rgba(201,106,18,0.12)"]]
    return {"colorscale": [*short, [0.5, long[0][1]], long[1]], "zmin": -largest, "zmax": largest}
