"""Windows: the last days of each day, as sequences or as rows of an estimator."""

import numpy as np


def windows_of(values: np.ndarray, days: int) -> np.ndarray:
    """Return the last `days` days of each day from the first that has them, a view.

    (asset, time) becomes (time - days + 1, asset, days), and (asset, time, feature) becomes (time - days + 1,
    asset, days, feature).
    """
    windows = np.lib.stride_tricks.sliding_window_view(values, days, axis=1)
    return np.moveaxis(windows.swapaxes(0, 1), -1, 2)


def rows_of(x: np.ndarray, known: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (row, column) of an estimator, and their places (asset, time).

    A row has the features of an asset's last `days` days, the oldest first. It exists where all of them are
    `known`. The rows are ordered by day, then by asset.
    """
    there = np.zeros(known.shape, bool)
    if known.shape[1] >= days:
        there[:, days - 1 :] = windows_of(known, days).all(axis=2).T
    time, asset = np.nonzero(there.T)
    if not len(time):
        return np.empty((0, days * x.shape[2]), x.dtype), there
    rows = windows_of(x, days)[time - days + 1, asset]
    return rows.reshape(len(time), -1), there
