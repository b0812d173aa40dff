import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import Ridge

from lib import Strategy, indicators
from lib.common.competitions import COMPETITIONS
from lib.common.market_data import field
from lib.common.registry import label, whole_universe
from lib.common.rules import check_rules
from lib.engine.models import TrainedModels
from lib.features import feature, target
from lib.report import evaluation, show_backtest, show_backtest_trainings, show_training
from lib.report.backtest_log import BacktestLog
from lib.report.evaluation import (
    BEFORE,
    EQUAL,
    HOLDS_NOTHING,
    NOT_THESE,
    OWN_METHODS,
    STRATEGY,
    WITHOUT,
    Baseline,
    EarlierRun,
    Evaluation,
    check_names,
    days_key,
    evaluate,
    find_run,
    keep_run,
    without_model,
)
from lib.report.outputs import EvaluatedTraining
from lib.sizing import sizing
from lib.stats.performance import (
    added_value,
    added_value_sentence,
    change_sentence,
    performance_table,
    significance,
)
from lib.stats.portfolios import Portfolio, portfolio
from tests.report.planted import STRATEGY as PLANTED
from tests.report.planted import planted_market
from tests.switches import long, longest
from tests.vectors import vector

RULES = COMPETITIONS["stocks_nasdaq100"]
SMALL = Strategy(top_assets=4, hidden_size=3, retrain_interval=10)
START = "2024-12-12"


class Run(NamedTuple):
    log: BacktestLog
    weights: xr.DataArray
    data: xr.DataArray


def run(strategy: Strategy, start: str = START) -> Run:
    log = BacktestLog(strategy)
    return Run(log, log.backtest(start), strategy.load_range(start))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check_it_is_the_constant_model(strategy: Strategy, constant: Strategy | None = None) -> Run:
    """Compare the baseline with a backtest of the constant model, as the strategy returned both."""
    done = run(strategy)
    found = without_model(done.log, done.data, done.weights)
    assert found.missing == ""
    constant = constant or replace(strategy, model="constant")
    assert found.sizing == ("" if constant.sizing == strategy.sizing else constant.sizing)
    other = run(constant)
    expected = other.log.returned_weights(other.weights, other.data)
    same = found.weights.reindex_like(expected, fill_value=0)
    np.testing.assert_allclose(same.values, expected.values, rtol=0, atol=1e-12)
    assert (expected != 0).any()
    return done


@long
@pytest.mark.parametrize(
    "parameters",
    [
        {"max_weight": 0.3, "sizing": "ranked"},
        pytest.param(
            {"sizing": "inverse_volatility(days=99)", "max_weight": 0.5, "blend": "none"}
            | {"rebalance_interval": 3, "min_change": 0.01},
            marks=long,
        ),
        pytest.param({}, marks=long),
        pytest.param({"whole_sequence": True, "sizing": "ranked"}, marks=long),
    ],
    ids=["above the limit", "positions", "published", "ranked"],
)
def test_it_is_the_backtest_of_the_constant_model_without_its_training(parameters: dict) -> None:
    check_it_is_the_constant_model(replace(SMALL, **parameters))


@long
def test_an_asset_without_features_that_day_is_left_out_in_both() -> None:
    def sometimes(data: xr.DataArray, strategy: Strategy) -> xr.DataArray:
        even = data.time.dt.day % 2 == 0
        return (data.sel(field="close") * 0 + 0.1).where(even)

    check_it_is_the_constant_model(replace(SMALL, features=("trend", sometimes)))


@long
def test_a_sizing_that_holds_nothing_without_a_model_is_replaced() -> None:
    strategy = replace(SMALL, sizing="above_half", whole_sequence=True)
    check_it_is_the_constant_model(strategy, replace(strategy, model="constant", sizing="as_output"))


@target
@whole_universe
def beats_the_median(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    """1 where the next open is above this one by more than that of the median asset."""
    opens = field(data, "open")
    change = indicators.shift(opens, -1) / opens
    with np.errstate(all="ignore"):
        return np.where(np.isnan(change), np.nan, change > np.nanmedian(change, axis=1, keepdims=True))


def next_change(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    """A number instead of a class: the change to the next open in percent."""
    opens = field(data, "open")
    return 100 * (indicators.shift(opens, -1) / opens - 1)


target.pop("beats_the_median")  # other tests see the shipped ones only
SIZINGS = list(sizing)
COMBINATIONS = [
    *[(name, "next_open_up", SIZINGS[k % len(SIZINGS)]) for k, name in enumerate(feature)],
    *[("rank", name, "ranked") for name in (*target, beats_the_median, next_change)],
]
# of the whole universe, whose values depend on the assets that are left out; the others take long
ORDINARY = {"rank-beats_the_median", "rank-next_change"}
NAMES = ["-".join(map(label, combination)) for combination in COMBINATIONS]


@long
@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize(
    ("of_feature", "of_target", "of_sizing"),
    [
        pytest.param(
            *combination,
            id=name,
            marks=() if name.rpartition("-")[0] in ORDINARY else long if k % 4 == 1 else longest,
        )
        for k, (name, combination) in enumerate(zip(NAMES, COMBINATIONS, strict=True))
    ],
)
def test_every_feature_target_and_sizing_has_its_tables_and_its_baseline(
    of_feature: str, of_target: Any, of_sizing: str
) -> None:
    strategy = replace(
        SMALL, features=(of_feature,), target=of_target, sizing=of_sizing, max_weight=0.5, hidden_size=2
    )
    done = run(strategy, "2024-12-16")
    found = evaluate(done.data, done.weights, RULES, done.log)
    assert list(found.portfolios) == [STRATEGY, WITHOUT, EQUAL]
    assert found.sentence.startswith(("The model adds", HOLDS_NOTHING))
    table = done.log.table(done.data, done.weights)
    assert (table["assets"] == 4).all()
    assert (table["days_out_of_sample"] > 0).iloc[0]  # a later training may have no known outcome yet
    score = "correlation" if of_target is next_change else "accuracy"
    assert np.isfinite(table[f"{score}_out_of_sample"].iloc[0])
    if of_target == "next_open_up":  # asked alone, each day's outputs are those that were traded
        first = done.log.evaluated(done.data, done.weights)[0]
        window = window_to(done.data, done.weights.time.values[0], strategy)
        uncut = replace(strategy, sizing="as_output", min_weight=0, max_weight=1)
        weights, _ = uncut.predict(first.models, window, None)
        outputs = first.outputs[0].clip(min=0)
        expected = outputs / max(float(outputs.sum()), 1)
        np.testing.assert_allclose(weights[0].sel(asset=outputs.asset), expected, atol=1e-12)


def window_to(data: xr.DataArray, day: np.datetime64, strategy: Strategy) -> xr.DataArray:
    return data.sel(time=slice(day - np.timedelta64(strategy.lookback_period, "D"), day))


@long
def test_a_position_above_the_limit_fails_as_in_a_submission() -> None:
    """`backtest_ml` cuts the weights that it returns; what a submission writes is not cut."""
    done = run(replace(SMALL, max_weight=0.25))
    assert float(done.weights.max()) <= 0.1 + 1e-9
    found = evaluate(done.data, done.weights, RULES, done.log)
    checks = {check.rule: check.holds for check in check_rules(done.data, found.weights, 1.0, RULES)}
    assert checks["largest position"] is False
    assert float(found.portfolios[STRATEGY].weights.max()) > 0.2


@long
def test_weights_of_something_else_have_no_line_without_the_model() -> None:
    done = run(SMALL)
    assert without_model(done.log, done.data, done.weights * 0.9).missing == NOT_THESE
    found = evaluate(done.data, done.weights * 0.9, RULES, done.log)
    assert found.sentence == NOT_THESE
    assert found.weights.equals(done.weights * 0.9)


def never(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    """No value on the last day of a window."""
    close = field(data, "close").copy()
    close[-1] = np.nan
    return close


@long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        pytest.param(
            {"sizing": lambda outputs, strategy: outputs * 0}, "no output becomes a weight", marks=long
        ),
        ({"features": (never,)}, "on each day a feature has no value"),
        ({"features": (lambda data, strategy: field(data, "close") * np.nan,)}, "no asset got a model"),
    ],
    ids=["sizing", "no value", "no model"],
)
def test_a_strategy_that_holds_nothing_is_told_why(parameters: dict, reason: str) -> None:
    done = run(replace(SMALL, **parameters))
    sentence = evaluate(done.data, done.weights, RULES, done.log).sentence
    assert sentence.startswith(HOLDS_NOTHING)
    assert reason in sentence


class Small(NamedTuple):
    """A market of four assets and weights of some days of it, not the last ones."""

    data: xr.DataArray
    weights: xr.DataArray
    others: xr.DataArray  # those of the strategy without its model

    def log(self, **changes: Any) -> SimpleNamespace:
        """Return the log of a strategy that returned half of the weights."""
        calls = {"returned_weights": lambda *_: self.weights / 2, "evaluated": lambda *_: []}
        return SimpleNamespace(**{"strategy": Strategy()} | calls | changes)


@pytest.fixture(scope="module")
def small() -> Small:
    data = planted_market(0, 1, 90, 4)
    days = data.time.values[70:75]
    weights = data.sel(field="close", drop=True, time=days) * 0
    weights[:, :2], others = [0.1, 0.05], weights + 0.08
    return Small(data, weights, others)


@pytest.fixture
def baselines(monkeypatch: pytest.MonkeyPatch, small: Small) -> list:
    """Return the baselines that `without_model` will return, the weights `others` to begin with."""
    found = [Baseline(small.others, "as_output")]
    monkeypatch.setattr(evaluation, "without_model", lambda *arguments: found[-1])
    monkeypatch.setattr(evaluation, "_why_nothing", lambda *_: "of some reason.")
    return found


def held(found: Evaluation, name: str) -> np.ndarray:
    return found.portfolios[name].weights.values


def test_an_evaluation_by_hand(small: Small, baselines: list) -> None:
    found = evaluate(small.data, small.weights, RULES, small.log())
    assert list(found.portfolios) == list(found.measures) == [STRATEGY, WITHOUT, EQUAL]
    np.testing.assert_allclose(held(found, STRATEGY), small.weights.values / 2)
    np.testing.assert_allclose(held(found, WITHOUT), small.others.values)
    np.testing.assert_allclose(held(found, EQUAL), 0.25)
    assert found.weights.equals(small.weights / 2)
    for each in found.portfolios.values():
        assert each.returns.time.values.tolist() == small.weights.time.values.tolist()
    pair = [found.portfolios[name] for name in (STRATEGY, WITHOUT)]
    value = added_value(
        *(found.measures[name] for name in (STRATEGY, WITHOUT)),
        [each.returns for each in pair],
        [each.weights for each in pair],
    )
    np.testing.assert_equal(found.value._asdict(), value._asdict())
    assert found.sentence == added_value_sentence(value, "as_output")
    assert (found.change, found.change_sentence) == (None, "")


def test_an_evaluation_without_a_log_has_no_baseline(small: Small, baselines: list) -> None:
    for weights in (small.weights, small.weights * 0):
        found = evaluate(small.data, weights, RULES)
        assert list(found.portfolios) == list(found.measures) == [STRATEGY, EQUAL]
        assert found.weights is weights
        assert (found.value, found.sentence, found.change, found.change_sentence) == (None, "", None, "")


def test_why_there_is_no_baseline(small: Small, baselines: list) -> None:
    found = evaluate(small.data, small.weights, RULES, small.log(returned_weights=lambda *_: None))
    assert (found.sentence, found.value) == (NOT_THESE, None)
    assert found.weights is small.weights
    baselines.append(Baseline(None, missing="A reason."))
    found = evaluate(small.data, small.weights, RULES, small.log())
    assert (found.sentence, found.value) == ("A reason.", None)
    assert list(found.portfolios) == [STRATEGY, EQUAL]
    found = evaluate(small.data, small.weights * 0, RULES, small.log(returned_weights=lambda *_: None))
    assert found.sentence == f"{HOLDS_NOTHING}of some reason."
    assert found.value is None


@pytest.mark.parametrize("days", [1, 2])
def test_statistics_begin_with_two_days(
    days: int, small: Small, baselines: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = small.weights[:days]
    baselines.append(Baseline(small.others[:days]))
    log = small.log(returned_weights=lambda *_: weights)
    found = evaluate(small.data, weights, RULES, log, "last", "mine")
    several = days == 2
    assert list(found.portfolios) == [STRATEGY, *[WITHOUT] * several, EQUAL]
    assert list(found.measures) == list(found.portfolios) * several
    assert (found.value is not None) == several
    assert found.weights.equals(weights)
    assert Path("runs/report/mine.kept.nc").exists() == several


@pytest.mark.parametrize(
    ("strategy", "label"),
    [
        (None, "weights of a cell"),
        (Strategy(), "as published"),
        (Strategy(top_assets=4, hidden_size=2), "top_assets=4, hidden_size=2"),
    ],
    ids=["weights", "published", "changed"],
)
def test_a_run_is_kept_with_what_its_strategy_changes(
    strategy: Strategy | None, label: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    monkeypatch.setattr(evaluation, "keep_run", lambda run, key, *name: kept.append((run.label, *name)))
    mine = Portfolio(*[small.weights] * 4)
    log = strategy and small.log(strategy=strategy)
    assert evaluation._earlier(small.data, mine, log, None, "first") == (None, "")
    assert sorted(kept) == [(label, ""), (label, "first")]


def test_a_change_is_that_since_the_run_before(small: Small) -> None:
    first = evaluate(small.data, small.weights, RULES, None, None, "first")
    assert BEFORE not in first.portfolios
    found = evaluate(small.data, small.others, RULES, None, "first")
    assert list(found.portfolios) == [STRATEGY, BEFORE, EQUAL]
    np.testing.assert_allclose(held(found, BEFORE), held(first, STRATEGY))
    assert found.change is not None
    assert found.change_sentence.startswith("Before: weights of a cell, run on 20")
    assert found.change_sentence.endswith(f". {change_sentence(found.change)}")
    assert len(list(Path("runs/report").glob("*.last.nc"))) == 2  # the present run is kept as well
    with pytest.raises(ValueError, match="No run was kept as 'second'"):
        evaluate(small.data, small.others, RULES, None, "second")


def test_a_baseline_needs_the_strategy_s_own_weights(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**changes: Any) -> Baseline:
        return without_model(small.log(**{"seen": lambda data: data} | changes), small.data, small.weights)

    assert found(strategy=OwnPredict()) == Baseline(None, missing=OWN_METHODS)
    assert found() == Baseline(None, missing=NOT_THESE)  # nothing was trained
    trained = {"evaluated": lambda *_: ["a training"]}
    assert found(returned_weights=lambda *_: None, **trained) == Baseline(None, missing=NOT_THESE)
    chains = {False: small.weights / 2, True: small.others}
    monkeypatch.setattr(evaluation, "_chain", lambda *_, constant: chains[constant])
    assert found(**trained).weights is small.others
    chains[False] = small.weights
    assert found(**trained) == Baseline(None, missing=NOT_THESE)


def test_a_baseline_that_holds_nothing_has_another_sizing(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chain(trainings: object, data: object, days: object, sized: Strategy, constant: bool) -> xr.DataArray:
        if not constant:
            return small.weights / 2
        return small.others.where(small.others.asset == "NAS:001", 0) * (sized.sizing != "above_half")

    monkeypatch.setattr(evaluation, "_chain", chain)
    for name, other in (("above_half", "as_output"), ("ranked", "")):
        log = small.log(
            strategy=Strategy(sizing=name), evaluated=lambda *_: ["a training"], seen=lambda data: data
        )
        found = without_model(log, small.data, small.weights)
        assert (found.sizing, found.missing) == (other, "")
        assert float(found.weights.sum()) == pytest.approx(5 * 0.08)


@pytest.mark.parametrize(("lookback", "days"), [(4, 3), (7, 6)], ids=["over a weekend", "a week"])
def test_a_sizing_sees_the_lookback_window(lookback: int, days: int, small: Small) -> None:
    seen = []

    def sized(outputs: np.ndarray, data: xr.DataArray, strategy: Strategy) -> np.ndarray:
        seen.append(data.sizes["time"])
        return outputs

    strategy = Strategy(sizing=sized, lookback_period=lookback, features="trend")
    made = training(outputs_on([70], [0.1, 0.2, 0.1, 0.1]), {"NAS:000": 1})
    evaluation._chain([made], small.data, small.data.time.values[70:71], strategy, False)
    assert seen == [days]


def outputs_on(days: list[int], *rows: list[float]) -> xr.DataArray:
    time = planted_market(0, 1, 90, 4).time.values[days]
    assets = ["NAS:000", "NAS:001", "NAS:002", "NAS:003"]
    return xr.DataArray(list(rows), {"time": time, "asset": assets}, ("time", "asset"))


def training(outputs: xr.DataArray, models: dict) -> EvaluatedTraining:
    window = (np.datetime64("2024-01-01"), outputs.time.values[0].astype("M8[D]"))
    trained = TrainedModels(Strategy(), window)
    trained._models |= models
    return EvaluatedTraining(trained, outputs, None, None)


@pytest.mark.parametrize(
    ("constant", "expected"),
    [
        (False, [[0.1, 0.2, 0, 0], [0.05, 0.1, 0, 0.02], [0.24, 0, 0.04, 0], [0.0, 0, 0, 0]]),
        (True, [[0.25, 0.25, 0, 0], [0.25, 0.25, 0, 0.25], [0.25, 0, 0.25, 0], [0.0, 0, 0, 0]]),
    ],
    ids=["outputs", "one half"],
)
def test_weights_of_days_follow_from_outputs_by_hand(constant: bool, expected: list, small: Small) -> None:
    nan, uncut = np.nan, {"blend": "none", "min_weight": 0, "max_weight": 0.25}
    trainings = [
        training(outputs_on([70, 71], [0.1, 0.2, nan, nan], [0.9, nan, nan, nan]), {"NAS:000": 1}),
        training(outputs_on([71, 72], [0.05, 0.1, nan, 0.02], [0.24, nan, 0.04, nan]), {"NAS:001": 1}),
    ]
    strategy = Strategy(sizing=lambda outputs, strategy: np.minimum(outputs, 0.25), **uncut)
    days = small.data.time.values[70:74]
    found = evaluation._chain(trainings, small.data, days, strategy, constant)
    assert found.dims == ("time", "asset")
    assert found.time.values.tolist() == days.tolist()
    np.testing.assert_allclose(found.values, expected)


@pytest.mark.parametrize(
    ("trainings", "strategy", "reason"),
    [
        ([([0.1, 0.2], {"A": 1})], "own", "predict returned no position on any day."),
        ([], "published", "predict returned no position on any day."),
        ([([np.nan, np.nan], {})] * 2, "published", "no asset got a model in any training."),
        (
            [([np.nan, np.nan], {"A": 1}), ([np.nan, np.nan], {})],
            "published",
            "no model has an output, since on each day a feature has no value.",
        ),
        (
            [([np.nan, 0.1], {"A": 1}), ([np.nan, np.nan], {})],
            "published",
            "no output becomes a weight of at least min_weight (0.07).",
        ),
    ],
    ids=["own predict", "no training", "no model", "no output", "small outputs"],
)
def test_why_a_strategy_holds_nothing(trainings: list, strategy: str, reason: str) -> None:
    kind = OwnPredict if strategy == "own" else Strategy
    made = [
        training(outputs_on([70 + k], [*values, np.nan, np.nan]), models)
        for k, (values, models) in enumerate(trainings)
    ]
    log = SimpleNamespace(strategy=kind(min_weight=0.07), evaluated=lambda *_: made)
    assert evaluation._why_nothing(log, None, None) == reason


class OwnPredict(Strategy):
    """Hold the first assets, whatever the models say, and count the days."""

    def predict(self, models, data, state):
        weights = data.sel(field="close", drop=True).isel(time=slice(-1, None)) * 0
        weights[:, :5] = 0.05
        return weights, {"days": 1 + (state or {"days": 0})["days"]}


class Stateless(OwnPredict):
    """Return weights alone."""

    def predict(self, models, data, state):
        return super().predict(models, data, state)[0]


class OwnModels(OwnPredict):
    """Train nothing that the engine knows."""

    def train_model(self, data):
        return {"mean": float(data.mean())}


class Narrow(Strategy):
    """Train on the later half of the window."""

    def train_model(self, data):
        return super().train_model(data.isel(time=slice(data.sizes["time"] // 2, None)))


class OwnData(Strategy):
    """Load half of the assets, with a field of one's own."""

    def load_data(self, period):
        data = super().load_data(period)
        data = data.isel(asset=slice(None, None, 2))
        middle = data.sel(field=["high", "low"]).mean("field").expand_dims(field=["middle"])
        return xr.concat([data, middle], "field").transpose(*data.dims).rename(data.name)


def of_own_field(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    return indicators.roc(field(data, "middle"), 1)


@pytest.mark.parametrize(
    ("kind", "table", "sentence"),
    [
        pytest.param(OwnPredict, True, OWN_METHODS, marks=long),
        pytest.param(Stateless, True, OWN_METHODS, marks=longest),
        pytest.param(OwnModels, False, OWN_METHODS, marks=long),
        pytest.param(Narrow, True, OWN_METHODS, marks=longest),
        pytest.param(OwnData, True, "The model adds", marks=long),
    ],
    ids=["predict", "no state", "models", "training", "data"],
)
def test_any_strategy_has_a_report(kind: type, table: bool, sentence: str, capsys) -> None:
    strategy = kind(
        **{name: getattr(SMALL, name) for name in ("top_assets", "hidden_size", "retrain_interval")}
    )
    if kind is OwnData:
        strategy = replace(strategy, features=(of_own_field,))
    done = run(strategy)
    found = evaluate(done.data, done.weights, RULES, done.log)
    assert found.sentence.startswith(sentence)
    assert np.isfinite(found.measures[STRATEGY].sharpe_ratio)
    capsys.readouterr()
    show_backtest_trainings(done.log, done.data, done.weights)
    show_backtest(done.data, done.weights, log=done.log)
    models = done.log.trainings[-1].models
    show_training(models, window_to(done.log.seen(done.data), done.log.trainings[-1].day, strategy))
    shown = capsys.readouterr().out
    assert ("returned dict, not TrainedModels" in shown) != table
    assert ("predictions: " in shown) == table
    assert sentence in shown


def planted(strength: float, seed: int, days: int, use_market) -> Evaluation:
    market = planted_market(strength, seed, days)
    use_market(market)
    done = run(PLANTED, str(market.time.values[90])[:10])
    return evaluate(done.data, done.weights, RULES, done.log)


@longest
def test_an_edge_that_the_feature_sees_is_reported(use_market) -> None:
    """The edge is 0.3 of the daily volatility: a model that sees it is right on 62 of 100 days."""
    found = planted(0.3, 1, 330, use_market)
    assert found.value is not None
    assert significance(found.value) == "adds"
    assert found.value.return_interval[0] > 0
    ratios = {name: measures.sharpe_ratio for name, measures in found.measures.items()}
    assert ratios["strategy"] > ratios[WITHOUT] + 1


@longest
def test_an_edge_too_weak_for_one_asset_is_found_by_a_pooled_model(use_market) -> None:
    """Plant an edge of 0.07 of the daily volatility: its sign is right on 53 of 100 days.

    Seventy days of one asset hold 0.6 standard errors of it, a year of thirty assets holds 6. So the
    published network, one for each asset, does not find the edge, and a pooled linear model does.
    """
    market = planted_market(0.07, 2, 800, assets=30, flip=0.5)
    use_market(market)
    published = replace(PLANTED, top_assets=30, whole_sequence=False)
    pooled = replace(published, model=Ridge(), scope="pooled", train_period=365)
    verdicts = {}
    for name, strategy in {"published": published, "pooled": pooled}.items():
        done = run(strategy, str(market.time.values[300])[:10])
        value = evaluate(done.data, done.weights, RULES, done.log).value
        assert value is not None
        verdicts[name] = significance(value)
    assert verdicts["pooled"] == "adds"
    assert verdicts["published"] != "adds"


@longest
def test_on_pure_chance_it_is_reported_no_more_often_than_stated(use_market) -> None:
    """One of 40 by chance; more than two of 20 would have a probability of 1.2 %."""
    found = [planted(0.0, seed, 160, use_market).value for seed in range(20)]
    assert [significance(value) for value in found if value is not None].count("adds") <= 2


RULES = COMPETITIONS["stocks_nasdaq100"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    clock = iter(range(10**9, 2 * 10**9))
    replace = evaluation.replace_file

    def stamped(path: Path, data: bytes) -> None:  # file times a nanosecond apart are equal on some disks
        replace(path, data)
        os.utime(path, ns=(next(clock) * 10**9,) * 2)

    monkeypatch.setattr(evaluation, "replace_file", stamped)
    return tmp_path / "runs" / "report"


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    loaded = vector("loaded").sel(time=slice("2024-07-01", None))
    return loaded.isel(asset=slice(None, 5)).rename("stocks_nasdaq100")


@pytest.fixture(scope="module")
def weights(data: xr.DataArray) -> xr.DataArray:
    days = data.time.values[-70:]
    held = xr.zeros_like(data.sel(field="close", drop=True, time=days)) + 0.1
    return held.where(held.asset != held.asset[0], 0.02)


@pytest.fixture(scope="module")
def present(data: xr.DataArray, weights: xr.DataArray) -> Portfolio:
    return portfolio(data, weights, RULES)


def earlier_run(present: Portfolio, factor: float) -> EarlierRun:
    return EarlierRun(
        f"times {factor}", "2024-01-01 12:00", present._replace(weights=present.weights * factor)
    )


@long
def test_a_run_and_the_one_before_it(data: xr.DataArray, weights: xr.DataArray) -> None:
    first = evaluate(data, weights, RULES, None, "last", "first")
    assert BEFORE not in first.portfolios
    for before in ("last", "first"):
        found = evaluate(data, weights / 2, RULES, None, before)
        np.testing.assert_allclose(found.portfolios[BEFORE].weights.values, weights.values)
        assert "before" in performance_table(found.portfolios, found.measures, STRATEGY).columns
        assert found.change is not None
        gained = found.measures[STRATEGY].sharpe_ratio - found.measures[BEFORE].sharpe_ratio
        assert found.change.sharpe_ratio == gained
        assert np.isfinite(found.change.sharpe_interval).all()
        assert found.change_sentence.startswith("Before: weights of a cell, run on 20")
        assert "The change adds" in found.change_sentence


def test_the_last_run_that_differs_is_before(present: Portfolio) -> None:
    first, second = earlier_run(present, 1), earlier_run(present, 2)
    for now, then in ((first, None), (first, None), (second, first), (second, first), (first, second)):
        found, note = find_run("last", "a key", now.portfolio)
        assert (found.label if found else None, note) == (then.label if then else None, "")
        keep_run(now, "a key")


def test_a_kept_run_is_chosen_by_its_name(present: Portfolio) -> None:
    # xarray cannot join arrays with different scalar coordinates
    noted = present._replace(returns=present.returns.assign_coords(field="a"))
    keep_run(
        earlier_run(noted._replace(turnover=noted.turnover.assign_coords(field="b")), 3), "a key", "first"
    )
    keep_run(earlier_run(present, 2), "a key")
    found, _ = find_run("first", "a key", present)
    assert found is not None
    expected = earlier_run(present, 3)
    assert found[:2] == expected[:2]
    for kept, array in zip(found.portfolio, expected.portfolio, strict=True):
        assert kept.equals(array.reset_coords(drop=True))
    assert find_run("first", "another key", present) == (
        None,
        "The run kept as first is of another market or of other days: it is not shown.",
    )
    keep_run(earlier_run(present, 2), "a key", "0")
    with pytest.raises(ValueError, match=r"No run was kept as 'frist': kept are: 0, first\."):
        check_names("frist")
    for name in ("first", "0", "last", None):
        check_names(name, "any-name_1.x")


def test_the_first_run_to_keep_is_announced() -> None:
    with pytest.raises(ValueError, match=r"No run was kept as 'mine': keep one first, by keep or --keep\."):
        check_names("mine")


@pytest.mark.parametrize("name", ["last", "a/b", "../x", " "])
def test_a_name_that_is_no_file_s_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be kept as"):
        check_names(None, name)


def test_runs_of_another_market_are_not_compared(data: xr.DataArray, present: Portfolio) -> None:
    days = present.returns.time.values
    markets = [(data, days, "a"), (data, days[1:], "a"), (data * 1.01, days, "a"), (data, days, "b")]
    keys = [days_key(*market) for market in markets]
    assert len(set(keys)) == 4
    keep_run(earlier_run(present, 2), keys[0])
    assert [find_run("last", key, present)[0] is not None for key in keys] == [True, False, False, False]
    keep_run(earlier_run(present, 2), keys[1])  # the same weights take the place of no run on another market
    assert [find_run("last", key, present)[0] is not None for key in keys] == [True, True, False, False]


def test_nothing_is_read_or_written_unless_it_is_asked_for(
    folder: Path, data: xr.DataArray, weights: xr.DataArray
) -> None:
    evaluate(data, weights, RULES)
    assert not folder.exists()


def test_a_damaged_or_unwritable_file_is_no_error(
    folder: Path,
    data: xr.DataArray,
    weights: xr.DataArray,
    present: Portfolio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep_run(earlier_run(present, 2), days_key(data, present.returns.time.values, str(data.name)))
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:1000])

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(evaluation, "replace_file", full)
    found = evaluate(data, weights, RULES, None, "last")
    assert BEFORE not in found.portfolios
    assert found.change_sentence == "The run cannot be kept for later: no space left."


def test_an_old_run_that_another_process_removed_first_is_no_error(
    folder: Path, present: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [folder / f"{number}.last.nc" for number in range(evaluation.MOST + 1)]
    monkeypatch.setattr(evaluation, "_last_runs", lambda: gone)
    keep_run(earlier_run(present, 1), "a key")
    assert len(list(folder.iterdir())) == 1


def test_only_the_newest_runs_are_kept(folder: Path, present: Portfolio) -> None:
    for number in range(1, evaluation.MOST + 4):
        keep_run(earlier_run(present, number), "a key")
        keep_run(earlier_run(present, number), "a key", "kept")
    assert len(list(folder.iterdir())) == evaluation.MOST + 1
    found, _ = find_run("last", "a key", present)
    assert found is not None
    assert found.label == f"times {evaluation.MOST + 3}"
