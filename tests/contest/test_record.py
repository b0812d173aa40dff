"""The files of a verdict of which everything is known, its page and its figure."""

import gzip
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib.common.figure_style import DASHES, MARKERS
from lib.common.rules import RuleCheck
from lib.contest import record
from lib.contest.passes import Pass
from lib.contest.peers import TEMPLATE, UNIVERSE
from lib.contest.record import PANELS, as_dict, earlier_verdicts, verdict_figure, verdict_page, write_verdict
from lib.contest.verdict import SOURCE, Verdict

KIND = "stocks_nasdaq100"
DAYS = pd.to_datetime(["2006-12-27", "2006-12-28", "2006-12-29", "2007-01-03", "2007-01-04"])
MARKET = "f" * 16
KEYS = [name * 20 for name in "abcd"]


def line(*values):
    return xr.DataArray(np.array(values), {"time": DAYS}, ("time",), name=KIND)


OTHERS = {
    TEMPLATE: line(0.0, 0.01, 0.02, 0.0, 0.01),
    UNIVERSE: line(0.01, 0.0, 0.02, 0.0, -0.01),
    "own trial <a>": line(0.0, 0.0, 0.02, 0.0, 0.01),
}
VERDICT = Verdict(
    checks=(RuleCheck("Sharpe ratio", "0.50", "at least 0.7", False), RuleCheck("first", "?", "", None)),
    sharpe_ratio=0.5,
    interval=(float("nan"), 2.0),
    relatives=pd.DataFrame(
        {"correlation": [0.25, np.nan, -1.0], "sharpe_ratio": [0.5, 3.0, np.inf], "mark": ["", "", "high"]},
        index=[TEMPLATE, UNIVERSE, "own trial <a>"],
    ),
    by_year=pd.DataFrame(
        {
            "days": [3, 2],
            "sharpe_ratio": [1.5, np.nan],
            TEMPLATE: [0.5, 1.0],
            UNIVERSE: [0.25, 0.5],
            "own trial <a>": [-0.5, 0.0],
        },
        index=[2006, 2007],
    ),
    returns=line(0.1, -0.5, 0.0, 1.0, float("nan")),
    others=OTHERS,
    notes=("prices < 1",),
    source="A & B",
    parameters={"competition_type": KIND, "top_assets": 6},
    title="top_assets<6",
    exposure={"long": 0.5, "net": float("nan")},
)
PASSES = [
    Pass(str(day)[:10], {}, [], dropped, seconds)
    for day, dropped, seconds in zip(
        DAYS, [{}, {"x": "", "y": ""}, {"x": ""}, {}, {}], [0.1, 0.2, 0.3, 0.4, 0.5004], strict=True
    )
]


def test_the_record_holds_facts_in_plain_values():
    """Whole numbers are integers, and what is not finite is None."""
    assert as_dict(VERDICT) == {
        "verdict": "It would not be admitted: Sharpe ratio.",
        "admitted": False,
        "prices": "A & B",
        "title": "top_assets<6",
        "parameters": {"competition_type": KIND, "top_assets": 6},
        "rules": [
            {"rule": "Sharpe ratio", "found": "0.50", "required": "at least 0.7", "holds": False},
            {"rule": "first", "found": "?", "required": "", "holds": None},
        ],
        "sharpe_ratio": 0.5,
        "interval": [None, 2],
        "interval_source": SOURCE,
        "exposure": {"long": 0.5, "net": None},
        "by_year": [
            {
                **{"year": 2006, "days": 3, "sharpe_ratio": 1.5, TEMPLATE: 0.5},
                **{UNIVERSE: 0.25, "own trial <a>": -0.5},
            },
            {
                **{"year": 2007, "days": 2, "sharpe_ratio": None, TEMPLATE: 1},
                **{UNIVERSE: 0.5, "own trial <a>": 0},
            },
        ],
        "relatives": [
            {"name": TEMPLATE, "correlation": 0.25, "sharpe_ratio": 0.5, "mark": ""},
            {"name": UNIVERSE, "correlation": None, "sharpe_ratio": 3, "mark": ""},
            {"name": "own trial <a>", "correlation": -1, "sharpe_ratio": None, "mark": "high"},
        ],
        "notes": ["prices < 1"],
        "days": ["2006-12-27", "2006-12-28", "2006-12-29", "2007-01-03", "2007-01-04"],
        "returns": [0.1, -0.5, 0, 1, None],
    }
    assert [type(record._number(value)) for value in (1.0, -2.0, 0.0, 0.5, 1.5)] == [int, int] + [float] * 3


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write the same verdict for three strategies."""
    monkeypatch.setattr(record, "verdict_page", lambda _, seconds: f"of {seconds}")
    weights = xr.DataArray(
        np.full((5, 1), 0.1), {"time": DAYS, "asset": ["NAS:A"]}, ("time", "asset"), name=KIND
    )
    for key in KEYS[:3]:
        (tmp_path / key).mkdir()
        write_verdict(tmp_path, key, MARKET, VERDICT, weights, PASSES)
    return tmp_path


def test_a_verdict_is_written_for_its_strategy_and_as_the_last_one(written, capsys):
    text = (written / "verdict.json").read_text("utf-8")
    assert text == (written / KEYS[2] / "verdict.json").read_text("utf-8")
    content = json.loads(text)
    assert len(content.pop("checksum")) == 16
    own = {"key": KEYS[2], "market": MARKET, "seconds_per_pass": 0.3, "models_missing": 3}
    assert content == json.loads(json.dumps(as_dict(VERDICT))) | own
    assert (written / "verdict.html").read_text("utf-8") == "of [0.1, 0.2, 0.3, 0.4, 0.5004]"
    weights = xr.load_dataarray(gzip.decompress((written / "weights.nc.gz").read_bytes()))
    assert weights.values.tolist() == [[0.1]] * 5
    assert capsys.readouterr() == ("", "")


def test_earlier_verdicts_are_the_returns_of_other_strategies_on_the_same_market(written):
    found, damaged = earlier_verdicts(written, KIND, MARKET, {KEYS[0]})
    assert damaged == []
    assert list(found) == [f"own trial {key[:6]} (top_assets<6)" for key in KEYS[1:3]]
    for returns in found.values():
        xr.testing.assert_identical(returns, VERDICT.returns)
        assert returns.dtype == float
    assert earlier_verdicts(written, "stocks_s&p500", MARKET, set()) == ({}, [])
    assert earlier_verdicts(written, KIND, "0" * 16, set()) == ({}, [])


def change(**changes):
    """Return an edit of a file that keeps its checksum right."""

    def edit(text):
        content = json.loads(text) | changes
        content = {name: value for name, value in content.items() if value is not None and name != "checksum"}
        return json.dumps({**content, "checksum": record._checksum(content)})

    return edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda text: text[:-9], ""),
        (lambda text: "[]", ""),
        (lambda text: text.replace("0.5", "0.6"), "its checksum does not fit"),
        (lambda text: json.dumps({"key": KEYS[1]}), "'checksum'"),
        (change(key=KEYS[0]), "it belongs to another strategy"),
        (change(parameters=None), "'parameters'"),
        (change(days=["2006-12-27"]), "conflicting sizes"),
    ],
    ids=["cut off", "a list", "edited", "no checksum", "of another key", "no parameters", "lost days"],
)
def test_a_damaged_verdict_is_named_and_not_compared(written, edit, reason):
    path = written / KEYS[1] / "verdict.json"
    path.write_text(edit(path.read_text("utf-8")), "utf-8")
    found, (sentence,) = earlier_verdicts(written, KIND, MARKET, set())
    assert list(found) == [f"own trial {key[:6]} (top_assets<6)" for key in (KEYS[0], KEYS[2])]
    assert sentence.startswith(f"{path} is damaged (")
    assert sentence.endswith("): nothing is compared with it.")
    assert reason in sentence


def test_the_page_names_all_facts_and_escapes_them(monkeypatch):
    monkeypatch.setattr(record, "verdict_figure", lambda verdict, seconds: f"figure of {seconds}")
    monkeypatch.setattr(record, "page", lambda title, parts: SimpleNamespace(title=title, parts=parts))
    made = verdict_page(VERDICT, [1.0])
    assert made.title == "Contest verdict: top_assets<6"
    assert made.parts[:3] == [
        "<h1>It would not be admitted: Sharpe ratio.</h1>",
        "<p>top_assets&lt;6</p>",
        "<p>2006-12-27 to 2007-01-04, 5 days. Prices: A &amp; B</p>",
    ]
    assert made.parts[4:7] == [
        f"<p>{VERDICT.sharpe_in_words}</p>",
        f"<p>{VERDICT.exposure_in_words}</p>",
        "<h2>Originality</h2>",
    ]
    assert made.parts[8:] == ["<p>prices &lt; 1</p>", "figure of [1.0]"]
    rules, relatives = (re.findall("<t[hd]>(.*?)</t[hd]>", made.parts[k]) for k in (3, 7))
    head = ["", "found", "required", "result"]
    assert rules[:8] == [*head, "Sharpe ratio", "0.50", "at least 0.7", "✗ failed"]
    assert relatives[:4] == ["", "correlation", "Sharpe ratio", "mark"]
    assert relatives[4:8] == [TEMPLATE, "0.250", "0.500", ""]
    assert made.parts[7].startswith('<div class="wide"><table class="dataframe">\n')


def test_a_page_without_title_and_source_says_so(monkeypatch):
    monkeypatch.setattr(record, "verdict_figure", lambda *_: "")
    plain = Verdict(**{**vars(VERDICT), "title": "", "source": ""})
    text = verdict_page(plain, [1.0])
    assert "<title>Contest verdict: a strategy</title>" in text
    assert "5 days. Prices: not named</p>" in text
    assert "<p></p>" not in text


def test_the_figure_has_each_line_in_its_panel_once_in_the_legend():
    drawn = verdict_figure(VERDICT, [9.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    names = ["this strategy", TEMPLATE, UNIVERSE]
    years = [DAYS[1], DAYS[4]]  # the middle of each year's days
    found = [(trace.name, trace.yaxis, trace.showlegend, trace.type) for trace in drawn.data]
    assert found == [
        *((name, axis, axis == "y", "scatter") for name in names for axis in ("y", "y2")),
        (None, "y3", False, "bar"),
        *((name, "y4", name == "own trial <a>", "scatter") for name in OTHERS),
        (None, "y5", False, "scatter"),
    ]
    equity, drawdown = drawn.data[2:4]
    np.testing.assert_allclose(equity.y, np.cumprod([1.0, 1.01, 1.02, 1.0, 1.01]))
    np.testing.assert_allclose(drawn.data[5].y, [0, 0, 0, 0, -0.01], atol=1e-12)
    assert list(equity.x) == list(drawdown.x) == list(DAYS)
    assert all(trace.legendgroup == trace.name for trace in drawn.data if trace.name)
    bars = drawn.data[6]
    assert list(bars.x) == years
    assert bars.y[0] == 1.5
    assert list(bars.width) == pytest.approx([0.7 * 3 * 86_400_000, 0.7 * 2 * 86_400_000])
    assert bars.marker.color == drawn.data[0].line.color
    correlations = drawn.data[7:10]
    for number, (name, trace) in enumerate(zip(OTHERS, correlations, strict=True)):
        assert list(trace.x) == years
        assert list(trace.y) == VERDICT.by_year[name].tolist()
        assert (trace.mode, trace.marker.symbol) == ("lines+markers", MARKERS[number])
    dashes = [drawn.data[place].line.dash for place in (0, 2, 4, 9)]
    assert dashes == list(DASHES)
    seconds = drawn.data[10]
    assert list(seconds.x) == list(DAYS)
    assert list(seconds.y) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert list(verdict_figure(VERDICT, [0.4, 0.5]).data[10].x) == list(DAYS[3:])
    assert [title.text.replace("<br>", " ") for title in drawn.layout.annotations] == list(PANELS)
    shown = drawn.layout
    assert [shown[f"yaxis{k}"].type for k in ("", 2, 3, 4, 5)] == ["log", None, None, None, None]
    assert [shown[f"yaxis{k}"].tickformat for k in ("", 2, 5)] == [None, ".2~%", None]
    assert [shown[f"yaxis{k}"].rangemode for k in ("", 2, 5)] == [None, None, "tozero"]
    assert shown.title.text.startswith("<b>The contest's days in sample</b>")
    assert "Prices: A & B" in shown.title.text
    assert (
        shown.height
        > verdict_figure(Verdict(**vars(VERDICT) | {"by_year": VERDICT.by_year[:1]}), [1.0]).layout.height
    )
