"""A training loop that ends at a budget of logic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.torch.hardware import LogicBudget, adder_bits
from actc.torch.module import PreparedModule

Array = np.ndarray[Any, Any]
Samples = Tensor | Array | Mapping[str, Tensor | Array]
Loss = Callable[[Any, Tensor], Tensor]

_SHRINKING = 0.5
"""Part of the training after which the budget is reached; what is left recovers accuracy."""
_AIMS = 3
"""How often in an epoch the choice of codes follows the weights."""
_SMOOTHING = 0.05


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch gave.

    Attributes:
        loss: mean over its samples.
        bits: adder bits at its end.
    """

    loss: float
    bits: int


def fine_tune_for_logic(
    module: PreparedModule,
    samples: Samples,
    labels: Tensor | Array,
    *,
    bits: int,
    epochs: int = 40,
    rate: float = 5e-3,
    batch: int = 32,
    seed: int = 0,
    loss: Loss | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train a prepared module until all its adders have at most `bits` bits together.

    In the first half of the epochs the budget falls from what the module has to `bits`,
    fast at first (the cubic schedule of Zhu and Gupta, "To prune, or not to prune", 2017);
    the second half recovers accuracy. Adam with a learning rate that falls to zero. At the
    end the codes are settled: the module computes what `export` writes, as ever.

    Args:
        module: trained in place.
        samples: its inputs, the first axis counting samples: one, or by name.
        labels: what `loss` compares with, the first axis counting samples.
        bits: the budget; see `actc.torch.hardware.logic` for what they are.
        epochs: over all samples.
        rate: the highest learning rate.
        batch: samples of a step.
        seed: of the order of the samples.
        loss: of outputs and labels; None: cross-entropy with smoothed labels.
        progress: called after each epoch.

    Returns:
        one record per epoch.

    Raises:
        UsageError: ACT0380, the module has no weights; ACT0381, no codes are within `bits`;
            ACT0382, samples and labels do not fit together; ACT0383, an option is out of
            its range; ACT0384, the loss became infinite; ACT0376, the samples are not the
            module's inputs.
    """
    inputs, wanted = _tensors(module, samples, labels)
    _require(epochs=epochs, batch=batch, rate=rate)
    budget, start, measure = LogicBudget(module), adder_bits(module), loss or _cross_entropy
    budget.require(bits)
    with torch.no_grad():  # refuses inputs that are not the module's before anything changes
        module(**{name: tensor[:1] for name, tensor in inputs.items()})
    batches = -(-len(wanted) // batch)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    generator, history = torch.Generator().manual_seed(seed), []
    aims = max(batches // _AIMS, 1)
    for epoch in range(epochs):
        goal, lost = _goal(start, bits, (epoch + 1) / epochs), 0.0
        order = torch.randperm(len(wanted), generator=generator)
        for number, index in enumerate(torch.split(order, batch)):
            if number % aims == 0:
                budget.aim(goal)
            given = {name: tensor[index] for name, tensor in inputs.items()}
            value = measure(module(**given), wanted[index])
            optimizer.zero_grad()
            torch.autograd.backward(value)
            optimizer.step()
            schedule.step()
            lost += float(value.detach()) * len(index)
        if not math.isfinite(lost):
            message = f"the loss became {lost} in epoch {epoch + 1}"
            raise UsageError(Diagnostic("ACT0384", message, help="train at a lower rate"))
        history.append(Epoch(lost / len(wanted), budget.aim(goal)))
        if progress is not None:
            progress(history[-1])
    budget.settle()
    return history


def _goal(start: int, bits: int, done: float) -> int:
    """The budget when the part `done` of the training is over."""
    left = max(1 - done / _SHRINKING, 0.0) ** 3
    return bits + round(max(start - bits, 0) * left)


def _cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(outputs, labels, label_smoothing=_SMOOTHING)


def _tensors(
    module: PreparedModule, samples: Samples, labels: Tensor | Array
) -> tuple[dict[str, Tensor], Tensor]:
    """The inputs by name, and the labels."""
    if not isinstance(samples, Mapping):
        samples = dict.fromkeys(module.inputs[:1], samples)
    inputs = {name: torch.as_tensor(array) for name, array in samples.items()}
    wanted = torch.as_tensor(labels)
    counts = {name: tensor.shape[:1] for name, tensor in inputs.items()}
    if not wanted.shape[:1].numel() or any(n != wanted.shape[:1] for n in counts.values()):
        found = ", ".join(f"'{name}' {list(tensor.shape)}" for name, tensor in inputs.items())
        message = f"samples and labels do not fit: {found} and labels {list(wanted.shape)}"
        help_text = "give as many labels as samples, and at least one"
        raise UsageError(Diagnostic("ACT0382", message, help=help_text))
    if wanted.dtype in (torch.int8, torch.uint8, torch.int16, torch.int32):
        wanted = wanted.to(torch.int64)
    return inputs, wanted


def _require(epochs: int, batch: int, rate: float) -> None:
    problems = [
        f"{name} must be at least 1, not {value}"
        for name, value in (("epochs", epochs), ("batch", batch))
        if value < 1
    ]
    if not 0 < rate < math.inf:
        problems.append(f"rate must be a positive number, not {rate}")
    if problems:
        raise UsageError(Diagnostic("ACT0383", problem) for problem in problems)
