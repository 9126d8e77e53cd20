"""Activations of a QDQ model in onnxruntime's favourite spelling."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from models import network, normal, run
from onnx import parser

from actc.targets.onnx.spelling import SILU, Spelling, expand_silu, respell, spelling_of

ONE = "one = Constant <value_float = 1.0> ()\n"
CASES = {
    "Relu": ("y = Relu (x)", "Relu"),
    "Max": ("z = Constant <value_float = 0.0> ()\ny = Max (x, z)", "Relu"),
    "Clip": (
        "l = Constant <value_float = -1.5> ()\nh = Constant <value_float = 6.0> ()\n"
        "y = Clip (x, l, h)",
        "Clip",
    ),
    "HardSigmoid": ("y = HardSigmoid <alpha = 0.2, beta = 0.4> (x)", "HardSigmoid"),
    "HardSwish in pieces": (
        "t = Constant <value_float = 3.0> ()\ns = Constant <value_float = 6.0> ()\n"
        "z = Constant <value_float = 0.0> ()\na = Add (x, t)\nb = Clip (a, z, s)\n"
        "c = Mul (x, b)\ny = Div (c, s)",
        "HardSwish",
    ),
    "LeakyRelu": ("y = LeakyRelu <alpha = 0.1> (x)", "LeakyRelu"),
    "Sigmoid": (ONE + "n = Neg (x)\ne = Exp (n)\nd = Add (one, e)\ny = Div (one, d)", "Sigmoid"),
    "Tanh": ("y = Tanh (x)", "Tanh"),
    "SiLU": ("s = Sigmoid (x)\ny = Mul (x, s)", SILU),
    "GELU": (
        ONE + "r = Constant <value_float = 1.4142135> ()\nh = Constant <value_float = 0.5> ()\n"
        "a = Div (x, r)\nb = Erf (a)\nc = Add (b, one)\nd = Mul (x, c)\ny = Mul (d, h)",
        "Gelu",
    ),
    "GELU by tanh": ('y = Gelu <approximate = "tanh"> (x)', "Gelu"),
    "Softplus": ("y = Softplus (x)", None),
    "SiLU of another slope": (
        "k = Constant <value_float = 1.01> ()\na = Mul (x, k)\ns = Sigmoid (a)\ny = Mul (x, s)",
        None,
    ),
    "infinite": ("y = Exp (x)", None),
    "undefined": ("y = Log (x)", None),
}


def body(text: str) -> ir.Function:
    head = '<domain: "actc", opset_import: ["" : 21]>'
    function = parser.parse_function(f"{head}\nF (x) => (y) {{\n{text}\n}}")
    return ir.serde.deserialize_function(function)


@pytest.mark.parametrize("name", CASES)
def test_functions_are_known_by_what_they_compute(name: str) -> None:
    text, expected = CASES[name]
    found = spelling_of(body(text))
    assert (None if found is None else found.op) == expected


def test_parameters_are_those_of_the_function() -> None:
    found = spelling_of(body(CASES["HardSigmoid"][0]))
    assert found is not None
    attributes = dict(found.attributes)
    assert attributes["alpha"] == pytest.approx(0.2, rel=1e-6)
    assert attributes["beta"] == pytest.approx(0.4, rel=1e-6)
    assert spelling_of(body(CASES["Clip"][0])) == Spelling("Clip", (("low", -1.5), ("high", 6.0)))
    leaky = spelling_of(body(CASES["LeakyRelu"][0]))
    assert leaky is not None
    assert dict(leaky.attributes)["alpha"] == pytest.approx(0.1, rel=1e-6)
    tanh = spelling_of(body(CASES["GELU by tanh"][0]))
    assert tanh == Spelling("Gelu", (("approximate", "tanh"),))


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][1] is not None])
def test_the_respelled_model_computes_the_same(name: str) -> None:
    x = {"x": 4 * normal(64, 8)}
    proto = network("float[N,8] x => float[N,8] y", CASES[name][0])
    wrapped = network("float[N,8] x => float[N,8] y", "y = Identity (x)")
    model = ir.from_proto(wrapped)
    function = body(CASES[name][0])
    function.name, function.overload = "Activation", "a1"
    model.functions[function.identifier()] = function
    model.opset_imports["actc"] = 1
    (identity,) = model.graph
    site = ir.node("Activation", [model.graph.inputs[0]], domain="actc", overload="a1", name="a")
    ir.convenience.replace_nodes_and_values(
        model.graph, identity, [identity], [site], identity.outputs, site.outputs
    )
    site.outputs[0].name = "y"
    respell(model)
    expand_silu(model.graph, set())
    assert all(node.domain == "" for node in model.graph)
    model.functions.clear()
    model.opset_imports.pop("actc")
    written = run(ir.to_proto(model), x)["y"]
    np.testing.assert_allclose(written, run(proto, x)["y"], rtol=1e-5, atol=2e-6)
