"""`qnt.graph` makes the plots people know, in a notebook and outside."""

import math
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import qnt.graph as qngraph

from tests.conftest import REAL
from tests.processes import run_python
from tests.switches import long, longest
from tests.vectors import vector

ROOT = Path(__file__).parents[2]
PLOTS = {
    "equity": (" PnL (Equity)", "#17BECF", "log"),
    "underwater": ("Underwater Chart", "darkred", None),
    "sharpe_ratio": ("Rolling SR", "#F442C5", None),
    "bias": ("Bias Chart", "#5A6351", None),
}
CELL = """
import lib
import numpy as np
import qnt.graph as qngraph

assert qngraph.is_notebook()
for name in ("first plot", "second plot"):
    assert qngraph.make_plot_filled(np.arange(3), np.array([1.0, 2.0, 4.0]), name=name) is None
"""


@pytest.fixture
def equity():
    return vector("stats_calc_stat").sel(field="equity").to_pandas()


def widened(low, high, margin=0.05):
    return [low - (high - low) * margin, high + (high - low) * margin]


def test_this_is_no_notebook(monkeypatch):
    assert not qngraph.is_notebook()
    monkeypatch.setenv("NONINTERACT", "1")
    assert not qngraph.is_interact()
    monkeypatch.delenv("NONINTERACT")
    assert qngraph.is_interact()


def test_filled_plot_on_a_log_scale(equity):
    figure = qngraph.make_plot_filled(equity.index, equity, name="PnL (Equity)", type="log")
    (line,) = figure.data
    np.testing.assert_array_equal(np.asarray(line.x, "datetime64[ns]"), equity.index.values)
    np.testing.assert_array_equal(np.asarray(line.y, float), equity.values)
    assert (line.name, line.fill, line.line.color, line.line.width) == (
        "PnL (Equity)",
        "tonexty",
        "#17BECF",
        3,
    )
    assert figure.layout.yaxis.type == "log"
    assert [*figure.layout.yaxis.range] == pytest.approx(widened(*np.log10([equity.min(), equity.max()])))


def test_limits_and_looks_can_be_given(equity):
    figure = qngraph.make_plot_filled(
        equity.index, equity, color="red", width=1, name="x", range_min=-1, range_max=3
    )
    assert [*figure.layout.yaxis.range] == pytest.approx([-1.2, 3.2])
    assert figure.layout.yaxis.type is None
    assert (figure.data[0].line.color, figure.data[0].line.width) == ("red", 1)


def test_major_plots():
    stats = vector("stats_calc_stat")
    figures = qngraph.make_major_plots(stats)
    assert len(figures) == 4
    for figure, (field, (name, color, kind)) in zip(figures, PLOTS.items(), strict=True):
        (line,) = figure.data
        np.testing.assert_array_equal(np.asarray(line.y, float), stats.sel(field=field).values)
        assert (line.name, line.line.color, figure.layout.yaxis.type) == (name, color, kind)
    assert figures[1].layout.yaxis.range[1] > 0 > figures[1].layout.yaxis.range[0]
    late = stats.sel(field="sharpe_ratio").values[-391:]
    assert [*figures[2].layout.yaxis.range] == pytest.approx(widened(*widened(late.min(), late.max(), 0.03)))


def test_one_that_cannot_be_made_does_not_stop_the_others(capfd):
    stats = vector("stats_calc_stat")
    stats.loc[:, "equity"] = -1
    figures = qngraph.make_major_plots(stats.sel(field=["equity", "underwater", "sharpe_ratio"]))
    assert [figure is None for figure in figures] == [True, False, False, True]
    if not REAL:
        said = capfd.readouterr().err
        assert "can't build equity chart: a log scale needs values above 0" in said
        assert "can't build bias chart: the statistics lack it" in said


def test_a_log_scale_needs_values_above_zero():
    with pytest.raises(ValueError, match=r"log scale|math domain|positive input"):
        qngraph.make_plot_filled([1, 2], np.array([0.0, 1.0]), type="log")


def test_gaps_do_no_harm():
    days = pd.bdate_range("2024-01-01", periods=4)
    series = pd.Series([math.nan, 1, 3, math.nan], days)
    figure = qngraph.make_plot_filled(days, series)
    assert [*figure.layout.yaxis.range] == pytest.approx([0.9, 3.1])
    assert qngraph.make_plot_filled(days, series * math.nan) is not None


@pytest.mark.offline_only
def test_simple_plots_are_returned_too(equity):
    (line,) = qngraph.make_plot(equity.index, equity, name="x").data
    assert (line.name, line.fill) == ("x", None)
    lines = qngraph.make_plot_double(equity.index, equity, equity * 2, name1="a", name2="b").data
    assert [line.name for line in lines] == ["a", "b"]
    assert lines[1].y[0] == 2 * lines[0].y[0]


@pytest.mark.offline_only
def test_a_synthetic_market_is_named_on_the_figure(equity, monkeypatch):
    assert "synthetic" not in str(qngraph.make_plot_filled(equity.index, equity).layout)
    monkeypatch.delenv("QNT_OFFLINE_MARKET")
    for figure in (
        qngraph.make_plot_filled(equity.index, equity),
        qngraph.make_plot(equity.index, equity),
        qngraph.make_plot_double(equity.index, equity, equity),
        *qngraph.make_major_plots(vector("stats_calc_stat")),
    ):
        assert "synthetic market" in figure.layout.title.text


@pytest.mark.offline_only
def test_statistics_per_asset_are_refused():
    with pytest.raises(ValueError, match="dims time and field are needed"):
        qngraph.make_major_plots(vector("stats_calc_stat_per_asset"))


@long
@pytest.mark.offline_only
def test_plotly_is_imported_when_it_is_needed():
    out, _ = run_python("import sys, lib, qnt.graph; print('plotly' in sys.modules)")
    assert out.strip() == "False"


@longest
def test_plots_in_a_notebook_survive_as_a_page(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, tmp_path / "plots.ipynb")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--execute", "plots.ipynb"]
    folders = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    environment.pop("QNT_OFFLINE_MARKET", None)
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    page = (tmp_path / "plots.html").read_text(encoding="utf-8")
    for name in ("first plot", "second plot"):
        assert f'"name":"{name}"' in page
    assert page.count("Plotly.newPlot(") >= 2
    if not REAL:
        assert page.count("synthetic market (random numbers, not real prices)") >= 2
        assert len(page) > 3e6  # plotly's script is in the page: it needs no network
