"""Runs side by side: the table, the mean over seeds, the plot."""

import math

import numpy as np
import pandas as pd
import pytest

from lib.compare import table as tables
from lib.compare.table import (
    LUCK,
    PLOT,
    RESULTS,
    TABLE_COLUMNS,
    TableColumn,
    column_texts,
    comparison_figure,
    comparison_table,
    conclusion,
    printed_table,
    save_figure,
    save_table,
    seed_markdown,
    seed_summary,
)
from lib.stats.performance import ROWS
from lib.stats.sharpe import deflated_sharpe_ratio
from lib.strategy import Strategy

RETURNS = {key: np.random.default_rng(k).normal(0.001, 0.01, 100) for k, key in enumerate("abcdef")}


def record(name, sharpe=1.0, status="finished", **parameters):
    made = {
        "key": name * 20,
        "status": status,
        "message": "",
        "parameters": {**Strategy().as_dict(), **parameters},
    }
    made |= {"days_market": "m"}
    if status == "finished":
        figures = {"sharpe_ratio": sharpe, "mean_return": 0.1, "volatility": 0.2, "max_drawdown": -0.1}
        made |= {"figures": {**figures, "avg_turnover": 0.05, "win_rate": 0.5}, "seconds": 2.0}
        made |= {"returns": RETURNS[name].tolist()}
    return made


def test_rows_are_sorted_by_what_differs_whatever_the_order():
    records = [
        record("a", top_assets=12, seed=2),
        record("b", top_assets=6, seed=1),
        record("c", top_assets=6, seed=10),
        record("d", status="failed", top_assets=6, seed=2),
    ]
    table = comparison_table(records, records[:3])
    assert table["run"].str[0].tolist() == ["b", "d", "c", "a"]
    pd.testing.assert_frame_equal(table, comparison_table(records[::-1], records[2::-1]))
    assert table["variant"].tolist()[0] == "top_assets=6 seed=1"
    assert table[["top_assets", "seed"]].to_numpy().tolist() == [[6, 1], [6, 2], [6, 10], [12, 2]]
    assert "epochs" not in table.columns
    assert table["status"].tolist() == ["finished", "failed", "finished", "finished"]
    assert math.isnan(table["sharpe_ratio"][1])


def test_a_row_has_every_column_with_the_figures_of_its_run():
    """A run with friction and dates, one that failed, and a list that is written as text."""
    run = record("a", 1.25) | {
        "dates": list(range(100)),
        "friction": {"sharpe_late": 0.5, "sharpe_cost_2": 0},
    }
    failed = record("b", status="failed", features=["trend", "gap"], seed=7) | {"message": "why"}
    odd = {"dates": run["dates"], "seconds": 3.0, "friction": run["friction"]}
    table = comparison_table([run, failed | odd], [run])
    second, first = table.to_dict("records")  # by the seed
    assert list(first) == [
        *["label", "variant", "seed", "features", "sharpe_ratio", "annual_return", "volatility"],
        *["max_drawdown", "avg_turnover", "win_rate", "deflated_sharpe_ratio", "pbo", "pbo_runs", "trials"],
        *["sharpe_late", "sharpe_cost_2", "sharpe_cost_3", "seconds", "status", "message", "run"],
    ]
    known = {"label": "seed=7 features=trend+gap", "variant": "seed=7 features=trend+gap", "seed": 7}
    known |= {"features": "trend+gap", "pbo_runs": 0, "trials": 1, "sharpe_late": 0.5, "sharpe_cost_2": 0.0}
    known |= {"seconds": 3.0, "status": "failed", "message": "why", "run": "b" * 20}
    assert {name: value for name, value in second.items() if value == value} == known
    known = {"label": "as published", "variant": "as published", "seed": 42, "features": "trend"}
    known |= {"sharpe_ratio": 1.25, "annual_return": 0.1, "volatility": 0.2, "max_drawdown": -0.1}
    known |= {"avg_turnover": 0.05, "win_rate": (RETURNS["a"] > 0).mean(), "pbo_runs": 1, "trials": 1}
    known |= {"deflated_sharpe_ratio": deflated_sharpe_ratio(RETURNS["a"], 1, 0.0), "sharpe_late": 0.5}
    known |= {"sharpe_cost_2": 0.0, "seconds": 2.0, "status": "finished", "message": "", "run": "a" * 20}
    assert {name: value for name, value in first.items() if value == value} == known
    alone = comparison_table([failed], [])
    assert (alone["trials"][0], alone["seconds"].isna()[0]) == (0, True)


def test_every_finished_run_deflates_the_sharpe_ratio_asked_about_or_not():
    tried = [record(name, seed=k) for k, name in enumerate("abcdef")]
    ratios = [RETURNS[name].mean() / RETURNS[name].std(ddof=1) for name in "abcdef"]
    table = comparison_table(tried[:2], tried)
    assert (table["trials"] == 6).all()
    expected = deflated_sharpe_ratio(RETURNS["a"], 6, np.var(ratios, ddof=1))
    assert table["deflated_sharpe_ratio"][0] == pytest.approx(expected)
    alone = comparison_table(tried[:1], tried[:1])
    assert alone["deflated_sharpe_ratio"][0] == pytest.approx(deflated_sharpe_ratio(RETURNS["a"], 1, 0.0))
    assert alone["deflated_sharpe_ratio"][0] > table["deflated_sharpe_ratio"][0]


@pytest.mark.parametrize("returns", [[], [0.1, 0.2], [0.0] * 20, [0.001] * 20, [None, 0.1, 0.3]])
def test_a_run_without_a_sharpe_ratio_counts_as_tried_but_not_in_the_variance(returns):
    """Constant returns deviate by rounding alone; two returns have a ratio without meaning."""
    runs = [record("a", seed=1), record("b", seed=2)]
    odd = record("c", seed=3) | {"returns": returns}
    found = comparison_table(runs, [*runs, odd])["deflated_sharpe_ratio"]
    ratios = [RETURNS[name].mean() / RETURNS[name].std(ddof=1) for name in "ab"]
    expected = [deflated_sharpe_ratio(RETURNS[name], 3, np.var(ratios, ddof=1)) for name in "ab"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert comparison_table([odd], [*runs, odd])["deflated_sharpe_ratio"].isna().all()


def test_functions_of_one_name_are_not_averaged():
    records = [record("a", 1.0, seed=1), record("b", 3.0, seed=1)]
    for number, run in enumerate(records):
        run |= {"functions": {"features": [str(number)]}}
        run["parameters"]["features"] = ["m.mine"]
    means = seed_summary(records)
    assert means["sharpe_ratio"].tolist() == [1.0, 3.0]
    assert means["label"].nunique() == comparison_table(records, records)["label"].nunique() == 2


def test_the_mean_over_seeds_and_the_difference_with_the_same_seed():
    records = [record("a", 1.0, seed=1), record("b", 2.0, seed=2), record("c", 1.5, seed=1, epochs=2)]
    records += [record("d", 4.5, seed=2, epochs=2), record("e", 9.0, seed=3, epochs=2)]
    records += [record("f", status="failed", seed=1, epochs=3)]
    records += [record("b", 5.0, seed=1, epochs=4)]
    first, second, third, fourth = seed_summary(records).to_dict("records")
    assert (first["variant"], first["seeds"], first["sharpe_ratio"]) == ("as published", 2, 1.5)
    assert first["sharpe_ratio_spread"] == pytest.approx(np.std([1, 2], ddof=1))
    assert math.isnan(first["against_first"])
    assert (second["variant"], second["seeds"], second["sharpe_ratio"]) == ("epochs=2", 3, 5.0)
    assert second["against_first"] == 1.5  # of 0.5 and 2.5: the third seed has nothing to stand against
    assert second["against_first_spread"] == pytest.approx(np.std([0.5, 2.5], ddof=1))
    assert (third["variant"], third["seeds"]) == ("epochs=3", 0)
    assert fourth["against_first"] == 4.0


def test_markdown():
    records = [record("a", 1.0, seed=1), record("b", 2.0, seed=2), record("f", status="failed", epochs=3)]
    records += [record("c", 1.5, seed=2, target="a|b"), record("d", 3.5, seed=1, target="a|b")]
    assert seed_markdown(seed_summary(records)).splitlines() == [
        "| variant | seeds | Sharpe ratio | difference to the first | annual return | turnover per day |",
        "|---|---|---|---|---|---|",
        "| as published | 2 | 1.500 ± 0.707 |  | 10.0% ± 0.0% | 5.00% ± 0.00% |",
        "| epochs=3 | 0 |  |  |  |  |",
        "| target=a\\|b | 2 | 2.500 ± 1.414 | +1.000 ± 2.121 | 10.0% ± 0.0% | 5.00% ± 0.00% |",
    ]


def test_the_summary_over_seeds_keeps_the_label_of_the_base():
    base = Strategy(top_assets=6)
    records = [record("a", top_assets=6, seed=1), record("b", top_assets=6, seed=2), record("c", seed=1)]
    means = seed_summary(records, base, "as in the notebook")
    assert means["label"].tolist() == means["variant"].tolist() == ["as in the notebook", "top_assets=12"]
    assert seed_summary(records, base)["label"].tolist() == ["as in base", "top_assets=12"]
    assert means["annual_return_spread"].isna().tolist() == [False, True]


def test_a_table_is_written_whole(tmp_path):
    records = [record("a"), record("b", features=["trend", "mine"]), record("c", status="failed", epochs=2)]
    table = comparison_table(records, records[:2])
    path = tmp_path / "two" / "folders" / "table.parquet"
    save_table(table[:1], path)
    save_table(table, path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), table)


def test_the_plot_says_what_it_shows_and_what_not(tmp_path):
    long = {"learning_rate": 0.5, "hidden_size": 16}  # a label of two lines
    records = [record("a", 1.0), record("b", 3.0, **long), record("c", status="failed", epochs=3)]
    records += [record("d", 1.0, epochs=2)]
    table = comparison_table(records, [records[0], records[1], records[3]])
    drawn = comparison_figure(table, "Three variants", "a synthetic market")
    (bars,) = drawn.data
    assert list(bars.x) == [3.0, 1.0, 1.0]
    assert list(bars.y) == ["hidden_size=16<br>learning_rate=0.5", "as published", "epochs=2"]
    rows = table.set_index("run").loc[[name * 20 for name in "bad"]].reset_index()
    names = ["variant", "annual_return", "volatility", "max_drawdown", "avg_turnover", "win_rate"]
    names += ["deflated_sharpe_ratio", "run"]
    assert [list(row) for row in bars.customdata] == rows[names].to_numpy(object).tolist()
    assert list(bars.marker.color) == rows["deflated_sharpe_ratio"].tolist()
    assert (bars.marker.cmin, bars.marker.cmax, bars.orientation) == (0, 1, "h")
    assert bars.hovertemplate == "<br>".join(
        [
            *["Sharpe ratio: %{x:.3f}", "variant: %{customdata[0]}", "annual return: %{customdata[1]:.2%}"],
            *["volatility: %{customdata[2]:.2%}", "maximum drawdown: %{customdata[3]:.2%}"],
            *["turnover per day: %{customdata[4]:.2%}", "win rate: %{customdata[5]:.1%}"],
            *["deflated Sharpe ratio: %{customdata[6]:.3f}", "run: %{customdata[7]}", "<extra></extra>"],
        ]
    )
    title = drawn.layout.title.text.replace("<br>", " ")
    assert "Three variants (1 without a Sharpe ratio not shown)" in title
    assert "a synthetic market" in title
    assert drawn.layout.yaxis.autorange == "reversed"
    assert drawn.layout.hovermode == "closest"
    assert "Sharpe ratio, a year" in drawn.layout.xaxis.title.text
    whole = comparison_figure(table[table["status"] == "finished"], "Three", "")
    assert "not shown" not in whole.layout.title.text
    many, more = (comparison_figure(pd.concat([table] * times), "Many", "") for times in (10, 20))
    bars = len(more.data[0].x) - len(many.data[0].x)
    assert more.layout.height - many.layout.height == (14 + 2 * 16) * bars  # of two lines
    save_figure(drawn, tmp_path / "two" / "folders" / "plot.html")
    save_figure(drawn, tmp_path / "two" / "folders" / "plot.html")
    page = (tmp_path / "two" / "folders" / "plot.html").read_text(encoding="utf-8")
    assert "a synthetic market" in page
    assert "<script src=" not in page  # needs no network


@pytest.mark.parametrize(
    ("sharpe", "deflated", "trials", "expected"),
    [
        (
            [1.0, 3.0],
            0.99,
            2,
            "Best of 2: b, with a Sharpe ratio of 3.000 (deflated for 2 tried: 0.99), more",
        ),
        (
            [1.0, 3.0],
            0.3,
            5,
            "(deflated for 5 tried: 0.30). That is not above 0.95: luck alone may explain it.",
        ),
        (
            [1.0, 3.0],
            0.95,
            2,
            "(deflated for 2 tried: 0.95). That is not above 0.95: luck alone may explain it.",
        ),
        (
            [1.0, 3.0],
            0.3,
            1,
            "Best of 2: b, with a Sharpe ratio of 3.000 (deflated: 0.30). That is not above",
        ),
        ([1.0, math.nan], 0.3, 1, "The variant: a, with a Sharpe ratio of 1.000 (deflated: 0.30). That"),
        ([1.0, math.nan], math.nan, 1, "The variant: a, with a Sharpe ratio of 1.000."),
        ([math.nan, math.nan], math.nan, 0, "No variant has a Sharpe ratio."),
    ],
)
def test_a_comparison_ends_in_a_sentence(sharpe, deflated, trials, expected):
    table = pd.DataFrame({"label": ["a", "b"], "sharpe_ratio": sharpe})
    assert expected in conclusion(table.assign(deflated_sharpe_ratio=deflated, trials=trials))


def test_the_results_have_the_words_of_the_report_and_the_luck_the_names_of_columns():
    runs = [record("a"), record("b", status="failed", seed=1)]
    table = comparison_table(runs, runs[:1])
    words = [
        "Sharpe ratio",
        "annual return",
        "volatility",
        "maximum drawdown",
        "turnover per day",
        "win rate",
    ]
    assert set(words) <= set(ROWS)
    head, *lines = printed_table(table, RESULTS).splitlines()
    assert head.split() == " ".join(["label", *words, "deflated Sharpe ratio seconds status"]).split()
    numbers = "1.000 10.00% 20.00% -10.00% 5.00% 54.0%"
    assert sorted(" ".join(line.split()) for line in lines) == [
        f"as published {numbers} {table['deflated_sharpe_ratio'].max():.3f} 2.000 finished",
        "seed=1 NaN NaN NaN NaN NaN NaN NaN NaN failed",
    ]
    names = ["label", "sharpe_ratio", "deflated_sharpe_ratio", "pbo", "sharpe_late"]
    assert printed_table(table, LUCK).split()[:7] == [*names, "sharpe_cost_2", "sharpe_cost_3"]


def test_every_column_has_a_line_of_text():
    lines = column_texts().splitlines()
    assert lines[0] == "  label                  what the variant changes, in short"
    assert len(lines) == len(TABLE_COLUMNS)


def test_a_plot_of_nothing():
    drawn = comparison_figure(comparison_table([record("c", status="failed")], []), "None", "")
    assert len(drawn.data[0].x) == 0
    assert "1 without" in drawn.layout.title.text


def test_a_new_column_touches_one_place(monkeypatch):
    """An entry in TABLE_COLUMNS is shown by every view that it names."""
    column = TableColumn(
        "worst_day",
        "worst day",
        "the smallest return of a day",
        lambda row: row.returns().min() if row.record["status"] == "finished" else math.nan,
        views=(RESULTS, LUCK, PLOT),
        format=".1%",
        over_seeds=".2%",
    )
    monkeypatch.setattr(tables, "TABLE_COLUMNS", [*TABLE_COLUMNS[:-1], column, TABLE_COLUMNS[-1]])
    records = [record("a", seed=1), record("b", seed=2), record("c", status="failed", epochs=2)]
    table = comparison_table(records, records[:2])
    worst = [RETURNS[name].min() for name in "ab"]
    assert table.loc[table["status"] == "finished", "worst_day"].tolist() == worst
    assert "the smallest return of a day" in column_texts()
    for view in (RESULTS, LUCK):
        assert f"{worst[0]:.1%}" in printed_table(table, view)
        assert "NaN" in printed_table(table, view)
    plot = comparison_figure(table, "", "").data[0]
    (place,) = [k for k, each in enumerate(tables.columns_of(PLOT)) if each is column]
    assert f"worst day: %{{customdata[{place}]:.1%}}" in plot.hovertemplate
    assert [row[place] for row in plot.customdata] == worst
    means = seed_summary(records)
    assert means["worst_day"][0] == np.mean(worst)
    head, _, first, *_ = seed_markdown(means).splitlines()
    assert "| worst day |" in head
    assert f"| {np.mean(worst):.2%} ± {np.std(worst, ddof=1):.2%} |" in first


def test_columns_have_names_of_their_own():
    names = [column.name for column in TABLE_COLUMNS]
    assert len(set(names)) == len(names)
    assert not set(names) & Strategy().as_dict().keys()


def test_labels_are_relative_to_the_base():
    base = Strategy(top_assets=6)
    records = [record("a", top_assets=6), record("b", top_assets=12), record("c", top_assets=6, epochs=2)]
    table = comparison_table(records, records, base, "as in the notebook").set_index("run")
    assert table["label"].str.cat(sep=", ") == "as in the notebook, epochs=2, top_assets=12"
    assert comparison_table(records, records).set_index("run")["label"]["b" * 20] == "as published"


@pytest.mark.parametrize(
    "other",
    [{"days_market": "another"}, {"competition_type": "stocks_s&p500"}],
    ids=["market or days", "competition"],
)
def test_only_runs_on_the_same_market_competition_and_days_are_trials(other):
    one, two, foreign = (record(name, seed=k) for k, name in enumerate("abc"))
    if "competition_type" in other:
        foreign["parameters"] |= other
    else:
        foreign |= other
    expected = comparison_table([one, two], [one, two])
    found = comparison_table([one, two], [one, two, foreign])
    pd.testing.assert_frame_equal(found, expected)
    assert found["trials"].tolist() == [2, 2]
    assert comparison_table([one, foreign], [one, two, foreign])["trials"].sort_values().tolist() == [1, 2]
