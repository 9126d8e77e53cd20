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
    "ACT0106": CodeInfo(
        "a mask cannot be kept apart from the scores",
        "Softmax reads scores that a mask lowers by thousands, which leaves no integers for the "
        "scores themselves. actc takes such a mask out where it is a constant, or computed from "
        "one integer or boolean input of zeros and ones: added (0, or -100 and below), or put in "
        "the scores' place by Where. This mask is of another kind, or its data holds other "
        "numbers.",
    ),
    "ACT0108": CodeInfo(
        "a recurrent layer of a kind that has no integer form",
        "actc computes LSTM, GRU and plain recurrent layers with sigmoid and tanh on integers, in "
        "one or both directions, with or without initial states. Sequences of different length in "
        "one batch, peepholes, clipped or coupled gates, other activations and the layout with the "
        "batch first are not among them.",
    ),
    "ACT0109": CodeInfo(
        "the cell of an LSTM grows too large",
        "The cell state is kept as a fixed-point number with at least 15 fraction bits, which "
        "holds magnitudes below 512. On the data it comes too close to that. Trained cells stay "
        "far smaller: check the checkpoint and the scale of the data.",
    ),
}
