"""ACT03xx: approximation, fits, certificates, float islands."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
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
    "ACT0343": CodeInfo(
        "operators stay in float",
        "These operators have no integer form as they are used here; the message says why. The "
        "target can run them in float, so they stay as they are: their inputs are dequantized, "
        "what they give is quantized where integers need it. Neighbours among them are one "
        "island, without conversions in between. The bits of an island are those that onnxruntime "
        "computes on the CPU, unlike the rest of golden.onnx, which is exact everywhere. "
        "`--islands never` refuses such operators.",
    ),
    "ACT0344": CodeInfo(
        "no operator has an integer form",
        "Operators without integer form can stay in float, but here that would be all of them: "
        "the result would be the float model again. The notes name the operators and the reasons.",
    ),
    "ACT0345": CodeInfo(
        "control flow was removed",
        "An If whose condition is constant became its branch; a Loop or Scan whose number of "
        "steps is constant was written out step by step. What was inside is compiled like the "
        "rest of the network; names of its nodes begin with the name of the operator and the "
        "number of the step.",
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
    "ACT0366": CodeInfo(
        "no bound of the outputs' error",
        "`actc check --bound` encloses every operator of the float model and of golden. The "
        "notes name those that it does not cover, such as recurrent layers, islands that stay "
        "float, or models that were quantized before actc. `actc check --sites` measures what "
        "each rounding costs, on data.",
    ),
    "ACT0367": CodeInfo(
        "the network is too large for a bound",
        "`actc check --bound` keeps, for every number of a tensor, its dependence on every input "
        "and on every rounding and activation before it. That is made for networks of some "
        "thousands of activations; this one has more. `actc check --sites` measures what each "
        "rounding costs, on data.",
    ),
    "ACT0368": CodeInfo(
        "a region that does not exist",
        "A bound of the outputs' error holds for all inputs of a region: 'format', all that the "
        "quantizers of the inputs represent, or 'data', between the least and the largest value "
        "that each element of the inputs takes on the data.",
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
}
