"""Any market gives valid weights, or one clear error before anything is written."""

import contextlib
import io
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.engine.training import TrainingWarning
from lib.state.positions import State
from lib.strategy import Strategy
from tests.markets import FAULTS, bad_markets, random_market, spoil, window
from tests.switches import LONG

SMALL = {"lookback_period": 21, "train_period": 14, "hidden_size": 2, "top_assets": 3, "lwma_period": 3}
STRATEGIES = [
    Strategy(**SMALL),
    Strategy(**SMALL, whole_sequence=True, leave_out_unknown=True, log_price=True),
    Strategy(**SMALL, target="tradable_open_up", learning_rate=10.0),
    Strategy(**SMALL, selection=lambda data, strategy: np.ones(data.sizes["asset"], bool)),
]
FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=30 if LONG else 8,
)


def passes(
    strategy: Strategy, training: xr.DataArray, *days: xr.DataArray
) -> list[tuple[xr.DataArray, State]]:
    """Train once, predict each day with the state of the one before; an asset left out is no fault here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        models = strategy.train_model(training)
    said, state = [], None
    for data in days:
        weights, state = strategy.predict(models, data, state)
        said.append((weights, state))
    return said


def faults(weights: xr.DataArray, state: State, data: xr.DataArray, max_weight: float = 0.1) -> list[str]:
    """Faults of the weights of the last day of `data`."""
    row = weights.isel(time=-1).values
    close, liquid = (data.sel(field=name).values[-1] for name in ("close", "is_liquid"))
    found = {
        "days": weights.time.values.tolist() != data.time.values[-1:].tolist(),
        "assets": weights.asset.values.tolist() != data.asset.values.tolist(),
        "not finite": not np.isfinite(row).all(),
        "short": (row < 0).any(),
        "sum": np.abs(row).sum() > 1 + 1e-9,
        "too large": (np.abs(row) > max_weight + 1e-9).any(),
        "illiquid": (row[~(liquid > 0)] != 0).any(),
        "without price": (row[~(np.isfinite(close) & (close > 0))] != 0).any(),
        "state": not all(0 < weight <= max_weight + 1e-9 for weight in state.weights.values()),
    }
    return [fault for fault, there in found.items() if there]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=["published", "options", "diverging", "all assets"])
@FUZZ
@given(market=bad_markets())
def test_any_market_gives_valid_weights(strategy, market):
    last = market.sizes["time"] - 1
    days = [market[:, : row + 1] for row in range(max(0, last - 2), last + 1)]
    for data, (weights, state) in zip(days, passes(strategy, days[0], *days), strict=True):
        assert not faults(weights, state, data)


@FUZZ
@given(market=bad_markets(), keep=st.integers(0, 4), other=st.integers(0, 2**16))
def test_assets_that_vanish_between_training_and_prediction(market, keep, other):
    """The day after, the data hold other assets: some gone, one new."""
    today = market.isel(asset=slice(0, keep)) if keep else random_market(other, market.sizes["time"], 1)
    today = today.assign_coords(asset=[*today.asset.values[:-1].tolist(), "NAS:NEW"][: today.sizes["asset"]])
    said = passes(
        STRATEGIES[0], market, market, today.assign_coords(time=market.time.values + np.timedelta64(1, "D"))
    )
    for data, (weights, state) in zip((market, today), said, strict=True):
        held = weights.assign_coords(time=data.time.values[-1:])
        assert not faults(held, state, data)


def test_the_faults_are_seen():
    """The guard: every fault planted into sound weights is named."""
    market = random_market(1, days=40).ffill("time").bfill("time").fillna(1)
    market.loc[{"field": "is_liquid"}] = 1
    ((weights, state),) = passes(STRATEGIES[0], market, market)
    assert faults(weights, state, market) == []

    def planted(**at) -> xr.DataArray:
        other = weights.copy(deep=True)
        other.values[0, 0] = at["value"]
        return other

    illiquid, priceless = market.copy(deep=True), market.copy(deep=True)
    illiquid.loc[{"field": "is_liquid"}][-1] = np.nan
    priceless.loc[{"field": "close"}][-1] = 0
    assert "not finite" in faults(planted(value=np.nan), state, market)
    assert "too large" in faults(planted(value=0.2), state, market)
    assert "sum" in faults(planted(value=1.2), state, market)
    assert "short" in faults(planted(value=-0.05), state, market)
    assert "illiquid" in faults(weights, state, illiquid)
    assert "without price" in faults(weights, state, priceless)
    assert "days" in faults(weights, state, market[:, :-1])
    assert "assets" in faults(weights, state, market[:, :, ::-1])
    large = State(state.date, {"NAS:000": 0.5}, {}, {})
    assert "state" in faults(weights, large, market)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_in_every_asset(fault):
    market = random_market(3, days=40, assets=4)
    spoil(market, fault, np.ones(4, bool), np.random.default_rng(0))
    assert not market.identical(random_market(3, days=40, assets=4))
    ((weights, state),) = passes(STRATEGIES[0], market, market)
    assert not faults(weights, state, market)


def test_no_liquid_asset_means_no_position():
    market = random_market(3, days=40)
    market.loc[{"field": "is_liquid"}] = 0
    ((weights, state),) = passes(STRATEGIES[0], market, market)
    assert not weights.values.any()
    assert dict(state.weights) == {}


def test_one_liquid_asset_may_be_held():
    market = random_market(3, days=40, assets=1).ffill("time").bfill("time").fillna(1)
    market.loc[{"field": "is_liquid"}] = 1
    ((weights, _),) = passes(STRATEGIES[0], market, market)
    assert 0 < float(weights.sum()) <= 0.1


@pytest.mark.parametrize("days", [1, 2, 3, 5])
def test_fewer_days_than_a_window(days):
    market = random_market(3, days=days)
    ((weights, state),) = passes(STRATEGIES[0], market, market)
    assert not faults(weights, state, market)


# ---- data that are no market: one clear error, nothing written ----

UNSORTED = "days must ascend without repetition"
MALFORMED = {
    "no day": (lambda market: market[:, :0], "data hold no day"),
    "newest first": (lambda market: market[:, ::-1], UNSORTED),
    "two days exchanged": (lambda market: market[:, [0, 2, 1, *range(3, 40)]], UNSORTED),
    "a day twice": (lambda market: market[:, [0, 1, 1, *range(2, 40)]], UNSORTED),
    "an asset twice": (lambda market: market[:, :, [0, 1, 1, 2]], "an asset occurs twice"),
    "no liquidity": (lambda market: market.drop_sel(field="is_liquid"), "data lack the field is_liquid"),
    "other dims": (lambda market: market.rename(asset="stock"), "must have the dimensions"),
    "a table": (lambda market: market.sel(field="close", drop=True).to_pandas(), "must have the dimensions"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_market_is_refused_in_a_sentence(name):
    spoiled, sentence = MALFORMED[name]
    market = random_market(3, days=40)
    models = STRATEGIES[0].train_model(market)
    with pytest.raises(ValueError, match=sentence):
        STRATEGIES[0].train_model(spoiled(market))
    with pytest.raises(ValueError, match=sentence):
        STRATEGIES[0].predict(models, spoiled(market), None)


def test_nothing_is_written_where_the_data_are_refused(use_market, monkeypatch, tmp_path):
    """Through the backtest, whose first act is to write the weights of the last day."""
    import qnt.backtester as qnbt

    monkeypatch.chdir(tmp_path)
    market = random_market(3, days=40)
    use_market(market)
    before = sorted(tmp_path.iterdir())
    strategy = STRATEGIES[0]
    with pytest.raises(ValueError, match=UNSORTED), contextlib.redirect_stdout(io.StringIO()):
        qnbt.backtest_ml(
            load_data=lambda period: (window(market, 39, period)[:, ::-1], market.time.values[-3:]),
            window=lambda data, day, period: data,
            train=strategy.train_model,
            predict=strategy.predict,
            competition_type=strategy.competition_type,
            build_plots=False,
        )
    assert sorted(tmp_path.iterdir()) == before


# ---- a training that diverges ----


def huge(data, strategy):
    """A feature of a size at which the network's loss overflows."""
    return data.sel(field="close", drop=True) * 1e38


def torn(data, strategy):
    """A target out of all bounds for one asset."""
    target = (data.sel(field="close", drop=True) > 0).astype(float)
    return target.where(target.asset != "NAS:001", 1e30)


@pytest.fixture
def sound() -> xr.DataArray:
    market = random_market(3, days=40, assets=4).ffill("time").bfill("time").fillna(1)
    market.loc[{"field": "is_liquid"}] = 1
    return market


def test_an_asset_whose_training_diverges_is_reported_and_not_traded(sound):
    strategy = Strategy(**{**SMALL, "top_assets": 9}, target=torn)
    with pytest.warns(
        TrainingWarning, match="NAS:001 is left out until the next training: its training diverged"
    ):
        models = strategy.train_model(sound)
    assert list(models) == ["NAS:000", "NAS:002", "NAS:003"]
    assert list(models.dropped) == ["NAS:001"]
    assert "diverged" in models.dropped["NAS:001"]
    weights, state = strategy.predict(models, sound, None)
    assert "NAS:001" not in state.weights
    assert (weights.sel(asset="NAS:001") == 0).all()
    assert float(weights.sum()) > 0


def test_a_training_that_does_not_diverge_drops_nothing(sound):
    models = Strategy(**{**SMALL, "top_assets": 9}).train_model(sound)
    assert len(models) == 4
    assert models.dropped == {}


def test_features_beyond_all_numbers_leave_every_asset_out(sound):
    strategy = Strategy(**SMALL, features=[huge])
    with pytest.warns(TrainingWarning, match="no day of the training window has all features"):
        models = strategy.train_model(sound)
    assert len(models) == 0
    assert len(models.dropped) == 3
    weights, state = strategy.predict(models, sound, None)
    assert not faults(weights, state, sound)
    assert not weights.values.any()


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_steps_far_too_long_are_noticed(sound, epochs):
    """The loss may grow beyond all reason and stay finite."""
    strategy = Strategy(**{**SMALL, "learning_rate": 10.0, "epochs": epochs, "hidden_size": 8})
    with pytest.warns(
        TrainingWarning, match=r"training di(verged: the loss is not|d not converge: the loss)"
    ):
        models = strategy.train_model(sound)
    assert models.dropped
    assert all(fit.loss_after <= max(1, fit.losses[0]) for fit in models.fits.values())
    weights, state = strategy.predict(models, sound, None)
    assert not faults(weights, state, sound)
    assert set(state.weights) <= set(models)
