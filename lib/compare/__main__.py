"""The command line of the comparison, `python -m lib.compare`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.common.command_line import add_range, add_settings, parse_settings, print_any_text
from lib.compare import luck_report, run_plot, run_table, variants
from lib.compare.comparison import FOLDER, ComparisonStopped, run
from lib.compare.luck import variants_of
from lib.compare.run_notebooks import execute_notebooks
from lib.compare.seed_summary import as_markdown, summary
from lib.runs.store import Record, RunWarning, tried
from lib.strategy import Strategy

EXAMPLES = """\
examples:
  python -m lib.compare --grid top_assets=6,12 hidden_size=16,34 --start 2023-12-29
  python -m lib.compare --grid target=next_open_up,tradable_open_up --seeds 5 --start 2023-12-29
  python -m lib.compare mine.json --set epochs=2 --start 2023-12-29   # mine.json: [{"top_assets": 6}, {}]
  python -m lib.compare --oddities --seeds 5 --start 2022-12-30
  python -m lib.compare --grid sizing=as_output,ranked --shuffles 20 --universes 20 --start 2022-12-30
Repeat it after an interruption, or with more variants: what is finished is not run again.
"""
SHOWN = ["label", *run_table.FIGURES, "deflated_sharpe_ratio", "seconds", "status"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if every run finished, 1 if not, or for wrong input, 130 if stopped by hand."""
    given = _parser().parse_args(arguments)
    print_any_text()
    folder, stopped = Path(given.output), False
    where: dict[str, Any] = {name: getattr(given, name) for name in ("workers", "backend", "scheduler")}
    with warnings.catch_warnings():
        warnings.simplefilter("always", RunWarning)
        warnings.showwarning = _print_warning  # type: ignore[assignment]
        try:
            options: dict[str, Any] = {"folder": folder, **where}
            for name in ("shuffles", "universes"):
                options[name] = _count(name, getattr(given, name))
            records = run(_variants(given), given.start, given.end, **options)
            if given.notebooks:
                execute_notebooks(variants_of(records), folder, **where)
        except ComparisonStopped as stop:
            records, stopped = stop.records, True
            print(stop, file=sys.stderr)
        except (TypeError, ValueError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        written = _show(records, folder)
    if stopped:
        return 130
    return int(not written or any(record["status"] != "finished" for record in records))


def _variants(given: argparse.Namespace) -> list[variants.Variant]:
    """Every set of the files or of `--oddities`, with every one of the grid and every seed."""
    listed = [variant for path in given.files for variant in variants.read_file(path)] or [{}]
    odd = variants.ODDITIES if given.oddities else [{}]
    choices = variants.grid(variants.parse_choices(given.grid))
    first = Strategy().seed
    seeds = [{"seed": first + k} for k in range(_count("seeds", given.seeds))] or [{}]
    return variants.combine([parse_settings(given.set)], listed, odd, choices, seeds)


def _count(name: str, number: int | None) -> int:
    """The number of an option, 0 where it is not given; given, it must be 1 or more."""
    if number is not None and number < 1:
        raise ValueError(f"--{name} is {number}: it must be 1 or more.")
    return number or 0


def _show(records: list[Record], folder: Path) -> bool:
    """Print the table and its summary over seeds; write table and plot, and return whether that worked."""
    table = run_table.as_table(records, tried(folder, records))
    market, start, end = (records[0][name] for name in ("market_name", "start", "end"))
    title = f"{len(table)} variants, {start} to {end}; {table['trials'].iloc[0]} runs tried"
    print(f"{title}\nPrices: {market}\n")
    print(table[SHOWN].to_string(index=False, float_format="{:.3f}".format))
    print(f"\nDeflated: the probability that luck alone does not explain it ({run_table.SOURCE}).")
    asked = variants_of(records)
    if len({record["parameters"]["seed"] for record in asked}) > 1:
        print(f"\nMean ± standard deviation over the seeds:\n\n{as_markdown(summary(asked))}")
    about_luck = table[[name for name in luck_report.SHOWN if name in table]]
    print(f"\nIs it luck?\n\n{about_luck.to_string(index=False, float_format='{:.3f}'.format)}")
    for sentence in luck_report.sentences(records, table):
        print(f"\n{sentence}")
    try:
        run_table.save_table(table, folder / "table.parquet")
        run_plot.save(run_plot.figure(table, title, market), folder / "plot.html")
    except OSError as error:
        print(f"Table and plot cannot be written to {folder}: {error.strerror or error}.", file=sys.stderr)
        return False
    print(f"\nTable, plot and runs: {folder}")
    return True


def _print_warning(message: Warning | str, *_: Any) -> None:
    print(message, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.compare",
        description="Backtest many variants of the strategy in parallel, and keep the result of each.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE.json", help="lists of sets of parameters")
    add("--grid", nargs="+", action="extend", default=[], metavar="NAME=VALUE,VALUE", help="to be combined")
    add_settings(parser, "parameters that all variants share")
    odd = "the published strategy, each of its oddities corrected alone, and all of them together"
    add("--oddities", action="store_true", help=odd)
    add("--seeds", type=int, metavar="N", help="each variant with N seeds, from the default one on")
    shuffled = "N further runs of each variant, trained on shuffled targets: a p-value"
    add("--shuffles", type=int, metavar="N", help=shuffled)
    parts = "N further runs of each, on random halves of the assets and of the days: quartiles"
    add("--universes", type=int, metavar="N", help=parts)
    add_range(parser, "first day of the backtest (required)", "last day; default: the last there is")
    output = f"for the runs, table.parquet and plot.html (default: {FOLDER})"
    add("--output", default=FOLDER, metavar="FOLDER", help=output)
    add(
        "--workers", type=int, metavar="N", help="runs at once (default: one per core, or all of the cluster)"
    )
    add("--backend", default="loky", help="loky (processes of this machine, the default), threading, or dask")
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster that is running")
    add("--notebooks", action="store_true", help="also execute the notebook for each run, into the folder")
    return parser


if __name__ == "__main__":  # a worker process imports this file too
    sys.exit(main())
