"""The rule for actc::InstanceSteps: signs above a threshold of the sample. Pure Python."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.binary import sum_bounds
from actc.targets.tvm.kernels.instance_spec import InstanceSteps
from actc.targets.tvm.layout import like
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import output_operand

_BITS = 31


def instance_steps(planner: Planner, node: ir.Node) -> None:
    """InstanceSteps in the layout of its accumulators."""
    x = planner.tensor(node, 0)
    if x.dtype != "int32":
        raise Unsupported(f"thresholds of {x.dtype}")
    powers, weights, factor, slope, offset, values = (
        planner.need_constant(node, index, "a factor of the threshold") for index in range(1, 7)
    )
    value = node.outputs[0]
    out = like(x, str(value.name), "uint8", x.shape)
    axes = list(range(1, len(x.shape)))
    kernel = InstanceSteps(
        x.batch,
        x.extent(1),
        tuple(x.extent(axis) for axis in axes[1:]),
        tuple(int(power) for power in powers),
        len(factor),
        slope.shape[-1],
        bool(node.attributes["shared"].as_int()),
        _bits(planner, node),
        planner.operand(x, axes),
        output_operand(out, axes, None),
    )
    arrays = {
        "weights": weights.reshape(-1),
        "factor": factor.reshape(-1),
        "slope": slope.reshape(-1),
        "offset": offset.reshape(-1),
        "turned": _turned(slope),
        "values": values,
    }
    names = [planner.add_constant(f"{out.name}.{what}", array) for what, array in arrays.items()]
    planner.emit(kernel, [x.name, *names], out, value)


def _bits(planner: Planner, node: ir.Node) -> int:
    """Of the accumulators' magnitude."""
    source = node.inputs[0]
    bounds = None if source is None else sum_bounds(source.producer(), planner.codes)
    if bounds is None:
        return _BITS
    return min(int(max(-bounds.low.min(), bounds.high.max())).bit_length(), _BITS)


def _turned(slope: Array) -> Array:
    """-1 where the highest limb of a slope that is not zero is negative, else 1; int64 [C]."""
    rows = slope.reshape(-1, slope.shape[-1])
    ranks = np.sign(rows) @ (1 << np.arange(rows.shape[1], dtype=np.int64))
    return np.where(ranks < 0, -1, 1).astype(np.int64)
