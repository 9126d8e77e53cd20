"""Models of onnxruntime's QOperator format as QDQ: float operators between quantizers.

QLinearConv and its like take codes and give codes; each means DequantizeLinear, the float
operator and QuantizeLinear. Operators that only move codes (MaxPool, Reshape) get the same
around them. The operators of the domain com.microsoft are those of
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from actc.diagnostics import Diagnostic, DiagnosticSink, Place

Array = np.ndarray[Any, Any]

MICROSOFT = "com.microsoft"
_UNARY = {
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearReduceMean": "ReduceMean",
    "QLinearSigmoid": "Sigmoid",
    "QLinearSoftmax": "Softmax",
}
_BINARY = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
_OWN = frozenset({*_UNARY, *_BINARY, "QGemm", "QLinearConcat"})
_STANDARD = frozenset({"QLinearConv", "QLinearMatMul"})
_MOVES = frozenset(
    {
        "Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze",
    }
)  # fmt: skip


_OPERANDS = {"QGemm": 6, "QLinearConcat": 5, **dict.fromkeys(_UNARY, 5)}
"""How many inputs an operator has at least; elsewhere eight."""


class _NotRead(Exception):
    """Why an operator is not read."""


def is_qoperator(node: onnx.NodeProto) -> bool:
    """Whether `node` takes and gives codes, and is one that is read."""
    if node.domain == MICROSOFT:
        return node.op_type in _OWN
    return node.domain in ("", "ai.onnx") and node.op_type in _STANDARD


def check(proto: onnx.ModelProto, name: str, sink: DiagnosticSink, standard: bool = True) -> None:
    """Report every operator of the format that is not read (ACT0115).

    Args:
        proto: the model.
        name: its file name.
        sink: gets the diagnostics.
        standard: whether ONNX's own operators must be read too; float32 can leave them.
    """
    writer = _Writer(proto.graph)
    for node in filter(is_qoperator, proto.graph.node):
        if not standard and node.domain != MICROSOFT:
            continue
        try:
            _require_operands(node)
            list(writer.written(node))
        except (_NotRead, TypeError, ValueError) as problem:  # attributes of any type, any shapes
            sink.add(
                Diagnostic(
                    "ACT0115",
                    f"operator {node.op_type} is not read: {problem}",
                    place=Place(name, node.name or "".join(node.output[:1]), node.op_type),
                    help="quantize the model in the QDQ format (QuantFormat.QDQ of onnxruntime)",
                )
            )


def _require_operands(node: onnx.NodeProto) -> None:
    """Refuse a node without the inputs and the output that its kind has.

    Raises:
        _NotRead: some are missing.
    """
    count = _OPERANDS.get(node.op_type, 8)
    whole = node.op_type != "QLinearConcat" or len(node.input) % 3 == 2
    if len(node.input) < count or not whole or not all(node.output[:1]) or not node.output:
        raise _NotRead("inputs or its output are missing")


def to_standard(proto: onnx.ModelProto) -> None:
    """Replace every operator of the format that is read, in place.

    Args:
        proto: a model at opset 21 or later.
    """
    if not any(map(is_qoperator, proto.graph.node)):
        return
    writer = _Writer(proto.graph)
    nodes = [new for node in proto.graph.node for new in writer.rewritten(node)]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(writer.made)
    del proto.graph.value_info[:]
    if not any(node.domain == MICROSOFT for node in nodes):
        keep = [entry for entry in proto.opset_import if entry.domain != MICROSOFT]
        del proto.opset_import[:]
        proto.opset_import.extend(keep)


@dataclass(frozen=True, slots=True)
class _Format:
    """Names of scale and zero point of codes."""

    scale: str
    zero: str


class _Writer:
    """Standard operators for those of the format."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            for attribute in node.attribute:
                given = attribute.name == "value" and attribute.HasField("t")
                if node.op_type == "Constant" and given and node.output:
                    self._constants[node.output[0]] = numpy_helper.to_array(attribute.t)
        self._formats: dict[str, _Format] = {}
        self._names = set(self._constants) | {value.name for value in graph.input}
        self._names |= {name for node in graph.node for name in node.output}
        self.made: list[onnx.TensorProto] = []

    def rewritten(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The standard operators for any node of the graph."""
        if is_qoperator(node):
            try:
                yield from list(self.written(node))
            except _NotRead:
                yield node
        elif node.op_type == "QuantizeLinear" and len(node.input) > 2:
            self._formats[node.output[0]] = _Format(node.input[1], node.input[2])
            yield node
        elif node.op_type in _MOVES and node.domain == "" and node.input[0] in self._formats:
            yield from self._moved(node)
        else:
            yield node

    def written(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """DequantizeLinear, the float operator and QuantizeLinear.

        Raises:
            _NotRead: a scale is computed, or the operator is of a kind that is not read.
        """
        if node.op_type == "QLinearConv":
            return self._conv(node)
        if node.op_type == "QLinearMatMul":
            return self._matmul(node)
        if node.op_type == "QGemm":
            return self._gemm(node)
        if node.op_type == "QLinearConcat":
            return self._concat(node)
        return self._unary(node) if node.op_type in _UNARY else self._binary(node)

    def _conv(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        x, w, y = (
            list(node.input[start : start + size]) for start, size in ((0, 3), (3, 3), (6, 2))
        )
        inputs = [(yield from self._real(*x)), (yield from self._real(w[0], w[1], w[2], 0))]
        if len(node.input) > 8 and node.input[8]:
            inputs.append((yield from self._bias(node.input[8], x[1], w[1], 1.0)))
        yield from self._coded(node, "Conv", inputs, y, _attributes(node))

    def _matmul(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        a, b, y = node.input[0:3], node.input[3:6], list(node.input[6:8])
        rank = np.ndim(self._constants.get(b[0], np.zeros((1, 1))))
        left = yield from self._real(*a)
        right = yield from self._real(b[0], b[1], b[2], rank - 1)
        yield from self._coded(node, "MatMul", [left, right], y, {})

    def _gemm(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        given = _attributes(node)
        a, b, y = node.input[0:3], node.input[3:6], [*node.input[7:9]]
        axis = 0 if given.get("transB", 0) else 1
        inputs = [(yield from self._real(*a)), (yield from self._real(b[0], b[1], b[2], axis))]
        if len(node.input) > 6 and node.input[6]:
            alpha = float(given.get("alpha", 1.0))
            inputs.append((yield from self._bias(node.input[6], a[1], b[1], alpha)))
        if len(y) == 2 and all(y):
            yield from self._coded(node, "Gemm", inputs, y, given)
        else:
            yield helper.make_node("Gemm", inputs, list(node.output), name=node.name, **given)

    def _unary(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        given = _attributes(node)
        if given.pop("channels_last", 0):
            raise _NotRead("its channels are last")
        given.pop("opset", None)
        inputs = [(yield from self._real(*node.input[0:3]))]
        if "axes" in given:
            inputs.append(self._hold(f"{node.output[0]}_axes", np.array(given.pop("axes"))))
        y = list(node.input[3:5])
        yield from self._coded(node, _UNARY[node.op_type], inputs, y, given)

    def _binary(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        left = yield from self._real(*node.input[0:3])
        right = yield from self._real(*node.input[3:6])
        y = list(node.input[6:8])
        yield from self._coded(node, _BINARY[node.op_type], [left, right], y, {})

    def _concat(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        inputs = []
        for start in range(2, len(node.input), 3):
            inputs.append((yield from self._real(*node.input[start : start + 3])))
        yield from self._coded(node, "Concat", inputs, list(node.input[:2]), _attributes(node))

    def _moved(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """An operator that moves codes: it moves the real numbers."""
        own = self._formats[node.input[0]]
        inputs = [(yield from self._real(node.input[0], own.scale, own.zero)), *node.input[1:]]
        given = _attributes(node)
        yield from self._coded(node, node.op_type, inputs, [own.scale, own.zero], given)

    def _real(
        self, codes: str, scale: str, zero: str, axis: int | None = None
    ) -> Generator[onnx.NodeProto, None, str]:
        """Codes as real numbers; returns their name."""
        self._require(scale, zero)
        per_channel = self._constants[scale].size > 1
        if per_channel and axis is None:
            raise _NotRead("it has a scale per channel on an activation")
        name = self._fresh(f"{codes}_real")
        attributes: dict[str, Any] = {"axis": axis} if per_channel else {}
        inputs = [codes, self._vector(scale, per_channel), self._vector(zero, per_channel)]
        yield helper.make_node("DequantizeLinear", inputs, [name], name=name, **attributes)
        return name

    def _bias(
        self, codes: str, x: str, w: str, alpha: float
    ) -> Generator[onnx.NodeProto, None, str]:
        """An int32 bias in steps of the sum; returns its name."""
        self._require(codes)
        scale = np.float32(alpha) * self._constants[x].reshape(()) * self._constants[w]
        per_channel = scale.size > 1
        held = self._hold(f"{codes}_step", scale.reshape(-1 if per_channel else ()))
        name = self._fresh(f"{codes}_real")
        attributes: dict[str, Any] = {"axis": 0} if per_channel else {}
        yield helper.make_node("DequantizeLinear", [codes, held], [name], name=name, **attributes)
        return name

    def _coded(
        self,
        node: onnx.NodeProto,
        op: str,
        inputs: list[str],
        y: list[str],
        attributes: dict[str, Any],
    ) -> Iterator[onnx.NodeProto]:
        """The float operator, and its result as codes."""
        self._require(*y)
        real = self._fresh(f"{node.output[0]}_real")
        yield helper.make_node(op, inputs, [real], name=node.name or node.output[0], **attributes)
        self._formats[node.output[0]] = _Format(*y)
        name = self._fresh(f"{node.output[0]}_codes")
        yield helper.make_node("QuantizeLinear", [real, *y], [node.output[0]], name=name)

    def _require(self, *names: str) -> None:
        for name in names:
            if name not in self._constants:
                raise _NotRead("a scale, zero point or bias is computed")

    def _vector(self, name: str, per_channel: bool) -> str:
        """A scale or zero point, [1] as [] where there is one for the whole tensor."""
        array = self._constants[name]
        if per_channel or array.ndim == 0:
            return name
        return self._hold(f"{name}_scalar", array.reshape(()))

    def _hold(self, base: str, array: Array) -> str:
        name = self._fresh(base)
        self.made.append(numpy_helper.from_array(array, name))
        return name

    def _fresh(self, base: str) -> str:
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}
