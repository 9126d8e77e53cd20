"""onnxruntime's CUDA provider: whether it is there, and whether it really starts.

onnxruntime goes on with the CPU where it does not start, and only logs that.
"""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache

import onnx
from onnx import TensorProto, helper

from actc.diagnostics import Diagnostic
from actc.errors import MissingTool
from actc.ir.execute import CPU_PROVIDER, Session, onnxruntime

CUDA_PROVIDER = "CUDAExecutionProvider"
GPU_HELP = "pip uninstall -y onnxruntime, then pip install 'actc[gpu]'"


def why_no_cuda() -> str:
    """Why models cannot run on CUDA here; "" where they can."""
    available = list(onnxruntime().get_available_providers())
    if CUDA_PROVIDER not in available:
        return f"the installed onnxruntime has no {CUDA_PROVIDER}, only {', '.join(available)}"
    started, printed = _started()
    if started == CUDA_PROVIDER:
        return ""
    why = f" ({printed})" if printed else ""
    return f"onnxruntime's {CUDA_PROVIDER} did not start and fell back to {started}{why}"


@lru_cache(maxsize=1)
def _started() -> tuple[str, str]:
    """The provider that a small model gets where CUDA is asked for, and the first complaint."""
    ort, printed = onnxruntime(), io.StringIO()
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(printed):
            ort.preload_dlls()  # CUDA and cuDNN out of their Python packages
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return Session(model, provider=CUDA_PROVIDER).provider, printed.getvalue().partition("\n")[0]


def cuda_session(model: onnx.ModelProto) -> Session:
    """A session on CUDA, the operators that it has no kernels for on the CPU.

    Raises:
        MissingTool: ACT0482, there is no CUDA provider; ACT0483, it did not start.
    """
    reason = why_no_cuda()
    if not reason:
        session = Session(model, optimize=False, provider=CUDA_PROVIDER)
        if session.provider == CUDA_PROVIDER:
            return session
        reason = f"onnxruntime's {CUDA_PROVIDER} did not start for this model"
    missing = CUDA_PROVIDER not in onnxruntime().get_available_providers()
    raise MissingTool(
        Diagnostic(
            "ACT0482" if missing else "ACT0483",
            reason,
            help=GPU_HELP
            if missing
            else "see that there is a GPU, and CUDA and cuDNN of the versions that onnxruntime "
            f"wants; `--target onnx` runs on the CPU ({CPU_PROVIDER})",
        )
    )
