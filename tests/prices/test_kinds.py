"""Forms in which libraries and services write prices, each generated from one small market of two stocks."""

import gzip
import re
import sys
import types

import numpy as np
import pandas as pd
import pytest

from lib.offline import market as market_file
from lib.prices import market_from_frames
from lib.prices.__main__ import main
from tests.processes import PROJECT
from tests.switches import LONG

DAYS = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-16"])
FIELDS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "vol"}


def stock(price, volume):
    close = price + np.array([0, 0.75, -0.25, 0.5, 1.25, 1.05])
    prices = {"Open": close - 0.5, "High": close + 0.25, "Low": close - 1, "Close": close}
    return pd.DataFrame(prices | {"Volume": volume + 1500 * np.arange(6)}, DAYS.rename("Date")).round(4)


AAA, BBB = stock(1050.1, 1200), stock(20.45, 1_234_567)
STOCKS = {"AAA": AAA, "BBB": BBB}


def long(frames=None, column="Ticker"):
    return pd.concat(
        [frame.reset_index().assign(**{column: name}) for name, frame in (frames or STOCKS).items()]
    ).reset_index(drop=True)


def downloaded(first="Price", names=("Price", "Ticker"), frames=None):
    """Return what yf.download returns: columns (field, ticker), or (ticker, field) with group_by="ticker"."""
    frame = pd.concat(frames or STOCKS, axis=1, names=names[::-1])
    return frame if first == "Ticker" else frame.swaplevel(axis=1)


def convert(words, capsys=None):
    assert main([*words, "--output", "market.nc"]) == 0
    return market_file.load("market.nc")


def check(market, frames=None, rtol=1e-12):
    frames = frames or STOCKS
    assert market.asset.values.tolist() == sorted(frames)
    for ticker, frame in frames.items():
        for name, field in FIELDS.items():
            values = market.sel(asset=ticker, field=field, time=frame.index)
            np.testing.assert_allclose(values, frame[name], rtol=rtol, err_msg=f"{ticker} {field}")
    assert market.sizes["time"] == len(next(iter(frames.values())))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text_of(path, change=lambda text: text, frame=None, **options):
    def write(folder):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        content = (AAA if frame is None else frame).to_csv(**options)
        (folder / path).write_text(change(content), encoding="utf-8")
        return [path.split("/")[0]]

    return write


def flat(name):
    def write(folder):
        frame = downloaded()
        frame.columns = [name.format(field, ticker) for field, ticker in frame.columns]
        frame.reset_index().to_csv(folder / "d.csv", index=False)
        return ["d.csv"]

    return write


def old_names(frame):
    frame = frame.copy()
    frame.columns.names = [None, None]
    return frame


def reset_with_tuples(folder):
    frame = downloaded().reset_index()
    frame.columns = frame.columns.to_flat_index()
    frame.to_csv(folder / "d.csv", index=False)
    return ["d.csv"]


def read_again(header, index=None):
    def write(folder):
        downloaded().to_csv(folder / "once.csv")
        pd.read_csv(folder / "once.csv", header=header, index_col=index).to_csv(folder / "d.csv")
        return ["d.csv"]

    return write


def hive(folder):
    for name, frame in STOCKS.items():
        path = folder / "s" / f"Ticker={name}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        frame.reset_index().to_parquet(path, index=False)
    return ["s"]


def folders_of_tickers(folder):
    for name, frame in STOCKS.items():
        (folder / "s" / name).mkdir(parents=True)
        frame.to_csv(folder / "s" / name / "prices.csv")
    return ["s"]


def exchanges_and_macos(folder):
    for (name, frame), place in zip(STOCKS.items(), ("nasdaq", "nyse"), strict=True):
        (folder / "s" / place).mkdir(parents=True)
        frame.to_csv(folder / "s" / place / f"{name}.csv")
        (folder / "s" / place / f"._{name}.csv").write_bytes(b"\0\5\x16\7")
        (folder / "s" / place / ".DS_Store").write_bytes(b"\0")
    return ["s"]


def wide_with_others(folder):
    for name in AAA:
        pd.DataFrame({t: f[name] for t, f in STOCKS.items()}).to_csv(folder / f"{name}.csv")
    pd.DataFrame({t: f["Close"] / 2 for t, f in STOCKS.items()}).to_csv(folder / "Adj Close.csv")
    pd.DataFrame({t: f["Close"] * 2 for t, f in STOCKS.items()}).to_csv(folder / "market_cap.csv")
    return ["."]


def by_company(column, names):
    def write(folder):
        (folder / "s").mkdir()
        for ticker, name in zip(STOCKS, names, strict=True):
            STOCKS[ticker].assign(**{column: name}).to_csv(folder / "s" / f"{ticker}.csv")
        return ["s"]

    return write


def by_day(folder):
    for day, frame in long().groupby("Date"):
        path = folder / "s" / f"date={day:%Y-%m-%d}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        frame.drop(columns="Date").to_parquet(path, index=False)
    return ["s"]


def with_leftovers(folder):
    (folder / "s" / "old").mkdir(parents=True)
    for name, frame in STOCKS.items():
        frame.to_csv(folder / "s" / f"{name}.csv")
        (frame * 2).to_csv(folder / "s" / "old" / f"{name}.csv")
    (folder / "s" / "README.txt").write_text("from a service", encoding="utf-8")
    (folder / "s" / "GONE.csv").write_bytes(b"")
    return ["s"]


def in_bytes(folder):
    frame = long()
    frame["Ticker"] = frame["Ticker"].str.encode("utf-8")
    frame.to_parquet(folder / "p.parquet")
    return ["p.parquet"]


def stamped(function, name="Date"):
    def write(folder):
        frame = AAA.reset_index()
        frame["Date"] = [function(day) for day in frame["Date"]]
        frame.rename(columns={"Date": name}).to_csv(folder / "AAA.csv", index=False)
        return ["AAA.csv"]

    return write


def since_1970(unit, name="time"):
    return stamped(lambda day: (day + pd.Timedelta(hours=5)).value // unit, name)


def numbers(decimal=".", group=",", sep=",", digits=2, date="%Y-%m-%d", frame=AAA, volume="{:,}"):
    def write(folder):
        def amount(value, form):
            text = form.format(value)
            return text.translate(str.maketrans({",": group, ".": decimal}))

        table = pd.DataFrame({"Date": frame.index.strftime(date)})
        for name in ("Open", "High", "Low", "Close"):
            table[name] = [amount(value, f"{{:,.{digits}f}}") for value in frame[name]]
        table["Volume"] = [amount(int(value), volume) for value in frame["Volume"]]
        table.to_csv(folder / "AAA.csv", index=False, sep=sep)
        return ["AAA.csv"]

    return write


def suffixed(folder):
    frame = AAA.drop(columns="Volume").rename(columns={"Close": "Price"}).iloc[::-1]
    frame["Vol."] = [f"{value / 1000:.2f}K" for value in AAA["Volume"][::-1]]
    frame["Change %"] = "0.50%"
    frame.index = frame.index.strftime("%m/%d/%Y")
    frame.to_csv(folder / "AAA.csv", quoting=1, encoding="utf-8-sig")
    return ["AAA.csv"]


def investing_in_german(folder):
    german = {"Close": "Zuletzt", "Open": "Eröffn.", "High": "Hoch", "Low": "Tief", "Volume": "Vol."}
    frame = AAA.rename(columns=german)[list(german.values())]
    for name in ("Zuletzt", "Eröffn.", "Hoch", "Tief"):
        frame[name] = [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in frame[name]]
    frame["Vol."] = [f"{v / 1000:.2f}K".replace(".", ",") for v in AAA["Volume"]]
    frame.index = frame.index.strftime("%d.%m.%Y").rename("Datum")
    frame.to_csv(folder / "AAA.csv", quoting=1)
    return ["AAA.csv"]


def utf16(folder):
    (folder / "AAA.csv").write_text(AAA.to_csv(sep="\t"), encoding="utf-16")
    return ["AAA.csv"]


def zipped_tsv(folder):
    with gzip.open(folder / "AAA.tsv.gz", "wt", encoding="utf-8") as file:
        file.write(AAA.to_csv(sep="\t"))
    return ["AAA.tsv.gz"]


def crsp(folder):
    names = {"Close": "PRC", "Open": "OPENPRC", "High": "ASKHI", "Low": "BIDLO", "Volume": "VOL"}
    frame = long(column="TICKER").rename(columns=names | {"Date": "date"})
    frame["PRC"] = np.where(frame.index % 4 == 1, -frame["PRC"], frame["PRC"])
    frame.assign(PERMNO=10001).to_csv(folder / "crsp.csv", index=False)
    return ["crsp.csv"]


def float32_overlap(folder):
    narrow = {name: frame.astype(np.float32).astype(float) for name, frame in STOCKS.items()}
    long().query("Date > '2024-01-03'").to_csv(folder / "a.csv", index=False)
    long(narrow).query("Date < '2024-01-08'").to_csv(folder / "b.csv", index=False)
    return ["a.csv", "b.csv"]


def spaced_and_quoted(folder):
    lines = [
        ", ".join(f'"{cell}"' for cell in line.split(",")) for line in long().to_csv(index=False).splitlines()
    ]
    (folder / "p.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["p.csv"]


def single_letters(folder):
    frame = AAA.set_axis(list("ohlcv"), axis=1)
    frame.index = frame.index.view("int64") // 10**6
    frame.to_csv(folder / "AAA.csv", index_label="t")
    return ["AAA.csv"]


ONE = {
    "a dot in dates": stamped(lambda day: f"{day:%Y.%m.%d}"),
    "day, month, year with dashes": stamped(lambda day: f"{day:%d-%m-%Y}"),
    "month, day, year of two digits": stamped(lambda day: f"{day:%m/%d/%y}"),
    "the month's name": stamped(lambda day: f"{day:%b %d, %Y}"),
    "the month's name and two digits": stamped(lambda day: f"{day:%d-%b-%y}"),
    "the month's name in capitals": stamped(lambda day: f"{day:%d%b%Y}".upper()),
    "a weekday": stamped(lambda day: f"{day:%a, %d %b %Y 00:00:00 GMT}"),
    "a time in letters": stamped(lambda day: f"{day:%a %b %d %H:%M:%S %Y}"),
    "an afternoon": stamped(lambda day: f"{day:%m/%d/%Y} 4:00 PM"),
    "seconds": since_1970(10**9),
    "milliseconds": since_1970(10**6, "open_time"),
    "microseconds": since_1970(10**3, "timestamp"),
    "nanoseconds": since_1970(1, "window_start"),
    "a name that is none of dates": stamped(lambda day: f"{day:%Y-%m-%d}", "Handelstag"),
    "a row of tickers above one": text_of("d.csv", frame=downloaded(frames={"AAA": AAA})),
    "sep=;": text_of("AAA.csv", lambda text: "sep=;\n" + text, sep=";"),
    "comments": text_of("AAA.csv", lambda text: "# from: me, yesterday\n# USD\n" + text),
    "a URL": text_of("AAA.csv", lambda text: "https://www.example.com/data\n" + text),
    "a service's lines": text_of(
        "AAA.csv",
        lambda text: 'Some Data\n"AAA, Inc. - Historical"\n\n"Terms: open, as they are"\n\n\n' + text,
    ),
    "a header one name short": text_of("AAA.csv", lambda text: text.removeprefix("Date,")),
    "a comma at each line's end": text_of("AAA.csv", lambda text: text.replace("\n", ",\n")),
    "a comma at the rows' ends": text_of(
        "AAA.csv", lambda text: text.replace("\n", ",\n").replace(",\n", "\n", 1)
    ),
    "tabs": text_of("AAA.tsv", sep="\t"),
    "bars": text_of("AAA.txt", sep="|"),
    "tabs, zipped": zipped_tsv,
    "tabs in UTF-16": utf16,
    "a currency in brackets": text_of("AAA.csv", frame=AAA.rename(columns=lambda name: f"{name} (USD)")),
    "thousands in commas": numbers(),
    "thousands in points": numbers(",", ".", ";", date="%d.%m.%Y"),
    "thousands in points, without decimals": numbers(
        ",", ".", ";", 0, "%d.%m.%Y", (AAA * 10).round().assign(Volume=[987, 61245, 71380, 1, 22, 333])
    ),
    "thousands in blanks": numbers(",", "\u00a0", ";"),
    "thousands in apostrophes": numbers(".", "'", ";"),
    "decimal commas in quotes": numbers(",", "", ",", volume="{}"),
    "decimal commas after tabs": numbers(",", ".", "\t"),
    "decimals of three digits": numbers(".", "", ";", 3, volume="{}"),
    "dollars": text_of("AAA.csv", frame=AAA.assign(Close=["$" + str(v) for v in AAA["Close"]])),
    "K": suffixed,
    "K in German": investing_in_german,
    "volumes in two currencies": text_of(
        "AAA.csv", frame=AAA.rename(columns={"Volume": "Volume BTC"}).assign(**{"Volume USD": 1.0})
    ),
    "units that differ": text_of(
        "AAA.csv", frame=AAA.rename(columns={"Volume": "Volume_(BTC)"}).assign(**{"Volume_(USD)": 1.0})
    ),
    "a title in the first cell": text_of("AAA.csv", lambda text: "Alpha Inc.,,,,,\n" + text),
    "a service's line below": text_of(
        "AAA.csv", lambda text: text + '"Downloaded from a service as of 01-17-2024"\n'
    ),
    "a comma in thousands": text_of("AAA.csv", lambda text: text.replace(",1200\n", ',"1,200"\n')),
    "a company's name": lambda folder: [by_company("Name", ["Alpha Inc.", "B Co."])(folder)[0] + "/AAA.csv"],
    "single letters": single_letters,
}
TWO = {
    "yfinance": text_of("d.csv", frame=downloaded()),
    "yfinance, by ticker": text_of("d.csv", frame=downloaded("Ticker")),
    "yfinance before level names": text_of("d.csv", frame=old_names(downloaded())),
    "yfinance by ticker before level names": text_of("d.csv", frame=old_names(downloaded("Ticker"))),
    "reset_index": text_of("d.csv", frame=downloaded().reset_index(), index=False),
    "reset_index, numbered": text_of("d.csv", frame=downloaded().reset_index()),
    "reset_index by ticker": text_of("d.csv", frame=downloaded("Ticker").reset_index(), index=False),
    "reset_index by ticker, numbered": text_of("d.csv", frame=old_names(downloaded("Ticker").reset_index())),
    "stack": text_of("d.csv", frame=downloaded().stack(level=1, future_stack=True)),  # noqa: PD013
    "stack of fields": text_of("d.csv", frame=downloaded().stack(level=0, future_stack=True)),  # noqa: PD013
    "melt": text_of("d.csv", frame=long().melt(["Date", "Ticker"]), index=False),
    "read again": read_again(0),
    "read again without numbers": read_again(0, 0),
    "read again as text": read_again(None),
    "read again with two rows": read_again([0, 1]),
    "read again with two rows and the dates": read_again([0, 1], 0),
    "datareader": text_of("d.csv", frame=downloaded(names=("Attributes", "Symbols"))),
    "tuples": reset_with_tuples,
    "Close_AAA": flat("{}_{}"),
    "AAA_Close": flat("{1}_{0}"),
    "AAA.Close": flat("{1}.{0}"),
    "Close AAA": flat("{} {}"),
    "Close|AAA": flat("{}|{}"),
    "numeric tickers below fields": text_of("d.csv", frame=downloaded(frames={"600519": AAA, "000001": BBB})),
    "quotes after blanks": spaced_and_quoted,
    "partitions": hive,
    "a folder per ticker": folders_of_tickers,
    "folders of exchanges": exchanges_and_macos,
    "wide files and others": wide_with_others,
    "merged cells above the fields": text_of(
        "d.csv",
        lambda text: text.replace(",AAA" * 5, ",AAA,,,,").replace(",BBB" * 5, ",BBB,,,,"),
        frame=old_names(downloaded("Ticker").reset_index()),
        index=False,
    ),
    "partitions by day": by_day,
    "an old folder, a readme and an empty file": with_leftovers,
    "names of companies": by_company("Name", ["Alpha Inc.", "B Co."]),
    "a currency's number": by_company("name", [2781, 2781]),
    "bytes": in_bytes,
    "bytes as text": text_of(
        "p.csv", frame=long().assign(Ticker=[f"b'{t}'" for t in long()["Ticker"]]), index=False
    ),
    "CRSP": crsp,
    "float32 and rounded": float32_overlap,
    **{
        column: text_of("p.csv", frame=long(column=column))
        for column in ("ts_code", "sid", "permno", "act_symbol", "Name", "stock", "Symbol")
    },
}


@pytest.mark.parametrize("kind", ONE if LONG else list(ONE)[::3])
def test_one_stock_in_a_form_of_its_own(kind, folder, capsys):
    market = convert(ONE[kind](folder))
    frame = AAA
    if kind == "thousands in points, without decimals":
        frame = (AAA * 10).round().assign(Volume=[987, 61245, 71380, 1, 22, 333])
    if kind.startswith("K"):
        frame = AAA.assign(Volume=(AAA["Volume"] / 10).round() * 10)
    check(market, {"AAA": frame}, rtol=1e-9)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", TWO if LONG else list(TWO)[1::3])
def test_two_stocks_in_a_form_of_their_own(kind, folder, capsys):
    market = convert(TWO[kind](folder))
    frames = {"600519": AAA, "000001": BBB} if kind.startswith("numeric") else STOCKS
    check(market, frames, rtol=1e-6 if kind.startswith("float32") else 1e-12)
    assert capsys.readouterr().err == ""


def renamed(folder):
    frame = AAA.rename(columns={"Close": "Kurs", "Volume": "Anzahl"})
    frame.to_csv(folder / "AAA.csv", index_label="Handelstag")
    return ["AAA.csv", "--rename", "Kurs=close", "Anzahl=Volume", "Handelstag=date"]


def test_columns_are_renamed(folder, capsys):
    check(convert(renamed(folder)), {"AAA": AAA})
    frame = AAA.assign(Price=1.0).rename(columns={"Close": "Kurs"})
    check(market_from_frames({"AAA": frame}, rename={"Kurs": "close"}, report=False), {"AAA": AAA})
    check(
        market_from_frames({"AAA": AAA.assign(**{"Last": 1.0})}, rename={"Close": "close"}, report=False),
        {"AAA": AAA},
    )
    words = ["AAA.csv", "--output", "other.nc", "--rename"]
    assert main([*words, "Kurs=close", "Kurz=volume", "Handelstag=date"]) == 2
    assert "no source has a column Kurz." in capsys.readouterr().err
    assert main([*words, "Close=kurs"]) == 2
    assert "'kurs' is not a column of prices" in capsys.readouterr().err


@pytest.mark.parametrize("grouped", ["Price", "Ticker"])
def test_the_frame_of_a_download_is_taken_as_it_is(grouped):
    check(market_from_frames(downloaded(grouped), report=False))
    check(market_from_frames(downloaded(grouped).reset_index(), report=False))
    check(market_from_frames({"AAA": downloaded(grouped, frames={"AAA": AAA})}, report=False), {"AAA": AAA})


def test_the_readmes_download_is_a_market(monkeypatch, folder, capsys):
    """The snippet runs on a frame in the form of yfinance's, which is not installed here."""
    readme = (PROJECT / "lib" / "prices" / "README.md").read_text(encoding="utf-8")
    snippet = next(
        text for text in re.findall(r"```py\n(.*?)```", readme, re.DOTALL) if "yf.download" in text
    )
    asked = {}

    def download(tickers, **options):
        asked.update(options)
        more = {"Adj Close": 1.0, "Dividends": 0.0, "Stock Splits": 0.0}
        return downloaded(frames={name: AAA.assign(**more) for name in tickers})

    monkeypatch.setitem(sys.modules, "yfinance", types.SimpleNamespace(download=download))
    exec(snippet, {})
    assert asked["auto_adjust"] is False
    check(market_file.load("market.nc"), {"AAPL": AAA, "MSFT": AAA})
