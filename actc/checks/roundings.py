"""Whether two results of a float model are the same but for roundings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from actc.ir.execute import Session
from actc.ir.time_limit import Clock, Evaluator, seconds

Array = np.ndarray[Any, Any]

_TOLERANCE = 1e-3
"""Of the largest output; float rounding in a different order stays well below."""
_SMALLEST = 1e-2
"""Outputs below this are compared with its tolerance: they may come from larger values."""
_SHAKES = 4
_ROUNDINGS = 8
"""Roundings of a pass, in units of the most that other last digits of the inputs do."""


def close(reference: Array, other: Array) -> bool:
    """Whether floats are near each other, at the scale of the largest; others equal."""
    if reference.shape != other.shape:
        return False
    if reference.dtype.kind != "f":
        return reference.dtype == other.dtype and reference.tobytes() == other.tobytes()
    finite = reference[np.isfinite(reference)]
    scale = float(np.abs(finite).max(initial=_SMALLEST))
    # Quotients by zero: onnxruntime's Relu leaves zeros of either sign, as their place has it.
    both = np.isinf(reference) & np.isinf(other)
    reference, other = np.where(both, 0, reference), np.where(both, 0, other)
    return bool(np.allclose(other, reference, rtol=0, atol=_TOLERANCE * scale, equal_nan=True))


def close_numbers(reference: Array, other: Array) -> bool:
    """The same of the places where both are numbers."""
    if reference.shape != other.shape or reference.dtype.kind != "f":
        return close(reference, other)
    both = np.isfinite(reference) & np.isfinite(other)
    return close(np.where(both, reference, 0), np.where(both, other, 0))


def explained(model: onnx.ModelProto, feeds: Mapping[str, Array], name: str, other: Array) -> bool:
    """Whether a result that is not close is another rounding of the same function all the same.

    It is where the operators' definitions give it, as onnx evaluates them (onnxruntime's norms
    take scales and means together, which loses a bias behind a large scale), and where the
    model's own result changes as much with the last digits of its inputs (a norm of what is
    constant divides roundings by the root of its epsilon).

    Args:
        model: what onnxruntime ran.
        feeds: one batch.
        name: of an output.
        other: what another model gave for it.
    """
    if other.dtype.kind != "f" or not np.isfinite(other).all():
        return False
    return _is_defined(model, feeds, name, other) or _is_in_the_noise(model, feeds, name, other)


def _is_defined(
    model: onnx.ModelProto, feeds: Mapping[str, Array], name: str, other: Array
) -> bool:
    whole = ir.from_proto(model)
    InlinePass()(whole)
    try:
        with np.errstate(all="ignore"), Clock(seconds()).running():
            (found,) = Evaluator(ir.to_proto(whole)).run([name], dict(feeds))
    except Exception:  # of any type: it has no rule for an operator, and so explains nothing
        return False
    return bool(np.isfinite(found).all()) and close(np.asarray(found), other)


def _is_in_the_noise(
    model: onnx.ModelProto, feeds: Mapping[str, Array], name: str, other: Array
) -> bool:
    session = Session(model)
    reference = session.run(feeds)[name]
    generator = np.random.default_rng(0)
    changed = [session.run(_shaken(feeds, generator))[name] for _ in range(_SHAKES)]
    if reference.shape != other.shape or not np.isfinite([reference, *changed]).all():
        return False
    spread = np.abs(np.stack(changed) - reference).max(axis=0)
    return bool((np.abs(other - reference) <= _ROUNDINGS * spread).all())


def _shaken(feeds: Mapping[str, Array], generator: np.random.Generator) -> dict[str, Array]:
    """Inputs whose last binary digit is another, up or down."""
    changed = dict(feeds)
    for name, array in feeds.items():
        if array.dtype == np.float32:
            towards = generator.choice([-np.inf, np.inf], array.shape).astype(np.float32)
            changed[name] = np.nextafter(array, towards)
    return changed
