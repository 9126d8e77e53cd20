"""Whether a golden model can be unrolled: everything that is wrong, before any work."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.golden import problems
from actc.targets.fpga.network.boundary import Cut, cut
from actc.targets.fpga.network.builder import Rehearsal, Unsupported
from actc.targets.fpga.network.enter import enter
from actc.targets.fpga.network.estimate import adder_bits
from actc.targets.fpga.network.interface import entries_of, results_of
from actc.targets.fpga.network.lower import RULES, key_of, lower, scope_of
from actc.targets.fpga.network.options import NetworkOptions
from actc.targets.fpga.network.rewrite import prepared

_SHOWN = 5
"""Layers that are named when a network is too large."""
_NO_FORM = "compile the model with --target cpu or onnx, which run it, or change the layer"
_REASONS = {
    "DequantizeLinear": "it turns integers into floats inside the network",
    "IntSoftmax": "a softmax can only end the network: its division is the host's",
    "IntLogSoftmax": "a log-softmax can only end the network: its logarithm is the host's",
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
    found = [*_operators(parts), *_borders(model, parts)]
    return found or [*_size(parts, options)] or _rehearsed(parts, options)


def _operators(parts: Cut) -> Iterator[Diagnostic]:
    for node in parts.nodes:
        if key_of(node) not in RULES:
            reason = _REASONS.get(node.op_type, "it has no form as wires of single elements")
            text = f"operator {node.op_type} cannot be unrolled: {reason}"
            yield _at(node, text, _NO_FORM)


def _borders(model: ir.Model, parts: Cut) -> Iterator[Diagnostic]:
    """What enters and leaves the hardware, unless operators are to blame for it."""
    if any(key_of(node) not in RULES for node in parts.nodes):
        return
    checks: tuple[Callable[[], object], ...] = (
        lambda: entries_of(parts),
        lambda: results_of(model, parts),
    )
    for check in checks:
        try:
            check()
        except Unsupported as error:
            yield Diagnostic(error.code, error.reason, help=error.help)


def _size(parts: Cut, options: NetworkOptions) -> Iterator[Diagnostic]:
    """Whether the network takes more than it may, and where."""
    layers: dict[str, int] = {}
    names: dict[ir.Value, str] = {}
    for node in parts.nodes:
        size = adder_bits(node)
        sources = [names[v] for v in node.inputs if v is not None and v in names]
        follows = bool(sources) and node.op_type in _FUNCTIONS
        name = sources[0] if follows else scope_of(node)
        names |= dict.fromkeys(node.outputs, name)
        layers[name] = layers.get(name, 0) + size
    total = sum(layers.values())
    if total <= options.limit:
        return
    largest = sorted(layers.items(), key=lambda item: -item[1])[:_SHOWN]
    yield Diagnostic(
        "ACT0552",
        f"unrolled, the network takes about {total:,} bits of adders, of at most {options.limit:,}",
        notes=tuple(f"layer '{name}': about {size:,}" for name, size in largest if size),
        help="use fewer channels or positions, fewer bits (--weights, --activations), or a "
        "larger FPGA (`actc targets`)",
    )


_FUNCTIONS = ("Requantize", "Table", "ChannelTable", "Steps")


def _rehearsed(parts: Cut, options: NetworkOptions) -> list[Diagnostic]:
    """What the rules refuse."""
    builder = Rehearsal(options)
    for entry, value in zip(entries_of(parts), parts.entries, strict=True):
        enter(builder, entry, value)
    return lower(builder, parts)


def _at(node: ir.Node, message: str, help: str = "", code: str = "ACT0550") -> Diagnostic:
    return Diagnostic(code, message, place=Place(node=str(node.name), op=node.op_type), help=help)
