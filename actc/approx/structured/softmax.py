"""Softmax and log-softmax in integers.

Both begin with t = max(x) - x >= 0, N(t) from :class:`Exponential` with m fraction bits,
and the exact sum S of all N. Below, p = exp(-t), P their sum (P >= 1, since t = 0 occurs),
y = p/P, and |N 2^-m - p| <= a p + b as shown there; so the sum's relative error is at most
h = a + n b, and N'/S' denotes N/S.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array
from actc.approx.structured.decomposition import (
    Decomposition,
    check_length,
    out_of_reach,
    rounding_term,
    shift_right,
)
from actc.approx.structured.exponential import (
    LOG2_E,
    MAX_PRODUCT_BITS,
    Choice,
    Envelope,
    Exponential,
    Inverse,
    cheapest,
    exponentials,
    inside,
    inverses,
    stage_cost,
)
from actc.approx.structured.pieces import (
    Fitter,
    exp2_piece,
    log_piece,
    reciprocal_piece,
    smallest_table,
)
from actc.errors import UsageError


def quotient_terms(envelope: Envelope, length: int) -> dict[str, float]:
    """Bound of ``|N'/S' - p/P|`` for one element of n, by source.

    With N' = p + z and |z| <= a p + b, the difference is
    (z (P - p) - p Z) / (P S') for the sum Z of the other elements' errors, so it is
    at most (2 a y (1 - y) + b (1 - y + (n - 1) y) / P) / (1 - h), and P >= 1. The
    largest value over y in 0..1 is at y = 1/2 + b (n - 2) / (4 a), or at an end.
    """
    a, b = envelope.relative, envelope.shift
    rest = 1 - a - length * b
    if not rest > 0:
        return {"exponent": math.inf, "exp2": math.inf, "shift": math.inf}
    y = min(max(0.5 + b * (length - 2) / (4 * a), 0.0), 1.0)
    part = 2 * y * (1 - y) / rest
    return {
        "exponent": envelope.exponent * part,
        "exp2": envelope.exp2 * part,
        "shift": b * (1 + (length - 2) * y) / rest,
    }


@dataclass(frozen=True, eq=False, kw_only=True)
class _OverSum(Decomposition):
    """What softmax and log-softmax share.

    Attributes:
        stage: the exponential.
        inverse: widths of the other piece.
    """

    stage: Exponential
    inverse: Inverse

    @cached_property
    def envelope(self) -> Envelope:
        """Error of the fitted exponential."""
        piece = exp2_piece(self.stage.index, self.stage.fraction)
        return self.stage.envelope(piece.fitted(self.pieces["exp2"]))

    @property
    def place(self) -> int:
        """Highest possible position of the leading one of the sum."""
        return self.stage.fraction + (self.length - 1).bit_length()

    def widths(self) -> dict[str, int]:
        """The names of :mod:`actc.approx.structured.exponential`: K, g, w, m; r, q."""
        stage = self.stage
        return {
            "K": stage.constant,
            "g": stage.guard,
            "w": stage.index,
            "m": stage.fraction,
            "r": self.inverse.address,
            "q": self.inverse.fraction,
        }

    def exponentials(self, codes: Codes) -> tuple[Codes, Codes, Codes]:
        """t, N and the sum (last axis kept, of length 1) of input codes."""
        x = self.operand(codes, self.length)
        t = x.max(axis=-1, keepdims=True) - x
        powers = self.stage.evaluate(t, self.pieces["exp2"])
        return t, powers, powers.sum(axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(_OverSum):
    """``y = N R >> (q + L - fraction)``, R the reciprocal of S on one octave.

    L is the position of the leading one of S, R ~ 2^q 2^L / S from the r bits after
    it. If s is the largest relative error of R over each interval of S, then N'/S' <= 1
    gives |y - N'/S'| <= s, and the shift rounds to nearest: the bound is
    :func:`quotient_terms` + s + 1/2 ulp.
    """

    @property
    def name(self) -> str:
        """``Softmax[n]``."""
        return f"Softmax[{self.length}]"

    def terms(self) -> dict[str, float]:
        """exponent, exp2, shift, reciprocal, output."""
        piece = reciprocal_piece(*self.inverse)
        return {
            **quotient_terms(self.envelope, self.length),
            "reciprocal": piece.fitted(self.pieces["reciprocal"]),
            "output": rounding_term(self.output),
        }

    def intermediates(self) -> dict[str, int]:
        """Exponent, sum and product."""
        m, q = self.stage.fraction, self.inverse.fraction
        shift = q + self.place - self.output.fraction
        return {
            "exponent": self.stage.largest(self.input.count - 1),
            "sum": self.length << m,
            "product": (1 << (m + q)) + (1 << max(shift, 0)),
            "result": 1 << max(self.output.fraction, 0),
        }

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes; int64 [..., n]."""
        _, powers, total = self.exponentials(codes)
        place, index = self.inverse.split(total)
        factor = self.pieces["reciprocal"].form.evaluate(index)
        shift = self.inverse.fraction + place - self.output.fraction
        return self.saturate(shift_right(powers * factor, shift))

    def reference(self, x: Float64Array) -> Float64Array:
        """exp(x - max) / sum exp(x - max)."""
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def softmax(
    length: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    fitter: Fitter = smallest_table,
) -> Softmax:
    """The cheapest softmax of :class:`Softmax`'s family that is proven within the target.

    Args:
        length: n, 1..65536.
        ulp: target in units of the output's last place, above 0.5.
        fitter: fits the scalar pieces.

    Raises:
        UsageError: ACT0356, too wide; ACT0357, the target is out of reach; ACT0359,
            the length is out of range.
    """
    check_length("Softmax", length)
    rate = math.ldexp(LOG2_E, -input.fraction)
    budget = (ulp - 0.5) * output.ulp

    def errors() -> Iterator[tuple[Exponential, Choice]]:
        for stage, envelope in exponentials(rate):
            error = sum(quotient_terms(envelope, length).values())
            yield stage, Choice(stage_cost(stage), error, stage.index, stage.fraction)

    found = cheapest(errors(), inverses(logarithm=False), inside(budget), MAX_PRODUCT_BITS)
    if isinstance(found, float):
        reachable = found / output.ulp + 0.5
        raise UsageError(out_of_reach(f"Softmax[{length}]", output, ulp, reachable))
    stage, inverse = found
    return Softmax(
        length=length,
        input=input,
        output=output,
        pieces={
            "exp2": fitter(exp2_piece(stage.index, stage.fraction).gates),
            "reciprocal": fitter(reciprocal_piece(*inverse).gates),
        },
        stage=stage,
        inverse=inverse,
    )


LN2 = math.log(2)


@dataclass(frozen=True, eq=False, kw_only=True)
class LogSoftmax(_OverSum):
    """``y = -t - (L - m) ln 2 - G``, G the logarithm of S's mantissa on one octave.

    L is the position of the leading one of S. All parts are aligned to F fraction bits,
    the larger of the input's fraction and q; ln 2 is the constant C = round(2^F ln 2).
    The sum's relative error is at most h, so |ln S' - ln P| <= -ln(1 - h). The constant
    is used at most log2(n) times, each time off by 2^-F / 2 at most. With the piece's
    absolute error and the rounding of the output that is the bound.
    """

    @property
    def name(self) -> str:
        """``LogSoftmax[n]``."""
        return f"LogSoftmax[{self.length}]"

    @property
    def aligned(self) -> int:
        """F."""
        return max(self.input.fraction, self.inverse.fraction)

    @property
    def constant(self) -> int:
        """C."""
        return round(math.ldexp(LN2, self.aligned))

    def terms(self) -> dict[str, float]:
        """exponent, exp2, shift, log, constant, output."""
        octaves = self.place - self.stage.fraction
        error = abs(math.ldexp(self.constant, -self.aligned) - LN2) + 2.0**-50
        piece = log_piece(*self.inverse)
        return {
            **log_terms(self.envelope, self.length),
            "log": piece.fitted(self.pieces["log"]),
            "constant": octaves * error,
            "output": rounding_term(self.output, self.output.fraction >= self.aligned),
        }

    def widths(self) -> dict[str, int]:
        """As for softmax, and F and C."""
        return {**super().widths(), "F": self.aligned, "C": self.constant}

    def intermediates(self) -> dict[str, int]:
        """Exponent, sum and the aligned result."""
        m, grown = self.stage.fraction, self.aligned - self.input.fraction
        octaves = self.place - m + 1
        logarithm = octaves * (self.constant + 1) + (1 << self.aligned)
        aligned = (self.input.count << grown) + logarithm
        shift = self.aligned - self.output.fraction
        return {
            "exponent": self.stage.largest(self.input.count - 1),
            "sum": self.length << m,
            "aligned logarithm": aligned + (1 << max(shift, 0)),
            "result": aligned << max(-shift, 0),
        }

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes; int64 [..., n]."""
        t, _, total = self.exponentials(codes)
        place, index = self.inverse.split(total)
        mantissa = self.pieces["log"].form.evaluate(index)
        logarithm = (place - self.stage.fraction) * self.constant
        logarithm += mantissa << (self.aligned - self.inverse.fraction)
        result = -(t << (self.aligned - self.input.fraction)) - logarithm
        return self.saturate(shift_right(result, self.aligned - self.output.fraction))

    def reference(self, x: Float64Array) -> Float64Array:
        """x - max - log(sum exp(x - max))."""
        shifted = x - x.max(axis=-1, keepdims=True)
        log = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return np.asarray(shifted - log, np.float64)


def log_terms(envelope: Envelope, length: int) -> dict[str, float]:
    """Bound of ``|ln S' - ln P|``, ``-ln(1 - h)``, in proportion to the parts of h."""
    h = envelope.relative + length * envelope.shift
    whole = -math.log1p(-h) if h < 1 else math.inf
    factor = whole / h if h < 1 else math.inf
    return {
        "exponent": envelope.exponent * factor,
        "exp2": envelope.exp2 * factor,
        "shift": length * envelope.shift * factor,
    }


def log_softmax(
    length: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    fitter: Fitter = smallest_table,
) -> LogSoftmax:
    """The cheapest log-softmax of :class:`LogSoftmax`'s family within the target.

    Args and raises: as :func:`softmax`. The output is usually signed: y <= 0.
    """
    check_length("LogSoftmax", length)
    rate = math.ldexp(LOG2_E, -input.fraction)
    octaves = (length - 1).bit_length()

    def errors() -> Iterator[tuple[Exponential, Choice]]:
        for stage, envelope in exponentials(rate):
            error = sum(log_terms(envelope, length).values())
            yield stage, Choice(stage_cost(stage), error, stage.index, stage.fraction)

    # of the constant, the search knows half an ulp per octave, an upper bound
    logs = tuple(
        one._replace(error=one.error + octaves * 2.0 ** -(1 + max(one.fraction, input.fraction)))
        for one in inverses(logarithm=True)
    )
    budget = inside((ulp - 0.5) * output.ulp)
    found = cheapest(errors(), logs, budget, MAX_PRODUCT_BITS)
    if isinstance(found, float):
        reachable = found / output.ulp + 0.5
        raise UsageError(out_of_reach(f"LogSoftmax[{length}]", output, ulp, reachable))
    stage, inverse = found
    return LogSoftmax(
        length=length,
        input=input,
        output=output,
        pieces={
            "exp2": fitter(exp2_piece(stage.index, stage.fraction).gates),
            "log": fitter(log_piece(*inverse).gates),
        },
        stage=stage,
        inverse=inverse,
    )
