"""Scales of two levels: integer factors of groups of weights."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from models import normal
from test_weights_rounding import inputs, moments

from actc.numerics.weights import (
    WeightFormat,
    nearest_weights,
    optimal_weights,
    output_error,
    weight_error,
)
from actc.numerics.weights.groups import nearest_groups, spread

Array = np.ndarray[Any, Any]

FEW = ("7", "6", "4", "3", "2", "ternary")


def grouped(bits: str, group: int, **options: Any) -> WeightFormat:
    return dataclasses.replace(WeightFormat.parse(bits), group=group, **options)


def uneven(rows: int, size: int, seed: int = 0) -> Array:
    """Weights whose inputs differ in size, as behind channels that do."""
    return normal(rows, size, seed=seed) * np.exp(normal(1, size, seed=seed + 50))


@pytest.mark.parametrize(
    ("bits", "factors"), [("8", 1), ("7", 2), ("6", 4), ("5", 8), ("4", 16), ("2", 16)]
)
def test_products_fit_eight_bits(bits: str, factors: int) -> None:
    form = grouped(bits, 4)
    assert form.factors == factors
    assert factors * form.largest <= 127
    assert factors == 16 or 2 * factors * form.largest > 127


@pytest.mark.parametrize("size", [8, 10, 16])
@pytest.mark.parametrize("bits", FEW)
def test_codes_factors_and_scales_are_of_the_format(bits: str, size: int) -> None:
    form, weights = grouped(bits, 4), uneven(6, size)
    found = [
        nearest_weights(weights, form),
        optimal_weights(weights, moments(inputs(100, size)), form),
    ]
    for quantized in found:
        assert quantized.factors is not None
        assert quantized.factors.shape == (6, -(-size // 4))
        assert quantized.factors.min() >= 1
        assert quantized.factors.max() <= form.factors
        codes = quantized.codes / spread(quantized.factors, form, size)
        assert np.isin(np.abs(codes), form.magnitudes).all()
        packed = form.packed_bytes(6 * size) + -(-quantized.factors.size * form.factor_bits // 8)
        assert quantized.packed_bytes == packed


@pytest.mark.parametrize("options", [{}, {"granularity": "tensor"}, {"power_of_two": True}])
@pytest.mark.parametrize("bits", FEW)
def test_groups_are_never_worse(bits: str, options: dict[str, Any]) -> None:
    for seed in range(3):
        weights, data = uneven(8, 24, seed), moments(inputs(200, 24, seed))
        one, many = (grouped(bits, group, **options) for group in (0, 6))
        plain, divided = (nearest_weights(weights, form) for form in (one, many))
        assert weight_error(weights, divided) <= weight_error(weights, plain) * (1 + 1e-9)
        plain, divided = (optimal_weights(weights, data, form, damping=0.0) for form in (one, many))
        before, after = (output_error(weights, quantized, data) for quantized in (plain, divided))
        assert after <= before * (1 + 1e-9)
        if options.get("power_of_two"):
            np.testing.assert_array_equal(np.frexp(divided.scales)[0], 0.5)
        if options.get("granularity") == "tensor":
            assert len(set(divided.scales)) == 1


@pytest.mark.parametrize("bits", ["4", "2"])
def test_groups_pay_where_inputs_differ(bits: str) -> None:
    weights, data = uneven(16, 64), moments(inputs(400, 64))
    plain, divided = (optimal_weights(weights, data, grouped(bits, n)) for n in (0, 8))
    assert output_error(weights, divided, data) < 0.8 * output_error(weights, plain, data)


@pytest.mark.parametrize("bits", ["4", "3", "2", "ternary"])
def test_factors_against_a_fine_search(bits: str) -> None:
    """All factors of 601 scales about the one found gain one percent of the error at most."""
    form = grouped(bits, 8)
    rows = uneven(20, 40).astype(np.float64)
    plain = nearest_weights(rows, dataclasses.replace(form, group=0))
    start = (plain.codes[None].astype(np.float64), plain.scales[None, :, None])
    found = nearest_groups(rows[None], start, form, None)
    reached = ((rows - (found.scales * found.products(form))[0]) ** 2).sum(axis=1)
    around = np.exp(np.linspace(-1.5, 1.5, 601))
    best = [
        _best_over_scales(row, form, scale * around)
        for row, scale in zip(rows, found.scales[0, :, 0], strict=True)
    ]
    ratios = np.sqrt(reached / best)
    assert ratios.mean() < 1.01
    assert ratios.max() < 1.1


def _best_over_scales(row: Array, form: WeightFormat, scales: Array) -> float:
    errors = np.zeros(len(scales))
    for part in row.reshape(-1, form.group):
        steps = scales[:, None] * np.arange(1, form.factors + 1)
        codes = form.nearest(part / steps[..., None])
        errors += ((part - steps[..., None] * codes) ** 2).sum(axis=-1).min(axis=1)
    return float(errors.min())


def test_a_small_case_against_all_integers() -> None:
    """Ternary codes, two groups of two: most rows reach the least output error there is."""
    form = grouped("ternary", 2)
    weights, data = uneven(20, 4), moments(inputs(200, 4))
    found = optimal_weights(weights, data, form, correct_bias=False, damping=0.0)
    codes = np.array(list(itertools.product((-1, 0, 1), repeat=2)))
    values = np.unique(codes[:, None] * np.arange(1, 17)[:, None], axis=None)
    assert values.min() == -16
    block = np.unique((codes[:, None] * np.arange(1, 17)[None, :, None]).reshape(-1, 2), axis=0)
    every = np.concatenate(
        [np.repeat(block, len(block), axis=0), np.tile(block, (len(block), 1))], axis=1
    ).astype(np.float64)
    every = every[np.any(every, axis=1)]
    hessian = data.second[0]
    below = np.einsum("nk,nk->n", every @ hessian, every)
    reached = 0
    for row, real in zip(weights.astype(np.float64), found.real(), strict=True):
        above = every @ hessian @ row
        least = row @ hessian @ row - (np.maximum(above, 0) ** 2 / below).max()
        error = (row - real) @ hessian @ (row - real)
        assert error >= least - 1e-9
        reached += error <= 1.2 * least + 1e-9
    assert reached >= 14


@pytest.mark.parametrize("bits", ["4", "2"])
def test_zeros_and_floors(bits: str) -> None:
    """Rows and groups of zeros, and scales that the bias keeps large."""
    form, weights = grouped(bits, 4), uneven(4, 12)
    weights[0] = 0
    weights[1, 4:8] = 0
    floor = np.array([0.0, 0.0, 0.0, 1e3])
    for quantized in (
        nearest_weights(weights, form, floor),
        optimal_weights(weights, moments(inputs(50, 12)), form, floor),
    ):
        assert np.isfinite(quantized.real()).all()
        assert quantized.scales[3] >= 1e3
        assert (quantized.scales > 0).all()
        np.testing.assert_allclose(quantized.real()[0], 0, atol=1e-25)


def test_no_group_of_fewer_than_one() -> None:
    with pytest.raises(ValueError, match="-1"):
        grouped("4", -1)
