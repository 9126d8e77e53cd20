"""Gradients of tables: computed from the entries alone, without torch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from actc.errors import UsageError
from actc.torch.gradients import Gradients, TableGradient, few_levels, slopes

Array = np.ndarray[Any, Any]

X = np.arange(256.0)
SMOOTH = {
    "gelu": lambda x: x / (1 + np.exp(-1.7 * x)),
    "tanh": np.tanh,
    "sine": lambda x: np.sin(2 * x),
}


def codes(function: Any, bits: int = 8) -> Array:
    """The table of a function of -4..4, rounded to the codes of its own range."""
    y = function((X - 128) / 32)
    scaled = (y - y.min()) / (y.max() - y.min()) * (2**bits - 1)
    return np.rint(scaled).astype(np.uint8)


def of(table: Array, kind: TableGradient, identity: float | None = None, **options: Any) -> Array:
    return slopes(table, (0, len(table) - 1), Gradients(kind, **options), identity)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("bits", [8, 5])
def test_the_derivative_of_a_smooth_function(name: str, bits: int) -> None:
    function = SMOOTH[name]
    exact = function((X - 128) / 32)
    wanted = np.gradient(exact, X) * (2**bits - 1) / np.ptp(exact)
    found = of(codes(function, bits), TableGradient.DERIVATIVE)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.1 * np.abs(wanted).max()
    assert np.corrcoef(found, wanted)[0, 1] > 0.97


@pytest.mark.parametrize("kind", TableGradient)
def test_a_line_has_one_slope(kind: TableGradient) -> None:
    found = of(X.astype(np.uint16) * 3, kind, identity=3.0, window=0.1)
    np.testing.assert_allclose(found[8:-8], 3.0, rtol=0.25 if kind.value == "periodic" else 1e-9)


def test_what_is_never_read_has_no_gradient() -> None:
    for kind in TableGradient:
        found = slopes(codes(np.tanh), (40, 200), Gradients(kind), 1.0)
        assert not found[:40].any()
        assert not found[201:].any()
        assert found[41:199].any()


def test_straight_through_is_one_in_real_numbers() -> None:
    assert (of(codes(np.tanh), TableGradient.STRAIGHT_THROUGH, 0.25) == 0.25).all()
    mean = of(codes(np.tanh), TableGradient.STRAIGHT_THROUGH)
    np.testing.assert_allclose(mean, 1.0)  # 255 codes on 255 steps


def test_hysteresis_moves_the_threshold_of_a_relu_outwards() -> None:
    relu = np.maximum(X - 100, 0).astype(np.uint8)
    plain = of(relu, TableGradient.DERIVATIVE)
    found = of(relu, TableGradient.HYSTERESIS, window=30 / 256)
    assert (plain[102:] > 0.99).all()
    assert not plain[:98].any()
    assert (found[72:] > 0).all()
    assert not found[:67].any()
    np.testing.assert_array_equal(found[104:], plain[104:])


@pytest.mark.parametrize("kind", [TableGradient.DERIVATIVE, TableGradient.PERIODIC])
def test_a_sign_has_a_gradient_that_holds_its_whole_step(kind: TableGradient) -> None:
    sign = np.where(X >= 128, 255, 0).astype(np.uint8)
    found = of(sign, kind)
    assert found.min() >= 0
    assert 0.9 * 255 < found.sum() < 1.6 * 255
    if kind is TableGradient.PERIODIC:  # from the trough of a sine to its crest
        np.testing.assert_allclose(found.sum(), 255, rtol=0.02)
        shape = np.cos((X - 127.5) * np.pi / 256)
        np.testing.assert_allclose(found / found.max(), shape, atol=0.02)


def test_constant_tables_have_no_gradient() -> None:
    flat = np.full(256, 7, np.uint8)
    for kind in (TableGradient.DERIVATIVE, TableGradient.HYSTERESIS, TableGradient.PERIODIC):
        assert not of(flat, kind).any()


@pytest.mark.parametrize("bits", [1, 2])
def test_few_levels_are_optimal(bits: int) -> None:
    """Against every way to cut a short slope into pieces."""
    for seed in range(20):
        slope = np.random.default_rng(seed).normal(size=9)
        level, values = few_levels(slope, bits)
        assert level.dtype == np.uint8
        assert (np.diff(level.astype(int)) >= 0).all()
        found = float(((values[level] - slope) ** 2).sum())
        best = min(
            sum(float(((part - part.mean()) ** 2).sum()) for part in np.split(slope, cuts))
            for cuts in itertools.combinations(range(1, 9), 2**bits - 1)
        )
        assert found == pytest.approx(best, abs=1e-12)


def test_more_bits_are_nearer() -> None:
    slope = of(codes(SMOOTH["gelu"]), TableGradient.DERIVATIVE)
    errors = []
    for bits in (1, 2, 4, 8):
        level, values = few_levels(slope, bits)
        assert level.max() < 2**bits
        errors.append(float(np.abs(values[level] - slope).mean()))
    assert errors[0] > errors[1] > errors[2] > errors[3] == pytest.approx(0, abs=1e-12)


def test_long_tables_are_cut_among_evenly_spaced_ends() -> None:
    slope = np.tanh(np.linspace(-4, 4, 65536))
    level, values = few_levels(slope, 4)
    assert np.sqrt(np.mean((values[level] - slope) ** 2)) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tables": "steep"}, "gradient cannot be 'steep'"),
        ({"weights": "steep"}, "weights cannot be 'steep'"),
        ({"window": -0.1}, "window is a part"),
        ({"bits": 3}, "bits must be 1, 2, 4 or 8"),
    ],
)
def test_unknown_choices(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"tables": "derivative", "weights": "periodic", **options}
    with pytest.raises(UsageError, match=f"ACT0375.*{message}"):
        Gradients.parse(**given)
