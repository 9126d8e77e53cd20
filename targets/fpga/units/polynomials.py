"""Units of piecewise polynomials: ``y = (c + a_1 t + a_2 u_2 + ...) >> shift``."""

from __future__ import annotations

import numpy as np

from actc.approx.fixed_point import Codes
from actc.approx.fixed_polynomial import IntegerPolynomial
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.arithmetic import product, square
from actc.targets.fpga.units.datapath import Product, rounded_sum
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.ports import delayed, position
from actc.targets.fpga.units.selectors import BitTree, Selector, selected


def integer_polynomial(form: IntegerPolynomial, x: Wire, options: UnitOptions) -> Wire:
    """Leaves found by the first bits; one squarer, and one multiplier for cubes."""
    i = position(x, form.input)
    tree = BitTree(i, form.starts.tolist(), form.input.bits)
    return selected(tree, options, lambda kept: _polynomial(form, i, kept, options))


def _polynomial(form: IntegerPolynomial, i: Wire, selector: Selector, options: UnitOptions) -> Wire:
    starts = form.starts.tolist()
    columns = form.coefficients[:, 1:].T.tolist()
    # leaves where the polynomial is constant do not care for t
    sizes = [
        form.input.bits - depth if any(row) else 0
        for depth, row in zip(form.depths.tolist(), form.coefficients[:, 1:].tolist(), strict=True)
    ]
    t, values = _coordinate(form, i, sizes, selector, options)
    products = []
    operand, power = t, values
    for degree, column in enumerate(columns, 1):
        if degree > 1:
            operand, power = _raised(operand, t, degree, options), power * values
        cut = form.truncations[degree - 2] if degree > 1 else 0
        if any(column):
            part = (operand >> cut).named(f"u_{degree}" if degree > 1 else "t")
            products.append(Product(part, power >> cut, column))
    outputs = form.evaluate(form.input.codes())
    return rounded_sum(products, starts, outputs, form.shift, selector, options)


def _raised(power: Wire, t: Wire, degree: int, options: UnitOptions) -> Wire:
    """The next power of t."""
    if options.multiplier == "multiply":
        return power * t
    return square(t) if degree == 2 else product(power, t)


def _coordinate(
    form: IntegerPolynomial, i: Wire, sizes: list[int], selector: Selector, options: UnitOptions
) -> tuple[Wire, Codes]:
    """t and its value at each position: low bits of i, those above the leaf's own cleared."""
    graph = i.graph
    bits = []
    values = np.zeros(form.input.count, np.int64)
    positions = np.arange(form.input.count)
    lengths = form.input.count >> form.depths
    low = delayed(i.bits(0, max(*sizes, 1)), options)
    for bit in reversed(range(max(sizes))):
        # where t does not matter, keeping a bit is as good as clearing it
        kept = [size > bit or size == 0 for size in sizes]
        keep = selector.pick([int(flag) for flag in kept]).named(f"keep_{bit}")
        bits.append((low.bits(bit, 1) & keep, 1))
        values |= (positions & (1 << bit)) * np.repeat(kept, lengths)
    if not bits:
        return graph.constant(0), values
    return graph.concatenate(*bits).named("t"), values
