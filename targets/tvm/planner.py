"""From a model to a kernel plan: the walk over the nodes. Pure Python.

The rules for the operators live in `rules_*.py`; each is a function
``rule(planner, node)`` that emits kernel calls or only gives a value a new view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.binary import Codes, possible_codes
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.layout import Bits, Tensor, plain
from actc.targets.tvm.plan import Array, Buffer, Call, Kernel, KernelPlan
from actc.targets.tvm.values import Unsupported as Unsupported
from actc.targets.tvm.values import as_declared, dtype_of, ordinary, shape_of

Rule = Callable[["Planner", ir.Node], None]


class Planner:
    """Walks a model once and collects kernel calls and problems.

    Args:
        model: golden or approximated model.
        rules: "domain::Op" (domain "" for ONNX) -> rule.
        finish: gives the row-major buffer of a model output.
        unpack: gives a value that lies in packed bits a tensor of codes too.
        takes_bits: the operators whose rules look for packed bits themselves.
        fallback: lowers a node that its rule refuses, or that has none; its results have the
            type and shape that the model declares. Without it nothing is checked against them.

    Attributes:
        tensors: value name -> its place in memory; a view carries its buffer's name.
        bits: value name -> its packed bits; such a value need not be in `tensors`.
        codes: the codes that values of a golden model may hold, where they are few.
        diagnostics: all reasons why the model cannot be lowered.
        refused: the nodes that they are about.
    """

    def __init__(
        self,
        model: ir.Model,
        rules: Mapping[str, Rule],
        finish: Callable[[Planner, ir.Value], str],
        unpack: Callable[[Planner, ir.Value], None] | None = None,
        takes_bits: frozenset[str] = frozenset(),
        fallback: Rule | None = None,
    ) -> None:
        self.model = model
        self.tensors: dict[str, Tensor] = {}
        self.bits: dict[str, Bits] = {}
        self.codes: Codes = possible_codes(model.graph)
        self.diagnostics: list[Diagnostic] = []
        self.refused: set[ir.Node] = set()
        self._rules = rules
        self._finish = finish
        self._unpack = unpack
        self._takes_bits = takes_bits
        self._fallback = fallback
        self._buffers: dict[str, Buffer] = {}
        self._constants: dict[str, Array] = {}
        self._calls: list[Call] = []
        self._written: dict[str, None] = {}
        self._fused: dict[ir.Node, None] = {}
        self._node = ""
        self._outputs = {value.name for value in model.graph.outputs}
        values = (value for node in model.graph for value in node.outputs)
        self._declared = {str(value.name): value for value in values}

    def plan(self) -> KernelPlan:
        """Run all rules; read `diagnostics` before using the result."""
        graph = self.model.graph
        if self._wide():
            return KernelPlan({}, {}, {}, {}, ())
        for value in graph.inputs:
            self._input(value)
        inputs = dict(self._buffers)
        for node in graph:
            if node in self._fused:
                continue
            if all(self._known(v) for v in node.inputs) or self._without_kernel(node):
                self._lower(node)
        outputs: dict[str, str] = {}
        if not self.diagnostics:
            for value in graph.outputs:
                self.need_codes(value)
                outputs[str(value.name)] = self._finish(self, value)
        return KernelPlan(inputs, outputs, self._buffers, self._constants, tuple(self._calls))

    def _wide(self) -> bool:
        """Report codes and sums that no rule may meet; whether there are any."""
        kinds = {
            ir.DataType.UINT16: "codes of more than 8 bits",
            ir.DataType.INT64: "sums of more than 32 bits",
        }
        found = False
        for dtype, what in kinds.items():
            nodes = [
                node
                for node in self.model.graph
                if node.domain == "actc"
                and any(v.dtype == dtype for v in node.outputs)
                and node.op_type != "IntProbabilities"  # which leaves as floats
            ]
            if nodes:
                found, first, more = True, nodes[0], len(nodes) - 1
                also = f", and so do {more} other operators" if more else ""
                place = Place(node=first.name or "", op=first.op_type)
                reason = Unsupported(f"it gives {what}{also}", "`--target onnx` runs it")
                self._report(reason, place)
        return found

    # ---- reading the model -------------------------------------------------------------

    def constant(self, value: ir.Value | None) -> Array | None:
        """The array of an initializer; None for anything else."""
        if value is None or value.const_value is None:
            return None
        return value.const_value.numpy()

    def need_constant(self, node: ir.Node, index: int, what: str) -> Array:
        """The array of a constant input.

        Raises:
            Unsupported: it is not an initializer.
        """
        array = self.constant(node.inputs[index]) if index < len(node.inputs) else None
        if array is None:
            raise Unsupported(f"{what} is not a constant", code="ACT0403")
        return array

    def scalar(self, node: ir.Node, index: int, what: str) -> Any:
        """A constant input of one element, as a Python number."""
        array = self.need_constant(node, index, what)
        if array.size != 1:
            raise Unsupported(f"{what} has {array.size} elements instead of one")
        return array.reshape(()).item()

    def tensor(self, node: ir.Node, index: int) -> Tensor:
        """Where an activation input lies.

        Raises:
            Unsupported: the input is a constant.
        """
        value = node.inputs[index]
        found = self.tensors.get(str(value.name)) if value is not None else None
        if found is None:
            raise Unsupported(f"input {index} is a constant")
        return found

    def need_codes(self, value: ir.Value | None) -> None:
        """Unpack a value that lies in packed bits alone."""
        packed = value is not None and value.name in self.bits and value.name not in self.tensors
        if packed and self._unpack is not None and value is not None:
            self._unpack(self, value)

    def only_reader(self, value: ir.Value) -> ir.Node | None:
        """The node that alone reads `value`, None if there are more or it is a model output."""
        readers = {use.node for use in value.uses()}
        return readers.pop() if len(readers) == 1 and not self.is_output(value) else None

    def only_consumer(self, value: ir.Value, op: str) -> ir.Node | None:
        """The only reader of `value` if it is the operator `op` of the dialect, as first input."""
        node = self.only_reader(value)
        if node is None or (node.domain, node.op_type) != ("actc", op):
            return None
        return node if [v is value for v in node.inputs].index(True) == 0 else None

    def fuse(self, node: ir.Node) -> None:
        """Mark a node as computed by the kernel of its producer."""
        self._fused[node] = None

    def is_output(self, value: ir.Value) -> bool:
        """Whether a value is a model output."""
        return value.name in self._outputs

    # ---- emitting ----------------------------------------------------------------------

    def emit(
        self,
        kernel: Kernel,
        inputs: Sequence[str],
        tensor: Tensor,
        value: ir.Value | None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Add a kernel call that writes the new buffer `tensor`.

        Args:
            kernel: what is computed.
            inputs: buffers and constants.
            tensor: the result; its name is the buffer's.
            value: the model's value that it stands for (None: a temporary).
            shape: the buffer's shape without batch, `tensor.physical` unless given.
        """
        extents = place(tensor) if shape is None else shape
        self._buffers[tensor.name] = Buffer(tensor.dtype, tensor.batch, extents, not tensor.shape)
        self._written[tensor.name] = None
        self._calls.append(Call(kernel, tuple(inputs), tensor.name, self._node))
        if value is not None:
            self.tensors[str(value.name)] = tensor

    def view(self, value: ir.Value, tensor: Tensor) -> None:
        """Let `value` be another view of the buffer of `tensor`."""
        self.tensors[str(value.name)] = tensor

    def temporary(self, hint: str) -> str:
        """A fresh buffer name."""
        count = sum(name.startswith(f"{hint}.") for name in self._buffers)
        return f"{hint}.{count}"

    def add_constant(self, name: str, array: Array) -> str:
        """Register a constant of at least one axis; returns its unique name."""
        array = np.atleast_1d(array)
        unique, count = name, 0
        while unique in self._constants and not _same(self._constants[unique], array):
            count += 1
            unique = f"{name}.{count}"
        self._constants[unique] = array
        return unique

    def operand(self, tensor: Tensor, axes: Sequence[int], *, offset: int = 0) -> Operand:
        """How loops over logical `axes` walk through an activation."""
        strides = tuple(tensor.stride(axis) for axis in axes)
        shape = self._buffers[tensor.name].shape
        return Operand(tensor.dtype, shape, True, strides, offset, self.writes(tensor.name))

    def constant_operand(self, array: Array, rank: int, axes: Sequence[int]) -> Operand:
        """How loops over logical `axes` walk through a broadcast constant.

        Raises:
            Unsupported: the constant differs between samples.
        """
        if array.ndim > rank or (array.ndim == rank and rank and array.shape[0] != 1):
            raise Unsupported(f"a constant of shape {array.shape} differs between samples")
        shape = (1,) * (rank - array.ndim) + array.shape
        steps = [math.prod(shape[axis + 1 :]) for axis in range(rank)]
        strides = tuple(0 if shape[axis] == 1 else steps[axis] for axis in axes)
        return Operand(str(array.dtype), array.shape or (1,), False, strides)

    # ---- the walk ----------------------------------------------------------------------

    def _known(self, value: ir.Value | None) -> bool:
        """Whether an input was lowered (what hangs on a refused node is not reported)."""
        if value is None or value.const_value is not None:
            return True
        return value.name in self.tensors or value.name in self.bits

    def _input(self, value: ir.Value) -> None:
        try:
            tensor = plain(str(value.name), dtype_of(value), shape_of(value))
        except Unsupported as reason:
            self._report(reason, Place(node=str(value.name)))
            return
        extents = tuple(int(d or 0) for d in tensor.shape[1:])
        self._buffers[tensor.name] = Buffer(tensor.dtype, tensor.batch, extents, not tensor.shape)
        self.tensors[tensor.name] = tensor

    def _lower(self, node: ir.Node) -> None:
        self._node = node.name or str(node.outputs[0].name)
        try:
            if self._fallback is None:
                self._by_rule(node)
            else:
                self._by_rule_or(node, self._fallback)
        except Unsupported as reason:
            self.refused.add(node)
            self._report(reason, Place(node=node.name or "", op=node.op_type))

    def _without_kernel(self, node: ir.Node) -> bool:
        """Whether an operator of golden is refused whatever its inputs are."""
        no_rule = f"{node.domain}::{node.op_type}" not in self._rules
        return self._fallback is None and node.domain == "actc" and no_rule

    def _by_rule(self, node: ir.Node) -> None:
        key = f"{node.domain}::{node.op_type}"
        rule = self._rules.get(key)
        if rule is None:
            raise Unsupported(
                f"operator {node.op_type} has no kernel in this target",
                "`--target onnx` runs every golden model; or leave this part out of the model",
            )
        if key not in self._takes_bits:
            for value in node.inputs:
                self.need_codes(value)
        rule(self, node)

    def _by_rule_or(self, node: ir.Node, fallback: Rule) -> None:
        """By the node's rule, or by `fallback` where that refuses or gives another type."""
        mark, refused = self._mark(), Unsupported("")
        try:
            if ordinary(node, self.tensors):
                self._by_rule(node)
                new = islice(reversed(self.tensors.items()), len(self.tensors) - mark[0])
                if as_declared(self._declared, new):
                    return
        except Unsupported as reason:
            refused = reason
        self._rewind(mark)
        try:
            fallback(self, node)
        except Unsupported as reason:
            unknown = str(refused) and reason.code == "ACT0401"
            raise (refused if unknown else reason) from None

    def _mark(self) -> list[int]:
        """How much was planned so far."""
        return [len(part) for part in self._parts()]

    def _rewind(self, mark: Sequence[int]) -> None:
        """Forget what was planned since `mark`: all parts only grow."""
        for part, length in zip(self._parts(), mark, strict=True):
            while len(part) > length:
                part.popitem() if isinstance(part, dict) else part.pop()

    def _parts(self) -> tuple[dict[Any, Any] | list[Call], ...]:
        written = (self._buffers, self._constants, self._written)
        return (self.tensors, self.bits, *written, self._fused, self._calls)

    def _report(self, reason: Unsupported, place: Place) -> None:
        found = Diagnostic(reason.code, reason.reason, place=place, help=reason.help)
        self.diagnostics.append(found)

    def writes(self, name: str) -> bool:
        """Whether a kernel call writes this buffer (a model input is only read)."""
        return name in self._written

    def buffer_shape(self, name: str) -> tuple[int, ...]:
        """Shape of a buffer without the batch axis."""
        return self._buffers[name].shape

    def is_scalar(self, name: str) -> bool:
        """Whether a buffer has no axis at all."""
        return self._buffers[name].scalar

    @property
    def batch_name(self) -> str | None:
        """The symbol of the inputs' open batch axis; None where it is a number."""
        for value in self.model.graph.inputs:
            first = value.shape[0] if value.shape is not None and len(value.shape) else 0
            if not isinstance(first, int):
                return first.value
        return None


def place(tensor: Tensor) -> tuple[int, ...]:
    """Shape of a buffer without batch: always rows x columns x lanes, so that views rarely need
    a reshape between kernels."""
    physical = tensor.physical
    if len(physical) <= 3:
        return (1,) * (3 - len(physical)) + physical
    return (math.prod(physical[:-2]), *physical[-2:])


def _same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b))
