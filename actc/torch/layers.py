"""What can be trained of a golden model: its linear operators and their float weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.formats import narrow_parameters_of, parameters_of
from actc.ir.graph import constant, is_op, only_user
from actc.numerics.quantization import largest_code
from actc.numerics.weights import QuantizedWeights, WeightFormat, quantize_weights
from actc.numerics.weights.groups import spread
from actc.passes.integer.gates import STATE_BITS
from actc.passes.integer.linear import linear_bias
from actc.passes.linear_layers import LinearLayer, linear_layers
from actc.passes.recurrent import Direction, is_recurrent, layer_of
from actc.sensitivity.setting import Setting
from actc.torch.bounds import reach, room, scan_room
from actc.torch.shadow import Trainable

Array = np.ndarray[Any, Any]

_LINEAR = ("IntConv", "IntMatMul", "WideConv", "WideMatMul")
_SCANS = {"IntLstm": 3, "IntGru": 2, "IntGruResetBefore": 2, "IntRnn": 2}
"""Recurrent operators, and which input is the matrix of the state."""
_STATE = (-(2**STATE_BITS), 2**STATE_BITS)
"""The smallest and largest state that a matrix reads."""


class Mismatch(Exception):
    """Golden does not hold what the float model, quantized again, gives."""


def trainable(model: ir.Model, setting: Setting, golden: ir.Model) -> list[Trainable]:
    """The linear operators of golden whose weights come from the float model, in order.

    Args:
        model: the float graph behind pass `quantize`.
        setting: the integer weights of its layers.
        golden: the integer model.

    Raises:
        Mismatch: the weights of golden are not those of `setting`.
    """
    plain = [layer for layer in linear_layers(model) if is_op(layer.node, "Conv", "MatMul")]
    layers = {_result(layer.node): layer for layer in plain}
    scans = {name: part for node in model.graph for name, part in _directions(node)}
    found: list[Trainable] = []
    for node in golden.graph:
        base = str(node.name).rpartition("/")[0]
        if is_op(node, *_LINEAR, domain=DOMAIN) and base in layers:
            found.append(_layer(node, layers[base], setting))
        elif is_op(node, *_LINEAR, domain=DOMAIN) and base in scans:
            found.append(_of_input(node, scans[base], setting))
        elif is_op(node, *_SCANS, domain=DOMAIN) and base in scans:
            found.append(_of_state(node, scans[base], setting))
    return found


def directions(node: ir.Node) -> list[tuple[str, Direction]]:
    """The directions of a recurrent node, by what golden's operators are called after."""
    return [(name, scan.direction) for name, scan in _directions(node)]


def biased(node: ir.Node) -> ir.Node | None:
    """The Add with the bias of a MatMul, None when there is none."""
    user = only_user(node.outputs[0])
    return user if user is not None and is_op(user, "Add") and linear_bias(user) else None


def _result(node: ir.Node) -> str:
    """The name of what a layer gives, its bias included."""
    add = biased(node) if is_op(node, "MatMul") else None
    return str((add or node).outputs[0].name)


def _has_bias(node: ir.Node) -> bool:
    return is_op(node, "Conv") or biased(node) is not None


def _layer(node: ir.Node, layer: LinearLayer, setting: Setting) -> Trainable:
    weights = setting.weights.get(layer.name)
    if weights is None:
        raise Mismatch(f"nothing is known of the weights of layer '{layer.name}'")
    turned = not is_op(layer.node, "Conv")
    codes = _stored(node, 1, weights.codes.T if turned else weights.codes, layer.name)
    shape = (1, -1) if turned else (-1, *([1] * (codes.ndim - 1)))
    bias = _array(node, 2)
    spread = weights.scales.reshape(bias.shape) * layer.x_scale
    real = layer.bias.astype(np.float64) + weights.correction
    return Trainable(
        layer=layer.name,
        weight=_name(node, 1),
        bias=_name(node, 2) if _has_bias(layer.node) else "",
        form=weights.form,
        codes=codes,
        real=(layer.rows.T if turned else layer.rows).astype(np.float64),
        scales=weights.scales.reshape(shape),
        factors=_factors(weights, turned),
        bias_codes=bias,
        bias_real=real.reshape(bias.shape),
        bias_scales=spread,
        axis=1 if turned else 0,
        limit=room(node.outputs[0], len(weights.scales)),
        ends=_ends(node),
    )


def _factors(weights: QuantizedWeights, turned: bool) -> Array:
    """The factor of each weight's group, laid out as golden's constant.

    Raises:
        Mismatch: the codes are not codes of the format times these factors.
    """
    codes = weights.codes.reshape(len(weights.codes), -1)
    found = np.ones((1, 1))
    if weights.factors is not None:
        found = spread(weights.factors.astype(np.float64), weights.form, codes.shape[1])
    if np.any(weights.form.nearest(codes / found) * found != codes):
        raise Mismatch(f"golden has weights that are no codes of {weights.form} bits")
    if weights.factors is None:
        return np.ones([1] * weights.codes.ndim)
    found = found.reshape(weights.codes.shape)
    return np.ascontiguousarray(found.T if turned else found)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Scan:
    """One direction of a recurrent layer.

    Attributes:
        node: the float operator.
        direction: its float weights.
        part: which rows of the layer's matrices they are.
        after: whether the reset gate of a GRU multiplies what the matrix gives.
    """

    node: ir.Node
    direction: Direction
    part: slice
    after: bool

    def biases(self) -> tuple[Array, Array]:
        """What is added to W x, and to R h by itself."""
        x_bias = self.direction.w_bias + self.direction.r_bias
        h_bias = np.zeros_like(x_bias)
        if self.after:
            cell = slice(2 * self.direction.r.shape[1], None)
            x_bias[cell], h_bias[cell] = self.direction.w_bias[cell], self.direction.r_bias[cell]
        return x_bias, h_bias


def _directions(node: ir.Node) -> Iterator[tuple[str, _Scan]]:
    """Name in golden -> the direction."""
    if not is_recurrent(node):
        return
    layer = layer_of(node)
    name = next(str(output.name) for output in node.outputs if output.name)
    after = layer.kind == "GRU" and layer.reset_after
    for index, direction in enumerate(layer.directions):
        suffix = "" if len(layer.directions) == 1 else f".{index}"
        rows = len(direction.w)
        part = slice(index * rows, (index + 1) * rows)
        yield f"{name}{suffix}", _Scan(node, direction, part, after)


def _of_input(node: ir.Node, scan: _Scan, setting: Setting) -> Trainable:
    """The matrix product in front of a scan."""
    value = scan.node.inputs[0]
    assert value is not None
    parameters = narrow_parameters_of(value) or parameters_of(value)
    if parameters is None:
        raise Mismatch(f"nothing is known of the format of '{value.name}'")
    found = _matrix(node, 1, scan, ".W", setting, parameters.scale)
    reader = only_user(node.outputs[0])
    if reader is None or reader.op_type not in _SCANS:
        raise Mismatch(f"no recurrent operator reads '{node.name}' of golden")
    return dataclasses.replace(
        found,
        bias=_name(node, 2),
        bias_codes=_array(node, 2),
        limit=_scan_limits(node, reader)[0],
        ends=_ends(node),
    )


def _of_state(node: ir.Node, scan: _Scan, setting: Setting) -> Trainable:
    """The matrix that a scan multiplies its state by; a GRU has a bias behind it."""
    place = _SCANS[node.op_type]
    found = _matrix(node, place, scan, ".R", setting, 2.0**-STATE_BITS)
    product = None if node.inputs[0] is None else node.inputs[0].producer()
    if product is None:
        raise Mismatch(f"nothing stands in front of '{node.name}' of golden")
    found = dataclasses.replace(found, limit=_scan_limits(product, node)[1], ends=_STATE)
    if not node.op_type.startswith("IntGru"):
        return found
    first = 2 * scan.direction.r.shape[1]
    return dataclasses.replace(
        found,
        bias=_name(node, place + 1),
        bias_codes=_array(node, place + 1),
        bias_real=found.bias_real[first:],
        bias_scales=found.bias_scales[first:],
        first=first,
    )


def _matrix(
    node: ir.Node, place: int, scan: _Scan, part: str, setting: Setting, x_scale: float
) -> Trainable:
    """W or R of a direction; its bias and the room for its sums are not said here."""
    rows = scan.direction.w if part == ".W" else scan.direction.r
    bias = scan.biases()[part == ".R"]
    weights = _rows(setting.weights.get(f"{scan.node.name}{part}"), scan.part)
    if weights is None:
        codes, _, scales = quantize_weights(rows, bias, x_scale)
        weights = QuantizedWeights(codes, scales, np.zeros(len(rows)), WeightFormat(8))
    return Trainable(
        layer=str(scan.node.name),
        weight=_name(node, place),
        bias="",
        form=weights.form,
        codes=_stored(node, place, weights.codes.T, str(scan.node.name)),
        real=rows.T.astype(np.float64),
        scales=weights.scales.reshape(1, -1),
        factors=_factors(weights, True),
        bias_codes=np.zeros(len(rows), np.int64),
        bias_real=bias + weights.correction,
        bias_scales=weights.scales * x_scale,
        axis=1,
        limit=np.zeros(len(rows), np.int64),
        ends=(0, 0),
    )


def _rows(weights: QuantizedWeights | None, part: slice) -> QuantizedWeights | None:
    """Those of one direction."""
    if weights is None:
        return None
    factors = None if weights.factors is None else weights.factors[part]
    return dataclasses.replace(
        weights,
        codes=weights.codes[part],
        scales=weights.scales[part],
        correction=weights.correction[part],
        factors=factors,
    )


def _scan_limits(product: ir.Node, scan: ir.Node) -> tuple[Array, Array]:
    """How large the sums of the input and of the state may become, per row of gates."""
    place = _SCANS[scan.op_type]
    r = _array(scan, place)
    gru = scan.op_type.startswith("IntGru")
    h_bias = np.zeros(r.shape[1], np.int64)
    if gru:
        h_bias[2 * r.shape[0] :] = _array(scan, place + 1)
    factors = place + 1 + gru
    x_reach = reach(_array(product, 1), 1, _ends(product), _array(product, 2).astype(np.int64))
    shift = int(_array(scan, factors + 2))
    multipliers = _array(scan, factors), _array(scan, factors + 1)
    return scan_room(*multipliers, shift, x_reach, reach(r, 1, _STATE, h_bias))


def _ends(node: ir.Node) -> tuple[int, int]:
    """The smallest and largest input of a linear operator, less its zero point."""
    zero, value = int(_array(node, 3)), node.inputs[0]
    parameters = None if value is None else parameters_of(value)
    bits = 16 if value is not None and value.dtype == ir.DataType.UINT16 else 8
    return -zero, largest_code(bits if parameters is None else parameters.bits) - zero


def _stored(node: ir.Node, place: int, codes: Array, layer: str) -> Array:
    """Golden's constant, which must be `codes`."""
    array = _array(node, place)
    if array.shape != codes.shape or np.any(array != codes):
        raise Mismatch(f"golden has other weights in layer '{layer}'")
    return array


def _array(node: ir.Node, place: int) -> Array:
    array = constant(node.inputs[place])
    if array is None:
        raise Mismatch(f"input {place} of golden's node '{node.name}' is no constant")
    return array


def _name(node: ir.Node, place: int) -> str:
    value = node.inputs[place]
    assert value is not None
    return str(value.name)
