"""Power-of-two segment trees."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from fixed_point_units import random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction
from actc.approx.catalogue import find
from actc.approx.dyadic import SegmentTree, fit_leaves, fit_segment_tree
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import Gates
from actc.approx.signed_digits import fit_integer_lines
from actc.approx.slope_sets import digit_count

SOURCE, WIDE = FixedPoint(True, 16, 12), FixedPoint(True, 32, 24)


def serves(gates: Gates, start: int, end: int, shift: int, slopes: list[int]) -> bool:
    """Whether a slope of the list serves the window, by trying all of them."""
    t = np.arange(end - start)
    low, high = gates.low[start:end] << shift, ((gates.high[start:end] + 1) << shift) - 1
    product = np.array(slopes)[:, None] * t
    return bool(np.any((low - product).max(axis=1) <= (high - product).min(axis=1)))


def fewest_leaves(gates: Gates, start: int, end: int, shift: int, slopes: list[int]) -> int:
    """Leaves of the smallest of all trees."""
    counts = [1] if serves(gates, start, end, shift, slopes) else []
    if end - start > 1:
        middle = (start + end) // 2
        counts.append(
            fewest_leaves(gates, start, middle, shift, slopes)
            + fewest_leaves(gates, middle, end, shift, slopes)
        )
    return min(counts)


@given(random_gates(), st.integers(0, 4), st.sampled_from([(None, 1), (None, 2), (1, 1), (2, 1)]))
@settings(max_examples=200, deadline=None)
def test_fewest_leaves(gates: Gates, shift: int, kind: tuple[int | None, int]) -> None:
    digits, grid = kind
    steepest = 64 << shift
    slopes = [s for s in range(-steepest, steepest + 1) if s % grid == 0]
    if digits is not None:
        slopes = [s for s in slopes if digit_count(s) <= digits]
    form = fit_segment_tree(gates, digits=digits, grid=grid, shift=shift).form
    assert form.segments == fewest_leaves(gates, 0, len(gates), shift, slopes)
    assert all(s in slopes for s in form.slopes.tolist())


def tree_error(
    values: np.ndarray, start: int, end: int, leaves: int, shift: int, high: int
) -> float:
    """Least error of a tree with so many leaves, over all trees and all their lines."""
    part, t = values[start:end], np.arange(end - start)
    best = math.inf
    for slope in range(-(high + 1 << shift), (high + 1 << shift) + 1):
        constants = np.arange(
            -(high + 1) * (end - start) << shift, (high + 1) * (end - start + 1) << shift
        )
        outputs = (slope * t + constants[:, None]) >> shift
        inside = np.all((outputs >= 0) & (outputs <= high), axis=1)
        errors = np.abs(outputs - part).max(axis=1)[inside]
        best = min(best, float(errors.min(initial=math.inf)))
    middle = (start + end) // 2
    for left in range(1, leaves if end - start > 1 else 1):
        best = min(
            best,
            max(
                tree_error(values, start, middle, left, shift, high),
                tree_error(values, middle, end, leaves - left, shift, high),
            ),
        )
    return best


@given(st.lists(st.integers(0, 24), min_size=4, max_size=4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_least_error_of_few_leaves(eighths: list[int], leaves: int) -> None:
    values = np.array(eighths) / 8
    f = ScalarFunction("listed", lambda x: values[x.astype(int)])
    source, output = FixedPoint(False, 2, 0), FixedPoint(False, 2, 0)
    fit = fit_leaves(f, source, output, leaves, shift=1)
    assert fit.form.segments <= leaves
    assert fit.max_error == tree_error(values, 0, 4, leaves, 1, 3)


# error of the best tree of real lines, from an independent computation
@pytest.mark.parametrize(("leaves", "error"), [(4, 8.49e-2), (16, 4.67e-3)])
def test_least_error_of_known_trees(leaves: int, error: float) -> None:
    fit = fit_leaves(find("GELU").function(), SOURCE, WIDE, leaves)
    assert fit.max_error == pytest.approx(error, rel=2e-3)


@pytest.mark.parametrize("digits", [None, 1, 2])
@pytest.mark.parametrize("name", ["GELU", "Tanh", "Sigmoid"])
def test_bit_slice_datapath(name: str, digits: int | None) -> None:
    gates = unit(name, 8, "faithful")
    fit = fit_segment_tree(gates, digits=digits)
    described = json.loads(json.dumps(fit.to_json()))
    index = 0
    for depth, slope, constant in zip(
        described["depths"], described["slopes"], described["constants"], strict=True
    ):
        prefix = index >> (8 - depth)
        while index < 256 and index >> (8 - depth) == prefix:
            rest = index - (prefix << (8 - depth))
            y = (slope * rest + constant) // 2 ** described["shift"]
            assert y == fit.form.evaluate(np.array([index - 128]))[0]
            assert gates.low[index] <= y <= gates.high[index]
            index += 1
    assert index == 256
    assert digits is None or fit.form.digits <= digits
    assert fit.form.segments >= fit_integer_lines(gates, digits=digits).form.segments


def test_least_shift() -> None:
    gates = unit("Tanh", 8, "faithful")
    counts = [fit_segment_tree(gates, shift=q).form.segments for q in range(10)]
    form = fit_segment_tree(gates, max_shift=9).form
    assert counts == sorted(counts, reverse=True)
    assert form.shift == counts.index(min(counts))


@pytest.mark.parametrize("depths", [[1], [1, 2, 1], [2, 1, 2], [9, 9], [1, 1, 1]])
def test_refuses_what_is_no_tree(depths: list[int]) -> None:
    zeros = np.zeros(len(depths), np.int64)
    with pytest.raises(ValueError, match=r"tree|depths"):
        SegmentTree(FixedPoint(True, 8, 4), WIDE, np.array(depths), zeros, zeros, 0)


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="leaf"):
        fit_leaves(find("GELU").function(), SOURCE, WIDE, 0)
    with pytest.raises(ValueError, match="digits must be"):
        fit_segment_tree(unit("GELU", 8, "faithful"), digits=9)
