"""Which operators of a QDQ model run on integers: the fastest choice, exactly.

Each operator runs in float or on codes; a value between operators of different kinds
is quantized or dequantized once, however many operators read it. The sum of these
times is smallest at a minimum cut (Picard and Ratliff 1975, "Minimum cuts and related
problems"): the source side runs on codes, the sink side in float.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from actc.ir.graph import constant, is_op
from actc.targets.onnx.times import (
    DEQUANTIZE,
    QUANTIZE,
    Times,
    crossing,
    times_of,
)

MARGIN = 1.1
"""An operator leaves float only for a gain of more than a tenth of its time: the modelled
times are not that exact, and float is the more accurate."""
_LARGEST = 2**30
"""Capacities are int32; the sum of all finite ones stays below half of this."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Operators on integers, and the modelled time of one call.

    Attributes:
        codes: the operators that run on codes.
        operators: number of operators in all.
        nanoseconds: of this placement.
        all_float: with no operator on codes.
        all_codes: with every operator on codes that can be.
    """

    codes: frozenset[ir.Node]
    operators: int
    nanoseconds: float
    all_float: float
    all_codes: float


def place(model: ir.Model, able: Collection[ir.Node]) -> Placement:
    """Choose the operators that run on codes so that a call takes least time.

    Args:
        able: the operators that can run on codes.

    Ties go to float.
    """
    graph, nodes = model.graph, list(model.graph)
    times = {node: _times(model, node, able) for node in nodes}
    flows = _Flows(nodes)
    for node in nodes:
        flows.add(node, flows.sink, MARGIN * times[node].codes)
        flows.add(flows.source, node, times[node].real)
    for value in _values(graph):
        _add_value(flows, value, able)
    chosen = frozenset(flows.source_side(nodes))

    def total(codes: frozenset[ir.Node]) -> float:
        return time_of(graph, codes, times)

    return Placement(chosen, len(nodes), total(chosen), total(frozenset()), total(frozenset(able)))


def time_of(graph: ir.Graph, codes: Iterable[ir.Node], times: Mapping[ir.Node, Times]) -> float:
    """Modelled nanoseconds of a call with the operators `codes` on codes."""
    chosen = set(codes)
    sums = sum(t.codes if node in chosen else t.real for node, t in times.items())
    for value in _values(graph):
        producer, users = value.producer(), _users(value)
        coded = producer in chosen
        if not coded and any(user in chosen for user in users):
            sums += crossing(value, QUANTIZE)
        if coded and (value.is_graph_output() or any(user not in chosen for user in users)):
            sums += _dequantize(value)
    return sums


def _times(model: ir.Model, node: ir.Node, able: Collection[ir.Node]) -> Times:
    source = node.inputs[0] if node.inputs else None
    producer = None if source is None else source.producer()
    while producer is not None and is_op(producer, "Relu", "Clip", "MaxPool"):
        previous = producer.inputs[0]
        producer = None if previous is None else previous.producer()
    body = model.functions.get(node.op_identifier())
    times = times_of(node, is_op(producer, "Conv"), 1 if body is None else len(body))
    return times if node in able else Times(times.real, math.inf)


def _values(graph: ir.Graph) -> list[ir.Value]:
    """Values that operators read, other than constants."""
    values = [*graph.inputs, *(v for node in graph for v in node.outputs)]
    return [v for v in values if (_users(v) or v.is_graph_output()) and constant(v) is None]


def _users(value: ir.Value) -> list[ir.Node]:
    return list(dict.fromkeys(use.node for use in value.uses()))


def _dequantize(value: ir.Value) -> float:
    """Nothing for a matrix product: it can write float itself."""
    producer = value.producer()
    return 0.0 if is_op(producer, "MatMul", "Gemm") else crossing(value, DEQUANTIZE)


def _add_value(flows: _Flows, value: ir.Value, able: Collection[ir.Node]) -> None:
    producer, users = value.producer(), _users(value)
    takers = [user for user in users if user in able]
    if takers:  # quantized once, if the producer is in float and any user on codes
        quantized = flows.fresh()
        for user in takers:
            flows.add(user, quantized, math.inf)
        flows.add(
            quantized, flows.sink if producer is None else producer, crossing(value, QUANTIZE)
        )
    if producer is not None and producer in able:
        dequantized = flows.fresh()
        flows.add(producer, dequantized, _dequantize(value))
        for user in users:
            flows.add(dequantized, user, math.inf)
        if value.is_graph_output():
            flows.add(dequantized, flows.sink, math.inf)


class _Flows:
    """A network: nodes of the graph, auxiliary ones, source and sink."""

    source, sink = "source", "sink"

    def __init__(self, nodes: list[ir.Node]) -> None:
        self._ids: dict[ir.Node | str, int] = {self.source: 0, self.sink: 1}
        for node in nodes:
            self._ids[node] = len(self._ids)
        self._edges: list[tuple[int, int, float]] = []

    def fresh(self) -> str:
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
        unit = max(finite / (_LARGEST / 2), 1e-3)
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
