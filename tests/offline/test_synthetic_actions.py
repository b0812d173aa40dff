import numpy as np

from lib.offline import synthetic
from lib.offline.synthetic import bits

DAYS, ASSETS, TICKERS = 2520, 100, 160


def test_lifetimes_start_before_they_end():
    listed, gone = synthetic.lifetimes(bits(1, 0), DAYS, ASSETS, TICKERS)
    assert (listed < gone).all()
    assert (gone <= DAYS).all()
    assert (listed == 0).sum() == 115
    assert 15 < (gone < DAYS).sum() < 50


def test_lifetimes_in_a_market_of_one_day():
    listed, gone = synthetic.lifetimes(bits(1, 0), 1, 1, 2)
    assert listed.tolist() == [0, 0]
    assert gone.tolist() == [1, 1]


def test_dividends_come_each_quarter_to_those_that_pay():
    yields, ex_days = synthetic.dividends(bits(1, 0), DAYS, TICKERS)
    pays = yields > 0
    assert 60 < pays.sum() < 110
    assert yields[pays].min() >= 0.001
    assert yields.max() <= 0.007
    assert (ex_days.sum(axis=0) == np.where(pays, 40, 0)).all()


def test_splits_only_multiply():
    product = synthetic.splits(bits(1, 0), DAYS, TICKERS)
    ratios = product[1:] / product[:-1]
    assert set(np.unique(ratios)) == {1.0, 2.0, 3.0}
    assert 40 < (ratios > 1).sum() < 130


def test_halts_last_one_to_five_days_or_so():
    halted = synthetic.halts(bits(1, 0), DAYS, TICKERS)
    assert 0.0005 < halted.mean() < 0.004
    runs = np.diff(np.flatnonzero(np.diff(np.pad(halted.T.ravel(), 1)))[::1])[::2]
    assert set(range(1, 6)) <= set(runs.tolist())


def test_the_index_is_full_on_every_day_and_holds_only_what_is_listed():
    listed, gone = synthetic.lifetimes(bits(1, 0), DAYS, ASSETS, TICKERS)
    table = synthetic.index(bits(1, 1), DAYS, ASSETS, listed, gone)
    day = np.arange(DAYS)[:, None]
    assert set(np.unique(table)) == {0.0, 1.0}
    assert (table.sum(axis=1) == ASSETS).all()
    assert not table[(day < listed) | (day >= gone)].any()


def test_the_index_changes_at_reviews_and_when_a_member_delists():
    listed, gone = np.array([0, 0, 0]), np.array([10, 10, 3])
    table = synthetic.index(bits(3, 1), 10, 2, listed, gone)
    assert table[3:, 2].sum() == 0
    assert (table[3:].sum(axis=1) == 2).all()
    quiet = synthetic.index(bits(3, 1), 10, 1, np.array([0, 0]), np.array([10, 10]))
    changes = np.flatnonzero(np.diff(quiet, axis=0).any(axis=1)) + 1
    assert changes.tolist() == [5]


def test_the_index_shrinks_where_nobody_is_left():
    table = synthetic.index(bits(1, 1), 4, 2, np.array([0, 0]), np.array([4, 2]))
    assert table.sum(axis=1).tolist() == [2, 2, 1, 1]
