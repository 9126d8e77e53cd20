"""Running ONNX models and pieces of them in onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from actc import toolchain
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.graph import constant
from actc.ir.time_limit import Clock, Evaluator, interruptible, loops, seconds

Array = np.ndarray[Any, Any]

CPU_PROVIDER = "CPUExecutionProvider"
"""onnxruntime's name of its kernels for CPUs."""

_SILENT = 4
"""Severity of onnxruntime's log: what ends a process."""
_UNKNOWN = (
    "NOT_IMPLEMENTED",
    "is not a registered function/op",
    "Current official support for domain",
    "Unsupported model IR version",
    "Unrecognized attribute",
    "recurrent operations (layout == 1) are not supported",
    "bound to different types",
)
"""What onnxruntime says when it does not know a part of ONNX."""
_MEMORY = (
    "Failed to allocate memory",
    "Integer overflow",
    "bad_alloc",
    "exceeds the supported maximum",
    "storage size overflowed",
)
"""What it says when a tensor is too large."""
_PLAIN = frozenset(
    onnx.helper.np_dtype_to_tensor_dtype(np.dtype(name))
    for name in (
        *("bool", "float16", "float32", "float64"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
)
"""Element types of arrays that onnxruntime takes and gives in Python."""


def onnxruntime() -> ModuleType:
    """The onnxruntime module.

    Raises:
        MissingTool: neither onnxruntime nor onnxruntime-gpu is installed.
    """
    module = toolchain.require_package("onnxruntime", toolchain.ONNXRUNTIME_HELP)
    module.set_default_logger_severity(_SILENT)  # its log quotes names as they are
    return module


class ExecutionError(Exception):
    """onnxruntime refused to load or to run a model.

    Attributes:
        node: name of the node that it blames, "" when it names none.
        op: operator type of that node.
        memory: a tensor takes more memory than there is, or than can be counted.
        unknown: it has no kernel for an operator, a type or a version; the model may be right.
    """

    def __init__(self, text: str) -> None:
        found = re.search(r"while running (?P<op>\w+) node\. Name:'(?P<node>[^']*)'", text)
        found = found or re.search(r"Node \((?P<node>.*?)\) Op \((?P<op>\w+)\)", text)
        self.op, self.node = (found["op"], found["node"]) if found else ("", "")
        self.unknown = any(sign in text for sign in _UNKNOWN)
        self.memory = any(sign in text for sign in _MEMORY)
        super().__init__(_reason(text))


def _reason(text: str) -> str:
    """onnxruntime's message without its prefix and without places in its source."""
    text = text.split("Status Message: ")[-1].strip()
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"\S*onnxruntime_src/\S+:\d+ .*?\) ", "", text)
    return " ".join(text.split()).rstrip(".")


@contextmanager
def _explained() -> Iterator[None]:
    state = onnxruntime().capi.onnxruntime_pybind11_state
    kinds = [kind for kind in vars(state).values() if isinstance(kind, type)]
    errors = tuple(kind for kind in kinds if issubclass(kind, Exception))
    try:
        yield
    except errors as error:
        raise ExecutionError(str(error)) from error


def require_runs(
    model: onnx.ModelProto, feeds: Mapping[str, Array], file: str, fallback: bool = False
) -> dict[str, Array]:
    """Run a user's model once; output name -> array.

    Args:
        model: the model.
        feeds: one batch.
        file: name of the model, for messages.
        fallback: whether onnx's own evaluator may run what onnxruntime has no kernels for.

    Raises:
        ModelError: onnxruntime cannot load it, or not run it on `feeds`, or not within the time
            of :mod:`actc.ir.time_limit`.
    """
    what, help_text = "load", "export the model again, or with an older opset"
    try:
        session = Session(model)
        if session.refusal is not None and not fallback:
            raise session.refusal
        what = "run"
        help_text = (
            "export it again, with a dynamic batch axis: a batch size that is fixed inside"
            " a network (by a Reshape, say) is a usual cause"
        )
        return session.run(feeds)
    except ModelError as error:
        raise ModelError(d.in_file(file) for d in error.diagnostics) from error
    except ExecutionError as error:
        if error.memory:
            help_text = "check the shapes of the network"
        raise ModelError(
            Diagnostic(
                "ACT0060" if error.memory else "ACT0011",
                f"onnxruntime cannot {what} the model: {error}",
                place=Place(file, error.node, error.op),
                help=help_text,
            )
        ) from error


class Session:
    """A model ready to run.

    onnxruntime runs it, or the onnx package's reference evaluator what onnxruntime knows no
    kernels for (types and operators of late): much slower, and right.

    Args:
        model: the model.
        outputs: names of values to return, also inner ones; None: the model's outputs.
        threads: number of threads; 0 lets onnxruntime choose.
        optimize: whether onnxruntime may rewrite the graph.
        provider: of kernels, by onnxruntime's name; the CPU's stand in for what it lacks.

    Raises:
        ExecutionError: onnxruntime refuses the model, and so does the evaluator.

    Attributes:
        refusal: why onnxruntime does not run the model; None if it does.
        provider: that onnxruntime took first, which may be the CPU's all the same.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        outputs: Sequence[str] | None = None,
        *,
        threads: int = 0,
        optimize: bool = True,
        provider: str = CPU_PROVIDER,
    ) -> None:
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = _SILENT
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1 if threads == 1 else 0
        # Threads that wait for work in a loop keep a core from whoever has some: of a session that
        # runs once, they take more time than its operators.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Models that came quantized run as they are spelled, in float arithmetic: the integer
        # kernels round in other places, and the rewriting breaks int8 in front of Transpose.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        # Two quantizers in a row, made one, give other values.
        options.add_session_config_entry("session.disable_double_qdq_remover", "1")
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if outputs is not None:
            model = _with_outputs(model, outputs)
        model = interruptible(model)
        self._loops, self._run_options = loops(model), ort.RunOptions
        self.outputs = [output.name for output in model.graph.output]
        self.refusal: ExecutionError | None = None
        try:
            _require_plain(model.graph)
            with _explained():
                self._session = ort.InferenceSession(
                    model.SerializeToString(),
                    options,
                    providers=list(dict.fromkeys((provider, CPU_PROVIDER))),
                    disabled_optimizers=_unsafe_optimizers(model),
                )
                self.provider = str(self._session.get_providers()[0])
        except ExecutionError as error:
            if not error.unknown:
                raise
            self.refusal, self._session = error, _Reference(model, error)
            self.provider = CPU_PROVIDER

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one batch; output name -> array.

        Raises:
            ExecutionError: the model does not run on these inputs.
            ModelError: it takes too long, see :mod:`actc.ir.time_limit`.
        """
        options = self._run_options()
        options.log_severity_level = _SILENT
        clock = Clock(seconds(), options)
        try:
            with _explained(), clock.running():
                arrays = self._session.run(self.outputs, dict(feeds), options)
        except ExecutionError as error:
            if clock.over:
                raise clock.error(self._loops, error.node, error.op) from error
            raise
        return dict(zip(self.outputs, arrays, strict=True))


def _require_plain(graph: onnx.GraphProto) -> None:
    for value in [*graph.input, *graph.output]:
        kind = value.type.tensor_type.elem_type
        if kind and kind not in _PLAIN:
            name = onnx.TensorProto.DataType.Name(kind).lower()
            raise ExecutionError(f"NOT_IMPLEMENTED: '{value.name}' is of type {name}")


class _Reference:
    """The onnx package's evaluator with the interface of onnxruntime's session.

    Args:
        model: the model.
        refusal: why onnxruntime does not run it.
    """

    def __init__(self, model: onnx.ModelProto, refusal: ExecutionError) -> None:
        self._refusal = refusal
        with self._explained():
            # it takes functions that differ in their overload alone for one
            whole = ir.from_proto(model)
            InlinePass()(whole)
            self._evaluator = Evaluator(ir.to_proto(whole))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Its errors are of any type; what onnxruntime said first is what helps."""
        try:
            yield
        except Exception as error:
            text = f"{self._refusal}; the onnx package's evaluator fails too: {error}"
            raise ExecutionError(" ".join(text.split())[:500]) from error

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, Array], options: Any = None
    ) -> list[Array]:
        """Run one batch; the options are onnxruntime's."""
        with self._explained(), np.errstate(all="ignore"):
            found = self._evaluator.run(list(outputs), dict(feeds))
            return [np.asarray(array) for array in found]


def _unsafe_optimizers(model: onnx.ModelProto) -> set[str]:
    """Rewriting of onnxruntime that a model must not meet.

    Constant folding also replaces an If on a constant by its branch; with one branch inside
    another (1.31) that loses values, or ends the process.
    """
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    conditional = any(node.op_type in ("If", "Loop", "Scan") for node in nodes)
    return {"ConstantFolding"} if conditional else set()


def _with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    known = {o.name: o for o in [*shown.graph.output, *shown.graph.value_info, *shown.graph.input]}
    del shown.graph.output[:]
    for name in names:
        shown.graph.output.append(known.get(name) or onnx.helper.make_empty_tensor_value_info(name))
    return shown


def run_nodes(
    model: ir.Model,
    nodes: Sequence[ir.Node],
    feeds: Mapping[ir.Value, Array],
    wanted: Sequence[ir.Value],
) -> list[Array]:
    """Run some nodes of a model's main graph by themselves.

    Args:
        model: the model the nodes belong to (for its opset).
        nodes: in topological order; standard operators.
        feeds: arrays for the inputs that are neither constants nor made by `nodes`.
        wanted: values to return.

    Returns:
        one array per wanted value.
    """
    made = {value for node in nodes for value in node.outputs}
    used = {value for node in nodes for value in node.inputs if value is not None}
    tensors = []
    for value in sorted(used - made - set(feeds), key=lambda v: v.name or ""):
        array = constant(value)
        if array is not None:
            tensors.append(onnx.numpy_helper.from_array(array, value.name))
    inputs = [
        onnx.helper.make_tensor_value_info(
            str(value.name), onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for value, array in feeds.items()
    ]
    graph = onnx.helper.make_graph(
        [ir.to_proto(node) for node in nodes],
        "piece",
        inputs,
        [onnx.helper.make_empty_tensor_value_info(str(value.name)) for value in wanted],
        tensors,
    )
    opsets = [onnx.helper.make_opsetid("", model.opset_imports[""])]
    proto = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    types = {info.name: info for info in [*inferred.graph.output, *inferred.graph.value_info]}
    for output in proto.graph.output:
        output.CopyFrom(types[output.name])
    found = Session(proto).run({str(value.name): array for value, array in feeds.items()})
    return [found[str(value.name)] for value in wanted]
