"""Windows are calendar days, and a feature's days are trading days: too short a window is reported."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lib import Strategy
from lib.common.registry import whole_universe
from lib.engine import inputs, training
from lib.engine.training import FeatureWarning
from tests.switches import LONG, long
from tests.vectors import vector

SMALL = Strategy(top_assets=3, hidden_size=3)


@pytest.fixture(autouse=True)
def _warn_anew(monkeypatch):
    monkeypatch.setattr(training, "_warned", set())


def window(period):
    data = vector("loaded")
    return data.sel(time=slice(data.time[-1] - np.timedelta64(period, "D"), None))


def one_pass(strategy):
    models = strategy.train_model(window(strategy.train_period))
    return models, strategy.predict(models, window(strategy.lookback_period), None)[0]


@pytest.mark.parametrize(
    ("feature", "periods", "refused"),
    [
        ("momentum(periods=130)", {}, "train_period"),
        ("momentum(periods=130)", {"train_period": 400}, "lookback_period"),
        pytest.param(
            *(f"momentum(periods={window(155).sizes['time']})", {"train_period": 400}, "lookback_period"),
            marks=long,
        ),
        pytest.param("momentum(periods=69)", {"lookback_period": 100}, "", marks=long),
        (lambda data, strategy: data.sel(field="close") * np.nan, {}, ""),
    ],
    ids=["no training", "no prediction", "a day too long", "just long enough", "no value in any window"],
)
@pytest.mark.filterwarnings("ignore::lib.engine.training.TrainingWarning", "ignore:Feature momentum")
def test_a_window_that_holds_no_value_of_a_feature_is_refused_with_the_period_needed(
    feature, periods, refused
):
    strategy = replace(SMALL, features=["trend", feature], **periods)
    if not refused:
        one_pass(strategy)
        return
    with pytest.raises(ValueError, match=rf"Feature {re.escape(feature)} .* set {refused} to \d+") as error:
        one_pass(strategy)
    period = int(re.search(r"to (\d+) or more", str(error.value))[1])
    strategy = replace(strategy, **{"train_period": 400, "lookback_period": 600, refused: period})
    assert float(one_pass(strategy)[1].sum()) > 0


def test_most_days_without_a_value_are_reported_once_with_the_period_that_helps():
    strategy = replace(SMALL, features=["trend", "momentum(periods=60)"])
    with pytest.warns(FeatureWarning, match=r"momentum\(periods=60\) has no value on the first 60") as found:
        models, _ = one_pass(strategy)
    assert len(found) == 1
    one_pass(strategy)  # a second warning would be an error
    assert {fit.days for fit in models.fits.values()} == {window(100).sizes["time"] - 60}
    period = int(re.search(r"Set train_period to (\d+)", str(found[0].message))[1])
    models, _ = one_pass(replace(strategy, train_period=period))  # a warning would be an error here
    assert min(fit.days for fit in models.fits.values()) >= 60


@pytest.mark.parametrize("days", [30, 71, 107] if LONG else [71])
def test_the_published_strategy_and_data_that_begin_later_are_not_reported(days):
    one_pass(SMALL)
    late = replace(SMALL, features=["momentum(periods=25)"], train_period=400, lookback_period=400)
    data = vector("loaded").isel(time=slice(-days, None))
    late.predict(late.train_model(data), data, None)


def small(days=6, assets=3, calendar=1):
    """Return the last days of some assets, `calendar` days apart, with prices 1, 2, 3, ... of each asset."""
    data = vector("loaded").isel(time=slice(-days, None), asset=slice(assets)).copy(deep=True)
    data.values[:] = 1 + np.arange(days)[:, None] + 100 * np.arange(assets)
    ago = np.arange(days)[::-1] * np.timedelta64(calendar, "D")
    return data.assign_coords(time=data.time[-1].values - ago)


def close_of(data, strategy):
    return data.sel(field="close")


def gappy(data, strategy):
    close = data.sel(field="close")
    return close.where(close != 2)


def late(data, strategy):
    close = data.sel(field="close")
    return 2 * close.where(close != 101, np.inf)


def two_days_ahead(data, strategy):
    close = data.sel(field="close")
    return close.where(~close.isin([203, 204]))[:-2].reindex(time=data.time) / 2


@pytest.mark.parametrize("leave_out", [False, True])
@pytest.mark.parametrize(("model", "kind"), [("LSTM", "f4"), ("constant", "f4"), (lambda x: x[..., 0], "f8")])
def test_a_training_set_by_hand(leave_out, model, kind):
    data = small()
    names = data.asset.values.tolist()
    strategy = Strategy(
        features=[gappy, late], target=two_days_ahead, leave_out_unknown=leave_out, model=model
    )
    found = inputs.set_of_assets(data, strategy, names[::-1])
    assert found.assets == names[::-1]
    assert found.window == tuple(data.time.values[[0, -1]].astype("M8[D]"))
    assert (found.x.dtype, found.y.dtype) == (kind, kind)
    close = data.sel(field="close").values.T[::-1]
    x, known, y = np.stack([close, close * 2], axis=2), np.ones((3, 6), bool), close / 2
    known[2, 1] = known[1, 0] = False  # assets stand in reverse
    assert np.array_equal(found.x[known], x[known])
    assert np.isnan(found.x[2, 1, 0])
    assert found.x[1, 0, 1] == np.inf
    unknown = np.zeros((3, 6), bool)
    unknown[:, -2:] = unknown[0, 2:4] = True
    assert np.array_equal(found.y, np.where(unknown, np.nan if leave_out else 0, y), equal_nan=True)
    assert np.array_equal(found.known, known & ~unknown if leave_out else known)
    assert found.horizon == 2
    assert found.warnings == []
    for k, (asset, (rows, target)) in enumerate(found.examples.items()):
        assert asset == names[::-1][k]
        assert np.array_equal(rows, found.x[k][found.known[k]])
        assert np.array_equal(target, found.y[k][found.known[k]])
    labels = inputs.get_target_classes(data, strategy, names[::-1])
    assert np.array_equal(labels.values.T, found.y, equal_nan=True)
    assert labels.asset.values.tolist() == names[::-1]
    assert inputs.get_target_classes(data, strategy).equals(labels.sel(asset=names))


def test_a_target_that_is_never_known_has_no_horizon():
    strategy = Strategy(target=lambda data, strategy: data.sel(field="close") * np.nan)
    found = inputs.set_of_assets(small(), strategy, small().asset.values.tolist())
    assert found.horizon == 0
    assert not found.y.any()


def test_a_training_set_without_assets_is_empty():
    found = inputs.set_of_assets(small(), SMALL, [])
    assert [array.shape for array in (found.x, found.y, found.known)] == [(0, 0, 1), (0, 0), (0, 0)]
    assert (found.assets, found.horizon, found.warnings, found.examples) == ([], 0, [], {})


@pytest.mark.parametrize(
    ("assets", "sizes"), [(0, [0]), (1, [1]), (4, [4]), (5, [3, 2]), (8, [4, 4]), (9, [3, 3, 3])]
)
def test_chunks_have_equal_sizes_and_keep_the_order(assets, sizes):
    x, seen = np.arange(assets), []

    def total(x, y):
        seen.append(len(x))
        return (x + 2 * y).tolist()

    assert inputs.in_chunks(total, x, x, 4) == (3 * x).tolist()
    assert seen == sizes


def test_sequences_of_one_length_are_stacked_in_order():
    x = {asset: np.full((days, 2), k) for k, (asset, days) in enumerate({"a": 3, "b": 2, "c": 3}.items())}
    found = list(inputs.stacked({asset: (rows, rows[:, 0] + 5) for asset, rows in x.items()}))
    assert [assets for assets, _, _ in found] == [["a", "c"], ["b"]]
    assert [x.shape for _, x, _ in found] == [(2, 3, 2), (1, 2, 2)]
    assert [x[:, 0, 0].tolist() for _, x, _ in found] == [[0, 2], [1]]
    assert [y[:, 0].tolist() for _, _, y in found] == [[5, 7], [6]]


@pytest.mark.parametrize(
    ("chosen", "got"),
    [
        (np.ones(2), r"float64 with shape \(2,\)"),
        (np.ones(3, bool), r"bool with shape \(3,\)"),
        (np.ones((2, 1), bool), r"bool with shape \(2, 1\)"),
    ],
)
def test_a_selection_returns_one_bool_for_each_liquid_asset(chosen, got):
    data = small()
    data.loc[{"field": "is_liquid", "asset": data.asset[1], "time": data.time[-1]}] = 0
    data.loc[{"field": "is_liquid", "time": data.time[:-1]}] = 0
    with pytest.raises(ValueError, match=f"for each of the 2 assets given, not an array of {got}"):
        inputs.select_assets(data, Strategy(selection=lambda data, strategy: chosen))
    last = Strategy(selection=lambda data, strategy: np.array([False, True]))
    assert inputs.select_assets(data, last) == [data.asset.values[2]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda close: close[0], r"must return an array with dims time and asset, not \('asset',\)"),
        (lambda close: 3.0, "must return an array with dims time and asset, not float"),
        (lambda close: close[1:], "returns other days or assets than it was given"),
        (lambda close: close[:, ::-1], "returns other days or assets than it was given"),
        (lambda close: close.values[1:], r"returns an array \(5, 3\) for \(6, 3\) days and assets"),
        (lambda close: close.values[..., None], r"returns an array \(6, 3, 1\) for \(6, 3\)"),
        (lambda close: close.T, ""),
        (lambda close: close.values.astype("f4"), ""),
        (lambda close: close.astype(int), ""),
    ],
)
@pytest.mark.parametrize("kind", ["features", "target"])
def test_a_feature_and_a_target_return_a_value_of_each_day_and_asset(kind, change, sentence):
    def own(data, strategy):
        return change(data.sel(field="close"))

    data = small()
    strategy = Strategy(**{kind: [own] if kind == "features" else own})
    function = inputs.feature_values if kind == "features" else inputs.target_values
    if sentence:
        with pytest.raises(ValueError, match=f"{kind.removesuffix('s')} own {sentence}"):
            function(data, strategy)
        return
    found = function(data, strategy)
    assert found.dtype == float
    assert np.array_equal(found.reshape(6, 3), data.sel(field="close"))


@pytest.mark.parametrize("mark", [whole_universe, lambda function: function])
def test_values_of_chosen_assets_are_those_of_the_whole_universe_where_it_is_asked(mark):
    @mark
    def share(data, strategy):
        close = data.sel(field="close")
        return close / close.sum("asset")

    data = small()
    close, names = data.sel(field="close").values, data.asset.values.tolist()
    of = close if mark is whole_universe else close[:, [2, 0]]
    strategy = Strategy(features=[share])
    found = inputs.feature_values(data, strategy, [names[2], names[0]])
    assert np.allclose(found, [close[:, [2, 0]] / of.sum(axis=1)[:, None]])
    assert np.allclose(inputs.feature_values(data, strategy), [close / close.sum(axis=1)[:, None]])


def test_a_feature_beyond_float32_is_not_known():
    def huge(data, strategy):
        values = data.sel(field="close").copy()
        values[2, 1] = 1e300
        return values

    x, known = inputs.model_inputs(small(), Strategy(features=[huge, close_of]))
    assert np.argwhere(~known).tolist() == [[1, 2]]
    assert x[1, 2].tolist() == [np.inf, 103]


# ---- the warm-up of features within the windows ----


def of_age(days):
    """Return a feature that has its first value on a trading day of the data, for one asset only."""

    def aged(data, strategy):
        values = data.sel(field="close").copy()
        values[: days - 1] = np.nan
        values[:, 1:] = np.nan
        return values

    return aged


NEVER = of_age(10**6)


@pytest.fixture
def _days_are_few(monkeypatch):
    monkeypatch.setattr(inputs, "LONGEST", 120)


@pytest.mark.usefixtures("_days_are_few")
@pytest.mark.parametrize("days", [1, 6, 7, 13, 100])
def test_the_days_that_a_feature_needs_are_counted_on_longer_data(days):
    data = small()
    assert inputs._days_needed(of_age(days), data, SMALL, data.asset.values.tolist()) == days
    assert inputs._days_needed("momentum(periods=30)", data, SMALL, data.asset.values.tolist()) == 31


@pytest.mark.usefixtures("_days_are_few")
def test_a_feature_without_a_value_in_any_case_needs_no_number_of_days():
    def fails(data, strategy):
        raise ZeroDivisionError

    data = small()
    for feature in (NEVER, fails):
        assert inputs._days_needed(feature, data, SMALL, data.asset.values.tolist()) is None


@pytest.mark.usefixtures("_days_are_few")
def test_longer_data_consist_of_days_in_a_row_that_end_on_the_last():
    seen = []

    def noted(data, strategy):
        seen.append(data)
        return data.sel(field="close") * np.nan

    data = small()
    inputs._days_needed(noted, data, SMALL, data.asset.values.tolist())
    assert [longer.sizes["time"] for longer in seen[:3]] == [12, 24, 48]
    assert inputs.LONGEST <= seen[-1].sizes["time"] < 2 * inputs.LONGEST
    assert all((np.diff(longer.time) == np.timedelta64(1, "D")).all() for longer in seen)
    assert all(longer.time[-1] == data.time[-1] for longer in seen)
    assert seen[0].sel(field="close")[:, 0].values.tolist() == [1, 2, 3, 4, 5, 6] * 2


@pytest.mark.parametrize(
    ("trading", "days", "period", "needed"), [(7, 6, 10, 12), (12, 6, 10, 20), (130, 69, 100, 189)]
)
def test_the_calendar_days_of_trading_days_are_rounded_up_and_a_holiday_longer(trading, days, period, needed):
    assert inputs._calendar_days(trading, days, period) == needed + 10


@pytest.mark.parametrize(("period", "complete"), [(9, True), (20, True), (21, False)])
def test_data_are_complete_unless_they_begin_later_than_a_holiday_explains(period, complete):
    assert inputs._is_complete(small(days=6, calendar=2), period) == complete


@pytest.mark.usefixtures("_days_are_few")
@pytest.mark.parametrize(("needed", "refused"), [(5, False), (6, False), (7, True), (10**6, False)])
@pytest.mark.parametrize("period", [15, 16])  # complete or not
def test_a_feature_is_refused_if_only_longer_data_give_it_a_value(needed, refused, period):
    data = small()
    strategy = Strategy(features=[close_of, of_age(needed)], lookback_period=period, train_period=400)
    arguments = (data, strategy, data.asset.values.tolist())
    if not refused or period == 16:
        inputs.check_lookback_window(*arguments)
        return
    with pytest.raises(
        ValueError,
        match="Feature aged has its first value on trading day 7, but lookback_period=15 calendar days hold "
        "only 6 trading days: set lookback_period to 28 or more",
    ):
        inputs.check_lookback_window(*arguments)


@pytest.mark.parametrize(("length", "refused"), [(5, False), (6, False), (7, True)])
@pytest.mark.parametrize("period", [15, 16])  # complete or not
def test_a_window_longer_than_the_data_is_refused(length, refused, period):
    strategy = Strategy(features=[close_of], window=length, train_period=period, lookback_period=100)
    if not refused or period == 16:
        inputs.check_model_window(small(), strategy, "train_period")
        return
    with pytest.raises(
        ValueError,
        match="window=7 trading days is longer than train_period=15 calendar days, which hold 6 trading "
        "days: set train_period to 28 or more",
    ):
        inputs.set_of_assets(small(), strategy, small().asset.values.tolist())


@pytest.mark.usefixtures("_days_are_few")
@pytest.mark.parametrize(
    ("firsts", "reported"),
    [
        ([0, 3], {}),  # of 6 days; both train on at least half of them
        ([0, 4], {1: 4}),
        ([3, 4], {1: 4}),
        ([5, 4], {0: 5, 1: 4}),
        ([6, 5], {1: 5}),  # one without a value in any case
    ],
)
@pytest.mark.parametrize("period", [15, 16])  # complete or not
def test_features_that_begin_in_the_second_half_are_reported(firsts, reported, period):
    data = small()
    features = [NEVER if first == 6 else of_age(first + 1) for first in firsts]
    strategy = Strategy(features=features, train_period=period)
    x, _ = inputs.model_inputs(data, strategy)
    found = inputs.check_training_window(x, data, strategy, data.asset.values.tolist())
    expected = [
        f"Feature aged has no value on the first {first} of the 6 trading days of a training window: the "
        f"models train on {6 - first} days. Set train_period to {-(-2 * first * 15 // 6) + 10} or more to "
        "train on as many days as the feature needs, or shorten the feature."
        for first in reported.values()
    ]
    assert found == (expected if period == 15 else [])


def test_a_rule_which_trains_on_no_day_is_not_told_of_days_without_a_value():
    data = small()
    strategy = Strategy(features=[of_age(6)], model="constant", train_period=15)
    assert inputs.set_of_assets(data, strategy, data.asset.values.tolist()).warnings == []
    strategy = replace(strategy, model="LSTM")
    assert len(inputs.set_of_assets(data, strategy, data.asset.values.tolist()).warnings) == 1
