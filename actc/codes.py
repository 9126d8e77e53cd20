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
    "ACT0002": CodeInfo(
        "external weights are missing or cut short",
        "An ONNX model can keep its weights in other files beside it. One of these is missing "
        "or shorter than the model says; copy them together with the model, under their own "
        "names.",
    ),
    "ACT0003": CodeInfo(
        "external weights lie outside the model's folder",
        "A model may only name weight files in its own folder or below it; a path that leads "
        "elsewhere could read any file of the machine. Save the model with its weights beside "
        "it.",
    ),
    "ACT0004": CodeInfo(
        "a weight does not fit its shape",
        "The bytes of a weight do not make up the shape and type that the model states, so "
        "the file is damaged or was written by a faulty exporter. Export the model again.",
    ),
    "ACT0005": CodeInfo(
        "the model names no operator set",
        "An ONNX model must say which version of the standard operators it uses. Export it "
        "again; opset 17 or later suits actc best.",
    ),
    "ACT0006": CodeInfo(
        "a weight is not a number",
        "A weight holds NaN or infinite values, which usually comes from a training run that "
        "diverged. Such a network computes nothing useful, and its ranges cannot be quantized.",
    ),
    "ACT0007": CodeInfo(
        "the model is not valid ONNX",
        "The ONNX checker refuses the model: a node reads a value that nobody computes, an "
        "attribute is missing, or types do not match. Export the model again.",
    ),
    "ACT0008": CodeInfo(
        "the operator set could not be converted",
        "actc works on opset 21 or later and converts older models. The converter of the onnx "
        "package failed on this one; export the model again with a newer opset.",
    ),
    "ACT0009": CodeInfo(
        "an input of the model cannot be fed",
        "Each input must be a tensor of numbers with a known element type and rank. "
        "Sequences, strings and inputs without a shape cannot be calibrated.",
    ),
    "ACT0010": CodeInfo(
        "an input has dynamic dimensions and there is no data",
        "Without data actc cannot know how large the dynamic dimensions of an input are. Pass "
        "--data with samples of the size that the network will see; only the batch axis may "
        "stay open.",
    ),
    "ACT0011": CodeInfo(
        "the model does not run",
        "onnxruntime refuses the model, or cannot run it on the data. The usual causes are types "
        "or shapes that do not fit, and a batch size fixed inside the network (a Reshape to "
        "[1, 256], say) while the input leaves it open. Export the model again.",
    ),
    "ACT0012": CodeInfo(
        "a sparse tensor",
        "Weights must be dense tensors; actc does not read sparse ones. Export the model with "
        "dense weights.",
    ),
    "ACT0013": CodeInfo(
        "the results change from run to run",
        "The model draws random numbers: it was exported in training mode, or it samples noise "
        "itself. Nothing can be compared with such a model. Export it for inference.",
    ),
    "ACT0014": CodeInfo(
        "a value that is not a tensor",
        "Sequences and optional values of ONNX hold lists of tensors or nothing; actc compiles "
        "networks of tensors only.",
    ),
    "ACT0015": CodeInfo(
        "a value without elements",
        "An axis has length 0, so there is nothing to compute or to measure. Check the shapes of "
        "the network and of the data.",
    ),
    "ACT0016": CodeInfo(
        "reals that are not float32",
        "actc starts from a network in float32 and chooses smaller numbers. Export models of "
        "double, float16 or bfloat16 numbers again in float32.",
    ),
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
        "with --precision float32.",
    ),
    "ACT0230": CodeInfo(
        "calibrated on synthetic data",
        "Without --data actc makes up random samples. Ranges measured on them fit random "
        "inputs, not yours, and the accuracy is not known. Pass samples of what the network "
        "will see.",
    ),
    "ACT0240": CodeInfo(
        "the output directory is not actc's to replace",
        "actc replaces a directory only if actc wrote it (it holds manifest.json) or if it is "
        "empty. Give another place, or empty the directory yourself.",
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
    "ACT0305": CodeInfo(
        "an error bound cannot be reached",
        "No piecewise-linear form with at most 4096 segments and coefficients of the wanted "
        "precision stays within the error asked for. Near 1e-7 of a function's magnitude the "
        "rounding of float32 coefficients sets the limit. Allow a larger error, or use a table.",
    ),
    "ACT0306": CodeInfo(
        "an unknown function",
        "The catalogue has no function of this name. `actc functions` lists all of them; case, "
        "hyphens and spaces do not matter.",
    ),
    "ACT0310": CodeInfo(
        "a fixed-point format is not understood",
        "A format is a letter, the bits in total, a point and the bits of fraction: s8.4 has 8 "
        "signed bits of which 4 are fraction, u8.8 has 8 unsigned ones and holds 0 to 255/256. "
        "There are 1 to 32 bits and -64 to 64 bits of fraction.",
    ),
    "ACT0311": CodeInfo(
        "an input format is too wide to enumerate",
        "Fixed-point forms are verified at every input code, which is done for up to 16 bits. "
        "Use fewer input bits, or a float form.",
    ),
    "ACT0312": CodeInfo(
        "an output format is too coarse for the error",
        "Somewhere no code of the output format is as near to the function as asked for, so no "
        "form can be. Use more fraction bits in the output format, or allow a larger error.",
    ),
    "ACT0330": CodeInfo(
        "an expression cannot be read",
        "A function is written in terms of x, with + - * / ^, parentheses, numbers, pi, e and "
        "functions, such as x*sigmoid(1.702*x) or where(x > 0, x, 0.1*x). The note points at the "
        "place that has no meaning.",
    ),
    "ACT0331": CodeInfo(
        "an unknown name in an expression",
        "An expression knows x, pi, e, elementary functions such as exp and tanh, and the "
        "functions of the catalogue, such as GELU. The help line suggests the nearest names.",
    ),
    "ACT0332": CodeInfo(
        "wrong arguments of a function",
        "A function in an expression has too few or too many arguments. The parameters of a "
        "published function are constants that follow its argument: ELU(x, 0.5); alone it is "
        "written without its argument: ELU(0.5).",
    ),
    "ACT0333": CodeInfo(
        "a domain that cannot be fitted",
        "--domain takes two numbers LO,HI with LO < HI that float32 can tell apart; each may be a "
        "constant expression such as -2*pi, or infinite: -inf, inf. A domain with one infinite "
        "end begins or ends within 2**20 of zero.",
    ),
    "ACT0334": CodeInfo(
        "wrong options for a fit",
        "A form, a file ending or a kind of file is unknown, or options contradict each other: "
        "--segments and --max-error exclude each other, --emit and -o belong together, and a "
        "table has one entry per input code, whatever --segments says.",
    ),
    "ACT0335": CodeInfo(
        "a function is too large for float32",
        "Values or slopes of the function come too near the end of float32's range, in which the "
        "coefficients are held. Choose a narrower domain or scale the function.",
    ),
    "ACT0336": CodeInfo(
        "no such activation site",
        "MODEL.onnx:SITE names an activation by its identifier in `actc inspect MODEL.onnx`; of "
        "a family with one function per channel, MODEL.onnx:SITE[3] names channel 3.",
    ),
    "ACT0337": CodeInfo(
        "a file cannot be written",
        "The plot or the emitted file cannot be written at this place. Nothing was written, the "
        "other file neither.",
    ),
    "ACT0340": CodeInfo(
        "a certificate does not hold",
        "The independent checker, which works in exact rational arithmetic, found a claim of the "
        "certificate wrong, or what was emitted is not what the certificate speaks of. The file "
        "was changed, or belongs to another model; right after compiling this is a mistake of "
        "actc.",
    ),
    "ACT0341": CodeInfo(
        "not a file of certificates",
        "`actc verify` reads a directory that `actc compile` wrote, its certificates.json, or the "
        "JSON document that `actc fit --json` prints.",
    ),
    "ACT0342": CodeInfo(
        "the model of the certificates is missing",
        "Certificates of a compilation speak of the functions of its model, site by site. Give "
        "the directory of the compilation, whole, or the float model with --model.",
    ),
    "ACT0350": CodeInfo(
        "a function approaches no straight line",
        "A domain with an infinite end needs a last segment that stays within the error for "
        "ever, so the function must approach a line there, as GELU approaches 0 at -inf and x at "
        "inf; exp, log, sin and x^2 do not. Give the domain a finite end on that side.",
    ),
    "ACT0351": CodeInfo(
        "too few segments for two asymptotes",
        "A function that approaches lines of different slopes at -inf and inf needs at least two "
        "segments. Ask for more, or give the domain a finite end.",
    ),
    "ACT0352": CodeInfo(
        "a form that knows no infinite end",
        "Only lines that need not meet are fitted to infinite ends; continuous ones, trees, "
        "tables and fits of least squares are fitted on finite domains. Give the domain finite "
        "ends, or choose --form pwl.",
    ),
    "ACT0356": CodeInfo(
        "a structured function needs too wide integers",
        "A softmax, norm or gate is computed in integers that stay below 2**62, so that 64 bits "
        "hold every sum and product. With these formats and this length one of them could be "
        "larger. Use fewer bits, or a shorter axis.",
    ),
    "ACT0357": CodeInfo(
        "a structured function cannot be proven within the error",
        "The bound of a structured function sums the errors of its pieces, whose tables have up "
        "to 16 input bits, and the rounding of the output, half a unit in the last place. The note "
        "says what can be reached; ask for that, or use fewer fraction bits in the output.",
    ),
    "ACT0358": CodeInfo(
        "an unknown structured function",
        "A structured function is written with its length in brackets, such as Softmax[16] or "
        "TopK[16,4]. The help line lists the names and their parameters; case, hyphens and "
        "underscores do not matter.",
    ),
    "ACT0359": CodeInfo(
        "a wrong length or parameter of a structured function",
        "Lengths are 1 to 65536; a group or k divides or does not exceed the length, and formats "
        "must be able to hold what the function needs. The message says which does not.",
    ),
    "ACT0360": CodeInfo(
        "formats are missing, or do not go with an option",
        "A fit in fixed point needs --input and --output, such as s8.4, and then covers every "
        "code of the input, so that --domain does not apply. Without formats the fit is in "
        "float32, which has no ulps, signed digits, FPGA costs or hardware files.",
    ),
    "ACT0361": CodeInfo(
        "wrong options for a fit in fixed point",
        "--ulp is 0.5 (correctly rounded) or 1 (faithful), and only one of --ulp, --max-error and "
        "--segments is given. --segments and --digits apply to forms that have pieces or slopes. "
        "--device names a family of FPGAs for which there is a cost model.",
    ),
    "ACT0362": CodeInfo(
        "a function leaves the output format",
        "At some inputs the function is larger or smaller than every number of the output "
        "format, and the nearest of them takes its place. All errors and bounds refer to this "
        "saturated function. If it is not meant, use an output format with fewer bits of "
        "fraction, or a signed one.",
    ),
    "ACT0363": CodeInfo(
        "there is no form of the kind that was asked for",
        "Not every kind of form exists for every function and every error; the message says why "
        "this one does not. --form auto shows all kinds side by side.",
    ),
    "ACT0364": CodeInfo(
        "wrong options for a structured function",
        "A structured function such as Softmax[16] is an integer datapath around several fits. "
        "It is asked for with two formats and a bound of the error in ulps of the output; the "
        "options of a single fit, its plot and its files do not apply.",
    ),
    "ACT0365": CodeInfo(
        "weights that cannot be used",
        "--objective rms weights the squared errors. --weights takes normal, uniform, or an .npz "
        "file with two arrays of equal length: x, increasing and finite, at most 4096 of them, and "
        "weight, numbers >= 0 that are not all zero, such as the middles of a histogram's bins "
        "and its counts.",
    ),
    "ACT0370": CodeInfo(
        "no code can be written for a fixed-point form",
        "C, HLS C++, Python and ONNX are written for the forms that actc fits: tables, "
        "thresholds, piecewise lines and polynomials. A form of your own needs its own writer.",
    ),
    "ACT0371": CodeInfo(
        "the code of a fixed-point form could not be checked",
        "Before code is written, the form is computed at every input code. That is done up to 16 "
        "input bits, and every output must be a code of the output format: the code does not "
        "saturate. Forms that the fitters give always pass.",
    ),
    "ACT0401": CodeInfo(
        "an operator or one of its uses cannot be lowered",
        "The target has no kernel for this operator, or not for these attributes or shapes; the "
        "message says which. All such places of a model are listed at once. `--target onnx` takes "
        "every golden model.",
    ),
    "ACT0402": CodeInfo(
        "a shape is not known",
        "Compiling to machine code needs every axis except the batch as a number. Fix the "
        "model's other symbolic axes before compiling.",
    ),
    "ACT0403": CodeInfo(
        "an input must be a constant",
        "Weights, scales, zero points, tables, shapes and slice bounds must be initializers of the "
        "model. Fold constants first; `actc compile` does so for everything that can be folded.",
    ),
    "ACT0404": CodeInfo(
        "an accumulator does not fit 32 bits",
        "The sum of the absolute weights of one output channel times the largest input exceeds "
        "what a 32-bit accumulator holds. Split the layer, or reduce its inputs.",
    ),
    "ACT0405": CodeInfo(
        "LLVM does not know the CPU",
        "The name behind `cpu:` must be one of LLVM's CPU names, for example x86-64-v3, skylake or "
        "znver4. `cpu` alone means this machine.",
    ),
    "ACT0406": CodeInfo(
        "TVM's runtime library is missing",
        "Running a compiled model needs libtvm_runtime.so, which the package apache-tvm brings. "
        "The environment variable ACTC_TVM_RUNTIME can name a copy of it.",
    ),
    "ACT0407": CodeInfo(
        "there is no compiled model in the directory",
        "The directory has no model.so: it was not built, was built for another target, or the "
        "build failed.",
    ),
    "ACT0408": CodeInfo(
        "an input does not fit the compiled model",
        "An array has another name, element type or shape than the compiled model's input. The "
        "batch is the first axis.",
    ),
    "ACT0450": CodeInfo(
        "the target has no options",
        "This target takes nothing behind its name.",
    ),
    "ACT0501": CodeInfo(
        "a tool is not installed",
        "A target needs this command, and it is not on PATH. Install it as the help line "
        "says, or point the environment variable named there at it. `actc doctor` shows all "
        "tools.",
    ),
    "ACT0502": CodeInfo(
        "the path of a tool is wrong",
        "An environment variable ACTC_<TOOL> says where a tool is, but there is no executable "
        "file. Correct or unset it.",
    ),
    "ACT0503": CodeInfo(
        "a Python package is not installed",
        "A target or command needs a package that is an optional dependency of actc. The help "
        "line says how to install it.",
    ),
    "ACT0504": CodeInfo(
        "no onnxruntime is installed",
        "actc executes ONNX models with onnxruntime, which comes in two packages that cannot "
        "share an environment: `pip install 'actc[cpu]'` brings onnxruntime, `pip install "
        "'actc[gpu]'` brings onnxruntime-gpu.",
    ),
    "ACT0505": CodeInfo(
        "two onnxruntimes are installed",
        "onnxruntime and onnxruntime-gpu install the same files, so having both gives a "
        "mixture of the two. Uninstall both and install the one you want.",
    ),
    "ACT0510": CodeInfo(
        "a tool failed",
        "An external tool ended with an error status. The notes show the end of its log.",
    ),
    "ACT0511": CodeInfo(
        "a tool took too long",
        "An external tool exceeded its time limit; it and the processes it started were ended.",
    ),
    "ACT0512": CodeInfo(
        "a tool was killed",
        "An external tool was ended by a signal: it crashed, ran out of memory or was killed "
        "from outside.",
    ),
    "ACT0513": CodeInfo(
        "a tool could not be started",
        "The operating system refused to start an external tool; the file may be damaged or "
        "made for another machine.",
    ),
    "ACT0520": CodeInfo(
        "a hardware wire left its range",
        "Every wire of a hardware description has an exact range of values, and an evaluation "
        "found another value: a claim about dependent values is wrong. This is an error of actc; "
        "please report it with the model or function.",
    ),
    "ACT0521": CodeInfo(
        "there is no hardware unit for a form",
        "Units exist for the fixed-point forms that the notes list, with inputs of at most 16 "
        "bits. Fit one of these.",
    ),
    "ACT0522": CodeInfo(
        "the outputs of a form leave its output format",
        "Hardware units do not saturate: every output must be a code of the output format, as "
        "fits ensure. Use an output format that holds all of them.",
    ),
    "ACT0523": CodeInfo(
        "a simulation gave no defined output",
        "The simulator ended without all outputs, or some of their bits are undefined. The "
        "notes show the end of its log. This is an error of actc or of the simulator.",
    ),
    "ACT0530": CodeInfo(
        "no such FPGA family",
        "Costs are estimated and units synthesized for the FPGA families that the help line lists.",
    ),
    "ACT0531": CodeInfo(
        "not a plain Verilog identifier",
        "The name of a module to synthesize goes into a script of yosys, so only letters, "
        "digits and underscores are allowed, and no digit at the beginning.",
    ),
    "ACT0533": CodeInfo(
        "a combinational loop",
        "The logic levels of a netlist are counted along paths between ports and storage, and "
        "a path of this one leads back to where it began.",
    ),
    "ACT0601": CodeInfo(
        "accuracy dropped by more than allowed",
        "On the labelled data, the integer model answers right less often than the float "
        "model, by more than --max-drop. All files are written. More calibration data, "
        "another --calibration, or --approx exact may help; the report shows which "
        "activations err most.",
    ),
    "ACT0602": CodeInfo(
        "the artefact differs from golden",
        "The compiled artefact must equal golden.onnx bit for bit on every sample, and it did "
        "not. Right after compiling this is a mistake of actc or of the target's tools, and "
        "nothing is written; `actc check` also says it of files that were changed since.",
    ),
    "ACT0901": CodeInfo(
        "internal error",
        "actc met a state that should be impossible. Please report it with the command line and, "
        "if you can share it, the model.",
    ),
    "ACT0902": CodeInfo(
        "a pass left an invalid model",
        "After every pass actc checks the structure of the model. This pass, built in or from "
        "a plug-in, broke it.",
    ),
    "ACT0903": CodeInfo(
        "a pass changed what the model computes",
        "A pass that promises to preserve the function was compared before and after on data, "
        "and the outputs differ. Please report it with the model.",
    ),
    "ACT0904": CodeInfo(
        "golden differs from its specification",
        "golden.onnx in onnxruntime and the reference of its operators must agree on every "
        "bit, and they did not. Please report it with the model and the version of "
        "onnxruntime.",
    ),
}
