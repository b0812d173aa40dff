"""`python -m lib.compare`: how are variants compared from the command line?"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.compare import run_plot, run_table, variants
from lib.compare.comparison import FOLDER, ComparisonStopped, RunWarning, compare, run, tried
from lib.compare.run_notebooks import execute_notebooks
from lib.compare.runs import Record
from lib.strategy import Strategy

__all__ = ["compare", "main"]

EXAMPLES = """\
examples:
  python -m lib.compare --grid top_assets=6,12 hidden_size=16,34 --start 2023-12-29
  python -m lib.compare --grid target=next_open_up,tradable_open_up --seeds 5 --start 2023-12-29
  python -m lib.compare mine.json --set epochs=2 --start 2023-12-29   # mine.json: [{"top_assets": 6}, {}]
  python -m lib.compare --oddities --seeds 5 --start 2022-12-30
Call it again after an interruption, or with more variants: what is finished is not repeated.
"""
SHOWN = ["variant", *run_table.FIGURES, "deflated_sharpe_ratio", "seconds", "status"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if every run finished, 1 if not, 2 for wrong arguments, 130 if stopped by hand."""
    parser = _parser()
    given = parser.parse_args(arguments)
    folder = Path(given.folder)
    table_path, plot_path = (
        Path(given.table or folder / "table.parquet"),
        Path(given.plot or folder / "plot.html"),
    )
    try:
        _check_endings(table_path, plot_path)
        wanted = _variants(given)
        variants.strategies(wanted)
    except (TypeError, ValueError) as error:
        parser.error(str(error))
    stopped = False
    where = {"workers": given.workers, "backend": given.backend, "scheduler": given.scheduler}
    with warnings.catch_warnings():
        warnings.simplefilter("always", RunWarning)
        warnings.showwarning = _say  # type: ignore[assignment]
        try:
            records = run(wanted, given.start, given.end, folder=folder, **where)
            if given.notebooks:
                execute_notebooks(records, folder, **where)
        except ComparisonStopped as stop:
            records, stopped = stop.records, True
            print(stop, file=sys.stderr)
        except ValueError as error:
            parser.error(str(error))
    _show(records, folder, table_path, plot_path)
    if stopped:
        return 130
    return int(any(record["status"] != "finished" for record in records))


def _variants(given: argparse.Namespace) -> list[variants.Variant]:
    """Every set of the files or of `--oddities`, with every one of the grid and every seed."""
    listed = [one for path in given.files for one in variants.read_file(path)] if given.files else [{}]
    odd = variants.ODDITIES if given.oddities else [{}]
    choices = variants.grid(variants.parse_choices(given.grid))
    first = Strategy().seed
    if given.seeds is not None and given.seeds < 1:
        raise ValueError(f"--seeds is {given.seeds}: it must be 1 or more.")
    seeds = [{"seed": first + k} for k in range(given.seeds)] if given.seeds else [{}]
    return variants.combine([variants.parse_settings(given.set)], listed, odd, choices, seeds)


def _show(records: list[Record], folder: Path, table_path: Path, plot_path: Path) -> None:
    """Table and plot as files, the table and, over several seeds, its summary on stdout."""
    table = run_table.as_table(records, tried(folder))
    run_table.save_table(table, table_path)
    market, start, end = (records[0][name] for name in ("market_name", "start", "end"))
    title = f"{len(table)} variants, {start} to {end}; {table['trials'].iloc[0]} runs tried"
    run_plot.save(run_plot.figure(table, title, market), plot_path)
    print(f"{title}\nPrices: {market}\n")
    print(table[SHOWN].to_string(index=False, float_format="{:.3f}".format))
    print(f"\nDeflated: the probability that luck alone does not explain it ({run_table.SOURCE}).")
    if len({record["parameters"]["seed"] for record in records}) > 1:
        summary = run_table.as_markdown(run_table.summary(records))
        print(f"\nMean ± standard deviation over the seeds:\n\n{summary}")
    print(f"\nTable: {table_path}\nPlot: {plot_path}\nRuns: {folder}")


def _check_endings(table: Path, plot: Path) -> None:
    if table.suffix not in (".parquet", ".csv"):
        raise ValueError(f"--table {table}: the name must end in .parquet or .csv.")
    if plot.suffix != ".html":
        raise ValueError(f"--plot {plot}: the name must end in .html.")


def _say(message: Warning | str, *_: Any) -> None:
    print(message, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.compare",
        description="Backtest many variants of the strategy in parallel, and keep what came of each.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE.json", help="lists of sets of parameters")
    add(
        "--grid",
        nargs="+",
        default=[],
        metavar="NAME=VALUE,VALUE",
        help="parameters to try in every combination",
    )
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters that all variants share")
    add(
        "--oddities",
        action="store_true",
        help="as published, each of its oddities mended alone, and all together",
    )
    add("--seeds", type=int, metavar="N", help="each variant with N seeds, from the default one on")
    add("--start", required=True, metavar="DATE", help="first day of the backtest")
    add("--end", metavar="DATE", help="last day; default: the last there is")
    add("--folder", default=FOLDER, help=f"where runs are kept (default {FOLDER})")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="how many at once (default: all cores, or all of the cluster)",
    )
    add(
        "--backend",
        default="loky",
        help="loky (this machine, the default), dask, ray, or another of joblib's",
    )
    add("--scheduler", metavar="ADDRESS", help="of a Dask or Ray cluster that is running")
    add(
        "--table",
        metavar="PATH",
        help="result table, .parquet or .csv (default: table.parquet in the folder)",
    )
    add("--plot", metavar="PATH.html", help="plot of the table (default: plot.html in the folder)")
    add("--notebooks", action="store_true", help="also execute the notebook for each run, into the folder")
    return parser
