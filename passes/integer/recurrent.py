"""LSTM, GRU and RNN: the input's part is a matrix product, the rest a scan over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import dims
from actc.numerics.quantization import accumulator_bound, largest_code
from actc.numerics.weights import QuantizedWeights, bias_codes, quantize_weights
from actc.passes.integer import gates
from actc.passes.integer.builder import Builder, Codes
from actc.passes.integer.linear import linear_operator
from actc.passes.integer.states import fixed_point, initial_state
from actc.passes.recurrent import GATES, PARTS, Direction, Layer, cell_reach, layer_of

Array = np.ndarray[Any, Any]

_SIGMOIDS = {"GRU": 2, "LSTM": 3, "RNN": 0}
"""Gates that are sigmoids; they come first."""


@dataclass(frozen=True, eq=False, slots=True)
class _Scan:
    """A recurrent layer on its way to golden.

    Attributes:
        builder, node, layer: what is lowered.
        x: codes of its input.
        bits: fraction bits of its h and c.
        initial: its first h and c [D, N or 1, H], None for zeros.
    """

    builder: Builder
    node: ir.Node
    layer: Layer
    x: Codes
    bits: tuple[int, int]
    initial: tuple[ir.Value | None, ir.Value | None]

    @property
    def name(self) -> str:
        """What its values are called after."""
        return next(str(output.name) for output in self.node.outputs if output.name)


def recurrent(builder: Builder, node: ir.Node) -> None:
    """LSTM, GRU, RNN -> actc::IntMatMul and actc::IntLstm, IntGru, IntRnn per direction.

    Raises:
        ModelError: ACT0108, a layer of another kind; ACT0109, a cell without bound.
    """
    layer = layer_of(node)
    state = gates.FINE_BITS if layer.kind == "GRU" else gates.STATE_BITS
    cell = 0
    if layer.kind == "LSTM":
        cell = gates.cell_bits(cell_reach(builder.model, builder.context, node))
    given = [node.inputs[i] if len(node.inputs) > i else None for i in (5, 6)]
    first = initial_state(builder, given[0], state)
    second = initial_state(builder, given[1], cell) if layer.kind == "LSTM" else None
    x = builder.narrow_codes(node.inputs[0])
    scan = _Scan(builder, node, layer, x, (state, cell), (first, second))
    results = [_direction(scan, direction, d) for d, direction in enumerate(layer.directions)]
    formats = ((state, 2**state, 1), (state, 2**state, 0), (cell, 2**gates.CELL_WIDTH, 0))
    for output, (bits, bound, axis), parts in zip(
        node.outputs, formats, zip(*results, strict=True), strict=False
    ):
        if output.name:
            joined = _joined(builder, output, list(parts), axis)
            builder.set_accumulator(output, fixed_point(joined, bits, bound))


def _direction(scan: _Scan, direction: Direction, index: int) -> list[ir.Value]:
    """The golden y, last h and last c (of an LSTM) of one direction."""
    builder, layer = scan.builder, scan.layer
    name = scan.name if len(layer.directions) == 1 else f"{scan.name}.{index}"
    x_bias, h_bias = layer.biases(direction)
    x_chosen, h_chosen = (_chosen(scan, part, index) for part in PARTS)
    if h_chosen is not None:
        # A bias of its own R h has in one gate of one kind only; elsewhere W x takes it along.
        own = np.zeros(len(h_bias), bool)
        own[2 * layer.hidden :] = layer.kind == "GRU" and layer.reset_after
        x_bias += np.where(own, 0.0, h_chosen.correction)
        h_bias += np.where(own, h_chosen.correction, 0.0)
    acc, x_scale, x_bound = _input_part(scan, direction.w, x_bias, x_chosen, name)
    r, h_bias_codes, r_scale = _integers(direction.r, h_bias, h_chosen, 2.0**-gates.STATE_BITS)
    h_bound = np.abs(r.astype(np.int64)).sum(axis=1) * 2**gates.STATE_BITS
    h_bound += np.abs(h_bias_codes.astype(np.int64))
    steps = np.full(GATES[layer.kind] * layer.hidden, gates.TABLES.cell_step)
    steps[: _SIGMOIDS[layer.kind] * layer.hidden] = gates.TABLES.gate_step
    h_factor = r_scale * 2.0**-gates.STATE_BITS / steps
    scaled = gates.scaling(x_scale / steps, h_factor, x_bound, h_bound)
    inputs = [acc, *_initial(scan, index, name), builder.constant(f"{name}.r", _transposed(r))]
    if layer.kind == "GRU":
        inputs.append(builder.constant(f"{name}.h_bias", h_bias_codes[2 * layer.hidden :]))
    inputs += _constants(scan, scaled, name)
    return _emit(scan, inputs, direction.reverse, name)


def _chosen(scan: _Scan, part: str, index: int) -> QuantizedWeights | None:
    """What pass `weights` chose for W or R of one direction."""
    found = scan.builder.context.facts.get("weights", {}).get(f"{scan.node.name}{part}")
    size = GATES[scan.layer.kind] * scan.layer.hidden
    return None if found is None else found.rows(index * size, (index + 1) * size)


def _integers(
    rows: Array, bias: Array, chosen: QuantizedWeights | None, x_scale: float
) -> tuple[Array, Array, Array]:
    """Codes, int32 bias and scales: those that pass `weights` chose, or 8 bits."""
    if chosen is None:
        return quantize_weights(rows, bias, x_scale)
    return chosen.codes, bias_codes(bias, chosen.scales, x_scale), chosen.scales


def _input_part(
    scan: _Scan, w: Array, bias: Array, chosen: QuantizedWeights | None, name: str
) -> tuple[ir.Value, Array, Array]:
    """x @ w + bias [T, N, G*H] as an accumulator, its scales and its bounds per row."""
    builder, x = scan.builder, scan.x
    offset = bias if chosen is None else bias + chosen.correction
    codes, biases, scales = _integers(w, offset, chosen, x.parameters.scale)
    inputs = [
        x.value,
        builder.constant(f"{name}.w", _transposed(codes)),
        builder.constant(f"{name}.b", biases),
        builder.zero(x, name),
    ]
    shape = ir.Shape([*(dims(scan.node.inputs[0]) or (None,) * 3)[:2], len(w)])
    acc = linear_operator(builder, "MatMul", x, inputs, ir.Value(name=name, shape=shape))
    top, zero = largest_code(x.parameters.bits), x.parameters.zero_point
    bounds = [
        accumulator_bound(row[None], 0, top, zero, biases[i : i + 1]) for i, row in enumerate(codes)
    ]
    return acc, scales * x.parameters.scale, np.array(bounds, np.int64)


def _transposed(codes: Array) -> Array:
    return np.ascontiguousarray(codes.T)


def _initial(scan: _Scan, index: int, name: str) -> list[ir.Value]:
    """The states that one direction starts from, [N, H] or [1, H]."""
    builder, hidden, found = scan.builder, scan.layer.hidden, []
    for key, state in zip("hc", scan.initial, strict=True):
        if key == "c" and scan.layer.kind != "LSTM":
            continue
        label = f"{name}.{key}0"
        if state is None:
            found.append(builder.constant(label, np.zeros((1, hidden), np.int32)))
            continue
        found.append(_of_direction(builder, state, index, len(scan.layer.directions), label))
    return found


def _of_direction(builder: Builder, state: ir.Value, index: int, count: int, name: str) -> ir.Value:
    """[D, N, H] -> [N, H]."""
    shape = list(state.shape) if state.shape is not None else [1, None, None]
    if count > 1:
        bounds = [builder.constant(f"{name}.{k}", np.array([index + k])) for k in (0, 1)]
        inputs = [state, *bounds, builder.constant(f"{name}.axis", np.array([0]))]
        one = ir.Shape([1, *shape[1:]])
        state = _standard(builder, "Slice", inputs, name, one)
    axes = builder.constant(f"{name}.axes", np.array([0]))
    return _standard(builder, "Squeeze", [state, axes], name, ir.Shape(shape[1:]))


def _standard(
    builder: Builder,
    op: str,
    inputs: list[ir.Value],
    name: str,
    shape: ir.Shape | None,
    **given: int,
) -> ir.Value:
    """An operator of ONNX on int32."""
    return builder.emit(
        op,
        inputs,
        inputs[0],
        ir.DataType.INT32,
        name=name,
        attributes=given,
        domain="",
        shape=shape,
    )


def _constants(scan: _Scan, scaled: gates.Scaling, name: str) -> list[ir.Value]:
    """Multipliers, shift, tables and, for an LSTM, the format of the cell."""
    arrays: dict[str, Array] = {
        "x_multiplier": scaled.x_multiplier,
        "h_multiplier": scaled.h_multiplier,
        "shift": np.array(scaled.shift, np.int32),
    }
    if scan.layer.kind != "RNN":
        arrays["gates"] = gates.TABLES.gates()
    arrays["cells"] = gates.TABLES.cells()
    arrays["step_bits"] = np.array(gates.TABLES.step_bits, np.int32)
    if scan.layer.kind == "LSTM":
        arrays["cell_bits"] = np.array(scan.bits[1], np.int32)
        arrays["cell_shift"] = np.array(gates.TABLES.cell_shift(scan.bits[1]), np.int32)
    return [scan.builder.constant(f"{name}.{key}", array) for key, array in arrays.items()]


def _emit(scan: _Scan, inputs: list[ir.Value], reverse: bool, name: str) -> list[ir.Value]:
    builder, layer = scan.builder, scan.layer
    operator = f"Int{layer.kind.capitalize()}"
    if layer.kind == "GRU" and not layer.reset_after:
        operator = "IntGruResetBefore"
    steps, batch = (dims(scan.node.inputs[0]) or (None, None))[:2]
    y = builder.emit(
        operator, inputs, scan.node.outputs[0], ir.DataType.INT32, name=name,
        attributes={"directions": [int(reverse)]},
        shape=ir.Shape([steps, batch, layer.hidden]),
    )  # fmt: skip
    node = y.producer()
    assert node is not None
    node.resize_outputs(3 if layer.kind == "LSTM" else 2)
    for key, last in zip("hc", node.outputs[1:], strict=False):
        last.name = builder.fresh(f"{name}.{key}")
        last.type = ir.TensorType(ir.DataType.INT32)
        last.shape = ir.Shape([batch, layer.hidden])
    return list(node.outputs)


def _joined(builder: Builder, output: ir.Value, parts: list[ir.Value], axis: int) -> ir.Value:
    """The directions of one result as the node has it: stacked along a new axis."""
    name = f"{output.name}.directions"
    axes = builder.constant(f"{name}.axes", np.array([axis]))
    stacked = []
    for part in parts:
        assert part.shape is not None
        shape = list(part.shape)
        shape.insert(axis, 1)
        stacked.append(_standard(builder, "Unsqueeze", [part, axes], name, ir.Shape(shape)))
    if len(stacked) == 1:
        return stacked[0]
    return _standard(builder, "Concat", stacked, name, output.shape, axis=axis)
