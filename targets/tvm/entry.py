"""One function that runs a whole kernel plan: kernels called with plain pointers.

Importing this module imports TVM. The virtual machine then executes a single call, with
the inputs, one block of constants and the outputs; activations lie in one arena. That
saves its work for every kernel: allocating and checking tensors takes longer than a
small kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T
from tvm_ffi import structural_map

from actc.targets.tvm.arena import ALIGNMENT, Arena, Place, lay_out
from actc.targets.tvm.generic.spec import Generic
from actc.targets.tvm.plan import Array, Buffer, Call, KernelPlan

_LEAST_ARENA = 1024
"""Bytes from which TVM takes memory from its workspace: what it puts on the stack instead, and
kernels get pointers into, does not keep its values."""
_CPU = 1
"""DLPack's number of CPUs."""

_PRIVATE = "actc.private"

TIR_PIPELINE = "actc"
"""Name under which `tir_pipeline` is registered with TVM."""

Kernels = Callable[[Call], tuple[Any, Any]]
"""A call's kernel: its PrimFunc over buffers, and the symbol of its form with pointers."""


@dataclass(frozen=True, eq=False)
class Entry:
    """The function and what the virtual machine gives it.

    Attributes:
        function: takes the model's inputs, the constants, and the distinct output buffers.
        constants: bytes of all constants.
        results: names of the buffers that it writes, in the order of its arguments.
    """

    function: Any
    constants: Array
    results: tuple[str, ...]


def with_pointers(function: Any) -> Any:
    """A kernel whose parameters are pointers and, where it has one, the batch.

    It keeps no global symbol, so that TVM calls it directly; `tir_pipeline` lets it return 0.
    """
    parameters = list(function.params)
    pointers = [
        tirx.Var(f"{p.name}_data", tvm.ir.PointerType(tvm.ir.PrimType(str(p.dtype))))
        for p in parameters
    ]
    declared = [tirx.DeclBuffer(p, data=d) for p, d in zip(parameters, pointers, strict=True)]
    batch = symbolic_batch(function)
    # With "noalias", TVM marks each pointer's accesses as those of a type of its own. LLVM
    # inlines kernels and then moves loads from the arena before the stores of an earlier one.
    attributes = tvm.ir.make_node("ir.DictAttrs", **{"tirx.noalias": False, _PRIVATE: True})
    body = tirx.SeqStmt([*declared, function.body])
    scalars = [] if batch is None else [batch]
    return tirx.PrimFunc([*pointers, *scalars], body, tvm.ir.PrimType("int32"), attributes)


def hide_kernels() -> Any:
    """A pass that takes global symbols off kernels with pointers again."""
    return _over_kernels("HideKernels", lambda function: function.without_attr("global_symbol"))


def tir_pipeline() -> tuple[Any, Any, Any]:
    """TVM's pipeline for loop nests; kernels with pointers get what scratch memory asks for.

    TVM writes the device into functions that take tensors only, and moves allocations
    outside of what surrounds them, so that this comes last. It gives scratch memory back at
    the end of a function: the return has to come behind that.
    """

    def on_cpu(function: Any) -> Any:
        body = function.body
        for key, value in (("device_id", 0), ("device_type", _CPU)):
            body = tirx.AttrStmt(tvm.ir.StringImm("default"), key, tirx.const(value, "int32"), body)
        return function.with_body(body)

    def returning(function: Any) -> Any:
        done = tirx.Return(tirx.const(0, "int32"))
        return function.with_body(tirx.SeqStmt([function.body, done]))

    lowering, host, device = tirx.get_tir_pipeline("s_tir")
    marking = _over_kernels("PutKernelsOnCpu", on_cpu)
    ending = _over_kernels("ReturnFromKernels", returning)
    sequence = tvm.transform.Sequential
    return sequence([lowering, marking]), lambda: sequence([host(), ending, failing()]), device


tirx.register_tir_pipeline(TIR_PIPELINE, tir_pipeline)


def failing() -> Any:
    """A pass that lets a function fail from within.

    TVM cuts what an exported function does out into one that returns nothing, so that the
    error of an assertion in it would be set but not reported.
    """

    def opened(statement: Any) -> Any:
        return statement.body if statement.attr_key == "compute_scope" else statement

    def run(module: Any, _context: Any) -> Any:
        for symbol, function in module.functions_items():
            if isinstance(function, tirx.PrimFunc):
                body = structural_map(function.body, (tirx.AttrStmt, opened))
                module.update_func(symbol, function.with_body(body))
        return module

    return tvm.transform.module_pass(run, opt_level=0, name="FailFromWithin")


def _over_kernels(name: str, change: Callable[[Any], Any]) -> Any:
    def run(module: Any, _context: Any) -> Any:
        for symbol, function in module.functions_items():
            if isinstance(function, tirx.PrimFunc) and _PRIVATE in function.attrs:
                module.update_func(symbol, change(function))
        return module

    return tvm.transform.module_pass(run, opt_level=0, name=name)


def symbolic_batch(function: Any) -> Any:
    """The variable in the shapes of a kernel's buffers; None: there is none."""
    for parameter in function.params:
        for extent in parameter.shape:
            if isinstance(extent, tirx.Var):
                return extent
    return None


def entry_function(
    name: str,
    plan: KernelPlan,
    kernels: Kernels,
    arrays: Callable[[Call], Mapping[str, Array]],
) -> Entry:
    """Build the function.

    Args:
        name: its global symbol.
        plan: what it runs.
        kernels: gives the kernel of a call.
        arrays: constants that a call's kernel reads in another form than the plan holds.
    """
    results = tuple(dict.fromkeys(plan.outputs.values()))
    block = ConstantBlock()
    steps = [
        _Step(call, *kernels(call), _addresses(call, plan, arrays(call), block))
        for call in plan.calls
    ]
    constants = block.bytes()
    arena = lay_out(plan)
    with IRBuilder() as builder, T.prim_func():
        T.func_name(name)
        T.func_attr({"global_symbol": name, "tirx.noalias": True})
        _body(plan, results, steps, len(constants), arena)
    return Entry(builder.get(), constants, results)


@dataclass(frozen=True, eq=False)
class _Step:
    """A call, its kernel, and where its constants lie (input -> byte of the block)."""

    call: Call
    function: Any
    symbol: Any
    addresses: Mapping[str, int]


class ConstantBlock:
    """Collects arrays; equal ones share their bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._known: dict[bytes, int] = {}
        self._size = 0

    def add(self, array: Array) -> int:
        """First byte of `array` in the block, a multiple of ALIGNMENT."""
        content = np.ascontiguousarray(array).tobytes()
        if content not in self._known:
            self._known[content] = self._size
            padding = -len(content) % ALIGNMENT
            self._parts.append(content + bytes(padding))
            self._size += len(content) + padding
        return self._known[content]

    def bytes(self) -> Array:
        """The block as uint8, at least one byte."""
        return np.frombuffer(b"".join(self._parts) or bytes(ALIGNMENT), np.uint8)


def _addresses(
    call: Call, plan: KernelPlan, arrays: Mapping[str, Array], block: ConstantBlock
) -> dict[str, int]:
    constants = [name for name in call.inputs if name not in plan.buffers]
    return {n: block.add(arrays[n] if n in arrays else plan.constants[n]) for n in constants}


def _body(
    plan: KernelPlan, results: tuple[str, ...], steps: list[_Step], size: int, arena: Arena
) -> None:
    batch = T.int64()

    def argument(label: str, buffer: Buffer, align: int) -> Any:
        shape = [batch if extent is None else extent for extent in buffer.extents]
        return T.arg(label, T.buffer(shape, buffer.passed_as, align=align))

    pointers: dict[str, Any] = {}
    for i, (name, buffer) in enumerate(plan.inputs.items()):
        item = np.dtype(buffer.dtype).itemsize  # a caller's tensor need not be aligned
        pointers[name] = argument(f"input{i}", buffer, item).access_ptr("r")
    constants = T.arg("constants", T.buffer((size,), "uint8"))
    for i, name in enumerate(results):
        result = argument(f"output{i}", plan.buffers[name], ALIGNMENT)
        pointers[name] = result.access_ptr("rw")
    if arena.places:
        memory = T.alloc_buffer(
            (max(_LEAST_ARENA, arena.size.fixed) + batch * arena.size.per_sample,), "uint8"
        )
        for name, at in arena.places.items():
            pointers[name] = memory.access_ptr("rw", offset=_offset(at, batch))
    for step in steps:
        _call(step, pointers, constants, batch)


def _offset(at: Place, batch: Any) -> Any:
    return tirx.const(at.fixed, "int64") + batch * at.per_sample


def _call(step: _Step, pointers: Mapping[str, Any], constants: Any, batch: Any) -> None:
    """Emit one kernel call; a kernel may declare fewer parameters than the call names inputs."""
    count = len(step.function.params) - 1
    arguments = [
        pointers[name]
        if name in pointers
        else constants.access_ptr("r", offset=step.addresses[name])
        for name in step.call.inputs[:count]
    ]
    arguments.append(pointers[step.call.output])
    if symbolic_batch(step.function) is not None:
        arguments.append(batch)
    status = tvm.ir.Call(step.symbol, arguments, ret_ty=tvm.ir.PrimType("int32"))
    if isinstance(step.call.kernel, Generic):  # it has said which of its inputs is wrong
        with T.If(status != 0), T.Then():
            T.evaluate(tirx.tvm_throw_last_error())
        return
    with T.Assert(status == 0, "a kernel got no memory"):
        T.evaluate(0)
