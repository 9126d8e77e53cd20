"""Quantization-aware training for the example networks: few bits from the start.

Fake quantization with straight-through gradients (Bengio, Leonard and Courville, 2013;
Jacob et al., 2018) in the formats that `actc compile --weights B --activations B` chooses:
symmetric codes with a scale per output channel, unsigned codes with a zero point per
tensor. Weights are pruned by magnitude on the way (Han et al., 2015), as a weight that is
zero takes no logic. What is exported is a plain float network whose weights lie on the
grid of the codes, so that compiling finds these codes again.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

BATCH = 64
_MOMENTUM = 0.98
_LEAST_SCALE = 1e-9
_PRUNED_BY = 0.5
"""Part of the training after which all pruning is done."""
_QUANTIZED_FROM = 0.25
"""Part of the training that is in float."""


def rounded(
    x: Tensor, scale: Tensor | float, low: int | None = None, high: int | None = None
) -> Tensor:
    """`x` on the grid low * scale ... high * scale; the gradient passes unchanged."""
    nearest = (x / scale).round()
    if low is not None or high is not None:
        nearest = nearest.clamp(low, high)
    return x + (nearest * scale - x).detach()


class Stage:
    """A part of a network that changes as training goes on.

    Attributes:
        quantized: whether the forward pass rounds.
        keep: the part of its weights or edges that is left at the end.
    """

    quantized: bool
    keep: float = 1.0

    def prune(self, part: float) -> None:
        """Keep the most important `part` of all weights or edges."""


class FewBitLinear(nn.Linear, Stage):
    """A linear layer with weights of few bits, some of them pruned.

    Attributes:
        bits: of a code, symmetric around zero.
        keep: the part of its weights that is left at the end.
        quantized: whether the forward pass rounds weights.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, bits: int, keep: float = 1.0) -> None:
        super().__init__(inputs, outputs)
        self.bits, self.keep, self.quantized = bits, keep, False
        self.register_buffer("mask", torch.ones(outputs, inputs))

    def codes_times_scale(self) -> Tensor:
        """The weights as the integer network has them [outputs, inputs]."""
        weight, largest = self.weight * self.mask, 2 ** (self.bits - 1) - 1
        scale = weight.detach().abs().amax(1, keepdim=True) / largest
        return rounded(weight, scale.clamp(min=_LEAST_SCALE), -largest, largest)

    def prune(self, part: float) -> None:
        """Keep the largest `part` of all weights."""
        size = self.weight.detach().abs()
        dropped = int((1 - part) * size.numel())
        self.mask.copy_(size >= size.flatten().sort().values[dropped])

    def forward(self, x: Tensor) -> Tensor:
        """x [N, inputs] to [N, outputs]."""
        weight = self.codes_times_scale() if self.quantized else self.weight * self.mask
        return nn.functional.linear(x, weight, self.bias)

    def plain(self) -> nn.Linear:
        """The float layer with the weights that the codes stand for."""
        layer = nn.Linear(self.in_features, self.out_features)
        with torch.no_grad():
            layer.weight.copy_(self.codes_times_scale())
            layer.bias.copy_(self.bias)
        return layer


class FewBits(nn.Module, Stage):
    """A tensor of few bits: unsigned codes over the range that was seen.

    Attributes:
        bits: of a code.
        quantized: whether the forward pass rounds.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits, self.quantized, self.low, self.high = bits, False, 0.0, 0.0

    def forward(self, x: Tensor) -> Tensor:
        """`x`, rounded; in training mode the range follows it."""
        if self.training:
            low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
            self.low = _MOMENTUM * self.low + (1 - _MOMENTUM) * low
            self.high = _MOMENTUM * self.high + (1 - _MOMENTUM) * high
        if not self.quantized:
            return x
        largest = 2**self.bits - 1
        scale = max((self.high - self.low) / largest, _LEAST_SCALE)
        zero = round(-self.low / scale)
        return rounded(x, scale, -zero, largest - zero)


def few_bit_mlp(sizes: tuple[int, ...], weights: int, tensors: int, keep: float) -> nn.Sequential:
    """Linear layers with GELU between them, every tensor and weight of few bits.

    Args:
        sizes: of the tensors, the input first.
        weights, tensors: bits.
        keep: the part of its weights that each layer keeps; the last one at least 0.6.
    """
    layers: list[nn.Module] = [FewBits(tensors)]
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [FewBitLinear(inputs, outputs, weights, keep), FewBits(tensors)]
        layers += [nn.GELU(), FewBits(tensors)]
    return nn.Sequential(*layers, FewBitLinear(*sizes[-2:], weights, max(keep, 0.6)))


def plain(model: nn.Sequential) -> nn.Sequential:
    """The float network behind a network of few bits."""
    kept = (layer for layer in model if not isinstance(layer, FewBits))
    return nn.Sequential(
        *(layer.plain() if isinstance(layer, FewBitLinear) else layer for layer in kept)
    ).eval()


def train(
    model: nn.Module,
    samples: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    epochs: int,
    seed: int = 0,
    batch: int = BATCH,
    rate: float = 1e-2,
) -> None:
    """AdamW with one cycle of the learning rate; float first, then pruned and rounded.

    Args:
        samples: in the model's input shape, the first axis counting them.
        labels: classes [N].
    """
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(samples), torch.from_numpy(labels)
    steps = epochs * -(-len(x) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for epoch in range(epochs):
        prepare_epoch(model, epoch / epochs)
        model.train()
        for index in torch.split(torch.randperm(len(x), generator=generator), batch):
            loss = nn.functional.cross_entropy(model(x[index]), y[index], label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    model.eval()


def prepare_epoch(model: nn.Module, done: float) -> None:
    """Prune and round as much as is due when the part `done` of the training is over."""
    for layer in model.modules():
        if isinstance(layer, Stage):
            layer.quantized = done >= _QUANTIZED_FROM
            if done <= _PRUNED_BY:
                layer.prune(1 - (1 - layer.keep) * done / _PRUNED_BY)
