"""One step of a GRU (Cho et al., 2014; the form of PyTorch and cuDNN) in integers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array
from actc.approx.structured.decomposition import (
    Decomposition,
    check_length,
    magnitude,
    out_of_reach,
    outward,
    rounding_term,
    shift_right,
)
from actc.approx.structured.glu import activation
from actc.approx.structured.pieces import Fitter, smallest_table
from actc.approx.structured.recurrent import (
    Drift,
    activation_error,
    argument_error,
    cheapest_first,
    fit_all,
    inner_format,
    logistic,
    sigmoid,
    sigmoid_format,
    tanh_format,
    top,
    total,
    worst,
)
from actc.errors import UsageError


@dataclass(frozen=True, eq=False, kw_only=True)
class GRU(Decomposition):
    """``n = tanh(x + r y)``, ``h' = n + z (h - n)`` with r and z sigmoids.

    The argument of tanh is rounded to the `inner` format, which saturates where it must.
    Let es and et be the largest errors of the pieces, Y the largest |y| of the input
    format, H that of the output format (which is the state), u the last place of the
    output, and a the error of tanh by the rounding of its argument
    (:func:`argument_error`). From the same h,

        |n error|  <= et + Y es + a
        |h' error| <= |n error| + (H + 1) es + u/2       (0 <= z <= 1, |n| <= 1)

    Attributes:
        input: format of the pre-activations.
        output: format of h.
        inner: format of tanh's argument, at most 16 bits.
    """

    inner: FixedPoint

    @property
    def name(self) -> str:
        """``GRU[n]``."""
        return f"GRU[{self.length}]"

    @property
    def fraction(self) -> int:
        """q."""
        return self.pieces["sigmoid"].gates.output.fraction

    def terms(self) -> dict[str, float]:
        """sigmoid, tanh, argument, output."""
        names = {"sigmoid": "Sigmoid", "tanh": "Tanh"}
        found = {role: activation_error(self.pieces[role], name) for role, name in names.items()}
        return gru_terms(found, self.input, self.inner, self.output)

    def drift(self, steps: int, *, recurrent: float = 0.0, preactivation: float = 0.0) -> Drift:
        """Bound of the error of h after `steps` steps from the same first h.

        With z <= Z = sigmoid(largest input) < 1 and e the error of the pre-activations,

            h_error <- Z h_error + (Y/4 + 2 + (H + 1)/4) e + bound

        For e = 0 this stays below bound / (1 - Z) for ever.

        Args:
            recurrent, preactivation: as for the LSTM.
        """
        keep = sigmoid(self.input.high * self.input.ulp)
        slope = (top(self.input) + top(self.output) + 9) / 4
        hidden = 0.0
        for _ in range(steps):
            e = preactivation + recurrent * hidden
            hidden = outward(keep * hidden + slope * e + self.bound)
        return Drift(0.0, hidden)

    def widths(self) -> dict[str, int]:
        """q, and the bits and fraction bits of tanh's argument."""
        inner = self.inner
        return {"q": self.fraction, "inner_bits": inner.bits, "inner_fraction": inner.fraction}

    def intermediates(self) -> dict[str, int]:
        """The argument of tanh and the sum for h'."""
        q = self.fraction
        drop = q + self.input.fraction - self.inner.fraction
        common = max(q, self.output.fraction)
        parts = (magnitude(self.output) << common - self.output.fraction) + (2 << common)
        shift = q + common - self.output.fraction
        return {
            "argument": (magnitude(self.input) << q + 1) + (1 << max(drop, 0)),
            "hidden": (parts << q + 1) + (1 << max(shift, 0)),
        }

    def step(self, preactivations: Codes, hidden: Codes) -> Codes:
        """Codes [..., n] of h'.

        Args:
            preactivations: codes [..., 4n] of r, z, x, y: n = tanh(x + r y), where x
                comes from the input and y from the last h.
            hidden: codes [..., n] of h in the output format.

        Raises:
            ValueError: not integers, outside a format, or of another length.
        """
        parts = np.split(self.operand(preactivations, 4 * self.length), 4, axis=-1)
        h = self.output.check(hidden)
        if h.shape[-1:] != (self.length,):
            raise ValueError(f"{self.name} takes {self.length} states")
        q = self.fraction
        r, z = (self.pieces["sigmoid"].form.evaluate(part) for part in parts[:2])
        argument = (parts[2] << q) + r * parts[3]
        argument = shift_right(argument, q + self.input.fraction - self.inner.fraction)
        argument = np.clip(argument, self.inner.low, self.inner.high)
        n = self.pieces["tanh"].form.evaluate(argument)
        common = max(q, self.output.fraction)
        n = n << (common - q)
        total = (n << q) + z * ((h << (common - self.output.fraction)) - n)
        return self.saturate(shift_right(total, q + common - self.output.fraction))

    def evaluate(self, codes: Codes) -> Codes:
        """Codes [..., n] of h' from codes [..., 5n]: r, z, x, y, then h (output format)."""
        array = np.asarray(codes)
        return self.step(array[..., : 4 * self.length], array[..., 4 * self.length :])

    def exact(self, codes: Codes) -> Float64Array:
        """The exact h' of operands as for :meth:`evaluate`, saturated."""
        n = self.length
        gates, h = self.input.to_real(codes[..., : 4 * n]), self.output.to_real(codes[..., 4 * n :])
        ends = self.output.to_real(np.array([self.output.low, self.output.high]))
        return np.clip(self.reference(np.concatenate([gates, h], axis=-1)), *ends)

    def reference(self, x: Float64Array) -> Float64Array:
        """The exact h' of real operands as for :meth:`evaluate`."""
        r, z, own, last, h = np.split(x, 5, axis=-1)
        n = np.tanh(own + logistic(r) * last)
        return np.asarray(n + logistic(z) * (h - n), np.float64)

    def to_json(self) -> dict[str, Any]:
        """As the base class, with the format of tanh's argument."""
        return {**super().to_json(), "inner": str(self.inner)}


def gru_terms(
    errors: Mapping[str, float], input: FixedPoint, inner: FixedPoint, output: FixedPoint
) -> dict[str, float]:
    """The bound for pieces with these errors."""
    return {
        "sigmoid": (top(input) + top(output) + 1) * errors["sigmoid"],
        "tanh": errors["tanh"],
        "argument": argument_error(inner, 2 * top(input)),
        "output": rounding_term(output),
    }


def gru(
    length: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    fitter: Fitter = smallest_table,
) -> GRU:
    """The GRU step with the smallest tables that is proven within the target.

    Raises:
        UsageError: ACT0311, more than 16 input bits; ACT0356, too wide; ACT0357, the
            target is out of reach; ACT0359, the length.
    """
    check_length("GRU", length)
    reachable = math.inf
    for q, bits in cheapest_first(input):
        inner = inner_format(bits, 2 * top(input), output)
        pieces = {
            "sigmoid": activation("Sigmoid", input, sigmoid_format(q)),
            "tanh": activation("Tanh", inner, tanh_format(q)),
        }
        bound = total(gru_terms(worst(pieces), input, inner, output))
        reachable = min(reachable, bound / output.ulp)
        if bound <= ulp * output.ulp:
            return GRU(
                length=length,
                input=input,
                output=output,
                pieces=fit_all(pieces, fitter),
                inner=inner,
            )
    raise UsageError(out_of_reach(f"GRU[{length}]", output, ulp, reachable))
