"""What is binary in a golden graph, against what its values really hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from binary_networks import KINDS, golden_of, random_network
from golden_models import Golden

from actc.ir import spec
from actc.ir.binary import (
    binary_layer,
    binary_layers,
    possible_codes,
    staircases,
    sum_bounds,
    threshold,
)
from actc.ir.graph import constant

Array = np.ndarray[Any, Any]


def values_of(golden: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    """Every value of a golden model."""
    bare = onnx.ModelProto()
    bare.CopyFrom(golden)
    del bare.graph.output[:]
    names = [name for node in golden.graph.node for name in node.output]
    bare.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return spec.run(bare, feeds)


def network(kind: str, seed: int) -> tuple[ir.Model, dict[str, Array]]:
    model, feeds = random_network(np.random.default_rng(seed), kind)
    golden = golden_of(model, feeds)
    return ir.from_proto(golden), values_of(golden, feeds)


def steps_of(model: ir.Model) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == "Steps"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_values_hold_only_the_codes_that_are_possible(kind: str, seed: int) -> None:
    model, values = network(kind, seed)
    codes = possible_codes(model.graph)
    signs = [value for value in codes if str(value.name).startswith("sign")]
    assert signs
    assert all(len(codes[value]) <= 2 for value in signs)
    for value, held in codes.items():
        found = set(np.unique(values[str(value.name)]).tolist())
        assert found <= held, value.name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_behind_a_sign_is_binary_and_its_sums_are_counts(kind: str, seed: int) -> None:
    model, values = network(kind, seed)
    codes = possible_codes(model.graph)
    linear = [n for n in model.graph if n.op_type in ("IntMatMul", "IntConv")]
    layers = {layer.node: layer for layer in binary_layers(model.graph)}
    for node in linear:
        x = node.inputs[0]
        assert x is not None
        assert (node in layers) == (len(codes[x]) == 2)
    for node, layer in layers.items():
        if node.op_type != "IntMatMul":
            continue
        assert layer.inputs == "sign"
        bits = (values[str(node.inputs[0].name)] == layer.high).astype(np.int64)  # type: ignore[union-attr]
        signs = np.sign(layer.weight.astype(np.int64))
        step = layer.size * (layer.high - layer.low)
        base = layer.size * (layer.low - layer.zero) * signs.sum(axis=0) + layer.bias
        np.testing.assert_array_equal(
            values[str(node.outputs[0].name)], base + step * (bits @ signs)
        )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_give_the_codes_of_steps(kind: str, seed: int) -> None:
    model, values = network(kind, seed)
    codes = possible_codes(model.graph)
    for node in steps_of(model):
        found = threshold(node, codes)
        if found is None:
            assert len(codes[node.outputs[0]]) != 2
            continue
        sums = values[str(node.inputs[0].name)]  # type: ignore[union-attr]
        shape = [1, -1, *[1] * (sums.ndim - 2)]
        passed = sums >= found.points.reshape(shape)
        high = passed == found.rising.reshape(shape)
        got = np.where(high, found.high, found.low)
        np.testing.assert_array_equal(got, values[str(node.outputs[0].name)])


@pytest.mark.parametrize("kind", KINDS)
def test_accumulators_stay_within_their_bounds_and_reach_those_of_dense_layers(kind: str) -> None:
    model, values = network(kind, 7)
    codes = possible_codes(model.graph)
    for node in model.graph:
        bounds = sum_bounds(node, codes)
        if bounds is None:
            continue
        sums = np.moveaxis(values[str(node.outputs[0].name)], 1, -1).reshape(-1, bounds.low.size)
        assert np.all(sums.min(axis=0) >= bounds.low)
        assert np.all(sums.max(axis=0) <= bounds.high)


def stepped(rows: list[tuple[list[int], list[int]]]) -> ir.Node:
    """A Steps node of some channels, each given by all its points and values in front."""
    g = Golden()
    channels = len(rows)
    points = np.full((channels, 256), 2**31 - 1, np.int32)
    values = np.zeros((channels, 256), np.uint8)
    for channel, (some, codes) in enumerate(rows):
        points[channel, : len(some)] = some
        values[channel, : len(codes)] = codes
        values[channel, len(codes) :] = codes[-1]
    acc = g.matmul(g.quantize(g.input("x", 6)), 6, channels)
    offset = (256 * np.arange(channels, dtype=np.int32)).reshape(1, -1)
    y = g.actc("Steps", acc, *map(g.const, (points.reshape(-1), values.reshape(-1), offset)))
    return steps_of(g.model(y))[0]


def test_repeated_points_and_values_are_one_step_and_the_last_of_equal_points_counts() -> None:
    found = staircases(stepped([([5, 5, 5, 9, 12], [1, 7, 8, 3, 3, 4])]))
    assert found is not None
    assert found[0].points.tolist() == [5, 12]
    assert found[0].codes.tolist() == [1, 3, 4]


def test_channels_that_rise_fall_and_stay() -> None:
    node = stepped([([5], [0, 2]), ([-7], [2, 0]), ([], [0]), ([], [2])])
    codes = possible_codes(node.graph)  # type: ignore[arg-type]
    found = threshold(node, codes)
    assert found is not None
    assert (found.low, found.high) == (0, 2)
    assert found.rising.tolist() == [True, False, True, False]
    assert found.points[:2].tolist() == [5, -7]


def test_a_square_wave_has_two_codes_and_no_threshold() -> None:
    node = stepped([([-3, 4], [0, 2, 0])])
    codes = possible_codes(node.graph)  # type: ignore[arg-type]
    assert codes[node.outputs[0]] == {0, 2}
    assert threshold(node, codes) is None


def test_points_beyond_the_sums_are_not_steps() -> None:
    node = stepped([([-(2**31) + 1, 5], [9, 0, 2])])
    codes = possible_codes(node.graph)  # type: ignore[arg-type]
    assert codes[node.outputs[0]] == {0, 2}
    assert 9 in staircases(node)[0].codes  # type: ignore[index]


@pytest.mark.parametrize(
    ("values", "size", "ternary"),
    [([-1, 1], 1, False), ([-3, 3], 3, False), ([-1, 0, 1], 1, True), ([0, 1], 1, True)],
)
def test_weights_of_one_size(values: list[int], size: int, ternary: bool) -> None:
    layer = _layer(np.resize(values, (6, 4)))
    assert layer is not None
    assert (layer.size, layer.ternary, layer.inputs) == (size, ternary, "bit")


@pytest.mark.parametrize("values", [[-1, 2], [0], [1, 2, 3]])
def test_other_weights_are_not_binary(values: list[int]) -> None:
    assert _layer(np.resize(values, (6, 4))) is None


def _layer(weight: Array) -> Any:
    g = Golden()
    bits = g.actc(
        "Table", g.quantize(g.input("x", 6)), g.const(np.arange(256) // 128 * np.uint8(1))
    )
    constants = (weight.astype(np.int8), np.zeros(4, np.int32), np.uint8(0))
    y = g.actc("IntMatMul", bits, *map(g.const, constants))
    model = g.model(y)
    node = list(model.graph)[-1]
    return binary_layer(node, possible_codes(model.graph))


def test_moved_joined_padded_and_clipped_codes() -> None:
    g = Golden()
    x = g.quantize(g.input("x", 2, 4, 4))
    signs = g.actc("Table", x, g.const((np.arange(256) > 99).astype(np.uint8) * 2))
    moved = g.node("Transpose", signs, perm=[0, 2, 3, 1])
    joined = g.node("Concat", moved, g.const(np.full((1, 4, 4, 2), 2, np.uint8)), axis=3)
    pads = g.const(np.array([0, 1, 1, 0, 0, 1, 1, 0]))
    padded = g.node("Pad", joined, pads, g.const(np.uint8(1)))
    clipped = g.node("Clip", padded, g.const(np.uint8(1)))
    split, rest = g.node("Split", clipped, outputs=2, axis=3, num_outputs=2)
    flat = g.node("Flatten", g.node("MaxPool", split, kernel_shape=[2, 2]))
    model = g.model(flat, rest)
    found = {value.name: codes for value, codes in possible_codes(model.graph).items()}
    names = (signs, moved, joined, padded, clipped, rest, flat)
    kinds = ({0, 2}, {0, 2}, {0, 2}, {0, 1, 2}, {1, 2}, {1, 2}, {1, 2})
    assert [found[name] for name in names] == [frozenset(kind) for kind in kinds]


def test_values_without_bounds_are_unknown() -> None:
    g = Golden()
    x = g.quantize(g.input("x", 6))
    model = g.model(g.matmul(x, 6, 3))
    assert constant(model.graph.inputs[0]) is None
    assert not possible_codes(model.graph)
    assert not binary_layers(model.graph)
