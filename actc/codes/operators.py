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
        "the model is quantized already, and was not read so",
        "The model holds QuantizeLinear and DequantizeLinear, or operators on integers. The "
        "default passes read such a model as it is; passes of your own must hold "
        "'read_quantized' before and 'quantizers' behind 'normalize'.",
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
    "ACT0110": CodeInfo(
        "an operator that computes on integers",
        "DynamicQuantizeLinear chooses its scale from each input, and MatMulInteger and "
        "ConvInteger, which stand behind it, give sums without one; golden needs scales that are "
        "known. actc reads models that are quantized statically, in the QDQ format "
        "(QuantizeLinear and DequantizeLinear around float operators) or onnxruntime's QOperator "
        "format (QLinearConv and its like).",
    ),
    "ACT0111": CodeInfo(
        "a quantizer of a kind that is not read",
        "actc reads static quantizers: activations with one scale and zero point per tensor and "
        "codes of 2 to 16 bits, zero among them; weights of up to 8 bits with one scale per "
        "tensor or output channel, symmetric around their zero point. The message says what "
        "is different here.",
    ),
    "ACT0112": CodeInfo(
        "a QONNX operator that is not read",
        "Of QONNX (and the Brevitas and FINN domains) actc reads Quant, IntQuant, BipolarQuant "
        "and Trunc with constant scale, zero point and bit width, MultiThreshold of 255 thresholds "
        "at most, and Conv and MaxPool with the channels last. The message says what is different "
        "here.",
    ),
    "ACT0113": CodeInfo(
        "a quantizer of the model is not met exactly",
        "Golden gives the codes that the model's own quantizers give, but for the places that "
        "this warning names: there a result may be a code away from the model's, or off by what "
        "an 8-bit format of the value in between loses. "
        "docs/quantized-models.md says when that is so.",
    ),
    "ACT0114": CodeInfo(
        "a value without a quantizer in a quantized model",
        "The model is quantized, but not here. This value gets a format from the calibration "
        "data, as in a float model, so the result depends on the data.",
    ),
    "ACT0115": CodeInfo(
        "an operator of the QOperator format that is not read",
        "Of onnxruntime's QOperator format actc reads QLinearConv, QLinearMatMul, QGemm, "
        "QLinearAdd, QLinearMul, QLinearConcat, QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax, "
        "QLinearReduceMean and the average poolings, with constant scales and zero points and the "
        "channels in the second axis. The message says what is different here.",
    ),
    "ACT0116": CodeInfo(
        "a binary network",
        "The float model holds signs or steps in place of activations. actc keeps the few values "
        "that they have as integers, and weights that are integers times a scale, so that golden "
        "computes what the model computes, with the model's own sign of zero.",
    ),
    "ACT0117": CodeInfo(
        "a step that is no integer",
        "A value of the model can only be one of a few numbers, but these are no integers times "
        "one scale. It gets a format from the data, which rounds them.",
    ),
    "ACT0118": CodeInfo(
        "a sign of numbers that are rounded",
        "A sign of the model depends on numbers that golden holds with 8 bits or so: weights that "
        "are no integers, or values without a quantizer of their own. Where the model's number is "
        "very near the threshold, golden may give the other sign. The rest of the network "
        "computes what the model computes.",
    ),
    "ACT0119": CodeInfo(
        "a statistic of all features that is rounded",
        "A sign has a threshold that depends on the mean over all features of the sample, and the "
        "factors of these have no common denominator of 512 bits, as deviations of batch norms "
        "divide. Golden rounds them to 192 bits. It decides as exact arithmetic does unless the "
        "number compared is below 2^-160 of the largest that its terms can be. Statistics of "
        "one channel's positions are never rounded.",
    ),
    "ACT0120": CodeInfo(
        "a broken golden model",
        "The model holds integer operators of actc, which only golden.onnx does, but their "
        "inputs have other types, sizes or values than these operators take: the file was "
        "edited or damaged. Compile the float model again.",
    ),
    "ACT0121": CodeInfo(
        "a golden model as input",
        "The model is a golden.onnx that actc wrote. Its integers are compiled for the target "
        "as they are; nothing is calibrated or quantized again, and options that choose how "
        "are refused (ACT0229).",
    ),
}
