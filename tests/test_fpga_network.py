"""Whole networks unrolled: how they begin and end, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden
from network_operators import QUICK, check, codes, matmul, random_feeds, sums

from actc.errors import ModelError, UsageError
from actc.ir import spec
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.functions.bias import Biased
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.network import (
    Network,
    NetworkOptions,
    build_network,
    check_network,
    products,
)

Array = np.ndarray[Any, Any]


def options(**given: Any) -> NetworkOptions:
    return NetworkOptions(adders=AdderOptions(effort=0), **given)


def classifier(end: str = "accumulator", classes: int = 4) -> ir.Model:
    """A hidden layer, and one of the ends that golden models have."""
    g = Golden(1)
    hidden = sums(g, matmul(g, codes(g, 6), 6, 5), 200)
    acc = matmul(g, g.table(hidden), 5, classes, zero=100)
    scales = np.linspace(0.01, 0.02, classes, dtype=np.float32)
    zeros = np.zeros(classes, np.int32)
    if end == "accumulator":
        return g.model(g.dequantize(acc, scales, zeros, axis=1))
    if end == "one scale":
        return g.model(g.dequantize(acc, 0.01, np.int32(0)))
    if end == "finer":
        fine = g.node("Mul", acc, g.const(np.int32(16)))
        fine = g.node("Add", fine, g.const(np.array([[3, -5, 7, 9]], np.int32)))
        return g.model(g.dequantize(fine, scales, zeros, axis=1))
    q = sums(g, acc, 4000)
    if end == "codes":
        return g.model(g.dequantize(q, 0.03, np.uint8(3)))
    table = np.rint(2**24 * np.exp(-0.4 * np.arange(256))).astype(np.int32)
    if end.endswith("softmax") and end != "log-softmax":
        return g.model(g.actc("IntSoftmax", q, g.const(table), axis=1))
    levels = np.rint(0.4 * np.arange(256) * 2**16).astype(np.int32)
    octaves = np.rint((np.arange(31) * np.log(2) - 24 * np.log(2)) * 2**16).astype(np.int32)
    lines = np.rint(np.log1p(np.arange(257) / 256) * 2**16).astype(np.int32)
    tables = map(g.const, (table, levels, octaves, lines))
    y = g.actc("IntLogSoftmax", q, *tables, axis=1)
    return g.model(g.dequantize(y, 2.0**-16, np.int32(0)))


ENDS = ["accumulator", "one scale", "finer", "codes", "softmax", "log-softmax"]


def by_interface(description: dict[str, Any], bus: Array, output: dict[str, Any]) -> Array:
    """What a host computes that knows the description only."""
    q, kind = bus.astype(np.int64), output["kind"]
    if kind == "integers":
        return q.astype(output["dtype"])
    if kind == "softmax":
        real = q.astype(np.float64)
        return (real / real.sum(axis=output["axis"], keepdims=True)).astype(np.float32)
    shape = [1] * q.ndim
    shape[output["axis"]] = -1
    scale = np.asarray(output["scale"], np.float32).reshape(shape)
    if kind == "accumulator":
        offset = np.asarray(output["offset"]).reshape(shape)
        return (q * output["multiplier"] + offset).astype(np.float32) * scale
    assert kind == "codes"
    return (q - output["zero_point"]).astype(np.float32) * scale


@pytest.mark.parametrize("end", ENDS)
def test_ends(end: str) -> None:
    model = classifier(end)
    built = check(model)
    feeds = random_feeds(model, 1)
    golden = spec.run(ir.to_proto(model), feeds)
    assert built.agrees(built.run(feeds), golden).all()
    description = json.loads(json.dumps(built.interface()))
    (entry,), (output,) = description["inputs"], description["outputs"]
    assert (entry["bus"], entry["low"], entry["high"], entry["width"]) == ("x", 0, 15, 4)
    (given,) = built.prologue(feeds).values()
    x = np.rint(feeds["x"] / np.float32(entry["scale"])) + entry["zero_point"]
    np.testing.assert_array_equal(given, np.clip(x, entry["low"], entry["high"]))
    bus = built.design.evaluate({"x": given})[output["bus"]]
    if end != "log-softmax":
        found = by_interface(description, bus, output)
        np.testing.assert_array_equal(found, golden[output["output"]])
    else:
        assert output["kind"] == "log_softmax"
        assert len(output["levels"]) == 256


def test_a_wrong_output_is_seen() -> None:
    model = classifier()
    built = build_network(model, "net", QUICK)
    feeds = random_feeds(model)
    golden = spec.run(ir.to_proto(model), feeds)
    (name,) = golden
    wrong = golden[name].copy()
    wrong[3, 1] = np.nextafter(wrong[3, 1], np.inf)
    np.testing.assert_array_equal(np.flatnonzero(~built.agrees({name: wrong}, golden)), [3])
    np.testing.assert_array_equal(
        built.agrees({name: golden[name].astype(np.float64)}, golden), False
    )


def test_a_softmax_may_be_left_to_the_host() -> None:
    model = classifier("softmax")
    built = check(model, options(end="scores"))
    (output,) = built.interface()["outputs"]
    assert (output["kind"], output["width"]) == ("scores", 4)
    wide = build_network(model, "net", QUICK).design.outputs[0].width
    assert wide > 20  # numerators


def refused(model: ir.Model, given: NetworkOptions = QUICK) -> list[str]:
    with pytest.raises(ModelError) as caught:
        build_network(model, "net", given)
    return [str(d) for d in caught.value.diagnostics]


def test_operators_without_wires_are_named_together() -> None:
    g = Golden(2)
    x = codes(g, 4)
    zero, eps = g.const(np.uint8(0)), g.const(np.float64(1))
    gamma = g.const(np.ones(4, np.int32))
    norm = sums(g, g.actc("IntRmsNorm", x, zero, gamma, eps, axis=1), 2**20)
    table = g.const(np.arange(256, 0, -1).astype(np.int32))
    soft = g.actc("IntSoftmax", norm, table, axis=1)
    again = g.quantize(soft)
    model = g.model(g.dequantize(again))
    found = check_network(model)
    places = [d.place.op for d in found]
    assert places == ["IntRmsNorm", "IntSoftmax"]
    assert {d.code for d in found} == {"ACT0550"}
    assert all(d.help for d in found)


def test_rules_that_refuse_are_heard_before_any_work() -> None:
    g = Golden(3)
    x = codes(g, 4, 2)
    moved = g.node("Transpose", x, perm=[1, 0, 2])
    pooled = g.node("MaxPool", x, kernel_shape=[2], auto_pad="SAME_UPPER")
    model = g.model(g.dequantize(moved), g.dequantize(pooled))
    found = check_network(model)
    assert [d.place.op for d in found] == ["Transpose", "MaxPool"]
    assert "batch" in found[0].message


def test_open_axes_are_refused() -> None:
    g = Golden(4)
    x = g.quantize(g.input("x", "length", 3))  # type: ignore[arg-type]
    model = g.model(g.dequantize(g.table(x)))
    found = check_network(model)
    assert {d.code for d in found} == {"ACT0551"}


def test_large_networks_are_refused_with_their_layers() -> None:
    found = check_network(classifier(), options(limit=100))
    assert [d.code for d in found] == ["ACT0552"]
    *layers, fewer = found[0].notes
    assert len(layers) == 2
    assert "'IntMatMul_" in layers[0]
    assert fewer.startswith("--weights 2 would not do either")
    assert check_network(classifier(), options(limit=10_000)) == []


def test_what_is_no_golden_model_is_refused() -> None:
    model = classifier()
    node = next(n for n in model.graph if n.op_type == "IntMatMul")
    node.replace_input_with(3, model.graph.inputs[0])
    (text,) = refused(model)
    assert "this is no golden model" in text


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, "not nothing"),
        ({"x": np.zeros((2, 5), np.float32)}, "[2, 5]"),
        ({"x": np.zeros((2, 6), np.float64)}, "float64"),
        ({"y": np.zeros((2, 6), np.float32)}, "'y'"),
    ],
)
def test_wrong_feeds(feeds: dict[str, Array], said: str) -> None:
    built = build_network(classifier("one scale", 2), "net", QUICK)
    with pytest.raises(UsageError, match="ACT0553") as caught:
        built.run(feeds)
    assert said in str(caught.value)


def test_layers_and_scopes() -> None:
    built = build_network(classifier(), "net", QUICK)
    assert [layer.head for layer in built.layers] == ["IntMatMul", "IntMatMul"]
    first, second = built.layers
    assert [name.split("_")[0] for name in first.nodes] == ["IntMatMul", "Requantize", "Table"]
    assert (first.shape, second.shape) == ((5,), (4,))
    assert first.multiplications == first.weights
    scopes = built.design.graph.scopes
    used = {scopes[wire.index] for wire in built.design.module().wires()}
    assert used - {""} == {first.name, second.name}


def test_equal_models_give_equal_graphs() -> None:
    graphs = [build_network(classifier(), "net", QUICK).design.graph for _ in range(2)]
    wires = [[(w.operator, [o.index for o in w.operands]) for w in g.wires] for g in graphs]
    assert wires[0] == wires[1]


def test_signs_become_counts_of_bits() -> None:
    """Weights of +-1 and activations of two values: no product, no function but one bit each."""
    g = Golden(5)
    x = codes(g, 12)
    points = np.concatenate([[7], np.arange(300, 555)]).astype(np.int64)

    def signs(acc: str, at: int) -> str:
        """0 below `at`, 2 from there on: with zero point 1 that is -1 and +1."""
        edges = (points - 7 + at).astype(np.int32)
        values = np.full(256, 2, np.uint8)
        values[0] = 0
        offset = np.zeros((1, 1), np.int32)
        return g.actc("Steps", acc, *map(g.const, (edges, values, offset)))

    one = g.actc(
        "IntMatMul", x, g.const(np.eye(12, dtype=np.int8)), g.const(np.zeros(12, np.int32)),
        g.const(np.uint8(0)),
    )  # fmt: skip
    weight = g.rng.choice(np.array([-1, 1], np.int8), (12, 3))
    bias = g.const(np.zeros(3, np.int32))
    acc = g.actc("IntMatMul", signs(one, 8), g.const(weight), bias, g.const(np.uint8(1)))
    model = g.model(g.dequantize(signs(acc, 1), 1.0, np.uint8(1)))
    built = check(model)
    wires = built.design.module().wires()
    bits = [w for w in wires if built.design.graph.scopes[w.index] == built.layers[0].name]
    assert max(wire.width for wire in bits) <= 4  # comparisons of 4-bit codes
    counts = [w for w in wires if built.design.graph.scopes[w.index] == built.layers[1].name]
    assert max(wire.width for wire in counts) <= 6
    assert not any(isinstance(w.operator, op.Multiply) for w in counts)
    assert all(w.width == 1 for w in counts if isinstance(w.operator, op.Lookup))


def test_biases_become_a_part_of_functions() -> None:
    """Neurons that differ in their bias only: one sum, and thresholds of it."""
    g = Golden(7)
    weight = np.repeat(g.rng.integers(1, 8, (6, 1)).astype(np.int8), 3, axis=1)
    bias = g.const(np.array([-31, 17, 90], np.int32))
    acc = g.actc("IntMatMul", codes(g, 6), g.const(weight), bias, g.const(np.uint8(0)))
    numbers = (np.int32(1 << 20), np.int32(28), np.uint8(0), np.uint8(0), np.uint8(1))
    bits = g.actc("Requantize", acc, *map(g.const, numbers))
    built = check(g.model(g.dequantize(bits, 1.0, np.uint8(0))))
    wires = built.design.module().wires()
    added = [w for w in wires if isinstance(w.operator, (op.Add, op.Subtract))]
    assert added
    assert all(operand.value is None for wire in added for operand in wire.operands)


def without_constants(built: Network) -> list[bool]:
    """For each element of the only output whether no constant is added to it at last."""
    parts = [Biased.of(wire) for wire in built.design.outputs[0].wires]
    return [part.offset == 0 for part in parts if part.sign > 0]


@pytest.mark.parametrize("end", ["accumulator", "one scale", "finer"])
def test_the_host_adds_the_biases_of_accumulators(end: str) -> None:
    built = check(classifier(end, classes=4))
    (exit,) = built.exits
    assert exit.offset.shape == (4,)
    assert exit.offset.any()
    assert all(without_constants(built))


@pytest.mark.parametrize("pad", [0, 1])
def test_constants_that_differ_between_positions_stay(pad: int) -> None:
    g = Golden(6)
    y = g.conv(codes(g, 1, 4, 4), 1, 2, (3, 3), pads=[pad] * 4, zero=7, finish="accumulator")
    built = check(g.model(g.dequantize(y, 0.01, np.int32(0))))
    (exit,), (output,) = built.exits, built.interface()["outputs"]
    assert exit.offset.shape == (2, 1, 1)
    assert exit.offset.any() == (pad == 0)
    assert all(without_constants(built)) == (pad == 0)
    feeds = random_feeds(g.model(g.dequantize(y, 0.01, np.int32(0))), 1)
    bus = built.design.evaluate(built.prologue(feeds))[output["bus"]]
    (wanted,) = built.run(feeds).values()
    np.testing.assert_array_equal(by_interface(built.interface(), bus, output), wanted)


def test_integers_that_are_outputs_keep_their_biases() -> None:
    """One accumulator as two outputs: as it is, and times a scale."""
    g = Golden(8)
    acc = matmul(g, codes(g, 6), 6, 3)
    built = check(g.model(acc, g.dequantize(acc, 0.01, np.int32(0))))
    assert not any(exit.offset.any() for exit in built.exits)


def test_positions_share_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution searches for adders once per border, not once per position."""
    searched: list[tuple[int, ...]] = []
    search = products.linear

    def counted(matrix: Array, *given: Any) -> Any:
        searched.append(matrix.shape)
        return search(matrix, *given)

    monkeypatch.setattr(products, "linear", counted)
    g = Golden(6)
    x = codes(g, 1, 7, 7)
    y = g.conv(x, 1, 2, (3, 3), pads=[1, 1, 1, 1], zero=7, finish="accumulator")
    check(g.model(g.dequantize(y, 0.01, np.int32(0))))
    assert len(searched) == 9  # inside, 4 edges, 4 corners
    assert sorted(searched)[-1] == (2, 9)


def test_inputs_that_nothing_reads_are_refused() -> None:
    """Hardware has no port for them, and a host would not know what to send."""
    g = Golden(1)
    codes(g, 3)
    (problem,) = check_network(g.model(g.dequantize(matmul(g, codes(g, 6), 6, 5))))
    assert problem.code == "ACT0550"
    assert "nothing reads" in problem.message
