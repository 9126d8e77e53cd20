"""What a QONNX model computes, beside golden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from actc.ir.execute import Session
from actc.numerics.quantization import QuantizationParameters
from actc.targets.onnx.qonnx_nodes import DOMAIN

Array = np.ndarray[Any, Any]
Names = Mapping[str, tuple[str, QuantizationParameters]]

SAMPLES = 64
_BATCH = 8


@dataclass(slots=True)
class Difference:
    """Codes of a QONNX model against golden's.

    Attributes:
        samples: how many samples were run.
        codes: how many codes were compared, on all samples.
        different: how many of them differ.
        most: largest difference, in codes.
        tensors: value -> its largest difference, where there is one, the largest first.
        outputs: largest difference of an output, relative to the largest magnitude.
    """

    samples: int = 0
    codes: int = 0
    different: int = 0
    most: int = 0
    tensors: dict[str, int] = field(default_factory=dict)
    outputs: float = 0.0


def compare(
    written: onnx.ModelProto, rounded: Names, golden: onnx.ModelProto, held: Names, dataset: Any
) -> Difference:
    """Run both on data and compare every tensor of codes.

    Args:
        written: the QONNX model.
        rounded: value -> its name in `written`, and its format.
        golden: the integer model.
        held: value -> its name in `golden`, and its format.
        dataset: an `actc.data.Dataset`; at most 64 samples are run.
    """
    made = {name for node in golden.graph.node for name in node.output}
    shared = [name for name in rounded if name in held and held[name][0] in made]
    outputs = [output.name for output in golden.graph.output]
    plain = executable(written)
    real = Session(plain, _unique([rounded[name][0] for name in shared], outputs), optimize=False)
    codes = Session(golden, _unique([held[name][0] for name in shared], outputs), optimize=False)
    part, result = dataset.take(SAMPLES), Difference()
    result.samples = part.samples
    peaks = {name: [0.0, 0.0] for name in outputs}
    for feeds, count in part.batches(_BATCH):
        found, wanted = real.run(feeds), codes.run(feeds)
        for name in shared:
            own, parameters = held[name]
            array = found[rounded[name][0]][:count]
            _count(result, name, array, wanted[own][:count], parameters)
        for name, peak in peaks.items():
            gap = np.abs(found[name][:count].astype(np.float64) - wanted[name][:count])
            peak[0] = max(peak[0], float(gap.max(initial=0.0)))
            peak[1] = max(peak[1], float(np.abs(wanted[name][:count]).max(initial=0.0)))
    result.outputs = max((gap / size for gap, size in peaks.values() if size), default=0.0)
    result.tensors = dict(sorted(result.tensors.items(), key=lambda item: -item[1]))
    return result


def _unique(*groups: list[str]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _count(
    result: Difference, name: str, real: Array, codes: Array, p: QuantizationParameters
) -> None:
    """Add one tensor of a batch."""
    own = np.rint(real.astype(np.float64) / p.scale).astype(np.int64) + p.zero_point
    gap = np.abs(own - codes.astype(np.int64))
    result.codes += gap.size
    result.different += int(np.count_nonzero(gap))
    most = int(gap.max(initial=0))
    if most:
        result.most = max(result.most, most)
        result.tensors[name] = max(result.tensors.get(name, 0), most)


def executable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with each QONNX operator in standard ones, step by step in float32."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = [part for node in model.graph.node for part in _spelled(node, constants, plain)]
    del plain.graph.node[:]
    plain.graph.node.extend(nodes)
    keep = [entry for entry in plain.opset_import if entry.domain != DOMAIN]
    del plain.opset_import[:]
    plain.opset_import.extend(keep)
    return plain


def _spelled(
    node: onnx.NodeProto, constants: Mapping[str, Array], model: onnx.ModelProto
) -> Iterator[onnx.NodeProto]:
    if node.domain != DOMAIN:
        yield node
        return
    name = node.output[0]

    def hold(what: str, number: float) -> str:
        held = f"{name}/{what}"
        array = np.array(number, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, held))
        return held

    if node.op_type == "BipolarQuant":
        steps = [hold("zero", 0), hold("plus", 1), hold("minus", -1)]
        yield helper.make_node("GreaterOrEqual", [node.input[0], steps[0]], [f"{name}/positive"])
        yield helper.make_node("Where", [f"{name}/positive", *steps[1:]], [f"{name}/sign"])
        yield helper.make_node("Mul", [f"{name}/sign", node.input[1]], [name])
        return
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    bits = int(constants[node.input[3]])
    low, high = _ends(bits, bool(given["signed"]), bool(given["narrow"]))
    chain = [
        ("Div", [node.input[1]]),
        ("Add", [node.input[2]]),
        ("Clip", [hold("low", low), hold("high", high)]),
        ("Round", []),
        ("Sub", [node.input[2]]),
        ("Mul", [node.input[1]]),
    ]
    value = node.input[0]
    for op, others in chain:
        result = name if op == "Mul" else f"{name}/{op}"
        yield helper.make_node(op, [value, *others], [result])
        value = result


def _ends(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow
