"""ACT0372..ACT0388: training in torch."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0372": CodeInfo(
        "no plan to train with",
        "actc.torch.prepare needs what a compilation to integers decided: the output directory "
        "of `actc compile` with golden.onnx, float.onnx, formats.json and report.json, or the "
        "artefact that actc.compile gave. Models compiled with --precision float32 have no "
        "integers to train.",
    ),
    "ACT0373": CodeInfo(
        "the module and the plan do not belong together",
        "The module that is given to actc.torch.prepare must compute what the float model of the "
        "plan computes; both are run on random inputs. A module that was trained on, or another "
        "one, needs a compilation of its own. Give None to train what an ONNX file was compiled "
        "to. A plan whose passes changed weights by their data needs that data again.",
    ),
    "ACT0374": CodeInfo(
        "an operator of golden has no exact form in torch",
        "A prepared module computes every operator of golden on the same bits, and has one for "
        "all of the integer dialect. Float islands and operators of plugins have none: they are "
        "all named. Fine-tune the float model in their place.",
    ),
    "ACT0375": CodeInfo(
        "an unknown gradient",
        "docs/fine-tuning.md lists the gradients of activations and of weights, and what their "
        "options mean.",
    ),
    "ACT0376": CodeInfo(
        "a prepared module cannot be used like this",
        "It takes the inputs of the compiled model, in its order or by name, and holds integers "
        "in float64: it moves to another device, but it cannot be cast to float16 or float32.",
    ),
    "ACT0377": CodeInfo(
        "trained weights are too large for their accumulators",
        "The compilation chose multipliers and accumulators for sums of a certain size. Training "
        "let the weights grow until a sum could leave them, and a file with such weights could "
        "overflow. Biases are kept within bounds on their own; weights need a smaller learning "
        "rate or weight decay, or the float model must be compiled anew.",
    ),
    "ACT0380": CodeInfo(
        "no weights whose logic could shrink",
        "A budget of logic is met by giving weights codes of few signed digits. The prepared "
        "module has no linear layer whose weights can be trained.",
    ),
    "ACT0381": CodeInfo(
        "a budget of logic that cannot be",
        "Codes are chosen so that all adders have at most the given bits together. Formats "
        "without a zero (2 bits: -3, -1, 1, 3) need an adder per weight, so they have a least "
        "number; others can go down to 0. The penalty's strength is a number from 0 on.",
    ),
    "ACT0382": CodeInfo(
        "samples and labels do not fit together",
        "Fine-tuning takes one label per sample, the first axis of every array counting samples.",
    ),
    "ACT0383": CodeInfo(
        "an option of fine-tuning is out of its range",
        "Epochs and samples per step are at least 1, the learning rate is a positive number.",
    ),
    "ACT0384": CodeInfo(
        "training diverged",
        "The loss became infinite or no number; the weights are of no use. Take a lower learning "
        "rate, and look for infinite values in samples and labels.",
    ),
    "ACT0385": CodeInfo(
        "an unknown gradient of a sign",
        "The derivative of a sign is zero almost everywhere; a surrogate stands in for it. "
        "docs/binary-training.md lists them. Frequencies of the periodic ones are positive.",
    ),
    "ACT0386": CodeInfo(
        "an unknown form of a binary network's file",
        "Binary networks are exported to plain ONNX, where a sign is Where(x >= 0, 1, -1), or to "
        "QONNX, where it is BipolarQuant; weights take four bytes each or one.",
    ),
    "ACT0387": CodeInfo(
        "a binary network cannot be exported",
        "The file must give what the module gives in evaluation mode, sign for sign. The message "
        "has what torch's exporter or the comparison said.",
    ),
    "ACT0388": CodeInfo(
        "layers that cannot become binary",
        "Linear layers and two-dimensional convolutions become binary, with equal stride, padding "
        "and dilation along both axes. All that cannot are named.",
    ),
}
