"""The cells that each operator of a network takes, by the formats of its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.allocation.bytes import items_of
from actc.allocation.options import Choice, Table
from actc.cost import network
from actc.ir.dialect import DOMAIN
from actc.ir.formats import parameters_of
from actc.ir.graph import constant, is_op
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.linear import linear_bias
from actc.sensitivity import Formats
from actc.sensitivity.rounding import Rounding, roundings

Array = np.ndarray[Any, Any]

_BITS = 8
"""Of constant operands, and of inputs where the width of an accumulator is asked for."""
_CHANNELS = 8
"""Functions per channel that are looked at, evenly spread."""
SUMS = ("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum")
MAXIMA = ("MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin")


@dataclass(frozen=True, slots=True)
class Part:
    """What an operation takes.

    Attributes:
        name: of the node.
        what: "products", "requantization", "activation", "sum", "maximum".
        items: sites that decide: indices, one or two; empty: nothing does.
        cells: float64, an axis per site.
        forms: forms of an activation's unit, an axis per site; None for others.
    """

    name: str
    what: str
    items: tuple[int, ...]
    cells: Array
    forms: Array | None = None

    def of(self, chosen: Choice) -> float:
        """Logic cells in a choice."""
        return float(self.cells[tuple(chosen[i] for i in self.items)])

    def form(self, chosen: Choice) -> str:
        """The form of the unit in a choice; "" where there is none."""
        return "" if self.forms is None else str(self.forms[tuple(chosen[i] for i in self.items)])


@dataclass(frozen=True, eq=False, slots=True)
class _Operand:
    """Something with a choice of bits: the site, and what each option of it is."""

    item: int | None
    options: Sequence[Any]


class Counter:
    """Counts the cells of a model's operators, for all options of a table.

    Args:
        table: the options.
        family: of FPGAs.
    """

    def __init__(self, table: Table, family: str) -> None:
        self._table, self._family = table, family
        self._model, self._context = table.candidates.model, table.candidates.context
        self._items = items_of(table)
        self._layers = {
            item.site.name: i for i, item in enumerate(table.items) if item.site.kind == "weights"
        }
        self._parts: list[Part] = []

    def parts(self) -> list[Part]:
        """All parts."""
        for node in self._model.graph:
            self._count(node)
        for rounding in roundings(self._model, self._context):
            if rounding.exact and rounding.value.producer() is not None:
                self._requantize(rounding)
        return self._parts

    def _count(self, node: ir.Node) -> None:
        if is_op(node, *MAXIMA):
            self._maximum(node)
        elif is_op(node, "Conv", "MatMul"):
            self._linear(node)
        elif is_op(node, "Activation", domain=DOMAIN):
            self._activation(node)
        elif is_op(node, "Add", "Sub", "Mul"):
            self._elementwise(node)
        elif is_op(node, *SUMS):
            self._sum(node)

    def _maximum(self, node: ir.Node) -> None:
        count = self._count_of(node.outputs[0])
        window = _window(node) or self._count_of(node.inputs[0]) / count
        x = self._tensor(node.inputs[0])
        times = count * max(window - 1, 0.0)
        self._add(node, "maximum", [x], lambda f: times * self._maximum_cells(f))

    def _maximum_cells(self, formats: Formats) -> float:
        return network.maximum_cells(formats.wide.bits, self._family)

    def _linear(self, node: ir.Node) -> None:
        x, layer = self._tensor(node.inputs[0]), self._layer(node)
        count = self._count_of(node.outputs[0])
        if layer is None:
            y = self._tensor(node.inputs[1])
            inner = node.inputs[0].shape[-1] if node.inputs[0] and node.inputs[0].shape else 1
            times = count * (inner if isinstance(inner, int) else 1)
            self._add(node, "products", [x, y], lambda a, b: times * self._product(a, b))
            return

        def cells(formats: Formats, codes: Array) -> float:
            one = network.matrix_cells(codes, formats.linear.bits, self._family)
            return one * count / len(codes)

        self._add(node, "products", [x, layer], cells)

    def _product(self, a: Formats, b: Formats) -> float:
        return network.product_cells(a.linear.bits, b.linear.bits, self._family)

    def _activation(self, node: ir.Node) -> None:
        site = self._context.sites[node.metadata_props["actc.site"]]
        if site.form in ("clamp", "rows"):
            return
        count = self._count_of(node.outputs[0])
        channels = site.function.channels
        looked = np.unique(np.linspace(0, channels - 1, min(channels, _CHANNELS)).astype(int))

        def unit(x: Formats, y: Formats) -> tuple[float, str]:
            found = [
                network.unit_cells(
                    _codes(site.function.channel(int(c)), x.wide, y.wide), y.wide.bits, self._family
                )
                for c in looked
            ]
            return count * float(np.mean([u.cells for u in found])), found[0].form

        operands = [self._tensor(node.inputs[0]), self._tensor(node.outputs[0])]
        self._add(node, "activation", operands, unit)

    def _elementwise(self, node: ir.Node) -> None:
        if is_op(node, "Add") and linear_bias(node) is not None:
            return  # a bias is one more constant in the sum
        count = self._count_of(node.outputs[0])
        operands = [self._tensor(v) for v in node.inputs if constant(v) is None]
        target = self._tensor(node.outputs[0])
        if is_op(node, "Mul"):
            pair = [*operands, _Operand(None, [None])][:2]

            def product(a: Formats, b: Formats | None) -> float:
                other = _BITS if b is None else b.wide.bits
                return count * network.product_cells(a.wide.bits, other, self._family)

            self._add(node, "products", pair, product)
            return
        for operand in operands:
            self._add(
                node,
                "requantization",
                [operand, target],
                lambda x, y: count * self._requantized(x.wide.bits, y.wide.bits),
            )
        self._add(
            node,
            "sum",
            [target],
            lambda y: count * network.add_cells([y.wide.bits + 2] * 2, self._family),
        )

    def _sum(self, node: ir.Node) -> None:
        count = self._count_of(node.outputs[0])
        window = round(_window(node) or self._count_of(node.inputs[0]) / count)

        def cells(x: Formats) -> float:
            return count * network.add_cells([x.linear.bits] * window, self._family)

        self._add(node, "sum", [self._tensor(node.inputs[0])], cells)

    def _requantize(self, rounding: Rounding) -> None:
        """From the accumulator of a value to its formats."""
        value = rounding.value
        count, node = self._count_of(value), value.producer()
        assert node is not None
        found = linear_bias(node) if is_op(node, "Add") else None
        layer = self._layer(found[0] if found is not None else node)

        def cells(y: Formats, codes: Array | None = None) -> float:
            width = 2 * y.wide.bits if codes is None else _accumulator_bits(codes)
            formats = [y.wide.bits] if rounding.wide or not rounding.linear else []
            if rounding.linear and (y.narrow is not None or not formats):
                formats.append(y.linear.bits)
            return count * sum(self._requantized(width, bits) for bits in formats)

        if not (rounding.wide or rounding.linear):
            return  # nothing needs its codes: an output is read as it is
        operands = [self._tensor(value), *([layer] if layer is not None else [])]
        self._add(node, "requantization", operands, cells)

    def _requantized(self, width: int, bits: int) -> float:
        return network.requantize_cells(width, bits, self._family)

    def _add(
        self,
        node: ir.Node,
        what: str,
        operands: Sequence[_Operand],
        cells: Callable[..., float | tuple[float, str]],
    ) -> None:
        """Evaluate a part in all options of its operands."""
        items = [o.item for o in operands if o.item is not None]
        if len(items) == 2 and items[0] == items[1]:
            both = list(zip(operands[0].options, operands[1].options, strict=True))
            one = [_Operand(operands[0].item, both)]
            self._put(node, what, one, lambda pair: cells(*pair))
            return
        self._put(node, what, operands, cells)

    def _put(
        self,
        node: ir.Node,
        what: str,
        operands: Sequence[_Operand],
        cells: Callable[..., float | tuple[float, str]],
    ) -> None:
        grid = np.indices([len(o.options) for o in operands]).reshape(len(operands), -1).T
        shape = [len(o.options) for o in operands if o.item is not None]
        found = [
            cells(*(o.options[i] for o, i in zip(operands, place, strict=True))) for place in grid
        ]
        forms = [one[1] for one in found if isinstance(one, tuple)]
        numbers = [one[0] if isinstance(one, tuple) else one for one in found]
        items = tuple(o.item for o in operands if o.item is not None)
        self._parts.append(
            Part(
                str(node.name),
                what,
                items,
                np.array(numbers, np.float64).reshape(shape),
                np.array(forms, object).reshape(shape) if forms else None,
            )
        )

    def _tensor(self, value: ir.Value | None) -> _Operand:
        """The formats of a value in each option of its site."""
        assert value is not None
        name = str(value.name)
        item = self._items.get(name)
        candidates = self._table.candidates
        if item is None or name not in candidates.formats[candidates.base]:
            parameters = parameters_of(value)
            fixed = parameters or QuantizationParameters.from_range(0.0, 1.0, bits=_BITS)
            return _Operand(None, [Formats(fixed)])
        options = self._table.items[item].options
        return _Operand(
            item, [candidates.formats[o.bits or candidates.base][name] for o in options]
        )

    def _layer(self, node: ir.Node | None) -> _Operand | None:
        """The codes of a layer in each option, [outputs, inputs]; None: it has no weights."""
        name = "" if node is None else str(node.name)
        item, candidates = self._layers.get(name), self._table.candidates
        if item is None or name not in {layer for layer, _ in candidates.made}:
            return None
        options = self._table.items[item].options
        self._table.prepare((item, o) for o in range(len(options)))
        codes = [candidates.weights_of(name, o.bits or "8").codes for o in options]
        return _Operand(item, [c.reshape(len(c), -1) for c in codes])

    def _count_of(self, value: ir.Value | None) -> float:
        """Elements per sample."""
        assert value is not None
        known: Mapping[str, float] = self._table.candidates.elements
        if value.name in known:
            return known[str(value.name)]
        shape = [d for d in list(value.shape or [])[1:] if isinstance(d, int)]
        return float(np.prod(shape)) if shape else 1.0


def _codes(
    function: Callable[[Array], Array], x: QuantizationParameters, y: QuantizationParameters
) -> Array:
    """Output codes of a function by input code, from 0 on, as golden's table has them."""
    with np.errstate(all="ignore"):
        real = np.nan_to_num(np.asarray(function(x.values()), np.float64), nan=0.0)
    return y.quantize(real).astype(np.int64).reshape(-1)


def _accumulator_bits(codes: Array) -> int:
    """Bits of the sums of a layer, with inputs of 8 bits."""
    largest: int = int(np.abs(codes.astype(np.int64)).sum(axis=1).max()) * (2**_BITS - 1)
    return largest.bit_length() + 1


def _window(node: ir.Node) -> float:
    """Elements of a pooling window; 0: the node does not say."""
    found = node.attributes.get("kernel_shape")
    return float(np.prod(found.as_ints())) if found is not None else 0.0
