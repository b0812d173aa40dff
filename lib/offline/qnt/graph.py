"""Plots of series over time, with plotly.

A notebook shows them; elsewhere they are returned. On the synthetic market every figure says so. In a
notebook the first plot puts plotly's script into it, so that the plots survive ``nbconvert --to html`` and
need no network.
"""

import math
import os

import numpy as np

from lib.offline import market, uncovered

from .log import log_err

BLUE, RED, DARK_RED, PINK, GREEN = "#17BECF", "#BA1244", "darkred", "#F442C5", "#5A6351"


def is_interact():
    """Return True if widgets may be shown.

    NONINTERACT is then not set.
    """
    return "NONINTERACT" not in os.environ


def is_notebook():
    """Return True if this process is a Jupyter kernel."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def make_plot(index, data, color=BLUE, width=3, name="chart", range_min=None, range_max=None, type=None):
    """Plot one series as a line.

    `data` is one-dimensional, is drawn over `index`, and has gaps where it is NaN. The axis, for example of
    `type` "log", shows `range_min` to `range_max`, by default all finite values, and 5 % more. ValueError is
    raised for a log scale with values of 0 or less. The result is a plotly figure, or None in a notebook,
    where it is shown.
    """
    return _figure([_line(index, data, color, width, name)], _axis(data, range_min, range_max, type))


def make_plot_filled(
    index, data, color=BLUE, width=3, name="chart", range_min=None, range_max=None, type=None, show=True
):
    """Plot one series with the area filled.

    The area is the one under the line. All else is as in `make_plot`. `show` has no effect, as in the real
    library.
    """
    line = {**_line(index, data, color, width, name), "fill": "tonexty"}
    return _figure([line], _axis(data, range_min, range_max, type))


def make_plot_double(index, data1, data2, color1=BLUE, color2=RED, width=3, name1="chart1", name2="chart2"):
    """Plot two series over the same index.

    The result is as for `make_plot`.
    """
    return _figure([_line(index, data1, color1, width, name1), _line(index, data2, color2, width, name2)])


def make_major_plots(stats):
    """Plot the major statistics of a portfolio.

    They are equity (log scale), underwater, rolling Sharpe ratio and bias, as `qnt.stats.calc_stat` returns
    them.

    The result is the four figures, or None in a notebook, where they are shown. A plot that cannot be made is
    None, and stderr gives the reason.
    """
    if set(stats.dims) != {"time", "field"}:
        raise ValueError(f"statistics with the dims time and field are needed, not {stats.dims}")
    figures = (
        _major_plot(stats, "equity", name=" PnL (Equity)", type="log"),
        _major_plot(stats, "underwater", color=DARK_RED, name="Underwater Chart", range_max=0),
        _major_plot(stats, "sharpe_ratio", late_range=True, color=PINK, name="Rolling SR"),
        _major_plot(stats, "bias", color=GREEN, name="Bias Chart"),
    )
    return None if is_notebook() else figures


def _major_plot(stats, field, late_range=False, **options):
    if field not in stats.field.values:
        log_err(f"can't build {field} chart: the statistics lack it")
        return None
    values = stats.sel(field=field).values
    if late_range:  # a rolling ratio is volatile in its first half
        limits = _limits(values[-((len(values) + 1) // 2) :], margin=0.03)
        options["range_min"], options["range_max"] = limits or (None, None)
    try:
        return make_plot_filled(stats.time.values, values, **options)
    except ValueError as error:
        log_err(f"can't build {field} chart: {error}")
        return None


def _line(index, data, color, width, name):
    look = {"color": color, "width": width}
    return {"x": np.asarray(index), "y": np.asarray(data), "line": look, "name": name}


def _axis(data, low, high, scale):
    return {"range": _limits(np.asarray(data), low, high, scale), "type": scale}


def _limits(values, low=None, high=None, scale=None, margin=0.05):
    finite = values[np.isfinite(values)]
    if finite.size == 0 and (low is None or high is None):
        return None
    low, high = (finite.min() if low is None else low), (finite.max() if high is None else high)
    if scale == "log":
        if low <= 0 or high <= 0:
            raise ValueError(f"a log scale needs values above 0; these go from {low} to {high}")
        low, high = math.log(low, 10), math.log(high, 10)
    return [low - (high - low) * margin, high + (high - low) * margin]


def _figure(lines, y_axis=None):
    import plotly.graph_objects as go

    figure = go.Figure([go.Scatter(**line) for line in lines], {"showlegend": True, "yaxis": y_axis})
    if market.is_synthetic():
        figure.update_layout(title_text=f"On {market.describe()}", title_font_size=14)
    if not is_notebook():
        return figure
    import plotly.io as pio

    if pio.renderers.default == "plotly_mimetype":
        # JupyterLab's own renderer shows nothing in a page made by nbconvert.
        pio.renderers.default = "plotly_mimetype+notebook"
    figure.show()
    return None


__getattr__ = uncovered(__name__)
