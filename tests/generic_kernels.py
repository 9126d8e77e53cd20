"""Compile a graph with generic kernels and run it in this process, without a linker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from onnx import inliner, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from actc.targets.tvm.generic import fallback
from actc.targets.tvm.lower import FLOAT32_RULES, examine
from actc.targets.tvm.plan import KernelPlan
from actc.targets.tvm.planner import Planner
from actc.targets.tvm.runtime import passed

Array = np.ndarray[Any, Any]

HEADER = '<ir_version: 10, opset_import: ["" : 22]>\n'


def model(text: str, constants: Mapping[str, Array] | None = None) -> onnx.ModelProto:
    """A model from ONNX's text format, with initializers."""
    proto: onnx.ModelProto = parser.parse_model(HEADER + text)
    for name, array in (constants or {}).items():
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return proto


def inferred(proto: onnx.ModelProto) -> ir.Model:
    """The model with the types and shapes that ONNX's inference finds."""
    found = ir.from_proto(proto)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(found)
    common.ShapeInferencePass(check_type=True, strict_mode=True, data_prop=True)(found)
    return found


def planned(proto: onnx.ModelProto, scheduled: bool = False) -> KernelPlan:
    """The plan, without the scheduled rules unless `scheduled`; there must be one."""
    if scheduled:
        plan, diagnostics = examine(inferred(proto), "float32")
    else:
        planner = Planner(inferred(proto), {}, fallback.finish, fallback=fallback.lower)
        plan, diagnostics = planner.plan(), planner.diagnostics
    assert not diagnostics, diagnostics
    return plan


def run(plan: KernelPlan, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Compile for this machine and run once."""
    import tvm
    import tvm_ffi
    from tvm import relax

    from actc.targets.tvm.codegen import compile_plan
    from actc.targets.tvm.host import host_cpu

    machine = relax.VirtualMachine(compile_plan(plan, host_cpu()).jit(), tvm.cpu())
    arrays = [passed(feeds[name]) for name in plan.inputs]
    results = machine["main"](*(tvm_ffi.from_dlpack(array) for array in arrays))
    found = zip(plan.outputs, results, strict=True)
    return {
        name: np.array(np.from_dlpack(result)).view(plan.buffers[plan.outputs[name]].dtype)
        for name, result in found
    }


def reference(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the onnx package's evaluator gives."""
    names = [output.name for output in proto.graph.output]
    with np.errstate(all="ignore"):
        inlined = inliner.inline_local_functions(proto)
        arrays = ReferenceEvaluator(inlined).run(names, dict(feeds))
    return dict(zip(names, map(np.asarray, arrays), strict=True))


def check(
    proto: onnx.ModelProto,
    feeds: Mapping[str, Array],
    wanted: Mapping[str, Array] | None = None,
    *,
    tolerance: float = 1e-5,
    scheduled: bool = False,
) -> None:
    """Compare every output with what is wanted, or with the onnx package's evaluator."""
    got = run(planned(proto, scheduled), feeds)
    for name, array in (wanted or reference(proto, feeds)).items():
        assert got[name].dtype == array.dtype, name
        assert got[name].shape == array.shape, name
        if array.dtype.kind in "biu":
            np.testing.assert_array_equal(got[name], array, name)
        else:
            np.testing.assert_allclose(
                got[name], array, rtol=tolerance, atol=tolerance, err_msg=name
            )


__all__ = ["FLOAT32_RULES", "check", "inferred", "model", "planned", "reference", "run"]
