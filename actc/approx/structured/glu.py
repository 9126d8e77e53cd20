"""Gated linear units: a scalar function times a linear half.

    y = phi(a) b,  phi by a piece on all codes of a, the product exact, one rounding

The operands are the halves [a, b] of one axis, the gated one first, as in Shazeer, "GLU
variants improve transformer" (2020). (Dauphin et al., 2017, and PyTorch's `glu` put the
gated half second: swap the halves.) Where phi is the identity or max(a, 0), no piece is
needed and the product is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from actc.approx.catalogue import find
from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.structured.decomposition import (
    SLACK,
    Decomposition,
    check_length,
    magnitude,
    out_of_reach,
    outward,
    rounding_term,
    shift_right,
)
from actc.approx.structured.pieces import (
    MAX_PIECE_FRACTION,
    Fitter,
    Piece,
    activation_piece,
    smallest_table,
)
from actc.errors import UsageError

GATES = {"GLU": "Sigmoid", "SwiGLU": "SiLU", "GeGLU": "GELU", "ReGLU": "ReLU", "Bilinear": ""}
"""Name of the unit -> catalogue name of phi; "" is the identity."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GatedUnit(Decomposition):
    """n products from 2n codes.

    |y - phi(a) b| <= |b| |piece - phi(a)| + rounding: the largest |b| of the format
    times the piece's largest error over all a, and half a unit if bits are dropped.

    Attributes:
        title: a key of :data:`GATES`.
        gate: format of phi(a): the piece's output, or the input where phi is exact.
    """

    title: str
    gate: FixedPoint

    @property
    def name(self) -> str:
        """``SwiGLU[n]``."""
        return f"{self.title}[{self.length}]"

    @property
    def shift(self) -> int:
        """Fraction bits that the product has more than the output."""
        return self.gate.fraction + self.input.fraction - self.output.fraction

    def terms(self) -> dict[str, float]:
        """gate, output."""
        found = {}
        if "gate" in self.pieces:
            piece = activation(GATES[self.title], self.input, self.gate)
            found["gate"] = _reach(self.input) * piece.fitted(self.pieces["gate"])
        return {**found, "output": rounding_term(self.output, self.shift <= 0)}

    def widths(self) -> dict[str, int]:
        """Bits and fraction bits of phi(a), and the shift."""
        return {"gate_bits": self.gate.bits, "q": self.gate.fraction, "shift": self.shift}

    def intermediates(self) -> dict[str, int]:
        """The product, moved."""
        product = magnitude(self.gate) * magnitude(self.input)
        return {"product": (product << max(-self.shift, 0)) + (1 << max(self.shift, 0))}

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes [..., n] of codes [..., 2n]: a, then b."""
        a, b = np.split(self.operand(codes, 2 * self.length), 2, axis=-1)
        return self.saturate(shift_right(self._gate(a) * b, self.shift))

    def _gate(self, a: Codes) -> Codes:
        if "gate" in self.pieces:
            found: Codes = self.pieces["gate"].form.evaluate(a)
            return found
        return np.maximum(a, 0) if self.title == "ReGLU" else a

    def reference(self, x: Float64Array) -> Float64Array:
        """phi(a) b."""
        a, b = np.split(x, 2, axis=-1)
        name = GATES[self.title]
        return np.asarray((find(name).function()(a) if name else a) * b, np.float64)


def gated_unit(
    title: str,
    length: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    fitter: Fitter = smallest_table,
) -> GatedUnit:
    """The gated unit with the fewest bits of phi(a) that is proven within the target.

    Args:
        title: GLU, SwiGLU, GeGLU, ReGLU or Bilinear.
        length: n, the outputs.
        ulp: target in units of the output's last place, above 0.5.

    Raises:
        UsageError: ACT0311, more than 16 input bits (not ReGLU and Bilinear); ACT0356,
            too wide; ACT0357, the target is out of reach; ACT0359, the length.
        ValueError: another title.
    """
    if title not in GATES:
        raise ValueError(f"no gated unit is called {title!r}")
    check_length(title, length)
    target = ulp * output.ulp

    def unit(gate: FixedPoint, piece: Piece | None) -> GatedUnit:
        pieces = {} if piece is None else {"gate": fitter(piece.gates)}
        return GatedUnit(
            length=length, input=input, output=output, pieces=pieces, title=title, gate=gate
        )

    if GATES[title] in ("", "ReLU"):
        found = unit(input, None)
        if not found.bound <= outward(outward(target)):
            raise UsageError(out_of_reach(found.name, output, ulp, found.bound_ulp))
        return found
    return unit(*_narrowest(f"{title}[{length}]", input, output, ulp))


def _narrowest(
    name: str, input: FixedPoint, output: FixedPoint, ulp: float
) -> tuple[FixedPoint, Piece]:
    """Format and piece of phi(a) with the fewest fraction bits."""
    f = find(GATES[name.split("[")[0]]).function()
    reachable = math.inf
    for fraction in range(MAX_PIECE_FRACTION + 1):
        gate = holding(f, input, fraction)
        if gate is None:
            break
        piece = activation_piece(f.name, f.elementwise, input, gate)
        exact = fraction + input.fraction <= output.fraction
        error = _reach(input) * piece.worst + rounding_term(output, exact)
        reachable = min(reachable, error / output.ulp)
        if error * (1 + 4 * SLACK) <= ulp * output.ulp:
            return gate, piece
    raise UsageError(out_of_reach(name, output, ulp, reachable))


@lru_cache(maxsize=64)
def activation(name: str, input: FixedPoint, output: FixedPoint) -> Piece:
    """The piece of a catalogue function between two formats."""
    f = find(name).function()
    return activation_piece(f.name, f.elementwise, input, output)


def holding(f: ScalarFunction, input: FixedPoint, fraction: int) -> FixedPoint | None:
    """The narrowest format with so many fraction bits that holds f at all input codes.

    None if that needs more than 32 bits.
    """
    ends = np.array([input.low, input.high])
    values = f(input.values() if input.bits <= 16 else input.to_real(ends))
    low, high = (
        int(end(math.ldexp(v, fraction)))
        for end, v in ((math.floor, values.min()), (math.ceil, values.max()))
    )
    bits = max(high.bit_length(), (~low if low < 0 else low).bit_length()) + (low < 0)
    return FixedPoint(low < 0, max(bits, 1), fraction) if bits <= 32 else None


def _reach(format: FixedPoint) -> float:
    """Largest magnitude of a value."""
    return magnitude(format) * format.ulp
