"""What the operators of a prepared module have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from actc.ir.formats import parameters_of
from actc.ir.graph import constant
from actc.torch.functions import few_bit_lookup, lookup
from actc.torch.gradients import Gradients, TableGradient, few_levels, slopes

Array = np.ndarray[Any, Any]
Operator = Callable[..., Any]
"""Tensors of a node's inputs (None for an absent one) -> one tensor, or a tuple of them."""
Maker = Callable[[ir.Node, Gradients], Operator]


class NotSupported(Exception):
    """A node that a prepared module cannot compute; the text says why."""


def known(node: ir.Node, index: int) -> Array:
    """The constant input `index` of a node.

    Raises:
        NotSupported: it is no constant.
    """
    array = constant(node.inputs[index])
    if array is None:
        raise NotSupported(f"its input '{getattr(node.inputs[index], 'name', None)}' varies")
    return array


def number(node: ir.Node, index: int) -> int:
    """The constant integer that input `index` of a node is."""
    return int(known(node, index))


def integers(node: ir.Node, name: str, default: list[int] | None = None) -> list[int]:
    """An attribute of integers, or of one."""
    given = node.attributes.get(name)
    if given is None:
        if default is None:
            raise NotSupported(f"it has no attribute '{name}'")
        return default
    return [given.as_int()] if given.type == ir.AttributeType.INT else list(given.as_ints())


def integer(node: ir.Node, name: str, default: int | None = None) -> int:
    """An attribute that is one integer."""
    return integers(node, name, None if default is None else [default])[0]


def is_code(value: ir.Value | None) -> bool:
    """Whether a value is an integer or a boolean."""
    dtype = None if value is None else value.dtype
    return dtype is not None and (dtype.is_integer() or dtype == ir.DataType.BOOL)


class Lookup(nn.Module):
    """table[x], with the chosen gradient for x.

    Args:
        table: [n], integers.
        slope: float64 [n].
        gradients: FEW_BIT keeps few bits for the way back.
    """

    table: Tensor
    slope: Tensor
    level: Tensor
    values: Tensor

    def __init__(self, table: Array, slope: Array, gradients: Gradients) -> None:
        super().__init__()
        self.bits = gradients.bits if gradients.tables is TableGradient.FEW_BIT else 0
        self.register_buffer("table", torch.from_numpy(table.astype(np.float64)), False)
        if self.bits:
            level, values = few_levels(slope, self.bits)
            self.register_buffer("level", torch.from_numpy(level), False)
            self.register_buffer("values", torch.from_numpy(values), False)
        else:
            self.register_buffer("slope", torch.from_numpy(slope), False)

    def forward(self, x: Tensor, *constants: Tensor) -> Tensor:
        """Look integers up; what else the node takes is constant and known already."""
        if self.bits:
            return few_bit_lookup(x, self.table, self.level, self.values, self.bits)
        return lookup(x, self.table, self.slope)


def used_codes(value: ir.Value | None, entries: int) -> tuple[int, int]:
    """The first and last code that a value takes, among the `entries` of a table."""
    parameters = None if value is None else parameters_of(value)
    if parameters is None:
        return 0, entries - 1
    return min(parameters.low, entries - 1), min(parameters.high, entries - 1)


def identity_slope(x: ir.Value | None, y: ir.Value | None) -> float | None:
    """Steps of `y` per step of `x` when both are the same real number; None: not known."""
    formats = [None if value is None else parameters_of(value) for value in (x, y)]
    if formats[0] is None or formats[1] is None:
        return None
    return formats[0].scale / formats[1].scale


def table_slopes(node: ir.Node, table: Array, gradients: Gradients) -> Array:
    """The gradient of a table that maps the codes of a node's first input to its output's."""
    x, y = node.inputs[0], node.outputs[0]
    return slopes(table, used_codes(x, len(table)), gradients, identity_slope(x, y))
