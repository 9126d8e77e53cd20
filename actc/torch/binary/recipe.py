"""A short recipe that trains binary networks well: two stages, distillation, a falling rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.torch.binary.layers import (
    BinaryActivation,
    InstanceThreshold,
    Latent,
)
from actc.torch.binary.signs import Sign

Augment = Callable[[Tensor, torch.Generator], Tensor]

_WARM = 0.05
"""Part of the training in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How `train_bnn` trains.

    Attributes:
        epochs: over all samples, with binary weights and activations.
        first_epochs: before that, with binary activations and real weights. (Two stages as in
            Martinez et al., "Training Binary Neural Networks with Real-to-Binary
            Convolutions", ICLR 2020.)
        rate: the highest learning rate of Adam; it rises to it at first and falls to zero as
            a cosine does, in each stage.
        batch: samples per step.
        distillation: part of the loss that is the distance from the teacher's probabilities;
            the rest is cross-entropy.
        temperature: that logits of both are divided by. (Hinton et al., "Distilling the
            Knowledge in a Neural Network", 2015.)
        decay: of weights that are no latent ones, as AdamW has it; these are clipped instead.
        seed: of the order of samples and of `augment`.
    """

    epochs: int = 60
    first_epochs: int = 0
    rate: float = 5e-3
    batch: int = 500
    distillation: float = 0.8
    temperature: float = 2.0
    decay: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch gave.

    Attributes:
        stage: 1: weights were real; 2: they were binary.
        loss: mean over its samples.
        accuracy: on the training samples, as they were met.
    """

    stage: int
    loss: float
    accuracy: float


def train_bnn(
    module: nn.Module,
    samples: Tensor,
    labels: Tensor,
    *,
    teacher: nn.Module | Tensor | None = None,
    recipe: Recipe | None = None,
    augment: Augment | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train a network with binary layers to classify; one without them is trained as well.

    Latent weights are clipped to -1..1 after each step. At the end BatchNorm's statistics are
    measured anew over all samples, with the weights as they are.

    Args:
        module: of one input, giving logits [N, classes]; trained in place, left in evaluation
            mode.
        samples: its input, the first axis counting samples.
        labels: int64 [N].
        teacher: a float network of the same input and output, better than `module`; or its
            logits [N, classes] for the samples, which costs no time in training and suits an
            `augment` that changes little; None: no distillation.
        recipe: None: the default one.
        augment: makes a changed copy of a batch.
        progress: called after each epoch.

    Returns:
        one record per epoch.

    Raises:
        UsageError: ACT0382, samples and labels do not fit together; ACT0383, the recipe is
            out of its range; ACT0384, the loss is no finite number any more.
    """
    recipe = recipe or Recipe()
    _require(recipe, samples, labels, teacher)
    if isinstance(teacher, nn.Module):
        teacher.eval()
    run = _Run(module, teacher, samples, labels, recipe, augment)
    records: list[Epoch] = []
    for stage, epochs in ((1, recipe.first_epochs), (2, recipe.epochs)):
        set_binary(module, weights=stage == 2)
        for record in run.epochs(stage, epochs):
            records.append(record)
            if progress is not None:
                progress(record)
    measure_norms(module, samples, recipe.batch)
    module.eval()
    return records


class _Run:
    """What the stages of a training share."""

    def __init__(
        self,
        module: nn.Module,
        teacher: nn.Module | Tensor | None,
        samples: Tensor,
        labels: Tensor,
        recipe: Recipe,
        augment: Augment | None,
    ) -> None:
        self.module, self.teacher, self.recipe = module, teacher, recipe
        self.samples, self.labels, self.augment = samples, labels, augment
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.latent = [layer for layer in module.modules() if isinstance(layer, Latent)]
        self.signs = [layer for layer in module.modules() if isinstance(layer, Sign)]

    def epochs(self, stage: int, count: int) -> Iterator[Epoch]:
        """Train for `count` epochs with a learning rate that rises and falls once."""
        if not count:
            return
        recipe, size = self.recipe, len(self.samples)
        steps = count * -(-size // recipe.batch)
        optimizer = torch.optim.AdamW(self._groups(), lr=recipe.rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.rate, total_steps=steps, pct_start=_WARM, cycle_momentum=False
        )
        self.module.train()
        for epoch in range(count):
            for sign in self.signs:
                sign.progress(epoch / count)
            loss, right = 0.0, 0
            order = torch.randperm(size, generator=self.generator)
            for index in torch.split(order, recipe.batch):
                step_loss, step_right = self._step(index, optimizer)
                schedule.step()
                loss, right = loss + step_loss * len(index), right + step_right
            if not math.isfinite(loss):
                message = f"the loss of epoch {epoch + 1} of stage {stage} is {loss}"
                raise UsageError(Diagnostic("ACT0384", message, help="take a lower rate"))
            yield Epoch(stage, loss / size, right / size)

    def _step(self, index: Tensor, optimizer: torch.optim.Optimizer) -> tuple[float, int]:
        x, y = self.samples[index], self.labels[index]
        if self.augment is not None:
            x = self.augment(x, self.generator)
        logits = self.module(x)
        loss = functional.cross_entropy(logits, y)
        if self.teacher is not None:
            wanted = self._wanted(x, index)
            part = self.recipe.distillation
            loss = (1 - part) * loss + part * distance(logits, wanted, self.recipe.temperature)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        for layer in self.latent:
            layer.clip()
        return float(loss.detach()), int((logits.detach().argmax(1) == y).sum())

    @torch.no_grad()
    def _wanted(self, x: Tensor, index: Tensor) -> Tensor:
        """The teacher's logits for a batch."""
        if isinstance(self.teacher, Tensor):
            return self.teacher[index]
        assert self.teacher is not None
        wanted: Tensor = self.teacher(x)
        return wanted

    def _groups(self) -> list[dict[str, Any]]:
        """Latent weights, whose size means nothing, never decay."""
        latent = {id(layer.weight) for layer in self.latent}
        rest = [p for p in self.module.parameters() if id(p) not in latent]
        return [
            {"params": [layer.weight for layer in self.latent], "weight_decay": 0.0},
            {"params": rest, "weight_decay": self.recipe.decay},
        ]


def distance(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened probabilities, times the squared temperature.

    Args:
        logits: of the student [N, classes].
        wanted: of the teacher, the same shape.
        temperature: that both are divided by.
    """
    found, given = (functional.log_softmax(v / temperature, 1) for v in (logits, wanted))
    divergence = functional.kl_div(found, given, log_target=True, reduction="batchmean")
    return temperature**2 * divergence


def set_binary(module: nn.Module, *, weights: bool = True, activations: bool = True) -> None:
    """Say what of a network is binary; what is not is real: clipped activations, latent weights.

    Args:
        module: changed in place.
        weights: of BinaryLinear and BinaryConv2d.
        activations: of BinaryActivation and InstanceThreshold.
    """
    for layer in module.modules():
        if isinstance(layer, Latent):
            layer.binary = weights
        elif isinstance(layer, (BinaryActivation, InstanceThreshold)):
            layer.binary = activations


@torch.no_grad()
def measure_norms(module: nn.Module, samples: Tensor, batch: int = 500) -> None:
    """Replace BatchNorm's running statistics by means over all samples.

    While signs of weights change, running means lag behind.

    Args:
        module: changed in place, left in evaluation mode.
        samples: its input, the first axis counting samples.
        batch: samples per step.
    """
    norms = [
        layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]
    kept = [norm.momentum for norm in norms]
    module.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for part in torch.split(samples, batch):
        if len(part) > 1:
            module(part)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    module.eval()


def _require(
    recipe: Recipe, samples: Tensor, labels: Tensor, teacher: nn.Module | Tensor | None
) -> None:
    problems = []
    if isinstance(teacher, Tensor) and (teacher.ndim != 2 or len(teacher) != len(labels)):
        message = f"a teacher's logits are [{len(labels)}, classes], not {list(teacher.shape)}"
        problems.append(Diagnostic("ACT0382", message))
    if len(samples) != len(labels) or not len(labels):
        message = f"there are {len(samples)} samples and {len(labels)} labels"
        problems.append(Diagnostic("ACT0382", message))
    if recipe.epochs < 1 or recipe.first_epochs < 0 or recipe.batch < 1:
        message = "epochs and batch are at least 1, first_epochs at least 0"
        problems.append(Diagnostic("ACT0383", message))
    numbers = (recipe.rate, recipe.temperature, recipe.distillation, recipe.decay)
    if not all(map(math.isfinite, numbers)) or recipe.rate <= 0 or recipe.temperature <= 0:
        problems.append(Diagnostic("ACT0383", "rate and temperature are positive numbers"))
    if not 0 <= recipe.distillation <= 1 or not recipe.decay >= 0:
        message = "distillation is a part, 0..1, and decay at least 0"
        problems.append(Diagnostic("ACT0383", message))
    if problems:
        raise UsageError(problems)
