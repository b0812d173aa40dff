"""What will a submission do? The notebook is run as the platform runs it: a process a day, with its state.

    python -m lib.rehearsal --days 5 [--until 2024-12-30] [--notebook strategy.ipynb]

Exit code 0 where the platform would accept every day, else 1.
"""

import argparse
import ast
import contextlib
import io
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from lib.rehearsal.judgement import judge, report
from lib.rehearsal.one_pass import Pass, run_pass

if TYPE_CHECKING:
    import xarray as xr

PROJECT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rehearsal that the command line asks for, print its report, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.rehearsal", description="Rehearse a submission of the notebook."
    )
    parser.add_argument(
        "--days", type=int, default=5, help="how many trading days, one pass each (default: 5)"
    )
    parser.add_argument(
        "--until", help="the last of them, such as 2024-12-30 (default: the last day there is)"
    )
    parser.add_argument(
        "--notebook", type=Path, default=PROJECT / "strategy.ipynb", help="default: strategy.ipynb"
    )
    asked = parser.parse_args(arguments)
    try:
        passes, faults = rehearse(asked.notebook, asked.days, asked.until)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(report(passes, faults), flush=True)
    return int(any(faults))


def rehearse(
    notebook: Path | str, days: int = 5, until: str | None = None
) -> tuple[list[Pass], list[list[str]]]:
    """Run the notebook once for each of the last trading days; return the passes and what is wrong with them.

    It runs in a folder of its own, from a copy without its `#DEBUG#` cells; what lies beside it can be
    imported there.

    Raises
    ------
    ValueError
        Fewer trading days than asked for, or the notebook is none.
    OSError
        The notebook cannot be read.
    """
    if days < 1:
        raise ValueError(f"--days must be at least 1, not {days}.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kind = _working_copy(Path(notebook), folder)
        with contextlib.chdir(folder):  # the platform's library keeps a cache where it runs
            dates = _load(kind, until, 2 * days + 15).time.values.astype("M8[D]")
            if len(dates) < days:
                raise ValueError(
                    f"there are only {len(dates)} trading days up to {until or 'the end'}: ask for fewer."
                )
            steps = tqdm(dates[-days:], unit="pass", desc="Rehearsal")
            passes = [run_pass(folder, day, _host()) for day in steps]
            written = [one.weights.asset.values.tolist() for one in passes if one.weights is not None]
            held = sorted({asset for assets in written for asset in assets})
            data = _load(kind, until, 2 * days + 15, held or None)
    return passes, judge(passes, data)


def _working_copy(notebook: Path, folder: Path) -> str:
    """Put the notebook as the platform runs it into the folder, beside links; return what it trades."""
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        cells = [cell for cell in content["cells"] if not "".join(cell["source"]).startswith("#DEBUG#")]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError(f"{notebook} is not a notebook (nbformat 4).") from None
    (folder / "strategy.ipynb").write_text(json.dumps(content | {"cells": cells}), encoding="utf-8")
    beside = [path for path in notebook.absolute().parent.iterdir() if path.is_dir() or path.suffix == ".py"]
    for path in [*beside, PROJECT / "lib"]:
        if not path.name.startswith(".") and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    return _competition("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def _competition(sources: Iterable[str]) -> str:
    """The `competition_type` that the notebook sets to a literal, by default the NASDAQ-100."""
    found = re.findall(r"^competition_type *= *(['\"].*?['\"])", "\n".join(sources), flags=re.MULTILINE)
    return ast.literal_eval(found[0]) if found else "stocks_nasdaq100"


def _load(kind: str, until: str | None, tail: int, assets: list[str] | None = None) -> "xr.DataArray":
    import qnt.data as qndata

    with contextlib.redirect_stdout(io.StringIO()):
        return qndata.load_data_by_type(kind, max_date=until, tail=tail, assets=assets)


def _host() -> str:
    from qnt.data.common import ORIGIN_BASE_URL

    return ORIGIN_BASE_URL.split("/last/")[0].rstrip("/")
