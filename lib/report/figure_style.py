"""How does a figure look that must be read on a light and on a dark page?"""

from typing import Any

import numpy as np

# Of middle lightness, so that white and JupyterLab's dark grey (#111) both stand off from each.
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
NOTHING = "rgba(0,0,0,0)"


def layout(title: str, source: str, height: int) -> dict[str, Any]:
    """What all figures share: no background of their own, title, and beneath it what the prices are."""
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
        "margin": {"l": 80, "r": 20, "t": 90 if source else 70, "b": 45},
        "paper_bgcolor": NOTHING,
        "plot_bgcolor": NOTHING,
        "font": {"size": 13, "color": GREY},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "#f4f4f4", "bordercolor": GREY, "font": {"color": "#222222", "size": 13}},
        "legend": {"bgcolor": NOTHING},
        "modebar": {"bgcolor": NOTHING, "color": GREY, "activecolor": BLUE},
    }


def axis() -> dict[str, Any]:
    """Lines of an axis: there, but behind the data."""
    faint = "rgba(128,128,128,0.28)"
    return {
        "gridcolor": faint,
        "zerolinecolor": faint,
        "linecolor": GREY,
        "tickcolor": GREY,
        "automargin": True,
    }


def rows(titles: list[str], heights: list[float]) -> Any:
    """An empty figure of plots one below the other, which share their days."""
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
    """Colours of a heat map of weights, the stronger the larger; blue for long and orange for short."""
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-9)
    long = [[0.0, "rgba(42,133,207,0.12)"], [1.0, "rgba(42,133,207,1)"]]
    if (values >= 0).all():
        return {"colorscale": long, "zmin": 0.0, "zmax": largest}
    short = [[0.0, "rgba(201,106,18,1)"], [0.5, "rgba(201,106,18,0.12)"]]
    return {"colorscale": [*short, [0.5, long[0][1]], long[1]], "zmin": -largest, "zmax": largest}
