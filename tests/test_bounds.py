"""Proven bounds of |float - golden|: never exceeded, close to exact, and able to fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from bound_networks import ACTIVATIONS, BODIES, Compiled, compiled, random_network, searched
from hypothesis import given, settings
from hypothesis import strategies as st
from models import network, normal
from onnx import numpy_helper

from actc.bounds import affine, prove, rules, transfer
from actc.bounds.affine import Space
from actc.bounds.curve import Curve
from actc.bounds.proof import network_of
from actc.errors import UsageError

Array = np.ndarray[Any, Any]


def require_kept(found: Compiled, region: str, seed: int = 0, climbs: int = 0) -> Array:
    """The ratio of bound to search, which must not be below 1."""
    (bound,) = found.prove(region).bounds
    worst = searched(found, region, seed, climbs)
    assert np.all(worst <= bound.largest), (worst - bound.largest).max()
    return np.asarray(bound.largest / np.maximum(worst, 1e-12))


@pytest.mark.parametrize("body", BODIES)
def test_no_search_exceeds_a_bound(body: str) -> None:
    found = compiled(*random_network(body, "Gelu({0})", seed=BODIES.index(body)))
    ratio = require_kept(found, "format")
    assert ratio.min() < (400 if body == "extremes" else 80)  # maxima of two tensors are loose


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    body=st.sampled_from(BODIES),
    activation=st.sampled_from(ACTIVATIONS),
    seed=st.integers(0, 10**6),
    activations=st.sampled_from(["8", "4", "3", "6", "12", "mixed"]),
    weights=st.sampled_from(["8", "4", "2", "ternary"]),
    region=st.sampled_from(["format", "data"]),
)
def test_no_search_exceeds_the_bound_of_any_small_network(
    body: str, activation: str, seed: int, activations: str, weights: str, region: str
) -> None:
    found = compiled(*random_network(body, activation, seed), activations, weights)
    require_kept(found, region, seed, climbs=1)


@pytest.mark.parametrize(("activations", "weights"), [("8", "8"), ("4", "8"), ("mixed", "2")])
def test_widths(activations: str, weights: str) -> None:
    found = compiled(*random_network("mlp", "Tanh({0})", 5), activations, weights)
    assert require_kept(found, "data", climbs=2).max() < 40


# Close to what enumeration gives


def _through_all_codes(found: Compiled) -> float:
    """Largest difference of a network with one input: the ends of all codes, and between."""
    p = found.network.formats["x"]
    low, high = (float(end[0]) for end in found.box("format"))
    code = np.arange(p.low, p.high + 1) - p.zero_point
    middle = np.concatenate([p.scale * (code + away) for away in (-0.4999, -0.3, 0, 0.3, 0.4999)])
    _, apart = found.runners()
    return float(np.abs(apart(np.clip(middle, low, high)[:, None])).max())


@pytest.mark.parametrize("bits", ["4", "8"])
def test_a_scaled_input_has_nearly_its_exact_bound(bits: str) -> None:
    model = network("float[N,1] x => float[N,1] y", "y = MatMul(x, w)", {"w": normal(1, 1)})
    found = compiled(model, {"x": np.linspace(-1, 2, 64, dtype=np.float32)[:, None]}, bits)
    (bound,) = found.prove().bounds
    exact = _through_all_codes(found)
    assert exact <= bound.largest[0] <= 1.01 * exact


@pytest.mark.parametrize("activation", ["Sigmoid(x)", "Relu(x)", "Tanh(x)"])
def test_a_function_of_one_input_has_nearly_its_exact_bound(activation: str) -> None:
    model = network("float[N,1] x => float[N,1] y", f"y = {activation}")
    found = compiled(model, {"x": np.linspace(-2, 2, 64, dtype=np.float32)[:, None]}, "6")
    (bound,) = found.prove().bounds
    exact = _through_all_codes(found)
    assert exact <= bound.largest[0] <= 2.0 * exact


def _narrow() -> Compiled:
    """A network whose calibration saw less than its inputs can make."""
    weights = {"w": np.eye(2, dtype=np.float32) + 1}
    model = network("float[N,2] x => float[N,2] y", "h = MatMul(x, w) y = Relu(h)", weights)
    data = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    return compiled(model, {"x": np.resize(data, (30, 2))})


def test_saturation_is_a_part_of_the_bound() -> None:
    found = _narrow()
    (bound,) = found.prove().bounds
    worst = searched(found)
    assert worst.min() > 0.9  # 2 * 1 + 1 was never seen; golden cannot say it
    assert np.all(worst <= bound.largest)
    assert np.all(bound.largest < 1.2 * worst)
    kinds = {kind for _, kind in bound.shares}
    assert kinds == {"weights", "rounding", "saturation"}


# Able to fail: a wrong analysis is caught by the same search


def _linear() -> Compiled:
    generator = np.random.default_rng(3)
    weights = {"w": generator.standard_normal((6, 3)).astype(np.float32)}
    model = network("float[N,6] x => float[N,3] y", "y = MatMul(x, w)", weights)
    data = np.sign(generator.standard_normal((200, 6))).astype(np.float32)
    return compiled(model, {"x": data})


def test_halving_the_rounding_of_the_input_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _linear()
    require_kept(found, "format", climbs=2)
    right = rules.RULES["", "QuantizeLinear"]

    def wrong(golden: Any, node: Any) -> None:
        right(golden, node)
        value = golden.values[node.outputs[0]]
        form = affine.Form(value.golden.center, value.golden.generators, value.golden.rest / 2)
        golden.values[node.outputs[0]] = replace(value, golden=form)

    monkeypatch.setitem(rules.RULES, ("", "QuantizeLinear"), wrong)
    with pytest.raises(AssertionError):
        require_kept(found, "format", climbs=2)


def test_other_weights_are_caught() -> None:
    found = _linear()
    other = onnx.ModelProto()
    other.CopyFrom(found.golden)
    (weights,) = [t for t in other.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    codes = numpy_helper.to_array(weights).copy()
    codes[codes < 120] += 2
    weights.CopyFrom(numpy_helper.from_array(codes, weights.name))
    names = {
        mate.name: (code, found.network.formats[mate.name])
        for code, mates in found.network.mates.items()
        for mate in mates
    }
    analysed = network_of(found.network.floats, found.network.sites, other, names)
    real = replace(found, golden=other)  # golden holds the other weights, the analysis not
    with pytest.raises(AssertionError):
        require_kept(real, "format", climbs=2)
    require_kept(replace(real, network=analysed), "format", climbs=2)


def test_leaving_out_the_error_of_a_table_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("float[N,1] x => float[N,1] y", "y = Sigmoid(x)")
    data = {"x": np.linspace(-4, 4, 64, dtype=np.float32)[:, None]}
    found = compiled(model, data, "4")
    require_kept(found, "format")

    def nothing(codes: Any, curve: Any, table: Array, channel: Array) -> tuple[Array, Array]:
        return np.zeros(len(channel)), np.zeros(len(channel))

    monkeypatch.setattr(transfer, "_table_errors", nothing)
    with pytest.raises(AssertionError):
        require_kept(found, "format")


def test_leaving_out_saturation_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _narrow()
    require_kept(found, "format", climbs=2)
    monkeypatch.setattr(Curve, "lost", lambda self, first, last: _Nothing())
    monkeypatch.setattr(transfer._Pair, "_leaves", lambda self: np.zeros(1, bool))
    with pytest.raises(AssertionError):
        require_kept(found, "format", climbs=2)


class _Nothing:
    """A function that is 0."""

    def chord(self, channel: Array, low: Array, high: Array) -> Array:
        return np.zeros_like(low)

    def residual(
        self, channel: Array, low: Array, high: Array, slope: Array
    ) -> tuple[Array, Array]:
        return np.zeros_like(low), np.zeros_like(low)

    def range(self, channel: Array, low: Array, high: Array) -> tuple[Array, Array]:
        return np.zeros_like(low), np.zeros_like(low)


# What has no bound


def test_all_operators_that_are_not_covered_are_named_at_once() -> None:
    model = network(
        "float[N,4] x => float[N,4] y",
        "k = ReduceMin(x, n) m = Div(x, k) t = Tanh(m) d = Div(t, k) e = Tanh(x) f = Div(e, k)"
        " y = Add(d, f)",
        {"n": np.array([1])},
    )
    data = np.random.default_rng(0).uniform(1, 2, (32, 4)).astype(np.float32)
    found = compiled(model, {"x": data})
    with pytest.raises(UsageError) as refused:
        found.prove()
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "ACT0366"
    assert sum("(Div)" in note for note in diagnostic.notes) >= 2


def test_a_norm_of_numbers_that_may_be_equal_is_refused() -> None:
    """onnxruntime takes the variance as a difference of squares, which may come out below 0."""
    model = network(
        "float[N,4] x => float[N,4] y",
        "y = LayerNormalization<axis = -1, epsilon = 0.000001>(x, i)",
        {"i": np.ones(4, np.float32)},
    )
    data = np.random.default_rng(0).uniform(-3, 3, (64, 4)).astype(np.float32)
    with pytest.raises(UsageError, match=r"LayerNorm.*as small as the rounding of float32"):
        compiled(model, {"x": data}).prove()


def test_a_network_that_is_too_large_is_refused_before_its_memory_is_taken() -> None:
    found = compiled(*random_network("mlp", "Tanh({0})", 0))
    with pytest.raises(UsageError) as refused:
        prove(found.network, {"x": found.box("format")}, Space(largest=50))
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "ACT0367"
    assert "numbers times" in diagnostic.message


def test_integer_inputs_have_no_bound() -> None:
    model = network("int64[N,3] i => float[N,3,2] y", "y = Gather(t, i)", {"t": normal(5, 2)})
    found = compiled(model, {"i": np.resize(np.arange(5), (20, 3))})
    with pytest.raises(UsageError) as refused:
        prove(found.network, {})
    assert "'i'" in str(refused.value.diagnostics[0].message)


def test_equal_runs_give_equal_bounds() -> None:
    first, second = (compiled(*random_network("conv", "Mish({0})", 2)).prove() for _ in range(2))
    assert first.symbols == second.symbols
    np.testing.assert_array_equal(first.bounds[0].largest, second.bounds[0].largest)
