"""actc::InstanceSteps of a sign with a threshold of the sample's own, from exact fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.numerics.limbs import LIMB_BITS, MOST_LIMBS, PLACES, limb_count, limbs, moved
from actc.passes.integer.builder import Accumulator, Builder, NoIntegerForm, code_type
from actc.passes.quantized.forms import Form
from actc.passes.quantized.instances import FACTS, SUM_BITS, Instance, is_instance
from actc.passes.quantized.quantizer import Quantizer, is_quantizer
from actc.passes.quantized.rounding import quantize

Array = np.ndarray[Any, Any]

_ACCUMULATOR_BITS = 31
_LONGEST = 512
"""Bits of weights of all channels beside each other that are kept as they are."""
ROUNDED_BITS = 192
"""Bits that the largest has where they are rounded."""


@dataclass(frozen=True)
class Margins:
    """slope * acc + offset + factor * T, T = sum over powers of weights * S_power; integers.

    Attributes:
        powers: of accumulators whose sums T takes.
        weights: of each channel, one per power.
        factor: one for all channels, or one each where they share T.
        slope, offset: of each channel.
        shared: whether T is summed over the channels.
        rounded: whether weights are; they have no common denominator then that is short.
    """

    powers: tuple[int, ...]
    weights: list[list[int]]
    factor: list[int]
    slope: list[int]
    offset: list[int]
    shared: bool
    rounded: bool = False


def instance_sign(builder: Builder, node: ir.Node) -> None:
    """actc::InstanceSign; the quantizers that read it are lowered with it."""
    users = [use.node for use in node.outputs[0].uses()]
    if not all(map(is_quantizer, users)) or node.outputs[0].is_graph_output():
        raise NoIntegerForm("something else than a quantizer reads its result")


def instance_steps(builder: Builder, quantizer: Quantizer) -> ir.Value | None:
    """The quantizer of such a sign; None of any other."""
    node = quantizer.source.producer()
    if node is None or not is_instance(node) or node.inputs[0] is None:
        return None
    instance: Instance = builder.context.facts[FACTS][node.overload]
    accumulator = builder.accumulator(node.inputs[0])
    if accumulator is None or accumulator.scale.ndim > 1 or accumulator.axis != 1:
        raise NoIntegerForm("its layer has no integer sums with a factor per channel")
    found = margins(instance.margin, accumulator, instance.positions)
    if found.rounded:
        _note_rounded(builder, node)
    codes = quantize(instance.results, quantizer.parameters)
    rank, name = len(quantizer.output.shape or ()), str(quantizer.output.name)
    arrays = constants(found, rank, accumulator.bound, instance.positions)
    arrays["values"] = codes.astype(quantizer.parameters.dtype)
    held = [builder.constant(f"{name}.{what}", array) for what, array in arrays.items()]
    return builder.emit(
        "InstanceSteps",
        [accumulator.value, *held],
        quantizer.output,
        code_type(quantizer.parameters),
        name=name,
        attributes={"shared": int(found.shared)},
    )


def _note_rounded(builder: Builder, node: ir.Node) -> None:
    builder.context.sink.add(
        Diagnostic(
            "ACT0119",
            f"the statistic of all features of '{node.name}' is rounded to {ROUNDED_BITS} bits",
            severity="note",
            place=Place(builder.context.file, str(node.name), node.op_type),
            help="only a margin below 2^-160 of its terms can be decided otherwise",
        )
    )


def margins(form: Form, accumulator: Accumulator, positions: int) -> Margins:
    """A polynomial of real numbers as one of accumulators, with the least integers."""
    rows = [*form.own.values(), *form.sums.values()]
    channels = len(rows[0])
    scale, residual = (
        [Fraction(float(v)) for v in np.broadcast_to(a, channels)]
        for a in (accumulator.scale, 0.0 if accumulator.residual is None else accumulator.residual)
    )
    zero = [Fraction(0)] * channels
    slope = list(form.own.get(1, zero))
    offset = [a + b * r for a, b, r in zip(form.own.get(0, zero), slope, residual, strict=True)]
    slope = [a * s for a, s in zip(slope, scale, strict=True)]
    source = form.sums if form.joint is None else form.joint.weights
    if form.joint is not None and form.sums:
        raise NoIntegerForm("its threshold has statistics of a channel and of all channels")
    powers = tuple(range(1, max(source) + 1))
    weights = [
        _of_accumulators({k: row[c] for k, row in source.items()}, s, r, positions)
        for c, (s, r) in enumerate(zip(scale, residual, strict=True))
    ]
    used = [p for p in powers if any(row[p] for row in weights)] or [1]
    if form.joint is None:
        return _of_channels(slope, [o + w[0] for o, w in zip(offset, weights, strict=True)],
                            weights, used)  # fmt: skip
    assert form.factor is not None
    constant = form.joint.constant + sum((row[0] for row in weights), Fraction(0))
    return _of_features(slope, offset, list(form.factor), (weights, used), constant)


def _of_features(
    slope: list[Fraction],
    offset: list[Fraction],
    factor: list[Fraction],
    statistic: tuple[list[list[Fraction]], list[int]],
    constant: Fraction,
) -> Margins:
    """Channels that share T, whose weights take one unit for all."""
    weights, used = statistic
    numbers = [constant, *(row[p] for row in weights for p in used)]
    unit = _unit(numbers)
    largest = max(map(abs, numbers))
    rounded = (largest * unit).numerator.bit_length() > _LONGEST
    if rounded:
        size = largest.numerator.bit_length() - largest.denominator.bit_length()
        unit = Fraction(2) ** (ROUNDED_BITS - size)
    whole = [[round(row[p] * unit) for p in used] for row in weights]
    level = round(constant * unit)
    parts = [
        _whole([a, b + f / unit * level, f / unit])
        for a, b, f in zip(slope, offset, factor, strict=True)
    ]
    slopes, offsets, factors = (list(column) for column in zip(*parts, strict=True))
    return Margins(tuple(used), whole, factors, slopes, offsets, shared=True, rounded=rounded)


def _of_channels(
    slope: list[Fraction], offset: list[Fraction], weights: list[list[Fraction]], used: list[int]
) -> Margins:
    rows = zip(slope, offset, weights, strict=True)
    whole = [_whole([a, b, *(row[p] for p in used)]) for a, b, row in rows]
    return Margins(
        tuple(used),
        [row[2:] for row in whole],
        [1],
        [row[0] for row in whole],
        [row[1] for row in whole],
        shared=False,
    )


def _of_accumulators(
    weights: dict[int, Fraction], scale: Fraction, residual: Fraction, positions: int
) -> list[Fraction]:
    """Factors of the sums of acc^0, acc^1.. for those of (scale * acc + residual)^k."""
    found = [Fraction(0)] * (max(weights) + 1)
    for power, weight in weights.items():
        for k in range(power + 1):
            part = weight * math.comb(power, k) * scale**k * residual ** (power - k)
            found[k] += part * (positions if k == 0 else 1)
    return found


def _unit(numbers: Sequence[Fraction]) -> Fraction:
    """The positive number that makes all of them integers without a common divisor."""
    multiple = math.lcm(*(number.denominator for number in numbers))
    divisor = math.gcd(*(int(number * multiple) for number in numbers))
    return Fraction(multiple, divisor or 1)


def _whole(numbers: Sequence[Fraction]) -> list[int]:
    unit = _unit(numbers)
    return [int(number * unit) for number in numbers]


def constants(found: Margins, rank: int, bound: int, positions: int) -> dict[str, Array]:
    """What actc::InstanceSteps takes beside accumulators and values.

    Args:
        rank: of the accumulators.
        bound: of their magnitude.
        positions: of each channel.

    Raises:
        NoIntegerForm: sums leave 63 bits, or numbers have too many limbs.
    """
    if bound >= 2**_ACCUMULATOR_BITS or bound ** max(found.powers) * positions >= 2**SUM_BITS:
        raise NoIntegerForm("sums of the powers of its layer's sums do not fit 63 bits")
    sums = [positions * bound**power for power in found.powers]
    each = [sum(abs(w) * s for w, s in zip(row, sums, strict=True)) for row in found.weights]
    total = sum(each) if found.shared else max(each)
    heaviest = max(abs(weight) for row in found.weights for weight in row)
    digits = max(limb_count(total), limb_count(heaviest << (LIMB_BITS * (PLACES - 1))))
    gain = max(map(abs, found.factor))
    margin = gain * total + max(map(abs, found.slope)) * bound + max(map(abs, found.offset))
    size = max(limb_count(margin), limb_count(gain << (LIMB_BITS * (digits - 1))))
    if max(digits, size) > MOST_LIMBS:
        raise NoIntegerForm(
            f"its constants take {max(digits, size) * LIMB_BITS} bits beside each other, more "
            f"than {MOST_LIMBS * LIMB_BITS}",
            "set constants of the batch norm and threshold to 0 that are next to it",
        )
    channels = (1, len(found.slope), *([1] * (rank - 2)))
    rows = [[moved(weight, PLACES, digits) for weight in row] for row in found.weights]
    factors = [moved(factor, digits, size) for factor in found.factor]
    return {
        "powers": np.array(found.powers, np.int64),
        "weights": np.array(rows).reshape(*channels, len(found.powers), PLACES, digits),
        "factor": np.stack(factors, axis=1).reshape(digits, -1),
        "slope": limbs(found.slope, size).reshape(*channels, size),
        "offset": limbs(found.offset, size).reshape(*channels, size),
    }
