"""Inputs of a model that say what it does: shapes, pads, axes, repeats."""

from __future__ import annotations

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place

_POSITIONS = {
    "AffineGrid": (1,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "DFT": (1, 2),
    "Expand": (1,),
    "MaxUnpool": (2,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "ReverseSequence": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "STFT": (1, 3),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Operator -> its inputs on which shapes or places depend."""


def without_data(model: ir.Model, file: str) -> list[Diagnostic]:
    """Why data cannot be made up for a model: one problem per such input.

    Args:
        model: whose inputs are looked at; constants are none.
        file: name of the model, for messages.
    """
    found: dict[str, Diagnostic] = {}
    for value in model.graph.inputs:
        if value.name in model.graph.initializers:
            continue
        for use in value.uses():
            node = use.node
            positions = _POSITIONS.get(node.op_type, ()) if node.domain in ("", "ai.onnx") else ()
            if use.idx in positions and str(value.name) not in found:
                found[str(value.name)] = _problem(str(value.name), node, file)
    return list(found.values())


def _problem(name: str, node: ir.Node, file: str) -> Diagnostic:
    return Diagnostic(
        "ACT0462",
        f"input '{name}' tells {node.op_type} what to do, and there is no data",
        place=Place(file, str(node.name), node.op_type),
        help=f"pass --data DATA.npz with values of '{name}', or make it a constant",
    )
