"""The figure of what each asset earned."""

from typing import TYPE_CHECKING

import pandas as pd

from lib.common.figure_style import BLUE, ORANGE, axis, layout

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_ASSETS = 30  # bars


def contributions_figure(earned: pd.Series, source: str = "") -> "go.Figure":
    """Draw what each asset earned, from the largest gain to the largest loss.

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
    height = 120 + 17 * max(len(earned), 4)
    figure.update_layout(
        layout("Contribution of each asset", source, height), hovermode="closest", bargap=0.25
    )
    figure.update_xaxes(
        title_text="of the capital, costs taken off, without compounding", tickformat=".1~%", **axis()
    )
    figure.update_yaxes(autorange="reversed", **{**axis(), "showgrid": False})
    figure.update_yaxes(title_text="asset", dtick=1)
    return figure
