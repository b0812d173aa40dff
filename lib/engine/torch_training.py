"""Training of any model in torch, as published.

There is one model per asset, and all assets train together where torch can.
"""

import copy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from lib.common.errors import WrongValueError
from lib.common.registry import find, label
from lib.engine.inputs import TrainingSet, in_chunks, stacked
from lib.engine.lbfgs import minimise
from lib.engine.lstm import one_thread
from lib.engine.torch_models import Batch, check_shape, trained
from lib.engine.torch_options import fit_with_options
from lib.model import model as models_by_name

if TYPE_CHECKING:
    from lib.parameters import Parameters


TOGETHER = 16  # most assets of one call


@contextmanager
def seeded(strategy: "Parameters") -> Iterator[None]:
    """Draw torch's random numbers from the strategy's seed.

    The caller's generators stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(strategy.seed)
        yield


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Limit torch to one thread.

    Its tensors are too small to share, and waiting threads cost time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def new_model(strategy: "Parameters") -> nn.Module:
    """Make an untrained model from the strategy's seed.

    Its initial weights are the same for every asset.
    """
    with seeded(strategy):
        return _new_model(strategy)


def _new_model(strategy: "Parameters") -> nn.Module:
    return find("model", strategy.model, models_by_name)(len(strategy.features), strategy)


@one_torch_thread()
def fit(examples: Mapping[str, tuple], strategy: "Parameters") -> dict[str, tuple]:
    """Train the model of each asset in torch.

    The result is by asset the model, the losses before each step, and the output (time,) afterwards.

    `examples` are by asset the sequence (time, feature) and the target (time,), float32. Each asset's
    training draws its random numbers, including dropout's, from the strategy's seed alone, so that it is the
    same whichever other assets are trained, and when it is repeated.
    """
    fitted: dict[str, tuple] = {}
    untrained = new_model(strategy)
    if not trained(untrained):
        _check_single_day(untrained, next(iter(examples.values()))[0], strategy)
        outputs = {asset: output_of(untrained, x) for asset, (x, _) in examples.items()}
        return {asset: (copy.deepcopy(untrained), (), output) for asset, output in outputs.items()}
    for assets, x, y in stacked(examples):
        try:
            results = in_chunks(partial(_fit_together, strategy), x, y, TOGETHER)
        except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
            _report(strategy, error)
            results = [_fit_alone(*example, strategy) for example in zip(x, y, strict=True)]
        for asset, (values, losses, output) in zip(assets, results, strict=True):
            fitted[asset] = _with(untrained, *values), losses, output
    _check_inputs(next(iter(fitted.items())), examples, strategy)
    return fitted


@one_torch_thread()
def fit_panel(training_set: TrainingSet, strategy: "Parameters") -> dict[str, tuple]:
    """Train models with the strategy's training options.

    The result is by asset the model, the losses, and the losses in validation. A pooled model is the same
    object for all assets. A model without parameters that training changes is a rule.
    """
    assets, (x, y, known) = training_set.assets, training_set[2:5]
    untrained = new_model(strategy)
    if not trained(untrained):
        return dict.fromkeys(assets, (untrained.eval(), (), ()))
    if strategy.scope == "pooled":
        result = fit_with_options(_new_model, x, y, known, training_set.horizon, strategy)
        return dict.fromkeys(assets, result)
    found = {}
    for k, asset in enumerate(assets):
        if known[k].any():
            part = (x[k : k + 1], y[k : k + 1], known[k : k + 1])
            found[asset] = fit_with_options(_new_model, *part, training_set.horizon, strategy)
    examples = {asset: xy for asset, xy in training_set.examples.items() if asset in found}
    _check_inputs(next(iter(found.items())), examples, strategy)
    return found


def _check_inputs(
    first: tuple[str, tuple], examples: Mapping[str, tuple[np.ndarray, np.ndarray]], strategy: "Parameters"
) -> None:
    """Report a model that needs inputs missing in prediction.

    A prediction does not show these inputs to a model of one asset.
    """
    asset, (model, *_) = first
    if not strategy.window:
        _check_single_day(model, examples[asset][0], strategy)
    _check_alone(model, examples, strategy)


def _check_alone(model: nn.Module, examples: Mapping[str, tuple], strategy: "Parameters") -> None:
    """Report a model that looks across assets.

    Each model sees one asset at a time.
    """
    if len(examples) < 2:
        return
    days = min(len(x) for x, _ in examples.values())
    pair = torch.from_numpy(np.stack([x[-days:] for x, _ in list(examples.values())[:2]]))
    with torch.no_grad():
        try:
            together, alone = model.eval()(pair), model(pair[:1])
        except Exception:  # made for one asset
            return
    if not torch.allclose(together[:1], alone, rtol=1e-4, atol=1e-5, equal_nan=True):
        _print_once(
            f"The output of model {label(strategy.model)} depends on other assets, but each asset has a "
            'model of its own that sees no others: set scope="pooled" to train one on all of them.'
        )


def _check_single_day(model: nn.Module, x: np.ndarray, strategy: "Parameters") -> None:
    """Report a model that depends on earlier days.

    Its output for the last day depends on days that a prediction leaves out.

    Raises
    ------
    ValueError
        The model fails on one day alone.
    """
    if strategy.whole_sequence or len(x) == 1:
        return
    advice = "set whole_sequence=True to let it see the days of the lookback window"
    whole = output_of(model, x)[-1]
    try:
        alone = output_of(model, x[-1:])[-1]
    except Exception as error:
        raise WrongValueError(
            f"Model {label(strategy.model)} fails on a single day, which is all that a prediction shows it: "
            f"{advice}."
        ) from error
    if not np.isclose(whole, alone, rtol=1e-4, atol=1e-5, equal_nan=True):
        _print_once(
            f"The output of model {label(strategy.model)} depends on earlier days, but a prediction shows it "
            f"the last day alone: {advice}."
        )


@one_thread
def _fit_together(strategy: "Parameters", x: np.ndarray, y: np.ndarray) -> list[tuple]:
    """Train the models of several assets together.

    `x` is (asset, time, feature), and `y` (asset, time). The result has for each asset the row of parameters
    with the buffers, the losses and the output.
    """
    with seeded(strategy):
        batch = Batch(_new_model(strategy))
        rows = np.repeat(batch.row[None], len(x), axis=0)
        losses = minimise(
            rows,
            lambda active, chosen: batch.loss_and_gradient(chosen, x[active], y[active]),
            strategy.learning_rate,
            strategy.epochs,
        )
    outputs = batch.outputs(rows, x)
    results = zip(rows, losses, outputs, strict=True)
    return [((row, {}), tuple(of_asset), output) for row, of_asset, output in results]


def _with(model: nn.Module, row: np.ndarray, buffers: Mapping[str, np.ndarray]) -> nn.Module:
    """Return a copy of the model with trained parameters.

    The copy also has the given buffers and is in evaluation mode.
    """
    model = copy.deepcopy(model)
    nn.utils.vector_to_parameters(torch.from_numpy(row.copy()), trained(model))
    for name, values in buffers.items():
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, torch.from_numpy(values))
    return model.eval()


def _report(strategy: "Parameters", error: Exception) -> None:
    reason = str(error).strip().partition("\n")[0][:100]
    _print_once(
        f"Model {label(strategy.model)} is trained asset by asset, since torch cannot batch it: {reason}"
    )


def _print_once(line: str) -> None:
    if line not in _reported:
        _reported.add(line)
        print(line, file=sys.stderr, flush=True)


_reported: set[str] = set()


def _fit_alone(x: np.ndarray, y: np.ndarray, strategy: "Parameters") -> tuple:
    inputs, target = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
    losses: list[float] = []
    with seeded(strategy):
        model = _new_model(strategy).train()
        optimiser = torch.optim.LBFGS(model.parameters(), lr=strategy.learning_rate)

        def closure() -> torch.Tensor:
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(_output(model, inputs), target)
            loss.backward()
            losses.append(loss.item())
            return loss

        for _ in range(strategy.epochs):
            optimiser.step(closure)
    row = nn.utils.parameters_to_vector(trained(model)).detach().numpy()
    buffers = {name: buffer.detach().numpy() for name, buffer in model.named_buffers()}
    return (row, buffers), tuple(losses), output_of(model, x)


def output_of(model: Any, x: np.ndarray) -> np.ndarray:
    """Compute the output of a model in evaluation mode.

    The output is (time,) for a sequence (time, feature), float32.
    """
    if isinstance(model, nn.Module):
        model.eval()
    with torch.no_grad():
        return _output(model, torch.from_numpy(x)[None])[0].numpy()


def _output(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    output = model(inputs)
    check_shape(output.shape, inputs.shape)
    return output
