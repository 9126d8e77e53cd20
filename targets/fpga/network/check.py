"""Whether a golden model can be unrolled: everything that is wrong, before any work."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.golden import problems
from actc.ir.graph import is_op
from actc.targets.fpga.network.boundary import Cut, cut
from actc.targets.fpga.network.builder import Rehearsal, Unsupported
from actc.targets.fpga.network.enter import enter
from actc.targets.fpga.network.interface import entries_of, results_of, unread
from actc.targets.fpga.network.lower import RULES, key_of, lower
from actc.targets.fpga.network.options import NetworkOptions
from actc.targets.fpga.network.rewrite import prepared
from actc.targets.fpga.network.size import size_of, with_fewer_bits

_SHOWN = 5
"""Layers that are named when a network is too large."""
_NO_FORM = "compile the model with --target cpu or onnx, which run it, or change the layer"
_SOFTMAX = "a softmax can only end the network: its division is the host's"
_SHARES = "its division is the host's, without --end probabilities"
_RECURRENT = "a recurrent layer takes its steps one after the other"
_NORM = "it divides by what it computes from the sample"
_REASONS = {
    "DequantizeLinear": "it turns integers into floats inside the network",
    "IntDivide": _NORM,
    "IntGru": _RECURRENT,
    "IntGruResetBefore": _RECURRENT,
    "IntLayerNorm": _NORM,
    "IntLogSoftmax": "a log-softmax can only end the network: its logarithm is the host's",
    "IntLstm": _RECURRENT,
    "IntMaskedSoftmax": _SOFTMAX,
    "IntProbabilities": _SHARES,
    "IntRmsNorm": _NORM,
    "IntRnn": _RECURRENT,
    "IntSoftmax": _SOFTMAX,
    "QuantizeLinear": "it quantizes what the network computes in float",
}
"""Operators that are refused in this place."""


def check_network(golden: ir.Model, options: NetworkOptions | None = None) -> list[Diagnostic]:
    """All reasons why a golden model cannot be unrolled; empty when it can.

    Args:
        golden: see docs/internals.md.
        options: as for building.
    """
    options = options or NetworkOptions()
    found = [_at(node, f"this is no golden model: {text}") for node, text in problems(golden)]
    if found:
        return found
    model = prepared(golden, options.end == "outputs")
    parts = cut(model)
    found, size = [*_operators(parts)], [*_size(parts, options)]
    borders = [*_borders(model, parts, ends=not found)]
    if not size and not borders:
        found += _rehearsed(parts, options)
    return [*found, *borders, *size]


def _operators(parts: Cut) -> Iterator[Diagnostic]:
    refused: set[ir.Node | None] = set()
    for node in parts.nodes:
        if key_of(node) in RULES:
            continue
        refused.add(node)
        back = is_op(node, "QuantizeLinear", "DequantizeLinear")
        source = node.inputs[0] if node.inputs else None
        if back and source is not None and source.producer() in refused:
            continue  # what is behind a refused operator goes with it
        reason = _REASONS.get(node.op_type, "it has no form as wires of single elements")
        text = f"operator {node.op_type} cannot be unrolled: {reason}"
        yield _at(node, text, _NO_FORM)


def _borders(model: ir.Model, parts: Cut, *, ends: bool) -> Iterator[Diagnostic]:
    """What enters the hardware, and what leaves it unless operators are to blame for that."""
    checks: list[Callable[[], object]] = [lambda: entries_of(parts)]
    if ends:
        checks.append(lambda: results_of(model, parts))
    for check in checks:
        try:
            check()
        except Unsupported as error:
            yield Diagnostic(error.code, error.reason, help=error.help)
    for problem in unread(model, parts):
        yield Diagnostic(problem.code, problem.reason, help=problem.help)


def _size(parts: Cut, options: NetworkOptions) -> Iterator[Diagnostic]:
    """Whether the network takes more than it may, and where."""
    size = size_of(parts.nodes)
    if size.total <= options.limit:
        return
    largest = list(size.layers.items())[:_SHOWN]
    fewer = with_fewer_bits(size, size.total, options.limit)
    yield Diagnostic(
        "ACT0552",
        f"unrolled, the network takes about {size.total:,} bits of adders, of at most "
        f"{options.limit:,}",
        notes=(
            *(f"layer '{name}': about {bits:,}" for name, bits in largest if bits),
            *filter(None, [fewer]),
        ),
        help="use fewer channels or positions, fewer bits (--weights, --activations), or a "
        "larger FPGA (`actc targets`)",
    )


def _rehearsed(parts: Cut, options: NetworkOptions) -> list[Diagnostic]:
    """What the rules refuse, as far as the operators in front have any."""
    builder = Rehearsal(options)
    for entry, value in zip(entries_of(parts), parts.entries, strict=True):
        enter(builder, entry, value)
    return lower(builder, parts)


def _at(node: ir.Node, message: str, help: str = "", code: str = "ACT0550") -> Diagnostic:
    return Diagnostic(code, message, place=Place(node=str(node.name), op=node.op_type), help=help)
