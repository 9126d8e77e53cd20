"""Time of whole binary networks, call by call; see bnn.py.

onnxruntime has no BipolarQuant, so that a QONNX model runs in it in three forms, all with
constant weights of -1 and +1:

- float: each sign is `Where(x >= 0, 1, -1)`, the model as it is.
- float ReLU: what one would deploy without binary layers: ReLU for each sign, and no
  BatchNorm, as though the weights in front had taken it up.
- int8 ReLU: onnxruntime's static quantization of that, per channel.

The ReLU forms compute something else in the time of a network of these shapes.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from bnn_times import best, calls_of_slice, ratio_text, session_of, turns
from onnx import helper, numpy_helper
from ort_int8 import quantize

from actc.targets.tvm import CpuTarget

SIGN = "BipolarQuant"
CALIBRATION = 64
"""Random samples that onnxruntime quantizes with: the time does not depend on them."""


def network(directory: Path, model: Path, batch: int, rounds: int) -> None:
    """Print the time of a whole network, call by call from Python.

    Args:
        directory: of a compilation for `cpu`.
        model: what was compiled, with signs as BipolarQuant or in operators of ONNX.
        batch: samples of a call, where the model leaves that open.
        rounds: turns of each contestant.

    Raises:
        AssertionError: the compiled network does not give golden's outputs.
    """
    compiled = CpuTarget().load(directory)
    golden = session_of(directory / "golden.onnx")
    (entry,) = golden.get_inputs()
    shape = [d if isinstance(d, int) else batch for d in entry.shape]
    rng = np.random.default_rng(0)
    feeds = {entry.name: rng.random(shape, np.float32)}
    names = [output.name for output in golden.get_outputs()]
    for name, wanted in zip(names, golden.run(None, feeds), strict=True):
        assert np.array_equal(compiled(feeds)[name], wanted), "the compiled network is wrong"
    source = onnx.load(model)
    relu = in_operators_of_onnx(source, relu=True)
    sessions = {
        "golden": golden,
        "float": session_of(in_operators_of_onnx(source).SerializeToString()),
        "float ReLU": session_of(relu.SerializeToString()),
        "int8 ReLU": session_of(_quantized(relu, entry.name, shape)),
    }
    timers = {"actc cpu": _timer(partial(compiled, feeds))}
    for name, session in sessions.items():
        timers[f"{name} in onnxruntime"] = _timer(partial(session.run, None, feeds))
    samples = turns(timers, rounds)
    own = samples["actc cpu"]
    print(f"{'batch ' + str(shape[0]):<28}{'us':>11}  times actc cpu")
    for name, values in samples.items():
        print(f"{name:<28}{statistics.median(values):>11.2f}  {ratio_text(values, own)}")


def _timer(call: Callable[[], object]) -> Callable[[], float]:
    call()  # the first one allocates
    number = calls_of_slice(call)
    return lambda: best(call, number)


def in_operators_of_onnx(source: onnx.ModelProto, *, relu: bool = False) -> onnx.ModelProto:
    """A QONNX model of signs as onnxruntime runs it.

    Args:
        source: the model; it is not changed.
        relu: ReLU for each sign of a tensor that is not constant, and no BatchNorm.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source)
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    renamed: dict[str, str] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
        found = _constant(node, constants)
        if found is not None:
            constants[node.output[0]] = found
        elif relu and node.op_type == "BatchNormalization":
            renamed[node.output[0]] = node.input[0]
        elif node.op_type == SIGN:
            nodes += _sign(node, constants, relu)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items() if name in read
    )
    del graph.value_info[:]
    return model


def _constant(
    node: onnx.NodeProto, constants: dict[str, npt.NDArray[Any]]
) -> npt.NDArray[Any] | None:
    """The value of a constant weight behind its quantizer, None of anything else."""
    if node.op_type not in (SIGN, "DequantizeLinear") or node.input[0] not in constants:
        return None
    value, scale = (constants[name] for name in node.input[:2])
    if node.op_type == SIGN:
        value = np.where(value >= 0, 1, -1)
    elif len(node.input) > 2 or scale.ndim:
        return None
    found: npt.NDArray[Any] = (value * scale).astype(np.float32)
    return found


def _sign(
    node: onnx.NodeProto, constants: dict[str, npt.NDArray[Any]], relu: bool
) -> list[onnx.NodeProto]:
    x, scale = node.input
    (y,) = node.output
    if relu:
        return [helper.make_node("Relu", [x], [y], name=f"{y}/relu")]
    constants[f"{y}/zero"] = np.array(0, np.float32)
    constants[f"{y}/minus"] = -constants[scale]
    return [
        helper.make_node("GreaterOrEqual", [x, f"{y}/zero"], [f"{y}/side"], name=f"{y}/compare"),
        helper.make_node("Where", [f"{y}/side", scale, f"{y}/minus"], [y], name=f"{y}/choose"),
    ]


def _quantized(model: onnx.ModelProto, name: str, shape: list[int]) -> bytes:
    samples = np.random.default_rng(1).random((CALIBRATION, *shape[1:]), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relu.onnx"
        onnx.save(model, path)
        return quantize(path, {name: samples}, Path(folder)).read_bytes()
