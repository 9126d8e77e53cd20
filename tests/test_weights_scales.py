"""Formats and scales of weights, against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import normal

from actc.errors import UsageError
from actc.numerics.weights import (
    SPELLINGS,
    WeightFormat,
    bias_floor,
    largest_weights,
    nearest_weights,
    quantize_weights,
)
from actc.numerics.weights.objective import quadratic
from actc.numerics.weights.scales import (
    fitted_scales,
    largest_scales,
    output_error_scales,
    square_error_scales,
)

Array = np.ndarray[Any, Any]

EXACT = ("6", "5", "4", "3", "2", "ternary")
FORMATS = [WeightFormat.parse(text) for text in SPELLINGS]


def square_error(rows: Array, scales: Array, form: WeightFormat) -> Array:
    """By comparison with every code there is."""
    codes = np.concatenate([-form.magnitudes, form.magnitudes])
    distances = np.abs(rows[:, :, None] - scales[:, None, None] * codes)
    return np.asarray((distances.min(axis=2) ** 2).sum(axis=1))


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("ternary", [-1, 0, 1]),
        ("2", [-3, -1, 1, 3]),
        ("3", [-3, -2, -1, 0, 1, 2, 3]),
        ("4", range(-7, 8)),
        ("8", range(-127, 128)),
    ],
)
def test_codes_of_a_format(text: str, codes: list[int]) -> None:
    form = WeightFormat.parse(text)
    assert str(form) == text
    found = np.unique(form.nearest(np.linspace(-200, 200, 40001)))
    np.testing.assert_array_equal(found, list(codes))
    assert len(codes) <= 2**form.bits


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_the_nearest_code_is_nearest(form: WeightFormat) -> None:
    steps = np.linspace(-1.3 * form.largest, 1.3 * form.largest, 2001)
    codes = np.concatenate([-form.magnitudes, form.magnitudes])
    least = np.abs(steps[:, None] - codes).min(axis=1)
    np.testing.assert_allclose(np.abs(steps - form.nearest(steps)), least, atol=1e-12)


@pytest.mark.parametrize("text", ["1", "9", "int4", "", "bipolar"])
def test_unknown_formats(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        WeightFormat.parse(text)
    assert caught.value.diagnostics[0].code == "ACT0226"


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [("8", 9, 9), ("4", 9, 5), ("3", 8, 3), ("2", 9, 3), ("ternary", 10, 2), ("ternary", 11, 3)],
)
def test_packed_sizes(text: str, count: int, expected: int) -> None:
    assert WeightFormat.parse(text).packed_bytes(count) == expected


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("text", EXACT)
def test_the_least_square_error_is_found(text: str, seed: int) -> None:
    """No scale of a fine grid does better; a second of least error is not accepted."""
    form = WeightFormat.parse(text)
    rows = normal(4, 23, seed=seed).astype(np.float64) ** 3
    scales = square_error_scales(rows, form)
    best = square_error(rows, scales, form)
    reach = np.abs(rows).max(axis=1) / form.largest
    tried = [square_error(rows, reach * share, form) for share in np.linspace(0.02, 1.5, 1500)]
    lowest = np.min(tried, axis=0)
    assert (best <= lowest * (1 + 1e-12)).all()
    np.testing.assert_allclose(best, lowest, rtol=1e-2)


@pytest.mark.parametrize("text", ["8", "7"])
def test_the_grid_for_many_bits_is_close(text: str) -> None:
    form = WeightFormat.parse(text)
    rows = normal(4, 400).astype(np.float64)
    reach = np.abs(rows).max(axis=1) / form.largest
    tried = [square_error(rows, reach * share, form) for share in np.linspace(0.3, 1.1, 301)]
    found = square_error(rows, square_error_scales(rows, form), form)
    assert (found <= 1.1 * np.min(tried, axis=0)).all()
    assert (found <= square_error(rows, reach, form)).all()


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_output_error_is_no_worse_than_with_the_scale_of_least_square_error(
    form: WeightFormat,
) -> None:
    weights, factor = normal(2, 5, 12).astype(np.float64), normal(2, 12, 12, seed=1)
    hessian = (factor @ np.swapaxes(factor, 1, 2)).astype(np.float64)

    def error(scales: Array) -> Array:
        shaped = scales.reshape(2, 5, 1)
        return quadratic(weights - shaped * form.nearest(weights / shaped), hessian)

    found = error(output_error_scales(weights, hessian, form))
    square = error(square_error_scales(weights.reshape(10, 12), form))
    assert (found <= square * (1 + 1e-12)).all()
    assert (found < square * (1 - 1e-6)).any()


def test_the_fitted_scale_is_the_minimum_of_its_parabola() -> None:
    form = WeightFormat.parse("4")
    weights, factor = normal(1, 6, 9).astype(np.float64), normal(1, 9, 9, seed=1)
    hessian = (factor @ np.swapaxes(factor, 1, 2)).astype(np.float64)
    codes = np.rint(weights * 3)
    codes[0, 2] = 0
    scales = fitted_scales(weights, codes, hessian, form)
    assert np.isnan(scales[2])
    for row in (0, 1, 3, 4, 5):
        at = [
            quadratic(weights - scales[row] * k * codes, hessian)[0, row] for k in (0.99, 1, 1.01)
        ]
        assert at[1] < min(at[0], at[2])


def test_one_scale_per_tensor() -> None:
    form = WeightFormat.parse("4", granularity="tensor")
    rows = normal(5, 30).astype(np.float64) * np.array([[1], [2], [4], [0.1], [1]])
    for scales in (largest_scales(rows, form), square_error_scales(rows, form)):
        assert len(np.unique(scales)) == 1
    best = square_error(rows, square_error_scales(rows, form), form).sum()
    reach = np.abs(rows).max() / form.largest
    tried = [
        square_error(rows, np.full(5, reach * share), form).sum()
        for share in np.linspace(0.05, 1.5, 1000)
    ]
    assert best <= min(tried) * (1 + 1e-12)


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("granularity", ["channel", "tensor"])
def test_powers_of_two(text: str, granularity: Any) -> None:
    form = WeightFormat.parse(text, granularity, power_of_two=True)
    rows = normal(6, 40).astype(np.float64)
    found = square_error_scales(rows, form)
    np.testing.assert_array_equal(np.frexp(found)[0], 0.5)
    powers = 2.0 ** np.arange(-20, 5)
    tried = np.stack([square_error(rows, np.full(6, p), form) for p in powers])
    lowest = tried.min(axis=0) if granularity == "channel" else tried.sum(axis=1).min()
    best = square_error(rows, found, form)
    np.testing.assert_allclose(best if granularity == "channel" else best.sum(), lowest)


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_a_floor_holds(form: WeightFormat, power_of_two: bool) -> None:
    form = WeightFormat.parse(str(form), power_of_two=power_of_two)
    rows, floor = normal(3, 20).astype(np.float64), np.array([5.0, 0.0, 1e-3])
    for scales in (
        largest_scales(rows, form, floor),
        square_error_scales(rows, form, floor),
        output_error_scales(rows[None], np.eye(20)[None], form, floor),
    ):
        assert (scales >= floor).all()
        assert scales[0] <= 5 * (1 + power_of_two)


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_rows_of_zeros(form: WeightFormat) -> None:
    quantized = nearest_weights(np.zeros((2, 4), np.float32), form)
    assert (quantized.scales > 0).all()
    assert np.abs(quantized.real()).max() < 1e-20


def test_eight_bits_by_the_largest_weight_are_the_weights_of_quantize_weights() -> None:
    weights, bias = normal(7, 3, 3, 3), np.array([0, 1, 2, 3, 1e6, -1e5, 7])
    codes, _, scales = quantize_weights(weights, bias, 0.01)
    found = largest_weights(weights, WeightFormat(), bias_floor(bias, 0.01))
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.scales, scales)
    assert not found.correction.any()
