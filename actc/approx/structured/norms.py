"""LayerNorm, InstanceNorm and RMSNorm in integers.

With X the input codes and F their fraction bits, sums are exact:

    LayerNorm, InstanceNorm: d = n X - sum X,  V = n sum X^2 - (sum X)^2,  e = n^2 eps 4^F
    RMSNorm:                 d = X,            V = sum X^2,                e = n eps 4^F

and y = d sqrt(c) 2^a / sqrt(V + e), where c 4^a = n for RMSNorm, c = 1 and a = 0
otherwise. (V counts the variance n^2 4^F times, and is no difference of rounded
numbers, so there is no cancellation.) The datapath keeps z bits below V for the
constant E = round(e 2^z), takes the leading one of W = V 2^z + E to write W = v 4^h with
v in [1, 4), and reads R ~ 2^q sqrt(c/v) from the parity of the exponent and the r bits
after the leading one; then y = d R >> (q + h - a - z/2 - fraction).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array
from actc.approx.structured.decomposition import (
    SLACK,
    Decomposition,
    check_length,
    leading_one,
    magnitude,
    out_of_reach,
    outward,
    rounding_term,
    shift_right,
)
from actc.approx.structured.pieces import (
    MAX_PIECE_BITS,
    MAX_PIECE_FRACTION,
    Fitter,
    Piece,
    rsqrt_piece,
    smallest_table,
    table_size,
)
from actc.errors import UsageError

EPSILON = 1e-5


@dataclass(frozen=True, eq=False)
class Affine:
    """``gamma * y + beta`` after a norm, in fixed point.

    Attributes:
        gamma, beta: int64 codes that broadcast against the codes of the norm: [n] for
            one factor per element, [C, 1] for one per channel.
        gamma_format, beta_format: their formats.

    Raises:
        ValueError: a code is outside its format.
    """

    gamma: Codes
    gamma_format: FixedPoint
    beta: Codes
    beta_format: FixedPoint

    def __post_init__(self) -> None:
        for name, form in (("gamma", self.gamma_format), ("beta", self.beta_format)):
            own = form.check(getattr(self, name))
            own.setflags(write=False)
            object.__setattr__(self, name, own)

    @property
    def steepest(self) -> float:
        """Largest magnitude of gamma."""
        return float(np.abs(self.gamma_format.to_real(self.gamma)).max())

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {
            "gamma_format": str(self.gamma_format),
            "gamma": self.gamma.tolist(),
            "beta_format": str(self.beta_format),
            "beta": self.beta.tolist(),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class Norm(Decomposition):
    """A norm as in the module's docstring, and its bound.

    Let s be the largest relative error of R over the interval of v behind each input
    of the piece, and g = (1 - u)^(-1/2) - 1, where u bounds the relative error of W
    from rounding E: d = 0 gives 0 exactly, and otherwise V >= least, so u = |E 2^-z - e|
    / (least + e). Then the value before rounding is y (1 + x) with |x| <= s + g (1 + s).

    |y| is bounded. LayerNorm: the other n - 1 of the d sum to -d_i, so by Cauchy and
    Schwarz sum d^2 >= d_i^2 n / (n - 1), and sum d^2 = n V; hence d_i^2 <= (n - 1) V and
    |y| <= sqrt(n - 1). RMSNorm: X_i^2 <= V and |y| <= sqrt(n). Without gamma and beta,
    outputs beyond the format saturate, and y counts only up to the format's end.

    With gamma and beta, y is first rounded to `normalized` fraction bits; gamma
    multiplies the error so far, and one more rounding follows.

    Attributes:
        title: LayerNorm, InstanceNorm (the same over other axes) or RMSNorm.
        epsilon: eps >= 0, a real number.
        address, fraction, guard: r, q and z (even).
        affine: gamma and beta, if any.
    """

    title: str
    epsilon: float
    address: int
    fraction: int
    guard: int
    affine: Affine | None = None

    @property
    def name(self) -> str:
        """``LayerNorm[n]``."""
        return f"{self.title}[{self.length}]"

    @property
    def centred(self) -> bool:
        """Whether the mean is subtracted."""
        return self.title != "RMSNorm"

    @property
    def octave(self) -> int:
        """a."""
        return 0 if self.centred else (self.length.bit_length() - 1) // 2

    @property
    def piece(self) -> Piece:
        """The reciprocal square root, before it is fitted."""
        c = 1.0 if self.centred else self.length / 4.0**self.octave
        return rsqrt_piece(self.address, self.fraction, c)

    @property
    def scaled_epsilon(self) -> float:
        """e."""
        count = self.length**2 if self.centred else self.length
        return math.ldexp(count * self.epsilon, 2 * self.input.fraction)

    @property
    def constant(self) -> int:
        """E."""
        return round(math.ldexp(self.scaled_epsilon, self.guard))

    @property
    def normalized(self) -> int:
        """Fraction bits of y before gamma and beta: the output's, and 3 and gamma's more."""
        if self.affine is None:
            return self.output.fraction
        steep = self.affine.steepest
        return self.output.fraction + 3 + max(math.frexp(steep)[1], 0)

    @property
    def largest(self) -> float:
        """Bound of the |y| that matter."""
        bound = math.sqrt(self.length - 1 if self.centred else self.length)
        if self.affine is None:
            bound = min(bound, magnitude(self.output) * self.output.ulp)
        return bound

    def terms(self) -> dict[str, float]:
        """rsqrt, epsilon, normalized (with gamma and beta only), output."""
        return self.terms_for(self.piece.fitted(self.pieces["rsqrt"]))

    def terms_for(self, piece_error: float) -> dict[str, float]:
        """The terms for a piece with this relative error."""
        steep = 1.0 if self.affine is None else self.affine.steepest
        reach = self.largest * steep
        held = math.ldexp(self.constant, -self.guard)
        least = self.length - 1 if self.centred else 1
        # float64 computes e itself with a relative error of 2^-51
        off = abs(held - self.scaled_epsilon) + self.scaled_epsilon * SLACK
        smallest = least + self.scaled_epsilon
        u = off / smallest if smallest else 0.0
        drift = (1 - u) ** -0.5 - 1 if u < 1 else math.inf
        found = {
            "rsqrt": piece_error * reach,
            "epsilon": drift * (1 + piece_error) * reach if reach else 0.0,
        }
        if self.affine is not None:
            found["normalized"] = steep * math.ldexp(0.5, -self.normalized)
        return {**found, "output": rounding_term(self.output)}

    def widths(self) -> dict[str, int]:
        """r, q, z and E of the module's docstring."""
        return {"r": self.address, "q": self.fraction, "z": self.guard, "E": self.constant}

    @property
    def sums(self) -> tuple[int, int]:
        """Largest |d| and V."""
        n, x = self.length, magnitude(self.input)
        return (n * self.input.count, (n * x) ** 2) if self.centred else (x, n * x * x)

    def intermediates(self) -> dict[str, int]:
        """Sums, product, shift and the parts of gamma and beta."""
        d, v = self.sums
        w = (v << self.guard) + self.constant
        most = self.fraction + w.bit_length() // 2
        shift = most - self.octave - self.guard // 2 - self.normalized
        least = self.fraction - self.octave - self.guard // 2 - self.normalized
        y = 2 * math.isqrt(self.length) + 2
        found = {
            "variance": w << max(self.address - w.bit_length() + 1, 0),
            "product": (d << (self.fraction + 1)) + (1 << max(shift, 0)),
            "normalized value": y << max(self.normalized, -least, 0),
        }
        if self.affine is not None:
            found["affine sum"] = self._affine_sum(self.affine, y << max(self.normalized, 0))
        return found

    def _affine_sum(self, affine: Affine, y: int) -> int:
        fraction = self.normalized + affine.gamma_format.fraction
        common = max(fraction, affine.beta_format.fraction)
        product = y * magnitude(affine.gamma_format) << (common - fraction)
        beta = magnitude(affine.beta_format) << (common - affine.beta_format.fraction)
        shift = common - self.output.fraction
        return (product + beta + (1 << max(shift, 0))) << max(-shift, 0)

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes; int64 [..., n]."""
        x = self.operand(codes, self.length)
        d, variance = x, (x * x).sum(axis=-1, keepdims=True)
        if self.centred:
            total = x.sum(axis=-1, keepdims=True)
            d, variance = self.length * x - total, self.length * variance - total * total
        # without epsilon a constant row has W = 0 and d = 0; any W gives y = 0
        w = np.maximum((variance << self.guard) + self.constant, 1)
        place = leading_one(w)
        shift = place - self.address
        mantissa = (w >> np.maximum(shift, 0)) << np.maximum(-shift, 0)
        # the leading one is replaced by the parity of its place
        index = mantissa + (((place & 1) - 1) << self.address)
        factor = self.pieces["rsqrt"].form.evaluate(index)
        drop = self.fraction + (place >> 1) - self.octave - self.guard // 2
        y = shift_right(d * factor, drop - self.normalized)
        return self.saturate(y if self.affine is None else self._apply(self.affine, y))

    def _apply(self, affine: Affine, y: Codes) -> Codes:
        fraction = self.normalized + affine.gamma_format.fraction
        common = max(fraction, affine.beta_format.fraction)
        total = (y * affine.gamma) << (common - fraction)
        total = total + (affine.beta << (common - affine.beta_format.fraction))
        return shift_right(total, common - self.output.fraction)

    def reference(self, x: Float64Array) -> Float64Array:
        """(x - mean) / sqrt(variance + eps), or x / sqrt(mean of squares + eps); 0/0 is 0."""
        centred = x - x.mean(axis=-1, keepdims=True) if self.centred else x
        power = (centred * centred).mean(axis=-1, keepdims=True) + self.epsilon
        y = centred / np.sqrt(np.where(power > 0, power, 1.0))
        if self.affine is not None:
            gamma = self.affine.gamma_format.to_real(self.affine.gamma)
            y = y * gamma + self.affine.beta_format.to_real(self.affine.beta)
        return np.asarray(y, np.float64)

    def to_json(self) -> dict[str, Any]:
        """As the base class, with epsilon and affine."""
        affine = None if self.affine is None else self.affine.to_json()
        return {**super().to_json(), "epsilon": self.epsilon, "affine": affine}


def _worst(candidate: Norm) -> float:
    """Bound for any fit within the piece's gates."""
    return outward(sum(candidate.terms_for(candidate.piece.worst).values()) * (1 + SLACK))


def _cost(candidate: Norm) -> float:
    """Cells of the table (a LUT4 holds 16 bits) and of the product with d."""
    table = table_size(candidate.address + 1, candidate.fraction + 1) / 16
    return table + candidate.sums[0].bit_length() * (candidate.fraction + 1)


def _guard(bare: Norm, budget: float) -> int:
    """Fewest z, even, with which rounding E costs at most 1/16 of the budget.

    At most 40; the bound tells if that is not enough.
    """
    for z in range(0, 40, 2):
        if replace(bare, guard=z).terms_for(0.0)["epsilon"] <= budget / 16:
            return z
    return 40


def norm(
    title: str,
    length: int,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    epsilon: float = EPSILON,
    affine: Affine | None = None,
    fitter: Fitter = smallest_table,
) -> Norm:
    """The cheapest :class:`Norm` that is proven within the target.

    Args:
        title: LayerNorm, InstanceNorm or RMSNorm.
        length: n, 1..65536: the elements that share a mean.
        ulp: target in units of the output's last place, above 0.5.
        epsilon: eps, finite, >= 0.

    Raises:
        UsageError: ACT0356, too wide; ACT0357, the target is out of reach; ACT0359,
            the length is out of range.
        ValueError: another title or a bad epsilon.
    """
    if title not in ("LayerNorm", "InstanceNorm", "RMSNorm"):
        raise ValueError(f"no norm is called {title!r}")
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon is a number >= 0, not {epsilon}")
    check_length(title, length)

    target = ulp * output.ulp
    bare = Norm(
        length=length,
        input=input,
        output=output,
        pieces={},
        title=title,
        epsilon=epsilon,
        address=2,
        fraction=2,
        guard=0,
        affine=affine,
    )
    bare = replace(bare, guard=_guard(bare, target - output.ulp / 2))
    candidates = [
        (address, fraction)
        for fraction in range(2, MAX_PIECE_FRACTION + 1)
        for address in range(2, min(fraction + 2, MAX_PIECE_BITS))
    ]
    best: Norm | None = None
    reachable = math.inf
    for address, fraction in candidates:
        candidate = replace(bare, address=address, fraction=fraction)
        worst = _worst(candidate)
        reachable = min(reachable, worst / output.ulp)
        if worst <= target and (best is None or _cost(candidate) < _cost(best)):
            best = candidate
    if best is None:
        # epsilon is given a sixteenth of what the rounding of the output leaves
        reachable = (reachable - 0.5) * 16 / 15 + 0.5
        raise UsageError(out_of_reach(bare.name, output, ulp, reachable))
    return replace(best, pieces={"rsqrt": fitter(best.piece.gates)})
