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
    "ACT0514": CodeInfo(
        "a tool printed without end",
        "An external tool printed more than 256 MiB, which would fill the disk; it and the "
        "processes it started were ended. The notes show the end of what it printed: usually it "
        "says the same again and again.",
    ),
    "ACT0515": CodeInfo(
        "what a tool made is missing or damaged",
        "An external tool ended without an error, but the file that it was to write is missing, "
        "cut short or something else. Nothing of it is kept or loaded. Often a disk was full: that "
        "of the output, or that of TMPDIR.",
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
    "ACT0535": CodeInfo(
        "an option of an FPGA target is wrong",
        "Behind the colon of an FPGA target stand options such as `ecp5-25k:clock=120,seeds=4`; "
        "--clock, --latency, --interface and --seeds of `actc compile` write them there. "
        "One is not known, is given twice, or cannot have this value.",
    ),
    "ACT0536": CodeInfo(
        "hardware of another version",
        "Running or checking what was compiled for an FPGA builds the hardware again from "
        "golden.onnx, to know its ports and what it must give. This version of actc builds "
        "other hardware, so the netlists and the bitstream in the directory cannot be compared. "
        "The bitstream itself still works.",
    ),
    "ACT0540": CodeInfo(
        "an option of adder graphs is out of range",
        "Products with constant matrices are built as graphs of adders, searched for with an "
        "effort from 0 (quick) to 3 (thorough), optionally with a limit on the adders of a path.",
    ),
    "ACT0545": CodeInfo(
        "an integer function is not given for each of its inputs",
        "A function of a wire needs one integer for each value that the wire can have: an array "
        "of that length, a table that is long enough, or what computes them.",
    ),
    "ACT0546": CodeInfo(
        "an integer function has too many inputs to compute all its values",
        "Functions that are given as code are evaluated on every input. For wider wires give "
        "the runs of equal values, or build the function in stages.",
    ),
    "ACT0547": CodeInfo(
        "not a requantization",
        "A Requantize node of a golden model has a multiplier of at least 0, a shift of at "
        "least 1 and bounds in increasing order; this one has not.",
    ),
    "ACT0549": CodeInfo(
        "an output has no largest element to choose",
        "`--end argmax` puts the index of the largest element along axis 1 in place of every "
        "float output [samples, classes, ...]. This model has none, or its output has another "
        "shape. A single score, as of a sigmoid, is compared with a threshold instead.",
    ),
    "ACT0550": CodeInfo(
        "a part of the model cannot be unrolled into hardware",
        "An unrolled network has wires for every element of every tensor of a sample. The "
        "operator, or this use of it, has no such form: float islands, recurrent layers, "
        "normalizations over an axis, what works along the batch or depends on data. All such "
        "places are listed at once; docs/unrolled.md has the operators that can be unrolled.",
    ),
    "ACT0551": CodeInfo(
        "a shape is not known",
        "Unrolled hardware needs every axis except the batch as a number. Fix the model's other "
        "symbolic axes before compiling.",
    ),
    "ACT0552": CodeInfo(
        "the network is too large to be unrolled",
        "Every multiplication of an unrolled network has adders of its own. The notes name the "
        "layers that take most, by an estimate made before any work. Fewer channels, fewer bits "
        "of weights and activations or sparse weights make it smaller.",
    ),
    "ACT0553": CodeInfo(
        "an input does not fit the network",
        "An array is missing, or has another name, element type or shape than the model's input. "
        "Samples lie along the first axis.",
    ),
    "ACT0555": CodeInfo(
        "the network is clearly too large for the device",
        "The logic cells and flip-flops of the pipelined network are estimated before synthesis, "
        "to a few percent of what yosys finds. More than 130 percent of a device are refused at "
        "once. The notes say how much it is, which layers take most, and what fewer bits of "
        "weights would change; the help line names the smallest device and boards that hold it.",
    ),
    "ACT0556": CodeInfo(
        "tables cannot be kept in block memories of this device",
        "`--tables memory` (`TARGET:tables=memory`) puts the tables of functions into block "
        "memories. That is possible where netlists and bitstreams with such memories can be "
        "compared with golden.onnx: on ecp5 and ice40. Leave the option out; tables are then "
        "logic.",
    ),
    "ACT0557": CodeInfo(
        "the network's outputs are constants",
        "Every output of the integer network is the same for all inputs within their calibrated "
        "ranges, so there is nothing to build. Look at the accuracy of golden.onnx, at the "
        "calibration data, and at layers whose weights are all 0 (`actc check --sites`).",
    ),
    "ACT0558": CodeInfo(
        "options of an unrolled network had no effect",
        "The search for shared adders (effort) and the place of tables (tables) are chosen for "
        "unrolled networks. This one was too large for the device unrolled, so it was folded: "
        "there the solver decides both.",
    ),
    "ACT0560": CodeInfo(
        "no such FPGA timing",
        "Registers are placed by the delays of a family and speed grade that the help line lists.",
    ),
    "ACT0561": CodeInfo(
        "a clock that one operator alone exceeds",
        "Registers can be placed between operators only. One of them, which the notes name, "
        "takes longer than a clock period by itself. Ask for the clock that the help line says, "
        "or make that operator smaller: fewer bits, a smaller table.",
    ),
    "ACT0562": CodeInfo(
        "a latency that is too short",
        "The network cannot be computed in so few clocks: inputs and outputs are registered, "
        "and at the clock that was asked for the logic between them takes more stages. Ask for "
        "more clocks of latency or for a slower clock, as the help line says.",
    ),
    "ACT0563": CodeInfo(
        "neither a clock nor a latency",
        "Pipelining needs the clock to reach in MHz, or the number of register stages, which is "
        "at least 1, or both.",
    ),
    "ACT0564": CodeInfo(
        "no stages were found",
        "The linear program that places registers has a solution, but the solver returned none, "
        "or one that breaks a constraint. This is an error of actc; please report it with the "
        "model.",
    ),
    "ACT0565": CodeInfo(
        "compiled programs cannot be kept",
        "The FPGA tools of PyPI are WebAssembly, which is compiled to machine code at their first "
        "run and kept in the user's cache folder, or in the one that YOWASP_CACHE_DIR names. That "
        "folder cannot be written, or its disk is full. `actc doctor --prepare` compiles all of "
        "them ahead.",
    ),
    "ACT0570": CodeInfo(
        "cells of a netlist without a model",
        "Netlists are evaluated cell by cell to compare them with golden, and the cells that "
        "the message names have no model. The design is built all the same; only this comparison "
        "is not possible.",
    ),
    "ACT0571": CodeInfo(
        "a netlist cannot be evaluated",
        "What the tool wrote is not consistent, or a cell is used in a mode that has no model. "
        "The message names it.",
    ),
    "ACT0572": CodeInfo(
        "a netlist with more than one clock",
        "Netlists are evaluated clock by clock, with one clock that comes from a port or an "
        "oscillator, not from logic.",
    ),
    "ACT0574": CodeInfo(
        "a proof without an answer",
        "The SAT solver of yosys ended neither with a proof nor with a counterexample nor at a "
        "limit. The notes show the end of its log. This is an error of actc or of yosys.",
    ),
    "ACT0580": CodeInfo(
        "no such board or device",
        "Bitstreams are built for the boards and devices that the help line lists, and for "
        "boards that a TOML file of yours describes (docs/boards.md).",
    ),
    "ACT0581": CodeInfo(
        "the design does not fit the device",
        "The design takes more of a resource than the device has. The notes say how much, "
        "which layers take most of it and which device would hold it. Make the network smaller "
        "(fewer bits, fewer units, more sparsity) or choose that device.",
    ),
    "ACT0582": CodeInfo(
        "the design could not be placed or routed",
        "Placement or routing found no solution, mostly because the device is nearly full. Try "
        "other seeds (--seeds), a smaller network or a larger device.",
    ),
    "ACT0583": CodeInfo(
        "the clock is too fast for the design",
        "The routed design does not run at the clock that was asked for. The notes say how "
        "fast it runs and which path limits it, in the network or in the interface around it. Ask "
        "for a slower clock, allow more pipeline stages (--latency) if it is the network, or try "
        "more seeds (--seeds).",
    ),
    "ACT0584": CodeInfo(
        "a tool ran out of memory",
        "An external tool needed more memory than its limit or the machine allows. Make the "
        "network smaller, end other programs, or install the tool natively: the ones from PyPI "
        "are limited to 4 GiB.",
    ),
    "ACT0585": CodeInfo(
        "the disk is full",
        "A file could not be written because no space is left on the device. Free some, or "
        "write to another disk.",
    ),
    "ACT0586": CodeInfo(
        "a tool is too old",
        "The tool that an environment variable ACTC_<TOOL> names is older than what actc is "
        "tested with. Correct or unset it.",
    ),
    "ACT0587": CodeInfo(
        "a clock that the board cannot make",
        "The PLL of the device makes no such clock from the board's oscillator. The notes give "
        "its range.",
    ),
    "ACT0588": CodeInfo(
        "the board has no pins for an interface",
        "The data file of the board names no pin for a signal of the chosen interface. Choose "
        "another interface, or a board file of your own (docs/boards.md). A bare stream has a port "
        "for every bit, which no board names pins for: on iCE40 and ECP5 the placer chooses them, "
        "on Gowin it cannot.",
    ),
    "ACT0589": CodeInfo(
        "a board file is wrong",
        "The TOML file that describes a board cannot be read, lacks a field or has one that is "
        "not known. docs/boards.md describes these files.",
    ),
    "ACT0590": CodeInfo(
        "interface.json is missing or damaged",
        "`actc compile` writes interface.json beside the design of a board: how samples become "
        "bits, how these are framed, and which design answers. Give that directory. A design "
        "with the bare stream interface has no pins that a host or a simulation could ask.",
    ),
    "ACT0591": CodeInfo(
        "a port cannot be used",
        "There is no such serial port, it may not be opened (on Linux, is the user in the group "
        "dialout?), another program holds it, or the design has no UART. The help line lists "
        "the ports of this machine; `--port sim` simulates the whole board.",
    ),
    "ACT0592": CodeInfo(
        "the board does not answer",
        "Requests were sent, several times, and nothing at all came back: another port, another "
        "bitstream, no power, or rx and tx exchanged.",
    ),
    "ACT0593": CodeInfo(
        "the board runs another design",
        "The board answered, and told another build or other sizes than interface.json holds. "
        "Program it with the bitstream of this directory.",
    ),
    "ACT0594": CodeInfo(
        "the board's answers are broken",
        "Bytes come from the board, but hardly any frame with the right checksum, or it finds "
        "every request broken: wrong baud rate, a bad wire, or something else at this port.",
    ),
    "ACT0595": CodeInfo(
        "the inputs do not fit the network in hardware",
        "`Device.run` takes one array per input of the network, samples along the first axis; "
        "names, shapes, types and, where integers are sent as they stand, their range must fit.",
    ),
    "ACT0596": CodeInfo(
        "the baud rate cannot be made from the clock",
        "A UART divides its clock by a whole number, which must be at least 8 and give the rate "
        "within 1.5 percent. Choose another rate or clock.",
    ),
    "ACT0597": CodeInfo(
        "the simulation of a board ended",
        "The simulator that stands for the board stopped, or gave undefined levels. The notes "
        "show what it said.",
    ),
    "ACT0598": CodeInfo(
        "the board differs from golden.onnx",
        "Every output of the board must equal golden.onnx bit for bit. Where the checksums are "
        "right, the design itself is wrong: timing that was not met, or an error of actc.",
    ),
    "ACT0599": CodeInfo(
        "a compiled directory lacks a file",
        "What `actc compile` wrote for an FPGA belongs together: golden.onnx, interface.json, rtl/ "
        "and the others. Copy the directory as a whole, or compile again.",
    ),
}
