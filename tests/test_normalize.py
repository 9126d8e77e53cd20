"""Normalization: what should be folded is gone, and the outputs stay as they were."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import network, normal, run
from normalized_models import Array, normalized


@pytest.mark.parametrize("attributes", ["", "<alpha = 0.5, beta = 2.0, transB = 1>"])
def test_gemm(attributes: str) -> None:
    shape = (5, 4) if attributes else (4, 5)
    model = network(
        "float[N,4] x => float[N,5] y",
        f"y = Gemm {attributes} (x, w, b)",
        {"w": normal(*shape), "b": normal(5)},
    )
    assert normalized(model)[0] == ["MatMul", "Add"]


def test_gemm_with_a_scalar_bias_and_without() -> None:
    for operands, weights in (("x, w, b", {"b": np.array(2, np.float32)}), ("x, w", {})):
        model = network(
            "float[N,4] x => float[N,5] y", f"y = Gemm ({operands})", {"w": normal(4, 5), **weights}
        )
        assert "Gemm" not in normalized(model)[0]


ONE_HOT = """
  column = Unsqueeze (i, last)
  hit = Equal (column, codes)
  hot = Cast <to = 1> (hit)
  y = MatMul (hot, w)
"""


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("swapped", [False, True])
def test_one_hot_becomes_a_lookup(dtype: str, swapped: bool) -> None:
    body = ONE_HOT.replace("column, codes", "codes, column") if swapped else ONE_HOT
    kind = np.dtype(dtype)
    weights = {"w": normal(7, 3), "codes": np.arange(7, dtype=kind), "last": np.array([-1])}
    model = network(f"{dtype}[N,4] i => float[N,4,3] y", body, weights)
    feeds = {"i": np.array([[0, 6, 7, -1], [3, 2, 1000, -8]], kind)}
    left, proto = normalized(model, feeds)
    assert "MatMul" not in left
    assert left[-1] == "Gather"
    rows = run(proto, feeds)["y"]
    np.testing.assert_array_equal(rows[0, 2:], np.zeros((2, 3)))
    np.testing.assert_array_equal(rows[1, 2:], np.zeros((2, 3)))
    np.testing.assert_array_equal(rows[0, 1], weights["w"][6])


def test_one_hot_with_other_codes_is_no_lookup() -> None:
    codes = np.array([0, 1, 2, 3, 4, 6, 5], np.int32)
    weights = {"w": normal(7, 3), "codes": codes, "last": np.array([-1])}
    model = network("int32[N,4] i => float[N,4,3] y", ONE_HOT, weights)
    assert "Gather" not in normalized(model)[0]


@pytest.mark.parametrize("step", ["Add(r, v)", "Sub(v, r)", "Mul(r, v)", "Div(r, v)", "Div(v, r)"])
def test_what_follows_a_lookup_goes_into_its_rows(step: str) -> None:
    weights = {"w": normal(7, 3) + 5, "v": normal(3, seed=1)}
    body = f"r = Gather (w, i)\n y = {step}"
    model = network("int64[N,4] i => float[N,4,3] y", body, weights)
    assert normalized(model)[0] == ["Gather"]


def test_a_vector_of_another_axis_stays_behind_a_lookup() -> None:
    weights = {"w": normal(7, 3), "v": normal(4, 1)}
    model = network("int64[N,4] i => float[N,4,3] y", "r = Gather (w, i)\n y = Add (r, v)", weights)
    assert normalized(model)[0] == ["Gather", "Add"]


def test_shape_arithmetic_is_frozen_with_an_open_batch() -> None:
    body = """
      s = Shape (x)
      n = Gather (s, zero)
      n1 = Unsqueeze (n, zero1)
      target = Concat <axis = 0> (n1, rest)
      y = Reshape (x, target)
    """
    weights = {"zero": np.array(0), "zero1": np.array([0]), "rest": np.array([12])}
    model = network("float[N,3,4] x => float[N,12] y", body, weights)
    left, proto = normalized(model)
    assert left == ["Reshape"]
    for batch in (1, 3, 17):
        x = normal(batch, 3, 4)
        np.testing.assert_array_equal(run(proto, {"x": x})["y"], x.reshape(batch, 12))


def test_batch_times_something_is_frozen_and_undone() -> None:
    """[N, 3, 4] -> [3N, 4] -> [N, 3, 4], as exporters write batched products."""
    body = """
      s = Shape <start = 0, end = 1> (x)
      n3 = Mul (s, three)
      t1 = Concat <axis = 0> (n3, four)
      flat = Reshape (x, t1)
      r = Relu (flat)
      t2 = Concat <axis = 0> (s, three, four)
      y = Reshape (r, t2)
    """
    weights = {"three": np.array([3]), "four": np.array([4])}
    model = network("float[N,3,4] x => float[N,3,4] y", body, weights)
    left, proto = normalized(model)
    assert left == ["Reshape", "Relu", "Reshape"]
    x = normal(5, 3, 4)
    np.testing.assert_array_equal(run(proto, {"x": x})["y"], np.maximum(x, 0))


def test_expand_to_the_batch_is_frozen() -> None:
    body = """
      s = Shape <start = 0, end = 1> (x)
      t = Concat <axis = 0> (s, rest)
      e = Expand (x, t)
      y = Relu (e)
    """
    model = network("float[N,1,4] x => float[N,3,4] y", body, {"rest": np.array([3, 4])})
    left, proto = normalized(model)
    assert left == ["Concat", "Relu"], "copies along an axis of length one"
    x = normal(9, 1, 4)
    assert run(proto, {"x": x})["y"].shape == (9, 3, 4)


def test_a_batch_squared_stays_computed() -> None:
    body = "s = Shape <start = 0, end = 1> (x)\n q = Mul (s, s)\n t = Concat <axis = 0> (q, one)\n"
    body += "y = Expand (c, t)\n z = Relu (x)"
    weights = {"one": np.array([1]), "c": normal(1, 1)}
    model = network("float[N,4] x => float[a,b] y, float[N,4] z", body, weights)
    assert "Shape" in normalized(model)[0]


NO_OPS = """
  a = Identity (x)
  b = Dropout (a)
  c = Cast <to = 1> (b)
  d = Transpose <perm = [0,1,2]> (c)
  e = Slice (d, zero, far, one)
  f = Reshape (e, same)
  g = Pad (f, none)
  h = Relu (g)
  y = Identity (h)
"""


def test_operators_that_do_nothing_go() -> None:
    weights = {
        "zero": np.array([0]),
        "far": np.array([2**62]),
        "one": np.array([1]),
        "same": np.array([0, 3, 4]),
        "none": np.zeros(6, np.int64),
    }
    model = network("float[N,3,4] x => float[N,3,4] y", NO_OPS, weights)
    assert normalized(model)[0] == ["Relu"]


def test_operators_that_do_something_stay() -> None:
    body = """
      d = Transpose <perm = [0,2,1]> (x)
      e = Slice (d, one, far, one)
      g = Pad (e, some)
      f = Cast <to = 10> (g)
      y = Cast <to = 1> (f)
    """
    weights = {
        "far": np.array([2**62]),
        "one": np.array([1]),
        "some": np.array([0, 0, 1, 0, 0, 0]),
    }
    model = network("float[N,3,4] x => float[N,a,b] y", body, weights)
    assert normalized(model)[0] == ["Transpose", "Slice", "Pad", "Cast", "Cast"]


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("float[N,3] x => float[N,3] y", "y = Identity (x)"),
        ("float[N,3] x => float[N,3] y, float[N,3] z", "y = Relu (x)\n z = Identity (y)"),
        (
            "float[N,3] x => float[N,3] y, float[N,3] z",
            "r = Relu (x)\n y = Identity (r)\n z = Neg (r)",
        ),
        ("float[N,3] x => float[N,3] y, float[2] z", "y = Relu (x)\n z = Identity (c)"),
        ("float[N,3] x => float[N,3] y, float[2] z", "y = Relu (x)\n z = Add (c, c)"),
    ],
)
def test_identities_at_the_edges_of_the_graph(signature: str, body: str) -> None:
    weights = {"c": normal(2)} if "(c" in body else {}
    normalized(network(signature, body, weights))


def test_constants_are_evaluated() -> None:
    body = "k = Constant <value_float = 2.0> ()\n e = Exp (c)\n m = Mul (e, k)\n y = Add (x, m)"
    model = network("float[N,3] x => float[N,3] y", body, {"c": normal(3)})
    assert normalized(model)[0] == ["Add"]


def test_local_functions_are_inlined() -> None:
    header = '<domain: "local", opset_import: ["" : 21]>'
    functions = header + "Norm (a, m) => (b) { c = Mul (a, m)\n b = Sub (c, m) }"
    model = network(
        "float[N,3] x => float[N,3] y",
        "h = local.Norm (x, v)\n y = local.Norm (h, v)",
        {"v": normal(3)},
        functions=functions,
    )
    assert normalized(model)[0] == ["Mul", "Sub", "Mul", "Sub"]


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize(
    ("layer", "weights"),
    [
        ("Conv <{0}, strides = [2,3]> (x, w)", {"w": normal(5, 4, 3, 2)}),
        ("MaxPool <{0}, strides = [2,1], kernel_shape = [3,2]> (x)", {}),
        ("AveragePool <{0}, strides = [2,3], kernel_shape = [3,4]> (x)", {}),
    ],
)
def test_auto_pad_is_written_out(auto_pad: str, layer: str, weights: dict[str, Array]) -> None:
    body = f'y = {layer.format(f"""auto_pad = "{auto_pad}" """)}'
    model = network("float[N,4,8,9] x => float[N,a,b,c] y", body, weights)
    _, proto = normalized(model)
    (node,) = proto.graph.node
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert "auto_pad" not in given
    assert len(given["pads"]) == 4
    assert any(given["pads"]) == (auto_pad != "VALID")


def test_values_and_nodes_get_names() -> None:
    model = network("float[N,3] x => float[N,3] y", "h = Relu (x)\n y = Neg (h)")
    for node in model.graph.node:
        node.ClearField("name")
    proto = normalized(model)[1]
    names = [node.name for node in proto.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)
