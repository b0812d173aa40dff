"""Columns about luck, and the sentences below the table."""

import math

import numpy as np
import pandas as pd
import pytest

from lib.compare import luck, single_run
from lib.compare.table import comparison_table
from lib.stats.resampling import overfitting_probability, walk_forward
from lib.strategy import Strategy
from tests.switches import long

IDENTITY = {"functions": {}, "registered": {}, "strategy": "s", "code": "c", "versions": {}}
IDENTITY |= {"start": "2020-01-01", "end": "2022-12-30", "market": "m"}
DATES = [str(day)[:10] for day in pd.bdate_range("2020-01-01", "2022-12-30")]


def variant(ratio=1.0, status="finished", days=None, **parameters):
    record = {
        "parameters": {**Strategy().as_dict(), **parameters},
        **IDENTITY,
        "days_market": f"of {days}",
        "message": "",
        "seconds": 1.0,
    }
    record |= {"status": status, "key": single_run.record_key(record)}
    if status == "finished":
        figures = dict.fromkeys(
            ["mean_return", "volatility", "max_drawdown", "avg_turnover", "win_rate"], 0.1
        )
        rng = np.random.default_rng(int(record["key"][:8], 16))
        record |= {"figures": {"sharpe_ratio": ratio, **figures}, "dates": DATES[:days]}
        record |= {"returns": rng.normal(0, 0.01, len(DATES[:days])).tolist()}
        record |= {"friction": {"sharpe_late": 0.5, "sharpe_cost_2": 0.75, "sharpe_cost_3": None}}
    return record


def drawn(record, kind, ratios):
    found = []
    for k, ratio in enumerate(ratios):
        new = single_run.redrawn(record, {kind: k})
        figures = {**record["figures"], "sharpe_ratio": ratio}
        found.append(new | ({"status": "failed"} if ratio == "failed" else {"figures": figures}))
    return found


def test_a_p_value_counts_the_real_one_too():
    assert luck.p_value(1.0, [0.5, 1.0, 2.0]) == 3 / 4
    assert luck.p_value(3.0, [0.5, 1.0, 2.0]) == 1 / 4
    assert luck.p_value(3.0, []) == 1


def test_a_p_value_by_chance_is_as_often_below_a_level_as_the_level_says():
    rng = np.random.default_rng(1)
    found = np.array([luck.p_value(row[0], row[1:]) for row in rng.normal(size=(4000, 40))])
    for level in (0.05, 0.2, 0.5):
        assert (found <= level).mean() == pytest.approx(level, abs=4 * (level * (1 - level) / 4000) ** 0.5)


def test_draws_are_told_from_variants_and_are_not_tried(tmp_path):
    record = variant()
    draws = drawn(record, "shuffle", [0.1, 0.2])
    assert len({record["key"], *(draw["key"] for draw in draws)}) == 3
    assert (
        [single_run.drawn_from(draw) for draw in draws]
        == [record["key"]] * 2
        == [single_run.drawn_from(record)] * 2
    )
    for each in (record, *draws):
        single_run.keep_record(tmp_path, each)
    found, damaged = single_run.read_records(tmp_path)
    assert (len(found), damaged) == (3, [])
    assert [each["key"] for each in single_run.tried(tmp_path)] == [record["key"]]
    draws[0][single_run.DRAW]["shuffle"] = 7  # an edit that no longer fits the key
    single_run.keep_record(tmp_path, draws[0])
    assert len(single_run.read_records(tmp_path)[1]) == 1


def test_a_variant_that_ran_again_counts_once_unless_its_result_changed(tmp_path):
    """The code was edited: a comment, or something that changes the result."""
    one, two = variant(), variant(epochs=2)
    same, other = one | {"code": "edited"}, two | {"code": "edited", "returns": one["returns"]}
    for record in (one, two, same, other):
        single_run.keep_record(tmp_path, record | {"key": single_run.record_key(record)})
    assert len(single_run.tried(tmp_path)) == 3
    again = same | {"key": single_run.record_key(same)}
    assert single_run.tried(tmp_path, [again])[0]["key"] == again["key"]
    assert len(single_run.tried(tmp_path, [again])) == 3


def test_the_table_has_a_row_per_variant_with_its_draws():
    one, two, bad = variant(1.0), variant(None, epochs=2), variant(status="failed", epochs=3)
    records = [one, two, bad, *drawn(one, "shuffle", [0.5, 1.5, None, "failed"])]
    records += [*drawn(two, "shuffle", [-1.0, -2.0]), *drawn(one, "universe", [-1.0, 0.0, 1.0, 2.0, 4.0])]
    table = comparison_table(records, [one, two]).set_index("run").loc[[one["key"], two["key"], bad["key"]]]
    assert table["p_value"].tolist()[:2] == [2 / 4, 1 / 3]
    assert table["shuffles"].tolist() == [3, 2, 0]
    quartiles = table[["universe_low", "universe_median", "universe_high", "above_0"]].iloc[0].tolist()
    assert quartiles == [0.0, 1.0, 2.0, 0.6]
    assert table["universes"].tolist() == [5, 0, 0]
    assert table["sharpe_late"].tolist()[:2] == [0.5, 0.5]
    assert math.isnan(table["sharpe_cost_3"].iloc[0])
    assert table[["p_value", "universe_low", "above_0", "sharpe_late", "pbo"]].iloc[2].isna().all()
    expected = overfitting_probability(np.stack([one["returns"], two["returns"]], axis=1))
    assert table["pbo"].tolist()[:2] == [expected] * 2
    assert table["pbo_runs"].tolist() == [2, 2, 0]


def test_without_draws_there_are_no_columns_of_them():
    table = comparison_table([variant()], [variant()])
    assert not {"p_value", "universes"} & set(table.columns)
    assert np.isnan(table["pbo"]).all()
    about = luck.luck_sentences([variant()], table)
    assert (
        about[0] == "Probability of overfitting: none, it needs two runs of the same 64 days or more, here 1."
    )
    assert "Walk forward: none" in about[2]
    assert len(about) == 3


def test_runs_of_other_days_are_no_trials():
    same, other = [variant(), variant(epochs=2)], variant(days=300, epochs=3)
    old = {name: value for name, value in variant(epochs=4).items() if name != "dates"}
    table = comparison_table(same, [*same, other, old])
    assert table["pbo_runs"].tolist() == [2, 2]
    assert table["trials"].tolist() == [3, 3]
    assert np.isnan(comparison_table([old], [old])["pbo"]).all()


def test_the_best_of_many_stands_against_the_best_of_each_shuffle():
    one, two = variant(1.0), variant(2.0, epochs=2)
    records = [
        one,
        two,
        *drawn(one, "shuffle", [3.0, 0.0, 0.0, 9.0]),
        *drawn(two, "shuffle", [1.0, 1.0, 2.5]),
    ]
    assert luck.p_value_of_best(records) == (1 + 2) / (1 + 3)  # 3.0 and 2.5; the fourth is not common
    assert comparison_table(records, [one, two]).set_index("run").loc[two["key"], "p_value"] == 2 / 4
    assert math.isnan(luck.p_value_of_best([one, two]))
    assert math.isnan(luck.p_value_of_best([variant(status="failed")]))


def test_a_walk_forward_is_through_one_market():
    one, two, other = variant(), variant(epochs=2), variant(epochs=3) | {"days_market": "another"}
    same, found = luck.walked([one, two, other])
    assert [record["key"] for record in same] == [one["key"], two["key"]]
    assert found is not None
    undated = {name: value for name, value in one.items() if name != "dates"}
    for records in ([variant(status="failed")], [undated], []):
        assert luck.walked(records) == ([], None)


def said(shuffles, variants=2):
    records = [variant(5.0, epochs=1 + k) for k in range(variants)]
    draws = [draw for record in records for draw in drawn(record, "shuffle", [0.0] * shuffles)]
    return luck.luck_sentences([*records, *draws], comparison_table([*records, *draws], records))


def test_the_sentences_are_no_stronger_than_their_numbers():
    few, many = " ".join(said(5)), " ".join(said(99))
    assert ["too few" in " ".join(said(number)) for number in (19, 20)] == [True, False]
    assert "N is 5: too few for any value below 0.05, which takes 20." in few
    assert "no value can be below 0.010, and one near 0.05 has a standard error of 0.022." in many
    assert "of 2 without any edge 0.1 would be below 0.05. The best of all has p = 0.010" in many
    assert "The best of all" not in " ".join(said(99, variants=1))
    for source in ("Bailey et al. 2017", "Phipson and Smyth 2010", "Westfall and Young 1993"):
        assert source in many
    assert "below 0.1 by luck in 12 of 100 with 2" in many
    assert "Walk forward, 2021-01-01 to 2022-12-30: the variant that was best so far" in many


def test_each_sentence_has_its_numbers():
    """The best of all in hindsight is not the one that was best so far."""
    returns = np.random.default_rng(3).normal(0, 0.01, (len(DATES), 3))
    returns[:, 1] += np.where(np.arange(len(DATES)) < 261, 0.01, -0.001)
    returns[:, 2] += 0.002
    records = [variant(5.0, epochs=1 + k) | {"returns": returns[:, k].tolist()} for k in range(3)]
    draws = [*drawn(records[0], "shuffle", [0.0] * 24), *drawn(records[1], "shuffle", [9.0] * 30)]
    draws += [*drawn(records[2], "shuffle", [0.0] * 24), *drawn(records[0], "universe", [1.0])]
    table = comparison_table([*records, *draws], records)
    overfitting, friction, forward, shuffles, *rest, universes = luck.luck_sentences(
        [*records, *draws], table
    )
    assert overfitting.startswith(
        f"Probability of overfitting (pbo): {overfitting_probability(returns):.2f}, the share of 12,870 "
        "halvings of the days in which the best of 3 runs in one half is below the median in the other "
        "(Bailey et al. 2017). Noise has 0.5 on average, and below 0.1 by luck in 12 of 100 with 2, 4 of 100 "
    )
    assert friction == (
        "Friction: sharpe_late is the Sharpe ratio of the same weights one day late, sharpe_cost_2 at 2 "
        "times, sharpe_cost_3 at 3 times the trading cost of the platform; nothing was trained anew."
    )
    found = walk_forward(returns, DATES, "stocks_nasdaq100")
    assert (found.chosen, found.best) == ([1, 1], 2)
    assert forward == (
        "Walk forward, 2021-01-01 to 2022-12-30: the variant that was best so far, chosen anew each year "
        f"(epochs=2, epochs=2), has a Sharpe ratio of {found.chained:.3f}; the best in hindsight (epochs=3) "
        f"{found.hindsight:.3f}, all variants on average {found.mean:.3f}."
    )
    assert shuffles.endswith(
        "N is 24 to 30: no value can be below 0.040, and one near 0.05 has a standard error of 0.044. That "
        "holds for a variant chosen beforehand: of 3 without any edge 0.15 would be below 0.05. The best "
        "of all has p = 1.000 (Westfall and Young 1993)."
    )
    assert rest[0].startswith("Shuffling changes no weight of as published, epochs=2, epochs=3: ")
    assert universes.startswith("Universes: quartiles")


def test_nothing_is_said_of_the_best_where_no_shuffle_is_common():
    one, two = variant(1.0), variant(2.0, epochs=2)
    records = [one, two, *drawn(one, "shuffle", [0.0] * 5)]
    sentence = luck.luck_sentences(records, comparison_table(records, [one, two]))[3]
    assert sentence.endswith("N is 0 to 5: too few for any value below 0.05, which takes 20.")


@pytest.mark.parametrize("weights", [["9", "0"], ["0", "9"]])
def test_a_training_that_any_shuffle_changes_is_not_named(weights):
    one = variant(5.0) | {"weights_sha256": "0"}
    pairs = zip(drawn(one, "shuffle", [5.0] * 2), weights, strict=True)
    records = [one, *(draw | {"weights_sha256": each} for draw, each in pairs)]
    assert len(luck.luck_sentences(records, comparison_table(records, [one]))) == 4


def test_a_training_that_does_not_use_the_target_is_named():
    one, two = (variant(5.0, epochs=1 + k) | {"weights_sha256": str(k)} for k in range(2))
    ignoring = [draw | {"weights_sha256": "0"} for draw in drawn(one, "shuffle", [5.0] * 3)]
    using = [draw | {"weights_sha256": "9"} for draw in drawn(two, "shuffle", [0.0] * 3)]
    none = variant(4.0, epochs=3)  # of a variant without a shuffle nothing is known
    records = [one, two, none, *ignoring, *using, *drawn(none, "shuffle", ["failed"])]
    table = comparison_table(records, [one, two, none])
    (sentence,) = [
        text for text in luck.luck_sentences(records, table) if "Shuffling changes no weight" in text
    ]
    assert "no weight of as published: the training does not use its target" in sentence


def test_nothing_finished_nothing_to_say():
    records = [variant(status="failed")]
    assert luck.luck_sentences(records, comparison_table(records, [])) == []


def test_universes_claim_no_probability():
    record = variant()
    records = [record, *drawn(record, "universe", [1.0, 2.0])]
    assert (
        "their spread is no interval, the share no probability"
        in luck.luck_sentences(records, comparison_table(records, [record]))[-1]
    )


@long
def test_the_stated_rates_are_those_of_noise():
    """The rate of each number of runs, within four standard errors."""
    rng, panels = np.random.default_rng(7), 200
    for columns, rate in luck.BELOW_A_TENTH.items():
        below = [overfitting_probability(rng.normal(size=(64, columns))) < 0.1 for _ in range(panels)]
        assert abs(np.mean(below) - rate / 100) < 0.005 + 4 * (rate / 100 / panels) ** 0.5
