"""ACT05xx: tools and environment, hardware descriptions and synthesis."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
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
}
