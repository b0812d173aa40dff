"""Price files in the forms of public sources, each with the market or the sentence that is right."""

import re

import numpy as np
import pandas as pd
import pytest

from lib.offline import market as market_file
from lib.prices.__main__ import main
from tests.processes import PROJECT

CASES = PROJECT.parent / "shared" / "prices-cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir()) if CASES.is_dir() else []
# Where a case tells no market: the words of the sentence or the line of the report that must be there.
WORDS = {
    "R_intraday": r"has several bars on 2024-01-02 \(at 9:30 and 10:30\): these are intraday prices",
    "R_wide_closes_alone": r"one price per day of 2 tickers \(AAA, BBB\).*open\.csv, high\.csv",
    "S16_unused_columns_cut": r"dividends from ex_dividend; not used: x0, x1, x2, x3, x4, x5, x6, x7",
    "S1_history_adjusted_and_dividends": r"adjusted for dividends already.*auto_adjust=False: AAA",
    "S3_months_by_name": r"'Jan 2022' is a month and not a day",
    "S3_weekly_bars": r"7 days apart: these are weekly bars",
    "S4_split_a_day_late": r"AAA 2024-03-08 \(jump: 2024-03-07\)",
    "S5_two_digit_years_by_name": r"1962-01-02 to 1962-01-08",
    "S7_volumes_are_zero": r"1 ticker never liquid, with volumes of 0 throughout .*: EURUSD",
    "S8_three_for_two_without_splits": r"AAA 2024-02-06, the close falls .*a split of 3:2",
    "R_appledouble_beside": r"macOS leaves in archives: \._AAA\.csv",
    "OK_failed_download_beside": r"1 ticker without a price: GONE",
    "R_wide_with_adj_close": r"Adj Close\.csv: not used",
}


@pytest.mark.skipif(not NAMES, reason="the folder of shared cases is absent")
@pytest.mark.parametrize("name", NAMES)
def test_a_shared_case_is_right(name, tmp_path, monkeypatch, capsys):
    case = CASES / name
    monkeypatch.chdir(case / "input")
    output = tmp_path / "market.nc"
    words = (case / "args.txt").read_text(encoding="utf-8").split()
    refused = main([*words, "--output", str(output)])
    printed = capsys.readouterr()
    refusal = printed.err
    assert bool(refusal) == bool(refused)
    if name in WORDS:
        assert re.search(WORDS[name], refusal or printed.out), refusal or printed.out
    if not (case / "expected.csv").exists():
        assert bool(refusal) != output.exists()
        return
    assert not refusal
    market = market_file.load(str(output))
    expected = pd.read_csv(case / "expected.csv", dtype={"ticker": str}, parse_dates=["date"])
    for row in expected.itertuples():
        value = market.sel(time=row.date, asset=row.ticker, field=row.field).item()
        np.testing.assert_allclose(value, row.value, rtol=1e-9, err_msg=str(row))
