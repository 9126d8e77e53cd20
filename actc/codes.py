"""The table of diagnostic codes: what `actc explain CODE` prints.

One entry per code; a code is never reused for another meaning. Ranges:
ACT00xx model files, ACT01xx operators and recognition, ACT02xx usage and data,
ACT03xx approximation, ACT04xx targets, ACT05xx tools and environment,
ACT06xx accuracy and budgets, ACT09xx internal.
"""

from __future__ import annotations

from typing import NamedTuple


class CodeInfo(NamedTuple):
    """Title (one line) and explanation (a few sentences, plain text)."""

    title: str
    explanation: str


CODES: dict[str, CodeInfo] = {
    "ACT0001": CodeInfo(
        "the file is not an ONNX model",
        "actc could not parse the file as an ONNX protobuf. Check the path, and that the file was "
        "exported with torch.onnx.export, tf2onnx or a similar tool and copied whole.",
    ),
    "ACT0301": CodeInfo(
        "a requantization factor cannot be represented",
        "Between two integer tensors actc multiplies by input scale * weight scale / output scale, "
        "held as a 31-bit integer and a shift. The factor is negative, not finite or above about "
        "2**30, which comes from NaN or extreme weights, or from outliers in the calibration data.",
    ),
    "ACT0302": CodeInfo(
        "a range or scale cannot be quantized",
        "A quantized tensor needs a finite range and a positive float32 scale. NaN or infinite "
        "values in the model's weights or in the calibration data are the usual cause.",
    ),
    "ACT0303": CodeInfo(
        "a function is not a number",
        "An activation gives NaN inside the range that calibration found (widened to hold zero), "
        "for example a logarithm of a negative number. Calibrate with data that is like the "
        "model's real input, or give the function a narrower domain.",
    ),
    "ACT0304": CodeInfo(
        "a function is infinite",
        "An activation is infinite inside the range that calibration found, for example a "
        "reciprocal at zero. No line and no float table can follow it; an integer table can, "
        "because it saturates.",
    ),
    "ACT0901": CodeInfo(
        "internal error",
        "actc met a state that should be impossible. Please report it with the command line and, "
        "if you can share it, the model.",
    ),
}
