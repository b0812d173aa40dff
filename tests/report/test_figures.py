import functools
import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import xarray as xr

from lib import Strategy
from lib.common.competitions import COMPETITIONS
from lib.common.figure_style import COLOURS, DASHES, GREY, line_style, shades
from lib.engine.models import Fit, TrainedModels
from lib.report.figures import (
    FEWEST_IN_BIN,
    MOST_ASSETS,
    WIDEST,
    contributions_figure,
    holdings_figure,
    loss_figure,
    outcome_by_output,
    outputs_figure,
    performance_figure,
)

RULES = COMPETITIONS["stocks_nasdaq100"]
PAGES = {"light": "#ffffff", "dark": "#111111"}  # of JupyterLab
SOURCE = "a market made up for this test"


def series(days: int = 300, seed: int = 1) -> xr.DataArray:
    time = pd.bdate_range("2020-01-01", periods=days)
    return xr.DataArray(np.random.default_rng(seed).normal(0, 0.01, days), {"time": time}, ("time",))


def three(days: int) -> dict[str, xr.DataArray]:
    """The returns of a backtest and of both portfolios beside it."""
    names = ("strategy", "without the model", "equal weights")
    return {name: series(days, seed) for seed, name in enumerate(names)}


def outputs(days: int = 80, spread: float = 0.02) -> tuple[pd.DataFrame, pd.DataFrame, xr.DataArray]:
    """Return outputs in sample, out of sample, and as traded, of three assets."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, spread, (days, 3))
    time = pd.bdate_range("2020-01-01", periods=days)
    traded = xr.DataArray(values, {"time": time, "asset": ["A", "B", "C"]}, ("time", "asset"))
    table = pd.DataFrame({"output": values.ravel(), "target": rng.integers(0, 2, values.size).astype(float)})
    return table, table.iloc[::2].copy(), traded


def traded(days: int = 40) -> xr.DataArray:
    """The share of the capital traded on each day."""
    return abs(series(days)).rename("turnover")


def models() -> TrainedModels:
    found = TrainedModels(Strategy(), (np.datetime64("2024-02-24"), np.datetime64("2024-06-03")))
    for k in range(15):
        found.fits[f"NAS:{k}"] = Fit((0.5 + k / 10, 0.4, 0.3), 0.25, 0.5, 0.5, 70)
    return found


def weights(days: int = 40) -> xr.DataArray:
    """Weights of A from the tenth day on, of B on all days, of C never."""
    values = np.zeros((days, 3))
    values[:, 1], values[10:, 0] = 0.1, 0.05
    time = pd.bdate_range("2020-01-01", periods=days)
    return xr.DataArray(values, {"time": time, "asset": ["A", "B", "C"]}, ("time", "asset"))


FIGURES = {
    "loss": lambda: loss_figure(models(), True, SOURCE),
    "performance": lambda: performance_figure(three(400), RULES, SOURCE),
    "performance of a month": lambda: performance_figure(three(21), RULES, SOURCE),
    "outputs": lambda: outputs_figure(*outputs(), SOURCE),
    "contributions": lambda: contributions_figure(pd.Series({"A": 0.1, "B": -0.05}), SOURCE),
    "contributions of many": lambda: contributions_figure(
        pd.Series({f"A{k}": 0.1 - k / 100 for k in range(50)}), SOURCE
    ),
    "holdings": lambda: holdings_figure(weights(), traded(), SOURCE),
    "holdings with shorts": lambda: holdings_figure(weights() - 0.06, traded(), SOURCE),
    "holdings of nothing": lambda: holdings_figure(weights() * 0, traded(), SOURCE),
}


@functools.cache
def drawn(name: str) -> go.Figure:
    """Return one of `FIGURES`."""
    return FIGURES[name]()


@pytest.fixture(scope="module", params=FIGURES)
def figure(request: pytest.FixtureRequest) -> go.Figure:
    return drawn(request.param)


def luminance(colour: str) -> float:
    """Relative luminance as of WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(first: str, second: str) -> float:
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


def colours(part: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every colour of a figure's JSON with its path, but for hover labels: they bring their own ground."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key != "hoverlabel":
                yield from colours(value, f"{name}.{key}")
    elif isinstance(part, list):
        for value in part:
            yield from colours(value, name)
    elif isinstance(part, str) and (part.startswith(("#", "rgb")) or name.endswith("color")):
        yield name, part


def test_contrast_is_counted_as_it_should_be() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the usual example
    assert contrast("#2a3f5f", PAGES["dark"]) < 2  # plotly's own text


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_text_and_lines_stand_off_from_the_page(figure: go.Figure, page: str) -> None:
    seen = list(colours(json.loads(figure.to_json())))
    assert seen
    for name, colour in seen:
        if colour.startswith("#"):
            assert contrast(colour, page) >= (4 if "font" in name else 3), (name, colour)
        else:  # faint lines and grounds let the page through, a shade of a heat map starts so
            assert re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", colour), (name, colour)


def test_the_page_shines_through(figure: go.Figure) -> None:
    for ground in (figure.layout.paper_bgcolor, figure.layout.plot_bgcolor):
        assert ground == "rgba(0,0,0,0)"


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_all_colours_can_be_told_from_the_page(page: str) -> None:
    assert min(contrast(colour, page) for colour in COLOURS) >= 3
    assert contrast(GREY, page) >= 4
    assert len(set(COLOURS)) == 10


def test_title_and_source(figure: go.Figure) -> None:
    assert re.match(r"<b>\w+", figure.layout.title.text)
    assert f"Prices: {SOURCE}" in figure.layout.title.text


def test_without_a_source_none_is_claimed() -> None:
    assert "Prices" not in holdings_figure(weights(), traded()).layout.title.text


def test_the_exposure_of_short_positions_is_drawn_beside_the_gross_one() -> None:
    lines = {item.name: item for item in drawn("holdings with shorts").data if item.name}
    assert set(lines) == {"gross", "long", "short", "net", "turnover"}
    assert lines["net"].y == pytest.approx(lines["long"].y + lines["short"].y)
    assert lines["gross"].y == pytest.approx(lines["long"].y - lines["short"].y)
    assert (lines["short"].y[[0, -1]], lines["long"].y[[0, -1]]) == (
        pytest.approx([-0.12, -0.07]),  # A and C, later C and a little of A
        pytest.approx([0.04, 0.04]),
    )


def test_every_plot_has_units_and_hover_text(figure: go.Figure) -> None:
    for trace in figure.data:
        assert "%{" in trace.hovertemplate
    plots = list(figure.select_yaxes())
    heat_maps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert sum(bool(plot.title.text) for plot in plots) == len(plots) - len(heat_maps)
    for trace in figure.data:
        assert len(trace.x if trace.x is not None else trace.y) > 1, trace.name  # none is empty
    for trace in heat_maps:
        assert trace.colorbar.orientation == "h"  # below the plot, named by the title of its panel
        assert "Weight" in figure.layout.annotations[0].text


def test_titles_of_axes_are_no_larger_than_those_of_panels(figure: go.Figure) -> None:
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    assert {axis.title.font.size for axis in axes} == {13}
    assert all(note.font.size in (None, 13) for note in figure.layout.annotations)


LINES = {  # panel, name, dash, in the legend, hover text
    "performance": [
        (panel, name, dash, panel == 1, f"%{{y:{form}}}")
        for name, dash in (("strategy", None), ("without the model", "dash"), ("equal weights", None))
        for panel, form in ((1, ".3f"), (2, ".1%"), (3, ".2f"))
    ],
    "outputs": [
        *(
            (1, f"{where} sample", None, None, "output %{x:.3f}: %{y:.3f}, mean of %{customdata}")
            for where in ("in", "out of")
        ),
        (1, "target = output", "dot", None, "%{y:.3f}"),
        *(
            (2, name, dash, False, name + " %{y:.3f}<extra></extra>")
            for name, dash in (("highest", "solid"), ("median", "dash"), ("lowest", "solid"))
        ),
    ],
    "holdings": [
        (panel, name, None, False, "%{x|%Y-%m-%d}: %{y:.1%}<extra></extra>")
        for panel, name in ((2, "gross"), (3, "turnover"))
    ],
    "holdings with shorts": [
        (panel, name, dash, panel == 2, "%{x|%Y-%m-%d}: %{y:.1%}<extra></extra>")
        for panel, name, dash in (
            *((2, "gross", None), (3, "turnover", None)),
            *((2, "long", "dash"), (2, "short", "dash"), (2, "net", "dot")),
        )
    ],
}
AXES = {  # titles of the panels, and of each y axis title, format and kind; title of the lowest x axis
    "loss": (["always predicting 0.5"], [("mean squared error", None, None)], "evaluation of the loss"),
    "performance": (
        [
            "Equity, 1 at the start",
            "Drawdown from the highest equity so far",
            "Sharpe ratio of the last 252 days, annualised",
        ],
        [("equity (log scale)", None, "log"), ("drawdown", ".2~%", None), ("Sharpe ratio", None, None)],
        None,
    ),
    "outputs": (
        [
            "Calibration: mean of the target, by output (bars: two standard errors)",
            "Outputs of a day: highest, median (dashed) and lowest of the assets",
        ],
        [("mean of the target", None, None), ("output", None, None)],
        None,
    ),
    "contributions": ([], [("asset", None, None)], "of the capital, costs taken off, without compounding"),
    "holdings": (
        ["Weight of each asset ever held", "Exposure", "Turnover per day"],
        [("", None, None), *[("of the capital", ".2~%", None)] * 2],
        None,
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_lines_have_a_panel_a_name_a_dash_and_hover_text(name: str) -> None:
    lines = [trace for trace in drawn(name).data if trace.type == "scatter"]
    panels = [int((trace.yaxis or "y")[1:] or 1) for trace in lines]
    assert [int((trace.xaxis or "x")[1:] or 1) for trace in lines] == panels
    assert LINES[name] == [
        (panel, trace.name, trace.line.dash, trace.showlegend, trace.hovertemplate)
        for panel, trace in zip(panels, lines, strict=True)
    ]


@pytest.mark.parametrize("name", AXES)
def test_panels_and_axes_say_what_they_show(name: str) -> None:
    figure = drawn(name)
    titles = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
    axes = [(axis.title.text, axis.tickformat, axis.type) for axis in figure.select_yaxes()]
    below = list(figure.select_xaxes())[-1].title.text
    assert (titles, axes, below and below.replace("<br>", " ")) == AXES[name]


def test_performance_by_hand() -> None:
    returns = xr.DataArray([0.1, -0.5, 0.2], {"time": pd.bdate_range("2020-01-01", periods=3)}, ("time",))
    figure = performance_figure({"strategy": returns, "equal weights": returns * 0}, RULES)
    mine, other = figure.data[:2], figure.data[2:]
    assert [trace.name for trace in figure.data] == ["strategy"] * 2 + ["equal weights"] * 2
    assert list(mine[0].y) == pytest.approx([1.1, 0.55, 0.66])
    assert list(mine[1].y) == pytest.approx([0, -0.5, -0.4])
    assert list(other[0].y) == [1, 1, 1]
    assert list(mine[1].x) == list(returns.time.values)
    assert [trace.legendgroup for trace in figure.data] == [trace.name for trace in figure.data]
    assert "Backtest: strategy and equal weights" in figure.layout.title.text.replace("<br>", " ")


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (1, "<b>Backtest: strategy</b>"),
        (3, "<b>Backtest: strategy, without the model and<br>equal weights</b>"),
    ],
)
def test_the_title_of_a_backtest_lists_its_portfolios(names: int, title: str) -> None:
    lines = dict(list(three(2).items())[:names])
    assert performance_figure(lines, RULES).layout.title.text == title


@pytest.mark.parametrize("kind", ["stocks_nasdaq100", "crypto_daily_long"])
def test_rolling_sharpe_ratio_is_that_of_the_last_year(kind: str) -> None:
    returns, days = series(600), 365 if kind == "crypto_daily_long" else 252
    figure = performance_figure({"strategy": returns}, COMPETITIONS[kind])
    ratio = figure.data[2].y
    assert np.isnan(ratio[: days - 1]).all()
    year = returns.values[-days:]
    mean = year.mean() * 365 if days == 365 else np.exp(np.log1p(year).mean()) ** 252 - 1
    assert ratio[-1] == pytest.approx(mean / (year.std() * np.sqrt(days)))
    assert np.isfinite(ratio[days - 1 :]).all()
    assert f"the last {days} days" in figure.layout.annotations[2].text


@pytest.mark.parametrize(("days", "panels"), [(2, 2), (377, 2), (378, 3)])
def test_a_short_backtest_has_no_panel_of_a_rolling_sharpe_ratio(days: int, panels: int) -> None:
    figure = performance_figure(three(days), RULES)
    assert len(list(figure.select_yaxes())) == panels == len(figure.data) / 3
    assert len(figure.layout.annotations) == panels  # their titles


def test_holdings_by_hand() -> None:
    heat, exposure, turnover = drawn("holdings").data
    assert list(heat.y) == ["B", "A"]  # by first day; C was never held
    assert np.isnan(heat.z[1][:10]).all()
    assert (heat.z[1][10:] == 0.05).all()
    assert (heat.z[0] == 0.1).all()
    assert list(exposure.y) == pytest.approx([0.1] * 10 + [0.15] * 30)
    assert list(turnover.y) == traded().values.tolist()
    for trace in (heat, exposure, turnover):
        assert list(trace.x) == list(weights().time.values)
    assert heat.hovertemplate == "%{y}, %{x|%Y-%m-%d}: %{z:.2%}<extra></extra>"
    assert heat.colorbar.tickformat == ".2~%"
    assert heat.zmax == 0.1
    assert heat.yaxis == "y"
    assert drawn("holdings").layout.yaxis.autorange == "reversed"  # the first row on top
    assert drawn("holdings").layout.yaxis.dtick == 1  # every asset is named


def test_assets_held_from_the_same_day_keep_their_order_and_one_short_day_shows() -> None:
    time, names = pd.bdate_range("2020-01-01", periods=3), [f"A{k:02}" for k in range(30)]
    table = xr.DataArray(np.full((3, 30), 0.02), {"time": time, "asset": names}, ("time", "asset"))
    table[1, -1] = -0.02
    heat, *lines = holdings_figure(table, traded(3)).data
    assert list(heat.y) == names
    assert heat.z[-1].tolist() == [0.02, -0.02, 0.02]
    assert [line.name for line in lines] == ["gross", "turnover", "long", "short", "net"]
    assert lines[3].y.tolist() == pytest.approx([0, -0.02, 0])


def test_holdings_do_not_depend_on_the_order_of_dimensions() -> None:
    figure = holdings_figure(weights().T, traded(), SOURCE)
    assert figure.to_json() == drawn("holdings").to_json()


def test_axes_of_shares_begin_at_zero() -> None:
    axes = drawn("holdings").layout
    assert {axes.yaxis2.rangemode, axes.yaxis3.rangemode} == {"tozero"}


@pytest.mark.parametrize(
    ("days", "shown", "title"),
    [
        (WIDEST, WIDEST, "<b>Holdings</b>"),
        (WIDEST + 1, WIDEST // 2 + 1, "<b>Holdings (heat map: one day of 2)</b>"),
        (2 * WIDEST, WIDEST, "<b>Holdings (heat map: one day of 2)</b>"),
    ],
)
def test_a_long_backtest_is_thinned_and_says_so(days: int, shown: int, title: str) -> None:
    figure = holdings_figure(weights(days), traded(days))
    heat, exposure, _ = figure.data
    assert heat.z.shape == (2, shown)
    assert heat.x[0] == exposure.x[0]
    assert len(heat.x) == shown
    assert len(exposure.x) == days
    assert figure.layout.title.text == title


def test_shorts_have_a_colour_of_their_own() -> None:
    long, both = shades(np.array([0.0, 0.1])), shades(np.array([-0.2, 0.1]))
    assert (long["zmin"], long["zmax"]) == (0, 0.1)
    assert (both["zmin"], both["zmax"]) == (-0.2, 0.2)
    assert both["colorscale"][0][1] != both["colorscale"][-1][1] == long["colorscale"][-1][1]


def test_a_day_on_which_all_weights_are_nan_is_a_day_without_positions():
    held = weights()
    held[3] = np.nan
    exposure = np.array(holdings_figure(held, traded()).data[1].y)
    assert exposure[3] == 0
    assert np.isfinite(exposure).all()


def test_the_line_without_the_model_can_be_told_from_the_strategy_it_covers() -> None:
    lines = {trace.name: trace.line for trace in performance_figure(three(21), RULES).data}
    assert lines["without the model"].dash == "dash"
    assert len({line.color for line in lines.values()}) == 3


@pytest.mark.parametrize("others", [0, 1, 20])
def test_many_contributions_share_a_bar_in_the_middle(others: int) -> None:
    values = [1 - k / 40 for k in range(MOST_ASSETS + others)]
    bars = contributions_figure(pd.Series({f"A{k}": value for k, value in enumerate(values)})).data[0]
    half = MOST_ASSETS // 2
    middle = [sum(values[half:-half])] if others else []
    assert list(bars.x) == pytest.approx([*values[:half], *middle, *values[-half:]])
    names = [f"A{k}" for k in range(len(values))]
    assert list(bars.y) == [*names[:half], *[f"{others} others"][: len(middle)], *names[-half:]]


def test_contributions_are_bars_from_the_largest_gain_down() -> None:
    figure = contributions_figure(pd.Series({"A": 0.1, "B": 0.0, "C": -0.05}))
    (bars,) = figure.data
    assert (list(bars.x), list(bars.y), bars.orientation) == ([0.1, 0, -0.05], ["A", "B", "C"], "h")
    assert bars.hovertemplate == "%{y}: %{x:.2%}<extra></extra>"
    assert bars.marker.color[0] == bars.marker.color[1] != bars.marker.color[2]  # a loss stands out
    assert (figure.layout.yaxis.autorange, figure.layout.yaxis.dtick) == ("reversed", 1)
    assert figure.layout.xaxis.tickformat == ".1~%"


def test_losses_by_evaluation() -> None:
    figure = loss_figure(models(), True)
    assert [trace.name for trace in figure.data] == [f"NAS:{k}" for k in range(15)]
    assert list(figure.data[2].y) == [0.7, 0.4, 0.3, 0.25]
    assert figure.layout.shapes[0].y0 == 0.25
    assert figure.layout.showlegend is True
    assert "2024-02-24 to<br>2024-06-03" in figure.layout.title.text


@pytest.mark.parametrize("scope", ["asset", "pooled"])
@pytest.mark.parametrize(
    ("loss", "title"),
    [("mse", "mean squared error"), ("bce", "binary cross-entropy"), (np.hypot, "loss")],
    ids=["mse", "bce", "own"],
)
def test_a_loss_in_validation_stands_at_the_last_evaluation_of_its_epoch(
    scope: str, loss: Any, title: str
) -> None:
    found = TrainedModels(SimpleNamespace(scope=scope, loss=loss), ("2024-02-24", "2024-06-03"))
    losses = (0.6, 0.5, 0.4, 0.3)
    for asset in ("A", "B"):
        found.fits[asset] = Fit(losses, 0.25, 0.5, 0.5, 70, (0.7, 0.6))
    figure = loss_figure(found, True)
    pooled, squared = scope == "pooled", loss == "mse"
    names = ["training", "validation"] if pooled else ["A", "A, validation", "B", "B, validation"]
    assert [trace.name for trace in figure.data] == names
    for training, validation in zip(figure.data[::2], figure.data[1::2], strict=True):
        assert tuple(training.y) == ((*losses, 0.25) if squared and not pooled else losses)
        assert (list(validation.x), list(validation.y)) == ([1, 3], [0.7, 0.6])
        assert validation.line.color == training.line.color
        assert (training.line.dash, validation.line.dash) == ("solid", "dash")
        assert validation.hovertemplate == training.hovertemplate == "%{y:.4f}"
        assert validation.mode == "lines+markers"
    assert figure.layout.yaxis.title.text == title
    assert len(figure.layout.shapes) == squared


def test_no_two_lines_look_alike() -> None:
    styles = {(trace.line.color, trace.line.dash) for trace in loss_figure(models(), True).data}
    assert len(styles) == 15
    many = len(COLOURS) * len(DASHES)
    assert len({tuple(line_style(number).values()) for number in range(many)}) == many


def test_a_target_that_is_a_number_has_no_line_of_always_predicting_a_half() -> None:
    assert not loss_figure(models(), False).layout.shapes


@pytest.mark.parametrize("offset", [0, 1], ids=["full groups", "one less"])
def test_outcome_by_output_by_hand(offset: int) -> None:
    table = pd.DataFrame({"output": [0.6, 0.4] * FEWEST_IN_BIN, "target": [1.0, 0.0] * FEWEST_IN_BIN})
    points = outcome_by_output(table.iloc[offset:])
    expected = [0.4, 0.6] if offset == 0 else [(30 * 0.4 + 29 * 0.6) / 59]
    assert points["output"].tolist() == pytest.approx(expected)
    assert points["target"].tolist() == pytest.approx([0, 1] if offset == 0 else [29 / 59])
    assert points["count"].tolist() == ([FEWEST_IN_BIN] * 2 if offset == 0 else [59])
    assert points["error"].tolist() == pytest.approx(
        [0, 0] if offset == 0 else [(29 * 30 / 59 / 58 / 59) ** 0.5]
    )


@pytest.mark.parametrize("rows", [0, 1, FEWEST_IN_BIN - 1])
def test_few_outputs_have_no_outcome_by_output(rows: int) -> None:
    points = outcome_by_output(outputs()[0].iloc[:rows])
    assert len(points) == 0
    assert {"output", "target", "error", "count"} <= set(points)


def test_outputs_are_in_ten_groups_of_equally_many() -> None:
    values = np.random.default_rng(1).permutation(605)
    points = outcome_by_output(pd.DataFrame({"output": values / 605, "target": values % 2.0}))
    assert points["count"].tolist() == [61, 60] * 5
    assert points["output"].is_monotonic_increasing
    assert points["output"].iloc[0] == pytest.approx(30 / 605)  # the mean of 0 to 60
    points = outcome_by_output(pd.DataFrame({"output": 0.5, "target": np.arange(100.0)}))
    assert points["target"].tolist() == [16.5, 50, 83]  # equal outputs keep their order


def test_outputs_and_their_outcome_are_drawn() -> None:
    in_sample, later, values = outputs()
    values[3] = np.nan  # a day without any output
    values[4, 2] = values[5, 1:] = np.nan
    figure = outputs_figure(in_sample, later, values)
    for trace, table in zip(figure.data, (in_sample, later), strict=False):
        points = outcome_by_output(table)
        assert list(trace.x) == points["output"].tolist()
        assert list(trace.y) == points["target"].tolist()
        assert list(trace.error_y.array) == (2 * points["error"]).tolist()
        assert list(trace.customdata) == points["count"].tolist()
    ends = [
        min(map(min, (trace.x for trace in figure.data[:2]))),
        max(map(max, (trace.x for trace in figure.data[:2]))),
    ]
    assert list(figure.data[2].x) == list(figure.data[2].y) == ends
    days = np.delete(np.arange(80), 3)
    for trace, found in zip(figure.data[3:], (np.nanmax, np.nanmedian, np.nanmin), strict=True):
        assert list(trace.x) == list(values.time.values[days])
        assert list(trace.y) == found(values.values[days], axis=1).tolist()
    assert figure.layout.xaxis.title.text == "output"
    assert figure.layout.xaxis2.title.text is None


@pytest.mark.parametrize("numbers", [(True, False), (False, True), (True, True)])
def test_numbers_have_no_calibration(numbers: tuple[bool, bool]) -> None:
    tables = outputs()
    for table, number in zip(tables, numbers, strict=False):
        table["target"] += 0.5 * number
    figure = outputs_figure(*tables)
    assert [trace.name for trace in figure.data][:3] == ["in sample", "out of sample", "highest"]
    assert figure.layout.annotations[0].text.startswith("Mean of the target, by output")


@pytest.mark.parametrize("rows", [0, FEWEST_IN_BIN - 1])
def test_without_an_outcome_out_of_sample_the_one_in_sample_stands_alone(rows: int) -> None:
    in_sample, later, values = outputs()
    names = [trace.name for trace in outputs_figure(in_sample, later.iloc[:rows], values).data]
    assert names[:3] == ["in sample", "target = output", "highest"]
    names = [trace.name for trace in outputs_figure(in_sample.iloc[:rows], later.iloc[:rows], values).data]
    assert names == ["highest", "median", "lowest"]
