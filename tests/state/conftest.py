"""Two states of one strategy, and what a file around one says."""

import gzip
import pickle
from typing import Any

import numpy as np
import pytest

from lib.state import State

DAY = np.datetime64("2024-12-27")
PARAMETERS = {"competition_type": "stocks_nasdaq100", "top_assets": 12, "learning_rate": 0.08}
OLD = State(DAY, {"NAS:AAPL": 0.1, "NAS:MSFT": 0.05}, {"NAS:AAPL": 0.02}, PARAMETERS)
NEW = State(DAY + 3, {"NAS:MSFT": 0.1}, OLD.weights, PARAMETERS)
AFRESH = r"To start afresh, move it away\.$"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pickle.gz"


def packed(content: Any) -> bytes:
    return gzip.compress(content if isinstance(content, bytes) else pickle.dumps(content), mtime=0)
