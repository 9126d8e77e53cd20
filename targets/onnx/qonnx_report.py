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
    if written.zero_points:
        notes.append(_zero_points(written.zero_points, file))
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


def _zero_points(count: int, file: str) -> Diagnostic:
    return Diagnostic(
        "ACT0412",
        f"{count} quantizers of {file} have a zero point, which FINN does not take",
        severity="note",
        place=Place(file),
        help="hls4ml takes them; for FINN use activations that give no negative numbers, "
        "such as Relu, in front of each quantizer",
    )
