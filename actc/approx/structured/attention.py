"""One query of scaled dot-product attention (Vaswani et al., 2017), in integers.

    scores  s_j = q . k_j                       exact
    weights N_j, S, R of softmax(s / sqrt d)    1 / sqrt(d) is folded into the constant K
    output  y = (sum_j N_j V_j) R >> ..         the sum is exact, one rounding at the end

The scaling costs neither a multiplier nor an error of its own, and the weights are never
rounded to a narrow format. The differences of scores may be wide: the exponential's
bound holds for every t (:mod:`actc.approx.structured.exponential`).
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
    bad_parameter,
    check_length,
    magnitude,
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
from actc.approx.structured.pieces import Fitter, exp2_piece, reciprocal_piece, smallest_table
from actc.errors import UsageError


def average_terms(envelope: Envelope, length: int, spread: float) -> dict[str, float]:
    """Bound of ``|sum_j (N_j/S - w_j) V_j|``, w the exact weights, by source.

    Both weights sum to 1, so a constant may be taken from V: its values count with half
    their `spread` = max - min. With errors z_j = a_j p_j + b_j of N'_j, |a_j| <= a and
    |b_j| <= b, and h = a + n b: the weights differ by (z_j - w_j sum z) / S', and S' >=
    P (1 - h). For the relative parts, sum_j p_j |a_j - mean a| <= a P (the mean
    deviation of numbers in -a..a is at most a); for the others, sum_j |b_j - w_j sum b|
    <= 2 n b, and P >= 1. So the difference is at most spread/2 (a + 2 n b) / (1 - h).
    """
    rest = 1 - envelope.relative - length * envelope.shift
    factor = spread / (2 * rest) if rest > 0 else math.inf
    return {
        "exponent": envelope.exponent * factor,
        "exp2": envelope.exp2 * factor,
        "shift": 2 * length * envelope.shift * factor,
    }


@dataclass(frozen=True, eq=False, kw_only=True)
class Attention(Decomposition):
    """Attention of one query to n keys of depth d; each value column is one output.

    The bound is :func:`average_terms`, + max|V| s for the relative error s of the
    reciprocal (sum N_j V_j / S is an average of values), + half a unit.

    Attributes:
        length: n, keys.
        depth: d.
        input: format of queries, keys and values.
        stage, inverse: as for softmax.
    """

    depth: int
    stage: Exponential
    inverse: Inverse

    @property
    def name(self) -> str:
        """``Attention[n,d]``."""
        return f"Attention[{self.length},{self.depth}]"

    @cached_property
    def envelope(self) -> Envelope:
        """Error of the fitted exponential."""
        piece = exp2_piece(self.stage.index, self.stage.fraction)
        return self.stage.envelope(piece.fitted(self.pieces["exp2"]))

    def terms(self) -> dict[str, float]:
        """exponent, exp2, shift, reciprocal, output."""
        error = reciprocal_piece(*self.inverse).fitted(self.pieces["reciprocal"])
        return {
            **average_terms(self.envelope, self.length, _spread(self.input)),
            "reciprocal": error * magnitude(self.input) * self.input.ulp,
            "output": rounding_term(self.output),
        }

    def widths(self) -> dict[str, int]:
        """K, g, w, m; r, q, as for softmax."""
        stage = self.stage
        return {
            "K": stage.constant,
            "g": stage.guard,
            "w": stage.index,
            "m": stage.fraction,
            "r": self.inverse.address,
            "q": self.inverse.fraction,
        }

    def intermediates(self) -> dict[str, int]:
        """Scores, exponent, weighted sum and product."""
        score = self.depth * magnitude(self.input) ** 2
        m, q = self.stage.fraction, self.inverse.fraction
        most = m + (self.length - 1).bit_length()
        shift = q + most + self.input.fraction - self.output.fraction
        grown = max(self.output.fraction - self.input.fraction, 0)
        weighted = magnitude(self.input) * self.length << m
        # R is at most 2^q 2^m / S times a little: S R < 2^(q + L + 1)
        product = (weighted << q) + (1 << max(shift, 0))
        return {
            "exponent": self.stage.largest(2 * score),
            "product": product,
            "result": magnitude(self.input) << grown + 1,
        }

    def attend(self, query: Codes, keys: Codes, values: Codes) -> Codes:
        """Output codes [..., e] of codes [..., d], [..., n, d] and [..., n, e].

        Raises:
            ValueError: not integers, outside the input format, or of other shapes.
        """
        query, keys, values = (self.input.check(part) for part in (query, keys, values))
        if query.shape[-1:] != (self.depth,) or keys.shape[-2:] != (self.length, self.depth):
            raise ValueError(f"{self.name} takes queries [{self.depth}] and keys [n, depth]")
        if values.shape[-2:-1] != (self.length,):
            raise ValueError(f"{self.name} takes {self.length} values")
        scores = (keys * query[..., None, :]).sum(axis=-1)
        t = scores.max(axis=-1, keepdims=True) - scores
        powers = self.stage.evaluate(t, self.pieces["exp2"])
        place, index = self.inverse.split(powers.sum(axis=-1, keepdims=True))
        factor = self.pieces["reciprocal"].form.evaluate(index)
        weighted = (powers[..., None] * values).sum(axis=-2)
        shift = self.inverse.fraction + place + self.input.fraction - self.output.fraction
        return self.saturate(shift_right(weighted * factor, shift))

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes [..., 1] of codes [..., d + n d + n]: query, keys, one value each."""
        return self.attend(*self._split(self.operand(codes, self.operands)))

    @property
    def operands(self) -> int:
        """Codes along the last axis for :meth:`evaluate`."""
        return self.depth + self.length * self.depth + self.length

    def _split(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        d, n = self.depth, self.length
        keys = x[..., d : d + n * d].reshape(*x.shape[:-1], n, d)
        return x[..., :d], keys, x[..., d + n * d :, None]

    def reference(self, x: Float64Array) -> Float64Array:
        """softmax(q k^T / sqrt d) v, of operands as for :meth:`evaluate`."""
        query, keys, values = self._split(x)
        scores = (keys * query[..., None, :]).sum(axis=-1) / math.sqrt(self.depth)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = powers / powers.sum(axis=-1, keepdims=True)
        return np.asarray((weights[..., None] * values).sum(axis=-2), np.float64)


def attention(
    length: int,
    depth: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    fitter: Fitter = smallest_table,
) -> Attention:
    """The cheapest attention of :class:`Attention`'s family within the target.

    Args:
        length: n, keys.
        depth: d, elements of a query and of a key.
        ulp: target in units of the output's last place, above 0.5.

    Raises:
        UsageError: ACT0356, too wide; ACT0357, the target is out of reach; ACT0359, the
            length or depth is out of range.
    """
    check_length("Attention", length)
    if depth < 1:
        raise UsageError(bad_parameter("Attention", f"depth {depth}", "choose a depth >= 1"))
    rate = math.ldexp(LOG2_E / math.sqrt(depth), -2 * input.fraction)

    def errors() -> Iterator[tuple[Exponential, Choice]]:
        for stage, envelope in exponentials(rate):
            error = sum(average_terms(envelope, length, _spread(input)).values())
            yield stage, Choice(stage_cost(stage), error, stage.index, stage.fraction)

    reach = magnitude(input) * input.ulp
    factors = tuple(one._replace(error=one.error * reach) for one in inverses(logarithm=False))
    limit = MAX_PRODUCT_BITS - (magnitude(input) * length).bit_length()
    found = cheapest(errors(), factors, inside((ulp - 0.5) * output.ulp), limit)
    if isinstance(found, float):
        name = f"Attention[{length},{depth}]"
        raise UsageError(out_of_reach(name, output, ulp, found / output.ulp + 0.5))
    stage, inverse = found
    return Attention(
        length=length,
        input=input,
        output=output,
        pieces={
            "exp2": fitter(exp2_piece(stage.index, stage.fraction).gates),
            "reciprocal": fitter(reciprocal_piece(*inverse).gates),
        },
        depth=depth,
        stage=stage,
        inverse=inverse,
    )


def _spread(format: FixedPoint) -> float:
    return (format.high - format.low) * format.ulp
