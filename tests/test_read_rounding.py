"""The steps of a quantizer against rational arithmetic, over every sum."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import network, transformed

from actc.ir.context import context_of
from actc.numerics.quantization import QuantizationParameters
from actc.passes.normalize import Normalize
from actc.passes.quantized.monotone import is_monotone
from actc.passes.quantized.rounding import Affine, enumerated, padded, quantize, staircase
from actc.passes.recognize import Recognize

Array = np.ndarray[Any, Any]
BOUND = 400


def exact_code(factor: float, offset: float, total: int, p: QuantizationParameters) -> int:
    real = Fraction(factor) * total + Fraction(offset)
    return min(max(round(real / Fraction(p.scale)) + p.zero_point, p.low), p.high)


def formats() -> st.SearchStrategy[QuantizationParameters]:
    scales = st.sampled_from([1.0, 0.5, 0.1, 3.0, 0.7, 1 / 3])
    return st.builds(
        lambda scale, zero, bits: QuantizationParameters(
            scale, min(zero, 2**bits - 1), 0, 2**bits - 1, bits
        ),
        scales,
        st.integers(0, 255),
        st.integers(2, 8),
    )


FACTORS = st.sampled_from([0.25, -0.5, 1.0, 0.0, 0.1, -0.3, 1 / 3, 0.05, 2.5])
OFFSETS = st.sampled_from([0.0, 0.5, -0.25, 0.05, 1 / 6, -7.5])


@given(st.lists(st.tuples(FACTORS, OFFSETS), min_size=1, max_size=3), formats())
def test_every_sum_gets_the_exact_code(
    channels: list[tuple[float, float]], p: QuantizationParameters
) -> None:
    """Decimal fractions are near ties in float64 without being on them; dyadic ones are on."""
    factor, offset = (np.array(column) for column in zip(*channels, strict=True))
    stairs = staircase(Affine(factor, offset), len(channels), BOUND, p)
    sums = np.arange(-BOUND, BOUND + 1)
    wanted = [[exact_code(f, b, int(total), p) for f, b in channels] for total in sums]
    np.testing.assert_array_equal(stairs(sums), wanted)
    full = padded(stairs)
    assert full.points.shape == (len(channels), 255)
    np.testing.assert_array_equal(full(sums), wanted)


@pytest.mark.parametrize("name", ["tanh", "negated"])
def test_monotone_functions_by_bisection(name: str) -> None:
    sign = -1.0 if name == "negated" else 1.0
    p = QuantizationParameters(0.01, 100, 0, 200)

    def function(sums: Array) -> Array:
        return np.asarray(sign * np.tanh(sums * 0.01))

    sums = np.arange(-BOUND, BOUND + 1)
    stairs = staircase(function, 1, BOUND, p)
    np.testing.assert_array_equal(stairs(sums)[:, 0], quantize(function(sums), p))


def test_enumerated_refuses_two_codes_for_one_sum() -> None:
    sums = np.array([3, 1, 2, 2])
    assert enumerated(sums, np.array([9, 7, 8, 9])) is None
    found = enumerated(sums, np.array([9, 7, 8, 8]))
    assert found is not None
    np.testing.assert_array_equal(found(np.array([0, 1, 2, 3, 4]))[:, 0], [7, 7, 8, 9, 9])


def test_enumerated_refuses_more_steps_than_there_is_room_for() -> None:
    sums = np.arange(600)
    assert enumerated(sums, sums % 2) is None


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("y = Relu (x)", True),
        ("t = Tanh (x)\nm = Mul (t, k)\ny = Relu (m)", True),
        ("y = LeakyRelu <alpha = 0.1> (x)", True),
        ("y = LeakyRelu <alpha = -0.1> (x)", False),
        ("y = Gelu (x)", False),
        ("s = Sigmoid (x)\ny = Mul (x, s)", False),
        ("a = Abs (x)\ny = Relu (a)", False),
        ("a = Add (x, k)\nd = Div (k, a)\ny = Relu (d)", False),
        ("a = Relu (x)\nb = Sigmoid (x)\ny = Add (a, b)", True),
        ("a = Relu (x)\nb = Mul (x, k)\ny = Add (a, b)", False),
        ("a = Mul (x, k)\nb = Neg (x)\ny = Sub (a, x)", True),
        ("a = Mul (x, w)\ny = Relu (a)", True),
        ("a = Mul (x, w)\nb = Mul (x, w)\ny = Add (a, b)", False),
        (
            "a = GreaterOrEqual (x, k)\nb = Less (k, x)\nc = Cast <to = 1> (a)\n"
            "d = Cast <to = 1> (b)\ny = Add (c, d)",
            True,
        ),
        (
            "a = GreaterOrEqual (x, k)\nb = Less (x, k)\nc = Cast <to = 1> (a)\n"
            "d = Cast <to = 1> (b)\ny = Add (c, d)",
            False,
        ),
    ],
)
def test_monotone_by_structure(body: str, wanted: bool) -> None:
    signs = np.array([1, -1, 2, -3], np.float32)
    model = network("float[N,4] x => float[N,4] y", body, {"k": np.float32(-2), "w": signs})
    found = transformed(model, Normalize(), Recognize())
    (site,) = context_of(found).sites.values()
    assert is_monotone(site.function.body) is wanted
