"""Recognition: every single-input elementwise region is one activation, nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal, operators, proto_of, random_data, run, transformed
from scipy import special

from actc.ir.context import context_of
from actc.ir.sites import Site
from actc.ir.verify import problems
from actc.passes.normalize import Normalize
from actc.passes.recognize import Recognize

Array = np.ndarray[Any, Any]
X = np.linspace(-6, 6, 241)


def f32(value: float) -> Array:
    return np.array(value, np.float32)


def recognized(
    model: onnx.ModelProto, data: Mapping[str, Array] | None = None
) -> tuple[list[Site], list[str]]:
    """The sites and what is left of the graph; checks structure and outputs on the way."""
    feeds = random_data(model) if data is None else dict(data)
    result = transformed(model, Normalize(), Recognize(), data=feeds)
    assert problems(result) == []
    expected, found = run(model, feeds), run(proto_of(result), feeds)
    assert list(found) == list(expected)
    for name, reference in expected.items():
        np.testing.assert_allclose(found[name], reference, rtol=2e-5, atol=2e-6)
    return list(context_of(result).sites.values()), operators(result)


def one_site(
    body: str,
    function: Callable[[Array], Array],
    weights: Mapping[str, Array] | None = None,
    *,
    signature: str = "float[N,3,4] x => float[N,3,4] y",
    opset: int = 21,
    label: str | None = None,
) -> Site:
    """`body` is one site that is the whole graph and computes `function`."""
    sites, left = recognized(network(signature, body, weights, opset=opset))
    (site,) = sites
    assert left == ["Activation"]
    expected = function(X)
    np.testing.assert_allclose(site.function(X), expected, rtol=1e-6, atol=1e-7)
    assert not site.affine
    if label is not None:
        assert site.label.split("(")[0] == label
    return site


def test_gelu_of_five_nodes() -> None:
    body = "a = Div (x, r)\n b = Erf (a)\n c = Add (b, one)\n d = Mul (x, c)\n y = Mul (d, half)"
    weights = {"r": f32(np.sqrt(2)), "one": f32(1), "half": f32(0.5)}
    site = one_site(body, lambda x: x * special.ndtr(x), weights, label="GELU")
    assert len(site.nodes) == 5
    # The model's float32 sqrt(2) counts, not the textbook's: the difference is visible.
    root = float(np.float32(np.sqrt(2)))
    exact = 0.5 * X * (1 + special.erf(X / root))
    np.testing.assert_allclose(site.function(X), exact, rtol=1e-15, atol=1e-15)
    assert np.abs(site.function(X) - X * special.ndtr(X)).max() > 1e-9


def test_gelu_by_tanh() -> None:
    body = """
      c = Pow (x, three)
      m = Mul (c, k)
      s = Add (x, m)
      t = Mul (s, r)
      h = Tanh (t)
      p = Add (h, one)
      g = Mul (x, p)
      y = Mul (half, g)
    """
    weights = {
        "three": f32(3),
        "k": f32(0.044715),
        "r": f32(np.sqrt(2 / np.pi)),
        "one": f32(1),
        "half": f32(0.5),
    }

    def gelu(x: Array) -> Array:
        return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))

    one_site(body, gelu, weights)


def test_silu_mish_and_hard_swish_decomposed() -> None:
    one_site("s = Sigmoid (x)\n y = Mul (x, s)", lambda x: x * special.expit(x), label="SiLU")
    one_site(
        "s = Softplus (x)\n t = Tanh (s)\n y = Mul (x, t)",
        lambda x: x * np.tanh(np.logaddexp(0, x)),
        label="Mish",
    )
    one_site(
        "s = Exp (x)\n p = Add (s, one)\n l = Log (p)\n t = Tanh (l)\n y = Mul (x, t)",
        lambda x: x * np.tanh(np.logaddexp(0, x)),
        {"one": f32(1)},
        label="Mish",
    )
    one_site(
        "a = Add (x, three)\n b = Clip (a, zero, six)\n c = Mul (x, b)\n y = Div (c, six)",
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        {"three": f32(3), "zero": f32(0), "six": f32(6)},
        label="HardSwish",
    )


def test_softplus_with_a_threshold() -> None:
    body = "e = Exp (x)\n l = Log1 (e)\n".replace("l = Log1 (e)", "p = Add (e, one)\n l = Log (p)")
    body += "c = Greater (x, limit)\n y = Where (c, x, l)"
    one_site(
        body, lambda x: np.where(x > 4, x, np.logaddexp(0, x)), {"one": f32(1), "limit": f32(4)}
    )


def test_pade_unit() -> None:
    body = """
      x2 = Mul (x, x)
      n1 = Mul (x, a)
      n2 = Mul (x2, b)
      n = Add (n1, n2)
      d1 = Abs (n1)
      d = Add (one, d1)
      q = Div (n, d)
      y = Add (q, c)
    """
    weights = {"a": f32(0.5), "b": f32(0.25), "c": f32(0.125), "one": f32(1)}
    one_site(body, lambda x: (0.5 * x + 0.25 * x**2) / (1 + np.abs(0.5 * x)) + 0.125, weights)


def test_snake_per_channel() -> None:
    body = "a = Mul (x, f)\n s = Sin (a)\n q = Mul (s, s)\n d = Div (q, f)\n y = Add (x, d)"
    frequencies = np.array([0.5, 1.0, 2.0], np.float32).reshape(3, 1)
    sites, left = recognized(network("float[N,3,4] x => float[N,3,4] y", body, {"f": frequencies}))
    (site,) = sites
    assert left == ["Activation"]
    assert (site.function.channels, site.function.axis) == (3, 1)
    for channel, a in enumerate(frequencies.reshape(-1)):
        expected = X + np.sin(a * X) ** 2 / a
        np.testing.assert_allclose(site.function(X)[:, channel], expected, rtol=1e-12)
        np.testing.assert_array_equal(
            site.function.channel(channel)(X), site.function(X)[:, channel]
        )


@pytest.mark.parametrize(
    ("signature", "shape", "axis"),
    [
        ("float[N,3,4,5] x => float[N,3,4,5] y", (3, 1, 1), 1),
        ("float[N,4,5,3] x => float[N,4,5,3] y", (3,), 3),
        ("float[N,3] x => float[N,3] y", (3,), 1),
    ],
)
def test_prelu_per_channel(signature: str, shape: tuple[int, ...], axis: int) -> None:
    slopes = np.array([0.5, -0.25, 2.0], np.float32)
    model = network(signature, "y = PRelu (x, slope)", {"slope": slopes.reshape(shape)})
    (site,), left = recognized(model)
    assert left == ["Activation"]
    assert (site.function.channels, site.function.axis) == (3, axis)
    np.testing.assert_allclose(
        site.function(X), np.where(X[:, None] < 0, X[:, None] * slopes, X[:, None])
    )


def test_a_family_of_one_function_is_still_a_family_of_channels() -> None:
    model = network(
        "float[N,3,4] x => float[N,3,4] y",
        "y = PRelu (x, s)",
        {"s": np.full((3, 1), 0.25, np.float32)},
    )
    (site,), _ = recognized(model)
    np.testing.assert_allclose(site.function.channel(2)(X), np.where(X < 0, X / 4, X))


def test_two_activations_in_a_row_are_one() -> None:
    one_site("a = Relu (x)\n y = Tanh (a)", lambda x: np.tanh(np.maximum(x, 0)))


def test_residual_around_an_activation_is_one() -> None:
    one_site(
        "a = Sigmoid (x)\n b = Mul (a, x)\n y = Add (x, b)", lambda x: x + x * special.expit(x)
    )


def test_gate_keeps_its_one_input_part() -> None:
    body = "a, b = Split <axis = 1, num_outputs = 2> (x)\n s = Sigmoid (b)\n y = Mul (a, s)"
    sites, left = recognized(network("float[N,6,4] x => float[N,3,4] y", body))
    (site,) = sites
    assert left == ["Split", "Activation", "Mul"]
    assert (site.label, site.nodes) == ("Sigmoid", (site.nodes[0],))
    np.testing.assert_allclose(site.function(X), special.expit(X))


@pytest.mark.parametrize(
    "body",
    [
        "y = Add (x, c)",
        "y = Mul (c, x)",
        "a = Sub (c, x)\n b = Div (a, d)\n y = Neg (b)",
        "a = Mul (x, c)\n b = Add (x, a)\n y = Add (b, d)",
        "a = Cast <to = 10> (x)\n b = Cast <to = 1> (a)\n y = Mul (b, c)",
    ],
)
def test_affine_regions_are_no_activations(body: str) -> None:
    weights = {"c": f32(3), "d": f32(4)}
    used = {name: a for name, a in weights.items() if name in body.replace("Cast", "")}
    feeds = {"x": (np.arange(96).reshape(8, 3, 4) / 4).astype(np.float32)}
    (site,), _ = recognized(network("float[N,3,4] x => float[N,3,4] y", body, used), feeds)
    assert site.affine
    assert site.label == "Affine"


@pytest.mark.parametrize(
    "body", ["y = Mul (x, x)", "a = Abs (x)\n y = Add (a, c)", "y = Div (c, x)", "y = Pow (c, x)"]
)
def test_nearly_affine_regions_are_activations(body: str) -> None:
    used = {"c": f32(3)} if "c" in body else {}
    (site,), _ = recognized(network("float[N,4] x => float[N,4] y", body, used))
    assert not site.affine


def test_a_value_used_inside_and_outside_is_a_site_of_its_own() -> None:
    body = "h = Relu (x)\n t = Tanh (h)\n y = MatMul (t, w)\n z = MatMul (h, w)"
    model = network("float[N,4] x => float[N,2] y, float[N,2] z", body, {"w": normal(4, 2)})
    sites, left = recognized(model)
    assert left == ["Activation", "Activation", "MatMul", "MatMul"]
    relu, tanh = sites
    np.testing.assert_allclose(relu.function(X), np.maximum(X, 0))
    # The second starts at the value that the first gives anyway.
    assert tanh.input == relu.output
    np.testing.assert_allclose(tanh.function(X), np.tanh(X))


def test_a_later_part_that_also_needs_the_source_starts_there() -> None:
    body = "h = Relu (x)\n t = Tanh (h)\n s = Add (t, x)\n y = MatMul (s, w)\n z = MatMul (h, w)"
    model = network("float[N,4] x => float[N,2] y, float[N,2] z", body, {"w": normal(4, 2)})
    relu, rest = recognized(model)[0]
    assert (relu.input, rest.input) == ("x", "x")
    np.testing.assert_allclose(rest.function(X), np.tanh(np.maximum(X, 0)) + X)


def test_activation_on_a_graph_output_that_goes_on() -> None:
    body = "y = Relu (x)\n z = Sigmoid (y)"
    sites, left = recognized(network("float[N,4] x => float[N,4] y, float[N,4] z", body))
    assert left == ["Activation", "Activation"]
    assert [site.output for site in sites] == ["y", "z"]


def test_the_input_itself_as_an_output() -> None:
    model = network("float[N,4] x => float[N,4] y, float[N,4] z", "y = Relu (x)\n z = Tanh (x)")
    sites, _ = recognized(model)
    assert [site.label for site in sites] == ["ReLU", "Tanh"]


def test_one_constant_serves_several_sites() -> None:
    body = "a = Mul (x, c)\n b = Tanh (a)\n m = MatMul (b, w)\n d = Mul (m, c)\n y = Sin (d)"
    model = network("float[N,4] x => float[N,4] y", body, {"c": f32(0.5), "w": normal(4, 4)})
    first, second = recognized(model)[0]
    np.testing.assert_allclose(first.function(X), np.tanh(X / 2))
    np.testing.assert_allclose(second.function(X), np.sin(X / 2))


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ("y = Min (x, one, two)", lambda x: np.minimum(x, 1)),
        ("h = Neg (x)\n y = Max (x, one, h)", lambda x: np.maximum(np.abs(x), 1)),
        ("h = Neg (x)\n y = Sum (x, one, h, x)", lambda x: x + 1),
        ("h = Abs (x)\n y = Mean (x, h)", lambda x: np.maximum(x, 0)),
        ("c = Cast <to = 7> (x)\n y = Cast <to = 1> (c)", np.trunc),
        ("c = Cast <to = 9> (x)\n y = Cast <to = 1> (c)", lambda x: (x != 0).astype(float)),
        (
            "c = Less (x, one)\n n = Not (c)\n y = Where (n, two, x)",
            lambda x: np.where(x < 1, x, 2),
        ),
        ("y = Clip (x, , two)", lambda x: np.minimum(x, 2)),
        ("y = Mod <fmod = 1> (x, two)", lambda x: np.fmod(x, 2)),
    ],
)
def test_many_operand_operators_and_casts(body: str, function: Callable[[Array], Array]) -> None:
    weights = {name: f32(n) for name, n in (("one", 1), ("two", 2)) if f"{name}" in body}
    sites, left = recognized(network("float[N,4] x => float[N,4] y", body, weights))
    (site,) = sites
    assert left == ["Activation"]
    np.testing.assert_allclose(site.function(X), function(X), rtol=1e-12, atol=1e-12)


def test_integer_division_is_not_taken_for_a_real_one() -> None:
    """In the integers 7 / 2 is 3: such a step must not be evaluated in float64."""
    body = "c = Cast <to = 6> (x)\n h = Div (c, two)\n y = Cast <to = 1> (h)"
    model = network("float[N,4] x => float[N,4] y", body, {"two": np.array(2, np.int32)})
    feeds = {"x": np.linspace(-9, 9, 40, dtype=np.float32).reshape(10, 4)}
    sites, _ = recognized(model, feeds)
    for site in sites:
        if site.output == "y":
            np.testing.assert_array_equal(site.function(np.array([7.0, -7.0])), [3, -3])


def test_region_behind_the_bias_of_a_matmul() -> None:
    body = "m = MatMul (x, w)\n b = Add (m, bias)\n s = Sigmoid (b)\n y = Mul (b, s)"
    weights = {"w": normal(4, 5), "bias": normal(5)}
    (site,), left = recognized(network("float[N,4] x => float[N,5] y", body, weights))
    assert left == ["MatMul", "Add", "Activation"]
    assert site.function.channels == 1
    assert site.label == "SiLU"


def test_a_second_vector_behind_the_bias_is_folded_not_absorbed() -> None:
    body = "m = MatMul (x, w)\n b = Add (m, bias)\n c = Mul (b, bias)\n y = Tanh (c)"
    weights = {"w": normal(4, 5), "bias": normal(5)}
    (site,), left = recognized(network("float[N,4] x => float[N,5] y", body, weights))
    assert left == ["MatMul", "Add", "Activation"]
    assert (site.label, site.function.channels) == ("Tanh", 1)


@pytest.mark.parametrize(
    ("signature", "shape"),
    [
        ("float[N,1,4] x => float[N,3,4] y", (3, 1)),  # enlarges an axis
        ("float[N,4] x => float[a,N,4] y", (1, 1, 1)),  # adds an axis, with one element
        ("float[N,4] x => float[a,N,4] y", (2, 1, 4)),
        ("float[N,3,4] x => float[N,3,4] y", (3, 4)),  # one function per position of two axes
    ],
)
def test_constants_of_other_shapes_are_not_absorbed(signature: str, shape: tuple[int, ...]) -> None:
    model = network(signature, "h = Tanh (x)\n y = Mul (h, c)", {"c": normal(*shape)})
    sites, left = recognized(model)
    assert left[:2] == ["Activation", "Mul"]
    np.testing.assert_allclose(sites[0].function(X), np.tanh(X))


def test_vectors_along_two_axes_are_two_sites() -> None:
    weights = {"c": normal(3, 1), "d": normal(4)}
    body = "h = Mul (x, c)\n t = Tanh (h)\n y = Mul (t, d)"
    sites, _ = recognized(network("float[N,3,4] x => float[N,3,4] y", body, weights))
    assert [(site.function.axis, site.function.channels) for site in sites] == [(1, 3), (2, 4)]


def test_two_inputs_are_no_activation() -> None:
    model = network("float[N,4] x, float[N,4] z => float[N,4] y", "h = Add (x, z)\n y = Tanh (h)")
    (site,), left = recognized(model)
    assert left == ["Add", "Activation"]
    assert site.label == "Tanh"


def test_nodes_and_names_are_those_of_the_model() -> None:
    model = network("float[N,4] x => float[N,4] y", "s = Sigmoid (x)\n y = Mul (x, s)")
    model.graph.node[0].name, model.graph.node[1].name = "/act/sigmoid", "/act/mul"
    (site,), _ = recognized(model)
    assert set(site.nodes) == {"/act/sigmoid", "/act/mul"}
    assert (site.id, site.input, site.output) == ("a1", "x", "y")
