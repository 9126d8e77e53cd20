"""Decide whether a function body is a scale and bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant

Array = np.ndarray[Any, Any]
Affine = tuple[Array, Array]


def affine_coefficients(body: ir.Function, output: ir.Value | None = None) -> Affine | None:
    """Return (a, b) with f(x) = a*x + b (numbers or per-channel arrays), else None.

    `output` is what f gives; None: the output of `body`.

    Decided on the structure (sums of x with constants, products with constants),
    so a function that is only nearly linear is not taken for one.
    """
    output = body.outputs[0] if output is None else output
    known: dict[ir.Value, Affine] = {body.inputs[0]: (np.array(1.0), np.array(0.0))}
    for node in body:
        if output in known:
            break
        if node.op_type == "Constant":
            array = constant(node.outputs[0])
            if array is None or array.dtype == np.bool_:
                return None
            known[node.outputs[0]] = (np.array(0.0), array.astype(np.float64))
            continue
        if any(value is None or value not in known for value in node.inputs):
            return None
        result = _step(node, [known[value] for value in node.inputs if value is not None])
        if result is None:
            return None
        known[node.outputs[0]] = result
    return known.get(output)


def _step(node: ir.Node, terms: list[Affine]) -> Affine | None:
    op = node.op_type
    a, b = terms[0]
    if op in ("Identity", "Cast"):
        floating = (
            op == "Identity" or ir.DataType(node.attributes["to"].as_int()).is_floating_point()
        )
        return (a, b) if floating else None
    if op == "Neg":
        return -a, -b
    if op in ("Add", "Sub", "Sum") and len(terms) == 2:
        sign = -1.0 if op == "Sub" else 1.0
        return a + sign * terms[1][0], b + sign * terms[1][1]
    if op == "Mul":
        c, d = terms[1]
        if not np.any(c):
            return a * d, b * d
        return (c * b, d * b) if not np.any(a) else None
    if op == "Div" and not np.any(terms[1][0]):
        with np.errstate(divide="ignore", invalid="ignore"):
            return a / terms[1][1], b / terms[1][1]
    return None
