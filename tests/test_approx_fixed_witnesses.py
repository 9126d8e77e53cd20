"""Certificates of fits in fixed point: no false bound can be proven."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from fixed_certificates import FITTERS, count, fewest_leaves, listed, plain, serving
from fixed_point_units import fewest_windows, random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction, check_certificate
from actc.approx.catalogue import find
from actc.approx.dyadic import SegmentTree, fit_leaves, fit_segment_tree
from actc.approx.fixed_certificate import certify_fixed, digest
from actc.approx.fixed_check_bounds import Bound, Slopes
from actc.approx.fixed_check_form import Form, Format, read_format
from actc.approx.fixed_check_gates import Objective, Target
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_witness import line_witnesses, step_witnesses, tree_witnesses
from actc.approx.gates import FixedFit, Gates, least_error, make_gates, verified
from actc.approx.signed_digits import IntegerLines, fit_integer_lines, fit_segments, slope_set
from actc.approx.slope_sets import Grid, digit_count
from actc.approx.thresholds import Thresholds, fit_thresholds

TINY = Format(False, 3, 0)


def best_provable(
    form: Form, low: list[int], high: list[int], slopes: Slopes | None, shift: int
) -> int:
    """The most pieces that any set of witnesses proves, over all sets."""
    bounds = np.array(low), np.array(high)

    def proven(witnesses: list[list[int]]) -> int:
        try:
            return Bound(1, slopes, shift, witnesses).proven(form, *bounds, TINY)
        except ValueError:
            return 0

    single = [
        list(witness)
        for size in (2, 3, 4)
        for witness in itertools.combinations(range(8), size)
        if proven([list(witness)])
    ]
    if form.name == "segment_tree":
        return proven(single)
    chosen: list[list[int]] = []  # those that end first: the most that do not overlap
    for witness in sorted(single, key=lambda w: (w[-1], -w[0])):
        if not chosen or chosen[-1][-1] <= witness[0]:
            chosen.append(witness)
    return proven(chosen)


@given(
    st.lists(st.integers(-6, 6), min_size=8, max_size=8),
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
    st.integers(0, 2),
    st.sampled_from([(1, 0), (2, 0), (3, 0), (0, 1), (0, 2)]),
)
@settings(max_examples=60, deadline=None)
def test_witnesses_prove_the_truth_and_nothing_else(
    low: list[int], extra: list[int], shift: int, kind: tuple[int, int]
) -> None:
    high = [a + b for a, b in zip(low, extra, strict=True)]
    grid, digits = kind
    top = shift + 4
    every = range(-(16 << shift), (16 << shift) + 1)
    members = [s for s in every if (s % grid == 0 if grid else digit_count(s) <= digits)]
    outputs = np.zeros(8, np.int64)
    steps = best_provable(Form("thresholds", outputs, 1), low, high, None, 0)
    assert steps == fewest_windows(8, serving(low, high, [0], 0))
    serves = serving(low, high, members, shift)
    slopes = Slopes(grid, digits, top)
    lines = Form("integer_piecewise_linear", outputs, 1)
    assert best_provable(lines, low, high, slopes, shift) == fewest_windows(8, serves)
    tree = Form("segment_tree", outputs, 1)
    assert best_provable(tree, low, high, slopes, shift) == fewest_leaves(serves)


@given(random_gates(), st.integers(0, 4), st.sampled_from([(None, 1), (None, 3), (1, 1), (2, 1)]))
@settings(max_examples=150, deadline=None)
def test_producers_prove_what_the_fitters_find(
    found: Gates, shift: int, kind: tuple[int | None, int]
) -> None:
    digits, grid = kind
    source = Format(found.input.signed, found.input.bits, 0)
    chosen = slope_set(found, shift, digits, grid)
    lines, low = IntegerLines(found, shift), found.input.low
    told = (
        Slopes(grid) if isinstance(chosen, Grid) else Slopes(0, chosen.digits, chosen.top)  # type: ignore[attr-defined]
    )
    for name, witnesses, fit in (
        ("thresholds", step_witnesses(found.low, found.high, 16), fit_thresholds(found)),
        (
            "integer_piecewise_linear",
            line_witnesses(lines, chosen, 16),
            fit_integer_lines(found, digits=digits, grid=grid, shift=shift),
        ),
        (
            "segment_tree",
            tree_witnesses(lines, chosen, 16),
            fit_segment_tree(found, digits=digits, grid=grid, shift=shift),
        ),
    ):
        codes = [[index + low for index in witness] for witness in witnesses]
        slopes = None if name == "thresholds" else told
        bound = Bound(1, slopes, shift if slopes else 0, codes)
        form = Form(name, found.low, 1)
        assert bound.proven(form, found.low, found.high, source) == count(fit.form)


@given(st.integers(0, 3), st.integers(0, 5), st.integers(-80, 80), st.integers(0, 30))
@settings(max_examples=200)
def test_sets_of_slopes(digits: int, top: int, low: int, width: int) -> None:
    terms = [0, *(s << i for i in range(top + 1) for s in (1, -1))]
    sums = {sum(chosen) for chosen in itertools.product(terms, repeat=digits)}
    inside = any(low <= value <= low + width for value in sums)
    assert Slopes(0, digits, top).meet(low, low + width) == inside
    grid = top + 1
    inside = any(value % grid == 0 for value in range(low, low + width + 1))
    assert Slopes(grid).meet(low, low + width) == inside
    assert not Slopes(grid).meet(low + 1, low)


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8), st.integers(1, 4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_least_errors_are_proven_and_no_larger_bound_is(
    eighths: list[int], most: int, tree: bool
) -> None:
    f = listed([value / 8 for value in eighths])
    source, target = FixedPoint.parse("u3.0"), FixedPoint.parse("u3.0")
    fit: FixedFit[Any] = (fit_leaves if tree else fit_segments)(f, source, target, most, shift=2)
    certificate = plain(certify_fixed(fit, pieces=most, shift=2))
    assert check_certificate(certificate, f) == []
    assert certificate["lower_bound"] == certificate["max_error"]
    assert certificate["least"]["pieces"] == most
    # the form itself refutes that smaller errors than one a bit larger need more pieces
    name = "segment_tree" if tree else "integer_piecewise_linear"
    output = read_format("u3.0", 32)
    aim = Target.of(f(source.values()), output, Objective("faithful"))
    low, high = (bound.tolist() for bound in aim.nearer_than(fit.max_error_ulp + 2.0**-10))
    form = Form(name, np.zeros(8, np.int64), 1)
    assert best_provable(form, low, high, Slopes(1), 2) <= most


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_least_error_of_steps(eighths: list[int], most: int) -> None:
    f = listed([value / 8 for value in eighths])
    source, target = FixedPoint.parse("u3.0"), FixedPoint.parse("u3.0")

    def attempt(found: Gates) -> FixedFit[Thresholds] | None:
        fit = fit_thresholds(found)
        return fit if count(fit.form) <= most else None

    certificate = plain(certify_fixed(least_error(f, source, target, attempt), pieces=most))
    assert check_certificate(certificate, f) == []
    assert certificate["lower_bound"] == certificate["max_error"]


@given(
    st.lists(st.integers(-70, 70), min_size=16, max_size=16),
    st.sampled_from(["correctly_rounded", "faithful", 0.5, 0.8125, 3.0]),
    st.sampled_from(sorted(FITTERS)),
)
@settings(max_examples=200, deadline=None)
def test_certificates_of_any_function_hold(eighths: list[int], objective: Any, kind: str) -> None:
    """Ties, saturation and jumps included."""
    held = np.array(eighths) / 8
    f = ScalarFunction("listed", lambda x: held[(x + 8).astype(int)])
    fitter, options = FITTERS[kind]
    fit = fitter(make_gates(f, FixedPoint.parse("s4.0"), FixedPoint.parse("s4.0"), objective))
    if isinstance(fit, FixedFit):
        certificate = plain(certify_fixed(fit, **options))
        assert check_certificate(certificate, f) == []
        if "fewest" in certificate:
            assert certificate["fewest"]["pieces"] == count(fit.form)


@pytest.mark.parametrize("digits", [None, 2])
def test_least_error_of_a_known_function(digits: int | None) -> None:
    gelu = find("GELU").function()
    source = FixedPoint.parse("s12.8")
    for fitter in (fit_segments, fit_leaves):
        fit = fitter(gelu, source, source, 8, digits=digits)
        certificate = plain(certify_fixed(fit, digits=digits, pieces=8))
        assert check_certificate(certificate, gelu) == []
        # a little more is not the truth
        for key in ("lower_bound", "max_error", "max_error_ulp"):
            certificate[key] = (float.fromhex(certificate[key]) * (1 + 2**-12)).hex()
        certificate["digest"] = digest(certificate)
        assert "is only" in check_certificate(certificate, gelu)[0]


def test_what_is_not_least_is_not_certified() -> None:
    fit = fit_integer_lines(unit("GELU", 8, 0.1))
    with pytest.raises(ValueError, match="smaller error is possible"):
        certify_fixed(fit, pieces=40)
    # nor fewest where fewer would do: the bound stays below the form's own number
    form = SegmentTree(
        FixedPoint.parse("s8.4"),
        FixedPoint.parse("s8.4"),
        np.full(4, 2),
        np.zeros(4, np.int64),
        np.zeros(4, np.int64),
        0,
    )
    zero = ScalarFunction("zero", lambda x: 0 * x)
    wasteful = verified(form, make_gates(zero, form.input, form.output, "faithful"))
    certificate = plain(certify_fixed(wasteful))
    assert certificate["fewest"]["pieces"] == 1
    assert check_certificate(certificate, zero) == []
    certificate["fewest"]["pieces"] = 4
    certificate["digest"] = digest(certificate)
    assert "1 pieces are proven" in check_certificate(certificate, zero)[0]
