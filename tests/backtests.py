"""A backtest of a strategy through the platform's library, as the notebook calls it."""

from typing import Any

import qnt.backtester as qnbt

from lib import Strategy


def backtest(strategy: Strategy, start_date: str, **options: Any) -> Any:
    """Backtest day by day, without analysis and plots; `options` replace what the strategy says."""
    from_strategy = {
        "load_data": strategy.load_data,
        "train": strategy.train_model,
        "predict": strategy.predict,
        "train_period": strategy.train_period,
        "lookback_period": strategy.lookback_period,
        "retrain_interval": strategy.retrain_interval,
        "competition_type": strategy.competition_type,
    }
    fixed = {"start_date": start_date, "predict_each_day": True, "analyze": False, "build_plots": False}
    return qnbt.backtest_ml(**from_strategy | fixed | options)
