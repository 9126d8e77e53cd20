"""ONNX bodies of the operators of the domain `actc`, a module per family."""

from __future__ import annotations

from actc.ir.bodies import (
    arithmetic,
    attention,
    codes,
    extremes,
    floating,
    instances,
    linear,
    logarithm,
    magnitude,
    normalization,
    recurrent,
)

BODIES: dict[str, str] = {
    **linear.BODIES,
    **codes.BODIES,
    **arithmetic.BODIES,
    **extremes.BODIES,
    **magnitude.BODIES,
    **normalization.BODIES,
    **logarithm.BODIES,
    **attention.BODIES,
    **recurrent.BODIES,
    **instances.BODIES,
    **floating.BODIES,
}
"""Operator -> inputs, outputs and nodes in ONNX's text format."""
