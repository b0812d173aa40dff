"""The files of a verdict, and the verdicts on earlier strategies.

One of them is the page verdict.html.
"""

import hashlib
import html
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.common.command_line import environment
from lib.common.figure_style import DASHES, GREY, MARKERS, axis, layout, line_style, page, rows
from lib.common.files import replace_file
from lib.common.rules import rules_table
from lib.contest.peers import TEMPLATE, UNIVERSE
from lib.contest.verdict import SOURCE, Verdict, with_headings

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

    from lib.contest.passes import Pass

VERDICT = "verdict.json"
TRIAL = "own trial"  # how an earlier strategy of the same folder is named
PANELS = {  # by title: whether it has a point for each year
    "Equity in sample, 1 at the start (log scale)": False,
    "Drawdown from the highest equity so far": False,
    "Sharpe ratio by year": True,
    "Correlation of daily returns by year": True,
    "Seconds of a pass (training and prediction)": False,
}


def write_verdict(
    folder: Path,
    key: str,
    market: str,
    verdict: Verdict,
    weights: "xr.DataArray",
    passes: "list[Pass]",
) -> None:
    """Write the files of a verdict into `folder`.

    The verdict is written into the folder of its strategy too. `key` is the key of the strategy, `market` the
    fingerprint of the prices.
    """
    seconds = [entry.seconds for entry in passes]
    content = as_dict(verdict) | {
        "key": key,
        "market": market,
        "seconds_per_pass": round(float(np.mean(seconds)), 3),
        "models_missing": sum(len(entry.dropped) for entry in passes),
    }
    text = json.dumps({"checksum": _checksum(content)} | content, indent=1, allow_nan=False).encode()
    replace_file(folder / key / VERDICT, text)
    replace_file(folder / "weights.nc.gz", _weights_file(weights))
    replace_file(folder / "verdict.html", verdict_page(verdict, seconds).encode())
    replace_file(folder / VERDICT, text)


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict in values that JSON holds.

    None stands for a number that is not finite.
    """
    return {
        "verdict": verdict.in_words,
        "admitted": verdict.admitted,
        "prices": verdict.source,
        "title": verdict.title,
        "parameters": dict(verdict.parameters),
        "rules": [check._asdict() for check in verdict.checks],
        "sharpe_ratio": _number(verdict.sharpe_ratio),
        "interval": [_number(end) for end in verdict.interval],
        "interval_source": SOURCE,
        "exposure": {name: _number(share) for name, share in verdict.exposure.items()},
        "by_year": _records(verdict.by_year, "year"),
        "relatives": _records(verdict.relatives, "name"),
        "notes": list(verdict.notes),
        "days": [str(day)[:10] for day in verdict.returns.time.values],
        "returns": [_number(value) for value in verdict.returns.values],
    }


def earlier_verdicts(
    folder: Path, competition_type: str, market: str, without: set[str]
) -> tuple[dict[str, "xr.DataArray"], list[str]]:
    """Return the daily returns of earlier trials by name.

    They are the user's own trials on the same market. `market` is the fingerprint of the prices, `without`
    the keys of strategies that are left out. The second value holds a sentence for each file that cannot be
    used.
    """
    import xarray as xr

    found, damaged = {}, []
    for path in sorted(folder.glob(f"*/{VERDICT}")):
        if path.parent.name in without:
            continue
        try:
            content = json.loads(path.read_text("utf-8"))
            if content.pop("checksum") != _checksum(content):
                raise ValueError("its checksum does not fit")
            if content["key"] != path.parent.name:
                raise ValueError("it belongs to another strategy")
            parameters = content["parameters"]
            if (parameters["competition_type"], content["market"]) != (competition_type, market):
                continue
            days = np.array(content["days"], dtype="M8[ns]")
            returns = np.array(content["returns"], dtype=float)  # None is NaN
            series = xr.DataArray(returns, {"time": days}, ("time",), name=competition_type)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            damaged.append(f"{path} is damaged ({error}): nothing is compared with it.")
        else:
            found[f"{TRIAL} {path.parent.name[:6]} ({content['title']})"] = series
    return found, damaged


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _weights_file(weights: "xr.DataArray") -> bytes:
    """Return a file of weights as bytes.

    `qnt.output.write` writes it.
    """
    import qnt.log as qnlog
    import qnt.output as qnout

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.nc.gz"
        with environment({"OUTPUT_PATH": os.fspath(path)}), qnlog.Settings(info=False, err=False):
            qnout.write(weights)
        return path.read_bytes()


def _records(table: pd.DataFrame, label: str) -> list[dict[str, Any]]:
    return [
        {label: key} | {name: _plain(value) for name, value in row.items()} for key, row in table.iterrows()
    ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) >= 1 else float(value)


# ---- the page ----


def verdict_page(verdict: Verdict, seconds: list[float]) -> str:
    """Return the whole page as HTML.

    `seconds` holds the duration of each day's pass.
    """
    return page(
        f"Contest verdict: {verdict.title or 'a strategy'}",
        [
            f"<h1>{html.escape(verdict.in_words)}</h1>",
            f"<p>{html.escape(verdict.title)}</p>" if verdict.title else "",
            f"<p>{verdict.days_in_words}. Prices: {html.escape(verdict.source or 'not named')}</p>",
            _table(rules_table(list(verdict.checks))),
            f"<p>{html.escape(verdict.sharpe_in_words)}</p>",
            f"<p>{verdict.exposure_in_words}</p>",
            "<h2>Originality</h2>",
            _table(with_headings(verdict.relatives)),
            *(f"<p>{html.escape(note)}</p>" for note in verdict.notes),
            verdict_figure(verdict, seconds),
        ],
    )


def verdict_figure(verdict: Verdict, seconds: list[float]) -> "go.Figure":
    """Draw the figure of the verdict.

    Its panels are equity, drawdown, Sharpe ratio and correlations by year, and seconds of a pass. Days of a
    single year have no panels by year: these would show one point each.
    """
    import qnt.stats as qns

    yearly = len(verdict.by_year) > 1
    titles = [title for title, by_year in PANELS.items() if yearly or not by_year]
    drawn = rows(titles, [0.32, *[0.17] * (len(titles) - 1)])
    lines = {"this strategy": verdict.returns}
    lines |= {name: verdict.others[name] for name in (TEMPLATE, UNIVERSE) if name in verdict.others}
    styles = {  # dashes beside the colours: a copy covers its line, and not everyone tells all colours apart
        name: line_style(number) | {"dash": DASHES[number % len(DASHES)]}
        for number, name in enumerate(["this strategy", *verdict.others])
    }
    for name, returns in lines.items():
        equity = qns.calc_equity(returns)
        for row, values in ((1, equity), (2, qns.calc_underwater(equity))):
            drawn.add_scatter(
                x=values.time.values,
                y=values.values,
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                line={**styles[name], "width": 1.6},
                row=row,
                col=1,
            )
    if yearly:
        _add_years(drawn, verdict, styles, known=set(lines))
    days = verdict.returns.time.values[-len(seconds) :]
    drawn.add_scatter(
        x=days,
        y=np.asarray(seconds)[-len(days) :],
        showlegend=False,
        line={"color": GREY, "width": 1},
        row=len(titles),
        col=1,
    )
    drawn.update_layout(
        layout("The contest's days in sample", verdict.source, 250 + 200 * len(titles), panels=True)
    )
    drawn.update_xaxes(**axis())
    drawn.update_yaxes(**axis())
    drawn.update_yaxes(type="log", row=1)
    drawn.update_yaxes(tickformat=".2~%", row=2)
    drawn.update_yaxes(rangemode="tozero", row=len(titles))
    return drawn


def _add_years(drawn: "go.Figure", verdict: Verdict, styles: dict[str, Any], known: set[str]) -> None:
    """Add the Sharpe ratio and correlations of each year.

    They stand above the middle of the year's days.
    """
    table, days = verdict.by_year, verdict.returns.get_index("time")
    of_year = [days[days.year == year] for year in table.index]
    middles = [part[len(part) // 2] for part in of_year]
    widths = [0.7 * ((part[-1] - part[0]) / pd.Timedelta(1, "ms") + 86_400_000) for part in of_year]
    colour = styles["this strategy"]["color"]
    drawn.add_bar(
        x=middles, y=table["sharpe_ratio"], width=widths, showlegend=False, marker_color=colour, row=3, col=1
    )
    for number, name in enumerate(verdict.others):
        drawn.add_scatter(
            x=middles,
            y=table[name],
            name=name,
            legendgroup=name,
            showlegend=name not in known,
            mode="lines+markers",
            line=styles[name],
            marker={"symbol": MARKERS[number % len(MARKERS)], "size": 8},
            row=4,
            col=1,
        )


def _table(table: pd.DataFrame) -> str:
    text = table.rename_axis(None).to_html(border=0, float_format="{:.3f}".format)
    return f'<div class="wide">{text}</div>'
