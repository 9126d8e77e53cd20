"""The QONNX model of a compilation, and what the report says of it."""

from __future__ import annotations

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.context import Context, context_of
from actc.targets.onnx.qonnx import Written, write_qonnx
from actc.targets.onnx.qonnx_check import Difference, compare

_SHOWN = 5


def written_qonnx(quantized: ir.Model, context: Context) -> Written:
    """The QONNX model; written once for a compilation.

    Args:
        quantized: the float model with formats.
        context: of golden.
    """
    held = context.facts.setdefault("qonnx", {})
    if "written" not in held:
        held["written"] = write_qonnx(quantized, context)
    written = held["written"]
    assert isinstance(written, Written)
    return written


def differences(quantized: ir.Model, golden: ir.Model, file: str) -> list[Diagnostic]:
    """Notes: ACT0411, what differs from golden on the data; ACT0412, zero points.

    Args:
        quantized: the float model with formats.
        golden: the integer model, with the context.
        file: name of the QONNX file.
    """
    context = context_of(golden)
    written = written_qonnx(quantized, context)
    names = context.facts["golden"]
    found = compare(written.proto, written.rounded, ir.to_proto(golden), names, context.dataset)
    notes = [_difference(found, file)]
    if written.zero_points or written.clips:
        notes.append(_not_taken(written, file))
    return notes


def _difference(found: Difference, file: str) -> Diagnostic:
    message = f"{file} gives all {found.codes} codes of golden.onnx"
    shown: tuple[str, ...] = ()
    if found.different:
        message = (
            f"{file} gives {found.different} of {found.codes} codes otherwise than golden.onnx, "
            f"by {found.most} at most"
        )
        tensors = list(found.tensors.items())[:_SHOWN]
        more = len(found.tensors) - len(tensors)
        names = ", ".join(f"'{name}' by {most}" for name, most in tensors)
        shown = (f"most in {names}" + (f" and {more} more" if more else ""),)
    return Diagnostic(
        "ACT0411",
        f"{message}, on {found.samples} samples",
        severity="note",
        place=Place(file),
        notes=(*shown, f"largest difference of an output: {found.outputs:.2g} of its peak"),
        help="with --scales power-of-two sums are exact, and rounded as golden does"
        if found.different
        else "",
    )


def _not_taken(written: Written, file: str) -> Diagnostic:
    """What readers of QONNX do not take."""
    kinds = ((written.zero_points, "with a zero point"), (written.clips, "with a Clip in front"))
    found = [(count, what) for count, what in kinds if count]
    (count, what), more = found[0], "".join(f" and {n} {w}" for n, w in found[1:])
    return Diagnostic(
        "ACT0412",
        f"{count} quantizer{'s' if count > 1 else ''} {what}{more}, which FINN does not take",
        severity="note",
        place=Place(file),
        help="hls4ml takes zero points, but no Clip; give inputs from 0 on, or as far below 0 as "
        "above, and activations that are never negative, such as Relu, to need neither",
    )
