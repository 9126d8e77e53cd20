"""What the buses of an unrolled network hold, and what the host makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.ir.graph import constant, dims, is_op
from actc.targets.fpga.hdl import Design, Range
from actc.targets.fpga.network.boundary import Cut, embedded_rows, entry_range
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.rewrite import TERMS

Array = npt.NDArray[Any]
Given = Literal["quantize", "codes", "index", "flags"]
Kind = Literal["codes", "accumulator", "softmax", "scores", "log_softmax", "integers"]


@dataclass(frozen=True, eq=False)
class Entry:
    """What the hardware takes in one bus.

    Attributes:
        bus: its name.
        value: the value of golden that it holds.
        input: the model's input that it is made of.
        dtype: element type of that input.
        shape: of one sample.
        range: the integers that occur.
        kind: "quantize": clip(rint(x / scale) + zero_point, range); "codes": the input as
            it stands; "index": the input, and the highest integer of the range for what is
            not in 0..highest; "flags": 0 or 1.
        scale, zero_point: of "quantize".
    """

    bus: str
    value: str
    input: str
    dtype: str
    shape: tuple[int, ...]
    range: Range
    kind: Given
    scale: float = 1.0
    zero_point: int = 0

    def codes(self, values: Array) -> Array:
        """Integers for the bus, of what golden's head gives."""
        found = np.asarray(values).astype(np.int64)
        if self.kind != "index":
            return found
        last = self.range.high
        return np.where((found >= 0) & (found < last), found, last)

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        entry: dict[str, Any] = {
            "bus": self.bus,
            "input": self.input,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "width": self.range.width,
            "signed": self.range.signed,
            "low": self.range.low,
            "high": self.range.high,
            "kind": self.kind,
        }
        if self.kind == "quantize":
            entry |= {"scale": self.scale, "zero_point": self.zero_point}
        return entry


@dataclass(frozen=True, eq=False)
class Exit:
    """What the hardware gives in one bus.

    Attributes:
        bus: its name.
        value: the value of golden that it holds, less `offset`.
        dtype: element type of that value.
        offset: what the host adds; int64, broadcasts to the shape of one sample.
    """

    bus: str
    value: str
    dtype: str
    offset: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((), np.int64))

    def integers(self, given: npt.ArrayLike) -> Array:
        """The value of golden, of what the hardware gives."""
        found: Array = (np.asarray(given, np.int64) + self.offset).astype(self.dtype)
        return found


@dataclass(frozen=True, eq=False)
class Result:
    """How the host computes one of the model's outputs y.

    Attributes:
        output: its name.
        value: the value of golden that it is computed from, in a bus of its own.
        dtype: of the output, whose shape is that of the bus.
        kind: "codes": (q - zero_point) * scale; "accumulator": (q * multiplier + offset) *
            scale, integers first; "softmax": float32(float64(q) / float64(sum of q));
            "scores": IntSoftmax of q; "log_softmax": IntLogSoftmax of q, times scale;
            "integers": q.
        parameters: numbers and lists; lists of `scale` and `offset` lie along `axis` of the
            tensor with its batch.
    """

    output: str
    value: str
    dtype: str
    kind: Kind
    parameters: dict[str, Any] = field(default_factory=dict)


def entries_of(parts: Cut) -> list[Entry]:
    """What the hardware takes.

    Raises:
        Unsupported: a value that enters it has no known range or type.
    """
    sources = [_source(value) for value in parts.entries]
    names = [str(source.name) for source in sources]
    found = []
    for value, source in zip(parts.entries, sources, strict=True):
        # an input that enters in two formats has two buses, named by their values
        single = names.count(str(source.name)) == 1
        bus = str(source.name if single else value.name)
        found.append(_entry(bus, value, source))
    return found


def unread(model: ir.Model, parts: Cut) -> list[Unsupported]:
    """The model's inputs that nothing reads, as reasons to refuse it: hardware has no port there.

    Args:
        model: the golden model.
        parts: of it.
    """
    read = {_source(value) for value in parts.entries}
    return [
        Unsupported(
            f"nothing reads the model's input '{value.name}'",
            "take the input out of the model: hardware has ports for what is read",
        )
        for value in model.graph.inputs
        if value not in read and not value.is_initializer()
    ]


def _source(value: ir.Value) -> ir.Value:
    """The model's input behind an entry."""
    producer = value.producer()
    while producer is not None:
        first = producer.inputs[0]
        assert first is not None  # conversions have an input
        value, producer = first, first.producer()
    return value


def _entry(bus: str, value: ir.Value, source: ir.Value) -> Entry:
    range = entry_range(value)
    if range is None or source.dtype is None:
        raise Unsupported(
            f"the network reads '{value.name}', which is not quantized",
            "give golden models whose inputs are quantized, or integers of 8 or 16 bits",
        )
    scale, zero = 1.0, 0
    kind: Given = "codes"
    quantizer = next((n for n in _chain(value) if is_op(n, "QuantizeLinear")), None)
    if quantizer is not None:
        kind = "quantize"
        numbers = [constant(v) for v in quantizer.inputs[1:3]]
        if any(array is None or array.size != 1 for array in numbers):
            raise Unsupported(f"'{value.name}' is quantized with several scales")
        scale, zero = (array.item() for array in numbers if array is not None)
    elif value.dtype == ir.DataType.BOOL:
        kind = "flags"
    elif embedded_rows(value) is not None:
        kind = "index"
    shape = shape_of(value)
    return Entry(
        bus, str(value.name), str(source.name), str(source.dtype.numpy()), shape, range, kind,
        float(scale), int(zero),
    )  # fmt: skip


def _chain(value: ir.Value) -> Iterator[ir.Node]:
    producer = value.producer()
    while producer is not None:
        yield producer
        first = producer.inputs[0]
        producer = None if first is None else first.producer()


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """The shape of one sample.

    Raises:
        Unsupported: ACT0551, an extent is not known, or there is no batch axis.
    """
    extents = dims(value)
    if not extents or None in extents[1:]:
        raise Unsupported(
            f"the shape of '{value.name}' is not known",
            "every axis but the first, the batch, must have a fixed length",
            "ACT0551",
        )
    return tuple(extent for extent in extents[1:] if extent is not None)


def results_of(model: ir.Model, parts: Cut) -> list[Result]:
    """How the host computes the model's outputs, one that is listed twice once.

    Raises:
        Unsupported: one has no form that a host knows.
    """
    return [_result(value, set(parts.exits)) for value in dict.fromkeys(model.graph.outputs)]


def exits_of(parts: Cut, results: Sequence[Result], taken: set[str]) -> list[Exit]:
    """What the hardware gives.

    Args:
        taken: names of buses that it takes.
    """
    readers: dict[str, list[str]] = {}
    for result in results:
        readers.setdefault(result.value, []).append(result.output)
    found = []
    for value in parts.exits:
        outputs = readers.get(str(value.name), [])
        bus = outputs[0] if len(outputs) == 1 else str(value.name)
        while bus in taken:
            bus = f"{bus}_out"
        taken = taken | {bus}
        assert value.dtype is not None  # golden's integers have types
        found.append(Exit(bus, str(value.name), str(value.dtype.numpy())))
    return found


def describe(
    design: Design, entries: Sequence[Entry], exits: Sequence[Exit], results: Sequence[Result]
) -> dict[str, Any]:
    """Buses and what they mean, ready for JSON."""
    buses = {exit.value: exit.bus for exit in exits}
    given = {bus.name: bus for bus in design.outputs}
    outputs = []
    for result in results:
        bus = given[buses[result.value]]
        outputs.append(
            {
                "bus": bus.name,
                "output": result.output,
                "dtype": result.dtype,
                "shape": list(bus.shape),
                "width": bus.width,
                "signed": bus.signed,
                "kind": result.kind,
                **result.parameters,
            }
        )
    return {"inputs": [entry.to_json() for entry in entries], "outputs": outputs}


def _result(output: ir.Value, exits: set[ir.Value]) -> Result:
    dtype = "" if output.dtype is None else str(output.dtype.numpy())

    def made(value: ir.Value, kind: Kind, **parameters: Any) -> Result:
        return Result(str(output.name), str(value.name), dtype, kind, parameters)

    if output in exits:
        return made(output, "integers")
    node = output.producer()
    assert node is not None  # an output that is no exit is computed by the tail
    if TERMS in node.metadata_props:
        terms = _first(_first(_first(output)))
        axes = constant(_node(_node(node.inputs[0]).inputs[1]).inputs[1])
        assert axes is not None
        return made(terms, "softmax", axis=int(axes[0]))
    source = _first(output)
    if is_op(node, "IntSoftmax", domain="actc"):
        return made(source, "scores", axis=_axis(node), table=_list(node.inputs[1]))
    scale = _dequantized(node)
    inner = source.producer()
    if source not in exits and is_op(inner, "IntLogSoftmax", domain="actc"):
        assert inner is not None
        names = ("table", "levels", "octaves", "logarithms")
        tables = {name: _list(v) for name, v in zip(names, inner.inputs[1:], strict=True)}
        rest: dict[str, Any] = {"axis": _axis(inner), "scale": scale["scale"], **tables}
        return made(_first(source), "log_softmax", **rest)
    if source.dtype in (ir.DataType.UINT8, ir.DataType.UINT16):
        return made(source, "codes", **scale)
    value, terms_of = _affine(source, exits)
    along = scale["axis"] % max(len(output.shape or ()), 1)
    if isinstance(scale["scale"], list) and terms_of.get("axis", along) != along:
        raise Unsupported("an output has scales along one axis and offsets along another")
    return made(value, "accumulator", **(scale | terms_of))


def _affine(value: ir.Value, exits: set[ir.Value]) -> tuple[ir.Value, dict[str, Any]]:
    """The exit behind Mul and Add, and what these do: q * multiplier + offset."""
    multiplier, offset, rank = 1, np.zeros(1, np.int64), len(value.shape or ())
    found: dict[str, Any] = {}
    while value not in exits:
        node = _node(value)
        numbers = [constant(v) for v in node.inputs]
        at = 0 if numbers[0] is not None else 1
        array, other = numbers[at], node.inputs[1 - at]
        assert array is not None  # what the tail was chosen by
        assert other is not None
        if is_op(node, "Mul") and array.size == 1:
            multiplier *= int(array.item())
        elif is_op(node, "Add"):
            offset = offset + multiplier * array.reshape(-1).astype(np.int64)
            along = [axis for axis, extent in enumerate(array.shape) if extent != 1]
            if along:
                found["axis"] = rank - array.ndim + along[0]
        else:
            raise Unsupported("an output is multiplied by several integers")
        value = other
    flat = [int(number) for number in offset]
    return value, {
        **found,
        "multiplier": multiplier,
        "offset": flat if len(flat) > 1 else flat[0],
    }


def _dequantized(node: ir.Node) -> dict[str, Any]:
    """Parameters of a DequantizeLinear.

    Raises:
        Unsupported: they are no constants, or the zero point differs.
    """
    scale = constant(node.inputs[1])
    zero = constant(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(1, np.int64)
    if scale is None or zero is None or np.unique(zero).size > 1:
        raise Unsupported("an output has no constant scale, or several zero points")
    flat = [float(number) for number in scale.reshape(-1)]
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
    return {
        "scale": flat if scale.ndim == 1 else flat[0],
        "zero_point": int(zero.reshape(-1)[0]),
        "axis": axis,
    }


def _first(value: ir.Value) -> ir.Value:
    first = _node(value).inputs[0]
    assert first is not None
    return first


def _node(value: ir.Value | None) -> ir.Node:
    node = None if value is None else value.producer()
    assert node is not None
    return node


def _axis(node: ir.Node) -> int:
    return node.attributes["axis"].as_int()


def _list(value: ir.Value | None) -> list[int]:
    array = constant(value)
    assert array is not None  # checked with the model
    return [int(v) for v in array.reshape(-1)]
