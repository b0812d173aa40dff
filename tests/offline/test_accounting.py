"""The recursions behind qnt.stats, where a hand can follow them."""

import numpy as np
import pytest

from lib.offline.accounting import asset_returns, holding_log, portfolio_returns

LOCKED = [[True, True], [True, False], [True, True]]


def book(**changed):
    """Three days, two assets at a price of 100, half of the portfolio in each, nothing to pay."""
    calm = np.full((3, 2), 100.0)
    arguments = {"weights": calm / 200, "tradable": calm > 0, "open_": calm, "close": calm}
    arguments |= {"slippage": calm * 0, "dividends": calm * 0}
    return {**arguments, **{name: np.array(values) for name, values in changed.items()}}


def prices(second_open, second_close):
    rise = [[100.0, 100], [second_open, 100], [second_close, 100]]
    return {"open_": rise, "close": [rise[0], [second_close, 100], rise[2]]}


@pytest.mark.parametrize("function", [portfolio_returns, asset_returns])
def test_calm(function):
    assert not function(**book()).any()


def test_day_and_night_both_count():
    arguments = book(**prices(110.0, 121.0))
    # 10 % overnight on one half; then again half in each, and 10 % on one half.
    assert portfolio_returns(**arguments) == pytest.approx([0, 1.05 * 1.05 - 1, 0])
    assert asset_returns(**arguments)[:, 0] == pytest.approx([0, 1.05 * 1.05 - 1, 0])


def test_cash_is_kept():
    arguments = book(**prices(110.0, 110.0), weights=np.full((3, 2), 0.25))
    assert portfolio_returns(**arguments)[1] == pytest.approx(0.025)


def test_trades_cost_slippage_per_share():
    arguments = book(slippage=np.full((3, 2), 2.0))
    assert portfolio_returns(**arguments)[0] == pytest.approx(-0.02)
    assert asset_returns(**arguments)[0] == pytest.approx([-0.01, -0.01])


def test_dividends_are_paid_for_shares_held_overnight():
    arguments = book(dividends=[[5.0, 5], [5, 0], [0, 0]])
    assert portfolio_returns(**arguments) == pytest.approx([0, 0.025, 0])
    assert asset_returns(**arguments)[:, 0] == pytest.approx([0, 0.025, 0])


def test_an_asset_that_cannot_be_traded_is_lost_to_the_portfolio_and_frozen_alone():
    arguments = book(
        tradable=LOCKED, open_=[[100.0, 100], [100, 100], [100, 150]], close=[[100.0, 100]] * 2 + [[100, 150]]
    )
    assert portfolio_returns(**arguments) == pytest.approx([0, 0, 0])
    assert asset_returns(**arguments)[:, 1] == pytest.approx([0, 0, 0.25])


def test_what_cannot_be_traded_is_not_spent_again():
    arguments = book(tradable=LOCKED, weights=[[0.5, 0.5], [1.0, 0], [1.0, 0]], **prices(100.0, 110.0))
    # On the second day one half of the equity is locked in the other asset.
    assert portfolio_returns(**arguments)[1] == pytest.approx(0.05)


def test_nothing_can_be_traded():
    arguments = book(tradable=np.zeros((3, 2), dtype=bool), **prices(110.0, 121.0))
    assert not portfolio_returns(**arguments).any()
    assert not asset_returns(**arguments).any()


def test_returns_are_finite():
    arguments = book(close=[[100.0, 100], [np.inf, 100], [100, 100]])
    assert np.isfinite(portfolio_returns(**arguments)).all()
    assert np.isfinite(asset_returns(**arguments)).all()


@pytest.mark.parametrize("function", [portfolio_returns, asset_returns])
def test_the_first_day_has_no_night_before(function):
    assert not function(**book(dividends=[[np.inf, 5], [0, 0], [0, 0]])).any()
    rise = prices(110.0, 121.0)
    wanted = function(**book(**rise))
    np.testing.assert_array_equal(function(**book(**rise, dividends=[[np.inf, 5], [0, 0], [0, 0]])), wanted)


def column(*weights):
    sold, held = holding_log(np.array(weights, dtype=float)[:, None])
    return [
        (amount, age) for amount, age in zip(sold[:, 0].tolist(), held[:, 0].tolist(), strict=True) if amount
    ]


def test_a_sale_knows_how_long_it_was_held():
    assert column(0.5, 0.5, 0.5, 0, 0) == [(0.5, 3)]


def test_a_reduced_position_keeps_its_age():
    assert column(0.5, 0.5, 0.25, 0, 0) == [(0.25, 2), (0.25, 3)]


def test_a_grown_position_gets_younger():
    assert column(0.25, 0.25, 0.5, 0, 0) == [(0.5, pytest.approx(2 * 0.25 / 0.5 + 1))]


def test_a_position_that_changes_its_side_starts_anew():
    assert column(0.5, 0.5, -0.25, -0.25, 0, 0) == [(0.5, 2), (0.25, 2)]


@pytest.mark.parametrize("noise", [0.5 + 1e-8, np.nan, np.inf])
def test_noise_is_no_sale(noise):
    assert column(0.5, noise, 0.5, 0, 0) == [(0.5, 3)]
