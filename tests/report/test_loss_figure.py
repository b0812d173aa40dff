import numpy as np

from lib import Strategy
from lib.common.figure_style import COLOURS, DASHES, line_style
from lib.engine.models import Fit, TrainedModels
from lib.report.loss_figure import loss_figure

DAY = np.datetime64("2024-06-03")


def models(**parameters: object) -> TrainedModels:
    models = TrainedModels(Strategy(**parameters), (DAY - 100, DAY))
    for k in range(15):
        models.fits[f"NAS:{k}"] = Fit((0.5 + k / 10, 0.4, 0.3), 0.25, 0.5, 0.5, 70)
    return models


def test_losses_by_evaluation() -> None:
    figure = loss_figure(models())
    assert [trace.name for trace in figure.data] == [f"NAS:{k}" for k in range(15)]
    assert list(figure.data[2].y) == [0.7, 0.4, 0.3, 0.25]
    assert figure.layout.shapes[0].y0 == 0.25


def test_no_two_lines_look_alike() -> None:
    styles = {(trace.line.color, trace.line.dash) for trace in loss_figure(models()).data}
    assert len(styles) == 15
    many = len(COLOURS) * len(DASHES)
    assert len({tuple(line_style(number).values()) for number in range(many)}) == many


def test_another_target_has_no_line_of_always_answering_a_half() -> None:
    assert not loss_figure(models(target=lambda data, strategy: None)).layout.shapes
