"""Golden models as folded programs: the stages that compute them, and what the host does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.golden import problems
from actc.targets.fpga.folded.lower.finish import entry, finished
from actc.targets.fpga.folded.lower.moves import entry_order
from actc.targets.fpga.folded.lower.order import Order, inverse
from actc.targets.fpga.folded.lower.tracked import CODE, REORDERED, Lowering, Tracked
from actc.targets.fpga.folded.lower.walk import MORE, RULES, coded, lower
from actc.targets.fpga.folded.program import FoldedProgram, Stream
from actc.targets.fpga.network.boundary import Cut, cut
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.elements import Layer
from actc.targets.fpga.network.interface import Entry, Result, entries_of, results_of, unread
from actc.targets.fpga.network.rewrite import prepared

__all__ = ["Lowered", "Order", "lower_golden"]

T = TypeVar("T")

_BATCH = "keep the batch as the first axis of the model's outputs"


@dataclass(frozen=True, eq=False)
class Lowered:
    """A golden model as a folded program.

    Attributes:
        model: golden with all shapes.
        parts: of the host and of the hardware.
        program: what the hardware computes.
        layers: of each stage, what it stands for.
        entries: what the program takes.
        results: how the host computes the model's outputs.
        entry_orders, exit_orders: how tensors lie in the streams.
        exit_shapes: of one sample.
    """

    model: ir.Model
    parts: Cut
    program: FoldedProgram
    layers: tuple[Layer, ...]
    entries: tuple[Entry, ...]
    results: tuple[Result, ...]
    entry_orders: tuple[Order, ...]
    exit_orders: tuple[Order, ...]
    exit_shapes: tuple[tuple[int, ...], ...]


def lower_golden(golden: ir.Model, *, more: bool = False) -> Lowered:
    """Fold a golden model; a softmax at its end is left to the host.

    Args:
        golden: see docs/internals.md; it stays as it is.
        more: whether operators are taken that only some targets have stages for:
            :data:`~actc.targets.fpga.folded.lower.walk.MORE`.

    Raises:
        ModelError: ACT0551, ACT0605, all reasons why it cannot be folded.
    """
    wrong = [
        Diagnostic(
            CODE,
            f"this is no golden model: {text}",
            place=Place(node=str(node.name), op=node.op_type),
        )
        for node, text in problems(golden)
    ]
    if wrong:
        raise ModelError(wrong)
    model = prepared(golden, split=False)
    parts = cut(model)
    found: list[Diagnostic] = []
    entries = _heard(found, lambda: entries_of(parts)) or []
    lowering = Lowering()
    orders = [
        _enter(lowering, given, value, parts)
        for given, value in zip(entries, parts.entries, strict=False)
    ]
    found += lower(lowering, parts, MORE if more else RULES)
    found += map(_plain, unread(model, parts))
    if found:
        raise ModelError(found)
    results = _heard(found, lambda: results_of(model, parts)) or []
    found += _borders(parts)
    if found:
        raise ModelError(found)
    try:
        return _built(lowering, model, parts, entries, orders, results)
    except Unsupported as error:
        raise ModelError(_plain(error)) from error


def _built(
    lowering: Lowering,
    model: ir.Model,
    parts: Cut,
    entries: Sequence[Entry],
    orders: Sequence[Order],
    results: Sequence[Result],
) -> Lowered:
    exits = [lowering.values[value] for value in parts.exits]
    if any(value in lowering.batches for value in parts.exits):
        raise Unsupported("the samples of the output do not lie along its first axis", _BATCH)
    if any(not x.draft.head and not x.path for x in exits):
        raise Unsupported("the network computes nothing between its input and its output")
    exit_orders = tuple(_exit_order(x) for x in exits)
    program, layers = finished(lowering, exits)
    return Lowered(
        model,
        parts,
        program,
        layers,
        tuple(entries),
        tuple(results),
        tuple(orders),
        exit_orders,
        tuple(x.shape for x in exits),
    )


def _enter(lowering: Lowering, given: Entry, value: ir.Value, parts: Cut) -> Order:
    order = entry_order(value, given.shape, parts.nodes)
    draft = entry(lowering, given.bus, Stream(*order.stream, given.range))
    lowering.values[value] = Tracked(draft, inverse(order.places).reshape(given.shape))
    return order


def _exit_order(x: Tracked) -> Order:
    places, draft = inverse(x.index), x.draft
    while True:
        order = Order.of(places.reshape(draft.output.shape))
        if order is not None and order.permutes(x.shape):
            return order
        if len(draft.sources) != 1 or draft.sources[0].size != places.size:
            break
        draft = draft.sources[0].draft  # a map seen as one position is one all the same
    raise Unsupported(
        "the output comes in an order that no permutation of its axes undoes", REORDERED
    )


def _borders(parts: Cut) -> list[Diagnostic]:
    """A folded network has one stream in, and one out."""
    found = []
    for values, what in ((parts.entries, "take"), (parts.exits, "give")):
        if len(values) != 1:
            names = ", ".join(f"'{value.name}'" for value in values) or "none"
            text = f"a folded network {what}s one tensor of integers, not {len(values)}: {names}"
            found.append(Diagnostic(CODE, text, help="compile with --target cpu, or change it"))
    return found


def _heard(found: list[Diagnostic], ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Unsupported as error:
        found.append(_plain(error))
        return None


def _plain(error: Unsupported) -> Diagnostic:
    return Diagnostic(coded(error), error.reason, help=error.help)
