"""Convolution kernels of the `cpu` target: TIR PrimFuncs and their packed weights.

Exact for every input, scheduled by construction, one thread. See `ConvSpec`
for the arguments and `conv_tiling` for the method.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from actc.targets.tvm.kernels.conv_amx import amx_plan, amx_prim_func, pack_amx
from actc.targets.tvm.kernels.conv_arm import arm_dot_product
from actc.targets.tvm.kernels.conv_dense import dense_prim_func
from actc.targets.tvm.kernels.conv_depthwise import depthwise_prim_func, pack_depthwise
from actc.targets.tvm.kernels.conv_isa import DotProduct, dot_product
from actc.targets.tvm.kernels.conv_tiling import pack_dense
from actc.targets.tvm.kernels.conv_vector import Expr
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec


def conv_prim_func(
    spec: ConvSpec,
    features: frozenset[str],
    name: str = "conv",
    schedule: Schedule | None = None,
) -> Expr:
    """A `tvm.tirx.PrimFunc` that computes `spec`.

    Args:
        spec: what to compute; its docstring lists the arguments.
        features: LLVM's names of the CPU's features, e.g. "avx512vnni".
        name: global symbol.
        schedule: how to cut it, without AMX; None: as modelled.
    """
    tiles = amx_plan(spec, features) if schedule is None else None
    if tiles is not None:
        return amx_prim_func(spec, tiles, features, name)
    build = depthwise_prim_func if spec.depthwise else dense_prim_func
    return build(spec, int8_arithmetic(features), features, name, schedule=schedule)


def pack_weight(
    weight: npt.NDArray[np.int8],
    spec: ConvSpec,
    features: frozenset[str],
    schedule: Schedule | None = None,
) -> npt.NDArray[np.int8]:
    """Weights in the order that the kernel of the same `spec`, `features`, `schedule` reads.

    Args:
        weight: (O, C/g, kh, kw) int8.

    Returns:
        a one-dimensional array; bytes, whatever the kernel reads them as.
    """
    tiles = amx_plan(spec, features) if schedule is None else None
    if tiles is not None:
        return pack_amx(weight, spec, tiles)
    pack = pack_depthwise if spec.depthwise else pack_dense
    packed: npt.NDArray[np.int8] = pack(weight, spec, int8_arithmetic(features), schedule)
    return packed


def int8_arithmetic(features: frozenset[str]) -> DotProduct:
    """The fastest exact form for a CPU with LLVM's feature names `features`."""
    return arm_dot_product(features) or dot_product(features)
