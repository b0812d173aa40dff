"""The files of a verdict, and the verdicts on earlier strategies."""

import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lib.common.command_line import environment
from lib.common.files import replace_file
from lib.contest.page import verdict_page
from lib.contest.verdict import SOURCE, Verdict

if TYPE_CHECKING:
    import xarray as xr

    from lib.contest.passes import Pass

VERDICT = "verdict.json"
TRIAL = "own trial"  # how an earlier strategy of the same folder is named


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
        "by_year": _rows(verdict.by_year, "year"),
        "relatives": _rows(verdict.relatives, "name"),
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


def _rows(table: pd.DataFrame, label: str) -> list[dict[str, Any]]:
    return [
        {label: key} | {name: _plain(value) for name, value in row.items()} for key, row in table.iterrows()
    ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) >= 1 else float(value)
