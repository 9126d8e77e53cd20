"""From a kernel plan to object files: TIR kernels, a Relax `main` that calls them, LLVM.

Importing this module imports TVM.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tvm
from tvm import relax, tirx

from actc.targets.tvm.entry import TIR_PIPELINE, entry_function, hide_kernels, with_pointers
from actc.targets.tvm.generic.kernel import generic_prim_func
from actc.targets.tvm.generic.spec import Generic
from actc.targets.tvm.host import Cpu
from actc.targets.tvm.kernels.attention_spec import BatchMatMul, MaskedSoftmax
from actc.targets.tvm.kernels.batch_matmul import (
    batch_matmul_prim_func,
    masked_softmax_prim_func,
)
from actc.targets.tvm.kernels.binary_conv import binary_conv_prim_func
from actc.targets.tvm.kernels.binary_pack import pack_prim_func, unpack_prim_func
from actc.targets.tvm.kernels.binary_spec import (
    BinaryConv,
    Pack,
    Unpack,
    pack_base,
    pack_place,
    pack_signs,
)
from actc.targets.tvm.kernels.conv import conv_prim_func, pack_weight
from actc.targets.tvm.kernels.conv_arm import code_offset
from actc.targets.tvm.kernels.elementwise import concat_prim_func, elementwise_prim_func
from actc.targets.tvm.kernels.float_ops import float_conv_prim_func, pack_float_weight
from actc.targets.tvm.kernels.float_spec import (
    FloatConv,
    FloatLayerNorm,
    FloatMatMul,
    FloatPool,
    FloatReduce,
    FloatSoftmax,
)
from actc.targets.tvm.kernels.float_strided import (
    float_layer_norm_prim_func,
    float_matmul_prim_func,
    float_pool_prim_func,
    float_reduce_prim_func,
    float_softmax_prim_func,
)
from actc.targets.tvm.kernels.instance_spec import InstanceSteps
from actc.targets.tvm.kernels.instances import instance_steps_prim_func
from actc.targets.tvm.kernels.layer_norm import layer_norm_prim_func
from actc.targets.tvm.kernels.reduce import (
    embed_prim_func,
    max_pool_prim_func,
    reduce_prim_func,
    softmax_prim_func,
)
from actc.targets.tvm.kernels.scalar_function import apply_function
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec, fold_bias
from actc.targets.tvm.kernels.strided import (
    Concat,
    Elementwise,
    Embed,
    LayerNorm,
    MaxPool,
    Reduce,
    Softmax,
)
from actc.targets.tvm.plan import Array, Buffer, Call, Kernel, KernelPlan
from actc.targets.tvm.written_objects import in_memory, require_room, to_disk

Features = frozenset[str]
Schedules = Mapping[Any, Schedule]
"""Kernel -> schedule; any kind of `SCHEDULED`."""
SCHEDULED = (ConvSpec, FloatConv)
"""Kernels that take a schedule."""
_PROGRAM = "devc.o"
"""TVM's name of the object file with constants and the program."""


def _float_conv(
    name: str, spec: FloatConv, features: Features, schedule: Schedule | None = None
) -> Any:
    function = spec.function
    if function is None:
        return float_conv_prim_func(spec.conv, features, name, schedule=schedule)

    def activation(*values: Any) -> Any:
        return apply_function(function, values, features)

    return float_conv_prim_func(
        spec.conv, features, name, activation, schedule, residuals=spec.residuals
    )


def _conv(name: str, spec: ConvSpec, features: Features, schedule: Schedule | None = None) -> Any:
    return conv_prim_func(spec, features, name, schedule)


_BUILDERS: dict[type, Callable[..., Any]] = {
    ConvSpec: _conv,
    BinaryConv: binary_conv_prim_func,
    Pack: pack_prim_func,
    Unpack: unpack_prim_func,
    Elementwise: elementwise_prim_func,
    Concat: concat_prim_func,
    Reduce: reduce_prim_func,
    MaxPool: max_pool_prim_func,
    LayerNorm: layer_norm_prim_func,
    Softmax: softmax_prim_func,
    BatchMatMul: batch_matmul_prim_func,
    MaskedSoftmax: masked_softmax_prim_func,
    InstanceSteps: instance_steps_prim_func,
    Embed: embed_prim_func,
    FloatConv: _float_conv,
    FloatReduce: float_reduce_prim_func,
    FloatPool: float_pool_prim_func,
    FloatSoftmax: float_softmax_prim_func,
    FloatLayerNorm: float_layer_norm_prim_func,
    FloatMatMul: float_matmul_prim_func,
    Generic: generic_prim_func,
}


class ModuleBuilder:
    """Builds the IRModule of a kernel plan.

    Args:
        plan: the kernels and their order.
        features: LLVM's names of the CPU's features.
        schedules: of convolutions that are not cut as modelled; see `SCHEDULED`.
    """

    def __init__(
        self, plan: KernelPlan, features: Features, schedules: Schedules | None = None
    ) -> None:
        self.plan = plan
        self.features = features
        self.schedules = schedules or {}
        self._builder = relax.BlockBuilder()
        self._batch = tirx.Var("n", "int64")
        self._kernels: dict[Kernel, tuple[Any, Any]] = {}

    def module(self) -> Any:
        """One PrimFunc per distinct kernel and the Relax function `main`.

        `main` takes the inputs in order and returns a tuple of the outputs.
        """
        entry = entry_function(
            "network", self.plan, lambda call: self._kernel(call.kernel), self._arrays
        )
        inputs = [
            relax.Var(f"input{i}", self._type(buffer))
            for i, buffer in enumerate(self.plan.inputs.values())
        ]
        types = [self._type(self.plan.buffers[name]) for name in entry.results]
        with self._builder.function("main", inputs):
            with self._builder.dataflow():
                symbol = self._builder.add_func(entry.function, "network")
                constants = relax.const(entry.constants, "uint8")
                call = relax.call_tir(symbol, [*inputs, constants], types)
                found = self._builder.emit(call)
                parts = [relax.TupleGetItem(found, i) for i in range(len(types))]
                if len(types) == 1:  # then TVM makes no tuple
                    parts = [found]
                values = dict(zip(entry.results, parts, strict=True))
                outputs = [values[source] for source in self.plan.outputs.values()]
                result = self._builder.emit_output(relax.Tuple(outputs))
            self._builder.emit_func_output(result)
        return self._builder.finalize()

    def _arrays(self, call: Call) -> Mapping[str, Array]:
        """Constants that the kernel reads in another form than the plan holds."""
        if isinstance(call.kernel, FloatConv):
            weight = call.inputs[1]
            values = self.plan.constants[weight]
            schedule = self.schedules.get(call.kernel)
            return {weight: pack_float_weight(values, call.kernel.conv, self.features, schedule)}
        if isinstance(call.kernel, BinaryConv):
            return self._binary_arrays(call, call.kernel)
        if not isinstance(call.kernel, ConvSpec):
            return {}
        _, weight, bias, *_ = call.inputs
        values = self.plan.constants[weight]
        return {
            weight: pack_weight(
                values, call.kernel, self.features, self.schedules.get(call.kernel)
            ),
            bias: fold_bias(
                self.plan.constants[bias],
                values,
                call.kernel.x_zero - code_offset(call.kernel, self.features),
            ),
        }

    def _binary_arrays(self, call: Call, spec: BinaryConv) -> Mapping[str, Array]:
        _, weight, base, *place = call.inputs
        packed = {
            weight: pack_signs(self.plan.constants[weight], spec, self.features),
            base: pack_base(self.plan.constants[base], spec, self.features),
        }
        for name in place:
            packed[name] = pack_place(self.plan.constants[name], spec, self.features)
        return packed

    def _kernel(self, kernel: Kernel) -> tuple[Any, Any]:
        """PrimFunc, and the symbol of its form with pointers; equal kernels share one."""
        if kernel not in self._kernels:
            kind = kernel.op if isinstance(kernel, Generic) else type(kernel).__name__
            name = f"{kind.lower()}_{len(self._kernels)}"
            given = {"schedule": self.schedules[kernel]} if kernel in self.schedules else {}
            function = _BUILDERS[type(kernel)](name, kernel, self.features, **given)
            symbol = self._builder.add_func(with_pointers(function), name)
            self._kernels[kernel] = (function, symbol)
        return self._kernels[kernel]

    def _type(self, buffer: Buffer) -> Any:
        extents = [self._batch if extent is None else extent for extent in buffer.extents]
        return relax.TensorType(extents, buffer.passed_as)


def _relax_pipeline() -> Any:
    """From call_tir to VM instructions, with buffers shared by lifetime.

    TVM's default pipeline less its rewriting of operators: there are none, and the
    kernels are loop nests, not the blocks that its analyses expect.
    """
    transform = relax.transform
    return tvm.transform.Sequential(
        [
            transform.ToNonDataflow(),
            transform.RemovePurityChecking(),
            transform.CallTIRRewrite(),
            transform.StaticPlanBlockMemory(),
            transform.LowerAllocTensor(),
            transform.KillAfterLastUse(),
            transform.LowerRuntimeBuiltin(),
            transform.ComputePrimValue(),
            transform.VMShapeLower(),
            _order_shape_stores(),
            transform.AttachGlobalSymbol(),
            hide_kernels(),
        ]
    )


def _order_shape_stores() -> Any:
    """Write computed extents in the order of their slots.

    TVM emits these independent stores in the order of a hash table over addresses, which
    differs from run to run; sorted, equal models give equal libraries.
    """

    def ordered(function: Any) -> Any:
        stores = sorted(function.body.seq, key=lambda store: int(store.indices[0]))
        return function.with_body(tirx.SeqStmt(stores))

    def is_shape_function(function: Any) -> bool:
        host = isinstance(function, tirx.PrimFunc) and "tirx.is_host_func" in function.attrs
        return host and isinstance(function.body, tirx.SeqStmt)

    def run(module: Any, _context: Any) -> Any:
        for symbol, function in module.functions_items():
            if is_shape_function(function):
                module.update_func(symbol, ordered(function))
        return module

    return tvm.transform.module_pass(run, opt_level=0, name="OrderShapeStores")


def compile_plan(plan: KernelPlan, cpu: Cpu, schedules: Schedules | None = None) -> Any:
    """Generate machine code for `cpu`; returns TVM's executable."""
    module = ModuleBuilder(plan, cpu.features, schedules).module()
    with tvm.transform.PassContext(opt_level=3):
        target = tvm.target.Target(cpu.target())
        return tvm.compile(
            module, target, relax_pipeline=_relax_pipeline(), tir_pipeline=TIR_PIPELINE
        )


def export(executable: Any, path: Path, link: Callable[[list[Path], Path], None]) -> None:
    """Write the shared library `path`, linked by `link(objects, path)`.

    Raises:
        OSError: the disk is full, or a limit of file sizes is below what may be written.
    """
    require_room(module.inspect_source("asm") for module in executable.mod.imports)

    def fcompile(file_name: str, files: list[str]) -> None:
        objects = [Path(file) for file in files]
        for file in objects:
            to_disk(file)
        link(objects, Path(file_name))

    fcompile.object_format = "o"  # type: ignore[attr-defined]
    with in_memory(path.parent / name for name in ("lib0.o", _PROGRAM)):
        executable.export_library(str(path), fcompile=fcompile, workspace_dir=str(path.parent))


def export_kernels(executable: Any, path: Path) -> None:
    """Write the object file `path`: the kernels without the program that calls them."""

    def keep(objects: list[Path], library: Path) -> None:
        kernels = [file for file in objects if file.name != _PROGRAM]
        assert len(kernels) == 1, "LLVM made several modules"
        kernels[0].replace(path)
        library.touch()

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        export(executable, Path(folder) / "model.so", keep)
