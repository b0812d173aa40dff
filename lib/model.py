"""The models, in torch: yours to change.

A model is built from the number of features and the strategy. It takes (asset, time, feature) and returns
(asset, time): one number per day, computed from this day and the days before. Estimators with `fit` and
`predict`, and rules, need no entry here: name them in the notebook (see lib/README.md).
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from lib.common.registry import Choices

if TYPE_CHECKING:
    from lib.parameters import Parameters

model = Choices("model")


@model
class LSTM(nn.Module):
    """The published model: two layers of LSTM and a linear layer.

    `lib/engine/lstm.py` trains this class in numpy as long as its code is unchanged. Once it is edited, it is
    trained in torch.
    """

    def __init__(self, n_features: int, strategy: "Parameters"):
        super().__init__()
        self.lstm = nn.LSTM(n_features, strategy.hidden_size, num_layers=2, batch_first=True)
        self.linear = nn.Linear(strategy.hidden_size, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (asset, time, feature) to (asset, time)."""
        hidden, _ = self.lstm(x)  # (asset, time, hidden_size)
        return self.linear(hidden).squeeze(-1)
