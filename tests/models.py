"""Small ONNX models in ONNX's text format, and ways to run and transform them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import numpy_helper, parser

from actc.data import Dataset
from actc.ir.context import Context, attach, context_of
from actc.ir.dialect import add_bodies
from actc.ir.load import load
from actc.prepare import prepare

Array = np.ndarray[Any, Any]


def network(
    signature: str,
    body: str,
    weights: Mapping[str, Array] | None = None,
    *,
    opset: int = 21,
    functions: str = "",
) -> onnx.ModelProto:
    """A model from its text.

    Args:
        signature: "float[N,3] x => float[N,2] y".
        body: statements in ONNX's text format.
        weights: initializers by name.
        functions: text of model-local functions (domain "local").
    """
    inputs, outputs = signature.split("=>")
    domains = f'"" : {opset}' + (', "local" : 1' if functions else "")
    model = parser.parse_model(
        f"<ir_version: 10, opset_import: [{domains}]>\n"
        f"net ({inputs.strip()}) => ({outputs.strip()}) {{\n{body}\n}}\n{functions}"
    )
    for name, array in (weights or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    onnx.checker.check_model(model)
    return model


def run(model: onnx.ModelProto, feeds: Mapping[str, Array], *names: str) -> dict[str, Array]:
    """Outputs of a model in plain onnxruntime; `names` adds inner values to them."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    for name in names:
        shown.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(None, dict(feeds))
    return {o.name: np.asarray(a) for o, a in zip(session.get_outputs(), found, strict=True)}


def random_data(model: onnx.ModelProto, samples: int = 8, seed: int = 0) -> dict[str, Array]:
    """Standard normal float inputs, small non-negative integer ones; open axes get size 3."""
    generator = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        shape = [samples, *((d.dim_value or 3) for d in list(tensor.shape.dim)[1:])]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if dtype.kind == "f":
            feeds[value.name] = generator.standard_normal(shape).astype(dtype)
        else:
            feeds[value.name] = generator.integers(0, 5, shape).astype(dtype)
    return feeds


def prepared(model: onnx.ModelProto, data: Mapping[str, Array] | None = None) -> ir.Model:
    """The model as the passes see it first: loaded, with data and a context."""
    return prepare(model, random_data(model) if data is None else data).model


def transformed(
    model: onnx.ModelProto,
    *passes: ir.passes.PassBase,
    data: Mapping[str, Array] | None = None,
) -> ir.Model:
    """The model behind some passes; its context comes along."""
    current = prepared(model, data)
    context = context_of(current)
    for step in passes:
        current = step(current).model
        attach(current, context)
    return current


def proto_of(model: ir.Model) -> onnx.ModelProto:
    """The model as a file would hold it, with the bodies of its operators."""
    add_bodies(model)
    return ir.to_proto(model)


def operators(model: ir.Model) -> list[str]:
    """Operator types of the main graph, in order."""
    return [node.op_type for node in model.graph]


def dataset_of(model: ir.Model) -> Dataset:
    """The data that the model was prepared with."""
    dataset = context_of(model).dataset
    assert isinstance(dataset, Dataset)
    return dataset


def bare(model: onnx.ModelProto) -> ir.Model:
    """A loaded model with an empty context and no data."""
    loaded = ir.from_proto(load(model).proto)
    attach(loaded, Context())
    return loaded


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Array:
    """Standard normal float32 numbers from a seed."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)
