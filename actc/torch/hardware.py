"""Weights that take little logic: few signed digits, by a proximal choice of codes.

Where a network is unrolled, a weight is not multiplied by but wired: each digit of its
canonical signed-digit form that is not zero is one operand of an adder tree (Reitwiesner,
"Binary arithmetic", 1960). A weight of zero takes nothing, a power of two as much as one.

`LogicBudget` lets each weight w stand for the code c of least

    ((w / scale - c) / largest)^2 + strength * bits of an adder * digits(c)

in the place of the nearest one: the proximal operator of the number of adder bits, of which
hard thresholding (pruning by magnitude) is the part at zero. The gradient passes unchanged,
so that real weights go on learning, and come back, behind the codes (as in binary networks;
for proximal operators: Bai, Wang and Liberty, "ProxQuant", ICLR 2019). The strength follows
from a budget: digits only ever get fewer as it rises, so bisection finds it.

The forward pass computes with those codes, so it still equals what `export` writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.torch.module import PreparedModule
from actc.torch.shadow import Choice, Shadow

Array = np.ndarray[Any, Any]

_GROWTH = 2
"""Bits by which an adder of a balanced tree is wider than the operands of the tree, on average."""
_BISECTIONS = 40
_STRONGEST = 2.0**40
"""A strength that no weight but the cheapest withstands."""


def signed_digits(codes: Array) -> Array:
    """The digits of the canonical signed-digit form that are not zero.

    Args:
        codes: integers of magnitude below 2^61, any shape.

    Returns:
        int64 of the same shape.
    """
    size = np.abs(np.asarray(codes, np.int64))
    # c and 3c differ in a bit for each digit (Prodinger, "On binary representations of
    # integers with digits -1, 0, 1", 2000).
    left, count = size ^ (3 * size), np.zeros_like(size)
    while np.any(left):
        count += left & 1
        left >>= 1
    return count


@dataclass(frozen=True, slots=True)
class LayerLogic:
    """What the weights of a layer take, unrolled, before anything is shared.

    Attributes:
        layer: its name in the float model.
        weights: all of them.
        kept: those that are not zero.
        digits: signed digits that are not zero: operands of the adder trees.
        adders: one per operand but the first of each output.
        bits: all bits of these adders, estimated: input bits and two more each, which is
            the mean over a balanced tree of operands that are not shifted.
    """

    layer: str
    weights: int
    kept: int
    digits: int
    adders: int
    bits: int


def logic(module: PreparedModule) -> tuple[LayerLogic, ...]:
    """What each layer's weights take, for the codes that the module computes with now.

    A bit of an adder is about one LUT4, a half of an ECP5's CCU2C; adder graphs that
    share sums take fewer.
    """
    codes = module.codes()
    return tuple(_of_layer(layer, codes[layer.names[0]]) for layer in module.shadows())


def adder_bits(module: PreparedModule) -> int:
    """The sum of :attr:`LayerLogic.bits` over all layers."""
    return sum(layer.bits for layer in logic(module))


class LogicBudget:
    """Chooses the codes of a prepared module for few bits of adders.

        budget = LogicBudget(prepared)
        budget.aim(2500)     # from here on the forward pass has at most 2500 adder bits
        ...                  # train; aim again every now and then, as weights move
        budget.settle()      # the choice is final: weights are their codes

    Attributes:
        module: the prepared module.
        strength: of the penalty; 0: every weight has the nearest code.
    """

    def __init__(self, module: PreparedModule) -> None:
        """Take over the choice of codes in `module`; nothing changes until `aim`.

        Raises:
            UsageError: ACT0380, it has no weights that could be trained.
        """
        self.module, self.strength = module, 0.0
        if not module.shadows():
            message = "the module has no trained weights whose logic could shrink"
            raise UsageError(Diagnostic("ACT0380", message, help=_HELP))
        self._layers = [_Staircases(layer) for layer in module.shadows()]

    @property
    def least(self) -> int:
        """The fewest adder bits that codes can give: 0 but for formats without a zero."""
        return sum(layer.bits_at(_STRONGEST) for layer in self._layers)

    def aim(self, bits: int) -> int:
        """Choose the least strength with which all adders have at most `bits` bits together.

        Returns:
            the bits that they have.

        Raises:
            UsageError: ACT0381, no choice of codes has so few.
        """
        self.require(bits)
        self.set_strength(self._strength_for(bits))
        return self._bits_at(self.strength)

    def require(self, bits: int) -> None:
        """Check that some choice of codes has at most `bits` bits.

        Raises:
            UsageError: ACT0381, none has.
        """
        if bits < self.least:
            message = f"the adders cannot have {bits} bits: the fewest are {self.least}"
            raise UsageError(Diagnostic("ACT0381", message, help=_BITS_HELP))

    def set_strength(self, strength: float) -> None:
        """Choose codes with a penalty of `strength`.

        Raises:
            UsageError: ACT0381, it is negative or no number.
        """
        if not 0 <= strength < float("inf"):
            message = f"the strength of a penalty is a number from 0 on, not {strength}"
            raise UsageError(Diagnostic("ACT0381", message, help=_BITS_HELP))
        self.strength = strength
        for layer in self._layers:
            layer.choose(strength)

    def settle(self) -> None:
        """Make the choice final: each weight becomes its code, the nearest one from here on."""
        for layer in self.module.shadows():
            layer.settle()
        self.strength = 0.0

    def _bits_at(self, strength: float) -> int:
        return sum(layer.bits_at(strength) for layer in self._layers)

    def _strength_for(self, bits: int) -> float:
        """The least strength, to within a factor of 1 + 2^-20 or so, by bisection."""
        if self._bits_at(0.0) <= bits:
            return 0.0
        low, high = -40.0, 40.0  # exponents of two
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if self._bits_at(2.0**middle) <= bits:
                high = middle
            else:
                low = middle
        return float(2.0**high)


_HELP = "prepare a network with Conv, MatMul, Gemm or recurrent layers"
_BITS_HELP = (
    "ask for more bits, or compile with weights that have a zero: 3 to 8 bits or ternary; "
    "actc.torch.hardware.adder_bits tells what the module has now"
)


class _Staircases:
    """The choice of codes in one layer for every strength."""

    def __init__(self, layer: Shadow) -> None:
        self.layer, self.width = layer, _adder_width(layer)
        magnitudes = layer.form.magnitudes
        self.codes = np.unique(np.concatenate([-magnitudes, magnitudes]))
        # Of groups: the mean over their factors, which are chosen already.
        factors = np.unique(layer.factors.cpu().numpy())
        products = np.rint(self.codes[:, None] * factors)
        self.digits = signed_digits(products).mean(axis=1)

    def choose(self, strength: float) -> None:
        self.layer.choice = self._choice(strength) if strength else None

    def bits_at(self, strength: float) -> int:
        """The adder bits that a strength gives."""
        kept = self.layer.choice
        self.choose(strength)
        with torch.no_grad():
            codes = self.layer.codes()[self.layer.names[0]]
        self.layer.choice = kept
        return _of_layer(self.layer, codes.cpu().numpy()).bits

    def _choice(self, strength: float) -> Choice:
        penalty = strength * self.layer.form.largest**2 * self.width * self.digits
        thresholds, codes = _lower_envelope(self.codes, penalty)
        device = self.layer.weight.device
        return Choice(*(_tensor(found, device) for found in (thresholds, codes)))


def _lower_envelope(places: Array, heights: Array) -> tuple[Array, Array]:
    """Which of the parabolas (x - place)^2 + height is lowest, for every x.

    Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions", 2012.

    Args:
        places: float64 [n], increasing.
        heights: float64 [n].

    Returns:
        thresholds float64 [m - 1], increasing, and the places [m] of the lowest parabolas
        between them.
    """
    kept = [0]
    ends: list[float] = []
    for new in range(1, len(places)):
        crossing = _crossing(places, heights, kept[-1], new)
        while ends and crossing <= ends[-1]:
            kept.pop()
            ends.pop()
            crossing = _crossing(places, heights, kept[-1], new)
        kept.append(new)
        ends.append(crossing)
    return np.array(ends), places[kept]


def _crossing(places: Array, heights: Array, a: int, b: int) -> float:
    """Where parabola `b` becomes lower than parabola `a` to its left."""
    distance = places[b] - places[a]
    return float((places[a] + places[b]) / 2 + (heights[b] - heights[a]) / (2 * distance))


def _adder_width(layer: Shadow) -> int:
    low, high = layer.ends
    return int(high - low).bit_length() + _GROWTH


def _of_layer(layer: Shadow, codes: Array) -> LayerLogic:
    digits = signed_digits(np.moveaxis(codes, layer.axis, 0).reshape(codes.shape[layer.axis], -1))
    adders = int(np.maximum(digits.sum(axis=1) - 1, 0).sum())
    return LayerLogic(
        layer=layer.layer,
        weights=int(codes.size),
        kept=int(np.count_nonzero(codes)),
        digits=int(digits.sum()),
        adders=adders,
        bits=adders * _adder_width(layer),
    )


def _tensor(array: Array, device: torch.device) -> Tensor:
    return torch.from_numpy(array.astype(np.float64)).to(device)


def total(layers: Sequence[LayerLogic]) -> LayerLogic:
    """The sums over layers, called "all"."""
    counts = ((x.weights, x.kept, x.digits, x.adders, x.bits) for x in layers)
    sums = [sum(column) for column in zip(*counts, strict=True)] or [0] * 5
    return LayerLogic("all", *sums)
