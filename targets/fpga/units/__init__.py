"""Activation units: every fixed-point form as a module with ports x and y."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actc.approx.bipartite import BipartiteTable
from actc.approx.compressed_table import CompressedTable
from actc.approx.dyadic import SegmentTree
from actc.approx.fixed_polynomial import IntegerPolynomial
from actc.approx.fixed_table import FixedTable
from actc.approx.gates import MAX_INPUT_BITS, FixedForm
from actc.approx.signed_digits import IntegerPiecewiseLinear
from actc.approx.thresholds import Thresholds
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.hdl import Module, Output, Range, Wire, write_verilog
from actc.targets.fpga.units.lines import integer_lines, segment_tree
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.polynomials import integer_polynomial
from actc.targets.fpga.units.ports import input_port
from actc.targets.fpga.units.tables import bipartite_table, compressed_table, fixed_table
from actc.targets.fpga.units.thresholds import thresholds

__all__ = ["UnitOptions", "unit_module", "unit_verilog"]

_BUILDERS: dict[type[Any], Callable[[Any, Wire, UnitOptions], Wire]] = {
    FixedTable: fixed_table,
    CompressedTable: compressed_table,
    BipartiteTable: bipartite_table,
    Thresholds: thresholds,
    IntegerPiecewiseLinear: integer_lines,
    SegmentTree: segment_tree,
    IntegerPolynomial: integer_polynomial,
}
_DEFAULT = UnitOptions()


def unit_module(
    form: FixedForm,
    name: str,
    options: UnitOptions = _DEFAULT,
    *,
    header: Sequence[str] = (),
) -> Module:
    """A unit that computes ``y = form.evaluate(x)`` on two's complement codes.

    Ports: ``x``, as wide as the input format, and ``y``, as wide as the output format.
    Combinational, or with :attr:`UnitOptions.lookup` "memory" of latency 1 with ``clk``.

    Args:
        name: written as :func:`~actc.targets.fpga.hdl.module_identifier` makes it legal.
        header: lines that introduce the Verilog, besides form and formats.

    Raises:
        UsageError: ACT0521, there is no unit for the form; ACT0522, its outputs leave
            the output format.
    """
    builder = _BUILDERS.get(type(form))
    if builder is None or form.input.bits > MAX_INPUT_BITS:
        raise UsageError(_no_unit(form))
    outputs = form.evaluate(form.input.codes())
    low, high = int(outputs.min()), int(outputs.max())
    if low < form.output.low or high > form.output.high:
        raise UsageError(_leaves_format(form, low, high))
    x = input_port(form.input)
    y = builder(form, x, options).bits(0, form.output.bits, signed=form.output.signed)
    if options.lookup == "logic":  # registers hold something else before the first clock
        y = y.narrow(Range(low, high), "the form's outputs, all enumerated")
    comments = (
        *header,
        f"{name}: {form.to_json()['form']}, {form.storage_bits} bits of constants",
        f"x: {form.input}, real value = x / 2**{form.input.fraction}",
        f"y: {form.output}, real value = y / 2**{form.output.fraction}",
    )
    return Module(name, (x,), (Output("y", y, form.output.bits),), comments)


def unit_verilog(
    form: FixedForm,
    name: str,
    options: UnitOptions = _DEFAULT,
    *,
    header: Sequence[str] = (),
) -> str:
    """The Verilog-2005 of :func:`unit_module`; equal arguments, equal bytes."""
    return write_verilog(unit_module(form, name, options, header=header))


def _no_unit(form: FixedForm) -> Diagnostic:
    return Diagnostic(
        "ACT0521",
        f"there is no hardware unit for a {type(form).__name__} of {form.input}",
        notes=(
            f"forms with units: {', '.join(kind.__name__ for kind in _BUILDERS)}",
            f"inputs have at most {MAX_INPUT_BITS} bits",
        ),
        help="fit one of these forms",
    )


def _leaves_format(form: FixedForm, low: int, high: int) -> Diagnostic:
    return Diagnostic(
        "ACT0522",
        f"the outputs {low}..{high} of a {type(form).__name__} leave its format {form.output}",
        notes=("units do not saturate: fits keep every output within the format",),
        help="choose an output format that holds all outputs, or fit the form again",
    )
