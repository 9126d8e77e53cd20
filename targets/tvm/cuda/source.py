"""From a kernel plan to CUDA C and the launches of its kernels. Importing this imports TVM."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
from tvm import tirx
from tvm.tirx.op import register_intrin_lowering

from actc.targets.tvm.cuda.half import Stored
from actc.targets.tvm.cuda.kernels import (
    binary,
    direct,
    instances,
    matmul_tiles,
    pointwise,
    reductions,
    rows,
    tiles,
)
from actc.targets.tvm.cuda.kernels.generic import Parts, generic
from actc.targets.tvm.cuda.network import (
    BATCH,
    Launch,
    Network,
    ends,
    fixed_batch,
    pack_constants,
    plan_arena,
)
from actc.targets.tvm.cuda.packing import packed_constants
from actc.targets.tvm.cuda.tiling import Products, Tiling, chosen_tiling
from actc.targets.tvm.generic.spec import Generic
from actc.targets.tvm.kernels.attention_spec import BatchMatMul, MaskedSoftmax
from actc.targets.tvm.kernels.binary_spec import BinaryConv, Pack, Unpack
from actc.targets.tvm.kernels.float_spec import (
    FloatConv,
    FloatLayerNorm,
    FloatMatMul,
    FloatPool,
    FloatReduce,
    FloatSoftmax,
)
from actc.targets.tvm.kernels.instance_spec import InstanceSteps
from actc.targets.tvm.kernels.spec import ConvSpec
from actc.targets.tvm.kernels.strided import (
    Concat,
    Elementwise,
    Embed,
    LayerNorm,
    MaxPool,
    Reduce,
    Softmax,
)
from actc.targets.tvm.plan import Array, Buffer, Call, KernelPlan


def _stored(name: str, spec: Stored) -> Any:
    """A kernel with other types in memory than float32."""
    build: Any = direct.float_conv
    if isinstance(spec.kernel, FloatPool):
        build = reductions.float_pool
    return build(name, spec.kernel, spec.x, spec.out)


def _tiled_stored(name: str, spec: Stored, tiling: Tiling) -> Any:
    assert isinstance(spec.kernel, FloatConv)
    return tiles.tiled_float_conv(name, spec.kernel, tiling, spec.x, spec.out)


PRELUDE = Path(__file__).parent / "templates" / "prelude.cuh"

BUILDERS: dict[type, Callable[[str, Any], Any]] = {
    ConvSpec: direct.conv,
    FloatConv: direct.float_conv,
    BatchMatMul: direct.batch_matmul,
    FloatMatMul: direct.float_matmul,
    BinaryConv: binary.binary_conv,
    Elementwise: pointwise.elementwise,
    Concat: pointwise.concat,
    Embed: pointwise.embed,
    Pack: pointwise.pack,
    Unpack: pointwise.unpack,
    Reduce: reductions.reduce,
    MaxPool: reductions.max_pool,
    FloatReduce: reductions.float_reduce,
    FloatPool: reductions.float_pool,
    LayerNorm: rows.layer_norm,
    Softmax: rows.softmax,
    MaskedSoftmax: rows.masked_softmax,
    FloatSoftmax: rows.float_softmax,
    FloatLayerNorm: rows.float_layer_norm,
    InstanceSteps: instances.instance_steps,
    Stored: _stored,
}
"""Kernel of the plan -> the function that writes it; `Generic` apart, which gives several."""

TILED: dict[type, Callable[[str, Any, Tiling], Any]] = {
    ConvSpec: tiles.tiled_conv,
    FloatConv: tiles.tiled_float_conv,
    BatchMatMul: matmul_tiles.tiled_batch_matmul,
    FloatMatMul: matmul_tiles.tiled_float_matmul,
    Stored: _tiled_stored,
}
"""The same by tiles in shared memory."""


@dataclass(frozen=True, slots=True)
class _Device:
    """A device function: names of its parameters, blocks in terms of n, threads."""

    parameters: tuple[str, ...]
    blocks: str
    threads: int


def generate(
    plan: KernelPlan, architecture: str, products: Products = "auto"
) -> tuple[str, Network]:
    """CUDA C of all kernels of a plan, and the network that launches them.

    Args:
        plan: the kernels and their order.
        architecture: the oldest one that the code must run on, "sm_80".
        products: how large products are computed.
    """
    symbols: dict[Any, str] = {}
    for call in plan.calls:
        if call.kernel not in symbols:
            symbols[call.kernel] = f"{_title(call.kernel)}_{len(symbols)}"
    tilings = {kernel: chosen_tiling(kernel, architecture, products) for kernel in symbols}
    parts = {kernel: _parts(name, kernel, tilings[kernel]) for kernel, name in symbols.items()}
    functions = {_symbol(f): f for part in parts.values() for f in part.functions}
    source, devices = _compile(functions, architecture)
    return source, _network(plan, tilings, parts, devices)


def _title(kernel: Any) -> str:
    kernel = kernel.kernel if isinstance(kernel, Stored) else kernel
    title = kernel.op if isinstance(kernel, Generic) else type(kernel).__name__
    return str(title).removesuffix("Spec").lower()


def _symbol(function: Any) -> str:
    return str(function.attrs["global_symbol"])


def _parts(name: str, kernel: Any, tiling: Tiling | None) -> Parts:
    if isinstance(kernel, Generic):
        return generic(name, kernel)
    return Parts((_function(name, kernel, tiling),), ())


def _function(name: str, kernel: Any, tiling: Tiling | None) -> Any:
    if tiling is None:
        return BUILDERS[type(kernel)](name, kernel)
    return TILED[type(kernel)](name, kernel, tiling)


def _network(
    plan: KernelPlan,
    tilings: dict[Any, Tiling | None],
    parts: dict[Any, Parts],
    devices: dict[str, _Device],
) -> Network:
    arrays: dict[str, Array] = {}
    launches: list[Launch] = []
    scratch: dict[int, list[str]] = {}
    buffers = dict(plan.buffers)
    for step, call in enumerate(plan.calls):
        part = parts[call.kernel]
        packed = packed_constants(call, plan.constants, tilings[call.kernel])
        given = _actual_names(call, step, plan, packed, arrays)
        scratch[step] = [f"{step}.scratch{i}" for i in range(len(part.scratch))]
        for name, memory in zip(scratch[step], part.scratch, strict=True):
            buffers[name] = Buffer(memory.dtype, 1, (memory.size,))
        samples = _samples(call, plan)
        values = [BATCH if samples is None else samples, *given, call.output, *scratch[step]]
        for function in part.functions:
            launches.append(_launch(_symbol(function), _formal_names(function), values, devices))
    constants, constant_at = pack_constants(arrays)
    arena = plan_arena(plan, buffers, scratch)
    symbolic = any(buffer.batch is None for buffer in plan.buffers.values())
    return Network(
        launches=tuple(launches),
        constants=constants,
        constant_at=constant_at,
        constant_size={name: array.nbytes for name, array in arrays.items()},
        arena=arena,
        buffers=buffers,
        inputs=ends(plan, "inputs"),
        outputs=ends(plan, "outputs"),
        batch=None if symbolic else fixed_batch(plan),
    )


def _launch(
    symbol: str, formal: list[str], values: list[str | int], devices: dict[str, _Device]
) -> Launch:
    device = devices[symbol]
    actual = dict(zip(formal, values, strict=True))
    arguments = tuple(actual[parameter] for parameter in device.parameters)
    samples = values[0]
    blocks = device.blocks if samples == BATCH else re.sub(r"\bn\b", f"{samples}u", device.blocks)
    return Launch(f"{symbol}_kernel", arguments, blocks, device.threads)


def _samples(call: Call, plan: KernelPlan) -> int | None:
    """The batch that a kernel is called with; None for that of the network."""
    if isinstance(call.kernel, Generic):
        types = [*call.kernel.inputs, call.kernel.output]
        symbolic = any(kind is not None and None in kind.shape for kind in types)
        return None if symbolic else 1
    kernel: Any = call.kernel
    kernel = kernel.kernel if isinstance(kernel, Stored) else kernel
    kernel = kernel.conv if isinstance(kernel, FloatConv) else kernel
    kernel = kernel.parts[0] if isinstance(kernel, Concat) else kernel
    samples: int | None = kernel.batch
    return samples


def _actual_names(
    call: Call, step: int, plan: KernelPlan, packed: dict[str, Array], arrays: dict[str, Array]
) -> list[str]:
    """What a call reads; constants get names of their own and are added to `arrays`."""
    names = []
    for position, name in enumerate(call.inputs):
        if name in plan.buffers:
            names.append(name)
            continue
        own = f"{step}.{position}"
        arrays[own] = packed.get(name, plan.constants[name])
        names.append(own)
    return names


def _formal_names(function: Any) -> list[str]:
    """Names of the parameters as the kernel's builder declared them."""
    return [str(parameter.name) for parameter in function.params]


def _compile(functions: dict[str, Any], architecture: str) -> tuple[str, dict[str, _Device]]:
    """CUDA C, and what is known of each device function."""
    target = tvm.target.Target({"kind": "cuda", "arch": architecture}, host="llvm")
    transform = tirx.transform
    module = transform.BindTarget(target)(tvm.IRModule(functions))
    lower = [
        transform.VectorizeLoop(True),
        transform.UnrollLoop(),
        transform.AnnotateEntryFunc(),
        transform.SplitHostDevice(),
    ]
    with tvm.transform.PassContext(opt_level=3):
        split = tvm.ir.transform.Sequential(lower)(module)
        kernels = {f"{name}_kernel": split[f"{name}_kernel"] for name in functions}
        device = tvm.IRModule(kernels)
        device = tvm.ir.transform.Sequential(
            [transform.LowerWarpMemory(), transform.LowerIntrin()]
        )(device)
        text = tvm.get_global_func("target.build.cuda")(device, target).inspect_source("cuda")
    devices = {name: _describe(kernels[f"{name}_kernel"]) for name in functions}
    return PRELUDE.read_text(encoding="utf-8") + _own_part(str(text)), devices


def _own_part(text: str) -> str:
    """TVM's source without the preamble, which includes headers that kernels do not need."""
    start = text.index('extern "C" __global__')
    return text[start:].rstrip() + "\n"


def _describe(function: Any) -> _Device:
    names = tuple(re.sub(r"_ptr$", "", str(p.name)) for p in function.params)
    extents = _thread_extents(function.body)
    return _Device(names, _c_expression(extents["blockIdx.x"]), int(extents["threadIdx.x"]))


def _thread_extents(statement: Any) -> dict[str, Any]:
    """Thread axis -> how many, from the outermost statements of a device function."""
    if isinstance(statement, tirx.SeqStmt):
        return {k: v for part in statement.seq for k, v in _thread_extents(part).items()}
    if isinstance(statement, tirx.AttrStmt) and str(statement.attr_key) == "thread_extent":
        inner = _thread_extents(statement.body)
        return {str(statement.node.thread_tag): statement.value, **inner}
    body = getattr(statement, "body", None)
    return {} if body is None else _thread_extents(body)


def _c_expression(value: Any) -> str:
    """An expression of n and numbers that are not negative, in C."""
    if isinstance(value, tirx.IntImm):
        return str(int(value))
    if isinstance(value, tirx.Var):
        return "n"
    operators = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "FloorDiv": "/"}
    sign = operators[type(value).__name__]
    return f"({_c_expression(value.a)} {sign} {_c_expression(value.b)})"


_NAMES = {"llvm.roundeven": "rint", "llvm.nearbyint": "rint"}


def _in_c(call: Any) -> Any:
    """An intrinsic of LLVM as the function of C's library that computes the same."""
    name_of = tvm.get_global_func("target.llvm_get_intrinsic_name")
    name, dtype = str(name_of(int(call.args[0]))), str(call.ty.dtype)
    plain = _NAMES.get(name, name.removeprefix("llvm."))
    plain = "fma" if plain == "fmuladd" else plain
    suffix = "f" if dtype == "float32" else ""
    return tirx.call_pure_extern(dtype, plain + suffix, *call.args[1:])


register_intrin_lowering("tirx.call_llvm_pure_intrin", target="cuda", f=_in_c, level=99)
