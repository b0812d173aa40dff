"""The figure of a training: loss by evaluation, a line for each asset."""

from typing import TYPE_CHECKING

from lib.common.figure_style import GREY, axis, layout, line_style

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from lib.engine.models import TrainedModels


def loss_figure(models: "TrainedModels", source: str = "") -> "go.Figure":
    """Draw the loss by evaluation, a line for each asset; the last point is the loss after training.

    Parameters
    ----------
    models : TrainedModels
        At least one asset has a model.
    source : str
        What the prices are; the title repeats it.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (asset, fit) in enumerate(models.fits.items()):
        figure.add_scatter(
            y=[*fit.losses, fit.loss_after],
            name=asset,
            mode="lines",
            line={**line_style(number), "width": 1.6},
            hovertemplate="%{y:.4f}",
        )
    first, last = models.window
    figure.update_layout(layout(f"Loss by evaluation, {first} to {last}", source, 420), showlegend=True)
    figure.update_xaxes(title_text="evaluation of the loss", **axis())
    figure.update_yaxes(title_text="mean squared error", **axis())
    if models.strategy.target in ("next_open_up", "tradable_open_up"):
        note = {"annotation_text": "always answering 0.5", "annotation_font_color": GREY}
        figure.add_hline(0.25, line={"color": GREY, "dash": "dot"}, annotation_position="bottom left", **note)
    return figure
