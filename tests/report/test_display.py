import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from lib.report import display
from lib.report.tables import COLUMNS

HYPHEN = "\u2011"


class Kernel:
    """A stand-in for a Jupyter kernel, with the id of the running cell, if the front end passes it on."""

    def __init__(self) -> None:
        self.cell: str | None = "first"

    def get_parent(self) -> dict[str, Any]:
        return {"metadata": {} if self.cell is None else {"cellId": self.cell}}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the page's contents: "figure", and "script" where plotly's script is put there once more."""
    seen: list[str] = []
    monkeypatch.setattr(go.Figure, "show", lambda figure: seen.append("figure"))
    monkeypatch.setattr(pio.renderers["notebook"], "activate", lambda: seen.append("script"))
    monkeypatch.setattr(display, "_home", [])
    before = pio.renderers.default
    yield seen
    pio.renderers.default = before


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(display, "_shell", lambda: kernel)
    pio.renderers.default = "plotly_mimetype"
    return kernel


def test_no_browser_opens_outside_a_notebook(shown: list[str]) -> None:
    display.show_figures(go.Figure())
    assert shown == []


def test_a_page_gets_what_jupyterlab_does_not_need(shown: list[str], kernel: Kernel) -> None:
    display.show_figures(go.Figure(), go.Figure())
    assert shown == ["figure", "figure"]
    assert pio.renderers.default == "plotly_mimetype+notebook"


def test_a_chosen_renderer_stays(shown: list[str], kernel: Kernel) -> None:
    pio.renderers.default = "svg"
    display.show_figures(go.Figure())
    display.show_figures(go.Figure())
    assert pio.renderers.default == "svg"
    assert "script" not in shown


def test_the_cell_that_carried_the_script_carries_it_when_run_again(shown: list[str], kernel: Kernel) -> None:
    display.show_figures(go.Figure())
    kernel.cell = "second"
    display.show_figures(go.Figure())
    display.show_figures(go.Figure())
    assert "script" not in shown
    kernel.cell = "first"
    display.show_figures(go.Figure())
    assert shown[-2:] == ["script", "figure"]


def test_nobody_says_which_cell_it_is(shown: list[str], kernel: Kernel) -> None:
    kernel.cell = None
    display.show_figures(go.Figure())
    display.show_figures(go.Figure())
    assert shown == ["figure", "figure"]


def test_a_shell_that_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(config={}))
    assert display._shell() is None
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(config={"IPKernelApp": {}}))
    assert display._shell() is not None
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert display._shell() is None


def test_a_shell_that_knows_no_cell() -> None:
    assert display._cell(SimpleNamespace()) is None
    assert display._cell(SimpleNamespace(get_parent=lambda: None)) is None
    assert display._cell(Kernel()) == "first"


def test_a_table_for_people() -> None:
    table = pd.DataFrame(
        {
            "trained_to": np.array(["2024-06-03", "2024-12-02"], dtype="M8[s]"),
            "assets": [12, 11],
            "loss_after": [0.24567891, 0.25],
            "seconds": [0.1234, 2.0],
            "accuracy_in_training": [0.5, 0.5],
            "accuracy_out_of_sample": [0.52345, np.nan],
            "left_out": ["", ""],
        }
    ).set_index("trained_to")
    readable = display.readable(table, COLUMNS)
    assert readable.index.tolist() == [f"2024{HYPHEN}06{HYPHEN}03", f"2024{HYPHEN}12{HYPHEN}02"]
    assert readable.columns.names == [None, "trained to"]
    assert readable.columns.tolist() == [
        *(("", "assets"), ("", "loss after"), ("", "seconds")),
        *(("in training", "accuracy"), ("out of sample", "accuracy")),
    ]
    assert readable.iloc[0].tolist() == [12, "0.2457", "0.12", "50.0%", "52.3%"]
    assert readable.iloc[1].tolist() == [11, "0.2500", "2.00", "50.0%", ""]


def test_a_date_within_a_text_stays_on_one_line() -> None:
    table = pd.DataFrame({"days": ["2024-06-03 to 2024-12-02", ""]}, index=["its days", "none"])
    shown = display.readable(table.rename_axis("measure")).iloc[0, 0]
    assert shown == "2024-06-03 to 2024-12-02".replace("-", HYPHEN)


def test_weights_are_percentages_and_changes_have_a_sign() -> None:
    table = pd.DataFrame({"weight": [0.1], "change": [0.05]}, index=pd.Index(["A"], name="asset"))
    readable = display.readable(table, COLUMNS)
    assert readable.loc["A"].tolist() == ["10.00%", "+5.00%"]
    assert readable.columns.name == "asset"


def test_who_was_left_out_stays() -> None:
    table = pd.DataFrame({"left_out": ["", "diverged"]}, index=pd.Index(["A", "B"], name="asset"))
    assert display.readable(table)["left out"].tolist() == ["", "diverged"]


def test_columns_keep_their_values_and_lose_their_underscores() -> None:
    columns = {"loss": display.ShownColumn("the loss", "{:.1f}"), "day": display.ShownColumn("its day")}
    table = pd.DataFrame(
        {
            "no_value": [np.nan, np.nan, np.nan],
            "no_text": ["", "", ""],
            "loss": [0.25, np.nan, -1.0],
            "day": pd.to_datetime(["2024-06-03", None, "2024-06-05"]),
            "a_thing": [1.5, np.nan, 2.0],
            "note": ["of 2024-06-03", 7, None],
        },
        index=pd.Index(["a_b", "2024-06-03", "c"], name="the_asset"),
    )
    readable = display.readable(table, columns)
    assert readable.columns.tolist() == ["the loss", "its day", "a thing", "note"]
    assert (readable.columns.name, readable.index.name) == ("the asset", None)
    day, later = (f"2024{HYPHEN}06{HYPHEN}{number}" for number in ("03", "05"))
    assert readable.index.tolist() == ["a_b", day, "c"]
    assert readable["the loss"].tolist() == ["0.2", "", "-1.0"]
    assert readable["its day"].tolist() == [day, "", later]
    assert readable["a thing"].tolist()[::2] == [1.5, 2.0]
    assert readable["note"].tolist() == [f"of {day}", 7, None]


def test_a_heat_map_shades_gains_and_losses_by_their_size() -> None:
    table = pd.DataFrame(
        {"Jan": [0.1, -0.2], "Feb": [0.0, np.nan]}, index=pd.Index([2024, 2025], name="month")
    )
    page = display.heat_map(table).to_html()
    cells = re.findall(r'<td[^>]*_row(\d)_col(\d)" class="data[^>]*>(.*?)</td>', page)
    assert [text for _, _, text in cells] == ["10.0%", "0.0%", "-20.0%", ""]
    shades = dict(re.findall(r"_row(\d_col\d) \{\s*background-color: (rgba\(.*?\));", page))
    assert shades == {
        "0_col0": "rgba(42,133,207,0.28)",
        "0_col1": "rgba(42,133,207,0.06)",
        "1_col0": "rgba(201,106,18,0.50)",
    }
    assert "month" not in page
    assert "rgba(42,133,207,0.06)" in display.heat_map(table * 0).to_html()


def test_tables_and_sentences_are_displayed_in_a_notebook(
    kernel: Kernel, shown: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("IPython.display.display", shown.append)
    table = pd.DataFrame({"loss_after": [0.25]}, index=pd.Index(["A"], name="asset"))
    display.show_table(table, COLUMNS)
    display.show_table(table)
    display.show_heat_map(table)
    display.show_text("a **sentence**")
    styled, plain, map_, text = shown
    assert styled.equals(display.readable(table, COLUMNS))
    assert plain.equals(display.readable(table))
    assert "rgba(" in map_.to_html()
    assert text.data == "a **sentence**"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("default", "chosen", "expected"),
    [
        ("plotly_mimetype", "", "plotly_mimetype+notebook"),
        ("plotly_mimetype", "plotly_mimetype", "plotly_mimetype"),
        ("plotly_mimetype+png", "", "plotly_mimetype+png"),
    ],
)
def test_a_renderer_that_the_user_chose_is_kept(
    default: str,
    chosen: str,
    expected: str,
    shown: list[str],
    kernel: Kernel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLOTLY_RENDERER", chosen)
    pio.renderers.default = default
    display.show_figures(go.Figure())
    display.show_figures(go.Figure())
    assert pio.renderers.default == expected
    assert shown == ["figure", *["script"] * ("notebook" in expected), "figure"]


def test_text_is_printed_outside_a_notebook(capsys: pytest.CaptureFixture) -> None:
    display.show_text("a sentence")
    assert capsys.readouterr().out == "a sentence\n"
