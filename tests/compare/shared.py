"""Small variants, and functions of a user's own, that the tests of the comparison share."""

import contextlib
import warnings

import numpy as np

from lib.compare import RunWarning
from lib.compare.variants import grid

START, END = "2024-12-02", "2024-12-06"
SMALL = {"hidden_size": 4, "train_period": 40, "lookback_period": 40}
VARIANTS = [{**SMALL, **more} for more in grid({"top_assets": [3, 12], "lwma_period": [3, 5]})]
RANGE = {"start_date": START, "end_date": END, "progress": False}
HERE = {"workers": 1, "backend": "threading"}  # in this process: no worker has to start


def two_days(data, strategy, power=1):
    """A feature of the user's own."""
    close = data.sel(field="close").values
    return np.concatenate([np.ones_like(close[:2]), close[2:] / close[:-2]]) ** power


def broken(data, strategy):
    raise RuntimeError("no such column: earnings")


class Ratio:
    """A callable object as a feature."""

    def __init__(self, days):
        self.days = days

    def __call__(self, data, strategy):
        return two_days(data, strategy) * self.days


@contextlib.contextmanager
def one_warning(*sentences):
    """One RunWarning with these sentences; what the library warns of in this process is ignored."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RunWarning)
        yield
    (warning,) = caught
    for sentence in sentences:
        assert sentence in str(warning.message)
