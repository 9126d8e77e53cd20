"""Which operators of a QDQ model run on integers: the fastest choice, exactly.

Each operator runs in float or on codes; a value between operators of different kinds
is quantized or dequantized once, however many operators read it, and an image between
convolutions of different kinds changes its layout. The sum of these times is smallest at a
minimum cut (Picard and Ratliff 1975, "Minimum cuts and related problems"): the source side
runs on codes, the sink side in float.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from actc.ir.graph import constant, dims, is_op
from actc.targets.onnx.capability import MOVES
from actc.targets.onnx.channels_last import can_pool_channels_last
from actc.targets.onnx.layout import Path, is_channels_last, paths
from actc.targets.onnx.times import (
    BATCHES,
    CALL,
    Times,
    dequantizing,
    quantizing,
    reordering,
    times_of,
)

MARGIN = 1.1
"""An operator leaves float only for a gain of more than a tenth of its time: the modelled
times are not that exact, and float is the more accurate."""
_LARGEST = 2**30
"""Capacities are int32; the sum of all finite ones stays below half of this."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Times of the parts of a call, in any unit.

    Attributes:
        nodes: each operator, in float and on codes.
        quantize: each value, to codes.
        dequantize: each value, to float.
        reorder: each image of `layout.paths`, to another layout.
    """

    nodes: Mapping[ir.Node, Times]
    quantize: Mapping[ir.Value, float]
    dequantize: Mapping[ir.Value, float]
    reorder: Mapping[ir.Value, float]


@dataclass(frozen=True, slots=True)
class Modelled:
    """Modelled nanoseconds of one call.

    Attributes:
        batch: size of the first axis; None: the model has no open one.
        chosen: of the placement.
        all_float: with no operator on codes.
        all_codes: with every operator on codes that can be.
    """

    batch: int | None
    chosen: float
    all_float: float
    all_codes: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Operators on integers, and the modelled times of a call.

    Attributes:
        codes: the operators that run on codes.
        operators: number of operators in all.
        times: for one sample and a batch, where the first axis is open.
    """

    codes: frozenset[ir.Node]
    operators: int
    times: tuple[Modelled, ...]


def place(model: ir.Model, able: Collection[ir.Node]) -> Placement:
    """Choose the operators that run on codes so that a call takes least time.

    Where the batch is open, the mean over BATCHES of the times relative to float.

    Args:
        able: the operators that can run on codes.

    Ties go to float.
    """
    graph = model.graph
    batches = BATCHES if _has_open_batch(graph) else BATCHES[:1]
    costs = [costs_of(model, able, batch) for batch in batches]
    real = [CALL + time_of(graph, (), each) for each in costs]
    chosen = _that_compute(choose(graph, able, _mean(costs, real)))
    times = tuple(
        Modelled(
            batch if len(batches) > 1 else None,
            CALL + time_of(graph, chosen, each),
            base,
            CALL + time_of(graph, able, each),
        )
        for batch, each, base in zip(batches, costs, real, strict=True)
    )
    return Placement(chosen, len(graph), times)


def _that_compute(chosen: frozenset[ir.Node]) -> frozenset[ir.Node]:
    """`chosen` less the operators on codes that only move them, from quantizer to dequantizer:
    moving bytes gains little, and rounding to them is not worth it."""
    kept, left = set[ir.Node](), set(chosen)
    while left:
        region, ends = set[ir.Node](), [left.pop()]
        while ends:
            node = ends.pop()
            region.add(node)
            makers = (v.producer() for v in node.inputs if v is not None)
            readers = (use.node for v in node.outputs for use in v.uses())
            found = left.intersection([*makers, *readers])
            ends += found
            left -= found
        if any(node.op_type not in MOVES for node in region):
            kept |= region
    return frozenset(kept)


def choose(graph: ir.Graph, able: Collection[ir.Node], costs: Costs) -> frozenset[ir.Node]:
    """The operators on codes of least time, each counted MARGIN times on codes."""
    nodes = list(graph)
    flows = _Flows(nodes)
    for node in nodes:
        flows.add(node, flows.sink, MARGIN * costs.nodes[node].codes)
        flows.add(flows.source, node, costs.nodes[node].real)
    for value in _values(graph):
        _add_value(flows, value, able, costs)
    for path in paths(graph):
        _add_path(flows, path, able, costs.reorder[path.value])
    return frozenset(flows.source_side(nodes))


def time_of(graph: ir.Graph, codes: Collection[ir.Node], costs: Costs) -> float:
    """Time of a call with the operators `codes` on codes."""
    chosen = set(codes)
    sums = sum(t.codes if node in chosen else t.real for node, t in costs.nodes.items())
    for value in _values(graph):
        users, coded = _users(value), value.producer() in chosen
        if not coded and any(user in chosen for user in users):
            sums += costs.quantize[value]
        if coded and (value.is_graph_output() or any(user not in chosen for user in users)):
            sums += costs.dequantize[value]
    for path in paths(graph):
        last = path.source in chosen
        if (last and path.ends) or any((node in chosen) != last for node in path.readers):
            sums += costs.reorder[path.value]
    return sums


def costs_of(model: ir.Model, able: Collection[ir.Node], batch: int) -> Costs:
    """Modelled nanoseconds; an operator that is not able takes forever on codes."""
    values = _values(model.graph)
    return Costs(
        {node: _times(model, node, able, batch) for node in model.graph},
        {value: quantizing(value, batch) for value in values},
        {value: dequantizing(value, batch) for value in values},
        {path.value: _reordering(path, batch) for path in paths(model.graph)},
    )


def _reordering(path: Path, batch: int) -> float:
    """Nothing where the only reader, a pooling, can be written for the codes' layout."""
    kept = not path.ends and len(path.readers) == 1 and can_pool_channels_last(path.readers[0])
    return 0.0 if kept else reordering(path.value, batch)


def _mean(costs: list[Costs], bases: list[float]) -> Costs:
    """The sum of costs, each divided by its base."""
    weights = [1 / max(base, 1.0) for base in bases]
    parts = list(zip(weights, costs, strict=True))
    first = costs[0]
    return Costs(
        {
            node: Times(
                sum(w * c.nodes[node].real for w, c in parts),
                sum(w * c.nodes[node].codes for w, c in parts),
            )
            for node in first.nodes
        },
        {value: sum(w * c.quantize[value] for w, c in parts) for value in first.quantize},
        {value: sum(w * c.dequantize[value] for w, c in parts) for value in first.dequantize},
        {value: sum(w * c.reorder[value] for w, c in parts) for value in first.reorder},
    )


def _has_open_batch(graph: ir.Graph) -> bool:
    shapes = [dims(value) for value in graph.inputs]
    return any(shape is None or (shape and (shape[0] is None or shape[0] < 0)) for shape in shapes)


def _times(model: ir.Model, node: ir.Node, able: Collection[ir.Node], batch: int) -> Times:
    body = model.functions.get(node.op_identifier())
    last = is_op(node, "MaxPool", "AveragePool") and is_channels_last(node)
    times = times_of(node, last, 1 if body is None else len(body), batch)
    return times if node in able else Times(times.real, math.inf)


def _values(graph: ir.Graph) -> list[ir.Value]:
    """Values that operators read, other than constants."""
    values = [*graph.inputs, *(v for node in graph for v in node.outputs)]
    return [v for v in values if (_users(v) or v.is_graph_output()) and constant(v) is None]


def _users(value: ir.Value) -> list[ir.Node]:
    return list(dict.fromkeys(use.node for use in value.uses()))


def _leaves(value: ir.Value) -> bool:
    """Whether the caller or control flow reads a value, in float."""
    return value.is_graph_output() or any(u.graph is not value.graph for u in _users(value))


def _add_value(flows: _Flows, value: ir.Value, able: Collection[ir.Node], costs: Costs) -> None:
    """A value is converted once, however many operators read it."""
    producer = value.producer()
    users = [user for user in _users(value) if user.graph is value.graph]
    takers = [user for user in users if user in able]
    maker = flows.sink if producer is None else producer
    flows.add_once(takers, [maker], costs.quantize[value])
    if producer is not None and producer in able:
        ends = [flows.sink] if _leaves(value) else []
        flows.add_once([producer], [*users, *ends], costs.dequantize[value])


def _add_path(flows: _Flows, path: Path, able: Collection[ir.Node], cost: float) -> None:
    """A layout is changed once: to that of codes, or back."""
    takers = [node for node in path.readers if node in able]
    flows.add_once(takers, [flows.sink if path.source is None else path.source], cost)
    if path.source is not None and path.source in able:
        ends = [flows.sink] if path.ends else []
        flows.add_once([path.source], [*path.readers, *ends], cost)


class _Flows:
    """A network: nodes of the graph, auxiliary ones, source and sink."""

    source, sink = "source", "sink"

    def __init__(self, nodes: list[ir.Node]) -> None:
        self._ids: dict[ir.Node | str, int] = {self.source: 0, self.sink: 1}
        for node in nodes:
            self._ids[node] = len(self._ids)
        self._edges: list[tuple[int, int, float]] = []

    def add_once(
        self,
        starts: Collection[ir.Node | str],
        ends: Collection[ir.Node | str],
        capacity: float,
    ) -> None:
        """It costs `capacity` if any of `starts` is on the source side and any of `ends` not."""
        if not starts or not ends:
            return
        here, there = self._fresh(), self._fresh()
        for start in starts:
            self.add(start, here, math.inf)
        self.add(here, there, capacity)
        for end in ends:
            self.add(there, end, math.inf)

    def _fresh(self) -> str:
        """A new auxiliary node."""
        name = f"auxiliary {len(self._ids)}"
        self._ids[name] = len(self._ids)
        return name

    def add(self, start: ir.Node | str, end: ir.Node | str, capacity: float) -> None:
        """Cutting start -> end (start on the source side, end not) costs `capacity`."""
        if capacity > 0:
            self._edges.append((self._ids[start], self._ids[end], capacity))

    def source_side(self, nodes: list[ir.Node]) -> list[ir.Node]:
        """Those of `nodes` on the source side of the smallest minimum cut."""
        finite = sum(capacity for _, _, capacity in self._edges if math.isfinite(capacity))
        unit = max(finite, np.finfo(np.float64).tiny) / (_LARGEST / 2)
        capacities = [min(round(c / unit), _LARGEST) if math.isfinite(c) else _LARGEST
                      for _, _, c in self._edges]  # fmt: skip
        rows, columns = [e[0] for e in self._edges], [e[1] for e in self._edges]
        size = len(self._ids)
        network = csr_array((np.array(capacities, np.int32), (rows, columns)), (size, size))
        flow = maximum_flow(network, 0, 1).flow
        residual = network - flow
        residual.eliminate_zeros()
        reached = set(breadth_first_order(residual, 0, return_predecessors=False).tolist())
        return [node for node in nodes if self._ids[node] in reached]
