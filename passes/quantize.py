"""Choose the integer format of every tensor."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from actc.calibrate.histogram import METHODS, Histogram, choose_range, signal_to_noise
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError, UsageError
from actc.ir.context import Context, context_of
from actc.ir.formats import annotate, annotate_narrow, parameters_of
from actc.ir.graph import is_given, is_op, only_user
from actc.numerics.quantization import QuantizationParameters
from actc.passes.base import Pass
from actc.passes.input_grids import keeps_grid
from actc.passes.ranges import Range
from actc.passes.widths import (
    LEAST_DECIBELS,
    LEAST_INPUT_DECIBELS,
    MOVEMENT,
    MULTIPLIER_BITS,
    check_policy,
    choose_width,
    reads_narrow,
)

_MOST_SEARCHED = 10
"""Bits up to which clipping can pay; histograms are too coarse to tell beyond."""

QUANTIZED = frozenset(
    {
        "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger",
        "QLinearConv", "QLinearMatMul", "QuantizeLinear",
    }
)  # fmt: skip
"""Operators of models that somebody quantized."""


@dataclass(frozen=True, slots=True)
class Quantize(Pass):
    """Rules (unsigned codes, one scale and zero point per tensor):

    1. Values joined by operators that only move codes share a format.
    2. A clamp shares the format of what it clamps: the range behind the clamp.
    3. A format that an earlier pass chose for an activation's input stays, unless
       rule 1 joins it with other values. One that the model itself gives always stays,
       and holds for what rule 1 joins with it.
    4. Every other format holds the range that `method` picks from the histogram
       (minmax, percentile, mse, entropy); it always holds zero exactly. Formats of
       more than 10 bits hold everything seen.
    5. `activations` is the number of bits, or "mixed" (see `actc.passes.widths`), where
       a wide value that linear operators read gets a second, narrow format for them.
    6. With `power_of_two` scales are powers of two, so that rescaling is a shift.

    A model that is quantized already must have gone through `read_quantized` and
    `quantizers`. Weights are quantized where they are
    used (`integerize`): int8, symmetric, one scale per output channel.
    """

    name: ClassVar[str] = "quantize"

    method: str = "minmax"
    activations: str = "8"
    power_of_two: bool = False

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Write formats on all float values."""
        if self.method not in METHODS:
            known = ", ".join(METHODS)
            message = f"unknown calibration method '{self.method}'"
            raise UsageError(Diagnostic("ACT0201", message, help=f"known methods: {known}"))
        check_policy(self.activations)
        context = context_of(model)
        if not context.ranges:
            message = "pass 'quantize' needs the ranges that pass 'calibrate' finds"
            raise UsageError(Diagnostic("ACT0222", message, help="put calibrate before it"))
        _require_unquantized(model, context)
        groups = _Groups()
        clamped: dict[ir.Value, Range] = {}
        clamps = {node for node in model.graph if _join(node, context, groups, clamped)}
        for members in groups.of(_float_values(model)):
            self._format(members, context, clamped, clamps)
        return ir.passes.PassResult(model, modified=True)

    def _format(
        self,
        members: list[ir.Value],
        context: Context,
        clamped: dict[ir.Value, Range],
        clamps: set[ir.Node],
    ) -> None:
        if len(members) == 1 and parameters_of(members[0]) is not None:
            return
        if any(is_given(value) for value in members):
            members = _without_format(members)
        grids = [parameters_of(value) for value in members if keeps_grid(value)]
        if grids and grids[0] is not None:
            for value in members:
                annotate(value, grids[0])
            return
        seen = [
            context.ranges[str(value.name)]
            for value in members
            if value not in clamped and str(value.name) in context.ranges
        ]
        if not seen:
            return
        width = choose_width(
            members,
            self.activations,
            context.facts.get("widths"),
            clamps=clamps,
            noisy=self._noisy(members, seen),
        )
        parameters = self._parameters(seen, width.bits)
        narrow = self._parameters(seen, MULTIPLIER_BITS) if width.narrow else None
        for value in members:
            annotate(value, _clamped(parameters, clamped.get(value)))
            if narrow is not None and reads_narrow(value):
                annotate_narrow(value, _clamped(narrow, clamped.get(value)))

    def _noisy(self, members: list[ir.Value], seen: list[Histogram]) -> bool:
        """Whether multipliers' 8 bits lose too much of a value."""
        inputs = any(value.is_graph_input() for value in members)
        least = LEAST_INPUT_DECIBELS if inputs else LEAST_DECIBELS
        levels = 2**MULTIPLIER_BITS
        ends = [choose_range(histogram, self.method, levels) for histogram in seen]
        joint = min(end[0] for end in ends), max(end[1] for end in ends)
        return any(signal_to_noise(histogram, joint, levels) < least for histogram in seen)

    def _parameters(self, seen: list[Histogram], bits: int) -> QuantizationParameters:
        method = self.method if bits <= _MOST_SEARCHED else "minmax"
        ranges = [choose_range(histogram, method, 2**bits) for histogram in seen]
        low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
        return QuantizationParameters.from_range(
            low, high, bits=bits, power_of_two=self.power_of_two
        )


def _without_format(members: list[ir.Value]) -> list[ir.Value]:
    """Give the values joined with given formats theirs; returns those that none fits."""
    given = {parameters_of(value): value for value in members if is_given(value)}
    rest = []
    for value in (v for v in members if not is_given(v)):
        user = only_user(value)
        behind = user.outputs[0] if user is not None and is_given(user.outputs[0]) else None
        source = next(iter(given.values())) if len(given) == 1 else behind
        parameters = None if source is None else parameters_of(source)
        if parameters is None:
            rest.append(value)
        else:
            annotate(value, parameters)
    return rest


def shared_formats(model: ir.Model, context: Context) -> list[list[ir.Value]]:
    """The float values of the main graph, grouped by what must share a format (rule 1)."""
    groups = _Groups()
    for node in model.graph:
        _join(node, context, groups, {})
    return groups.of(_float_values(model))


def _require_unquantized(model: ir.Model, context: Context) -> None:
    found = [node for node in model.graph if node.domain == "" and node.op_type in QUANTIZED]
    if not found:
        return
    first, more = found[0], f" and {len(found) - 1} more" if len(found) > 1 else ""
    raise ModelError(
        Diagnostic(
            "ACT0105",
            f"the model is quantized already: operator {first.op_type}{more}",
            place=Place(context.file, str(first.name), first.op_type),
            help="use the default passes, or put 'read_quantized' before and 'quantizers' "
            "behind 'normalize'",
        )
    )


def _float_values(model: ir.Model) -> list[ir.Value]:
    values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
    return [value for value in values if value.dtype == ir.DataType.FLOAT]


def _join(node: ir.Node, context: Context, groups: _Groups, clamped: dict[ir.Value, Range]) -> bool:
    """Join the values that share a format on both sides of `node`; whether it is a clamp."""
    data = [v for v in node.inputs if v is not None and v.dtype == ir.DataType.FLOAT]
    if node.domain == "" and node.op_type in MOVEMENT:
        for value in [*data[1:], *node.outputs] if data else []:
            if data[0].const_value is None and value.const_value is None:
                groups.join(data[0], value)
    site = context.sites.get(node.metadata_props.get("actc.site", ""))
    if site is not None and site.form == "clamp" and is_op(node, "Activation", domain="actc"):
        low, high = site.details["clamp"]
        clamped[data[0]] = (-np.inf if low is None else low, np.inf if high is None else high)
        groups.join(data[0], node.outputs[0])
        return True
    return False


def _clamped(parameters: QuantizationParameters, ends: Range | None) -> QuantizationParameters:
    if ends is None:
        return parameters
    low, high = (int(parameters.quantize(np.float32(end))) for end in ends)
    return dataclasses.replace(parameters, low=low, high=high)


class _Groups:
    """Union-find over values, in order of first appearance."""

    def __init__(self) -> None:
        self._parent: dict[ir.Value, ir.Value] = {}

    def _root(self, value: ir.Value) -> ir.Value:
        while self._parent.get(value, value) is not value:
            value = self._parent[value]
        return value

    def join(self, a: ir.Value, b: ir.Value) -> None:
        """Put two values in one group."""
        root_a, root_b = self._root(a), self._root(b)
        if root_a is not root_b:
            self._parent[root_b] = root_a

    def of(self, values: list[ir.Value]) -> list[list[ir.Value]]:
        """The groups among `values`."""
        members: dict[ir.Value, list[ir.Value]] = {}
        for value in values:
            members.setdefault(self._root(value), []).append(value)
        return list(members.values())
