"""export(): from a torch module to an ONNX model that actc reads well.

Needs the extra `torch`. Compiling an ONNX file never does.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from actc import toolchain
from actc.diagnostics import Diagnostic, Place
from actc.emission import write_files
from actc.errors import ModelError, UsageError
from actc.ir.execute import ExecutionError, Session

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]
Dynamic = Mapping[str, Mapping[int, str]]

TORCH_HELP = "pip install 'actc[torch]'"
_OPSET = 20
_TOLERANCE = 1e-3
"""Largest difference of onnxruntime from torch, relative to the largest output."""


def export(
    module: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[torch.Tensor],
    path: str | Path | None = None,
    *,
    input_names: Sequence[str] | None = None,
    dynamic: Dynamic | None = None,
    opset: int = _OPSET,
) -> onnx.ModelProto:
    """Export a torch module in evaluation mode, and check the result against it.

    Torch has two exporters, and either fails on networks that the other takes. Both are
    tried, the one from torch.export first; the first model is taken that gives what the
    module gives, on the example and on one sample more of it.

    Args:
        module: the network; its training flag is left as it was.
        example_inputs: one tensor or one per argument, the batch first.
        path: file to write as well; nothing is written when the export fails.
        input_names: names of the inputs; default x, or x0, x1...
        dynamic: input name -> axis -> name of a size that may vary; equal names are equal
            sizes. Default: axis 0 of every input, called "batch".
        opset: ONNX operator set.

    Returns:
        the model.

    Raises:
        MissingTool: torch is not installed.
        UsageError: ACT0243, the names or axes do not fit the inputs.
        ModelError: ACT0017, no exporter gives a model that does what the module does.
    """
    toolchain.require_package("torch", TORCH_HELP)
    inputs = _tensors(example_inputs)
    names = _names(input_names, len(inputs))
    sizes = dict(dynamic) if dynamic is not None else {name: {0: "batch"} for name in names}
    _require_axes(sizes, dict(zip(names, inputs, strict=True)))
    problems = []
    with _evaluating(module):
        for exporter in (_from_program, _from_trace):
            try:
                model = exporter(module, inputs, names, sizes, opset)
            except Exception as error:
                # exporters raise whatever they run into; the user is told what that was
                problems.append(f"{exporter.__doc__}: {type(error).__name__}: {_first(error)}")
                continue
            problem = _difference(module, model, inputs, names, sizes)
            if not problem:
                if path is not None:
                    write_files({Path(path): model.SerializeToString(deterministic=True)})
                return model
            problems.append(f"{exporter.__doc__}: {problem}")
    raise ModelError(
        Diagnostic(
            "ACT0017",
            f"torch cannot export {type(module).__name__} as ONNX",
            place=Place(type(module).__name__),
            notes=tuple(problems),
            help="rewrite what the notes name, or export it yourself and give actc the file",
        )
    )


def _from_program(
    module: Any, inputs: Sequence[Any], names: Sequence[str], dynamic: Dynamic, opset: int
) -> onnx.ModelProto:
    """torch.export"""
    import torch

    sizes = {size: torch.export.Dim(size) for axes in dynamic.values() for size in axes.values()}
    shapes = tuple(
        {axis: sizes[size] for axis, size in dynamic.get(name, {}).items()} for name in names
    )
    program = torch.onnx.export(
        module,
        tuple(inputs),
        input_names=list(names),
        dynamic_shapes=shapes,
        dynamo=True,
        opset_version=opset,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _from_trace(
    module: Any, inputs: Sequence[Any], names: Sequence[str], dynamic: Dynamic, opset: int
) -> onnx.ModelProto:
    """torch.jit.trace"""
    import torch

    stream = io.BytesIO()
    torch.onnx.export(
        module,
        tuple(inputs),
        stream,  # type: ignore[arg-type]  # a stream is what this exporter documents
        input_names=list(names),
        dynamic_axes={name: dict(axes) for name, axes in dynamic.items()},
        dynamo=False,
        opset_version=min(opset, _OPSET),
        verbose=False,
    )
    return onnx.load_from_string(stream.getvalue())


def _difference(
    module: Any,
    model: onnx.ModelProto,
    inputs: Sequence[Any],
    names: Sequence[str],
    dynamic: Dynamic,
) -> str:
    """Where the model differs from the module; "" when it does not."""
    import torch

    batch = {size for axes in dynamic.values() for axis, size in axes.items() if axis == 0}
    grown = [
        torch.cat([tensor, tensor[:1]]) if dynamic.get(name, {}).get(0) in batch else tensor
        for name, tensor in zip(names, inputs, strict=True)
    ]
    try:
        session = Session(model)
    except ExecutionError as error:
        return f"the model does not load: {error}"
    for tensors in (inputs, grown):
        with torch.no_grad():
            wanted = list(_flat(module(*tensors)))
        feeds = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        try:
            found = list(session.run(feeds).values())
        except ExecutionError as error:
            return f"the model does not run on {[list(t.shape) for t in tensors]}: {error}"
        if len(found) != len(wanted):
            return f"the model has {len(found)} outputs, the module {len(wanted)}"
        for position, (a, b) in enumerate(zip(wanted, found, strict=True)):
            if a.shape != b.shape:
                return f"output {position} has shape {list(b.shape)}, not {list(a.shape)}"
            largest = float(np.abs(a, dtype=np.float64).max(initial=1e-6))
            error_size = float(np.abs(a.astype(np.float64) - b).max(initial=0))
            if not error_size <= _TOLERANCE * largest:
                return f"output {position} is off by {error_size:.3g} of {largest:.3g}"
    return ""


def _flat(outputs: Any) -> Iterator[Array]:
    """The tensors of a module's result, in order."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        for part in outputs:
            yield from _flat(part)
    elif outputs is not None:
        yield outputs.numpy()


def _tensors(example_inputs: Any) -> list[Any]:
    import torch

    given = example_inputs if isinstance(example_inputs, (list, tuple)) else [example_inputs]
    if not given or not all(isinstance(tensor, torch.Tensor) and tensor.ndim for tensor in given):
        message = "example_inputs must be a tensor, or a sequence of tensors, with a batch axis"
        raise UsageError(Diagnostic("ACT0243", message, help="as in module(*example_inputs)"))
    return [tensor.detach().cpu() for tensor in given]


def _names(input_names: Sequence[str] | None, count: int) -> list[str]:
    if input_names is None:
        return ["x"] if count == 1 else [f"x{k}" for k in range(count)]
    names = list(input_names)
    if len(names) != count or len(set(names)) != count:
        message = f"input_names must be {count} different names, not {names}"
        raise UsageError(Diagnostic("ACT0243", message, help="one for each of example_inputs"))
    return names


def _require_axes(dynamic: Dynamic, inputs: Mapping[str, Any]) -> None:
    wrong = [
        f"'{name}' axis {axis}" if name in inputs else f"'{name}'"
        for name, axes in dynamic.items()
        for axis in (axes if name in inputs else [0])
        if name not in inputs or not 0 <= axis < inputs[name].ndim
    ]
    if wrong:
        known = ", ".join(f"'{name}' {list(t.shape)}" for name, t in inputs.items())
        message = f"dynamic names what is not there: {', '.join(wrong)}"
        raise UsageError(Diagnostic("ACT0243", message, help=f"the inputs are: {known}"))


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    training = module.training
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn of their own future
            yield
    finally:
        module.train(training)


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else "no message"
