"""Folded networks: a program of stages, and what the host does around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from actc.ir import spec
from actc.targets.fpga.folded.lower import Order, lower_golden
from actc.targets.fpga.folded.program import FoldedProgram, Integers, Stream
from actc.targets.fpga.network.boundary import submodel
from actc.targets.fpga.network.elements import Layer
from actc.targets.fpga.network.interface import Entry, Exit, Result, exits_of
from actc.targets.fpga.network.network import agreeing, check_feeds, made_by

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A golden model as a folded program; it has one entry and one exit.

    Attributes:
        name: of the core.
        program: what the hardware computes.
        layers: one per stage, of the same name and in the same order.
        entries: what the program takes.
        exits: what it gives.
        results: how the host computes the model's outputs.
        head, tail: the parts of golden that the host computes, as models.
        entry_orders, exit_orders: how tensors lie in the streams.
        exit_shapes: of one sample.
    """

    name: str
    program: FoldedProgram
    layers: tuple[Layer, ...]
    entries: tuple[Entry, ...]
    exits: tuple[Exit, ...]
    results: tuple[Result, ...]
    head: onnx.ModelProto
    tail: onnx.ModelProto
    entry_orders: tuple[Order, ...]
    exit_orders: tuple[Order, ...]
    exit_shapes: tuple[tuple[int, ...], ...]

    def prologue(self, feeds: Mapping[str, Array]) -> list[Integers]:
        """What the program takes.

        Args:
            feeds: name of each of the model's inputs -> array [samples, ...].

        Returns:
            of each entry, int64 [samples, rows, columns, channels].

        Raises:
            UsageError: ACT0553, an input is missing, unknown, or of another shape or type.
        """
        check_feeds(self.entries, feeds)
        found = {**feeds, **spec.run(self.head, feeds)}
        return [
            order.to_stream(entry.codes(found[entry.value]))
            for entry, order in zip(self.entries, self.entry_orders, strict=True)
        ]

    def epilogue(self, outputs: Sequence[npt.ArrayLike]) -> dict[str, Array]:
        """The model's outputs.

        Args:
            outputs: of each exit, integers [samples, rows, columns, channels].

        Returns:
            name of each of the model's outputs -> array, as golden's.
        """
        values = {
            exit.value: exit.integers(order.to_tensor(np.asarray(given), shape))
            for exit, order, shape, given in zip(
                self.exits, self.exit_orders, self.exit_shapes, outputs, strict=True
            )
        }
        own = {r.output: values[r.value] for r in self.results if r.value in values}
        found = {**own, **spec.run(self.tail, values)}
        return {result.output: found[result.output] for result in self.results}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs for a batch; equal to golden's on every bit.

        Raises:
            UsageError: ACT0553, as :meth:`prologue`.
        """
        return self.epilogue(self.program.evaluate(self.prologue(feeds)))

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
        """What a host has to know, ready for JSON.

        As of an unrolled network, with `stream` (rows, columns, channels) and `order`: a
        sample's tensor, reshaped to `shape` and transposed by `axes`, is the stream.
        """
        places = {exit.value: place for place, exit in enumerate(self.exits)}
        return {
            "inputs": [
                entry.to_json() | _streamed(order)
                for entry, order in zip(self.entries, self.entry_orders, strict=True)
            ],
            "outputs": [self._output(result, places[result.value]) for result in self.results],
        }

    def _output(self, result: Result, place: int) -> dict[str, Any]:
        stream: Stream = self.program.stream(self.program.exits[place])
        return {
            "bus": self.exits[place].bus,
            "output": result.output,
            "dtype": result.dtype,
            "shape": list(self.exit_shapes[place]),
            "width": stream.range.width,
            "signed": stream.range.signed,
            "kind": result.kind,
            **result.parameters,
            **_streamed(self.exit_orders[place]),
        }


def _streamed(order: Order) -> dict[str, Any]:
    return {"stream": list(order.stream), "order": order.to_json()}


def build_folded(golden: ir.Model, name: str, *, more: bool = False) -> FoldedNetwork:
    """Lower a golden model to a folded program; a softmax at its end is left to the host.

    Args:
        golden: see docs/internals.md; it stays as it is.
        name: of the core.
        more: whether operators are taken that only some targets have stages for:
            :data:`~actc.targets.fpga.folded.lower.walk.MORE`.

    Raises:
        ModelError: ACT0551, ACT0605, all reasons why it cannot be folded.
    """
    found = lower_golden(golden, more=more)
    parts, model = found.parts, found.model
    results: Iterable[Result] = found.results
    exits = exits_of(parts, list(results), {entry.bus for entry in found.entries})
    return FoldedNetwork(
        name,
        found.program,
        found.layers,
        found.entries,
        tuple(exits),
        found.results,
        submodel(model, parts.head, model.graph.inputs, made_by(parts.entries, parts.head)),
        submodel(model, parts.tail, parts.exits, made_by(model.graph.outputs, parts.tail)),
        found.entry_orders,
        found.exit_orders,
        found.exit_shapes,
    )
