"""ACT04xx: targets."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
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
    "ACT0410": CodeInfo(
        "integers are slower than float in onnxruntime",
        "onnxruntime's integer kernels lose on convolutions of few channels, depthwise "
        "convolutions and pooling, and each change between integers and float takes a pass over "
        "the tensor. The times come from a model of onnxruntime on one core (docs/onnx-target.md), "
        "not from this machine; `benchmarks/qdq.py` measures. `--target onnx` writes "
        "model.qdq.onnx so that only what gains runs on integers.",
    ),
    "ACT0411": CodeInfo(
        "what a QONNX executor gives beside golden",
        "model.qonnx.onnx computes in float32 and rounds at each quantizer, golden.onnx in "
        "integers with multipliers and shifts; a sum that lies next to a tie may go the other way, "
        "and what follows differs with it. Both are run on up to 64 samples, every tensor of codes "
        "is compared. With --scales power-of-two sums are exact in float32 too.",
    ),
    "ACT0412": CodeInfo(
        "quantizers in a QONNX model that not every reader takes",
        "A tensor that holds numbers of both signs, but not as many below 0 as above, has a zero "
        "point: hls4ml reads it, FINN takes none. An input of the network whose zero point is odd "
        "has a Clip and one bit more instead, since Quant rounds ties with the zero point added "
        "and golden without; neither hls4ml nor FINN takes Clip. Tensors behind Relu have neither, "
        "nor have those whose range is symmetric.",
    ),
    "ACT0415": CodeInfo(
        "a choice of bits that errs otherwise than predicted",
        "--budget chooses bits by measured sensitivities and measures what it chose. That was more "
        "than 5 percent beside the prediction, also when predicted again from choices two to five "
        "sites away, which is tried a few times: near it, sites change each other's errors. What "
        "is delivered keeps to the budget as measured, but a cheaper or more accurate choice may "
        "have been missed.",
    ),
    "ACT0420": CodeInfo(
        "wrong options of the target bnn-hls",
        "Behind the colon stand the tool (vitis or vivado) and name=value, joined by commas: "
        "`--target bnn-hls:vivado,board=zcu104,throughput=10000`. `actc targets bnn-hls` lists "
        "them. A part stands in place of a board: without one, only the IP is built.",
    ),
    "ACT0421": CodeInfo(
        "HLS C++ has no such layer",
        "The target bnn-hls builds convolutions, matrix products, maxima, sums, products and "
        "functions of elements, between one input and one output; recurrent layers are folded for "
        "FPGAs by the targets that `actc targets` lists.",
    ),
    "ACT0422": CodeInfo(
        "no folding is so fast, or fits",
        "Each layer takes clocks for each sample: inputs and outputs divided by how many are "
        "taken at a time, which are limited by words of 4096 bits and, with throughput=max, by "
        "what the board has, as estimated. The notes say what the fastest folding is.",
    ),
    "ACT0423": CodeInfo(
        "the C++ testbench gives other words than asked for",
        "The compiled network read or wrote another number of words than its interface says, or "
        "integers were given that it has no room for. The C++ in the directory was changed; "
        "compile again.",
    ),
    "ACT0430": CodeInfo(
        "hls4ml has no layer for a part of the network",
        "The target `hls4ml` takes convolutions, matrix products, pooling, sums and products of "
        "two tensors, and functions of one value. Recurrent layers are built by FPGA targets.",
    ),
    "ACT0431": CodeInfo(
        "an option of the target hls4ml is wrong",
        "Behind `hls4ml:` stand options such as `vitis,io=stream,reuse=4`; "
        "`actc targets hls4ml` lists them.",
    ),
    "ACT0432": CodeInfo(
        "the C simulation of hls4ml gives too few or too many results",
        "The compiled network read or wrote another number of values than its interface says. The "
        "C++ in the directory was changed; compile again.",
    ),
    "ACT0433": CodeInfo(
        "there is nothing for a vendor's tools to build",
        "`actc build` runs scripts that the targets hls4ml and bnn-hls write: to an IP and, where "
        "a board is among the target's options, to a bitstream. The directory was compiled for "
        "another target, or without a board.",
    ),
    "ACT0434": CodeInfo(
        "timing is missed",
        "A signal takes longer than a clock (negative slack behind routing; without it, the clock "
        "that C synthesis estimates), or comes too early. The message says by how much. A slower "
        "clock, more clocks per sample or a faster part help. report.json is left as it was.",
    ),
    "ACT0435": CodeInfo(
        "a vendor's tool of another version",
        "The scripts are written for the versions that the message names. An older one is not "
        "started; a newer one is, with this warning. A program that does not say its version is "
        "not the tool that its name promises.",
    ),
    "ACT0436": CodeInfo(
        "a vendor's tool has no licence",
        "The log has a line of the licence manager; the note shows it. Licences are found by "
        "LM_LICENSE_FILE, AMD's also by XILINXD_LICENSE_FILE, Siemens' by MGLS_LICENSE_FILE, and "
        "depend on the part.",
    ),
    "ACT0437": CodeInfo(
        "a vendor's tool ended without results",
        "The tool ended with status 0, but a product or report is missing, is not in its format, "
        "or belongs to another design. Nothing was put into report.json.",
    ),
    "ACT0438": CodeInfo(
        "the design does not fit, by estimate",
        "C synthesis estimates more of a resource than the part has. It counts roughly; Vivado "
        "says whether it can be placed.",
    ),
    "ACT0440": CodeInfo(
        "a backend of hls4ml cannot build a layer as asked",
        "io=parallel keeps whole tensors in registers, of which hls4ml allows the tools 4096 for "
        "an array: larger tensors need io=stream. "
        "Catapult: constants of more than 53 bits are rounded where its C simulation reads them. "
        "Convolutions of whole tensors (io=parallel) are actc's there, as hls4ml's do not compile "
        "with integers; these share no multipliers. Take another backend, reuse=1 or io=stream.",
    ),
    "ACT0441": CodeInfo(
        "activation units are missing in an hls4ml project",
        "The project that hls4ml wrote lacks layers of actc that it was given. hls4ml is of a "
        "version that actc does not know; `actc doctor` shows which one is installed.",
    ),
    "ACT0442": CodeInfo(
        "no softmax ends the network",
        "`--end probabilities` gives the probabilities of the softmax that ends the network as "
        "codes of 16 bits, in integers only. This output comes from another operator, or is read "
        "inside the network as well.",
    ),
    "ACT0443": CodeInfo(
        "hls4ml of another version",
        "The message names the versions of hls4ml that the target is tested with. A newer one is "
        "used, with this warning: what it writes is compared with golden as ever, but it may fail "
        "in ways that are not known. An older one lacks what the target needs, and is not started. "
        "`tests/test_hls4ml_versions.py` says what has changed.",
    ),
    "ACT0450": CodeInfo(
        "the target has no such option",
        "`onnx` takes options behind a colon: `--target onnx:full` quantizes every tensor of "
        "model.qdq.onnx, as accelerators without float arithmetic need it; `--target onnx:qonnx` "
        "writes model.qonnx.onnx for FINN, hls4ml and other readers of QONNX; `onnx:cuda`, also "
        "`onnx:full,cuda`, runs golden.onnx with onnxruntime's CUDA provider.",
    ),
    "ACT0460": CodeInfo(
        "the shape of a result is not known before it runs",
        "Machine code needs every extent as a number; only the first axis of all tensors may be "
        "the open batch. The shape of this result depends on values, or the operator moves the "
        "open batch to another place. Fix the batch, make what decides the shape a constant, or "
        "declare the shape of the model's output.",
    ),
    "ACT0461": CodeInfo(
        "an operator has no kernel for these types or attributes",
        "Every operator of ONNX that computes numbers has a generic kernel for the target cpu in "
        "float32, but not for every element type and attribute; the message says what is missing. "
        "Casting to float32 around the operator, or another spelling of it, usually helps.",
    ),
    "ACT0462": CodeInfo(
        "an input that tells the model what to do, and no data",
        "Shapes, pads, axes, counts and the like are inputs of this model. Made-up numbers make no "
        "sense there. Pass --data with the numbers that these inputs will have, or make them "
        "constants of the model.",
    ),
    "ACT0463": CodeInfo(
        "a stage of the model does not run",
        "The model itself runs, but what a pass made of it neither onnxruntime nor the onnx "
        "package's evaluator runs. This happens with operators and types newer than onnxruntime. "
        "Export the model with an older opset, and please report it with the model.",
    ),
    "ACT0464": CodeInfo(
        "inputs that the compiled model does not take",
        "Axes, shapes, bounds and indices that are inputs of the model are read when it runs. They "
        "must give the shapes that the model declares, and indices must lie in their axes. Compile "
        "the model for the shapes that you need, or make these inputs constants.",
    ),
    "ACT0465": CodeInfo(
        "no architecture or option of CUDA",
        "Behind `cuda:` stand the architectures that machine code is generated for, joined by "
        "commas: `--target cuda:sm_80,sm_90`. GPUs newer than the newest of them compile the "
        "kernels' PTX when model.so is loaded. One of dp4a (integers without tensor cores) and "
        "fp16 (float32 products in half precision) may stand among them.",
    ),
    "ACT0466": CodeInfo(
        "nvcc is missing",
        "The target cuda compiles its kernels with NVIDIA's nvcc, which is looked for in "
        "ACTC_NVCC, on PATH, in CUDA_HOME and among NVIDIA's packages on PyPI. No GPU and no "
        "driver is needed to compile.",
    ),
    "ACT0467": CodeInfo(
        "the GPU or its driver refuses",
        "NVIDIA's driver could not load the kernels or run them; the message has its reason. "
        "Where there is no driver at all, the kernels are executed on the CPU instead.",
    ),
    "ACT0470": CodeInfo(
        "a kernel that the target cuda lacks",
        "The target cuda has kernels for the operators of golden models and for the common ones in "
        "float32; the generic kernels of the target cpu have no form for GPUs.",
    ),
    "ACT0472": CodeInfo(
        "a kernel has no form in integer C",
        "The target `c` writes the same kernels as `cpu` does, as C without float. This one "
        "computes in float, or is made of parts that only machine code has. All such places are "
        "listed at once. `--target cpu` and `--target onnx` run the model.",
    ),
    "ACT0473": CodeInfo(
        "an option of the target c is wrong",
        "Behind `c:` stand options with commas between them: name=, the name of the files and the "
        "prefix of the functions, and seconds=, the limit of the integer program that plans the "
        "arena. `actc targets c` lists them.",
    ),
    "ACT0474": CodeInfo(
        "there is no C code in the directory",
        "The directory has no signature.json of the target `c`, or a source is missing: it was not "
        "compiled, was compiled for another target, or files were removed.",
    ),
    "ACT0475": CodeInfo(
        "the compiled C code wrote less or more than the outputs",
        "main.c reads samples and writes the outputs of each; what it wrote are not whole samples. "
        "That happens where main.c or the network's file was changed by hand.",
    ),
    "ACT0479": CodeInfo(
        "the artefact was not executed",
        "It was built for a CPU that this machine is not, or that lacks instructions it uses, and "
        "no emulator was found. What the report says about accuracy and equality is golden's; "
        "nothing says that the artefact computes the same until `actc check` has run it. "
        "docs/cpu.md says what an emulated run needs.",
    ),
    "ACT0480": CodeInfo(
        "the compiled model does not run on this machine",
        "model.so holds instructions of the CPU that it was compiled for. The message says what "
        "this machine lacks; compile for `--target cpu`, which is this machine, or for a CPU that "
        "both have, such as cpu:x86-64-v3.",
    ),
    "ACT0481": CodeInfo(
        "wrong options of the target cpu",
        "Behind `cpu:` stand a CPU (cpu:znver4), with its architecture in front or not "
        "(cpu:aarch64:cortex-a76), and `objects` for object files instead of a shared library "
        "(cpu:aarch64:cortex-a76,objects).",
    ),
    "ACT0482": CodeInfo(
        "onnxruntime cannot use CUDA",
        "`--target onnx:cuda` needs onnxruntime-gpu, which pip install 'actc[gpu]' brings; it "
        "offers CUDAExecutionProvider. The package onnxruntime has no such provider, and the two "
        "cannot share an environment.",
    ),
    "ACT0483": CodeInfo(
        "onnxruntime fell back to the CPU",
        "onnxruntime-gpu is installed, but its CUDA provider did not start: CUDA or cuDNN of the "
        "version that it wants are missing, or there is no GPU. onnxruntime would go on without it "
        "and say so in a log at most; actc stops.",
    ),
    "ACT0484": CodeInfo(
        "a network that object files for a bare CPU cannot hold",
        "`cpu:...,objects` and Cortex-M take one sample at a time and need all memory to be known: "
        "the message says what is not. `--target c` writes C for microcontrollers, without LLVM.",
    ),
    "ACT0485": CodeInfo(
        "a weight that half precision cannot hold",
        "With --precision float16 the weights of convolutions and matrix products are rounded to "
        "half precision, whose largest number is 65504. All layers with larger ones are listed, "
        "each with its largest weight. Scale them, or compile with --precision float32.",
    ),
    "ACT0486": CodeInfo(
        "a precision that the target lacks",
        "--precision float16 keeps activations and weights in half precision, which GPUs multiply "
        "on tensor cores: `--target cuda` has it. CPUs are faster with int8, and exact with "
        "float32, which `--target cpu`, `cuda` and `onnx` have. FPGAs, HLS and C have int8 only. "
        "Options of `cuda` belong to one precision: dp4a to int8, fp16 to float32.",
    ),
    "ACT0490": CodeInfo(
        "nothing to tune",
        "`--tune N` times schedules of the target cpu's kernels; other targets have none, and "
        "`--tune-seconds` limits what `--tune` takes.",
    ),
    "ACT0491": CodeInfo(
        "tuning for another machine",
        "`--tune` times kernels where it runs: only for this machine's own CPU. Compile for "
        "`--target cpu` on the machine that will run the model, or leave `--tune` out.",
    ),
    "ACT0492": CodeInfo(
        "tuning ran out of time",
        "After `--tune-seconds` (300) the kernels that were not timed keep the schedules that "
        "are modelled to be fastest. Results do not depend on that. What was timed is kept, so "
        "that compiling again goes on where this stopped.",
    ),
    "ACT0493": CodeInfo(
        "what tuning kept cannot be used",
        "A choice in the cache (`actc cache`) is none, or one of another kernel; the kernel was "
        "timed again.",
    ),
}
