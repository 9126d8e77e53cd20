"""Which widths an allocation takes: the optimum, by enumeration, and how budgets are spelled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.allocation import Budget, cheapest, parse_budget
from actc.allocation.law import interpolated
from actc.allocation.solve import Costs, Pair, least, most_accurate
from actc.errors import UsageError


def brute(
    costs: list[list[float]] | Costs,
    errors: list[list[float]],
    limit: float,
    near: tuple[list[int], int, int] | None = None,
) -> float | None:
    """Cost of the cheapest choice within the limit, by trying all."""
    best = None
    total = costs if isinstance(costs, Costs) else Costs(costs)
    for chosen in itertools.product(*(range(len(options)) for options in total.single)):
        if near is not None:
            centre, fewest, most = near
            if not fewest <= sum(a != b for a, b in zip(chosen, centre, strict=True)) <= most:
                continue
        error = sum(e[o] for e, o in zip(errors, chosen, strict=True))
        cost = total.of(chosen)
        if error <= limit and (best is None or cost < best):
            best = cost
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([1e-9, 1e-4, 1.0]))
def test_it_is_the_optimum(seed: int, items: int, unit: float) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 5, items)
    costs = [generator.integers(0, 100_000, n).astype(float).tolist() for n in sizes]
    errors = [(unit * 4.0 ** -generator.integers(0, 12, n)).tolist() for n in sizes]
    limit = float(unit * 10 ** generator.uniform(-4, 1))
    expected, chosen = brute(costs, errors, limit), cheapest(costs, errors, limit)
    if expected is None:
        assert chosen is None
        return
    assert chosen is not None
    assert sum(e[o] for e, o in zip(errors, chosen, strict=True)) <= limit
    found = sum(c[o] for c, o in zip(costs, chosen, strict=True))
    assert found == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.booleans())
def test_it_is_the_optimum_with_costs_of_pairs(seed: int, items: int, bounded: bool) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 4, items)
    numbers = [generator.integers(0, 1000, n).astype(float).tolist() for n in sizes]
    pairs = [
        Pair((i, j), generator.integers(0, 1000, (sizes[i], sizes[j])).astype(float))
        for i, j in itertools.permutations(range(items), 2)
        if generator.random() < 0.5
    ]
    costs = Costs(numbers, pairs)
    errors = [(4.0 ** -generator.integers(0, 9, n)).tolist() for n in sizes]
    fewest, most = sorted(int(count) for count in generator.integers(0, items + 1, 2))
    near = ([0] * items, fewest, most) if bounded else None
    limit = float(10 ** generator.uniform(-4, 1))
    expected, chosen = brute(costs, errors, limit, near), cheapest(costs, errors, limit, near)
    assert (chosen is None) == (expected is None)
    if chosen is not None:
        assert costs.of(chosen) == pytest.approx(expected, rel=1e-9)
    room = float(generator.uniform(0.5, 2)) * least(costs) + 1
    fits = [
        sum(e[o] for e, o in zip(errors, c, strict=True))
        for c in itertools.product(*(range(n) for n in sizes))
        if costs.of(c) <= room
    ]
    found = most_accurate(errors, costs, room)
    assert (found is None) == (not fits)
    if found is not None:
        assert costs.of(found) <= room
        assert sum(e[o] for e, o in zip(errors, found, strict=True)) == pytest.approx(min(fits))


def test_the_law() -> None:
    known = {4.0: 1.0, 8.0: 1e-3}
    assert interpolated(8, known) == 1e-3
    assert interpolated(6, known) == pytest.approx(10**-1.5)
    assert interpolated(12, known) == pytest.approx(1e-3 * 4**-4)
    assert interpolated(3, known) == pytest.approx(4.0)
    assert interpolated(6, {4.0: 0.0, 8.0: 0.0}) < 1e-20


def test_the_ends() -> None:
    assert cheapest([], [], 1.0) == []
    assert cheapest([[1.0, 2.0]], [[5.0, 4.0]], 3.0) is None
    assert cheapest([[1.0, 2.0]], [[5.0, 4.0]], 4.0) == [1]
    assert cheapest([[0.0, 0.0]], [[0.0, 0.0]], 1.0) is not None


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("rms=0.02", "rms", 0.02),
        ("rms = 1e-3", "rms", 0.001),
        ("size=200KB", "size", 200_000),
        ("size=1.5KiB", "size", 1536),
        ("size=100", "size", 100),
        ("drop=0", "drop", 0),
        ("luts=20000 @ ecp5", "luts", 20000),
    ],
)
def test_budgets(text: str, kind: str, amount: float) -> None:
    budget = parse_budget(text)
    assert budget == Budget(kind, amount, "ecp5" if kind == "luts" else "")
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize(
    "text",
    [
        *("", "rms", "rms=", "rms=0", "rms=-1", "rms=2KB", "rms=0.1x", "rms=nan", "time=1"),
        *("size=0.5", "size=3XB", "size=1e999", "drop=2", "rms=0.1@ecp5", "size=1KB@ecp5"),
        *("luts=2KB@ecp5", "luts=0@ecp5", "luts=@ecp5", "luts@ecp5"),
    ],
)
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError, match="ACT0231"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["luts=20000", "luts=20000@", "luts=1@virtex", "luts=5@ECP5"])
def test_a_budget_of_logic_names_a_family_that_is_known(text: str) -> None:
    with pytest.raises(UsageError, match="ACT0248") as caught:
        parse_budget(text)
    assert "ice40, ecp5, gowin, xc7" in caught.value.diagnostics[0].help
