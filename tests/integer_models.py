"""Compiling a small model to golden, with everything that golden promises checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from models import prepared, proto_of, random_data, run

from actc.compiler import default_pipeline
from actc.ir import spec
from actc.pipeline import Verify

Array = np.ndarray[Any, Any]

_FLOAT_ALLOWED = {"QuantizeLinear", "DequantizeLinear", "IntMaskedSoftmax", "IntSoftmax"}


def golden_of(
    model: onnx.ModelProto,
    data: Mapping[str, Array],
    method: str = "minmax",
    activations: str = "8",
    scales: str = "free",
) -> onnx.ModelProto:
    pipeline = default_pipeline("int8", "auto", method, activations, scales=scales)
    result = pipeline.run(prepared(model, data), [Verify()])
    return proto_of(result)


def compiled(
    model: onnx.ModelProto,
    data: Mapping[str, Array] | None = None,
    *,
    noise: float = 0.03,
    method: str = "minmax",
    activations: str = "8",
    scales: str = "free",
) -> onnx.ModelProto:
    """Golden of `model`: valid, exact, integer inside, and within `noise` (relative RMS)."""
    feeds = random_data(model, 32) if data is None else dict(data)
    golden = golden_of(model, feeds, method, activations, scales)
    onnx.checker.check_model(golden, full_check=True)
    assert_integer(golden)
    exact, got, reference = spec.run(golden, feeds), run(golden, feeds), run(model, feeds)
    assert list(got) == list(reference)
    for name, array in exact.items():
        assert array.dtype == got[name].dtype == np.float32
        np.testing.assert_array_equal(got[name].view(np.uint32), array.view(np.uint32))
        assert got[name].shape == reference[name].shape
        error = got[name].astype(np.float64) - reference[name]
        size = np.sqrt(np.mean(reference[name].astype(np.float64) ** 2))
        assert np.sqrt(np.mean(error**2)) <= noise * max(size, 1e-6), name
    return golden


def assert_integer(golden: onnx.ModelProto) -> None:
    """No float tensor between the quantizers, but the result of IntSoftmax."""
    model = ir.from_proto(golden)
    for node in model.graph:
        source = node.inputs[0] if node.inputs else None
        if node.op_type == "Cast" and source is not None and _is_discrete(source):
            continue  # integers that the network takes, on their way to QuantizeLinear
        floats = [v for v in node.outputs if v.dtype is None or v.dtype.is_floating_point()]
        assert not floats or node.op_type in _FLOAT_ALLOWED, node.op_type
    assert golden.ir_version == 10
    imports = {o.domain: o.version for o in golden.opset_import}
    assert imports in ({"": 21, "actc": 1}, {"": 21})  # what only moves needs none of actc's


def _is_discrete(value: ir.Value) -> bool:
    return value.dtype is not None and not value.dtype.is_floating_point()


def ops(golden: onnx.ModelProto) -> list[str]:
    edges = ("QuantizeLinear", "DequantizeLinear")
    return [node.op_type for node in golden.graph.node if node.op_type not in edges]
