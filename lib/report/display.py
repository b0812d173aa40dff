"""The display of tables, text and figures.

It serves a notebook, and the page made from it.
"""

import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import xarray as xr
    from pandas.io.formats.style import Styler

NO_BREAK = "\u2011"  # a hyphen that keeps a date in one line
DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_home: list[Any] = []  # the cell whose output carries plotly's script


class ShownColumn(NamedTuple):
    """The heading and format of a column.

    `group` is the heading above it.
    """

    heading: str
    style: str = ""
    group: str = ""


def show_table(table: "pd.DataFrame", columns: Mapping[str, ShownColumn] = MappingProxyType({})) -> None:
    """Display a table as `readable` makes it."""
    from IPython.display import display

    display(readable(table, columns))


def show_heat_map(table: "pd.DataFrame") -> None:
    """Display a coloured table of returns.

    Gains are blue and losses are orange.
    """
    from IPython.display import display

    display(heat_map(table))


def heat_map(table: "pd.DataFrame") -> "Styler":
    """Return a coloured table of returns.

    The colours are legible on light and dark pages.
    """
    largest = max(float(table.abs().max().max()), 1e-9)

    def background(value: float) -> str:
        if value != value:
            return ""
        colour = "42,133,207" if value >= 0 else "201,106,18"
        return f"background-color: rgba({colour},{0.06 + 0.44 * abs(value) / largest:.2f})"

    return table.rename_axis(index=None).style.map(background).format("{:z.1%}", na_rep="")


def readable(
    table: "pd.DataFrame", columns: Mapping[str, ShownColumn] = MappingProxyType({})
) -> "pd.DataFrame":
    """Return a table in a readable form.

    Numbers are rounded, empty columns are left out, and headings are in words. `columns` holds the heading
    and format of a column by its name. Any other column is shown as it is.
    """
    import pandas as pd

    table = table.loc[:, (table.notna() & (table != "")).any()].reset_index()
    for name in table.columns:
        style = columns[name].style if name in columns else ""
        if style:
            table[name] = [style.format(value) if value == value else "" for value in table[name]]
    for name in table.select_dtypes("datetime").columns:
        table[name] = ["" if pd.isna(day) else f"{day:%Y-%m-%d}" for day in table[name]]
    for name in table.select_dtypes(["object", "string"]).columns:
        table[name] = [DATE.sub(_unbroken, text) if isinstance(text, str) else text for text in table[name]]
    corner = table.columns[0].replace("_", " ")
    table = table.set_index(table.columns[0]).rename_axis(None)
    shown = [columns.get(name) or ShownColumn(name.replace("_", " ")) for name in table.columns]
    if any(column.group for column in shown):
        headings = [(column.group, column.heading) for column in shown]
        table.columns = pd.MultiIndex.from_tuples(headings, names=[None, corner])
    else:
        table.columns = pd.Index([column.heading for column in shown], name=corner)
    return table


def _unbroken(date: "re.Match[str]") -> str:
    return date[0].replace("-", NO_BREAK)


def show_text(text: str) -> None:
    """Show a sentence in a notebook or terminal.

    The text wraps in a notebook, and is printed elsewhere.
    """
    if _shell() is None:
        print(text)
        return
    from IPython.display import Markdown, display

    display(Markdown(text))


def show_figures(*figures: "go.Figure") -> None:
    """Display plotly's figures in a notebook.

    Elsewhere the function does nothing, instead of opening a browser. A page made by `nbconvert --to html`
    needs plotly's script for them. The output of the first cell that shows a figure contains it (5 MB, but no
    network is needed). A renderer that the user chose, in plotly or by the variable PLOTLY_RENDERER, is kept:
    `lib.notebook` chooses one without the script.
    """
    shell = _shell()
    if shell is None:
        return
    import plotly.io as pio

    # JupyterLab draws "plotly_mimetype" itself; a page would stay empty
    if pio.renderers.default == "plotly_mimetype" and not os.environ.get("PLOTLY_RENDERER"):
        pio.renderers.default = "plotly_mimetype+notebook"
    cell = _cell(shell)
    if _home and cell is not None and cell == _home[0] and "notebook" in pio.renderers.default.split("+"):
        pio.renderers["notebook"].activate()  # the cell runs again and lost the script with its output
    _home[:] = _home or [cell]
    for figure in figures:
        figure.show()


def source_of(data: "xr.DataArray") -> str:
    """Return the source of the prices.

    The text is empty unless the loader noted the source. Every figure repeats the text.
    """
    return str(data.attrs.get("source", ""))


def _shell() -> Any:
    """Return IPython's shell in a Jupyter kernel.

    The result is None elsewhere.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    return shell if shell is not None and "IPKernelApp" in shell.config else None


def _cell(shell: Any) -> Any:
    """Return the id of the running cell.

    The result is None if the id is not known.
    """
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)() or {}
    return parent.get("metadata", {}).get("cellId")
