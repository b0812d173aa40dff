"""Real prices: your own files or frames, converted to the platform's layout.

`python -m lib.prices SOURCE … --output market.nc` writes a NetCDF file that `QNT_OFFLINE_MARKET` takes;
`market_from_frames` does the same for frames that a program holds. Sources, in any mixture:

- a long CSV or Parquet file: columns date, ticker, open, high, low, close, volume, and, where there are any,
  dividends and splits (`Dividends`, `Stock Splits`);
- a folder of files, one per ticker, named after it, without the column of tickers, or folders of such files;
- wide files, one per field (`open.csv`, `close.csv` …): a column of dates, then one per ticker;
- files with two header rows, fields and tickers, as yfinance and pandas-datareader write them.

`lib/prices/columns.py` lists the names of columns, `lib/prices/cells.py` the ways to write days and numbers.

The layout is float64 of dims (field, time, asset), days ascending, assets sorted. In a gap, on a day without
a whole bar of the asset, every field is NaN. The fields follow what Quantiacs' own files hold
(data_2022_01_09.nc, read in 2026):

open, low, high, close
    In shares of the last day: the closes of AMZN do not jump at its 20:1 split in June 2022. Not adjusted for
    dividends.
vol
    Shares traded, in shares of the last day too (TSLA, PCAR; in Quantiacs' file AMZN's are as traded before
    its split). NaN where the source has no volumes.
divs
    Dividend per share on the ex-dividend day, in shares of the last day: PCAR's 0.34 of 2022 stands as
    0.34 / 1.5 after its 3:2 split of 2023. 0 on all other days. The platform's accounting adds it to the
    change of the opening price.
split_cumprod
    Product of the asset's splits from its first day to this one, as Quantiacs documents it; 1 without splits.
    A later split does not change it. Price divided by it is the price as traded, up to
    one factor per asset. (In Quantiacs' own index files it is 1 throughout.)
is_liquid
    1 where the asset may be traded that day, else 0: a member of the index by the table of members and
    traded, or, without a table, traded. Traded is a day with a price and a volume other than 0.
"""

from collections.abc import Mapping

import xarray as xr

from lib.prices.conversion import DEFAULT_COMPETITION, Frames, Members, convert_frames
from lib.prices.findings import PricesError

__all__ = ["PricesError", "market_from_frames"]


def market_from_frames(
    frames: Frames,
    members: Members | None = None,
    prices: str | None = None,
    report: bool = True,
    rename: Mapping[str, str] | None = None,
    competition: str = DEFAULT_COMPETITION,
) -> xr.DataArray:
    """Make a market in the platform's layout from pandas frames.

    Parameters
    ----------
    frames : dict of DataFrame by ticker, or DataFrame, or list of DataFrame
        By ticker: indexed by date, or with a column of dates, and columns open, high, low, close, volume, and
        Dividends and Stock Splits where there are any. A single frame or those of a list are long, with a
        column of tickers, or have columns of two levels, as ``yf.download`` returns them.
    members : path or DataFrame, optional
        Columns ticker, from and to: the stays in the index, both days included, open where a cell is empty.
    prices : "raw" or "adjusted", optional
        Whether the prices are adjusted for splits already. By default the days of the splits show it: raw
        prices jump by the ratio.
    report : bool
        Print what was read and dropped, how prices were taken, and what does not look right.
    rename : dict, optional
        Columns by their own names that hold date, ticker, open, high, low, close, volume, dividends or
        splits, such as {"Schluss": "close"}.
    competition : str
        Whose fields and calendar the market has, such as "crypto_daily_long": six fields, every day.

    Returns
    -------
    xarray.DataArray
        float64 (field, time, asset) as the module describes it. `to_netcdf(path)` makes it a file for
        `QNT_OFFLINE_MARKET`.

    Raises
    ------
    PricesError
        One sentence that names frame, row and ticker.
    """
    market, findings = convert_frames(frames, members, prices, rename, competition)
    if report:
        print(findings)
    return market
