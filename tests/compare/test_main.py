"""The command line, from its arguments to its files, and what it refuses."""

import json
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import lib.compare as comparison
from lib.compare import ComparisonStopped, RunWarning, single_run
from lib.compare import __main__ as command
from lib.compare import table as tables
from lib.compare.__main__ import main
from lib.compare.variants import ODDITIES
from lib.strategy import Strategy
from tests.compare.shared import END, SMALL, START
from tests.compare.test_luck import DATES, drawn, variant
from tests.switches import LONG, long


def test_from_arguments_to_files(first, tmp_path, capsys):
    _, folder, table = first
    sets = tmp_path / "sets.json"
    sets.write_text(json.dumps([{"top_assets": 3}, {"top_assets": 3, "seed": 42}]), encoding="utf-8")
    arguments = [
        str(sets),
        "--grid",
        "lwma_period=3,5",
        *(word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")),
    ]
    arguments += ["--start", START, "--end", END, "--output", str(folder)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "2 variants, 2024-12-02 to 2024-12-06; 4 tried on these days" in out
    assert "Bailey and Lopez de Prado" in out
    assert "sharpe_late" in out
    assert "Is it luck?" in out
    assert "Walk forward: none" in out
    assert "p_value" not in out
    written = pd.read_parquet(folder / "table.parquet")
    assert written["run"].tolist() == table[table["run"].isin(written["run"])]["run"].tolist()
    page = (folder / "plot.html").read_text(encoding="utf-8")
    assert written["run"][0] in page
    assert "Sharpe ratio" in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--grid", "top_asset=6,12"], "did you mean 'top_assets'"),
        (["--grid", "top_assets"], "'top_assets' must have the form NAME=VALUE"),
        (["--grid", "top_assets=six"], "top_assets must be a whole number"),
        (["--grid", "epochs=1,2", "--set", "epochs=3"], "epochs is set twice"),
        (["--set", "epochs=1,2"], "epochs must be a whole number from 1 to 1000, not (1, 2)"),
        (["--set", "seed=2"], "seed is set twice"),
        (["none.json"], "none.json cannot be read"),
        (["--oddities", "--grid", "log_price=True"], "log_price is set twice"),
        (["--start", "yesterday"], "start_date is 'yesterday': it must be a date"),
        (["--end", "2024-13-01"], "end_date is '2024-13-01': it must be a date"),
        (["--start", "1999-01-01"], "but the data begin on"),
        (["--backend", "cloud"], "backend is 'cloud'"),
        (["--scheduler", "tcp://there"], "a scheduler is for"),
        (["--seeds", "0"], "--seeds is 0: it must be 1 or more"),
        (["--shuffles", "0"], "--shuffles is 0: it must be 1 or more"),
        (["--universes", "-2"], "--universes is -2: it must be 1 or more"),
        (["--universes", "2"], "universes are drawn from 60 calendar days or more, not from 5"),
    ],
)
def test_wrong_arguments_are_refused_with_a_sentence(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    days = {"--start": START, "--end": END} | dict(zip(arguments[::2], arguments[1::2], strict=False))
    days = [word for name in ("--start", "--end") for word in (name, days[name])]
    assert main([*arguments, "--set", "seed=1", *days]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out in ("", "strategy.ipynb: seed=1\n")
    assert not list(tmp_path.rglob("*.json"))


def test_the_command_line_tells_of_what_failed(tmp_path, monkeypatch, capsys):
    def fail(jobs, **_):
        yield from ((key, {"status": "failed", "message": "why"}, "") for key in jobs)

    monkeypatch.setattr(comparison, "run_all", fail)
    assert main(["--start", START, "--end", END, "--output", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "1 of 1 runs did not finish" in printed.err
    assert "failed" in printed.out
    assert pd.read_parquet(tmp_path / "table.parquet")["message"].tolist() == ["why"]


# a model that is not the published one needs torch, whose import takes seconds
@pytest.mark.parametrize("name", [name for name in Strategy().as_dict() if LONG or name != "model"])
def test_every_parameter_is_checked_before_anything_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "run_all", lambda *_, **__: pytest.fail("something ran"))
    assert main(["--start", START, "--set", f"{name}={{}}", "--output", str(tmp_path)]) == 2
    assert name.removesuffix("s") in capsys.readouterr().err


NOTEBOOK = """
from lib.strategy import Strategy
import dataclasses
top_assets, start_date, end_date = 3, "2024-12-02", "2024-12-06"

class Mine(Strategy):
    def train_model(self, data):
        return {"share": 0.02}

    def predict(self, models, data, state):
        liquid = data.sel(field="is_liquid").isel(time=[-1], asset=slice(self.top_assets))
        return liquid * models["share"], state

strategy = Mine(top_assets=top_assets, hidden_size=4, train_period=40, lookback_period=40)
"""


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "mine.ipynb"
    write_notebook(path, NOTEBOOK)
    return path


def write_notebook(path, source):
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "outputs": [], "execution_count": None}
    content = {"cells": [{**cell, "id": "a", "source": source}], "metadata": {}, "nbformat": 4}
    path.write_text(json.dumps({**content, "nbformat_minor": 5}), "utf-8")


@long
def test_the_strategy_and_the_days_of_the_notebook_are_compared(notebook, tmp_path, capsys):
    """Its methods, parameters and days count; an edit of a method is another run."""
    arguments = ["--notebook", str(notebook), "--output", str(tmp_path / "runs"), "--grid", "top_assets=3,12"]
    here = ["--backend", "threading", "--workers", "2"]
    assert main([*arguments, *here]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("mine.ipynb: ")
    assert "own train_model, own predict" in printed.out.splitlines()[0]
    assert f"2 variants, {START} to {END}" in printed.out
    table = pd.read_parquet(tmp_path / "runs/table.parquet")
    assert table["label"].tolist() == ["as in the notebook", "top_assets=12"]
    write_notebook(notebook, NOTEBOOK.replace("0.02", "0.01"))
    assert main([*arguments, *here]) == 0
    edited = pd.read_parquet(tmp_path / "runs/table.parquet")
    assert set(edited["run"]).isdisjoint(table["run"])
    assert (edited["volatility"] < 0.6 * table["volatility"]).all()
    assert edited["trials"].tolist() == [4, 4]


def test_an_edit_of_a_comment_runs_nothing_again(notebook, tmp_path, monkeypatch, capsys):
    arguments = ["--notebook", str(notebook), "--output", str(tmp_path / "runs"), "--grid", "top_assets=3,12"]

    def finish(jobs, **_):
        asked.append(len(jobs))
        outcome = {"status": "finished", "figures": {"sharpe_ratio": 0.125}}
        yield from ((key, {**outcome, "returns": [k, 0.2]}, "") for k, key in enumerate(jobs))

    asked = []
    monkeypatch.setattr(comparison, "run_all", finish)
    for source in (NOTEBOOK, NOTEBOOK.replace("    def predict", "    # a comment\n\n    def predict")):
        write_notebook(notebook, source)
        assert main(arguments) == 0
        assert "2 tried on these days" in capsys.readouterr().out
    assert asked == [2]


def test_a_first_day_replaces_both_days_of_the_notebook(notebook, tmp_path, monkeypatch):
    planned = {}
    monkeypatch.setattr(comparison, "run_all", nothing)
    plan = comparison._plan
    monkeypatch.setattr(comparison, "_plan", lambda *given: planned.update(plan(*given)) or planned)
    for days in ([], ["--end", "2024-12-11"], ["--start", "2024-12-09"]):
        main(["--notebook", str(notebook), "--output", str(tmp_path), *days])
    assert [(record["start"], record["end"]) for _, record in planned.values()] == [
        (START, END),
        (START, "2024-12-11"),
        ("2024-12-09", "2024-12-30"),
    ]


def test_a_folder_that_cannot_be_made(capsys, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["--start", START, "--end", END, "--output", str(tmp_path / "file" / "runs")]) == 2
    assert "file" in capsys.readouterr().err


def test_a_full_disk_ends_in_a_sentence_below_the_table(tmp_path, monkeypatch, capsys):
    def finish(jobs, **_):
        figures = {"sharpe_ratio": 0.125}
        yield from (
            (key, {"status": "finished", "figures": figures, "returns": [0.1, 0.2]}, "") for key in jobs
        )

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(comparison, "run_all", finish)
    monkeypatch.setattr(single_run, "keep_record", full)
    monkeypatch.setattr(tables, "replace_file", full)
    assert main(["--start", START, "--end", END, "--output", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "0.125" in printed.out
    first, second = [line for line in printed.err.splitlines() if "cannot be written" in line]
    assert "free space" in first
    assert "Table and plot cannot be written" in second
    assert "No space left on device" in second


def nothing(jobs, **_):
    yield from ()


def test_a_run_file_without_returns_ends_in_a_sentence(first, tmp_path, capsys, monkeypatch):
    _, folder, table = first
    monkeypatch.setattr(comparison, "run_all", nothing)
    path = folder / f"{table[table['status'] == 'finished']['run'].iloc[0]}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["returns"]
    single_run.keep_record(tmp_path, record)
    words = [f"{name}={value}" for name, value in SMALL.items()]
    assert main(["--start", START, "--end", END, "--set", *words, "--output", str(tmp_path)]) == 1
    assert f"{path.name} is damaged (it is finished but has no returns)" in capsys.readouterr().err


@pytest.fixture
def asked(monkeypatch):
    """Record what is run, executed and shown, and run nothing."""
    found = SimpleNamespace(statuses=["finished"], stopped=False, written=True, executed=None, options=None)

    def run(variants, first, last, **options):
        found.variants, found.days, found.options = variants, (first, last), options
        warnings.warn("some runs", RunWarning, stacklevel=2)
        records = [{"status": status} for status in found.statuses]
        if found.stopped:
            raise ComparisonStopped(records)
        return [*records, {"status": "finished", "draw": {}}]

    def execute(*given, **where):
        found.executed = given, where

    def show(*given):
        found.shown = given
        return found.written

    monkeypatch.setattr(command, "run_variants", run)
    monkeypatch.setattr(command, "execute_notebooks", execute)
    monkeypatch.setattr(command, "_show", show)
    return found


def test_every_option_reaches_the_runs(asked, tmp_path, capsys):
    words = ["--grid", "top_assets=3,12", "--seeds", "2", "--set", "epochs=2", "--shuffles", "3"]
    words += ["--universes", "4", "--workers", "2", "--backend", "dask", "--scheduler", "tcp://x:1"]
    assert main([*words, "--notebooks", "--start", START, "--end", END, "--output", str(tmp_path)]) == 0
    grid = [{"top_assets": size, "seed": seed} for size in (3, 12) for seed in (42, 43)]
    assert (asked.variants, asked.days) == (grid, (START, END))
    where = {"workers": 2, "backend": "dask", "scheduler": "tcp://x:1"}
    numbers = {"shuffles": 3, "universes": 4}
    base = Strategy(epochs=2)
    assert asked.options == {"base": base, "folder": tmp_path, **numbers, **where}
    runs, folder, notebook, of_base = asked.executed[0]
    assert runs == [{"status": "finished"}]  # a draw has no notebook
    assert (folder, notebook.name, of_base, asked.executed[1]) == (tmp_path, "strategy.ipynb", base, where)
    assert asked.shown == ([*runs, {"status": "finished", "draw": {}}], tmp_path, base)
    printed = capsys.readouterr()
    assert printed.out == "strategy.ipynb: epochs=2\n"
    assert printed.err == "some runs\n"


@pytest.mark.parametrize(
    ("words", "variants"),
    [
        ([], [{}]),
        (["--seeds", "1"], [{"seed": 42}]),
        (["--oddities"], ODDITIES),
        (["SETS", "SETS"], [{"top_assets": 6}, {}, {"top_assets": 6}, {}]),
    ],
)
def test_variants_are_those_of_files_oddities_grid_and_seeds(words, variants, asked, tmp_path):
    sets = tmp_path / "sets.json"
    sets.write_text('[{"top_assets": 6}, {}]', "utf-8")
    main([word.replace("SETS", str(sets)) for word in words])
    assert asked.variants == variants
    assert asked.executed is None
    assert asked.options["folder"] == Path("runs/compare")
    assert asked.options["shuffles"] == asked.options["universes"] == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"statuses": ["finished", "failed"]}, 1),
        ({"written": False}, 1),
        ({"stopped": True}, 130),
    ],
    ids=["finished", "one failed", "not written", "stopped"],
)
def test_the_exit_code_says_whether_every_run_finished(changes, code, asked, capsys):
    vars(asked).update(changes)
    assert main([]) == code
    assert ("stopped: what is finished is kept" in capsys.readouterr().err) is (code == 130)


@pytest.mark.parametrize("base", [Strategy(), Strategy(epochs=3)])
def test_the_table_its_summary_and_its_sentences_are_printed_and_written(base, tmp_path, capsys, monkeypatch):
    figures = []
    monkeypatch.setattr(tables, "save_figure", lambda *given: figures.append(given))
    runs = [variant(1.0, epochs=3), variant(2.0, epochs=3, seed=43)]
    records = [run | {"market_name": "here"} for run in [*runs, *drawn(runs[0], "shuffle", [0.0])]]
    assert command._show(records, tmp_path / "runs", base)
    printed = capsys.readouterr().out
    table = pd.read_parquet(tmp_path / "runs" / "table.parquet")
    name = "as in the notebook" if base.epochs == 3 else "epochs=3"
    words = f"2 variants, {DATES[0]} to {DATES[-1]}; 2 tried on these days\nPrices: here\n\n"
    assert printed.startswith(words + tables.printed_table(table, tables.RESULTS))
    assert "\n\nMean ± standard deviation over the seeds:\n\n| variant | seeds |" in printed
    assert f"\n| {name} | 2 | 1.500 ± 0.707 |" in printed
    assert f"\n\nIs it luck?\n\n{tables.printed_table(table, tables.LUCK)}\n\nProbability of" in printed
    assert "\n\nShuffled targets: " in printed
    assert printed.endswith(f"\n\n{tables.conclusion(table)}\n\nTable, plot and runs: {tmp_path / 'runs'}\n")
    ((drawn_figure, path),) = figures
    title = drawn_figure.layout.title.text.replace("<br>", " ")
    assert path == tmp_path / "runs" / "plot.html"
    assert "2 variants, 2020-01-01 to 2022-12-30; 2 tried on these days" in title
    assert "Prices: here" in title
    command._show(records[:1], tmp_path / "runs", base)
    assert "over the seeds" not in capsys.readouterr().out


def test_the_help_has_every_option_with_its_form_and_every_column(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    assert command._parser().format_usage() == (
        "usage: python -m lib.compare [-h] [--notebook FILE] "
        "[--grid NAME=VALUE,VALUE [NAME=VALUE,VALUE ...]] [--set NAME=VALUE [NAME=VALUE ...]] "
        "[--oddities] [--seeds N] [--shuffles N] [--universes N] [--start DATE] [--end DATE] "
        "[--output FOLDER] [--workers N] [--backend BACKEND] [--scheduler ADDRESS] [--notebooks] "
        "[FILE.json ...]\n"
    )
    assert all(action.help for action in command._parser()._actions)
    text = command._parser().format_help()
    assert "Backtest many variants" in text
    assert f"{command.EXAMPLES}\ncolumns of the table:\n{tables.column_texts()}\n" in text
    given = command._parser().parse_args(["--grid", "a=1", "--grid", "b=1"])
    assert (given.grid, given.files) == (["a=1", "b=1"], [])
