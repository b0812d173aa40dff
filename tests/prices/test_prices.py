"""Sources as a whole: which files are taken for what, members, dividends, liquidity, and the report."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.prices import PricesError, convert_files, convert_frames, market_from_frames, membership
from lib.prices.__main__ import main
from lib.prices.bars import Bars
from lib.prices.findings import ConversionReport, NumberStyle, Origin
from tests.prices.sources import AAA, two_levels, wide

nan = np.nan
DAYS = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-04"], name="Date")
OHLC = ["Open", "High", "Low", "Close"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bars(days=DAYS, **columns):
    """Return bars of a price that rises by a tenth."""
    price = 10 + np.arange(len(days)) / 10
    return pd.DataFrame(dict.fromkeys(OHLC, price) | columns, days.rename("Date"))


def refusal(function, *arguments, **options):
    with pytest.raises(PricesError) as refused:
        function(*arguments, **options)
    return str(refused.value)


def lines(report):
    sections = ("Read", "Dropped", "Prices", "Liquidity", "Plausibility")
    return {section: report.lines(section) for section in sections if report.lines(section)}


def write_wide(**others):
    for name, frame in (wide() | others).items():
        frame.to_csv(f"{name}.csv", index_label="Date")


def test_a_report_of_one_table():
    market, report = convert_frames({"AAA": bars()})
    assert lines(report) == {
        "Read": ["the frame of AAA: 3 rows of AAA", "in all 1 ticker on 3 days, 2024-01-02 to 2024-01-04"],
        "Prices": ["there are no splits in the source: prices are taken as they are"],
        "Liquidity": [
            "there are no volumes in the source: vol is NaN",
            "no table of members: is_liquid means traded with a price that day",
        ],
    }
    assert market.name == "stocks_nasdaq100"
    assert market.dims == ("field", "time", "asset")


def test_what_is_no_file_of_prices_is_named(folder):
    bars().to_csv("AAA.csv")
    for name in ("._AAA.csv", "note.md"):
        (folder / name).write_text("x", encoding="utf-8")
    (folder / "void.csv").touch()
    report = convert_files([folder])[1]
    assert report.lines("Dropped") == [
        "1 files that macOS leaves in archives: ._AAA.csv",
        "1 empty files: void.csv",
        f"1 entries of {folder} that are not files of prices: note.md",
    ]
    assert "Dropped" not in lines(convert_files([folder / "AAA.csv"])[1])


def test_several_sources_are_one_market():
    bars().to_csv("CCC.csv")
    pd.concat([bars().assign(Ticker=name) for name in ("DDD", "EEE")]).to_csv("long.csv")
    write_wide()
    market, report = convert_files(["CCC.csv", "long.csv", *(f"{name}.csv" for name in wide())])
    assert market.asset.values.tolist() == ["AAA", "BRK.B", "CCC", "DDD", "EEE"]
    assert report.lines("Read")[:3] == [
        "CCC.csv: 3 rows of CCC",
        "long.csv: 6 rows of 2 tickers",
        "Open.csv: the open of 2 tickers on 5 days",
    ]


def test_wide_files_beside_others():
    closes = wide()["Close"]
    write_wide(**{"Adj Close": closes / 2, "market_cap": closes * 1e6})
    report = convert_files(["."])[1]
    assert "Adj Close.csv: not used, dividends have lowered its prices" in report.lines("Read")
    assert "market_cap.csv: not used, it holds no field of a market by its name" in report.lines("Read")
    bare = [f"{name}.csv" for name in (*OHLC, "market_cap")]  # without volumes
    assert "market_cap.csv: not used, it holds no field of a market by its name" in convert_files(bare)[
        1
    ].lines("Read")
    closes.to_csv("my_close.csv")
    assert refusal(convert_files, ["."]) == "my_close.csv: Close.csv holds the close already."


def test_a_wide_file_may_be_renamed(folder):
    write_wide()
    expected = convert_files(["."])[0]
    (folder / "Close.csv").rename("Kurs.csv")
    assert refusal(convert_files, ["."]).startswith(
        "Kurs.csv: has one price per day of 2 tickers (AAA, BRK.B)"
    )
    assert convert_files(["."], renames={"Kurs": "close"})[0].identical(expected)
    assert refusal(convert_files, ["."], renames={"Kurs": "close", "x": "low"}) == (
        '--rename "x=…": no source has a column x.'
    )


def test_renames_of_all_sources_are_known():
    bars().rename(columns={"Close": "Kurs"}).to_csv("BBB.csv", index_label="Tag")
    two_levels().rename(columns={"Volume": "Anzahl"}).to_csv("d.csv")
    market, _ = convert_files(
        ["BBB.csv", "d.csv"], renames={"Kurs": "close", "Tag": "date", "Anzahl": "volume"}
    )
    assert market.asset.values.tolist() == ["AAA", "BBB", "BRK.B"]
    assert market.sel(asset="AAA", field=["close", "vol"])[:, 0].values.tolist() == [51, 2000]


def test_closes_alone_are_refused():
    frame = bars()[["Close"]]
    wide_closes = pd.concat([frame["Close"].rename(name) for name in "ABCD"], axis=1)
    wide_closes.to_csv("d.csv")
    sentence = (
        "d.csv: has one price per day of {}, but a market needs open, high, low and close: add the files "
        "open.csv, high.csv and low.csv beside close.csv, or, if these are prices of one ticker, name them, "
        'for example --rename "A=open".'
    )
    assert refusal(convert_files, ["d.csv"]) == sentence.format("4 tickers (A, B, C, …)")
    wide_closes[[*"ABC"]].to_csv("d.csv")
    assert refusal(convert_files, ["d.csv"]) == sentence.format("3 tickers (A, B, C)")
    bars().to_csv("AAA.csv")
    report = convert_files(["d.csv", "AAA.csv"])[1]
    assert report.lines("Read")[1] == "d.csv: not used, it holds no field of a market by its name"


def test_a_market_that_never_closes_takes_closes_alone():
    days = pd.date_range("2024-01-02", periods=3, name="Date")
    closes = bars(days)[["Close"]]
    closes.to_csv("BTC.csv")
    for market, _ in (
        convert_files(["BTC.csv"], competition="crypto_daily_long"),
        convert_frames({"BTC": closes}, competition="crypto_daily_long"),
        convert_frames([closes.assign(Ticker="BTC")], competition="crypto_daily_long"),
    ):
        assert market.name == "cryptodaily"
        assert market.sel(field="open").values.ravel().tolist() == [10, 10.1]
    assert "lacks a column for open, low, high" in refusal(convert_files, ["BTC.csv"])


def test_frames_are_named_by_ticker_or_number():
    bad = bars(Low=-1.0)
    assert refusal(convert_frames, {"AAA": bars(), 5: bad}).startswith(
        "the frame of 5, row 1, 5: the low is -1"
    )
    two = [bars().assign(Ticker="AAA"), bad.assign(Ticker="BBB")]
    assert refusal(convert_frames, two).startswith("frame 2, row 1, BBB: the low is -1")
    assert refusal(convert_frames, two[1]).startswith("frame 1, row 1, BBB: the low is -1")
    market, _ = convert_frames(two[:1], renames={"Ticker": "name"})
    assert market.asset.values.tolist() == ["AAA"]
    market, _ = convert_frames({"CCC": bars(Kurs=10.05)}, renames={"Kurs": "close"})
    assert market.sel(field="close").values.ravel().tolist() == [10.05] * 3


def test_the_key_of_a_frame_counts_as_its_ticker():
    named = bars().assign(Ticker="AAA", Name="Alpha")
    assert convert_frames({"BBB": named})[0].asset.values.tolist() == ["BBB"]
    for first in ("Price", "Ticker"):
        frame = two_levels(first).xs("AAA", axis=1, level="Ticker", drop_level=False)
        assert convert_frames({"BBB": frame})[0].asset.values.tolist() == ["BBB"]


def test_what_prices_are_is_one_of_two_words():
    for prices in ("raw", "adjusted", None):
        assert convert_frames({"AAA": bars()}, prices=prices)[0].sizes["asset"] == 1
    told = "prices is 'Raw': it can be raw or adjusted, or left out."
    assert refusal(convert_frames, {"AAA": bars()}, prices="Raw") == told


def test_sources_without_a_row_are_refused():
    told = ": has no row: there is nothing to convert."
    assert refusal(convert_frames, {}) == "The source" + told
    assert refusal(convert_frames, {"AAA": bars()[:0], "BBB": bars()[:0]}) == "the frame of AAA" + told
    assert convert_frames({"AAA": bars()[:0], "BBB": bars()})[0].sizes["asset"] == 1


def test_days_of_volume_0_are_not_liquid():
    frames = {"AAA": bars(Volume=[5, 0, nan]), "FX": bars(Volume=0), "GAP": bars(Volume=5)}
    frames["GAP"].loc[DAYS[1], OHLC] = nan
    market, report = convert_frames(frames)
    liquid = market.sel(field="is_liquid").to_numpy()
    np.testing.assert_array_equal(liquid, [[1, 0, 1], [0, 0, nan], [1, 0, 1]])
    assert report.lines("Liquidity") == [
        "1 ticker never liquid, with volumes of 0 throughout (leave the column of volumes out where "
        "the source has none): FX",
        "no table of members: is_liquid means traded with a price that day",
    ]


def test_dividends_of_days_without_a_price_count_on_the_next():
    frame = bars(pd.bdate_range("2024-01-02", periods=6), Dividends=[0.5, 0.25, 0, 0.125, 0, 1.0])
    frame.loc[frame.index[[1, 2, 5]], OHLC] = nan
    market, report = convert_frames({"AAA": frame, "BBB": bars(frame.index[:5], Dividends=0.0)})
    divs = market.sel(field="divs")
    np.testing.assert_array_equal(divs.sel(asset="AAA"), [0.5, nan, nan, 0.375, 0])
    np.testing.assert_array_equal(divs.sel(asset="BBB"), [0] * 5)
    for field in ("split_cumprod", "is_liquid"):
        assert np.isnan(market.sel(field=field, asset="AAA")).values.tolist() == [
            False,
            True,
            True,
            False,
            False,
        ]
    assert report.lines("Plausibility")[0] == (
        "1 dividends of days without a price, moved to the next: AAA 2024-01-03"
    )
    assert "the dividend of AAA 2024-01-09: no price follows it" in report.lines("Dropped")
    assert report.lines("Read")[-1] == "in all 2 tickers on 5 days, 2024-01-02 to 2024-01-08"


def test_unlisted_splits_are_in_the_report():
    frame = bars(**{"Adj Close": [5, 5, 5]})
    frame.loc[DAYS[1] :, OHLC] = 5.0
    report = convert_frames({"AAA": frame})[1]
    assert report.lines("Plausibility")[0].startswith(
        "1 split that the source does not list: AAA 2024-01-03, the"
    )


def test_dividends_of_a_history_are_left_out_for_its_ticker_alone():
    days = pd.bdate_range("2024-01-02", periods=40)
    price = np.arange(1000, 1040) / 100 * 1.000713
    paying = {"Dividends": np.where(np.arange(40) == 20, 0.5, 0.0), "Volume": 5}
    history = pd.DataFrame(dict.fromkeys(OHLC, price) | paying | {"Stock Splits": 0.0}, days)
    other = history.drop(columns="Stock Splits") * 1.01
    market, report = convert_frames({"AAA": history, "BBB": other})
    assert market.sel(field="divs").sum("time").values.tolist() == [0, 0.505]
    assert report.lines("Prices")[-1].endswith(": AAA")


def test_a_report_is_printed_or_not(capsys):
    market_from_frames({"AAA": bars()}, report=False)
    assert capsys.readouterr().out == ""
    market_from_frames({"AAA": bars()})
    assert capsys.readouterr().out.startswith("Read\n  the frame of AAA: 3 rows of AAA\n")


BARS = Bars(DAYS, np.array(["AAA", "BRK.B"], object), {})


def members(*stays, names=("ticker", "from", "to"), **options):
    report = ConversionReport()
    table = pd.DataFrame([list(stay) for stay in stays], columns=list(names), dtype=object)
    return membership(table, BARS, report).T.astype(int).tolist(), report.lines("Liquidity")


@pytest.mark.parametrize(
    ("stays", "inside"),
    [
        ([("AAA", "2024-01-03", "2024-01-03")], [0, 1, 0]),
        ([("AAA", "2024-01-02", "2024-01-03")], [1, 1, 0]),
        ([("AAA", "", "2024-01-03")], [1, 1, 0]),
        ([("AAA", "2024-01-03", None)], [0, 1, 1]),
        ([("AAA", "2024-01-03", " 9999-12-31")], [0, 1, 1]),
        ([("AAA", "-", "nan")], [1, 1, 1]),
        ([("AAA", "", "2024-01-02"), ("AAA", "2024-01-04", "")], [1, 0, 1]),
        ([("AAA", "", "2024-01-02"), (None, None, None), ("AAA", "2024-01-04", "")], [1, 0, 1]),
    ],
)
def test_stays_of_members(stays, inside):
    assert members(*stays) == ([inside, [0, 0, 0]], [])


def test_members_without_prices_are_named():
    found, told = members(("BRK.B", "", ""), ("ZZZ", "", ""), ("CCC", "", ""))
    assert found == [[0] * 3, [1] * 3]
    assert told == ["2 members have no prices: CCC; ZZZ"]
    assert members(("AAA", "", ""), names=("Name", "added", "removed"))[0][0] == [1] * 3
    with_both = pd.DataFrame({"Name": ["x"], "Symbol": ["AAA"], "from": [""], "to": [""]})
    assert membership(with_both, BARS, ConversionReport())[:, 0].all()


def test_members_are_refused():
    told = (
        "the table of members: no member has a price while it is one ({}); tickers must be written as in the "
        "prices (AAA, BRK.B)."
    )
    assert refusal(members, ("D", "", ""), ("C", "", ""), ("B", "", ""), ("A", "", "")) == told.format(
        "A, B, C"
    )
    assert refusal(members, ("AAA", "2023-01-02", "2024-01-01")) == told.format("none on these days")
    assert refusal(members, ("AAA", "", ""), ("", "", ""), ("BRK.B", "2024-01-03", "2024-01-02")) == (
        "the table of members, row 3, BRK.B: this stay ends before it begins: swap from and to."
    )
    assert members(("AAA", "2024-01-03", "2024-01-03"))[0][0] == [0, 1, 0]
    assert refusal(members, ("AAA", "", ""), (None, "2024-01-02", "")).startswith(
        "the table of members, row 2: there is"
    )
    assert refusal(members, ("AAA", "2024-01-02", ""), ("BRK.B", "x", "")).startswith(
        "the table of members, row 2, BRK.B: 'x' is not a date"
    )
    assert refusal(members, ("AAA", ""), names=("ticker", "from")).startswith(
        "the table of members: lacks a column for to"
    )
    assert refusal(membership, ".", BARS, ConversionReport()) == ".: is a folder; --members takes one file."
    assert "gone.csv: does not exist; expected is" in refusal(
        membership, "gone.csv", BARS, ConversionReport()
    )


def test_members_of_a_file_or_an_index():
    table = pd.DataFrame({"from": ["2024-01-03"], "to": [""]}, index=pd.Index(["AAA"], name="ticker"))
    assert membership(table, BARS, ConversionReport())[:, 0].tolist() == [False, True, True]
    table.to_csv("members.csv")
    assert membership("members.csv", BARS, ConversionReport())[:, 0].tolist() == [False, True, True]
    market, report = convert_frames({"AAA": bars(), "BBB": bars()}, "members.csv")
    np.testing.assert_array_equal(market.sel(field="is_liquid"), [[0, 0], [1, 0], [1, 0]])
    assert report.lines("Liquidity")[1:] == [
        "is_liquid means a member by the table, and traded with a price that day"
    ]


def test_the_command_passes_all_its_options(capsys):
    raw = AAA.rename(columns={"Close": "Kurs", "Open": "Erster"})
    raw.to_csv("AAA.csv")
    pd.DataFrame({"ticker": ["AAA"], "from": [DAYS[1]], "to": [DAYS[1]]}).to_csv("members.csv", index=False)
    words = ["AAA.csv", "--output", "market.nc", "--prices", "adjusted", "--members", "members.csv"]
    assert main([*words, "--rename", "Kurs=close", "--rename", "Erster=open"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Read\n  AAA.csv: 5 rows of AAA\n")
    assert printed.endswith("\nWritten: market.nc. To run on it, set QNT_OFFLINE_MARKET=market.nc\n")
    assert Path("market.nc").read_bytes()[:3] == b"CDF"  # the classic format
    assert "adjusted, as --prices says" in printed
    assert "is_liquid means a member by the table" in printed
    assert main(["AAA.csv", "--output", "market.nc"]) == 2
    assert "AAA.csv: lacks a column for close" in capsys.readouterr().err


def test_words_of_the_command_are_checked(capsys):
    words = ["a.csv", "--output", "market.nc"]
    for wrong, told in (
        (["a.csv"], "the following arguments are required: --output"),
        ([*words, "--prices", "both"], "--prices: invalid choice: 'both'"),
        ([*words, "--competition", "none"], "--competition: invalid choice: 'none'"),
    ):
        with pytest.raises(SystemExit, match=r"^2$"):
            main(wrong)
        assert told in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        *(
            "--output MARKET.nc",
            "(no default)",
            "one file per ticker",
            "(default: none)",
            "(default: detected)",
        ),
        *("(default: stocks_nasdaq100)", "COLUMN=NAME", "(default: found by name)"),
    ):
        assert text in shown


def test_a_row_is_named_by_its_origin():
    origin = Origin("a.csv", "line", 2)
    assert origin.place(3) == "a.csv, line 5"
    assert origin.place(3, "AAA") == "a.csv, line 5, AAA"
    assert Origin("a").place(3) == "a, row 4"
    assert (origin.style, origin.of_history) == (NumberStyle(".", ","), False)
    nothing = np.array([False, False])
    assert origin.refuse(nothing, np.array([0, 1]), None, "no") is None
    bad, rows, cells = np.array([False, True, True]), np.array([4, 5, 6]), np.array([1.0, 2.0, 3.0])
    assert refusal(origin.refuse, bad, rows, None, "{cell} is\nno.") == "a.csv, line 7: None is no."
    assert (
        refusal(origin.refuse, bad, rows, np.array([*"ABC"]), "{cell} is.", cells)
        == "a.csv, line 7, B: 2.0 is."
    )
    assert (
        refusal(origin.refuse, bad, rows, None, "{cell}", np.array(["a", "b", "c"], object))
        == "a.csv, line 7: 'b'"
    )


def test_a_report_shows_three_places():
    report = ConversionReport()
    for count in (0, 1, 3, 4, 2000):
        report.add("Read", "t", ["x"] * count)
    assert report.lines("Read") == [
        "t",
        "t: x",
        "t: x; x; x",
        "t: x; x; x; and 1 more",
        "t: x; x; x; and 1,997 more",
    ]
    assert str(report).endswith(
        "\nDropped\n  nothing\nPrices\n  nothing\nLiquidity\n  nothing\nPlausibility\n  nothing"
    )
    report.lines("Read").clear()
    assert len(report.lines("Read")) == 5
