"""One node test of the onnx package through `actc.compile`: is it ours, and how does it end?"""

from __future__ import annotations

import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx_node_exact import exact_outputs

import actc
from actc.errors import ActcError, BudgetMissed, InternalError

Array = npt.NDArray[Any]

OUTCOMES = ("passes", "refused", "wrong", "crashed", "left out")
PREVIEW = "ai.onnx.preview.training"
NEARER = "nearer to the exact result than the expected output"
"""The reason of an outcome that passes although it is not within the tolerance of what a case
expects, which is itself further than that from the exact result."""
_BFLOAT16_RTOL = 2.0**-6
"""Two units in the last place of bfloat16: the onnx package's own runner allows them."""
_CONTAINERS = {"sequence_type": "Sequence", "map_type": "Sequence", "optional_type": "Optional"}
_RUN_TIME = {
    "AffineGrid": (1,),
    "CenterCropPad": (1,),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Expand": (1,),
    "Loop": (0, 1),
    "If": (0,),
    "MaxUnpool": (2,),
    "NonMaxSuppression": (2, 3, 4),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "STFT": (1, 3),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Operator -> inputs that say what to do: axes, shapes, starts, counts. In a network they are
constants nearly always; in a node test they are inputs."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        name: of the case.
        op: operator that it tests: the name of the onnx package's module.
        result: one of OUTCOMES.
        reason: of a refusal, its codes and messages; of a wrong result, what differs; of a crash
            its last line; of a case that is left out, the rule; of one that passes, nothing, or
            what is wrong with the expected outputs.
        code: of the first diagnostic of a refusal.
        run_time: whether the model reads axes, shapes or the like when it runs.
    """

    name: str
    op: str
    result: str
    reason: str = ""
    code: str = ""
    run_time: bool = False

    def json(self) -> dict[str, Any]:
        """The outcome as a JSON object."""
        return asdict(self)


@lru_cache(maxsize=1)
def cases() -> dict[str, Any]:
    """All node tests of the onnx package by name, in the order of their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their own numpy divides by zero
        from onnx.backend.test.loader import load_model_tests

        found = {case.name: case for case in load_model_tests(kind="node")}
    return dict(sorted(found.items()))


def operator(case: Any) -> str:
    """The operator that a case is about: of its first node, for the rest prepares or expands it.

    Of a case whose function body is written out (`..._expanded`), the operator of the case
    without that ending.
    """
    name = case.name
    for ending in ("_expanded_ver13", "_expanded_ver18", "_expanded"):
        if name.endswith(ending) or f"{ending}_" in name:
            whole = name.replace(ending, "", 1)
            if whole in cases():
                return operator(cases()[whole])
    nodes = [node for node in case.model.graph.node if node.op_type != "Constant"]
    return str((nodes or case.model.graph.node)[0].op_type)


def left_out(model: onnx.ModelProto) -> str:
    """Why a case is not counted: the rule, or "" if it is."""
    if any(entry.domain == PREVIEW for entry in model.opset_import):
        return f"training: domain {PREVIEW}"
    kinds = set(_kinds(model))
    for kind in ("Sequence", "Optional", "String"):
        if kind in kinds:
            return f"{kind.lower()}: a value of the model has this type"
    for node in _nodes(model.graph):
        if any(a.name == "training_mode" and a.i for a in node.attribute):
            return "training: attribute training_mode is 1"
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            return "training: Dropout with the input training_mode"
        if node.op_type == "ImageDecoder":
            return "string: an image file as bytes"
    return ""


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _kinds(model: onnx.ModelProto) -> Iterator[str]:
    """Kinds of values that are no tensors of numbers."""
    graphs = [model.graph]
    for node in _nodes(model.graph):
        graphs += [a.g for a in node.attribute if a.HasField("g")]
        yield from (k for k in ("Sequence", "Optional", "String") if node.op_type.startswith(k))
        for attribute in node.attribute:
            text = attribute.strings and node.domain == "ai.onnx.ml"
            if text or attribute.t.data_type == onnx.TensorProto.STRING:
                yield "String"
    for graph in graphs:
        for value in [*graph.input, *graph.output, *graph.value_info]:
            kind = value.type.WhichOneof("value")
            if kind in _CONTAINERS:
                yield _CONTAINERS[kind]
            elif value.type.tensor_type.elem_type == onnx.TensorProto.STRING:
                yield "String"


def reads_at_run_time(model: onnx.ModelProto) -> bool:
    """Whether axes, shapes, bounds or the like are inputs of the model."""
    inputs = {value.name for value in model.graph.input}
    for node in _nodes(model.graph):
        positions = _RUN_TIME.get(node.op_type, ())
        if node.op_type.startswith("Reduce"):
            positions = (1,)
        if any(len(node.input) > p and node.input[p] in inputs for p in positions):
            return True
    return False


def run_case(case: Any, approx: str = "exact") -> Outcome:
    """Compile a case for the CPU and compare what the artefact gives with what it expects."""
    op = operator(case)
    run_time = reads_at_run_time(case.model)
    rule = left_out(case.model)
    if rule:
        return Outcome(case.name, op, "left out", rule, run_time=run_time)
    try:
        with tempfile.TemporaryDirectory() as folder:
            text = _difference(case, Path(folder) / "artifact", approx)
    except BudgetMissed as error:
        return Outcome(
            case.name, op, "wrong", f"noticed: {error.diagnostics[0].message}", "", run_time
        )
    except InternalError as error:
        return Outcome(case.name, op, "crashed", str(error.diagnostics[0].message), "", run_time)
    except ActcError as error:
        found = error.diagnostics
        reason = "; ".join(dict.fromkeys(f"{d.code} {d.message}" for d in found))
        return Outcome(case.name, op, "refused", reason, found[0].code, run_time)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())[:200]
        where = f"{Path(last.filename).name}:{last.name}"
        reason = f"{type(error).__name__}: {text} ({where})"
        return Outcome(case.name, op, "crashed", reason, "", run_time)
    result = "wrong" if text and not text.startswith(NEARER) else "passes"
    return Outcome(case.name, op, result, text, "", run_time)


def _difference(case: Any, folder: Path, approx: str) -> str:
    """What is wrong with the artefact's outputs, "" if nothing; from `NEARER` on, what is wrong
    with the expected ones."""
    note = ""
    names = [value.name for value in case.model.graph.input]
    constants = {tensor.name for tensor in case.model.graph.initializer}
    names = [name for name in names if name not in constants]
    artifact = None
    for given, expected in case.data_sets:
        feeds = {n: _array(a) for n, a in zip(names, given, strict=True)}
        if artifact is None:
            samples = {name: array[None] for name, array in feeds.items()}
            artifact = actc.compile(
                case.model,
                "cpu",
                data=samples,
                precision="float32",
                approx=approx,
                output=folder,
            )
        found = artifact.run(feeds)
        outputs = [value.name for value in case.model.graph.output]
        for name, wanted in zip(outputs, expected, strict=True):
            text = difference(found[name], _array(wanted), case.rtol, case.atol)
            if text and not _nearer(case, feeds, name, found[name], _array(wanted)):
                return f"output '{name}': {text}"
            note = note or (text and f"{NEARER} '{name}': {text}")
    return note


def _nearer(case: Any, feeds: dict[str, Array], name: str, found: Array, wanted: Array) -> bool:
    """Whether an output of float32 is within the tolerance of the exact result, and the expected
    one is not."""
    if wanted.dtype != np.float32 or found.dtype != wanted.dtype or found.shape != wanted.shape:
        return False
    exact = exact_outputs(case.model, feeds)
    if exact is None or exact[name].dtype != np.float64:
        return False
    rounded = exact[name].astype(np.float32)
    off = [difference(array, rounded, case.rtol, case.atol) for array in (found, wanted)]
    return not off[0] and bool(off[1])


def _array(value: Any) -> Array:
    """A value of a case as an array; types that numpy lacks come as tensors of ONNX."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value)


def difference(found: Array, wanted: Array, rtol: float, atol: float) -> str:
    """What is wrong with an output, "" if nothing: reals within the case's tolerance (bfloat16
    within that of the onnx package's own runner), NaN where NaN is wanted, all else equal on every
    bit."""
    if found.shape != wanted.shape:
        return f"shape {found.shape} instead of {wanted.shape}"
    if found.dtype != wanted.dtype:
        return f"type {found.dtype} instead of {wanted.dtype}"
    if wanted.dtype.kind in "iub" or wanted.dtype.name.startswith(("int", "uint")):
        wrong = int(np.count_nonzero(found != wanted))
        return f"{wrong} of {wanted.size} integers differ" if wrong else ""
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    if wanted.dtype.name == "bfloat16":
        rtol = max(rtol, _BFLOAT16_RTOL)
    near = np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if near.all():
        return ""
    with np.errstate(invalid="ignore"):
        most = float(np.nan_to_num(np.abs(a - b), nan=np.inf).max())
    reach = float(np.nan_to_num(np.abs(b), posinf=0.0).max())
    count = f"{int((~near).sum())} of {wanted.size} values differ"
    return f"{count}, by at most {most:.2g}; {wanted.dtype} values up to {reach:.2g}"
