"""The style of figures and the pages made of them."""

import re

import plotly.graph_objects as go
import pytest

from lib.common import figure_style
from lib.common.figure_style import COLOURS, GREY, ORANGE, layout, page, wrapped


def contrast_with_white(colour: str) -> float:
    """Return the contrast ratio of WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


@pytest.mark.parametrize("colour", [GREY, ORANGE])
def test_text_and_orange_contrast_with_white(colour: str) -> None:
    assert contrast_with_white(colour) >= 4.5


def test_every_line_contrasts_with_white() -> None:
    assert min(map(contrast_with_white, COLOURS)) >= 3


def test_a_page_is_whole() -> None:
    made = page("A <title>", ["<p>text</p>", go.Figure(), go.Figure()])
    assert made.count("* plotly.js v") == 1
    assert made.count('class="plotly-graph-div"') == 2
    for part in ('<html lang="en">', 'name="viewport"', "<title>A &lt;title&gt;</title>", 'rel="icon"'):
        assert part in made
    assert not re.search(r'<(script|link)[^>]*(src|href)="https?:', made)  # needs no network


def test_titles_fit_a_narrow_page_below_the_toolbar() -> None:
    title, source = "many words " * 12, "a long description of prices " * 4
    made = layout(title, source, 300)
    lines = re.sub(r"<(?!br)[^>]*>", "", made["title"]["text"]).split("<br>")
    assert max(map(len, lines)) <= figure_style.NOTE_WIDTH
    assert made["margin"]["t"] >= figure_style.TOOLBAR + 18 * len(lines)
    assert (
        made["height"] - made["margin"]["t"]
        == layout("short", "", 300)["height"] - layout("short", "", 300)["margin"]["t"]
    )
    assert wrapped("short") == "short"
