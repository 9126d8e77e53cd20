"""Shapes are inferred as onnx_ir's own pass infers them, whatever the model holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from binary_networks import random_network
from models import network

from actc.passes.inference import infer_shapes


def plain() -> onnx.ModelProto:
    """A large constant, a small one that is a shape, and a value whose shape the file has."""
    weights = {"w": np.ones((64, 32), np.float32), "shape": np.array([-1, 4, 8])}
    body = "a = MatMul(x, w)\nb = Reshape(a, shape)\ny = Transpose <perm = [0, 2, 1]> (b)"
    return network("float[N, 64] x => float[N, 8, 4] y", body, weights)


def with_function() -> onnx.ModelProto:
    functions = '<domain: "local", opset_import: ["" : 21]> twice (a) => (b) { b = Add(a, a) }'
    return network(
        "float[N, 3] x => float[N, 3] y", "a = local.twice(x)\ny = Relu(a)", functions=functions
    )


def with_branches() -> onnx.ModelProto:
    body = (
        "total = ReduceSum <keepdims = 0> (x)\nyes = Cast <to = 9> (total)\n"
        "a = If (yes) <then_branch = t () => (float[N, 3] u) { u = Relu(x) },"
        " else_branch = e () => (float[N, 3] v) { v = Neg(x) }>\ny = Tanh(a)"
    )
    return network("float[N, 3] x => float[N, 3] y", body)


def wrong() -> onnx.ModelProto:
    """Shapes that do not fit: all stay as they are."""
    return network("float[N, 3] x, float[4, 5] w => float[N, 5] y", "a = MatMul(x, w)\ny = Relu(a)")


def random_one() -> onnx.ModelProto:
    return random_network(np.random.default_rng(5), "residual conv", "where_ge")[0]


MODELS = [plain, with_function, with_branches, wrong, random_one]


def known(model: ir.Model) -> dict[str | None, str]:
    """Type and shape of every value of a model."""
    values = [
        *model.graph.inputs,
        *model.graph.initializers.values(),
        *(v for node in ir.traversal.RecursiveGraphIterator(model.graph) for v in node.outputs),
    ]
    return {value.name: f"{value.type} {value.shape}" for value in values}


def by_library(model: ir.Model) -> None:
    common = ir.passes.common
    common.ShapeInferencePass(check_type=True, strict_mode=False, data_prop=True)(model)


@pytest.mark.parametrize("make", MODELS)
def test_what_is_found_is_what_the_library_finds(make: Callable[[], onnx.ModelProto]) -> None:
    ours, theirs = ir.from_proto(make()), ir.from_proto(make())
    names = [value.name for value in ours.graph.inputs]
    infer_shapes(ours)
    by_library(theirs)
    assert known(ours) == known(theirs)
    assert [value.name for value in ours.graph.inputs] == names
    once = known(ours)
    infer_shapes(ours)
    assert known(ours) == once


def test_shapes_are_found() -> None:
    model = ir.from_proto(plain())
    infer_shapes(model)
    found = known(model)
    assert found["a"] == "FLOAT [N,32]"
    assert found["b"].endswith(",4,8]")
