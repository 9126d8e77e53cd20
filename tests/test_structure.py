"""Softmax and layer normalization are found by what they compute, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal, operators, proto_of, run, transformed

from actc.ir.verify import problems
from actc.passes.normalize import Normalize
from actc.passes.structure import Structure

Array = np.ndarray[Any, Any]


def structured(
    model: onnx.ModelProto, data: Mapping[str, Array] | None = None
) -> tuple[list[str], onnx.ModelProto]:
    """The operators left; checks structure and outputs on the way, on three sizes of input."""
    shape = [d.dim_value or 6 for d in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": normal(*shape, seed=5)} if data is None else dict(data)
    result = transformed(model, Normalize(), Structure(), data=feeds)
    assert problems(result) == []
    proto = proto_of(result)
    for size in (1.0, 0.02, 5.0):
        scaled = {name: (array * size).astype(np.float32) for name, array in feeds.items()}
        expected, found = run(model, scaled), run(proto, scaled)
        for name, reference in expected.items():
            np.testing.assert_allclose(found[name], reference, rtol=2e-4, atol=2e-5)
    return operators(result), proto


def attributes(proto: onnx.ModelProto, op: str) -> dict[str, Any]:
    (node,) = [n for n in proto.graph.node if n.op_type == op]
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


SOFTMAXES = {
    "stable": "m = ReduceMax (x, a)\n d = Sub (x, m)\n e = Exp (d)\n s = ReduceSum (e, a)\n"
    "y = Div (e, s)",
    "plain": "e = Exp (x)\n s = ReduceSum (e, a)\n y = Div (e, s)",
    "by a reciprocal": "e = Exp (x)\n s = ReduceSum (e, a)\n r = Reciprocal (s)\n y = Mul (e, r)",
    "by logarithms": "l = ReduceLogSumExp (x, a)\n d = Sub (x, l)\n y = Exp (d)",
    "from the smallest": "m = ReduceMin (x, a)\n d = Sub (x, m)\n e = Exp (d)\n"
    "s = ReduceSum (e, a)\n y = Div (e, s)",
    "by a mean": "e = Exp (x)\n s = ReduceMean (e, a)\n q = Div (e, s)\n y = Div (q, n)",
}


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
@pytest.mark.parametrize("form", SOFTMAXES)
def test_softmax_decomposed(form: str, axis: int) -> None:
    shape = (3, 4, 5)
    weights = {"a": np.array([axis])}
    if form == "by a mean":
        weights["n"] = np.array(shape[axis - 1 if axis > 0 else 2], np.float32)
    model = network("float[N,3,4,5] x => float[N,3,4,5] y", SOFTMAXES[form], weights)
    left, proto = structured(model)
    assert left == ["Softmax"]
    assert attributes(proto, "Softmax") == {"axis": axis % 4}


@pytest.mark.parametrize(
    "body",
    [
        # base 2, a temperature inside, a sum that leaves one out, a sum over two axes
        "e = Pow (two, x)\n s = ReduceSum (e, a)\n y = Div (e, s)",
        "t = Mul (x, two)\n e = Exp (t)\n s = ReduceSum (e, a)\n y = Div (e, s)",
        "e = Exp (x)\n s = ReduceSum (e, a)\n p = Add (s, two)\n y = Div (e, p)",
        "e = Exp (x)\n s = ReduceSum (e, b)\n y = Div (e, s)",
        "e = Exp (x)\n m = ReduceMax (e, a)\n y = Div (e, m)",
    ],
)
def test_what_is_nearly_a_softmax_of_its_input(body: str) -> None:
    weights: dict[str, Array] = {}
    if "two" in body:
        weights["two"] = np.array(2, np.float32)
    weights["b" if ", b)" in body else "a"] = np.array([1, 2] if ", b)" in body else [1])
    left, _ = structured(network("float[N,4,5] x => float[N,4,5] y", body, weights))
    if "Softmax" in left:  # a temperature is a Mul in front of an exact softmax
        assert left == ["Mul", "Softmax"]
        assert "Mul (x, two)" in body
    else:
        assert "Div" in left


def test_softmax_behind_a_temperature_is_found() -> None:
    body = "t = Mul (x, k)\n e = Exp (t)\n s = ReduceSum (e, a)\n y = Div (e, s)"
    weights = {"a": np.array([1]), "k": np.array(0.5, np.float32)}
    left, _ = structured(network("float[N,4] x => float[N,4] y", body, weights))
    assert left == ["Mul", "Softmax"]


LAYER_NORMS = {
    "by the square": "d = Sub (x, m)\n q = Mul (d, d)\n v = ReduceMean (q, a)\n",
    "by Pow": "d = Sub (x, m)\n q = Pow (d, two)\n v = ReduceMean (q, a)\n",
    "by the mean of squares": "d = Sub (x, m)\n q = Mul (x, x)\n p = ReduceMean (q, a)\n"
    "m2 = Mul (m, m)\n v = Sub (p, m2)\n",
    "by a sum": "d = Sub (x, m)\n p = ReduceSumSquare (d, a)\n v = Div (p, n)\n",
}
ENDINGS = {
    "Sqrt": "e = Add (v, eps)\n r = Sqrt (e)\n z = Div (d, r)\n",
    "Reciprocal": "e = Add (v, eps)\n r = Sqrt (e)\n i = Reciprocal (r)\n z = Mul (d, i)\n",
    "Pow": "e = Add (v, eps)\n r = Pow (e, minus)\n z = Mul (d, r)\n",
}


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("form", LAYER_NORMS)
@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_layer_norm_decomposed(form: str, ending: str, axis: int, epsilon: float) -> None:
    shape = (8, 5)
    size = shape[axis - 1 if axis > 0 else 1]
    body = "m = ReduceMean (x, a)\n" + LAYER_NORMS[form] + ENDINGS[ending]
    body += "g = Mul (z, gamma)\n y = Add (g, beta)"
    gamma = normal(size, seed=1).reshape((size, 1) if axis == 1 else (size,))
    weights = {"a": np.array([axis]), "gamma": gamma, "beta": gamma[::-1].copy()}
    weights["eps"] = np.array(epsilon, np.float32)
    extra = {"two": 2.0, "n": float(size), "minus": -0.5}
    for name, value in extra.items():
        if f", {name})" in body:
            weights[name] = np.array(value, np.float32)
    model = network("float[N,8,5] x => float[N,8,5] y", body, weights)
    left, proto = structured(model)
    assert left == ["LayerNorm"]
    found = attributes(proto, "LayerNorm")
    assert found["axis"] == axis % 3
    assert found["epsilon"] == pytest.approx(epsilon, rel=1e-5)


def test_layer_norm_without_gamma_and_beta() -> None:
    body = "m = ReduceMean (x, a)\n" + LAYER_NORMS["by the square"] + ENDINGS["Sqrt"]
    weights = {"a": np.array([-1]), "eps": np.array(1e-5, np.float32)}
    model = network("float[N,8] x => float[N,8] z", body, weights)
    left, proto = structured(model)
    assert left == ["LayerNorm"]
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    gamma, beta = sorted(tensors.values(), key=lambda a: -float(a.sum()))
    np.testing.assert_allclose(gamma.reshape(-1), np.ones(8), rtol=1e-4)
    np.testing.assert_allclose(beta.reshape(-1), np.zeros(8), atol=1e-4)


@pytest.mark.parametrize("axis", [-1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_the_standard_operator(axis: int, bias: bool) -> None:
    operands = "x, gamma, beta" if bias else "x, gamma"
    weights = {"gamma": normal(5)}
    if bias:
        weights["beta"] = normal(5, seed=1)
    body = f"y = LayerNormalization <axis = {axis}, epsilon = 0.001> ({operands})"
    left, proto = structured(network("float[N,3,5] x => float[N,3,5] y", body, weights))
    assert left == ["LayerNorm"]
    assert attributes(proto, "LayerNorm")["epsilon"] == pytest.approx(1e-3)


def test_the_standard_operator_over_two_axes_has_them_made_one() -> None:
    body = "y = LayerNormalization <axis = 1> (x, gamma)"
    model = network("float[N,3,5] x => float[N,3,5] y", body, {"gamma": normal(3, 5)})
    assert structured(model)[0] == ["Reshape", "LayerNorm", "Reshape"]


@pytest.mark.parametrize("batch", ["N", "2"])
@pytest.mark.parametrize(
    ("body", "shapes"),
    [
        ("InstanceNormalization (x, g, b)", (6,)),
        ("GroupNormalization <num_groups = 3> (x, g, b)", (6,)),
        ("LayerNormalization <axis = 1> (x, g, b)", (6, 4, 5)),
        ("LayerNormalization <axis = -2> (x, g, b)", (4, 5)),
    ],
)
def test_norms_over_several_axes_are_one_along_one_axis(
    body: str, shapes: tuple[int, ...], batch: str
) -> None:
    """Every value keeps a shape: open along the batch alone, or fixed as the model's is."""
    weights = {"g": normal(*shapes), "b": normal(*shapes, seed=1)}
    signature = f"float[{batch},6,4,5] x => float[{batch},6,4,5] y"
    model = network(signature, f"y = {body}", weights)
    feeds = {"x": normal(2, 6, 4, 5)}
    left, _ = structured(model, feeds)
    assert left.count("LayerNorm") == 1
    result = transformed(model, Normalize(), Structure(), data=feeds)
    for node in result.graph:
        shape = node.outputs[0].shape
        assert shape is not None
        assert isinstance(shape[0], int) == (batch == "2")


NEAR_MISSES = {
    "n - 1": "m = ReduceMean (x, a)\n d = Sub (x, m)\n q = Mul (d, d)\n s = ReduceSum (q, a)\n"
    "v = Div (s, n)\n e = Add (v, eps)\n r = Sqrt (e)\n y = Div (d, r)",
    "RMSNorm": "q = Mul (x, x)\n v = ReduceMean (q, a)\n e = Add (v, eps)\n r = Sqrt (e)\n"
    "y = Div (x, r)",
    "mean absolute deviation": "m = ReduceMean (x, a)\n d = Sub (x, m)\n q = Abs (d)\n"
    "v = ReduceMean (q, a)\n e = Add (v, eps)\n y = Div (d, e)",
    "epsilon behind the root": "m = ReduceMean (x, a)\n d = Sub (x, m)\n q = Mul (d, d)\n"
    "v = ReduceMean (q, a)\n r = Sqrt (v)\n e = Add (r, eps)\n y = Div (d, e)",
    "centred only": "m = ReduceMean (x, a)\n d = Sub (x, m)\n y = Mul (d, eps)",
    "by the maximum": "m = ReduceMax (x, a)\n d = Sub (x, m)\n q = Mul (d, d)\n"
    "v = ReduceMean (q, a)\n e = Add (v, eps)\n r = Sqrt (e)\n y = Div (d, r)",
}


@pytest.mark.parametrize("batch", ["N", "1"])
@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_is_no_layer_norm(name: str, batch: str) -> None:
    body = NEAR_MISSES[name]
    epsilon = {"epsilon behind the root": 0.05, "centred only": 1e-6}.get(name, 1e-3)
    weights: dict[str, Array] = {"a": np.array([-1]), "eps": np.array(epsilon, np.float32)}
    if ", n)" in body:
        weights["n"] = np.array(7, np.float32)
    model = network(f"float[{batch},8] x => float[{batch},8] y", body, weights)
    left, _ = structured(model, {"x": normal(1 if batch == "1" else 6, 8)})
    assert "LayerNorm" not in left


def test_epsilon_is_told_at_a_fixed_batch_of_one() -> None:
    body = "m = ReduceMean (x, a)\n" + LAYER_NORMS["by the square"] + ENDINGS["Sqrt"]
    weights = {"a": np.array([-1]), "eps": np.array(1e-3, np.float32)}
    model = network("float[1,8] x => float[1,8] z", body, weights)
    left, proto = structured(model, {"x": normal(1, 8)})
    assert left == ["LayerNorm"]
    assert attributes(proto, "LayerNorm")["epsilon"] == pytest.approx(1e-3)


def test_a_normalization_over_the_batch_is_none_per_sample() -> None:
    body = "m = ReduceMax (x, a)\n d = Sub (x, m)\n e = Exp (d)\n s = ReduceSum (e, a)\n"
    body += "y = Div (e, s)"
    model = network("float[N,4] x => float[N,4] y", body, {"a": np.array([0])})
    assert "Softmax" not in structured(model)[0]


def test_a_value_inside_that_is_an_output_stays() -> None:
    body = "e = Exp (x)\n s = ReduceSum (e, a)\n y = Div (e, s)"
    model = network("float[N,4] x => float[N,4] y, float[N,1] s", body, {"a": np.array([1])})
    left, _ = structured(model)
    assert sorted(left) == ["Exp", "ReduceSum", "Softmax"]


def test_two_in_a_row() -> None:
    norm = "m{0} = ReduceMean ({1}, a)\n d{0} = Sub ({1}, m{0})\n q{0} = Mul (d{0}, d{0})\n"
    norm += "v{0} = ReduceMean (q{0}, a)\n e{0} = Add (v{0}, eps)\n r{0} = Sqrt (e{0})\n"
    norm += "z{0} = Div (d{0}, r{0})\n g{0} = Mul (z{0}, gamma)\n"
    body = norm.format(1, "x") + "h = Tanh (g1)\n" + norm.format(2, "h") + "y = Relu (g2)"
    weights = {"a": np.array([-1]), "eps": np.array(1e-5, np.float32), "gamma": normal(8)}
    left, _ = structured(network("float[N,8] x => float[N,8] y", body, weights))
    assert left == ["LayerNorm", "Tanh", "LayerNorm", "Relu"]


@pytest.mark.parametrize(
    "squares",
    [
        "c = Mul (a, a)\n d = Mul (b, b)\n e = Add (c, d)\n y = Sqrt (e)",
        "c = Pow (a, two)\n d = Mul (b, b)\n e = Add (d, c)\n y = Sqrt (e)",
        "c = Mul (a, a)\n d = Mul (b, b)\n e = Add (c, d)\n f = Add (tiny, e)\n y = Sqrt (f)",
    ],
)
def test_magnitude(squares: str) -> None:
    body = f"a, b = Split <axis = 1, num_outputs = 2> (x)\n {squares}"
    weights = {"two": np.array(2, np.float32), "tiny": np.array(1e-3, np.float32)}
    found, proto = structured(network("float[N,6] x => float[N,3] y", body, weights))
    assert found == ["Split", "Hypot"]
    epsilon = 1e-3 if "tiny" in squares else 0.0
    assert attributes(proto, "Hypot")["epsilon"] == pytest.approx(epsilon)


@pytest.mark.parametrize(
    "others",
    [
        "c = Mul (a, b)\n d = Mul (b, b)\n e = Add (c, d)\n f = Abs (e)\n y = Sqrt (f)",
        "c = Mul (a, a)\n d = Mul (a, a)\n e = Add (c, d)\n y = Sqrt (e)",
        "c = Mul (a, a)\n d = Pow (b, three)\n e = Add (c, d)\n f = Abs (e)\n y = Sqrt (f)",
        "c = Mul (a, a)\n d = Mul (b, b)\n e = Add (c, d)\n s = Sqrt (e)\n y = Add (s, c)",
    ],
)
def test_no_magnitude(others: str) -> None:
    body = f"a, b = Split <axis = 1, num_outputs = 2> (x)\n {others}"
    weights = {"three": np.array(3, np.float32)}
    found, _ = structured(network("float[N,6] x => float[N,3] y", body, weights))
    assert "Hypot" not in found


def test_layer_norm_of_sequences_of_open_length() -> None:
    body = "m = ReduceMean (x, a)\n" + LAYER_NORMS["by the square"] + ENDINGS["Sqrt"]
    weights = {"a": np.array([-1]), "eps": np.array(1e-3, np.float32)}
    model = network("float[N,T,8] x => float[N,T,8] z", body, weights)
    data = {"x": normal(6, 4, 8), "x.lengths": np.array([4, 1, 2, 3, 4, 2])}
    assert operators(transformed(model, Normalize(), Structure(), data=data)) == ["LayerNorm"]


def test_lengths_that_the_network_does_not_take() -> None:
    """Only even ones fit: what is not found out on another stays as it is."""
    body = "m = ReduceMax (x, a)\n p = Reshape (m, pairs)\n q = Reshape (p, single)\n"
    weights = {"a": np.array([-1]), "pairs": np.array([3, -1, 2]), "single": np.array([3, -1, 1])}
    model = network("float[3,T,8] x => float[3,T,8] y", body + "y = Sub (x, q)", weights)
    data = {"x": normal(6, 4, 8), "x.lengths": np.array([4, 2, 2, 4, 4, 2])}
    dynamic = transformed(model, Normalize(), Structure(), data=data)
    assert operators(dynamic) == ["ReduceMax", "Reshape", "Reshape", "Sub"]
