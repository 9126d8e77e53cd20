"""Whether a golden model can be unrolled: everything that is wrong, before any work."""

from __future__ import annotations

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.golden import problems
from actc.targets.fpga.network.boundary import cut
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.interface import entries_of, results_of
from actc.targets.fpga.network.lower import RULES, key_of
from actc.targets.fpga.network.options import NetworkOptions
from actc.targets.fpga.network.rewrite import prepared


def check_network(golden: ir.Model, options: NetworkOptions | None = None) -> list[Diagnostic]:
    """All reasons why a golden model cannot be unrolled; empty when it can.

    Args:
        golden: see docs/internals.md.
        options: as for building.
    """
    options = options or NetworkOptions()
    found = [_at(node, f"this is not a golden model: {text}") for node, text in problems(golden)]
    if found:
        return found
    model = prepared(golden, options.end == "outputs")
    parts = cut(model)
    for node in parts.nodes:
        if key_of(node) not in RULES:
            found.append(_at(node, f"operator {node.op_type} cannot be unrolled"))
    if found:
        return found
    try:
        entries_of(parts)
        results_of(model, parts)
    except Unsupported as error:
        found.append(Diagnostic(error.code, error.reason, help=error.help))
    return found


def _at(node: ir.Node, message: str, help: str = "", code: str = "ACT0550") -> Diagnostic:
    return Diagnostic(code, message, place=Place(node=str(node.name), op=node.op_type), help=help)
