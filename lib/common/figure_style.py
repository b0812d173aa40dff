"""The style of all figures, for light and dark pages."""

from typing import Any

import numpy as np

# Of middle lightness, so that each contrasts with white and with JupyterLab's dark grey (#111).
GREY = "#7c7c7c"
COLOURS = (
    "#2a85cf",
    "#c96a12",
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
NOTHING = "rgba(0,0,0,0)"


def line_style(number: int) -> dict[str, str]:
    """Return the colour and dash of a numbered line.

    The first forty differ from one another.
    """
    colour, dash = number % len(COLOURS), number // len(COLOURS) % len(DASHES)
    return {"color": COLOURS[colour], "dash": DASHES[dash]}


def layout(title: str, source: str, height: int, panels: bool = False) -> dict[str, Any]:
    """Return the layout of all figures.

    It has a title, a line on the source of the prices, and a transparent background. Figures of several
    `panels` have more room on top, for the title of the first one.
    """
    note = f"<br><span style='font-size:13px'>Prices: {source}</span>" if source else ""
    return {
        "template": "none",
        "title": {
            "text": f"<b>{title}</b>{note}",
            "x": 0,
            "xref": "paper",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
        }
        | {"pad": {"t": 14}, "font": {"size": 16, "color": GREY}},
        "height": height,
        "autosize": True,
        "margin": {"l": 80, "r": 20, "t": 46 + 20 * bool(source) + 24 * panels, "b": 55},
        "paper_bgcolor": NOTHING,
        "plot_bgcolor": NOTHING,
        "font": {"size": 13, "color": GREY},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "#f4f4f4", "bordercolor": GREY, "font": {"color": "#222222", "size": 13}},
        "legend": {"bgcolor": NOTHING},
        "modebar": {"bgcolor": NOTHING, "color": GREY, "activecolor": BLUE},
    }


def axis() -> dict[str, Any]:
    """Return the style of an axis, fainter than the data."""
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
        subplot_titles=titles,
    )
    figure.update_annotations(x=0, xanchor="left", font={"size": 13, "color": GREY})
    return figure


def shades(values: np.ndarray) -> dict[str, Any]:
    """Return the colours of a heat map of weights.

    Blue is long, orange is short, and a larger weight is stronger.
    """
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-9)
    long = [[0.0, "rgba(42,133,207,0.12)"], [1.0, "rgba(42,133,207,1)"]]
    if (values >= 0).all():
        return {"colorscale": long, "zmin": 0.0, "zmax": largest}
    short = [[0.0, "rgba(201,106,18,1)"], [0.5, "rgba(201,106,18,0.12)"]]
    return {"colorscale": [*short, [0.5, long[0][1]], long[1]], "zmin": -largest, "zmax": largest}
