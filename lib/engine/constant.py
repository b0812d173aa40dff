"""The constant model, whose output is one half for every asset and day."""

from typing import Any

ANSWER = 0.5


class Constant:
    """A model named "constant", which needs neither torch nor training: one half for every asset and day."""

    def __call__(self, x: Any) -> Any:
        """From (asset, time, feature), an array or a tensor of finite numbers, to (asset, time)."""
        return x[..., 0] * 0 + ANSWER


MODELS = {"constant": Constant}  # the models besides those of lib/model.py
