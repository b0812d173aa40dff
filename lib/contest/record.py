"""The files of a verdict, and the verdicts on earlier strategies."""

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
from lib.contest.page import page
from lib.contest.verdict import SOURCE, Verdict
from lib.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

    from lib.contest.passes import Pass

VERDICT = "verdict.json"


def keep(folder: Path, key: str, verdict: Verdict, weights: "xr.DataArray", passes: "list[Pass]") -> None:
    """Write the files of a verdict into `folder`, and the verdict once more into that of its strategy."""
    seconds = [entry.seconds for entry in passes]
    content = as_dict(verdict) | {
        "key": key,
        "seconds_per_pass": round(float(np.mean(seconds)), 3),
        "models_missing": sum(len(entry.dropped) for entry in passes),
    }
    text = json.dumps(content, indent=1, allow_nan=False).encode()
    replace_file(folder / key / VERDICT, text)
    replace_file(folder / "weights.nc.gz", _weights_file(weights))
    replace_file(folder / "verdict.html", page(verdict, seconds).encode())
    replace_file(folder / VERDICT, text)


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """The verdict in values that JSON holds; None stands for what is not finite."""
    return {
        "verdict": verdict.in_words,
        "admitted": verdict.admitted,
        "prices": verdict.source,
        "parameters": dict(verdict.parameters),
        "rules": [check._asdict() for check in verdict.checks],
        "sharpe_ratio": _number(verdict.sharpe_ratio),
        "interval": [_number(end) for end in verdict.interval],
        "interval_source": SOURCE,
        "by_year": _rows(verdict.by_year, "year"),
        "relatives": _rows(verdict.relatives, "name"),
        "notes": list(verdict.notes),
        "days": [str(day)[:10] for day in verdict.returns.time.values],
        "returns": [_number(value) for value in verdict.returns.values],
    }


def earlier_verdicts(
    folder: Path, competition_type: str, source: str, without: set[str]
) -> tuple[dict[str, "xr.DataArray"], list[str]]:
    """Daily returns by name of the strategies judged before on these prices, and damaged files in words.

    `without` are the keys of strategies that are left out.
    """
    import xarray as xr

    found, damaged = {}, []
    for path in sorted(folder.glob(f"*/{VERDICT}")):
        if path.parent.name in without:
            continue
        try:
            content = json.loads(path.read_text("utf-8"))
            parameters = content["parameters"]
            if (parameters["competition_type"], content["prices"]) != (competition_type, source):
                continue
            days = np.array(content["days"], dtype="M8[ns]")
            returns = np.array(content["returns"], dtype=float)  # None is NaN
            series = xr.DataArray(returns, {"time": days}, ("time",), name=competition_type)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            damaged.append(f"{path} is damaged ({error}): nothing is compared with it.")
        else:
            found[f"verdict {path.parent.name[:6]} ({differences(parameters)})"] = series
    return found, damaged


def differences(parameters: dict[str, Any]) -> str:
    """The parameters that differ from the published ones, as they are set on a command line."""
    published = Strategy().as_dict()
    changed = [f"{name}={value}" for name, value in parameters.items() if published.get(name) != value]
    return ", ".join(changed) or "as published"


def _weights_file(weights: "xr.DataArray") -> bytes:
    """The file that `qnt.output.write` makes of weights."""
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
