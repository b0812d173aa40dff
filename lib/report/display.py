"""How do tables and figures get into a notebook, so that they are still there in a page made from it?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

FORMATS = {
    "loss": "{:.4f}",
    "seconds": "{:.2f}",
    "hits": "{:.1%}",
    "majority": "{:.1%}",
    "yesterday": "{:.1%}",
}
NO_BREAK = "\u2011"  # a hyphen that keeps a date in one line
_home: list[Any] = []  # the cell whose output carries plotly's script


def show_table(table: "pd.DataFrame") -> None:
    """Display a table of trainings as a person reads it: rounded, shares as percentages."""
    from IPython.display import display

    display(readable(table))


def readable(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table for people: see `show_table`; a column without content is left out."""
    table = table.loc[:, (table.notna() & (table != "")).any()].reset_index()
    for name in table.columns:
        style = FORMATS.get(name.split("_")[0])
        if style:
            table[name] = [style.format(value) if value == value else "" for value in table[name]]
    for name in table.select_dtypes("datetime").columns:
        table[name] = [f"{day:%Y-%m-%d}".replace("-", NO_BREAK) for day in table[name]]
    table = table.rename(columns=lambda name: name.replace("_", " "))
    return table.set_index(table.columns[0])


def show_text(text: str) -> None:
    """Show a sentence: in a notebook as text that fits the page, elsewhere printed."""
    if _shell() is None:
        print(text)
        return
    from IPython.display import Markdown, display

    display(Markdown(text))


def show_figures(*figures: "go.Figure") -> None:
    """Display plotly's figures in a notebook; elsewhere do nothing, rather than open a browser.

    In a page made by `nbconvert --to html` they need plotly's script, which the output of the first cell
    that shows a figure carries, once for all (5 MB, but no network). A renderer that somebody chose stays.
    """
    shell = _shell()
    if shell is None:
        return
    import plotly.io as pio

    if pio.renderers.default == "plotly_mimetype":  # what JupyterLab draws itself; a page would stay empty
        pio.renderers.default = "plotly_mimetype+notebook"
    cell = _cell(shell)
    if _home and cell is not None and cell == _home[0] and "notebook" in pio.renderers.default.split("+"):
        pio.renderers["notebook"].activate()  # run again, this cell lost its output, and the script with it
    _home[:] = _home or [cell]
    for figure in figures:
        figure.show()


def _shell() -> Any:
    """IPython's shell, if this is a Jupyter kernel."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    return shell if shell is not None and "IPKernelApp" in shell.config else None


def _cell(shell: Any) -> Any:
    """Which cell is running, where the program that shows the notebook says it."""
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)() or {}
    return parent.get("metadata", {}).get("cellId")
