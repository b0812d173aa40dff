"""What model says whether a price will rise?"""

import torch
from torch import nn

from lib.strategy import Strategy, find

# ---- your place: a model is made from the number of features and the strategy, takes (asset, time, feature),
# answers (asset, time): one number for each day, from that day and those before it ----


class LSTM(nn.Module):
    """The published model: two layers of LSTM and a linear layer.

    `lib/kernel.py` states this class once more, for speed, and is used as long as this reads as it does now.
    Change it, and training uses what stands here.
    """

    def __init__(self, n_features: int, strategy: Strategy):
        super().__init__()
        self.lstm = nn.LSTM(n_features, strategy.hidden_size, num_layers=2, batch_first=True)
        self.linear = nn.Linear(strategy.hidden_size, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (asset, time, feature) to (asset, time)."""
        hidden, _ = self.lstm(x)  # (asset, time, hidden_size)
        return self.linear(hidden).squeeze(-1)


MODELS = {model.__name__: model for model in (LSTM,)}

# ---- end of your place ----


def get_model(strategy: Strategy | None = None) -> nn.Module:
    """A model before training: the same initial weights for every asset, drawn from the strategy's seed.

    The caller's random generators stay as they are.
    """
    strategy = strategy or Strategy()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(strategy.seed)
        return find("model", strategy.model, MODELS)(len(strategy.features), strategy)
