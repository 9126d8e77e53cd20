"""Measure single operators in onnxruntime against the model of times that places QDQ pairs.

    python benchmarks/qdq_times.py [--repeat 40]

Each operator runs between other nodes in float and on codes, on one thread; its least kernel
time, from onnxruntime's profiler, stands beside what `actc.targets.onnx.times` says. Use it to
fit the constants there to another machine or version.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import numpy_helper, parser

from actc.targets.onnx.times import OPERATOR, times_of

KERNELS = {
    "Conv": ("Conv", "FusedConv", "QLinearConv"),
    "Gemm": ("Gemm", "QGemm"),
    "Add": ("Add", "QLinearAdd"),
    "Mul": ("Mul", "QLinearMul"),
    "Sigmoid": ("Sigmoid", "QLinearSigmoid"),
    "LeakyRelu": ("LeakyRelu", "QLinearLeakyRelu"),
    "GlobalAveragePool": ("GlobalAveragePool", "QLinearGlobalAveragePool"),
    "MaxPool": ("MaxPool", "NhwcMaxPool"),
}
"""Names of an operator's kernels, float and on codes."""


@dataclass(frozen=True)
class Case:
    """One operator on an input of one shape.

    Attributes:
        title: for the table.
        shape: of x.
        statement: in ONNX's text format, from x (and w, b) to y.
        weights: shape of w; None: there is none.
        biased: whether there is a bias b.
    """

    title: str
    shape: tuple[int, ...]
    statement: str
    weights: tuple[int, ...] | None = None
    biased: bool = False


def conv(inputs: int, outputs: int, size: int, taps: int, group: int = 1) -> Case:
    """A convolution of stride 1."""
    pad = taps // 2
    kind = "depthwise " if group > 1 else ""
    return Case(
        f"{kind}Conv {inputs}->{outputs}, {taps}x{taps}, {size}x{size}",
        (8, inputs, size, size),
        f"y = Conv <pads = [{pad},{pad},{pad},{pad}], group = {group}> (x, w, b)",
        (outputs, inputs // group, taps, taps),
        True,
    )


def gemm(rows: int, depth: int, wide: int) -> Case:
    """A matrix product with a bias."""
    title = f"Gemm {rows}x{depth}x{wide}"
    return Case(title, (rows, depth), "y = Gemm (x, w, b)", (depth, wide), True)


IMAGE = (8, 32, 28, 28)
CASES = (
    *(conv(c, 16, 28, 3) for c in (1, 3, 8, 16)),
    conv(32, 32, 28, 3), conv(64, 64, 14, 3), conv(128, 128, 14, 3),
    conv(16, 64, 28, 1), conv(64, 64, 14, 1), conv(256, 256, 7, 1),
    *(conv(c, c, 14, taps, group=c) for c in (32, 128) for taps in (3, 5)),
    *(gemm(rows, depth, wide)
      for rows in (1, 8, 64) for depth, wide in ((64, 64), (256, 256), (1024, 1024))),
    Case("Add", IMAGE, "y = Add (x, x)"),
    Case("Mul", IMAGE, "y = Mul (x, x)"),
    Case("Sigmoid", IMAGE, "y = Sigmoid (x)"),
    Case("LeakyRelu", IMAGE, "y = LeakyRelu <alpha = 0.1> (x)"),
    Case("GlobalAveragePool", IMAGE, "y = GlobalAveragePool (x)"),
    Case("MaxPool, channels first", IMAGE,
         "y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)"),
)  # fmt: skip


def model_of(case: Case, codes: bool) -> onnx.ModelProto:
    """The operator alone, in float or between conversions."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    lines = []
    pair = "{1}_q = QuantizeLinear ({0}, s, z)\n{1} = DequantizeLinear ({1}_q, s, z)"
    statement = case.statement
    if codes:
        arrays |= {"s": np.array(0.02, np.float32), "z": np.array(128, np.uint8)}
        lines.append(pair.format("x", "xd"))
        statement = statement.replace("y =", "c =").replace("(x", "(xd").replace(", x)", ", xd)")
    if case.weights is not None:
        axis = 0 if len(case.weights) > 2 else 1
        count = case.weights[axis]
        held = rng.integers(-127, 128, case.weights).astype(np.int8)
        if codes:
            steps = np.full(count, 0.01, np.float32)
            arrays |= {"wi": held, "ws": steps, "wz": np.zeros(count, np.int8)}
            arrays |= {"bi": np.zeros(count, np.int32), "bs": steps * np.float32(0.02)}
            arrays["bz"] = np.zeros(count, np.int32)
            lines.append(f"w = DequantizeLinear <axis = {axis}> (wi, ws, wz)")
            lines.append("b = DequantizeLinear <axis = 0> (bi, bs, bz)")
        else:
            arrays |= {"w": held * np.float32(0.01), "b": np.zeros(count, np.float32)}
    lines.append(statement)
    if codes:
        lines.append(pair.format("c", "y"))
    sizes = ",".join(map(str, case.shape))
    text = (
        f'<ir_version: 10, opset_import: ["" : 21]>\n'
        f"net (float[{sizes}] x) => (float y) {{\n" + "\n".join(lines) + "\n}"
    )
    model = parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return onnx.shape_inference.infer_shapes(model)


def kernel_time(model: onnx.ModelProto, case: Case, repeat: int) -> tuple[str, float]:
    """The kernel that ran the operator and its least time in ns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling = True
    options.log_severity_level = 3
    names = KERNELS[case.statement.split("=", 1)[1].split()[0]]
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        x = np.random.default_rng(1).standard_normal(case.shape).astype(np.float32)
        for _ in range(repeat):
            session.run(None, {"x": x})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    found = [
        (event["args"]["op_name"], 1e3 * event["dur"])
        for event in events
        if event.get("cat") == "Node" and event["args"].get("op_name") in names
    ]
    return min(found, key=lambda pair: pair[1])


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description="onnxruntime's operators, one thread")
    arguments.add_argument("--repeat", type=int, default=40, help="runs of each operator")
    repeat = arguments.parse_args().repeat
    print(f"{'ns':34}{'kernel':>26}{'measured':>12}{'modelled':>12}{'ratio':>8}")
    for case in CASES:
        plain = ir.from_proto(model_of(case, False))
        (node,) = plain.graph
        modelled = times_of(node, False, 1, case.shape[0])
        for codes, expected in ((False, modelled.real), (True, modelled.codes)):
            kernel, measured = kernel_time(model_of(case, codes), case, repeat)
            expected -= OPERATOR
            ratio = measured / expected if expected > 0 else float("nan")
            print(f"{case.title:34}{kernel:>26}{measured:12.0f}{expected:12.0f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
