"""ACT02xx: usage and data."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0201": CodeInfo(
        "unknown name",
        "No target, pass or diagnostic code has this name. The help line suggests the nearest "
        "one and lists those that exist; `actc targets` describes the targets.",
    ),
    "ACT0202": CodeInfo(
        "the model cannot be read",
        "There is no file of this name, or it may not be read. Check the path and the permissions.",
    ),
    "ACT0203": CodeInfo(
        "wrong command line",
        "An option, argument or command is unknown, missing or has a value that cannot be "
        "read. `actc --help` and `actc COMMAND --help` list what there is.",
    ),
    "ACT0204": CodeInfo(
        "not an output directory of actc",
        "`actc report` and `actc check` read a directory that `actc compile` wrote: it holds "
        "report.json and manifest.json.",
    ),
    "ACT0205": CodeInfo(
        "another process works in the directory",
        "`actc build` holds the directory in which vendors' tools run, and a compilation its place "
        "for the moment in which a result is put there. The hold ends with the process, however "
        "that ends: there is nothing to remove by hand.",
    ),
    "ACT0206": CodeInfo(
        "the machine refuses",
        "There was no memory, no space on a disk, no free descriptor, or no folder for temporary "
        "files. Nothing was written; once there is more, the same command works.",
    ),
    "ACT0207": CodeInfo(
        "a directory was replaced while it was read",
        "Another compilation put its result in the place of the directory while a command read "
        "files of it, so some may be of the old result and some of the new one. Run it again.",
    ),
    "ACT0210": CodeInfo(
        "a name is claimed twice",
        "Two installed packages register a target or pass under the same name. actc does not "
        "guess which is meant; uninstall one of them.",
    ),
    "ACT0220": CodeInfo(
        "the data cannot be read",
        "The data must be an .npz archive of plain arrays, as numpy.savez_compressed writes "
        "it. Object arrays are never read, as they could run code.",
    ),
    "ACT0221": CodeInfo(
        "the data does not fit the model",
        "There must be one array per model input, named as the input, whose first axis counts "
        "samples and whose other axes have the model's shape; a single array may have any "
        "name. Labels are one integer per sample.",
    ),
    "ACT0222": CodeInfo(
        "calibration needs data",
        "The ranges of values are measured on samples. A pipeline that calibrates must be "
        "given some.",
    ),
    "ACT0223": CodeInfo(
        "the list of passes cannot be read",
        "Passes are written as name,name{option=value}. The options of a pass are the fields "
        "of its class; a value must have the type of the default.",
    ),
    "ACT0224": CodeInfo(
        "an option has a value that does not exist",
        "Some options take one of a few names, or a number in a range; the help line lists them.",
    ),
    "ACT0225": CodeInfo(
        "the pass list gives no int8 model",
        "An int8 compilation ends with the pass 'integerize', which needs 'calibrate', "
        "'approximate' and 'quantize' before it. Give the whole list with --passes, or compile "
        "with --precision float32, which the targets onnx, cpu and cuda take.",
    ),
    "ACT0226": CodeInfo(
        "weights have no such format",
        "Weights are integers of 2 to 8 bits, ternary (-1, 0, 1) or binary (-1, 1). Two bits hold "
        "the codes -3, -1, 1 and 3; the others are symmetric about zero, which is one of them.",
    ),
    "ACT0227": CodeInfo(
        "no linear layer has this name",
        "The option `layers` of the pass `weights` gives single layers their own number of "
        "bits, as NODE=BITS;NODE=BITS. A layer is a Conv, or a MatMul (Gemm) by a constant; its "
        "name is that of the node in the model, and report.json lists them all.",
    ),
    "ACT0228": CodeInfo(
        "a layer reads too many values for optimal rounding",
        "Optimal rounding factors a matrix with a row and a column for each value that goes "
        "into one output; beyond 6144 of them it takes too long. The layer's weights are rounded "
        "to nearest instead, which costs accuracy below 8 bits.",
    ),
    "ACT0229": CodeInfo(
        "an option without effect",
        "Fewer bits for weights and their rounding have a meaning only where weights become "
        "integers: with --precision int8, and from a float model; a golden.onnx is taken as it "
        "is.",
    ),
    "ACT0230": CodeInfo(
        "calibrated on synthetic data",
        "Without --data actc makes up random samples. Ranges measured on them fit random "
        "inputs, not yours, and the accuracy is not known. Pass samples of what the network "
        "will see.",
    ),
    "ACT0231": CodeInfo(
        "a budget cannot be read",
        "--budget takes one of four forms: rms=0.02 (relative RMS error of the outputs, at "
        "the fewest bytes), drop=0.01 (accuracy on labelled data, at the fewest bytes), "
        "size=200KB (bytes of weights and tables, at the least error), luts=20000@ecp5 (logic "
        "of the unrolled network, at the least error). It chooses the bits of tensors and "
        "weights, so it excludes --weights, --activations and --passes.",
    ),
    "ACT0232": CodeInfo(
        "a budget cannot be met",
        "No choice of bits meets the budget. The note says what is reachable: the least "
        "error with all tensors at 16 bits and all weights at 8, or the fewest bytes or "
        "logic cells.",
    ),
    "ACT0233": CodeInfo(
        "errors of single sites cannot be measured",
        "`actc check --sites` and `actc bisect` rebuild the quantized model from the directory "
        "that `actc compile` wrote, which needs its formats.json, int8 and actc's own passes; "
        "and they compare float outputs, which a network that ends in ArgMax does not have.",
    ),
    "ACT0234": CodeInfo(
        "the configuration cannot be used",
        "actc.toml holds options of `actc compile` by their names, and the tables [activations] "
        "(value = bits) and [weights] (node = bits). Every entry that is unknown or of a wrong "
        "type is reported, with the nearest name there is.",
    ),
    "ACT0235": CodeInfo(
        "the check of a reduction cannot run",
        "`actc debug reduce MODEL --check CMD` runs a command on every model that it tries. The "
        "command is split into arguments as a shell would, but no shell runs it: pipes and "
        "variables need a script. `{model}` in its arguments stands for the model's file.",
    ),
    "ACT0236": CodeInfo(
        "the model is not interesting",
        "A reduction keeps what makes a model interesting: its check holds for the model itself, "
        "and for every smaller one that is taken. Here it does not hold to begin with. A command "
        "holds if it ends with status 0, or as --status and --text say.",
    ),
    "ACT0237": CodeInfo(
        "the check of a reduction takes too long",
        "The command did not end within --timeout seconds for the model itself; smaller models "
        "for which that happens are taken as not interesting. A hang is reduced by a check that "
        "ends the hanging program itself and then ends with status 0 (`timeout`).",
    ),
    "ACT0238": CodeInfo(
        "the model cannot be reduced",
        "Only valid models of at most 2 GB are reduced, as every smaller one must be valid too. "
        "The notes show what ONNX's checker says.",
    ),
    "ACT0239": CodeInfo(
        "the check of a reduction is not deterministic",
        "The smallest model passed the check when it was found, and not when it was checked once "
        "more. Fix seeds and numbers of threads in the check, and give it time enough.",
    ),
    "ACT0240": CodeInfo(
        "the output directory is not actc's to replace",
        "actc replaces a directory only if actc wrote it (its manifest.json says so) or if it is "
        "empty. What you put beside actc's files there stays, unless it has the name of a file "
        "that is to be written. Give another place, or empty the directory yourself.",
    ),
    "ACT0241": CodeInfo(
        "the output cannot be written",
        "The system refused to create the output directory or its parents: no permission, no "
        "space, or a file stands in the way.",
    ),
    "ACT0242": CodeInfo(
        "a dry run has no artefact",
        "With --dry-run (dry_run=True) only the plan is made. Compile without it to get "
        "something that runs.",
    ),
    "ACT0243": CodeInfo(
        "the inputs of an export do not fit",
        "actc.export() takes one tensor or a sequence of tensors, the batch first, one name for "
        "each, and as dynamic axes only axes that these tensors have.",
    ),
    "ACT0244": CodeInfo(
        "no groups of this size, or no use for them",
        "--groups N gives every N inputs (channels of a Conv) of a layer an integer factor below "
        "the scale of the channel. N counts inputs, 0 means none; weights of 8 bits leave no "
        "room for factors, so some layer has to have fewer.",
    ),
    "ACT0245": CodeInfo(
        "something beside binary layers that cannot be",
        "--binarize and --activations binary choose bits, scales and levels themselves: a budget, "
        "scales that are powers of two, or a list of passes without it would choose others. "
        "Other layers keep what --weights, --activations mixed and actc.toml give them.",
    ),
    "ACT0246": CodeInfo(
        "nothing to choose binary layers by",
        "--binarize auto takes as many layers as lose at most --max-drop of the accuracy, so it "
        "needs samples with labels, and a network whose output holds classes.",
    ),
    "ACT0247": CodeInfo(
        "no layer or tensor of this name to make binary",
        "--binarize takes names of Conv and MatMul with constant weights, and patterns as of a "
        "shell (conv*). A tensor of one bit in actc.toml has to be what such a layer reads, and no "
        "input of the network.",
    ),
    "ACT0248": CodeInfo(
        "a budget of logic without a family that is known",
        "--budget luts=20000@ecp5 limits the logic cells of the fully unrolled network, as "
        "actc.cost estimates them for one FPGA family: ice40, ecp5, gowin or xc7. How many "
        "cells there are depends on the family, so it has to be named.",
    ),
    "ACT0249": CodeInfo(
        "nothing says how much logic an operator takes",
        "A budget of logic adds up what all operators take, fully unrolled: products with "
        "weights, sums, poolings and activations. Networks with other operators (recurrent "
        "layers, softmax, norms) cannot be given one; budgets of error or size work for all.",
    ),
}
