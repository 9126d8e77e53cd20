"""Unrolled networks: a combinational design, and what the host does around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError, UsageError
from actc.ir import spec
from actc.targets.fpga.hdl import Design
from actc.targets.fpga.hdl.design import Span
from actc.targets.fpga.network.boundary import cut, submodel
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.check import check_network
from actc.targets.fpga.network.elements import Layer, Unit
from actc.targets.fpga.network.enter import enter
from actc.targets.fpga.network.interface import (
    Entry,
    Exit,
    Result,
    describe,
    entries_of,
    exits_of,
    results_of,
)
from actc.targets.fpga.network.leave import leave
from actc.targets.fpga.network.lower import lower
from actc.targets.fpga.network.options import NetworkOptions
from actc.targets.fpga.network.rewrite import prepared

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Network:
    """A golden model as hardware: one sample is one evaluation of the design.

    Attributes:
        design: combinational; a bus per tensor at the border.
        layers: in order; their names are the scopes of the design's graph.
        entries: what the buses of the design's inputs hold.
        exits: what those of its outputs hold.
        results: how the host computes the model's outputs.
        head, tail: the parts of golden that the host computes, as models.
        units: the integer functions in it, each a span of the design at the same place.
    """

    design: Design
    layers: tuple[Layer, ...]
    entries: tuple[Entry, ...]
    exits: tuple[Exit, ...]
    results: tuple[Result, ...]
    head: onnx.ModelProto
    tail: onnx.ModelProto
    units: tuple[Unit, ...] = ()

    def prologue(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What the hardware takes.

        Args:
            feeds: name of each of the model's inputs -> array [samples, ...].

        Returns:
            name of each bus -> int64 [samples, *shape].

        Raises:
            UsageError: ACT0553, an input is missing, unknown, or of another shape or type.
        """
        check_feeds(self.entries, feeds)
        found = {**feeds, **spec.run(self.head, feeds)}
        return {entry.bus: entry.codes(found[entry.value]) for entry in self.entries}

    def epilogue(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The model's outputs.

        Args:
            outputs: name of each bus -> integers [samples, *shape], as the hardware gives them.

        Returns:
            name of each of the model's outputs -> array, as golden's.
        """
        values = {exit.value: exit.integers(outputs[exit.bus]) for exit in self.exits}
        computed = spec.run(self.tail, values)
        # what no tail computes is an integer that the hardware gives
        own = {r.output: values[r.value] for r in self.results if r.value in values}
        found = {**own, **computed}
        return {result.output: found[result.output] for result in self.results}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs for a batch; equal to golden's on every bit.

        Raises:
            UsageError: ACT0553, as :meth:`prologue`.
        """
        return self.epilogue(self.design.evaluate(self.prologue(feeds)))

    def agrees(self, found: Mapping[str, Array], golden: Mapping[str, Array]) -> Array:
        """Which samples have golden's outputs, bit for bit.

        Args:
            found: as of :meth:`run`.
            golden: golden's outputs for the same samples.

        Returns:
            bool [samples].
        """
        return agreeing(self.results, found, golden)

    def interface(self) -> dict[str, Any]:
        """What a host has to know, ready for JSON; see docs/unrolled.md."""
        return describe(self.design, self.entries, self.exits, self.results)


def build_network(golden: ir.Model, name: str, options: NetworkOptions | None = None) -> Network:
    """Unroll a golden model.

    Args:
        golden: see docs/internals.md; it stays as it is.
        name: of the design.
        options: how.

    Raises:
        ModelError: ACT0550..0552, all reasons why it cannot be unrolled.
    """
    options = options or NetworkOptions()
    problems = check_network(golden, options)
    if problems:
        raise ModelError(problems)
    try:
        return _build(golden, name, options)
    except Unsupported as error:
        raise ModelError(Diagnostic(error.code, error.reason, help=error.help)) from error


def _build(golden: ir.Model, name: str, options: NetworkOptions) -> Network:
    model = prepared(golden, options.end == "outputs")
    parts = cut(model)
    builder = Builder(options)
    entries = entries_of(parts)
    inputs = [enter(builder, *pair) for pair in zip(entries, parts.entries, strict=True)]
    problems = lower(builder, parts)
    if problems:
        raise ModelError(problems)
    results = results_of(model, parts)
    exits = exits_of(parts, results, {entry.bus for entry in entries})
    tensors = [builder.tensors[value] for value in parts.exits]
    outputs, left = [], []
    for exit, tensor in zip(exits, tensors, strict=True):
        bus, exit, results = leave(builder, exit, tensor, results)
        outputs.append(bus)
        left.append(exit)
    design = Design(name, tuple(inputs), tuple(outputs))
    units = needed_units(builder.units, design)
    return Network(
        replace(design, spans=tuple(Span(unit.start, unit.end) for unit in units)),
        tuple(builder.layers),
        tuple(entries),
        tuple(left),
        tuple(results),
        submodel(model, parts.head, model.graph.inputs, made_by(parts.entries, parts.head)),
        submodel(model, parts.tail, parts.exits, made_by(model.graph.outputs, parts.tail)),
        units,
    )


def needed_units(units: Iterable[Unit], design: Design) -> tuple[Unit, ...]:
    """Functions whose hardware the outputs of a design need, each once."""
    wires = {wire.index for wire in design.module().wires() if wire.value is None}
    found = {
        (unit.start.index, unit.end.index): unit
        for unit in units
        if {unit.start.index, unit.end.index} <= wires
    }
    return tuple(found.values())


def made_by(values: Iterable[ir.Value], nodes: Iterable[ir.Node]) -> list[ir.Value]:
    """Those of some values that the nodes compute."""
    own = set(nodes)
    return [value for value in values if value.producer() in own]


def check_feeds(entries: Iterable[Entry], feeds: Mapping[str, Array]) -> None:
    """Refuse inputs that a network does not take.

    Raises:
        UsageError: ACT0553.
    """
    wanted = {entry.input: entry for entry in entries}
    if set(wanted) != set(feeds):
        raise _wrong(f"the network takes {_listed(wanted)}, not {_listed(feeds)}")
    for name, entry in wanted.items():
        array = np.asarray(feeds[name])
        if array.ndim == 0 or array.shape[1:] != entry.shape or str(array.dtype) != entry.dtype:
            raise _wrong(
                f"'{name}' takes {entry.dtype} of shape [samples, "
                f"{', '.join(map(str, entry.shape))}], not {array.dtype} of {list(array.shape)}"
            )


def agreeing(
    results: Iterable[Result], found: Mapping[str, Array], golden: Mapping[str, Array]
) -> Array:
    """Which samples have the same bits in all outputs; bool [samples]."""
    same = [
        _same(np.asarray(found[result.output]), np.asarray(golden[result.output]))
        for result in results
    ]
    return np.asarray(np.logical_and.reduce(same))


def _same(found: Array, golden: Array) -> Array:
    if (found.dtype, found.shape) != (golden.dtype, golden.shape):
        return np.zeros(len(golden), bool)
    kind = f"V{golden.dtype.itemsize}"  # bits: zeros have signs, and NaN equals itself
    equal = np.ascontiguousarray(found).view(kind) == np.ascontiguousarray(golden).view(kind)
    return np.asarray(equal.reshape(len(golden), -1).all(axis=1))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"


def _wrong(message: str) -> UsageError:
    return UsageError(
        Diagnostic("ACT0553", message, help="give one array per input, samples on the first axis")
    )
