"""The weights of one linear layer, quantized."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.numerics.weights.format import WeightFormat
from actc.numerics.weights.groups import Grouped, nearest_groups, optimal_groups
from actc.numerics.weights.objective import Moments, PairedMoments, damped, quadratic
from actc.numerics.weights.rounding import descend, sequential_codes
from actc.numerics.weights.scales import (
    largest_scales,
    output_error_scales,
    refitted_scales,
    square_error_scales,
)

Array = np.ndarray[Any, Any]

DAMPING = 0.01
SHRINKAGE = 0.3
"""Times unknowns per vector seen: damping of what few data say of earlier errors. Measured:
without, two bits of networks with few calibration samples get worse on others."""
_ROUNDS = 3


@dataclass(frozen=True, eq=False, slots=True)
class QuantizedWeights:
    """Integer weights of a linear layer: real = scale * code.

    Attributes:
        codes: int8, the shape of the weights [O, ...]; with groups, the products of codes
            of the format and the factors of their groups.
        scales: float64 [O], positive.
        correction: float64 [O], to be added to the bias.
        form: the format of the codes.
        factors: int8 [O, groups]; None where there are no groups.
    """

    codes: Array
    scales: Array
    correction: Array
    form: WeightFormat
    factors: Array | None = None

    @property
    def packed_bytes(self) -> int:
        """Bytes that codes and factors take when packed."""
        codes = self.form.packed_bytes(self.codes.size)
        factors = 0 if self.factors is None else self.factors.size
        return codes + -(-factors * self.form.factor_bits // 8)

    def scaled(self, factors: Array) -> QuantizedWeights:
        """The weights times a positive number per channel, float64 [O]; the codes stay."""
        return dataclasses.replace(self, scales=self.scales * factors)

    def rows(self, start: int, stop: int) -> QuantizedWeights:
        """Some of the output channels."""
        part = slice(start, stop)
        factors = None if self.factors is None else self.factors[part]
        return QuantizedWeights(
            self.codes[part], self.scales[part], self.correction[part], self.form, factors
        )

    def real(self) -> Array:
        """The weights that the codes stand for, float64 of their shape."""
        return np.asarray(self.codes * self.scales.reshape(-1, *([1] * (self.codes.ndim - 1))))


def largest_weights(
    weights: Array, form: WeightFormat, floor: Array | None = None
) -> QuantizedWeights:
    """Scales at which the largest weight has the largest code, and the nearest codes.

    In 8 bits per channel these are the codes and scales of `quantize_weights`.

    Args:
        weights: float [O, ...].
        floor: float64 [O], the smallest scales allowed (see `bias_floor`).
    """
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    return _nearest(weights, largest_scales(rows, form, floor), form)


def nearest_weights(
    weights: Array, form: WeightFormat, floor: Array | None = None
) -> QuantizedWeights:
    """Scales of least square error per channel (or tensor) and the nearest codes.

    Args:
        weights: float [O, ...].
        floor: float64 [O], the smallest scales allowed (see `bias_floor`).
    """
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    plain = _nearest(weights, square_error_scales(rows, form, floor), form)
    if form.groups_of(rows.shape[1]) == 1:
        return plain
    codes = plain.codes.reshape(1, *rows.shape).astype(np.float64)
    found = nearest_groups(rows[None], (codes, plain.scales[None, :, None]), form, floor)
    return _grouped(weights, found, np.zeros(len(weights)), form)


def optimal_weights(
    weights: Array,
    moments: Moments,
    form: WeightFormat,
    floor: Array | None = None,
    *,
    damping: float = DAMPING,
    correct_bias: bool = True,
) -> QuantizedWeights:
    """Codes and scales of least error in the layer's output on the data.

    Starts from the nearest codes and from sequential rounding, keeps the better per row
    behind coordinate descent, and then alternates the best scale for the codes with
    descent over the codes. Each step lowers ``e^T H e`` or leaves it, so that the
    result is never worse than the nearest codes at the scales of least square error.

    With `correct_bias` the mean error goes to the bias (it is exact: ``E[y] = W E[x]``),
    and H is the covariance of the inputs, as the error's variance is what remains.

    Args:
        weights: float [O, ...]; output channels in `G` groups of the same size.
        moments: of what the layer reads, its vectors as long as a row of the weights.
        floor: float64 [O], the smallest scales allowed.
        damping: share of the mean diagonal of H that is added to its diagonal.
        correct_bias: whether the bias takes up the mean error.
    """
    groups, size = moments.mean.shape
    rows = weights.reshape(groups, -1, size).astype(np.float64)
    hessian = damped(moments.covariance() if correct_bias else moments.second, damping)
    codes, scales = _start(rows, hessian, form, floor)
    codes, scales = _alternate(rows, hessian, codes, scales, form, floor)
    found = Grouped(codes, np.ones((*scales.shape[:2], 1)), scales)
    if form.groups_of(size) > 1:
        found = optimal_groups(rows, hessian, (codes, scales), form, floor)
    residual = rows - found.scales * found.products(form)
    shift = (residual @ moments.mean[:, :, None]).reshape(-1)
    return _grouped(weights, found, shift if correct_bias else np.zeros_like(shift), form)


def sequential_weights(
    weights: Array,
    moments: PairedMoments,
    form: WeightFormat,
    floor: Array | None = None,
    *,
    damping: float = DAMPING,
    correct_bias: bool = True,
) -> QuantizedWeights:
    """As `optimal_weights`, for inputs that earlier layers' integers have changed.

    What the layer gives comes nearest to what it gives in the float network: codes make
    up for the errors of earlier layers where these can be seen in the inputs.

    Args:
        moments: of the inputs of both networks.
        damping: as for `optimal_weights`; the real weights that the codes aim at stay
            nearer to those given the fewer vectors have been seen.
    """
    target, shift = fitted_weights(weights, moments, damping=damping, correct_bias=correct_bias)
    found = optimal_weights(
        target,
        moments.quantized,
        form,
        floor,
        damping=damping,
        correct_bias=correct_bias,
    )
    return dataclasses.replace(found, correction=found.correction + shift)


def fitted_weights(
    weights: Array,
    moments: PairedMoments,
    *,
    damping: float = DAMPING,
    correct_bias: bool = True,
) -> tuple[Array, Array]:
    """Real weights that make up for inputs that earlier layers' integers have changed.

    Args:
        weights: float [O, ...]; output channels in `G` groups of the same size.
        moments: of the inputs of both networks.
        damping: as for `sequential_weights`.
        correct_bias: whether a change of the bias takes up what the means differ by.

    Returns:
        float64 [O, ...] with which the outputs come nearest to the float network's, and what
        is to be added to the bias, float64 [O].
    """
    groups, size = moments.exact.mean.shape
    rows = weights.reshape(groups, -1, size).astype(np.float64)
    kept = damping + SHRINKAGE * size / max(1, moments.quantized.count)
    target = moments.target(rows, kept, centred=correct_bias)
    if not correct_bias:
        return target.reshape(weights.shape), np.zeros(len(weights))
    wanted, got = rows @ moments.exact.mean[:, :, None], target @ moments.quantized.mean[:, :, None]
    return target.reshape(weights.shape), (wanted - got).reshape(-1)


def paired_output_error(
    weights: Array, quantized: QuantizedWeights, moments: PairedMoments
) -> float:
    """RMS error of a layer's output against the float network's, over the RMS of the latter."""
    groups, size = moments.exact.mean.shape
    rows = weights.reshape(groups, -1, size).astype(np.float64)
    real, shift = quantized.real().reshape(rows.shape), quantized.correction.reshape(groups, -1)
    signal = quadratic(rows, moments.exact.second)
    noise = signal + quadratic(real, moments.quantized.second)
    noise -= 2 * np.einsum("grk,grk->gr", rows @ moments.cross, real)
    means = rows @ moments.exact.mean[:, :, None] - real @ moments.quantized.mean[:, :, None]
    noise += shift**2 - 2 * shift * means[:, :, 0]
    total = float(signal.sum())
    return float(np.sqrt(max(float(noise.sum()), 0.0) / total)) if total > 0 else 0.0


def output_error(weights: Array, quantized: QuantizedWeights, moments: Moments) -> float:
    """RMS error of a layer's output on the data, over the RMS of the output without bias."""
    groups, size = moments.mean.shape
    rows = weights.reshape(groups, -1, size).astype(np.float64)
    residual = rows - quantized.real().reshape(rows.shape)
    shift = (residual @ moments.mean[:, :, None])[:, :, 0]
    left = shift - quantized.correction.reshape(shift.shape)
    noise = quadratic(residual, moments.second) - shift**2 + left**2
    signal = float(quadratic(rows, moments.second).sum())
    return float(np.sqrt(max(float(noise.sum()), 0.0) / signal)) if signal > 0 else 0.0


def weight_error(weights: Array, quantized: QuantizedWeights) -> float:
    """RMS error of the weights over their RMS."""
    signal = float((weights.astype(np.float64) ** 2).sum())
    noise = float(((weights - quantized.real()) ** 2).sum())
    return float(np.sqrt(noise / signal)) if signal > 0 else 0.0


def _nearest(weights: Array, scales: Array, form: WeightFormat) -> QuantizedWeights:
    codes = form.nearest(weights.reshape(len(weights), -1) / scales[:, None])
    shaped = codes.reshape(weights.shape).astype(np.int8)
    return QuantizedWeights(shaped, scales, np.zeros(len(scales)), form)


def _start(
    rows: Array, hessian: Array, form: WeightFormat, floor: Array | None
) -> tuple[Array, Array]:
    """The best of several local optima: per row, or for all rows under a single scale.

    Descent from the nearest codes and from sequential codes ends in different ones,
    neither of which is better throughout.
    """
    square = square_error_scales(rows.reshape(-1, rows.shape[2]), form, floor)
    output = output_error_scales(rows, hessian, form, floor)
    square, output = (flat.reshape(*rows.shape[:2], 1) for flat in (square, output))
    plain = form.nearest(rows / square)
    best = (plain, square, quadratic(rows - square * plain, hessian))
    for first in (form.nearest(rows / output), sequential_codes(rows, output, hessian, form)):
        codes = descend(rows, output, first, hessian, form)
        best = _better(best, (codes, output, quadratic(rows - output * codes, hessian)), form)
    return best[0], best[1]


def _better(
    a: tuple[Array, Array, Array], b: tuple[Array, Array, Array], form: WeightFormat
) -> tuple[Array, Array, Array]:
    if form.granularity == "tensor":
        return b if b[2].sum() < a[2].sum() else a
    won = b[2] < a[2]
    wide = won[:, :, None]
    return np.where(wide, b[0], a[0]), np.where(wide, b[1], a[1]), np.where(won, b[2], a[2])


def _alternate(
    rows: Array,
    hessian: Array,
    codes: Array,
    scales: Array,
    form: WeightFormat,
    floor: Array | None,
) -> tuple[Array, Array]:
    for _ in range(0 if form.power_of_two else _ROUNDS):
        scales = refitted_scales(rows, hessian, codes, scales, form, floor)
        codes = descend(rows, scales, codes, hessian, form)
    # The row whose nearest codes were best may not have been descended from yet.
    return descend(rows, scales, codes, hessian, form), scales


def _grouped(
    weights: Array, found: Grouped, correction: Array, form: WeightFormat
) -> QuantizedWeights:
    """The choice for `weights`, in their shape."""
    codes = found.products(form).reshape(weights.shape).astype(np.int8)
    factors = found.factors.reshape(len(weights), -1).astype(np.int8)
    held = factors if form.groups_of(found.codes.shape[-1]) > 1 else None
    return QuantizedWeights(codes, found.scales.reshape(-1), correction, form, held)
