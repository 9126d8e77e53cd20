"""ACT01xx: operators and recognition."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0101": CodeInfo(
        "an operator is not known",
        "The operator belongs neither to ONNX nor to actc, so nobody can say what it "
        "computes. Export the model without custom operators, or include their body as a "
        "model-local function.",
    ),
    "ACT0102": CodeInfo(
        "a value is not a number on the data",
        "While the model ran on the data, a value became NaN or infinite, so its range cannot "
        "be found. Check the data and the model's scaling.",
    ),
    "ACT0103": CodeInfo(
        "an operator has no integer form",
        "actc cannot compute this operator on integers as it is used here; the message says "
        "why. The node and what depends on it would have to stay float, which the target "
        "cannot take.",
    ),
    "ACT0104": CodeInfo(
        "an output is a constant",
        "An output of the model does not depend on its inputs, so there is nothing to compile for "
        "it. Leave it out of the model.",
    ),
    "ACT0105": CodeInfo(
        "the model is quantized already",
        "The model holds operators on integers (QuantizeLinear, QLinearConv...), so somebody has "
        "quantized it before. actc chooses formats itself and starts from the float model.",
    ),
}
