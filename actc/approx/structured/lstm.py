"""One step of an LSTM (Hochreiter and Schmidhuber, 1997; Gers et al., 2000) in integers."""

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

STATE = FixedPoint(True, 16, 12)
"""Default format of the LSTM's cell: -8 to 8."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LSTM(Decomposition):
    """``c' = f c + i g``, ``h = o tanh(c')`` with f, i, o sigmoids and g a tanh.

    Both products of c' are summed exactly and rounded once, and so is h; for the tanh, c'
    is rounded to the `inner` format, which saturates where it must. Let es, et and ec be
    the largest errors of the pieces for sigmoid, tanh and tanh of the cell, C the largest
    |c| of the state format, us and u the last places of state and output, and a the
    error of tanh by the rounding of its argument (:func:`argument_error`). Then, from the
    same c,

        |c' error| <= C es + es + et + us/2                       (|i|, |g| <= 1)
        |h error|  <= es + ec + a + |c' error| + u/2
                                            (|o|, |tanh| <= 1, tanh 1-Lipschitz)

    The exact step saturates c' to the state format, as the datapath does.

    Attributes:
        input: format of the four pre-activations.
        output: format of h.
        state: format of c.
        inner: format of the cell before its tanh, at most 16 bits.
    """

    state: FixedPoint
    inner: FixedPoint

    @property
    def name(self) -> str:
        """``LSTM[n]``."""
        return f"LSTM[{self.length}]"

    @property
    def fraction(self) -> int:
        """q."""
        return self.pieces["sigmoid"].gates.output.fraction

    def piece_errors(self) -> dict[str, float]:
        """es, et and ec by the names of the pieces."""
        names = {"sigmoid": "Sigmoid", "tanh": "Tanh", "cell_tanh": "Tanh"}
        return {role: activation_error(self.pieces[role], name) for role, name in names.items()}

    def terms(self) -> dict[str, float]:
        """sigmoid, tanh, cell_tanh, cell and argument (roundings), output: for h."""
        return lstm_terms(self.piece_errors(), self.state, self.inner, self.output)

    @property
    def cell_bound(self) -> float:
        """Bound of the error of c' from the same c, as a real number."""
        found = self.piece_errors()
        error = (top(self.state) + 1) * found["sigmoid"] + found["tanh"]
        return outward(error + self.state.ulp / 2)

    def drift(self, steps: int, *, recurrent: float = 0.0, preactivation: float = 0.0) -> Drift:
        """Bound of the errors after `steps` steps from the same first c and h.

        With f <= F = sigmoid(largest input) < 1, sigmoid 1/4-Lipschitz and e the error of
        the pre-activations,

            c_error <- F c_error + (C/4 + 5/4) e + cell_bound
            h_error <- e/4 + c_error + the other parts of the bound of h

        For e = 0 this stays below cell_bound / (1 - F) for ever.

        Args:
            recurrent: largest sum of absolute recurrent weights of a row (the norm of U
                for the largest error); 0 if the pre-activations are given.
            preactivation: error of the pre-activations apart from that of h.
        """
        rest = self.bound - self.cell_bound
        forget = sigmoid(self.input.high * self.input.ulp)
        slope = (top(self.state) + 5) / 4
        cell = hidden = 0.0
        for _ in range(steps):
            e = preactivation + recurrent * hidden
            cell = forget * cell + slope * e + self.cell_bound
            cell = outward(cell)
            hidden = outward(rest + e / 4 + cell)
        return Drift(cell, hidden)

    def widths(self) -> dict[str, int]:
        """q, and the bits and fraction bits of the last tanh's argument."""
        inner = self.inner
        return {"q": self.fraction, "inner_bits": inner.bits, "inner_fraction": inner.fraction}

    def intermediates(self) -> dict[str, int]:
        """Both sums, moved."""
        q, f = self.fraction, self.state.fraction
        common = max(f, q)
        cell = (magnitude(self.state) << q + common - f) + (1 << q + common)
        shift = 2 * q - self.output.fraction
        return {
            "cell": cell + (1 << max(q + common - f, 0)),
            "argument": magnitude(self.state) + (1 << max(f - self.inner.fraction, 0)),
            "hidden": (1 << 2 * q << max(-shift, 0)) + (1 << max(shift, 0)),
        }

    def step(self, preactivations: Codes, cell: Codes) -> tuple[Codes, Codes]:
        """Codes of h and c', [..., n] each.

        Args:
            preactivations: codes [..., 4n] of i, f, g, o (PyTorch's order).
            cell: codes [..., n] of c in the state format.

        Raises:
            ValueError: not integers, outside a format, or of another length.
        """
        gates = np.split(self.operand(preactivations, 4 * self.length), 4, axis=-1)
        c = self.state.check(cell)
        if c.shape[-1:] != (self.length,):
            raise ValueError(f"{self.name} takes {self.length} cells")
        sigmoid, tanh = self.pieces["sigmoid"].form, self.pieces["tanh"].form
        i, f, o = (sigmoid.evaluate(gates[k]) for k in (0, 1, 3))
        q, own = self.fraction, self.state.fraction
        common = max(own, q)
        total = (f * c << (common - own)) + (i * tanh.evaluate(gates[2]) << (common - q))
        # f c has q + own fraction bits and i g has 2 q: q + common for both
        after = shift_right(total, q + common - own)
        after = np.clip(after, self.state.low, self.state.high)
        argument = shift_right(after, own - self.inner.fraction)
        argument = np.clip(argument, self.inner.low, self.inner.high)
        h = o * self.pieces["cell_tanh"].form.evaluate(argument)
        return self.saturate(shift_right(h, 2 * q - self.output.fraction)), after

    def evaluate(self, codes: Codes) -> Codes:
        """Codes [..., n] of h from codes [..., 5n]: i, f, g, o, then c (state format)."""
        array = np.asarray(codes)
        return self.step(array[..., : 4 * self.length], array[..., 4 * self.length :])[0]

    def exact(self, codes: Codes) -> Float64Array:
        """The exact h of operands as for :meth:`evaluate`, saturated."""
        n = self.length
        gates, cell = (
            self.input.to_real(codes[..., : 4 * n]),
            self.state.to_real(codes[..., 4 * n :]),
        )
        ends = self.output.to_real(np.array([self.output.low, self.output.high]))
        return np.clip(self.reference(np.concatenate([gates, cell], axis=-1)), *ends)

    def exact_step(
        self, gates: Float64Array, cell: Float64Array
    ) -> tuple[Float64Array, Float64Array]:
        """h and c' of real pre-activations [..., 4n] and c [..., n]; c' saturates."""
        i, f, g, o = np.split(gates, 4, axis=-1)
        after = logistic(f) * cell + logistic(i) * np.tanh(g)
        after = np.clip(after, *self.state.to_real(np.array([self.state.low, self.state.high])))
        return logistic(o) * np.tanh(after), after

    def reference(self, x: Float64Array) -> Float64Array:
        """The exact h of real operands as for :meth:`evaluate`."""
        return self.exact_step(x[..., : 4 * self.length], x[..., 4 * self.length :])[0]

    def to_json(self) -> dict[str, Any]:
        """As the base class, with the formats of state and inner, and the bound of c'."""
        return {
            **super().to_json(),
            "state": str(self.state),
            "inner": str(self.inner),
            "cell_max_error": self.cell_bound,
        }


def lstm_terms(
    errors: Mapping[str, float], state: FixedPoint, inner: FixedPoint, output: FixedPoint
) -> dict[str, float]:
    """The bound of h for pieces with these errors."""
    return {
        "sigmoid": (top(state) + 2) * errors["sigmoid"],
        "tanh": errors["tanh"],
        "cell_tanh": errors["cell_tanh"],
        "cell": state.ulp / 2,
        "argument": argument_error(inner, top(state)),
        "output": rounding_term(output),
    }


def lstm(
    length: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    state: FixedPoint = STATE,
    ulp: float = 1.0,
    fitter: Fitter = smallest_table,
) -> LSTM:
    """The LSTM step with the smallest tables that is proven within the target.

    Args:
        state: format of c.
        ulp: target for h in units of the output's last place, above 0.5.

    Raises:
        UsageError: ACT0311, more than 16 input bits; ACT0356, too wide;
            ACT0357, the target is out of reach; ACT0359, the length.
    """
    check_length("LSTM", length)
    reachable = math.inf
    for q, bits in cheapest_first(input):
        inner = inner_format(bits, top(state), output)
        pieces = {
            "sigmoid": activation("Sigmoid", input, sigmoid_format(q)),
            "tanh": activation("Tanh", input, tanh_format(q)),
            "cell_tanh": activation("Tanh", inner, tanh_format(q)),
        }
        bound = total(lstm_terms(worst(pieces), state, inner, output))
        reachable = min(reachable, bound / output.ulp)
        if bound <= ulp * output.ulp:
            return LSTM(
                length=length,
                input=input,
                output=output,
                pieces=fit_all(pieces, fitter),
                state=state,
                inner=inner,
            )
    raise UsageError(out_of_reach(f"LSTM[{length}]", output, ulp, reachable))
