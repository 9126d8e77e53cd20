"""The ONNX domain `actc`: operators as model-local functions in standard ONNX.

docs/internals.md states each operator's meaning. The bodies, in
:mod:`actc.ir.bodies`, make a file that actc writes run in any ONNX runtime;
:mod:`actc.ir.spec` is the numpy reference. Tests run both against each other.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx import parser

from actc.ir.bodies import BODIES

DOMAIN = "actc"
VERSION = 1
GOLDEN_OPSET = 21

OPERATORS = frozenset(BODIES)
"""Names of the dialect's operators that have one body for all nodes."""

OWN_BODIES = frozenset({"Activation", "InstanceSign"})
"""Names of the dialect's operators whose every node has a body of its own, by overload."""


def function_text(name: str, opset: int = GOLDEN_OPSET) -> str:
    """The body of operator `name` in ONNX's text format."""
    return f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]>\n{name} {BODIES[name]}'


def function_proto(name: str, opset: int = GOLDEN_OPSET) -> onnx.FunctionProto:
    """The body of operator `name` as an ONNX function.

    Raises:
        KeyError: `name` is not an operator of the dialect.
    """
    return parser.parse_function(function_text(name, opset))


def add_bodies(model: ir.Model) -> None:
    """Add the function bodies that the nodes of `model` use, and drop unused ones.

    Bodies of :data:`OPERATORS` are written with the model's own opset; those of
    :data:`OWN_BODIES` (overloads, as of recognized activations) are kept.
    """
    opset = model.opset_imports.get("", GOLDEN_OPSET)
    used = {node.op_identifier() for node in model.graph.all_nodes()}
    for key in [key for key in model.functions if key not in used]:
        del model.functions[key]
    for domain, name, overload in sorted(used):
        key = (domain, name, overload)
        if domain == DOMAIN and name in OPERATORS and key not in model.functions:
            model.functions[key] = ir.serde.deserialize_function(function_proto(name, opset))
    if any(domain == DOMAIN for domain, _, _ in used):
        model.opset_imports[DOMAIN] = VERSION
    else:
        model.opset_imports.pop(DOMAIN, None)
