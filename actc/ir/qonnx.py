"""QONNX models in standard operators, so that any runtime runs them.

Quant becomes QuantizeLinear, Clip where its codes are fewer than the type's, and
DequantizeLinear; constants become integers behind DequantizeLinear. BipolarQuant, Trunc and
MultiThreshold are spelled out in front of such a pair. The operators are those of
Pappalardo et al., "QONNX: Representing Arbitrary-Precision Quantized Neural Networks",
2022; https://github.com/fastmachinelearning/qonnx.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.ir.integer_weights import hold_integers
from actc.ir.qonnx_formats import (
    ROUNDING,
    Codes,
    NotRead,
    attributes_of,
    axis_of,
    code_ends,
    rounding_mode,
    tensor_of,
    threshold_codes,
    threshold_shape,
    whole_number,
)

Array = np.ndarray[Any, Any]

_DOMAINS = ("qonnx", "onnx.brevitas", "finn")
CHANNELS_LAST = "qonnx.custom_op.channels_last"
_NEAREST = ("ROUND", "HALF_EVEN")
_TO_WHOLE = {
    "CEIL": ("Ceil", 0.0),
    "DOWN": ("Floor", 0.0),
    "FLOOR": ("Floor", 0.0),
    "HALF_DOWN": ("Ceil", -0.5),
    "HALF_UP": ("Floor", 0.5),
    "UP": ("Ceil", 0.0),
}
"""Mode -> operator and what is added before it, for numbers from 0 on."""
_MIRRORED = {"Ceil": "Floor", "Floor": "Ceil"}
_SYMMETRIC = ("DOWN", "HALF_DOWN", "HALF_UP", "UP")
_MOST_THRESHOLDS = 255
_MALFORMED = (NotRead, IndexError, KeyError, TypeError, ValueError)
"""How reading an operator ends whose inputs, shapes or attributes are not those of its kind."""
_SIGN_KEEPING = ("AveragePool", "Flatten", "GlobalAveragePool", "MaxPool", "Reshape", "Transpose")


def is_qonnx(node: onnx.NodeProto) -> bool:
    """Whether `node` belongs to QONNX, Brevitas or FINN."""
    return any(node.domain == d or node.domain.startswith(f"{d}.") for d in _DOMAINS)


def import_domains(proto: onnx.ModelProto) -> None:
    """Import the domains that a file uses without saying so, as many QONNX files do."""
    imported = {entry.domain for entry in proto.opset_import}
    used = {node.domain for node in proto.graph.node if is_qonnx(node)}
    for domain in sorted(used - imported):
        proto.opset_import.add(domain=domain, version=1)


def check(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report every QONNX operator of a model that is not read (ACT0112)."""
    if not any(map(is_qonnx, proto.graph.node)):
        return
    writer = _Writer(proto.graph)
    for node in filter(is_qonnx, proto.graph.node):
        try:
            list(writer.written(node))
        except _MALFORMED as problem:
            sink.add(
                Diagnostic(
                    "ACT0112",
                    f"operator {node.op_type} of {node.domain} is not read: {problem}",
                    place=Place(name, node.name or "".join(node.output[:1]), node.op_type),
                    help="export with constant, integer quantizers (Quant, BipolarQuant, Trunc, "
                    "MultiThreshold), "
                    "or in the QDQ format",
                )
            )


def to_standard(proto: onnx.ModelProto) -> None:
    """Replace every QONNX operator, in place.

    Args:
        proto: a model at opset 21 or later in which `check` found nothing.
    """
    if not any(map(is_qonnx, proto.graph.node)):
        return
    if any(is_qonnx(node) and node.op_type == "MultiThreshold" for node in proto.graph.node):
        hold_integers(proto.graph)
    writer = _Writer(proto.graph)
    nodes = [
        new
        for node in proto.graph.node
        for new in (writer.written(node) if is_qonnx(node) else [node])
    ]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(writer.made)
    keep = [e for e in proto.opset_import if not is_qonnx(onnx.NodeProto(domain=e.domain))]
    del proto.opset_import[:]
    proto.opset_import.extend(keep)


class _Writer:
    """Standard operators for QONNX ones, and the constants that they need."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._constants: dict[str, Array] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        for node in graph.node:
            if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output:
                self._constants[node.output[0]] = tensor_of(node)
        self._producers = {name: node for node in graph.node for name in node.output}
        self._ranks = {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in [*graph.input, *graph.value_info]
            if value.type.tensor_type.HasField("shape")
        }
        self._names = set(self._constants) | {value.name for value in graph.input}
        self._names |= {name for node in graph.node for name in node.output}
        self.made: list[onnx.TensorProto] = []

    def written(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The standard operators that compute `node`.

        Raises:
            NotRead: there are none, or none that actc reads.
        """
        handlers = {
            "Quant": self._quant,
            "IntQuant": self._quant,
            "BipolarQuant": self._bipolar,
            "MultiThreshold": self._multi_threshold,
            "Trunc": self._trunc,
        }
        if node.domain == CHANNELS_LAST and node.op_type in ("Conv", "MaxPool"):
            return self._channels_last(node)
        if node.op_type == "FloatQuant":
            raise NotRead("it rounds to small floating-point numbers, not to integers")
        if node.op_type not in handlers:
            raise NotRead("actc knows no meaning of it")
        return handlers[node.op_type](node)

    def _quant(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        attributes = attributes_of(node)
        bits = self._number(node, 3, "bit width")
        signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
        mode = rounding_mode(attributes)
        codes = Codes(
            self._scale(node, 1),
            whole_number(self._number(node, 2, "zero point"), "zero point"),
            *code_ends(whole_number(bits, "bit width"), signed, narrow),
        )
        if (bits, signed) == (1, True):
            yield from self._bipolar(node)
            return
        real = self._constants.get(node.input[0])
        if real is not None:
            steps = ROUNDING[mode](real / codes.scale + np.float32(codes.zero))
            yield self._held(node, np.clip(steps, codes.low, codes.high), codes)
            return
        source = node.input[0]
        if mode not in _NEAREST:
            source = yield from self._rounded(node, source, codes, mode)
        elif not codes.zero:
            source, codes = self._saturated(source, codes)
        yield from self._pair(node, source, codes)

    def _saturated(self, source: str, codes: Codes) -> tuple[str, Codes]:
        """What a Clip in front leaves of the codes; the pair saturates in its place."""
        clip = self._producers.get(source)
        if clip is None or clip.op_type != "Clip" or clip.domain not in ("", "ai.onnx"):
            return source, codes
        given = [self._constants.get(name) for name in [*clip.input[1:], "", ""][:2]]
        narrow = codes.within(*(None if a is None else float(a.reshape(-1)[0]) for a in given))
        return (source, codes) if narrow is None else (clip.input[0], narrow)

    def _bipolar(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        codes = Codes(self._scale(node, 1), 0, -1, 1)
        real = self._constants.get(node.input[0])
        if real is not None:
            yield self._held(node, np.where(real >= 0, 1, -1), codes)
            return
        zero, two = self._hold(node, "zero", np.float32(0)), self._hold(node, "two", np.float32(2))
        one = self._hold(node, "one", np.float32(1))
        value = yield from self._step(node, "GreaterOrEqual", [node.input[0], zero])
        value = yield from self._step(node, "Cast", [value], to=onnx.TensorProto.FLOAT)
        value = yield from self._step(node, "Mul", [value, two])
        value = yield from self._step(node, "Sub", [value, one])
        scale = self._hold(node, "unit", codes.scale)
        value = yield from self._step(node, "Mul", [value, scale])
        yield from self._pair(node, value, codes)

    def _trunc(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        attributes, scale = attributes_of(node), self._scale(node, 1)
        mode = rounding_mode(attributes, "FLOOR")
        if self._number(node, 2, "zero point"):
            raise NotRead("it has a zero point")
        wide = whole_number(self._number(node, 3, "bit width"), "bit width")
        if len(node.input) > 5:  # since QONNX 1.0: with a scale of the output
            bits = whole_number(self._number(node, 6, "bit width"), "bit width")
            out = self._scale(node, 4)
            if self._number(node, 5, "zero point"):
                raise NotRead("it has a zero point")
            dropped = np.rint(np.log2(out / scale)).astype(np.float32)
            signed, narrow = attributes.get("signed", 1), attributes.get("narrow", 0)
            low, high = code_ends(bits, bool(signed), bool(narrow))
        else:
            bits, out = whole_number(self._number(node, 4, "bit width"), "bit width"), scale
            dropped = np.float32(wide - bits)
            low, high = self._unsaid_ends(node, bits)
        codes = Codes(out, 0, low, high)
        unit = self._hold(node, "step", np.float32(2) ** dropped)
        value = yield from self._step(node, "Div", [node.input[0], self._hold(node, "in", scale)])
        value = yield from self._step(node, "Round", [value])
        value = yield from self._step(node, "Div", [value, unit])
        if mode in _NEAREST:
            value = yield from self._step(node, "Round", [value])
        else:
            value = yield from self._whole(node, value, mode, low < 0)
        value = yield from self._step(node, "Mul", [value, self._hold(node, "out", out)])
        yield from self._pair(node, value, codes)

    def _unsaid_ends(self, node: onnx.NodeProto, bits: int) -> tuple[int, int]:
        """The codes of a Trunc that does not say whether they are signed: as what it reads."""
        value = self._producers.get(node.input[0])
        while value is not None and value.op_type in _SIGN_KEEPING:
            value = self._producers.get(value.input[0])
        if value is not None and is_qonnx(value) and value.op_type in ("Quant", "IntQuant"):
            return code_ends(bits, bool(attributes_of(value).get("signed", 1)), False)
        return code_ends(bits, True, False)[0], code_ends(bits, False, False)[1]

    def _channels_last(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Conv and MaxPool of [N, ..., C]: transposed there and back."""
        spatial = len(attributes_of(node).get("kernel_shape", ()))
        if not spatial:
            raise NotRead("it has no kernel_shape")
        first = [0, spatial + 1, *range(1, spatial + 1)]
        last = [0, *range(2, spatial + 2), 1]
        inputs = list(node.input)
        inputs[0] = yield from self._step(node, "Transpose", [inputs[0]], perm=first)
        if node.op_type == "Conv":
            inputs[1] = yield from self._step(node, "Transpose", [inputs[1]], perm=first)
        inner = onnx.NodeProto()
        inner.CopyFrom(node)
        inner.domain = ""
        result = self._fresh(f"{node.output[0]}_first")
        del inner.input[:], inner.output[:]
        inner.input.extend(inputs)
        inner.output.append(result)
        yield inner
        yield helper.make_node("Transpose", [result], list(node.output), perm=last)

    def _rounded(
        self, node: onnx.NodeProto, source: str, codes: Codes, mode: str
    ) -> Generator[onnx.NodeProto, None, str]:
        """Whole steps by another mode than to nearest, as real numbers."""
        held = self._hold(node, "scale", codes.scale)
        value = yield from self._step(node, "Div", [source, held])
        zero = self._hold(node, "zero", np.float32(codes.zero)) if codes.zero else None
        if zero is not None:
            value = yield from self._step(node, "Add", [value, zero])
        value = yield from self._whole(node, value, mode, codes.low < 0)
        if zero is not None:
            value = yield from self._step(node, "Sub", [value, zero])
        return (yield from self._step(node, "Mul", [value, held]))

    def _whole(
        self, node: onnx.NodeProto, steps: str, mode: str, negative: bool
    ) -> Generator[onnx.NodeProto, None, str]:
        """Whole numbers; a mode that mirrors at 0 is a sum of two that rise, one for each sign."""
        op, shift = _TO_WHOLE[mode]
        up = yield from self._shifted(node, op, steps, shift)
        if mode not in _SYMMETRIC or not negative:
            return up
        down = yield from self._shifted(node, _MIRRORED[op], steps, -shift)
        zero = self._hold(node, "origin", np.float32(0))
        up = yield from self._step(node, "Max", [up, zero])
        down = yield from self._step(node, "Min", [down, zero])
        return (yield from self._step(node, "Add", [up, down]))

    def _shifted(
        self, node: onnx.NodeProto, op: str, value: str, shift: float
    ) -> Generator[onnx.NodeProto, None, str]:
        if shift:
            half = self._hold(node, "half", np.float32(shift))
            value = yield from self._step(node, "Add", [value, half])
        return (yield from self._step(node, op, [value]))

    def _multi_threshold(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """How many thresholds a value reaches, as a sum of comparisons in front of a pair."""
        thresholds = self._constant(node, 1, "thresholds")
        given = attributes_of(node)
        if thresholds.ndim != 2 or thresholds.shape[1] > _MOST_THRESHOLDS:
            raise NotRead(f"it has more than {_MOST_THRESHOLDS} thresholds, or none")
        codes = threshold_codes(
            float(given.get("out_scale", 1.0)),
            float(given.get("out_bias", 0.0)),
            thresholds.shape[1],
        )
        shape = threshold_shape(given, len(thresholds), self._ranks.get(node.input[0]))
        passed = []
        for column in thresholds.T.astype(np.float32):
            held = self._hold(node, "threshold", column.reshape(shape))
            reached = yield from self._step(node, "GreaterOrEqual", [node.input[0], held])
            passed.append((yield from self._step(node, "Cast", [reached], to=1)))
        value = yield from self._step(node, "Sum", passed)
        for op, name, neutral in (("Mul", "out_scale", 1.0), ("Add", "out_bias", 0.0)):
            number = np.float32(given.get(name, neutral))
            if number != neutral:
                value = yield from self._step(node, op, [value, self._hold(node, name, number)])
        yield from self._pair(node, value, codes)

    def _pair(self, node: onnx.NodeProto, source: str, codes: Codes) -> Iterator[onnx.NodeProto]:
        """QuantizeLinear, Clip and DequantizeLinear; beyond 8 bits the Clip comes first."""
        dtype, scale = codes.dtype, codes.scale.reshape(-1)
        if scale.size != 1:
            raise NotRead("its scale differs from channel to channel")
        if not codes.full and dtype.itemsize > 1:
            ends = (np.array([codes.low, codes.high]) - codes.zero) * float(scale[0])
            held = [self._hold(node, "end", np.float32(end)) for end in ends]
            source = yield from self._step(node, "Clip", [source, *held])
        constants = [
            self._hold(node, "scale", scale[0]),
            self._hold(node, "zero_point", np.array(codes.zero, dtype)),
        ]
        value = yield from self._step(node, "QuantizeLinear", [source, *constants])
        if not codes.full and dtype.itemsize == 1:
            held = [self._hold(node, "end", np.array(e, dtype)) for e in (codes.low, codes.high)]
            value = yield from self._step(node, "Clip", [value, *held])
        yield helper.make_node(
            "DequantizeLinear", [value, *constants], list(node.output), name=node.name
        )

    def _held(self, node: onnx.NodeProto, steps: Array, codes: Codes) -> onnx.NodeProto:
        """A constant as integers behind DequantizeLinear."""
        integers = steps.astype(np.int64) - codes.zero
        held = Codes(codes.scale, 0, int(integers.min(initial=0)), int(integers.max(initial=0)))
        try:
            dtype = held.dtype
        except NotRead:
            dtype = np.dtype(np.int32)
        if dtype.itemsize > 1 or dtype.kind == "u":
            dtype = np.dtype(np.int32)
        axis, scale = axis_of(codes.scale, integers.ndim)
        inputs = [
            self._hold(node, "codes", integers.astype(dtype)),
            self._hold(node, "scale", scale),
            self._hold(node, "zero_point", np.zeros(scale.shape, dtype)),
        ]
        axes: dict[str, Any] = {} if axis is None else {"axis": axis}
        return helper.make_node(
            "DequantizeLinear", inputs, list(node.output), name=node.name, **axes
        )

    def _scale(self, node: onnx.NodeProto, position: int) -> Array:
        scale = self._constant(node, position, "scale").astype(np.float32)
        if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
            raise NotRead("its scale is not positive")
        return scale

    def _number(self, node: onnx.NodeProto, position: int, what: str) -> float:
        array = self._constant(node, position, what)
        if np.any(array != array.reshape(-1)[:1]):
            raise NotRead(f"its {what} differs from channel to channel")
        return float(array.reshape(-1)[0])

    def _constant(self, node: onnx.NodeProto, position: int, what: str) -> Array:
        array = self._constants.get(node.input[position]) if position < len(node.input) else None
        if array is None or array.size == 0:
            raise NotRead(f"its {what} is no constant")
        return array

    def _step(
        self, node: onnx.NodeProto, op: str, inputs: list[str], **attributes: Any
    ) -> Generator[onnx.NodeProto, None, str]:
        """One operator; gives the name of its result."""
        result = self._fresh(f"{node.output[0]}_{op}")
        name = f"{node.name or node.output[0]}_{op}"
        yield helper.make_node(op, inputs, [result], name=name, **attributes)
        return result

    def _hold(self, node: onnx.NodeProto, what: str, array: Any) -> str:
        """An initializer."""
        name = self._fresh(f"{node.output[0]}_{what}")
        self.made.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _fresh(self, base: str) -> str:
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name
