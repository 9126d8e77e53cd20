"""The operators of golden models in torch, exact and with gradients.

One function or module per operator, in the families of `actc.ir.spec`: same names, same
integers. A maker takes the node and the chosen gradients; what it makes takes the tensors
of the node's inputs.
"""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.islands import KEY as ISLAND
from actc.torch.gradients import Gradients
from actc.torch.operators import (
    arithmetic,
    codes,
    edges,
    instances,
    linear,
    movement,
    normalization,
    recurrent,
)
from actc.torch.operators.shared import Maker, NotSupported, Operator

__all__ = ["NotSupported", "Operator", "make"]

_DIALECT: dict[str, Maker] = {
    **linear.OPERATORS,
    **codes.OPERATORS,
    **arithmetic.OPERATORS,
    **normalization.OPERATORS,
    **recurrent.OPERATORS,
    **instances.OPERATORS,
}
_STANDARD: dict[str, Maker] = {**edges.STANDARD, **arithmetic.STANDARD, **movement.STANDARD}


def make(node: ir.Node, gradients: Gradients) -> Operator:
    """The operator that computes `node`.

    Raises:
        NotSupported: there is none; the text says why, "" where the operator is unknown.
    """
    if ISLAND in node.metadata_props:
        raise NotSupported("it is a float island")
    if node.domain == DOMAIN:
        if node.op_type not in _DIALECT:
            raise NotSupported("")
        return _DIALECT[node.op_type](node, gradients)
    if node.domain != "":
        raise NotSupported("")
    maker = _STANDARD.get(node.op_type)
    if maker is None or (maker is movement.Move and not _moves(node)):
        return movement.Plain(node, gradients)
    return maker(node, gradients)


def _moves(node: ir.Node) -> bool:
    """Whether only the data of a moving operator varies."""
    variable = [value is not None and value.const_value is None for value in node.inputs]
    return bool(variable) and variable[0] and not any(variable[1:])
