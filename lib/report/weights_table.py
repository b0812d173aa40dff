"""The weights of one day as a table, beside those of the day before."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import xarray as xr

    from lib.state import State


def weights_table(weights: "xr.DataArray", state: "State | None") -> pd.DataFrame:
    """Return a row for each asset held now or before, by falling weight.

    Parameters
    ----------
    weights : xarray.DataArray
        (time, asset); the last day counts, NaN is no position.
    state : State or None
        The state that the weights were predicted with. If it is of the same day, since that day is run again,
        what was carried into the day stands for the day before.

    Returns
    -------
    pandas.DataFrame
        By `asset`: `weight`, and with a state `weight_before` and `change`, as shares of the capital.
    """
    row = weights.isel(time=-1).fillna(0)
    now = pd.Series(row.values, index=row.asset.values.astype(str), dtype=float)
    table = pd.DataFrame({"weight": now[now != 0]}).rename_axis("asset")
    if state is not None:
        same_day = state.date == row.time.values.astype("M8[D]")
        before = pd.Series(dict(state.carried_in if same_day else state.weights), dtype=float)
        table = table.join(before.rename("weight_before").rename_axis("asset"), how="outer").fillna(0.0)
        table["change"] = table["weight"] - table["weight_before"]
    order = np.lexsort((table.index, -table["weight"].abs()))
    return table.iloc[order]


def in_words(weights: "xr.DataArray") -> str:
    """Return a sentence with the day, the number of positions and their sum."""
    row = weights.isel(time=-1).fillna(0).values
    held, day = int((row != 0).sum()), str(weights.time.values[-1])[:10]
    return f"{held} positions on {day}, {np.abs(row).sum():.1%} of the capital."
