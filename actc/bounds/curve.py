"""A scalar function over a range, enclosed cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.bounds.affine import SLACK
from actc.bounds.interval import Span, add, argument, constant, negate
from actc.bounds.operators import RULES, NotEnclosed
from actc.ir import graph as ir_graph
from actc.ir.elementwise import attributes_of
from actc.ir.sites import SiteFunction

Array = np.ndarray[Any, Any]

_CELLS = 4096
_FEWEST = 256
_ROWS = 256
"""Numbers whose cells are looked at together."""


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function, or one per channel, that can be enclosed.

    Attributes:
        enclose: cells (low, high), [n] each -> a span of arrays [channels, n], or
            broadcastable to that.
        channels: number of functions.
    """

    enclose: Callable[[Array, Array], Span]
    channels: int = 1


IDENTITY = Function(argument)


def site_function(function: SiteFunction) -> Function:
    """The function of an activation site.

    Raises:
        NotEnclosed: it holds an operator that has no enclosure.
    """
    nodes = list(function.body)
    for node in nodes:
        if node.op_type != "Constant" and (node.domain or node.op_type not in RULES):
            raise NotEnclosed(f"the operator {node.op_type}")

    def enclose(low: Array, high: Array) -> Span:
        known: dict[ir.Value, Span] = {function.body.inputs[0]: argument(low, high)}
        for node in nodes:
            if node.op_type == "Constant":
                continue
            operands = [None if v is None else _operand(v, known, function) for v in node.inputs]
            known[node.outputs[0]] = RULES[node.op_type](operands, attributes_of(node))
        return known[function.body.outputs[0]]

    return Function(enclose, function.channels)


def _operand(value: ir.Value, known: dict[ir.Value, Span], function: SiteFunction) -> Span:
    if value in known:
        return known[value]
    array = ir_graph.constant(value)
    if array is None:
        raise NotEnclosed(f"the value {value.name}")
    if array.size == 1:
        return constant(array.reshape(-1))
    if array.size != function.channels:
        raise NotEnclosed(f"the constant {value.name}")
    return constant(array.reshape(-1, 1))


class Extremes:
    """Largest entries of any run of cells: a sparse table (Bender, Farach-Colton, 2000).

    Args:
        values: [channels, n].
    """

    def __init__(self, values: Array) -> None:
        self._levels = [values]
        step = 1
        while 2 * step <= values.shape[1]:
            last = self._levels[-1]
            self._levels.append(np.maximum(last[:, : last.shape[1] - step], last[:, step:]))
            step *= 2

    def largest(self, channel: Array, first: Array, last: Array) -> Array:
        """Maximum over cells first..last (both inside), elementwise."""
        level = np.log2(last - first + 1).astype(int)
        found = np.empty(first.shape)
        for k in np.unique(level):
            here, table = level == k, self._levels[k]
            left, right = first[here], last[here] + 1 - (1 << k)
            found[here] = np.maximum(table[channel[here], left], table[channel[here], right])
        return found


class Curve:
    """Enclosures of a function on a range.

    Args:
        edges: where cells end, increasing, [n + 1].
        cells: enclosures on the cells, [channels, n] each.
        middle: enclosures at the middles of the cells.
        function: the function, for single points.
    """

    def __init__(self, edges: Array, cells: Span, middle: Span, function: Function) -> None:
        self._edges, self._function = edges, function
        self._low, self._high = edges[:-1], edges[1:]
        self._span, self._center = cells, middle
        self._tables = {
            "high": Extremes(cells.high),
            "low": Extremes(-cells.low),
            "steepest": Extremes(cells.steep[1]),
            "flattest": Extremes(-cells.steep[0]),
            "error": Extremes(cells.error),
        }
        jumps = np.cumsum(cells.jump, axis=1)
        self._jumps = np.concatenate([np.zeros((len(jumps), 1)), jumps], axis=1)

    @classmethod
    def of(cls, function: Function, low: float, high: float, ends: tuple[float, ...] = ()) -> Curve:
        """A function on [low, high], with cells that end at `ends` too.

        Raises:
            NotEnclosed: the function is not bounded there.
        """
        count = max(_FEWEST, _CELLS // function.channels)
        room = 1e-9 * (abs(low) + abs(high) + 1e-9)
        grid = np.linspace(low - room, high + room, count + 1)
        inside = [end for end in (0.0, *ends) if grid[0] < end < grid[-1]]
        edges = np.unique(np.concatenate([grid, inside]))
        cells = _enclosed(function, edges[:-1], edges[1:])
        if not (np.isfinite(cells.low).all() and np.isfinite(cells.high).all()):
            raise NotEnclosed(f"a function that is not bounded on [{low:g}, {high:g}]")
        middle = edges[:-1] / 2 + edges[1:] / 2
        return cls(edges, cells, _enclosed(function, middle, middle), function)

    def clamped(self, first: float, last: float) -> Curve:
        """f(x clamped to [first, last]); both ends are ends of cells, or outside."""
        left, right = self._at(first), self._at(last)

        def flat(span: Span) -> Span:
            return self._joined(span, (first, left), (last, right))

        return Curve(self._edges, flat(self._span), flat(self._center), self._function)

    def lost(self, first: float, last: float) -> Curve:
        """f(x clamped to [first, last]) - f(x); ends as for `clamped`."""
        left, right = self._at(first), self._at(last)

        def away(span: Span) -> Span:
            other = negate(replace(span, error=np.zeros_like(span.error)))
            parts = [replace(add(end, other), error=other.error) for end in (left, right)]
            zero = constant(np.zeros_like(span.low))
            return self._joined(zero, (first, parts[0]), (last, parts[1]))

        return Curve(self._edges, away(self._span), away(self._center), self._function)

    def _at(self, x: float) -> Span:
        point = np.array([x])
        found = _enclosed(self._function, point, point)
        zero = np.zeros_like(found.low)  # nothing changes at a point, and it is real
        return replace(found, steep=(zero, zero), jump=zero, error=zero)

    def _joined(self, inner: Span, left: tuple[float, Span], right: tuple[float, Span]) -> Span:
        """`inner` on the cells between two ends, other enclosures beyond them."""
        before, behind = self._high <= left[0], self._low >= right[0]

        def pick(x: Array, a: Array, b: Array) -> Array:
            return np.where(before, a, np.where(behind, b, x))

        spans = inner, left[1], right[1]
        steep = [pick(*(span.steep[side] for span in spans)) for side in (0, 1)]
        low, high, jump, error = (
            pick(*(getattr(span, part) for span in spans))
            for part in ("low", "high", "jump", "error")
        )
        return Span(low, high, (steep[0], steep[1]), jump, error)

    def at(self, x: Array) -> tuple[Array, Array]:
        """Enclosure of the function at points [n]: lower and upper bounds, [channels, n]."""
        found = _enclosed(self._function, x, x)
        return found.low, found.high

    def chord(self, channel: Array, low: Array, high: Array) -> Array:
        """Slope of the line through both ends, about."""
        ends = self.range(channel, low, low), self.range(channel, high, high)
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = (ends[1][0] - ends[0][0]) / (high - low)
        return np.where(np.isfinite(slope), slope, 0.0)

    def _cells(self, low: Array, high: Array) -> tuple[Array, Array]:
        first = np.searchsorted(self._edges, low, side="right") - 1
        last = np.searchsorted(self._edges, high, side="left") - 1
        first = np.clip(first, 0, len(self._low) - 1)
        return first, np.clip(last, first, len(self._low) - 1)

    def range(self, channel: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """Range of the function on [low, high], elementwise."""
        cells = self._cells(low, high)
        largest = self._tables["high"].largest(channel, *cells)
        return -self._tables["low"].largest(channel, *cells), largest

    def slopes(self, channel: Array, low: Array, high: Array) -> tuple[Array, Array, Array]:
        """Least and largest slope on [low, high], and the sum of all jumps."""
        first, last = self._cells(low, high)
        steepest = self._tables["steepest"].largest(channel, first, last)
        flattest = -self._tables["flattest"].largest(channel, first, last)
        jumps = self._jumps[channel, last + 1] - self._jumps[channel, first]
        # A difference of two running sums: their rounding is a part of the second.
        slack = np.where(jumps > 0, SLACK * self._jumps[channel, last + 1], 0.0)
        return flattest, steepest, jumps + slack

    def error(self, channel: Array, low: Array, high: Array) -> Array:
        """Largest float32 error on [low, high]."""
        return self._tables["error"].largest(channel, *self._cells(low, high))

    def residual(
        self, channel: Array, low: Array, high: Array, slope: Array
    ) -> tuple[Array, Array]:
        """Range of f(x) - slope * x on [low, high], elementwise."""
        bottom, top = np.empty_like(low), np.empty_like(low)
        for start in range(0, len(low), _ROWS):
            part = slice(start, start + _ROWS)
            ends = self._residual(channel[part], low[part], high[part], slope[part])
            bottom[part], top[part] = ends
        return bottom, top

    def _residual(
        self, channel: Array, low: Array, high: Array, slope: Array
    ) -> tuple[Array, Array]:
        first, last = self._cells(low, high)
        window = slice(int(first.min()), int(last.max()) + 1)
        span, center = self._span, self._center

        def rows(array: Array) -> Array:
            return np.asarray(array[channel, window])

        cells = np.arange(window.start, window.stop)
        outside = (cells < first[:, None]) | (cells > last[:, None])
        factor = slope[:, None]
        middle = self._low[window] / 2 + self._high[window] / 2
        width = (self._high[window] - self._low[window]) / 2 * (1 + SLACK)
        turn = np.maximum(
            np.abs(rows(span.steep[0]) - factor), np.abs(rows(span.steep[1]) - factor)
        )
        away = turn * width + rows(span.jump)
        line = factor * middle
        ends = factor * self._low[window], factor * self._high[window]
        size = np.abs(line) + np.abs(factor) * width
        top = np.minimum(rows(center.high) - line + away, rows(span.high) - np.minimum(*ends))
        bottom = np.maximum(rows(center.low) - line - away, rows(span.low) - np.maximum(*ends))
        slack = SLACK * (size + np.maximum(np.abs(top), np.abs(bottom))) + 1e-290
        return (
            np.where(outside, np.inf, bottom - slack).min(axis=1),
            np.where(outside, -np.inf, top + slack).max(axis=1),
        )


def _enclosed(function: Function, low: Array, high: Array) -> Span:
    span, shape = function.enclose(low, high), (function.channels, len(low))
    bottom, top, jump, error, *steep = (
        np.broadcast_to(part, shape)
        for part in (span.low, span.high, span.jump, span.error, *span.steep)
    )
    return Span(bottom, top, (steep[0], steep[1]), jump, error)
