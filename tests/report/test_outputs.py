from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lib import Strategy
from lib.common.market_data import field
from lib.engine.models import TrainedModels
from lib.engine.training import train_model
from lib.report.outputs import (
    ACCURACIES,
    IN_SAMPLE_COLUMNS,
    _majority,
    correlations,
    evaluate_trainings,
    has_classes,
    in_sample_outputs,
    out_of_sample_outputs,
    outputs_of,
    traded_outputs,
    training_set_of_models,
)
from tests.labelled import get_features
from tests.report.planted import planted_market
from tests.switches import long
from tests.vectors import vector

TRAINED_TO = "2024-06-03"
STRATEGY = Strategy(top_assets=4, hidden_size=6)


def relative_to_window(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    """A feature that looks at its whole window: safe, as long as the window ends with the day."""
    close = field(data, "close")
    return 50 * (close / np.nanmean(close, axis=0) - 1)


def trained(data: xr.DataArray, strategy: Strategy) -> TrainedModels:
    end = np.datetime64(TRAINED_TO)
    start = end - np.timedelta64(strategy.train_period, "D")
    return train_model(data.sel(time=slice(start, end)), strategy)


def days_after(data: xr.DataArray, count: int = 12) -> np.ndarray:
    days = data.time.values
    return days[days > np.datetime64(TRAINED_TO)][:count]


def asked_alone(models: TrainedModels, window: xr.DataArray, asset: str) -> float:
    """Return the model's output of the window's last day, through torch and the public features."""
    import torch

    features = get_features(window.sel(asset=list(models)), models.strategy).sel(asset=asset)
    x = torch.tensor(features.values.T, dtype=torch.float32)[None]
    if not models.strategy.whole_sequence:
        x = x[:, -1:]
    with torch.no_grad():
        return float(models[asset](x)[0, -1])


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    return vector("loaded")


@pytest.fixture(scope="module")
def models(data: xr.DataArray) -> TrainedModels:
    return trained(data, STRATEGY)


@long
@pytest.mark.parametrize(
    "changed",
    [{}, {"whole_sequence": True}, {"features": [relative_to_window]}],
    ids=["last day only", "whole sequence", "a feature of the whole window"],
)
def test_each_day_is_asked_as_if_it_were_today(data: xr.DataArray, changed: dict) -> None:
    models = trained(data, replace(STRATEGY, **changed))
    days = days_after(data, 5)
    judged = out_of_sample_outputs(models, data, days).set_index(["day", "asset"])
    opened = data.sel(field="open")
    rows = 0
    for day in days:
        window = data.sel(time=slice(day - np.timedelta64(155, "D"), day))
        tomorrow = data.time.values[data.time.values > day][0]
        for asset in models:
            rises = bool(opened.sel(time=tomorrow, asset=asset) > opened.sel(time=day, asset=asset))
            output = asked_alone(models, window, asset)
            assert judged.loc[(day, asset), "output"] == pytest.approx(output, abs=1e-5)
            assert judged.loc[(day, asset), "accuracy"] == ((output > 0.5) == rises)
            rows += 1
    assert len(judged) == rows


def test_days_to_come_change_nothing_but_the_verdict(data: xr.DataArray, models: TrainedModels) -> None:
    days = days_after(data)
    spoilt = data.copy(deep=True)
    spoilt.loc[{"time": slice(days[8], None)}] *= np.random.default_rng(1).uniform(
        0.5, 2, data.sizes["asset"]
    )
    before = out_of_sample_outputs(models, data, days[:7])
    assert before.equals(out_of_sample_outputs(models, spoilt, days[:7]))
    assert not out_of_sample_outputs(models, data, days).equals(out_of_sample_outputs(models, spoilt, days))


def on_few_days(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    """Return a feature with values on one day of five, on which the more frequent class is another one."""
    days = data.time.dt.day.values[:, None]
    return np.where(days % 5 == 0, field(data, "close"), np.nan)


def test_the_more_frequent_class_is_that_of_the_training(data: xr.DataArray) -> None:
    """Days without features are not trained on, and do not count."""
    models = trained(data, replace(STRATEGY, leave_out_unknown=True, features=[on_few_days]))
    window = data.sel(time=slice(*models.window))
    judged = out_of_sample_outputs(models, window, window.time.values)
    shares = judged.groupby("asset")["majority_accuracy"].mean()
    assert shares.to_dict() == pytest.approx(
        {asset: fit.majority_accuracy for asset, fit in models.fits.items()}
    )


@pytest.mark.parametrize(("target", "ahead"), [("next_open_up", 1), ("tradable_open_up", 2)])
def test_yesterday_is_what_was_known_by_the_close(data: xr.DataArray, target: str, ahead: int) -> None:
    models = trained(data, replace(STRATEGY, target=target))
    judged = out_of_sample_outputs(models, data, days_after(data))
    opened = data.sel(field="open", asset=judged.asset.unique()).to_pandas()
    known = opened > opened.shift(1)  # on the day itself
    came = opened.shift(-ahead) > opened.shift(1 - ahead)
    expected = [known.loc[row.day, row.asset] == came.loc[row.day, row.asset] for row in judged.itertuples()]
    assert judged["yesterday_accuracy"].tolist() == [float(known) for known in expected]


def test_a_day_whose_future_is_unknown_is_not_judged(data: xr.DataArray, models: TrainedModels) -> None:
    days = days_after(data, 3)
    judged = out_of_sample_outputs(models, data.sel(time=slice(None, days[-1])), days)
    assert sorted(judged.day.unique()) == sorted(days[:2])


def test_a_missing_feature_is_not_judged(data: xr.DataArray) -> None:
    def holey(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
        days = data.time.dt.day.values[:, None]
        return np.where(days % 2 == 0, np.nan, field(data, "close"))

    models = trained(data, replace(STRATEGY, features=[holey]))
    judged = out_of_sample_outputs(models, data, days_after(data))
    assert len(judged)
    assert (judged.day.dt.day % 2 == 1).all()


def test_without_models_or_days(data: xr.DataArray, models: TrainedModels) -> None:
    untrained = TrainedModels(STRATEGY, models.window)
    for table in (
        out_of_sample_outputs(untrained, data, days_after(data)),
        out_of_sample_outputs(models, data, []),
    ):
        assert table.empty
        assert table.columns.tolist() == ["day", *IN_SAMPLE_COLUMNS, *ACCURACIES]


def test_an_asset_that_left_the_data_is_not_asked(data: xr.DataArray, models: TrainedModels) -> None:
    gone = next(iter(models))
    judged = out_of_sample_outputs(models, data.drop_sel(asset=gone), days_after(data))
    assert set(judged.asset) == set(models) - {gone}


def test_data_that_do_not_reach(data: xr.DataArray, models: TrainedModels) -> None:
    days = days_after(data, 3)
    with pytest.raises(ValueError, match=r"lack 1 of the days to evaluate, 2024-06-06"):
        out_of_sample_outputs(models, data.sel(time=slice(None, "2024-06-05")), days)
    with pytest.raises(ValueError, match=r"begin on 2024-05-01, after the training window"):
        out_of_sample_outputs(models, data.sel(time=slice("2024-05-01", None)), days)


def test_functions_that_load_data_see_no_later_day(data, use_market) -> None:
    """Whatever the report computes again, a feature or target that loads data gets those of its window."""
    use_market(data)
    seen: list[tuple] = []

    def loads(window, strategy):
        seen.append((window.time.values[-1], strategy.load_data(20).time.values[-1]))
        return window.sel(field="close")

    def rises(window, strategy):
        return (loads(window, strategy).diff("time") > 0).reindex(time=window.time).astype(float)

    strategy = replace(STRATEGY, hidden_size=2, features=[loads], target=rises)
    end = np.datetime64(TRAINED_TO)
    models = strategy.train_model(data.sel(time=slice(end - strategy.train_period, end)))
    seen.clear()
    days = days_after(data, 3)
    computed = (
        lambda: outputs_of(models, data, days),
        lambda: training_set_of_models(models, data),
        lambda: out_of_sample_outputs(models, data, days),
        lambda: _majority(models, data),
    )
    for compute in computed:
        compute()
        assert seen
        assert [window for window, _ in seen] == [loaded for _, loaded in seen]
        seen.clear()


def test_a_tie_of_the_classes_is_no_rise(data):
    """The majority is "does not rise" where rises and falls are equally many."""

    def alternating(data, strategy):
        rises = (np.arange(data.sizes["time"]) + len(data.time) % 2) % 2.0
        return np.broadcast_to(rises[:, None], data.shape[1:]).copy()

    strategy = replace(STRATEGY, target=alternating)
    window = data.sel(time=slice("2024-03-01", TRAINED_TO))
    window = window.isel(time=slice(window.sizes["time"] % 2, None))  # an even number of days
    models = train_model(window, strategy)
    assert not _majority(models, window.sel(asset=list(models))).any()
    one_more = train_model(window.isel(time=slice(1, None)), strategy)  # and one rise more than falls
    kept = window.isel(time=slice(1, None)).sel(asset=list(one_more))
    rises = alternating(kept, strategy)
    assert (rises.mean(axis=0) > 0.5).all() == _majority(one_more, kept).all()


SMALL = Strategy(top_assets=3, hidden_size=3)


@pytest.fixture(scope="module")
def market() -> xr.DataArray:
    return vector("loaded").isel(time=slice(-180, None))


@pytest.fixture(scope="module")
def small(market: xr.DataArray) -> TrainedModels:
    return SMALL.train_model(market[:, 80:150])


def test_outputs_are_asked_as_predict_asks(market: xr.DataArray, small) -> None:
    days = market.time.values[150:153]
    outputs = outputs_of(small, market, days)
    assert outputs.dims == ("time", "asset")
    assert outputs.asset.values.tolist() == list(small)
    window = market.sel(time=slice(days[1] - np.timedelta64(155, "D"), days[1]))
    uncut = Strategy(top_assets=3, hidden_size=3, min_weight=0, max_weight=1)
    weights, _ = uncut.predict(small, window, None)
    raw = outputs.sel(time=days[1]).clip(min=0)  # below 0 nothing is held
    np.testing.assert_allclose(weights[0].sel(asset=raw.asset), raw / max(float(raw.sum()), 1))


def test_in_training_each_day_is_judged_once(market: xr.DataArray, small) -> None:
    judged = in_sample_outputs(small, training_set_of_models(small, market))
    assert len(judged) == sum(fit.days for fit in small.fits.values())
    right = ((judged["output"] > 0.5) == (judged["target"] > 0.5)).mean()
    assert right == pytest.approx(np.mean([fit.accuracy for fit in small.fits.values()]))


def test_a_day_of_two_trainings_is_traded_by_the_later_one(market: xr.DataArray, small) -> None:
    later = SMALL.train_model(market[:, 85:155])
    days = market.time.values
    found = evaluate_trainings([(small, days[149:155]), (later, days[154:158])], market, SMALL)
    traded = traded_outputs(found)
    assert traded.time.values.tolist() == days[149:158].tolist()
    expected = found[1].outputs.isel(time=0)
    assert traded.sel(time=days[154], asset=expected.asset).values.tolist() == expected.values.tolist()
    assert [len(each.out_of_sample) for each in found] == [3 * 5, 3 * 3]  # after each training


def test_a_target_across_assets_counts_those_without_a_model(data):
    def above_mean(data, strategy):
        close = field(data, "close")
        return (close > np.nanmean(close, axis=1, keepdims=True)).astype(float)

    models = trained(data, replace(STRATEGY, target=above_mean, model="constant"))
    whole = out_of_sample_outputs(models, data, days_after(data, 3))
    dearest = max(models, key=lambda asset: float(data.sel(field="close", asset=asset)[-1]))
    del models._models[dearest]
    models.dropped[dearest] = "its training diverged"
    part = out_of_sample_outputs(models, data, days_after(data, 3))
    assert part["target"].tolist() == whole["target"][whole["asset"] != dearest].tolist()


BEGIN, TRAINED = np.datetime64("2024-03-01", "ns"), np.datetime64("2024-03-20", "ns")
ASSETS = ["NAS:000", "NAS:001", "NAS:002"]
NOT_THERE = "NAS:003"


def table(seed: int, *values: float) -> xr.DataArray:
    """Draw a value for each day of March and each asset."""
    time = pd.date_range(BEGIN, "2024-03-31")
    drawn = np.random.default_rng(seed).choice(values, (len(time), 4))
    return xr.DataArray(drawn, {"time": time, "asset": [*ASSETS, NOT_THERE]}, ("time", "asset"))


OUTPUTS = table(1, 0.4, 0.5, 0.55, 0.7, np.nan)
TARGETS = table(2, 0, 0, 0.5, 0.6, 1, np.nan)
TARGETS[5:25, 0] = np.nan  # so long that some days know no target


def drawn_output(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    return OUTPUTS.sel(time=data.time, asset=data.asset).values


def drawn_target(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
    """Return the drawn targets: that of the last day is not known yet."""
    assert data.asset.values.tolist() == ASSETS  # those of the training
    found = TARGETS.sel(time=data.time, asset=data.asset).values.copy()
    found[-1] = np.nan
    return found


@pytest.fixture(scope="module")
def every_day() -> xr.DataArray:
    return planted_market(0, 1, 31, 4).assign_coords(time=OUTPUTS.time)


@pytest.fixture
def rule(every_day: xr.DataArray) -> TrainedModels:
    """Return models that return the feature, of three of the assets."""
    strategy = Strategy(
        features=drawn_output, target=drawn_target, model=lambda x: x[..., 0], lookback_period=5
    )
    strategy = replace(
        strategy, leave_out_unknown=True, selection=lambda data, strategy: data.asset.isin(ASSETS)
    )
    return train_model(every_day.sel(time=slice(BEGIN, TRAINED)), strategy)


def rows_by_hand(data: xr.DataArray, days: np.ndarray, assets: list[str]) -> list[tuple]:
    """Return day, asset, output, target, and which of three rules were right."""
    outputs, targets = OUTPUTS.to_pandas(), TARGETS.to_pandas()
    targets[targets.index >= data.time.values[-1]] = np.nan
    window = slice(BEGIN, TRAINED - np.timedelta64(1, "D"))
    rows = []
    for day in pd.DatetimeIndex(days):
        for asset in assets:
            output, target = outputs.loc[day, asset], targets.loc[day, asset]
            if np.isnan(output) or np.isnan(target):
                continue
            trained_on = targets.loc[window, asset][outputs.loc[window, asset].notna()].dropna()
            majority = (trained_on > 0.5).sum() > (trained_on <= 0.5).sum()
            known = targets.loc[day - pd.Timedelta(days=5) : day - pd.Timedelta(days=1), asset].dropna()
            rises = target > 0.5
            before = float((known.iloc[-1] > 0.5) == rises) if len(known) else np.nan
            right = (float((output > 0.5) == rises), float(majority == rises), before)
            rows.append((day, asset, output, target, *right))
    return rows


@pytest.mark.parametrize(
    ("days", "end"), [(slice(20, 31), None), (slice(20, 28), "2024-03-27"), (slice(22, 23), None)]
)
def test_outcomes_by_hand(every_day: xr.DataArray, rule: TrainedModels, days: slice, end: str | None) -> None:
    data = every_day.sel(time=slice(None, end))
    days = data.time.values[days]
    found = out_of_sample_outputs(rule, data, days)
    expected = pd.DataFrame(rows_by_hand(data, days, ASSETS), columns=found.columns)
    assert len(expected) > len(days) - 2
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_outcomes_of_outputs_that_are_known(every_day: xr.DataArray, rule: TrainedModels) -> None:
    days = every_day.time.values[20:]
    outputs = OUTPUTS[15:, ::-1].rename(asset="asset")  # of more days and assets, in another order
    found = out_of_sample_outputs(rule, every_day, days, outputs)
    assert found.equals(out_of_sample_outputs(rule, every_day, days))
    assert not found.equals(out_of_sample_outputs(rule, every_day, days, outputs + 0.3))


@pytest.mark.parametrize(("late", "refused"), [(7, False), (8, True)])
def test_data_may_begin_a_week_after_the_training_window(
    every_day: xr.DataArray, rule: TrainedModels, late: int, refused: bool
) -> None:
    days = every_day.time.values[20:22]
    data = every_day[:, late:]
    if refused:
        with pytest.raises(ValueError, match="begin on 2024-03-09, after the training window"):
            out_of_sample_outputs(rule, data, days)
    else:
        assert len(out_of_sample_outputs(rule, data, days))


def test_outputs_by_hand(every_day: xr.DataArray, rule: TrainedModels) -> None:
    days = every_day.time.values[[3, 7, 8]]
    found = outputs_of(rule, every_day, days.astype("M8[D]"))
    assert found.time.dtype == days.dtype
    assert found.equals(OUTPUTS.sel(time=days, asset=ASSETS))
    fewer = outputs_of(rule, every_day.drop_sel(asset=ASSETS[0]), days)
    assert fewer.equals(OUTPUTS.sel(time=days, asset=ASSETS[1:]))


def test_outputs_are_those_of_the_strategy_that_predicts(
    every_day: xr.DataArray, rule: TrainedModels
) -> None:
    def length(data: xr.DataArray, strategy: Strategy) -> np.ndarray:
        return np.full(data.shape[1:], float(data.sizes["time"]))

    rule.strategy = replace(rule.strategy, features=length)
    days = every_day.time.values[20:22]
    assert (outputs_of(rule, every_day, days) == 6).all()  # today and the days of the lookback period
    assert (outputs_of(rule, every_day, days, replace(rule.strategy, lookback_period=9)) == 10).all()


def test_without_models_there_are_no_outputs(every_day: xr.DataArray, rule: TrainedModels) -> None:
    days = every_day.time.values[18:22]
    none = TrainedModels(rule.strategy, (BEGIN.astype("M8[D]"), days[1].astype("M8[D]")))
    found = outputs_of(none, every_day, days)
    assert found.sizes == {"time": 4, "asset": 0}
    assert found.asset.dtype.kind == "U"
    trainings = evaluate_trainings([(rule, days[:2]), (none, days[1:])], every_day, rule.strategy)
    traded = traded_outputs(trainings)
    assert traded.time.values.tolist() == days.tolist()
    assert traded[0].equals(OUTPUTS.sel(time=days[0], asset=ASSETS))
    assert np.isnan(traded[1:]).all()
    assert len(trainings[1].in_sample) == len(trainings[1].out_of_sample) == 0


def test_outputs_in_sample_by_hand(every_day: xr.DataArray, rule: TrainedModels) -> None:
    found = in_sample_outputs(rule, training_set_of_models(rule, every_day))
    window = slice(BEGIN, TRAINED)
    expected = [
        (asset, output, target)
        for asset in ASSETS
        for output, target in zip(
            OUTPUTS.sel(time=window, asset=asset).values,
            [*TARGETS.sel(time=window, asset=asset).values[:-1], np.nan],
            strict=True,
        )
        if np.isfinite(output) and np.isfinite(target)
    ]
    assert found.index.tolist() == list(range(len(expected)))
    assert found["asset"].tolist() == [asset for asset, _, _ in expected]
    np.testing.assert_allclose(found[["output", "target"]], [row[1:] for row in expected], rtol=1e-6)


def test_a_day_without_its_window_has_no_output_in_sample(
    every_day: xr.DataArray, rule: TrainedModels
) -> None:
    whole = training_set_of_models(rule, every_day)
    rule.strategy = replace(rule.strategy, window=2)
    part = training_set_of_models(rule, every_day)
    assert 0 < len(in_sample_outputs(rule, part)) < part.known.sum() == whole.known.sum()


@pytest.mark.parametrize(
    ("values", "classes"),
    [([0, 1], True), ([1], True), ([0], True), ([], True), ([0, 1, 0.5], False), ([0, 2], False)],
)
def test_classes_are_zeros_and_ones(values: list[float], classes: bool) -> None:
    assert has_classes(pd.DataFrame({"target": values})) is classes


def test_correlations_by_hand() -> None:
    table = pd.DataFrame({"output": [1.0, 2.0, 4.0], "target": [1.0, 3.0, 2.0]})
    assert correlations(table) == pytest.approx(
        {"correlation": 1 / 2 / (7 / 3) ** 0.5, "rank_correlation": 0.5}
    )
    assert np.isnan(list(correlations(table.assign(target=1.0)).values())).all()
