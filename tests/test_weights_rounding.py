"""Optimal rounding of weights, against exhaustive search."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from models import normal

from actc.numerics.weights import (
    DAMPING,
    SPELLINGS,
    Moments,
    WeightFormat,
    nearest_weights,
    optimal_weights,
    output_error,
    weight_error,
)
from actc.numerics.weights.objective import damped, quadratic
from actc.numerics.weights.rounding import descend, sequential_codes

Array = np.ndarray[Any, Any]

FORMATS = [WeightFormat.parse(text) for text in ("8", "4", "3", "2", "ternary", "binary")]


def inputs(count: int, size: int, seed: int = 0) -> Array:
    """Correlated vectors with a mean, as behind a ReLU."""
    mixed = normal(count, size, seed=seed) @ normal(size, size, seed=seed + 1)
    return np.asarray(np.maximum(mixed, 0).astype(np.float64))


def moments(*groups: Array) -> Moments:
    second = np.stack([x.T @ x / len(x) for x in groups])
    return Moments(second, np.stack([x.mean(axis=0) for x in groups]), len(groups[0]))


def case(rows: int, size: int, form: WeightFormat, seed: int) -> tuple[Array, Array, Array]:
    weights = normal(1, rows, size, seed=seed).astype(np.float64)
    hessian = damped(moments(inputs(200, size, seed)).covariance(), DAMPING)
    scales = np.abs(weights).max(axis=2, keepdims=True) / (form.largest + 0.5)
    return weights, hessian, scales


def exhaustive(weights: Array, scales: Array, hessian: Array, form: WeightFormat) -> Array:
    """Least error of each row over all codes there are, [R]."""
    codes = np.unique(np.concatenate([-form.magnitudes, form.magnitudes]))
    every = np.array(list(itertools.product(codes, repeat=weights.shape[2])))
    errors = [
        quadratic(weights[:, r, None] - scales[:, r, None] * every[None], hessian).min()
        for r in range(weights.shape[1])
    ]
    return np.array(errors)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("text", "size"), [("binary", 9), ("ternary", 8), ("2", 6), ("3", 5), ("4", 4)]
)
def test_against_exhaustive_search(text: str, size: int, seed: int) -> None:
    """Descent from two starts: most rows reach the least error there is."""
    form = WeightFormat.parse(text)
    weights, hessian, scales = case(24, size, form, seed)
    least = exhaustive(weights, scales, hessian, form)
    found = np.full(24, np.inf)
    for start in (
        form.nearest(weights / scales),
        sequential_codes(weights, scales, hessian, form),
    ):
        codes = descend(weights, scales, start, hessian, form)
        error = quadratic(weights - scales * codes, hessian)[0]
        assert (error <= quadratic(weights - scales * start, hessian)[0] * (1 + 1e-9)).all()
        found = np.minimum(found, error)
    nearest = form.nearest(weights / scales)
    plain = quadratic(weights - scales * nearest, hessian)[0]
    assert (found >= least * (1 - 1e-9)).all()
    assert np.mean(found <= least * (1 + 1e-9)) >= 0.75
    assert found.sum() - least.sum() <= 0.2 * (plain.sum() - least.sum())


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_no_single_change_lowers_the_error(form: WeightFormat) -> None:
    weights, hessian, scales = case(5, 12, form, seed=9)
    codes = descend(weights, scales, form.nearest(weights / scales), hessian, form)
    found = quadratic(weights - scales * codes, hessian)[0]
    values = np.unique(np.concatenate([-form.magnitudes, form.magnitudes]))
    assert np.isin(codes, values).all()
    for column, value in itertools.product(range(12), values):
        changed = codes.copy()
        changed[:, :, column] = value
        error = quadratic(weights - scales * changed, hessian)[0]
        assert (error >= found * (1 - 1e-9)).all()


@pytest.mark.parametrize("size", [1, 63, 64, 65, 200])
def test_blocks_of_sequential_rounding_change_nothing(size: int) -> None:
    """The definition, one row and one weight at a time."""
    form = WeightFormat.parse("4")
    weights, hessian, scales = case(3, size, form, seed=size)
    order = np.argsort(-np.diagonal(hessian[0]), kind="stable")
    inverse = np.linalg.inv(hessian[0][np.ix_(order, order)])
    found = sequential_codes(weights, scales, hessian, form)
    for row in range(3):
        left, scale = weights[0, row, order].copy(), scales[0, row, 0]
        codes = np.zeros(size)
        remaining = inverse.copy()  # of the weights that are not rounded yet
        for k in range(size):
            codes[k] = form.nearest(left[k : k + 1] / scale)[0]
            step = (left[k] - scale * codes[k]) / remaining[k, k]
            left[k:] -= step * remaining[k, k:]
            remaining -= np.outer(remaining[:, k], remaining[k]) / remaining[k, k]
        np.testing.assert_array_equal(found[0, row, order], codes)


@pytest.mark.parametrize("correct_bias", [False, True])
@pytest.mark.parametrize("granularity", ["channel", "tensor"])
@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_never_worse_than_nearest(
    form: WeightFormat, granularity: Any, power_of_two: bool, correct_bias: bool
) -> None:
    """On the objective: the error on the data, damped."""
    form = WeightFormat.parse(str(form), granularity, power_of_two)
    weights = normal(6, 4, 3, 3) * np.linspace(0.2, 3, 6, dtype=np.float32)[:, None, None, None]
    seen = moments(inputs(300, 36), inputs(300, 36, seed=5))
    found = optimal_weights(weights, seen, form, correct_bias=correct_bias)
    plain = nearest_weights(weights, form)
    hessian = damped(seen.covariance() if correct_bias else seen.second, DAMPING)

    def error(real: Array) -> Array:
        return quadratic((weights - real).reshape(2, 3, 36).astype(np.float64), hessian)

    rows, nearest = error(found.real()), error(plain.real())
    assert rows.sum() < 0.9 * nearest.sum()
    if granularity == "channel":
        assert (rows <= nearest * (1 + 1e-9)).all()
    else:
        assert len(np.unique(found.scales)) == 1
    if power_of_two:
        np.testing.assert_array_equal(np.frexp(found.scales)[0], 0.5)
    assert (found.codes.dtype, found.scales.dtype) == (np.int8, np.float64)
    assert np.abs(found.codes).max() <= form.largest


@pytest.mark.parametrize("text", SPELLINGS)
def test_errors_are_those_of_the_outputs(text: str) -> None:
    """`output_error` against outputs computed; the corrected bias leaves no mean error."""
    form, x = WeightFormat.parse(text), inputs(500, 20)
    weights = normal(7, 20)
    found = optimal_weights(weights, moments(x), form)
    outputs, quantized = x @ weights.T, x @ found.real().T + found.correction
    np.testing.assert_allclose(quantized.mean(axis=0), outputs.mean(axis=0), rtol=1e-6)
    rms = np.sqrt(np.mean((quantized - outputs) ** 2) / np.mean(outputs**2))
    assert output_error(weights, found, moments(x)) == pytest.approx(rms, rel=1e-6)
    plain = nearest_weights(weights, form)
    rms = np.sqrt(np.mean((x @ (plain.real() - weights).T) ** 2) / np.mean(outputs**2))
    assert output_error(weights, plain, moments(x)) == pytest.approx(rms, rel=1e-6)
    assert weight_error(weights, plain) <= weight_error(weights, found)


def test_groups_are_independent() -> None:
    form = WeightFormat.parse("3")
    weights = normal(8, 5)
    parts = [inputs(100, 5), inputs(100, 5, seed=7)]
    both = optimal_weights(weights, moments(*parts), form)
    for group, x in enumerate(parts):
        rows = slice(4 * group, 4 * group + 4)
        alone = optimal_weights(weights[rows], moments(x), form)
        np.testing.assert_array_equal(both.codes[rows], alone.codes)
        np.testing.assert_allclose(both.scales[rows], alone.scales, rtol=1e-12)


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_inputs_that_are_dead_or_equal(form: WeightFormat) -> None:
    """Singular moments: no input, one input twice, and a group that saw only zeros."""
    x = inputs(50, 6)
    x[:, 2], x[:, 4] = 0, x[:, 3]
    seen = moments(x, np.zeros((50, 6)))
    weights = normal(8, 6)
    found = optimal_weights(weights, seen, form)
    assert np.isfinite(found.scales).all()
    assert np.isfinite(found.correction).all()
    plain = nearest_weights(weights[4:], form).real()
    # With nothing seen, the plain square error decides.
    assert ((weights - found.real())[4:] ** 2).sum() <= ((weights[4:] - plain) ** 2).sum()


@pytest.mark.parametrize("power_of_two", [False, True])
def test_the_floor_of_scales_holds(power_of_two: bool) -> None:
    form = WeightFormat.parse("4", power_of_two=power_of_two)
    floor = np.array([0.9, 0.0, 30.0])
    found = optimal_weights(normal(3, 20), moments(inputs(100, 20)), form, floor)
    assert (found.scales >= floor).all()
    assert found.scales[1] < 0.9
