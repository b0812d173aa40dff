"""One small market, written by hand, and the same prices as the sources that people have.

AAA splits 2:1 on 5 January and pays dividends before and on that day; BRK.B is listed a day later and halted
on the 5th.
"""

import gzip
import io

import numpy as np
import pandas as pd
import xarray as xr

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"]
AAA = pd.DataFrame(
    {
        "Open": [100.0, 102.0, 104.0, 53.0, 54.0],
        "High": [103.0, 105.0, 107.0, 54.5, 56.25],
        "Low": [99.0, 101.0, 103.0, 52.0, 53.0],
        "Close": [102.0, 104.0, 106.0, 53.5, 55.1],
        "Volume": [1000, 1100, 1200, 2600, 2500],
        "Dividends": [0.0, 0.5, 0.0, 0.3, 0.0],
        "Stock Splits": [0.0, 0.0, 0.0, 2.0, 0.0],
    },
    index=pd.DatetimeIndex(DAYS, name="Date"),
)
BRK = pd.DataFrame(
    {
        "Open": [20.0, 21.0, 22.0],
        "High": [21.5, 21.5, 22.5],
        "Low": [19.5, 20.5, 21.0],
        "Close": [21.0, 21.25, 21.75],
        "Volume": [500, 0, 700],
        "Dividends": [0.0, 0.0, 0.0],
        "Stock Splits": [0.0, 0.0, 0.0],
    },
    index=pd.DatetimeIndex(["2024-01-03", "2024-01-04", "2024-01-08"], name="Date"),
)
TICKERS = {"AAA": AAA, "BRK.B": BRK}
nan = np.nan
# by field: AAA and BRK.B, a pair per day
MARKET = {
    "open": [[50, nan], [51, 20], [52, 21], [53, nan], [54, 22]],
    "low": [[49.5, nan], [50.5, 19.5], [51.5, 20.5], [52, nan], [53, 21]],
    "high": [[51.5, nan], [52.5, 21.5], [53.5, 21.5], [54.5, nan], [56.25, 22.5]],
    "close": [[51, nan], [52, 21], [53, 21.25], [53.5, nan], [55.1, 21.75]],
    "vol": [[2000, nan], [2200, 500], [2400, 0], [2600, nan], [2500, 700]],
    "divs": [[0, nan], [0.25, 0], [0, 0], [0.3, nan], [0, 0]],
    "split_cumprod": [[1, nan], [1, 1], [1, 1], [2, nan], [2, 1]],
    "is_liquid": [[1, nan], [1, 1], [1, 0], [1, nan], [1, 1]],
}


def market(names=("AAA", "BRK.B"), **changes):
    """The market by hand, with some of its fields replaced."""
    values = np.array(list((MARKET | changes).values()), dtype=float)
    coords = {"field": list(MARKET), "time": pd.DatetimeIndex(DAYS), "asset": list(names)}
    return xr.DataArray(values, coords, ("field", "time", "asset"))


def long(frames=None):
    """All tickers in one frame, with columns Date and Ticker."""
    return pd.concat(
        [frame.reset_index().assign(Ticker=name) for name, frame in (frames or TICKERS).items()],
        ignore_index=True,
    )


def adjusted():
    """The frames with AAA's split in prices, volumes and dividends already."""
    frame = AAA.copy()
    before = frame.index < "2024-01-05"
    frame.loc[before, ["Open", "High", "Low", "Close", "Dividends"]] /= 2
    frame["Volume"] = frame["Volume"].where(~before, 2 * frame["Volume"])
    return {"AAA": frame, "BRK.B": BRK}


def wide():
    """Return a frame of days and tickers by field."""
    return {name: pd.DataFrame({t: f[name] for t, f in TICKERS.items()}) for name in AAA}


def two_levels(first="Price"):
    """Return yfinance's frame of several tickers: columns (field, ticker), or the other way round."""
    frame = pd.concat(TICKERS, axis=1, names=["Ticker", "Price"]).sort_index()
    return frame if first == "Ticker" else frame.swaplevel(axis=1)


def long_csv(folder):
    long().to_csv(folder / "prices.csv", index=False)
    return ["prices.csv"]


def long_parquet(folder):
    long().to_parquet(folder / "prices.parquet")
    return ["prices.parquet"]


def shouted_shuffled_and_zoned(folder):
    frame = long().sample(frac=1, random_state=1)
    frame["Date"] = frame["Date"].dt.strftime("%Y-%m-%d 00:00:00-05:00")
    frame["Adj Close"] = 7.0
    frame = frame[frame.columns[::-1]].rename(columns=str.upper)
    frame.to_csv(folder / "prices.csv", index=False)
    return ["prices.csv"]


def folder_of_csv(folder):
    (folder / "prices").mkdir()
    for name, frame in TICKERS.items():
        frame.to_csv(folder / "prices" / f"{name}.csv")
    (folder / "prices" / "README").write_text("where they are from", encoding="utf-8")
    return ["prices"]


def folder_of_parquet(folder):
    (folder / "prices").mkdir()
    for name, frame in TICKERS.items():
        frame.tz_localize("America/New_York").to_parquet(folder / "prices" / f"{name}.parquet")
    return ["prices"]


def wide_csv(folder):
    (folder / "prices").mkdir()
    for name, frame in wide().items():
        frame.to_csv(folder / "prices" / f"{name}.csv")
    return ["prices"]


def wide_parquet(folder):
    for name, frame in wide().items():
        frame.to_parquet(folder / f"my_{name.lower().replace(' ', '_')}.parquet")
    return [f"my_{name.lower().replace(' ', '_')}.parquet" for name in wide()]


def two_header_rows(folder):
    two_levels().to_csv(folder / "download.csv")
    return ["download.csv"]


def two_header_rows_by_ticker(folder):
    two_levels("Ticker").to_csv(folder / "download.csv")
    return ["download.csv"]


def two_level_parquet(folder):
    two_levels().to_parquet(folder / "download.parquet")
    return ["download.parquet"]


def adjusted_csv(folder):
    long(adjusted()).to_csv(folder / "prices.csv", index=False)
    return ["prices.csv"]


def numbered_columns_with_semicolons(folder):
    (folder / "prices").mkdir()
    numbered = {
        "Open": "1. open",
        "High": "2. high",
        "Low": "3. low",
        "Close": "4. close",
        "Volume": "6. volume",
        "Dividends": "7. dividend amount",
        "Stock Splits": "8. split coefficient",
    }
    for name, frame in TICKERS.items():
        frame = frame.rename(columns=numbered).replace({"8. split coefficient": {0.0: 1.0}})
        frame.assign(**{"5. adjusted close": 1.0}).iloc[::-1].to_csv(
            folder / "prices" / f"{name}.csv", sep=";", index_label="timestamp"
        )
    return ["prices"]


def zipped_with_bracketed_columns(folder):
    frame = long()
    frame["Date"] = frame["Date"].dt.strftime("%Y%m%d")
    frame["Stock Splits"] = frame["Stock Splits"].map({0.0: "", 2.0: "2:1"})
    text = io.StringIO()
    frame.rename(columns=lambda name: f"<{name.upper()}>").to_csv(text, index=False)
    with gzip.open(folder / "prices.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\ufeff" + text.getvalue())
    return ["prices.csv.gz"]


def overlapping_files(folder):
    frame = long()
    frame[frame["Date"] <= "2024-01-04"].to_csv(folder / "early.csv", index=False)
    later = frame[frame["Date"] >= "2024-01-04"]
    pd.concat([later, later.iloc[:2]]).to_csv(folder / "late.csv", index=False)
    return ["early.csv", "late.csv"]


def day_before_month_and_dollars(folder):
    frame = long(adjusted()).astype({"Open": str, "Close": str})
    old = pd.DataFrame({"Date": [pd.Timestamp("2023-12-13")], "Ticker": ["AAA"]})  # shows the order
    frame = pd.concat([old, frame])
    frame["Date"] = frame["Date"].dt.strftime("%d/%m/%Y")
    frame[["Open", "Close"]] = "$" + frame[["Open", "Close"]]
    frame["Stock Splits"] = frame["Stock Splits"].map({0.0: "0", 2.0: "2/1"})
    frame.replace("$nan", "").rename(columns={"Close": "Close/Last"}).to_csv(
        folder / "prices.csv", index=False
    )
    return ["prices.csv"]


SOURCES = [
    long_csv,
    long_parquet,
    shouted_shuffled_and_zoned,
    folder_of_csv,
    folder_of_parquet,
    wide_csv,
    wide_parquet,
    two_header_rows,
    two_header_rows_by_ticker,
    two_level_parquet,
    adjusted_csv,
    numbered_columns_with_semicolons,
    zipped_with_bracketed_columns,
    overlapping_files,
    day_before_month_and_dollars,
]
FRAMES = {
    "by ticker": lambda: TICKERS,
    "long": long,
    "in a list": lambda: [long({"AAA": AAA}), long({"BRK.B": BRK})],
    "two levels": lambda: [two_levels()],
    "index of two levels": lambda: long().set_index(["Ticker", "Date"]),
    "zoned": lambda: {name: frame.tz_localize("Asia/Tokyo") for name, frame in TICKERS.items()},
}
