"""Binary layers of a golden model: what they hold, what they compute, how true their bits are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.checks.stages import run_over
from actc.data import Dataset
from actc.ir.binary import BinaryLayer, binary_layers
from actc.ir.context import Context
from actc.ir.execute import Session
from actc.ir.graph import is_given
from actc.numerics.quantization import QuantizationParameters

Array = np.ndarray[Any, Any]
_SAMPLES = 512
_FLOAT_BITS = 32


def binary_report(golden: ir.Model, context: Context, dataset: Dataset | None) -> Any:
    """What the report says of binary layers, None where there are none and none were sought.

    Args:
        golden: the integer model.
        context: of its compilation.
        dataset: samples on which bits are compared with the float network's; None: they are not.
    """
    made = context.facts.get("binarized", {})
    layers = binary_layers(golden.graph)
    if not layers and not made:
        return None
    names = _layer_names(context)
    return {
        "layers": [_layer(layer, names) for layer in layers],
        "tensors": [] if dataset is None else _agreements(golden, context, dataset),
        "candidates": list(made.get("layers", {}).values()),
        "operations": _total([_operations(layer) for layer in layers]),
        **_bits(context, {names.get(_output(layer), "") for layer in layers}),
    }


def _layer(layer: BinaryLayer, names: Mapping[str, str]) -> dict[str, Any]:
    """One layer of signs."""
    output = _output(layer)
    return {
        "layer": names.get(output, output),
        "operator": layer.node.op_type,
        "weights": int(layer.weight.size),
        "kind": "ternary" if layer.ternary else "binary",
        "inputs": {"sign": "-1, 1", "bit": "0, 1"}.get(layer.inputs, "two codes"),
        "operations": _operations(layer),
    }


def _output(layer: BinaryLayer) -> str:
    """Name of the float value that the layer's sums stand for."""
    return str(layer.node.name).rpartition("/")[0]


def _operations(layer: BinaryLayer) -> int | None:
    """Products of two bits per sample, those with padding among them; None: shapes are open."""
    shape = layer.node.outputs[0].shape
    extents = [] if shape is None else list(shape)[1:]
    if shape is None or not all(isinstance(extent, int) for extent in extents):
        return None
    elements = math.prod(int(str(extent)) for extent in extents)
    convolution = layer.node.op_type == "IntConv"
    per_output = layer.weight[0].size if convolution else layer.weight.shape[0]
    return elements * int(per_output)


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _bits(context: Context, binary: set[str]) -> dict[str, Any]:
    """Weights of the model and the bits that they take, packed."""
    rows = list(context.facts.get("layers", {}).values())
    weights = sum(row["weights"] for row in rows)
    bits = 8 * sum(row["bytes"] for row in rows)
    return {
        "weights": weights,
        "binary_weights": sum(row["weights"] for row in rows if row["node"] in binary),
        "model_bits": bits,
        "compression": _FLOAT_BITS * weights / bits if bits else None,
    }


def _layer_names(context: Context) -> dict[str, str]:
    """Name of what a layer gives, with its bias -> name of its node in the model."""
    quantized = context.facts.get("quantized")
    found = {}
    for node in quantized["model"].graph if quantized is not None else ():
        if node.op_type not in ("Conv", "MatMul"):
            continue
        output = node.outputs[0]
        found[str(output.name)] = str(node.name)
        for user in output.consumers():
            if user.op_type == "Add":
                found.setdefault(str(user.outputs[0].name), str(node.name))
    return found


def _agreements(golden: ir.Model, context: Context, dataset: Dataset) -> list[dict[str, Any]]:
    """Share of bits of every binary tensor that are those of the float network."""
    part = dataset.take(_SAMPLES)
    steps = context.facts.get("binarized", {}).get("inputs", {})
    held = _golden_names(context, golden)
    wanted: dict[str, Array] = {}
    if steps:
        origins = {name: row["origin"] for name, row in steps.items() if name in held}
        real = _values(context.facts["binarized"]["model"], list(origins.values()), part)
        for name, origin in origins.items():
            row = steps[name]
            form = row["levels"]
            wanted[name] = np.where(real[origin] >= row["cuts"], form.high, form.low)
    wanted.update(_given(context, held, part, set(steps)))
    found = _values(ir.to_proto(golden), [held[name][0] for name in wanted], part)
    return [
        {
            "tensor": name,
            "origin": steps[name]["origin"] if name in steps else name,
            "elements": math.prod(codes.shape[1:]),
            "high": float(np.mean(codes == codes.max(initial=0))),
            "agreement": float(np.mean(found[held[name][0]] == codes)),
        }
        for name, codes in wanted.items()
    ]


def _given(
    context: Context,
    held: Mapping[str, tuple[str, QuantizationParameters]],
    dataset: Dataset,
    known: set[str],
) -> dict[str, Array]:
    """Codes that the model's own quantizers of two levels give in the float network."""
    quantized = context.facts.get("quantized")
    if quantized is None:
        return {}
    model = quantized["model"]
    names = [
        str(value.name)
        for node in model.graph
        for value in node.outputs
        if is_given(value) and value.name in held and value.name not in known
    ]
    if not names:
        return {}
    real = _values(ir.to_proto(model), names, dataset)
    codes = {name: held[name][1].quantize(array) for name, array in real.items()}
    return {name: array for name, array in codes.items() if len(np.unique(array)) == 2}


def _golden_names(
    context: Context, golden: ir.Model
) -> dict[str, tuple[str, QuantizationParameters]]:
    """Float value -> what stands for it in golden, as far as golden still has it."""
    present = {str(value.name) for node in golden.graph for value in node.outputs}
    names: dict[str, Any] = context.facts.get("golden", {})
    return {name: found for name, found in names.items() if found[0] in present}


def _values(model: onnx.ModelProto, names: list[str], dataset: Dataset) -> dict[str, Array]:
    """Inner values of a model, samples first."""
    distinct = list(dict.fromkeys(names))
    if not distinct:
        return {}
    return run_over(Session(model, distinct).run, dataset, 16)
