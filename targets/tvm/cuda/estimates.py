"""What limits a kernel, estimated without a GPU: occupancy and arithmetic intensity. Pure Python.

Occupancy is the share of an SM's warps that its registers, shared memory and block slots leave
room for (CUDA C++ Programming Guide, "Compute Capabilities"). Arithmetic intensity is operations
per byte that must at least move between the GPU's memory and its cores (Williams, Waterman,
Patterson 2009): below what a GPU computes per byte, memory is the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actc.targets.tvm.cuda.half import Stored
from actc.targets.tvm.cuda.network import grows, sample_bytes
from actc.targets.tvm.kernels.attention_spec import BatchMatMul
from actc.targets.tvm.kernels.binary_spec import BinaryConv
from actc.targets.tvm.kernels.float_spec import FloatConv, FloatMatMul
from actc.targets.tvm.kernels.spec import ConvSpec
from actc.targets.tvm.plan import Call, KernelPlan

BATCH = 64
"""Samples that intensities are given for."""
_REGISTERS, _REGISTER_UNIT, _WARP, _SHARED_UNIT = 65536, 256, 32, 128


@dataclass(frozen=True, slots=True)
class Multiprocessor:
    """What the blocks of an SM share.

    Attributes:
        warps, blocks: most at a time.
        shared: bytes of shared memory.
        reserved: of them, for each block.
    """

    warps: int
    blocks: int
    shared: int
    reserved: int = 1024


MULTIPROCESSORS: Mapping[str, Multiprocessor] = {
    "sm_75": Multiprocessor(32, 16, 64 << 10, 0),
    "sm_80": Multiprocessor(64, 32, 164 << 10),
    "sm_86": Multiprocessor(48, 16, 100 << 10),
    "sm_87": Multiprocessor(48, 16, 164 << 10),
    "sm_89": Multiprocessor(48, 24, 100 << 10),
    "sm_90": Multiprocessor(64, 32, 228 << 10),
    "sm_100": Multiprocessor(64, 32, 228 << 10),
    "sm_120": Multiprocessor(48, 24, 100 << 10),
}
"""Those that the guide has numbers for."""


def occupancy(registers: int, shared: int, threads: int, architecture: str) -> float | None:
    """Share of an SM's warps that can be at work; None where the architecture is not known.

    Args:
        registers: of a thread.
        shared: bytes of a block.
        threads: of a block.
        architecture: "sm_80".
    """
    machine = MULTIPROCESSORS.get(architecture)
    if machine is None:
        return None
    warps = -(-threads // _WARP)
    of_warp = -(-registers * _WARP // _REGISTER_UNIT) * _REGISTER_UNIT
    taken = -(-(shared + machine.reserved) // _SHARED_UNIT) * _SHARED_UNIT
    blocks = min(machine.blocks, machine.warps // warps, _REGISTERS // of_warp // warps)
    blocks = min(blocks, machine.shared // taken) if taken else blocks
    return blocks * warps / machine.warps


def multiply_adds(kernel: object) -> int:
    """Products that are added up, for a sample; 0 of kernels that are no products."""
    if isinstance(kernel, Stored):
        return multiply_adds(kernel.kernel)
    if isinstance(kernel, FloatConv):
        return multiply_adds(kernel.conv)
    if isinstance(kernel, (BatchMatMul, FloatMatMul)):
        return math.prod(kernel.dims) * kernel.depth
    if isinstance(kernel, (ConvSpec, BinaryConv)):
        group = kernel.group if isinstance(kernel, ConvSpec) else 1
        taps = kernel.kernel[0] * kernel.kernel[1]
        return kernel.out_h * kernel.out_w * kernel.out_c * taps * (kernel.in_c // group)
    return 0


def work_of(call: Call, plan: KernelPlan) -> dict[str, Any]:
    """What a call computes and moves at least.

    Returns:
        "node"; "multiply_adds" and "bytes" of a sample; "fixed_bytes", whatever the batch;
        "intensity", operations per byte for `BATCH` samples, None of kernels that are no products.
    """
    sample = fixed = 0
    for name in dict.fromkeys((*call.inputs, call.output)):
        if name not in plan.buffers:
            fixed += plan.constants[name].nbytes
        elif grows(plan.buffers[name]):
            sample += sample_bytes(plan.buffers[name])
        else:
            fixed += sample_bytes(plan.buffers[name])
    products = multiply_adds(call.kernel)
    samples = BATCH if sample else 1
    moved = samples * sample + fixed
    intensity = round(2 * products * samples / moved, 1) if products and moved else None
    return {
        "node": call.node,
        "multiply_adds": products,
        "bytes": sample,
        "fixed_bytes": fixed,
        "intensity": intensity,
    }


def work_text(rows: list[dict[str, Any]]) -> str:
    """The products among the calls, a line each."""
    lines = [
        f"Products: multiply-adds of a sample, operations per byte of memory for {BATCH} samples"
    ]
    lines += [
        f"{row['multiply_adds']:>14,}{row['intensity']:>10}  {row['node']}"
        for row in rows
        if row["intensity"] is not None
    ]
    return "\n".join(lines) + "\n" if len(lines) > 1 else ""


def kernels_text(rows: list[dict[str, Any]]) -> str:
    """What each kernel takes, a line each."""
    head = f"{'kernel':32}{'for':>8}{'registers':>11}{'shared':>9}{'spilled':>9}{'occupancy':>11}"
    lines = [
        "What a kernel takes: registers of a thread, bytes of a block's shared memory, bytes",
        "spilled, and the share of an SM's warps that find room",
        head,
    ]
    for row in rows:
        share = "-" if row["occupancy"] is None else f"{row['occupancy']:.0%}"
        lines.append(
            f"{row['kernel']:32}{row['architecture']:>8}{row['registers']:>11}{row['shared']:>9}"
            f"{row['spilled']:>9}{share:>11}"
        )
    return "\n".join(lines) + "\n"
