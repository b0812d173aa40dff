"""A backtest through the platform's library, outside the notebook."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lib.cli import environment

if TYPE_CHECKING:
    from lib.strategy import Strategy

UNSET = ("SUBMISSION_ID", "MULTI_PASS_MODE_ENABLED", "IN_STATE_PATH", "LAST_DATA_PATH")
WRITTEN = ("OUTPUT_PATH", "OUT_STATE_PATH")


def backtest(strategy: "Strategy", start: str, end: str | None = None, **options: Any) -> Any:
    """Backtest a strategy day by day with `qnt.backtester.backtest_ml`, without analysis and plots.

    Parameters
    ----------
    strategy : Strategy
    start, end : str, YYYY-MM-DD
        First and last day; None for the last day there is.
    **options
        Further arguments of `backtest_ml`, or others than the strategy's, such as `train`.

    Returns
    -------
    weights : xarray.DataArray, (time, asset)
    state : State, or list of State with ``collect_all_states=True``
    """
    import qnt.backtester as qnbt

    arguments = {
        "load_data": strategy.load_data,
        "train": strategy.train_model,
        "predict": strategy.predict,
        "train_period": strategy.train_period,
        "retrain_interval": strategy.retrain_interval,
        "lookback_period": strategy.lookback_period,
        "predict_each_day": True,
        "competition_type": strategy.competition_type,
        "start_date": start,
        "end_date": end,
        "analyze": False,
        "build_plots": False,
    }
    return qnbt.backtest_ml(**arguments | options)


@contextmanager
def leaving_no_files() -> Iterator[None]:
    """Let what the library writes go to a temporary folder, whatever the environment says."""
    with tempfile.TemporaryDirectory() as folder:
        written = {name: f"{folder}/{name}" for name in WRITTEN}
        with environment({**dict.fromkeys(UNSET), **written, "NONINTERACT": "1"}):
            yield
