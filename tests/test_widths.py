"""Formats of 2 to 16 bits: which values get which, and golden models that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from integer_models import compiled, golden_of, ops
from integerize_cases import FRONT, FRONT_WEIGHTS, HANDLER_CASES, IMAGE
from models import network, normal, random_data, run

import actc
from actc.errors import UsageError
from actc.ir.formats import narrow_parameters_of, parameters_of
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.numerics.requantize import choose_multiplier, max_shift, requantize
from actc.passes.widths import Width, check_policy, choose_width


@pytest.mark.parametrize("activations", ["mixed", "16"])
@pytest.mark.parametrize("name", HANDLER_CASES)
def test_every_operator(name: str, activations: str) -> None:
    """Exact as always, and closer to float than eight bits are: weights have 8 bits still."""
    signature, body, weights, _ = HANDLER_CASES[name]
    model = network(signature, FRONT + body, {**FRONT_WEIGHTS, **weights})
    compiled(model, activations=activations, noise=0.015 if activations == "mixed" else 0.011)


@pytest.mark.parametrize("bits", range(2, 17))
def test_every_width(bits: int) -> None:
    body = FRONT + "s = Sigmoid (h)\n m = Mul (s, h)\n y = Conv (m, v)"
    model = network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(6, 6, 1, 1)})
    golden = compiled(model, activations=str(bits), noise=0.01 + 6 / 2**bits)
    for node in ir.from_proto(golden).graph:
        for value in node.outputs:
            parameters = parameters_of(value)
            if parameters is not None:
                assert parameters.bits == bits
                assert value.dtype == (ir.DataType.UINT8 if bits <= 8 else ir.DataType.UINT16)


@pytest.mark.parametrize("bits", [3, 12])
def test_codes_stay_within_their_width(bits: int) -> None:
    """Also where QuantizeLinear makes them, which saturates to the type alone."""
    body = "s = Softmax (x)\n t = Tanh (s)\n y = MatMul (t, v)"
    model = network("float[N,4] x => float[N,5] y", body, {"v": normal(4, 5)})
    data = random_data(model, 32)
    golden = golden_of(model, data, activations=str(bits))
    beyond = {name: 100 * array for name, array in data.items()}
    for node in list(golden.graph.node):
        if node.op_type == "Requantize":
            golden.graph.output.append(
                next(v for v in golden.graph.value_info if v.name == node.output[0])
            )
    found = run(golden, beyond)
    codes = [array for name, array in found.items() if array.dtype.kind == "u"]
    assert codes
    assert all(array.max() <= largest_code(bits) for array in codes)
    assert any(array.max() == largest_code(bits) for array in codes)


def test_a_wide_value_has_a_narrow_format_for_multipliers() -> None:
    body = "n = LayerNormalization (x, g, b)\n m = MatMul (n, w)\n y = Add (m, n)"
    weights = {"g": normal(8), "b": normal(8, seed=1), "w": normal(8, 8)}
    model = network("float[N,8] x => float[N,8] y", body, weights)
    golden = ir.from_proto(compiled(model, activations="mixed"))
    sums = [node for node in golden.graph if node.op_type == "IntAdd"]
    products = [node for node in golden.graph if node.op_type == "IntMatMul"]
    assert [str(v.dtype) for v in sums[0].inputs[:2]] == ["UINT16", "UINT16"]
    assert [str(node.inputs[0].dtype) for node in products] == ["UINT8"]


def test_given_bits_stay_wide_where_multipliers_need_them() -> None:
    """Bits given by hand, or by a budget, are no worse than what "mixed" does by itself."""
    graph = ir.from_proto(
        network("float[N,8] x => float[N,8] y", "y = MatMul (x, w)", {"w": normal(8, 8)})
    ).graph
    (x,) = graph.inputs
    assert choose_width([x], "mixed", {"x": 16}) == Width(16, narrow=True)
    assert choose_width([x], "mixed", {"x": 16}, noisy=True) == Width(16)
    assert choose_width([x], "mixed", {"x": 6}, noisy=True) == Width(6)


def readers(text: str, activations: str = "mixed") -> dict[str, Width]:
    weights = {"w": normal(8, 8), "g": normal(8)}
    proto = network("float[N,8] x => float[N,8] y", text, weights)
    graph = ir.from_proto(proto).graph
    values = [*graph.inputs, *(v for node in graph for v in node.outputs)]
    return {str(v.name): choose_width([v], activations) for v in values}


def test_the_policy_looks_at_who_reads() -> None:
    found = readers("a = MatMul (x, w)\n s = Softmax (a)\n b = MatMul (s, w)\n y = Add (a, b)")
    assert found["x"] == found["s"] == Width(8)
    assert found["b"] == found["y"] == Width(16)
    assert found["a"] == Width(16)
    assert readers("a = MatMul (x, w)\n y = Softmax (a)")["a"] == Width(12)
    assert readers("a = MatMul (x, w)\n y = MatMul (x, w)\n s = Softmax (x)")["x"] == Width(
        12, True
    )
    assert set(readers("y = MatMul (x, w)", "7").values()) == {Width(7)}


@pytest.mark.parametrize(("group", "inputs", "width"), [(6, 1, 16), (3, 2, 8), (1, 6, 8)])
def test_depthwise_convolutions_read_wide_codes(group: int, inputs: int, width: int) -> None:
    """Like README says: the errors of a few products do not cancel."""
    text = f"a = Conv (x, w)\n y = Conv <group = {group}> (a, v)"
    weights = {"w": normal(6, 6, 1, 1), "v": normal(6, inputs, 2, 2)}
    graph = ir.from_proto(network(IMAGE.replace("[N,3,", "[N,6,"), text, weights)).graph
    values = {str(v.name): v for node in graph for v in node.outputs}
    assert choose_width([values["a"]], "mixed") == Width(width)
    assert choose_width([values["a"]], "8") == Width(8)


def test_a_choice_by_name_is_above_the_policy() -> None:
    value = ir.Value(name="a")
    assert choose_width([value], "8", {"a": 11, "b": 5}) == Width(11)
    assert choose_width([value, ir.Value(name="b")], "8", {"a": 11, "b": 5}) == Width(11)
    assert choose_width([ir.Value(name="c")], "mixed", {"a": 11}) == Width(8)


@pytest.mark.parametrize("policy", ["", "1", "17", "-8", "8.0", "wide", "\u0663"])
def test_unknown_policies(policy: str) -> None:
    with pytest.raises(UsageError, match="--activations"):
        check_policy(policy)


@pytest.mark.parametrize("bits", range(2, 17))
def test_parameters_of_every_width(bits: int) -> None:
    p = QuantizationParameters.from_range(-1.0, 3.0, bits=bits)
    assert (p.low, p.high) == (0, 2**bits - 1)
    assert p.codes().dtype == p.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert len(p.values()) == p.entries == max(256, 2**bits)
    x = np.linspace(-2, 4, 1001)
    q = p.quantize(x)
    assert q.dtype == p.dtype
    assert (q.min(), q.max()) == (0, 2**bits - 1)
    assert np.abs(p.dequantize(q) - np.clip(x, p.values()[0], p.values()[p.high])).max() <= (
        p.scale * 0.502
    )


@pytest.mark.parametrize(
    "wrong", [{"bits": 1}, {"bits": 17}, {"zero_point": 16, "bits": 4}, {"high": 16, "bits": 4}]
)
def test_impossible_parameters(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"bits|within"):
        QuantizationParameters(**{"scale": 1.0, "zero_point": 0, **wrong})


def test_formats_on_values() -> None:
    from actc.ir.formats import annotate, annotate_narrow

    value = ir.Value(name="a")
    wide = QuantizationParameters(0.1, 7, 1, 4000, 12)
    narrow = QuantizationParameters(0.2, 3)
    annotate(value, wide)
    assert parameters_of(value) == wide
    assert narrow_parameters_of(value) is None
    annotate_narrow(value, narrow)
    assert (parameters_of(value), narrow_parameters_of(value)) == (wide, narrow)
    annotate(value, narrow)
    assert parameters_of(value) == narrow


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
@pytest.mark.parametrize("largest", [2**20, 2**31, 2**40, 2**51])
def test_requantization_in_float64_is_exact(bits: int, largest: int) -> None:
    """What the ONNX body computes, at the worst accumulators and the largest zero point."""
    last = largest_code(bits)
    factor = last / largest
    multiplier, shift = choose_multiplier(factor, max_accumulator=largest, output_bits=bits)
    assert shift <= max_shift(bits)
    rng = np.random.default_rng(bits)
    acc = np.concatenate([[-largest, largest, 0], rng.integers(-largest, largest, 1000)])
    for zero in (0, last // 2, last):
        exact = requantize(acc, multiplier, shift, zero, 0, last, bits)
        in_float = np.floor(acc.astype(np.float64) * (multiplier / 2.0**shift) + (zero + 0.5))
        np.testing.assert_array_equal(exact, np.clip(in_float, 0, last))


def test_wide_operators_are_used_only_for_wide_codes() -> None:
    model = network(IMAGE, FRONT + "y = Conv (h, v)", {**FRONT_WEIGHTS, "v": normal(6, 6, 1, 1)})
    assert [op for op in ops(compiled(model)) if op.startswith("Wide")] == []
    wide = ops(compiled(model, activations="16"))
    assert [op for op in wide if op.startswith(("Wide", "IntConv"))] == ["WideConv", "WideConv"]


def test_multipliers_take_more_bits_where_eight_lose_too_much() -> None:
    """One value in a thousand is a thousand times as large: 8 bits leave nothing of the rest."""
    model = network("float[N,4] x => float[N,3] y", "y = MatMul (x, w)", {"w": normal(4, 3)})
    plain = random_data(model, 512)["x"]
    rare = plain.copy()
    rare[::500] *= 1000
    for data, expected in ((plain, "IntMatMul"), (rare, "WideMatMul")):
        golden = golden_of(model, {"x": data}, activations="mixed")
        assert expected in ops(golden)
        assert "IntMatMul" in ops(golden_of(model, {"x": data}))


def test_a_relu_passes_codes_on() -> None:
    body = "a = MatMul (x, w)\n b = Relu (a)\n y = MatMul (b, v)"
    model = network(
        "float[N,8] x => float[N,3] y", body, {"w": normal(8, 6), "v": normal(6, 3, seed=1)}
    )
    assert ops(golden_of(model, random_data(model, 64), activations="mixed")) == [
        "IntMatMul",
        "Requantize",
        "IntMatMul",
    ]


def test_the_cpu_target_refuses_wide_codes_once() -> None:
    from actc.targets.tvm.lower import examine

    body = FRONT + "s = Sigmoid (h)\n m = Mul (s, h)\n y = Conv (m, v)"
    net = network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(6, 6, 1, 1)})
    golden = ir.from_proto(golden_of(net, random_data(net, 32), activations="mixed"))
    problem, *rest = examine(golden, "int8")[1]
    assert problem.code == "ACT0401"
    assert "more than 8 bits" in problem.message
    assert "--target onnx" in problem.help
    assert not rest
    body = FRONT + "g = Conv (x, v)\n y = Add (h, g)"
    net = network(IMAGE, body, {**FRONT_WEIGHTS, "v": normal(6, 3, 1, 1)})
    golden = ir.from_proto(golden_of(net, random_data(net, 32), activations="16"))
    assert {"codes of more than 8 bits", "sums of more than 32 bits"} == {
        each.message.split(", ")[0].removeprefix("it gives ") for each in examine(golden, "int8")[1]
    }
    narrow = ir.from_proto(golden_of(net, random_data(net, 32), activations="5"))
    assert examine(narrow, "int8")[1] == []


@pytest.mark.parametrize(
    "options",
    [
        {"activations": "mixed"},
        {"activations": "9"},
        {"overrides": {"activations": {"y": 12}, "weights": {}}},
    ],
)
def test_more_bits_than_the_target_takes_are_refused_before_any_work(
    options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="more than 8 bits, the most that target 'cpu' takes"):
        actc.compile(tmp_path / "there is no such model.onnx", "cpu", dry_run=True, **options)
