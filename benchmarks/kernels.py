"""Time of single int8 layers: actc's kernels against onnxruntime's, on one thread.

    python benchmarks/kernels.py [NAME ...]

onnxruntime runs QLinearConv in its own channels-last form (or QLinearMatMul), actc the
same layer with requantization and, in a column of its own, with a 256-byte
activation table on top. A session call costs more than a small layer, so
onnxruntime's time is the difference between a model with many independent
copies of the layer and one with a single copy, per copy. Medians of alternating
rounds; batch 1.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import tvm
from onnx import TensorProto, helper, numpy_helper

from actc.targets.tvm.host import host_cpu
from actc.targets.tvm.kernels.conv import conv_prim_func, pack_weight
from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, fold_bias, padded

COPIES = 9
ROUNDS = 25
SLICE = 1e-3
"""Seconds of one timing; short, so that few are interrupted."""
SHIFT = 36


def conv(
    in_h: int,
    in_w: int,
    in_c: int,
    out_c: int,
    kernel: tuple[int, int] = (1, 1),
    strides: tuple[int, int] = (1, 1),
    group: int = 1,
) -> ConvSpec:
    """A layer with "same" padding, batch 1."""
    pads = (kernel[0] // 2, kernel[1] // 2) * 2
    epilogue = Epilogue("requantize", SHIFT, 128, 0, 255)
    return ConvSpec(1, in_h, in_w, in_c, out_c, kernel, strides, pads, (1, 1), group, 128, epilogue)


LAYERS = {
    "digits 3x3 1->16": conv(8, 8, 1, 16, (3, 3)),
    "digits 3x3 16->32": conv(8, 8, 16, 32, (3, 3)),
    "digits fc 512->64": conv(1, 1, 512, 64),
    "mnist 3x3 1->32": conv(28, 28, 1, 32, (3, 3)),
    "mnist 3x3 32->64": conv(28, 28, 32, 64, (3, 3)),
    "ppocr stem 3x3 s2 3->8": conv(48, 192, 3, 8, (3, 3), (2, 2)),
    "ppocr 1x1 8->8 24x96": conv(24, 96, 8, 8),
    "ppocr 1x1 8->32 24x96": conv(24, 96, 8, 32),
    "ppocr 1x1 32->16 12x96": conv(12, 96, 32, 16),
    "ppocr 1x1 16->40 12x96": conv(12, 96, 16, 40),
    "ppocr 1x1 88->24 6x96": conv(6, 96, 88, 24),
    "ppocr 1x1 200->32 3x96": conv(3, 96, 200, 32),
    "ppocr 1x1 32->200 3x96": conv(3, 96, 32, 200),
    "ppocr dw3 s21 8 24x96": conv(24, 96, 8, 8, (3, 3), (2, 1), 8),
    "ppocr dw3 s21 40 12x96": conv(12, 96, 40, 40, (3, 3), (2, 1), 40),
    "ppocr dw5 s21 104 6x96": conv(6, 96, 104, 104, (5, 5), (2, 1), 104),
    "ppocr dw5 200 3x96": conv(3, 96, 200, 200, (5, 5), (1, 1), 200),
    "ppocr se 104->32": conv(1, 1, 104, 32),
    "ppocr se 32->104": conv(1, 1, 32, 104),
    "magika conv1d k5 256->512": replace(
        conv(1, 512, 256, 512, (1, 5)), pads=(0, 0, 0, 0), in_w=512
    ),
    "magika fc 512->214 x1": conv(1, 1, 512, 214),
    "matmul 197x384x384": conv(1, 197, 384, 384),
}


@dataclass(frozen=True)
class Operands:
    """Random numbers for one layer; activations channels-last, unpadded."""

    x: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    table: npt.NDArray[np.uint8]

    @classmethod
    def random(cls, spec: ConvSpec) -> Operands:
        """Draw operands whose outputs spread over the 256 codes."""
        rng = np.random.default_rng(0)
        shape = (spec.out_c, spec.in_c // spec.group, *spec.kernel)
        terms = int(np.prod(shape[1:]))
        scale = 60.0 / (74.0 * 74.0 * np.sqrt(terms))
        return cls(
            rng.integers(0, 256, (1, spec.in_h, spec.in_w, spec.in_c)).astype(np.uint8),
            rng.integers(-127, 128, shape).astype(np.int8),
            rng.integers(-1000, 1000, spec.out_c).astype(np.int32),
            (rng.uniform(0.5, 1, spec.out_c) * scale * 2.0**SHIFT).astype(np.int32),
            rng.permutation(256).astype(np.uint8),
        )


def ort_model(spec: ConvSpec, data: Operands, copies: int) -> bytes:
    """`copies` independent copies of the layer behind one input."""
    scales = (data.multiplier.astype(np.float64) / 2.0**SHIFT).astype(np.float32)
    constants = {
        "one": np.float32(1),
        "zero": np.uint8(spec.x_zero),
        "wscale": scales,
        "wzero": np.zeros(spec.out_c, np.int8),
        "ozero": np.uint8(spec.epilogue.zero),
    }
    matrix = spec.kernel == (1, 1) and spec.in_h == 1
    nodes, outputs = [], []
    for copy in range(copies):
        weight = np.roll(data.weight, copy, axis=0)
        bias = data.bias
        quantized = ["one", "zero", f"w{copy}", "wscale", "wzero", "one", "ozero"]
        if matrix:
            weight = np.ascontiguousarray(weight[:, :, 0, 0].T)
            nodes.append(helper.make_node("QLinearMatMul", ["x", *quantized], [f"y{copy}"]))
        else:
            constants[f"b{copy}"] = bias
            nodes.append(
                helper.make_node(
                    "QLinearConv",
                    ["x", *quantized, f"b{copy}"],
                    [f"y{copy}"],
                    domain="com.microsoft",
                    channels_last=1,
                    kernel_shape=spec.kernel,
                    strides=spec.strides,
                    pads=spec.pads,
                    group=spec.group,
                )
            )
        constants[f"w{copy}"] = weight
        outputs.append(helper.make_tensor_value_info(f"y{copy}", TensorProto.UINT8, None))
    shape = data.x.shape[2:] if matrix else data.x.shape
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10)
    return bytes(model.SerializeToString())


def ort_call(spec: ConvSpec, data: Operands, copies: int) -> Callable[[], None]:
    """A bound session call."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(
        ort_model(spec, data, copies), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    x = data.x.reshape(session.get_inputs()[0].shape)
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    session.run_with_iobinding(binding)  # the first run allocates
    for output, value in zip(session.get_outputs(), binding.get_outputs(), strict=True):
        binding.bind_ortvalue_output(output.name, value)
    return lambda: session.run_with_iobinding(binding)


def actc_call(spec: ConvSpec, data: Operands) -> Callable[[], float]:
    """Compile the layer; the call returns microseconds of one execution."""
    cpu = host_cpu()
    features = cpu.features
    function = conv_prim_func(spec, features)
    target = tvm.target.Target(cpu.target())
    module = tvm.compile(tvm.IRModule({"conv": function}), target=target)
    lanes = padded(spec.out_c)
    pad = [(0, 0)] * 3 + [(0, padded(spec.in_c) - spec.in_c)]
    operands = [
        np.pad(data.x, pad),
        pack_weight(data.weight, spec, features),
        fold_bias(data.bias, data.weight, spec.x_zero),
        np.pad(data.multiplier, (0, lanes - spec.out_c)),
    ]
    if spec.epilogue.kind == "requantize+table":
        operands.append(data.table)
    operands.append(np.zeros((1, spec.out_h, spec.out_w, lanes), np.uint8))
    tensors = [tvm.runtime.tensor(operand) for operand in operands]
    first = module.mod.time_evaluator("conv", tvm.cpu(), number=3)(*tensors).mean
    number = max(1, min(1000, int(SLICE / first)))
    timer = module.mod.time_evaluator("conv", tvm.cpu(), number=number)
    return lambda: float(timer(*tensors).mean) * 1e6


def microseconds(call: Callable[[], None], number: int) -> float:
    """Mean time of `number` calls."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number * 1e6


def measure(spec: ConvSpec) -> tuple[float, float, float]:
    """(actc, actc with a table, onnxruntime) in microseconds."""
    data = Operands.random(spec)
    table = replace(spec, epilogue=replace(spec.epilogue, kind="requantize+table"))
    plain_call, table_call = actc_call(spec, data), actc_call(table, data)
    many, single = ort_call(spec, data, COPIES), ort_call(spec, data, 1)
    number = max(1, min(50, int(SLICE * 1e6 / microseconds(many, 3))))
    samples = []
    for _ in range(ROUNDS):
        layer = (microseconds(many, number) - microseconds(single, number)) / (COPIES - 1)
        samples.append((plain_call(), table_call(), layer))
    columns = [statistics.median(column) for column in zip(*samples, strict=True)]
    return columns[0], columns[1], columns[2]


def main(wanted: list[str]) -> None:
    """Print the table of all layers whose name contains one of `wanted`."""
    print(f"cpu {host_cpu().mcpu}, onnxruntime {ort.__version__}, tvm {tvm.__version__}")
    print(f"{'layer':<28}{'actc us':>10}{'+table us':>11}{'ort us':>10}{'actc/ort':>10}")
    ratios = []
    for name, spec in LAYERS.items():
        if wanted and not any(part in name for part in wanted):
            continue
        plain, table, other = measure(spec)
        ratios.append(plain / other)
        print(f"{name:<28}{plain:>10.2f}{table:>11.2f}{other:>10.2f}{plain / other:>10.2f}")
    print(f"geometric mean of the ratios: {statistics.geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
