"""Training of a torch module with options.

It may be pooled, with windows, a loss, an optimiser, or early stopping. An example is a day with all assets
of the training: (asset, time, feature), of which the last day counts if there is a window, and every day if
there is none. A missing value is 0 in the input, and has no part in the loss. A module whose `forward` takes
`known` also receives which days of which assets are known.
"""

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lib.common.errors import WrongTypeError, WrongValueError
from lib.common.registry import label
from lib.engine.learners import windows_of
from lib.engine.torch_models import check_shape, with_batchable_layers

if TYPE_CHECKING:
    from lib.parameters import Parameters

DAYS_AT_ONCE = 64  # of windows in memory when outputs are computed


class _Examples(NamedTuple):
    """The examples of a training as tensors.

    A day is a row.
    """

    x: torch.Tensor  # (asset, time, feature)
    known: torch.Tensor  # (asset, time)
    y: torch.Tensor  # (time, asset)
    used: torch.Tensor  # (time, asset): pairs with an output and a target


def fit_with_options(
    new_model: Callable[["Parameters"], nn.Module],
    x: np.ndarray,
    y: np.ndarray,
    known: np.ndarray,
    horizon: int,
    strategy: "Parameters",
) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    """Train one module on assets together.

    Parameters
    ----------
    new_model : callable
        Makes the module before training, from the strategy and torch's random numbers.
    x, y, known : numpy.ndarray
        Features (asset, time, feature), targets (asset, time), and days with both.
    horizon : int
        Days that a target reaches ahead.
    strategy : Parameters

    Returns
    -------
    model : torch.nn.Module
        In evaluation mode.
    losses : tuple of float
        Of L-BFGS before each step, of Adam the mean of each epoch.
    validation_losses : tuple of float
        After each epoch; empty without validation.

    Raises
    ------
    ValueError, TypeError
        The target does not suit the loss, the loss is no scalar, or the validation leaves no day to train on.
    """
    if strategy.scope == "asset" and not strategy.window:  # known days follow each other, as published
        x, y, known = x[:, known[0]], y[:, known[0]], known[:, known[0]]
    examples = _examples(x, y, known, strategy)
    training_days, validation_days = _split(examples.used.any(dim=1).numpy(), horizon, strategy)
    _check_target(examples, strategy)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(strategy.seed)
        model = new_model(strategy).train()
        outputs = _Outputs(model, examples, strategy)
        losses: list[float] = []
        validation: list[float] = []
        best = copy.deepcopy(model.state_dict())
        for _ in _epochs(outputs, training_days, losses, strategy):
            if not strategy.validation:
                continue
            with torch.no_grad():
                model.eval()
                validation.append(outputs.loss(validation_days).item())
                model.train()
            if validation[-1] <= min(validation):
                best = copy.deepcopy(model.state_dict())
            if strategy.patience and len(validation) - 1 - int(np.argmin(validation)) >= strategy.patience:
                break
        if strategy.patience:
            model.load_state_dict(best)
    return model.eval(), tuple(losses), tuple(validation)


def module_outputs(
    model: Any, x: np.ndarray, known: np.ndarray, strategy: "Parameters"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs of a module for all assets.

    The outputs (asset, time) are computed for all assets together. The second array is True where there are
    any.
    """
    examples = _examples(x, np.zeros(known.shape, x.dtype), known, strategy)
    if isinstance(model, nn.Module):
        model.eval()
    outputs = _Outputs(model, examples, strategy)
    used = examples.used.numpy()
    values = np.full(used.shape, np.nan)
    days = np.flatnonzero(used.any(axis=1))
    with torch.no_grad():
        if strategy.window:
            for first in range(0, len(days), DAYS_AT_ONCE):
                part = days[first : first + DAYS_AT_ONCE]
                values[part] = outputs.of_windows(part).numpy()
        elif len(days):
            values[:] = outputs.of_sequence(len(values)).numpy()
    return np.where(used, values, np.nan).T, used.T


def _examples(x: np.ndarray, y: np.ndarray, known: np.ndarray, strategy: "Parameters") -> _Examples:
    used = known.copy()
    if strategy.window:
        used[:, : strategy.window - 1] = False
        if strategy.scope == "asset" and known.shape[1] >= strategy.window:
            used[:, strategy.window - 1 :] = windows_of(known, strategy.window).all(axis=2).T
    filled = np.where(known[..., None], x, 0).astype(np.float32)
    target = np.where(used, y, 0).astype(np.float32).T
    arrays = (filled, known, np.ascontiguousarray(target), np.ascontiguousarray(used.T))
    return _Examples(*map(torch.from_numpy, arrays))


def _split(days: np.ndarray, horizon: int, strategy: "Parameters") -> tuple[np.ndarray, np.ndarray]:
    """Return the days of training and of validation.

    `days` is True for each day that can be used.
    """
    usable = np.flatnonzero(days)
    if not strategy.validation:
        return usable, usable[:0]
    labelled = usable[usable < len(days) - horizon]
    last = labelled[len(labelled) - math.ceil(strategy.validation * len(labelled)) :]
    before = usable[usable < last[0] - max(horizon, 1)] if len(last) else usable[:0]
    if not len(before):
        raise WrongValueError(
            f"validation={strategy.validation} leaves no day of the {len(days)} in the training window to "
            "train on: choose a smaller share, or a longer train_period."
        )
    return before, last


def _check_target(examples: _Examples, strategy: "Parameters") -> None:
    target = examples.y[examples.used]
    if strategy.loss == "bce" and len(target) and (target.min() < 0 or target.max() > 1):
        raise WrongValueError(
            f'loss="bce" takes a target from 0 to 1, and {label(strategy.target)} has values from '
            f'{target.min():.3g} to {target.max():.3g}: choose loss="mse", or a target of two classes such '
            'as "next_open_up".'
        )


def _epochs(
    outputs: "_Outputs", days: np.ndarray, losses: list[float], strategy: "Parameters"
) -> Iterator[None]:
    """Train epoch by epoch and append the losses."""
    parameters = [each for each in outputs.model.parameters() if each.requires_grad]
    if strategy.optimiser == "LBFGS":
        optimiser: Any = torch.optim.LBFGS(parameters, lr=strategy.learning_rate)

        def closure() -> torch.Tensor:
            optimiser.zero_grad()
            loss = outputs.loss(days)
            loss.backward()
            losses.append(loss.item())
            return loss

        for _ in range(strategy.epochs):
            optimiser.step(closure)
            yield
        return
    optimiser = torch.optim.Adam(parameters, lr=strategy.learning_rate)
    for _ in range(strategy.epochs):
        order = days[torch.randperm(len(days)).numpy()] if strategy.batch_size else days
        sums = 0.0
        for first in range(0, len(order), strategy.batch_size or len(order)):
            part = order[first : first + (strategy.batch_size or len(order))]
            optimiser.zero_grad()
            loss = outputs.loss(part)
            loss.backward()
            optimiser.step()
            sums += loss.item() * len(part)
        losses.append(sums / len(order))
        yield


class _Outputs:
    """The outputs of a module and their loss.

    They are computed for chosen days of a training.
    """

    def __init__(self, model: nn.Module, examples: _Examples, strategy: "Parameters"):
        self.model, self.examples, self.strategy = model, examples, strategy
        forward = getattr(model, "forward", None)
        self._takes_known = forward is not None and "known" in inspect.signature(forward).parameters
        self._batched: nn.Module | None = None
        self._one_by_one = False

    def loss(self, days: np.ndarray) -> torch.Tensor:
        """Return the loss of the days, a scalar."""
        windows = self.strategy.window
        output = self.of_windows(days) if windows else self.of_sequence(int(days[-1]) + 1)[days]
        used = self.examples.used[days]
        output, target = output[used], self.examples.y[days][used]
        if self.strategy.loss == "mse":
            return nn.functional.mse_loss(output, target)
        if self.strategy.loss == "bce":
            return nn.functional.binary_cross_entropy_with_logits(output, target)
        loss = self.strategy.loss(output, target)  # type: ignore[operator]
        if not isinstance(loss, torch.Tensor) or loss.dim():
            raise WrongTypeError(
                f"loss {label(self.strategy.loss)} must return a scalar tensor of output and target, not "
                f"{loss if not isinstance(loss, torch.Tensor) else f'a tensor of shape {tuple(loss.shape)}'}."
            )
        return loss

    def of_sequence(self, days: int) -> torch.Tensor:
        """Return the outputs of days as one sequence.

        The sequence has the first `days` days, and the outputs are (time, asset).
        """
        return self._checked(self.examples.x[:, :days], self.examples.known[:, :days]).T

    def of_windows(self, days: np.ndarray) -> torch.Tensor:
        """Return the outputs of the windows of days.

        The outputs (day, asset) are of the last day of each day's window.
        """
        window = self.strategy.window
        at = torch.from_numpy(np.asarray(days)[:, None] + np.arange(1 - window, 1))
        x = self.examples.x[:, at].transpose(0, 1)  # (day, asset, window, feature)
        known = self.examples.known[:, at].transpose(0, 1)
        if self.strategy.scope == "asset":
            return self._checked(x[:, 0], known[:, 0])[:, -1:]
        if not self._one_by_one and len(days) > 1:
            try:
                return self._together(x, known)[:, :, -1]
            except (RuntimeError, NotImplementedError, TypeError, AttributeError):
                self._one_by_one = True  # torch cannot batch this module
        each = [self._checked(*example)[:, -1] for example in zip(x, known, strict=True)]
        return torch.stack(each)

    def _together(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Return the outputs of several days in one call.

        They are (day, asset, window).
        """
        if self._batched is None:
            if any(True for _ in self.model.buffers()):  # of batch normalisation, which training changes
                raise NotImplementedError
            self._batched = with_batchable_layers(copy.deepcopy(self.model))
        batched, parameters = self._batched.train(self.model.training), dict(self.model.named_parameters())

        def of_day(*arguments: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(batched, parameters, arguments)

        arguments = (x, known) if self._takes_known else (x,)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")  # slower, not wrong
            output = torch.vmap(of_day, randomness="different")(*arguments)
        check_shape(output.shape[1:], x.shape[1:])
        return output

    def _checked(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        output = self.model(x, known) if self._takes_known else self.model(x)
        check_shape(output.shape, x.shape)
        return output
