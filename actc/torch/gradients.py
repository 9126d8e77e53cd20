"""The gradients of tables: what stands in for the derivative of a staircase.

All are computed once, in numpy, from the table itself, so that they serve every
activation alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Array = np.ndarray[Any, Any]
Choice = TypeVar("Choice", bound=Enum)

_MOST_BLOCKS = 512
"""Entries among which the ends of constant pieces are searched."""
_FLAT = 0.01
"""A table is flat where its slope is below this part of its largest."""


class TableGradient(Enum):
    """What the gradient of an activation's table is.

    Attributes:
        DERIVATIVE: the slope of the line of least squares through the entries around,
            as many as hold two steps of the table on average. (Savitzky and Golay, 1964.)
        STRAIGHT_THROUGH: one, in real numbers.
        HYSTERESIS: as DERIVATIVE, but a flat part next to a slope has its gradient: the
            threshold lies further out on the way back. (Kimhi et al., "Hysteresis
            Activation Function for Efficient Inference", 2024: HeLU.) So it is with the
            clamps that rounding ends in.
        PERIODIC: each step of the table counts as one rise of a sine, from its trough to
            its crest; the sines reach as far as the steps are apart on average. (Vargas
            et al., "BiPer: Binary Neural Networks using a Periodic Function", CVPR 2024,
            where the table is the sign.)
        FEW_BIT: DERIVATIVE in 2^bits constant pieces of least square error, so that
            `bits` bits per element are kept for the way back. (Novikov et al., "Few-bit
            Backward: Quantized Gradients of Activation Functions for Memory Footprint
            Reduction", ICML 2023.)
    """

    DERIVATIVE = "derivative"
    STRAIGHT_THROUGH = "straight-through"
    HYSTERESIS = "hysteresis"
    PERIODIC = "periodic"
    FEW_BIT = "few-bit"


class WeightGradient(Enum):
    """How a trained weight becomes a code.

    Attributes:
        STRAIGHT_THROUGH: the nearest code; the gradient passes unchanged.
        PERIODIC: the code nearest to largest * sin(weight / (scale * largest)), with the
            derivative of that: a weight that goes on comes back. (BiPer, see above; for
            binary codes it is theirs.)
    """

    STRAIGHT_THROUGH = "straight-through"
    PERIODIC = "periodic"


@dataclass(frozen=True, slots=True)
class Gradients:
    """The choice for a prepared module.

    Attributes:
        tables: of activations.
        weights: of weights.
        window: how far hysteresis reaches, as a part of the range of codes, 0..1.
        bits: of few-bit: 1, 2, 4 or 8.
    """

    tables: TableGradient = TableGradient.DERIVATIVE
    weights: WeightGradient = WeightGradient.STRAIGHT_THROUGH
    window: float = 1 / 16
    bits: int = 2

    @classmethod
    def parse(
        cls,
        tables: str | TableGradient,
        weights: str | WeightGradient,
        window: float = 1 / 16,
        bits: int = 2,
    ) -> Gradients:
        """The choice as `prepare` takes it.

        Raises:
            UsageError: ACT0375, there is no such choice.
        """
        problems = []
        if not 0 <= window <= 1:
            problems.append(f"window is a part of the range of codes, 0..1, not {window}")
        if bits not in (1, 2, 4, 8):
            problems.append(f"bits must be 1, 2, 4 or 8, not {bits}")
        if problems:
            raise UsageError(Diagnostic("ACT0375", problem) for problem in problems)
        chosen = _choice("gradient", tables, TableGradient)
        return cls(chosen, _choice("weights", weights, WeightGradient), window, bits)

    def margin(self, low: int, high: int) -> float:
        """How far outside of low..high a clamp passes gradients."""
        if self.tables is not TableGradient.HYSTERESIS:
            return 0.0
        return self.window * (high - low + 1)


def slopes(
    table: Array, used: tuple[int, int], gradients: Gradients, identity: float | None
) -> Array:
    """The gradient of a table at each of its entries.

    Args:
        table: codes [n].
        used: the first and last entry that is ever read.
        gradients: which gradient; FEW_BIT is given as DERIVATIVE.
        identity: the slope that is one in real numbers; None where it is not known: the
            mean slope of the table then.

    Returns:
        float64 [n]; 0 outside `used`.
    """
    first, last = used
    values = table[first : last + 1].astype(np.float64)
    kind, found = gradients.tables, np.zeros(len(table))
    if len(values) < 2:
        return found
    if kind is TableGradient.STRAIGHT_THROUGH:
        mean = (values[-1] - values[0]) / (len(values) - 1)
        inside = np.full(len(values), mean if identity is None else identity)
    elif kind is TableGradient.PERIODIC:
        inside = _rises(values)
    else:
        inside = _regression(values)
        if kind is TableGradient.HYSTERESIS:
            inside = _widened(inside, round(gradients.window * len(values)))
    found[first : last + 1] = inside
    return found


def few_levels(slope: Array, bits: int) -> tuple[Array, Array]:
    """The best approximation of `slope` by 2^bits constant pieces.

    Dynamic programming over the ends of the pieces, exact for tables of 512 entries and
    among 512 evenly spaced ends for larger ones.

    Args:
        slope: float64 [n].
        bits: of the number of a piece.

    Returns:
        uint8 [n], the piece of each entry; float64 [2^bits], the value of each piece.
    """
    count = min(len(slope), _MOST_BLOCKS)
    ends = np.linspace(0, len(slope), count + 1).round().astype(np.int64)
    sums, squares = (np.concatenate([[0.0], np.cumsum(v)])[ends] for v in (slope, slope * slope))
    lengths = np.maximum(ends[None, :] - ends[:, None], 1)
    cost = (squares[None, :] - squares[:, None]) - (sums[None, :] - sums[:, None]) ** 2 / lengths
    cost = np.where(np.arange(count + 1)[:, None] < np.arange(count + 1)[None, :], cost, np.inf)
    pieces = min(2**bits, count)
    best, choices = cost[0].copy(), []
    for _ in range(pieces - 1):
        total = best[:, None] + cost
        choices.append(total.argmin(axis=0))
        best = total.min(axis=0)
    cuts = [count]
    for choice in reversed(choices):
        cuts.append(int(choice[cuts[-1]]))
    bounds = ends[[0, *reversed(cuts)]]
    values, level = np.zeros(2**bits), np.zeros(len(slope), np.uint8)
    for piece, (start, stop) in enumerate(itertools.pairwise(bounds)):
        level[start:stop] = piece
        values[piece] = slope[start:stop].mean()
    return level, values


def _regression(values: Array) -> Array:
    """Slopes of the lines of least squares through windows that hold two steps on average."""
    last = len(values) - 1
    changes = max(int(np.count_nonzero(np.diff(values))), 1)
    half = int(np.clip(np.ceil(last / changes), 1, last))
    x = np.arange(len(values), dtype=np.float64)
    start, stop = np.maximum(x - half, 0).astype(int), np.minimum(x + half, last).astype(int) + 1
    count = stop - start
    centre = (start + stop - 1) / 2
    sums, products = (np.concatenate([[0.0], np.cumsum(v)]) for v in (values, values * x))
    covariance = products[stop] - products[start] - centre * (sums[stop] - sums[start])
    return np.asarray(covariance * 12 / (count * (count * count - 1.0)))


def _rises(values: Array) -> Array:
    """The sum of the derivatives of one half wave of a sine at each step."""
    steps = np.diff(values)
    places = np.flatnonzero(steps)
    half = len(values) / (2 * max(len(places), 1))
    frequency = np.pi / (2 * max(half, 1.0))
    x = np.arange(len(values), dtype=np.float64)
    found = np.zeros(len(values))
    for place in places:
        phase = frequency * (x - place - 0.5)
        rise = np.where(np.abs(phase) <= np.pi / 2, np.cos(phase), 0.0)
        found += steps[place] / 2 * frequency * rise
    return found


def _widened(slope: Array, reach: int) -> Array:
    """Flat parts take the slope of the nearest entry that is not flat, up to `reach` away."""
    steep = np.flatnonzero(np.abs(slope) > _FLAT * np.abs(slope).max(initial=0.0))
    if not len(steep):
        return slope
    x = np.arange(len(slope))
    after = np.searchsorted(steep, x).clip(0, len(steep) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(steep[before] - x) <= np.abs(steep[after] - x)
    nearest = np.where(nearer, steep[before], steep[after])
    return np.asarray(np.where(np.abs(nearest - x) <= reach, slope[nearest], slope))


def _choice(name: str, value: str | Choice, choices: type[Choice]) -> Choice:
    try:
        return choices(value)
    except ValueError as error:
        known: Sequence[str] = [str(choice.value) for choice in choices]
        raise UsageError(
            Diagnostic(
                "ACT0375",
                f"{name} cannot be '{value}'",
                help=f"choose one of: {', '.join(known)}",
            )
        ) from error
