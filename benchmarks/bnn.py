"""Time of layers of signs: actc's XNOR kernels against onnxruntime int8 and float, one thread.

    python benchmarks/bnn.py [NAME ...] [--rounds 25]
    python benchmarks/bnn.py --network DIRECTORY --float MODEL.onnx [--batch 1]

A layer is what lies between packed bits and packed bits: weights of -1 and +1, and a threshold
per channel. Contestants compute the same layer from their own form of the input to their own form
of the output:

- actc: bits to bits, one kernel (`xnor`); and from a byte per code to a byte per code, with the
  kernels that pack and unpack (`+pack`).
- onnxruntime int8: QLinearMatMul or QLinearConv (channels last), uint8 codes to uint8 codes, and
  MatMulInteger alone, whose sums still lack their threshold; the faster counts.
- onnxruntime float: MatMul or Conv in float32, without a threshold, in its favour.

Before any timing, the bits of actc are compared with sums computed by numpy. A session call
costs more than a small layer, so onnxruntime's time is that of a session with the layer less
that of a session with one output channel of it: in its favour by that channel. Weights of all
contestants are as near to the core as they fit, since each layer is called again and again. All
contestants take turns within a round, and a turn is the best of three slices of a millisecond.
Printed are the medians over the rounds, and medians and quartiles of the rounds' ratios, which
other work on the machine hits least.

With `--network` the directory of a compilation of MODEL.onnx for `cpu` (its model.so) is timed
against golden.onnx and forms of the model in onnxruntime, whole calls from Python; see
bnn_network.py.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import tvm
from bnn_network import network
from bnn_times import SLICE, SLICES, best, calls_of_slice, ratio_text, session_of, turns
from onnx import TensorProto, helper, numpy_helper

from actc.targets.tvm.host import host_cpu
from actc.targets.tvm.kernels.binary_conv import binary_conv_prim_func
from actc.targets.tvm.kernels.binary_pack import pack_prim_func, unpack_prim_func
from actc.targets.tvm.kernels.binary_spec import (
    BinaryConv,
    Pack,
    Unpack,
    pack_base,
    pack_signs,
    words,
)

Array = npt.NDArray[Any]
Timer = Callable[[], float]


def dense(depth: int, width: int, batch: int) -> BinaryConv:
    """A matrix product of signs."""
    return BinaryConv(
        batch, 1, 1, depth, width, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), False, "bits", 2, 1
    )


def conv(size: int, channels: int) -> BinaryConv:
    """A 3x3 convolution of signs that keeps the size; code 0 is the zero point."""
    return BinaryConv(
        1, size, size, channels, channels, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), False, "bits", 2, 1
    )


LAYERS = {
    **{
        f"dense {width}x{width} batch {batch}": dense(width, width, batch)
        for batch in (1, 16)
        for width in (256, 512, 1024, 4096)
    },
    **{
        f"conv 3x3 {channels} on {size}x{size}": conv(size, channels)
        for channels, size in ((64, 28), (128, 14), (256, 7))
    },
}


@dataclass(frozen=True, eq=False)
class Operands:
    """Random numbers for one layer.

    Attributes:
        bits: bool (n, h, w, C).
        signs: int8 (O, C, kh, kw).
        limit: int32 (1, O), the median of the counts: outputs are ones and zeros alike.
        wanted: bool (n, h, w, O), from numpy.
    """

    bits: Array
    signs: Array
    limit: Array
    wanted: Array

    @classmethod
    def random(cls, spec: BinaryConv) -> Operands:
        """Draw operands."""
        rng = np.random.default_rng(0)
        bits = rng.integers(0, 2, (spec.batch or 1, spec.in_h, spec.in_w, spec.in_c)).astype(bool)
        signs = rng.choice([-1, 1], (spec.out_c, spec.in_c, *spec.kernel)).astype(np.int8)
        counts = _counts(bits, signs, spec)
        limit = np.median(counts, axis=(0, 1, 2)).astype(np.int32)
        return cls(bits, signs, limit[None], counts <= limit)


def _counts(bits: Array, signs: Array, spec: BinaryConv) -> Array:
    """Weights whose sign differs from the bit, (n, h, w, O); outside the map bits are 0."""
    top, left, bottom, right = spec.pads
    full = np.pad(bits, [(0, 0), (top, bottom), (left, right), (0, 0)]).astype(np.float32)
    total: Array = np.zeros((len(bits), spec.out_h, spec.out_w, spec.out_c), np.float32)
    for ky in range(spec.kernel[0]):
        for kx in range(spec.kernel[1]):
            some = full[:, ky : ky + spec.out_h, kx : kx + spec.out_w]
            plus = (signs[:, :, ky, kx] > 0).T.astype(np.float32)
            total += some @ (1 - plus) + (1 - some) @ plus
    return total


def packed(bits: Array) -> Array:
    """Booleans (..., C) as words."""
    full = np.zeros((*bits.shape[:-1], 32 * words(bits.shape[-1])), bool)
    full[..., : bits.shape[-1]] = bits
    found: Array = np.packbits(full, axis=-1, bitorder="little").view("<u4")
    return found


def actc_timers(spec: BinaryConv, data: Operands) -> tuple[Timer, Timer]:
    """Microseconds of the layer from bits to bits, and from codes to codes.

    Raises:
        AssertionError: the kernels' bits are not numpy's.
    """
    features = host_cpu().features
    batch = spec.batch or 1
    pack = Pack(batch, spec.in_h, spec.in_w, spec.in_c, spec.in_c, "uint8", 0)
    unpack = Unpack(batch, spec.out_h, spec.out_w, spec.out_c, 0, 1)
    functions = {
        "layer": binary_conv_prim_func("layer", spec, features),
        "pack": pack_prim_func("pack", pack, features),
        "unpack": unpack_prim_func("unpack", unpack, features),
    }
    target = tvm.target.Target(host_cpu().target())
    module = tvm.tirx.build(tvm.IRModule(functions), target=target)
    out_bits = np.zeros((*data.wanted.shape[:-1], words(spec.out_c)), np.uint32)
    codes, x, weight, limit, y, result = (
        tvm.runtime.tensor(array)
        for array in (
            data.bits.astype(np.uint8),
            packed(data.bits),
            pack_signs(data.signs, spec, features),
            pack_base(data.limit, spec, features),
            out_bits,
            data.wanted.astype(np.uint8) + 7,
        )
    )
    calls = {"layer": (x, weight, limit, y), "pack": (codes, x), "unpack": (y, result)}
    for name in ("pack", "layer", "unpack"):
        module[name](*calls[name])
    assert np.array_equal(y.numpy(), packed(data.wanted)), "the kernel's bits are wrong"
    assert np.array_equal(result.numpy(), data.wanted), "the unpacked codes are wrong"
    parts = {name: _evaluator(module, name, calls[name]) for name in calls}
    return parts["layer"], lambda: parts["pack"]() + parts["layer"]() + parts["unpack"]()


def _evaluator(module: Any, name: str, arguments: Sequence[Any]) -> Timer:
    first = module.time_evaluator(name, tvm.cpu(), number=3)(*arguments).mean
    number = max(1, min(1000, int(SLICE / first)))
    timer = module.time_evaluator(name, tvm.cpu(), number=number, repeat=SLICES)
    return lambda: float(timer(*arguments).min) * 1e6


def ort_model(kind: str, spec: BinaryConv, data: Operands) -> bytes:
    """A model of the layer alone.

    Args:
        kind: "qlinear", "integer" (MatMulInteger) or "float".
        spec: the layer; its first `out_c` channels of `data` are taken.
        data: weights.
    """
    floats = kind == "float"
    matrix = spec.kernel == (1, 1)
    constants: dict[str, Array] = {
        "one": np.array(1, np.float32),
        "scale": np.array(1 / 64, np.float32),
        "zero": np.array(0, np.uint8),
        "middle": np.array(128, np.uint8),
        "wzero": np.array(0, np.int8),
    }
    weight = data.signs[: spec.out_c]
    if matrix:
        weight = np.ascontiguousarray(weight[:, :, 0, 0].T)
    constants["w"] = weight.astype(np.float32) if floats else weight
    node = _ort_node(kind, spec, matrix)
    shown = {"qlinear": TensorProto.UINT8, "integer": TensorProto.INT32}
    shape = _ort_input(kind, spec, data).shape
    dtype = TensorProto.FLOAT if floats else TensorProto.UINT8
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", shown.get(kind, TensorProto.FLOAT), None)],
        [numpy_helper.from_array(v, name) for name, v in constants.items() if name in node.input],
    )
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10)
    return bytes(model.SerializeToString())


def _ort_node(kind: str, spec: BinaryConv, matrix: bool) -> Any:
    weight, output = "w", ["y"]
    window: dict[str, Any] = {
        "kernel_shape": spec.kernel,
        "strides": spec.strides,
        "pads": spec.pads,
    }
    if kind == "float":
        if matrix:
            return helper.make_node("MatMul", ["x", weight], output)
        return helper.make_node("Conv", ["x", weight], output, **window)
    if kind == "integer":
        return helper.make_node("MatMulInteger", ["x", weight, "zero", "wzero"], output)
    inputs = ["x", "one", "zero", weight, "one", "wzero", "scale", "middle"]
    if matrix:
        return helper.make_node("QLinearMatMul", inputs, output)
    domain = "com.microsoft"
    return helper.make_node("QLinearConv", inputs, output, domain=domain, channels_last=1, **window)


def _ort_input(kind: str, spec: BinaryConv, data: Operands) -> Array:
    codes = data.bits
    if spec.kernel == (1, 1):
        codes = codes.reshape(-1, spec.in_c)
    elif kind == "float":
        codes = codes.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(codes).astype(np.float32 if kind == "float" else np.uint8)


def ort_call(kind: str, spec: BinaryConv, data: Operands) -> Callable[[], None]:
    """A bound session call."""
    session = session_of(ort_model(kind, spec, data))
    binding = session.io_binding()
    x = _ort_input(kind, spec, data)
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    session.run_with_iobinding(binding)  # the first run allocates
    for output, value in zip(session.get_outputs(), binding.get_outputs(), strict=True):
        binding.bind_ortvalue_output(output.name, value)
    return lambda: session.run_with_iobinding(binding)


def ort_timer(kind: str, spec: BinaryConv, data: Operands) -> Timer:
    """Microseconds of the layer beyond those of a call with one of its channels."""
    layer, channel = (ort_call(kind, s, data) for s in (spec, replace(spec, out_c=1)))
    number = calls_of_slice(layer)
    return lambda: best(layer, number) - best(channel, number)


def measure(spec: BinaryConv, rounds: int) -> dict[str, list[float]]:
    """Contestant -> microseconds in each round."""
    data = Operands.random(spec)
    timers: dict[str, Timer] = {}
    timers["xnor"], timers["+pack"] = actc_timers(spec, data)
    timers["qlinear"] = ort_timer("qlinear", spec, data)
    if spec.kernel == (1, 1):
        timers["integer"] = ort_timer("integer", spec, data)
    timers["float"] = ort_timer("float", spec, data)
    samples = turns(timers, rounds)
    forms = [samples[name] for name in ("qlinear", "integer") if name in samples]
    samples["int8"] = min(forms, key=statistics.median)
    return samples


def layers(wanted: Sequence[str], rounds: int) -> None:
    """Print the table of all layers whose name contains one of `wanted`."""
    columns = ("xnor", "+pack", "int8", "float")
    ratios = (("int8", "xnor"), ("int8", "+pack"), ("float", "xnor"))
    print(f"{'layer':<26}" + "".join(f"{c + ' us':>10}" for c in columns), end="")
    print("".join(f"{of + '/' + to:>21}" for of, to in ratios))
    for name, spec in LAYERS.items():
        if wanted and not any(part in name for part in wanted):
            continue
        t = measure(spec, rounds)
        print(f"{name:<26}" + "".join(f"{statistics.median(t[c]):>10.2f}" for c in columns), end="")
        print("".join(f"{ratio_text(t[of], t[to]):>21}" for of, to in ratios), flush=True)


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help="parts of the layers' names; none: all")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--network", type=Path, help="directory of a compilation for cpu")
    parser.add_argument("--float", type=Path, dest="floats", help="the model of --network")
    parser.add_argument("--batch", type=int, default=1, help="samples per call of --network")
    given = parser.parse_args()
    print(
        f"cpu {host_cpu().mcpu}, onnxruntime {ort.__version__}, tvm {tvm.__version__}, one thread"
    )
    if given.network:
        if given.floats is None:
            parser.error("--network needs --float, the model that was compiled")
        network(given.network, given.floats, given.batch, given.rounds)
    else:
        layers(given.names, given.rounds)


if __name__ == "__main__":
    main()
